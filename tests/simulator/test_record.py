"""The record of PDUs."""

import io
import json
from pathlib import Path

import pytest

from smppgw.errors import OperationError
from smppgw.simulator import codec
from smppgw.simulator.record import Record

SUBMIT = codec.encode(
    codec.SUBMIT_SM,
    7,
    source_addr="STMARTIN",
    destination_addr="33612345678",
    esm_class=0x40,
    registered_delivery=1,
    data_coding=8,
    short_message=b"\0C",
    tlvs={0x020C: b"\0\x01"},
)


def lines(octets: bytes) -> list[dict[str, object]]:
    file = io.StringIO()
    record = Record(file)
    record.note(3, "received", octets, at=12.5, wall_s=1_740_823_200.25)
    record.close()
    return [json.loads(line) for line in file.getvalue().splitlines()]


def test_a_line_says_when_on_which_session_and_which_way() -> None:
    [line] = lines(codec.encode(codec.ENQUIRE_LINK, 9))
    assert line == {
        "at": 12.5,
        "wall": "2025-03-01T10:00:00.250000+00:00",
        "session": 3,
        "direction": "received",
        "command": "enquire_link",
        "status": 0,
        "sequence": 9,
    }


def test_a_line_holds_the_fields_with_octets_in_hexadecimal() -> None:
    [line] = lines(SUBMIT)
    expected = {
        "command": "submit_sm",
        "sequence": 7,
        "source": "STMARTIN",
        "destination": "33612345678",
        "esm_class": 0x40,
        "registered_delivery": 1,
        "data_coding": 8,
        "short_message": "0043",
        "tlvs": {"0x020c": "0001"},
    }
    assert expected.items() <= line.items()


def test_a_response_is_recorded_with_its_message_id_and_status() -> None:
    accepted, refused = lines(
        codec.encode_submit_resp(7, 0, b"42") + codec.encode_submit_resp(8, 0x58, b"")
    )
    assert (accepted["command"], accepted["message_id"]) == ("submit_sm_resp", "42")
    assert (refused["status"], "message_id" in refused) == (0x58, False)


def test_a_password_is_never_recorded() -> None:
    [line] = lines(codec.encode(codec.BIND_TRANSCEIVER, 1, system_id="syndic", password="secret08"))
    assert line["system_id"] == "syndic"
    assert "secret08" not in json.dumps(line)


def test_what_cannot_be_read_is_recorded_as_its_octets() -> None:
    unknown, cut = lines(
        codec.HEADER.pack(17, 0x10203, 0, 1) + b"?" + codec.HEADER.pack(17, 4, 0, 2) + b"\0"
    )
    assert (unknown["command"], unknown["body"]) == ("0x00010203", "3f")
    assert (cut["command"], cut["body"]) == ("submit_sm", "00")


def test_nothing_is_written_before_a_flush_and_all_of_it_in_one_piece() -> None:
    pieces: list[str] = []

    class Pieces(io.StringIO):
        def write(self, text: str, /) -> int:
            pieces.append(text)
            return len(text)

    record = Record(Pieces())
    record.note(1, "sent", SUBMIT + SUBMIT, at=0.0, wall_s=0.0)
    assert pieces == []
    record.flush()
    record.flush()
    assert [piece.count("\n") for piece in pieces] == [2]


def test_a_path_is_appended_to_and_a_file_is_left_open(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    for _ in range(2):
        record = Record(path)
        record.note(1, "sent", SUBMIT, at=0.0, wall_s=0.0)
        record.close()
    assert len(path.read_text().splitlines()) == 2
    file = io.StringIO()
    Record(file).close()
    assert not file.closed


def test_a_file_that_cannot_be_opened_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="Cannot write the record to"):
        Record(tmp_path / "missing" / "record.jsonl")
