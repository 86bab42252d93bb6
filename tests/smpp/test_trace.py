"""The trace: a line for each PDU, and in it nobody's number, no text and no password."""

import re
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from smpplib import command_codes, consts

from smppgw.smpp import pdu
from smppgw.smpp.trace import _COMMANDS, _TLVS, describe
from smppgw.sms.inbound import decode_text

NUMBER, NAME, TEXT, PASSWORD = "33600001234", "STMARTIN", "Crue du Loir", "secret08"
RECEIPT = (
    b"id:0E99 sub:001 dlvrd:000 submit date:2401021530 done date:2401021531 stat:UNDELIV err:053"
    b" text:Crue du Loir"
)
HEADER = struct.Struct(">IIII")
SUBMIT, DELIVER, DATA = 0x04, 0x05, 0x103


def whole(command_id: int, body: bytes = b"", status: int = 0, sequence: int = 7) -> bytes:
    return HEADER.pack(16 + len(body), command_id, status, sequence) + body


def tlv(tag: int, value: bytes) -> bytes:
    return struct.pack(">HH", tag, len(value)) + value


def short_message(
    source: str, destination: str, text: bytes, esm_class: int = 0, data_coding: int = 0
) -> bytes:
    """Lay out the body of a submit_sm or deliver_sm."""
    addresses = b"\0\x01\x01%b\0\x01\x01%b\0" % (source.encode(), destination.encode())
    after = bytes((esm_class, 0, 0, 0, 0, 0, 0, data_coding, 0, len(text)))
    return addresses + after + text


def lines(octets: bytes, *, masked: bool = True, direction: str = "received") -> list[str]:
    return list(describe(direction, octets, masked=masked, decode_text=decode_text))


FROM = "source_addr_ton=1 source_addr_npi=1 source_addr="
TO = "dest_addr_ton=1 dest_addr_npi=1 destination_addr="
CASES: list[tuple[str, str, bytes, str, str | None]] = [  # what, direction, octets, masked, clear
    (
        "a segment of a long text",
        "sent",
        whole(
            SUBMIT,
            short_message(NAME, NUMBER, b"\x05\0\x03\x2a\x02\x01\x05t\x05 \x1be", esm_class=0x40),
        ),
        f"> submit_sm 7 {FROM}STMARTIN {TO}336****1234 esm_class=0x40 registered_delivery=0"
        " data_coding=0 sm_length=12 part=1/2 short_message=<6 octets>",
        f"> submit_sm 7 {FROM}STMARTIN {TO}33600001234 esm_class=0x40 registered_delivery=0"
        " data_coding=0 sm_length=12 part=1/2 short_message='été €'",
    ),
    (
        "a segment of a long text in TLVs",
        "sent",
        whole(
            SUBMIT,
            short_message(NAME, NUMBER, b"eau")
            + tlv(0x020C, b"\x01\x02")
            + tlv(0x020E, b"\x02")
            + tlv(0x020F, b"\x02"),
        ),
        f"> submit_sm 7 {FROM}STMARTIN {TO}336****1234 esm_class=0x00 registered_delivery=0"
        " data_coding=0 sm_length=3 part=2/2 short_message=<3 octets> sar_msg_ref_num=258"
        " sar_total_segments=2 sar_segment_seqnum=2",
        None,
    ),
    (
        "a refusal that has no body",
        "received",
        whole(0x80000004, status=0x58),
        "< submit_sm_resp 7 ESME_RTHROTTLED",
        "< submit_sm_resp 7 ESME_RTHROTTLED",
    ),
    (
        "a vendor's refusal",
        "received",
        whole(0x80000004, b"\0", status=0x401),
        "< submit_sm_resp 7 0x00000401 message_id=''",
        None,
    ),
    (
        "an id without its NUL",
        "received",
        whole(0x80000004, b"0E99"),
        "< submit_sm_resp 7 message_id=0E99",
        "< submit_sm_resp 7 message_id=0E99",
    ),
    (
        "a receipt",
        "received",
        whole(DELIVER, short_message(NUMBER, NAME, RECEIPT, 4) + tlv(0x1401, b"9f0c\0")),
        f"< deliver_sm 7 {FROM}336****1234 {TO}STMARTIN esm_class=0x04 registered_delivery=0"
        " data_coding=0 sm_length=108 id=0E99 stat=UNDELIV err=053 0x1401=<5 octets>",
        f"< deliver_sm 7 {FROM}33600001234 {TO}STMARTIN esm_class=0x04 registered_delivery=0"
        f" data_coding=0 sm_length=108 id=0E99 stat=UNDELIV err=053"
        f" short_message={RECEIPT.decode()!r} 0x1401=39 66 30 63 00",
    ),
    (
        "a receipt in the TLVs of a data_sm",
        "received",
        whole(
            DATA,
            b"\0\x01\x01%b\0\x01\x01%b\0\x04\0\0" % (NUMBER.encode(), NAME.encode())
            + tlv(0x1E, b"0E99\0")
            + tlv(0x427, b"\x05")
            + tlv(0x423, b"\x03\0\x35"),
        ),
        f"< data_sm 7 {FROM}336****1234 {TO}STMARTIN esm_class=0x04 registered_delivery=0"
        " data_coding=0 id=0E99 stat=5 err=53 receipted_message_id=0E99 message_state=UNDELIV"
        " network_error_code=3/53",
        None,
    ),
    (
        "a text from a phone to a short code",
        "received",
        whole(DELIVER, short_message("+" + NUMBER, "36111", "Été".encode("utf-16-be"), 0, 8)),
        f"< deliver_sm 7 {FROM}+336****1234 {TO}36111 esm_class=0x00 registered_delivery=0"
        " data_coding=8 sm_length=6 short_message=<6 octets>",
        f"< deliver_sm 7 {FROM}+33600001234 {TO}36111 esm_class=0x00 registered_delivery=0"
        " data_coding=8 sm_length=6 short_message='Été'",
    ),
    (
        "a text in message_payload",
        "received",
        whole(DELIVER, short_message("0600001234", NAME, b"") + tlv(0x424, b"STOP")),
        f"< deliver_sm 7 {FROM}06****34 {TO}STMARTIN esm_class=0x00 registered_delivery=0"
        " data_coding=0 sm_length=0 message_payload=<4 octets>",
        f"< deliver_sm 7 {FROM}0600001234 {TO}STMARTIN esm_class=0x00 registered_delivery=0"
        " data_coding=0 sm_length=0 message_payload='STOP'",
    ),
    (
        "a bind",
        "sent",
        pdu.encode(
            "bind_transceiver",
            1,
            system_id="syndic",
            password=PASSWORD,
            system_type="SMPP",
            interface_version=0x34,
        ),
        "> bind_transceiver 1 system_id=syndic system_type=SMPP interface_version=0x34",
        "> bind_transceiver 1 system_id=syndic system_type=SMPP interface_version=0x34",
    ),
    (
        "a bind that was refused",
        "received",
        whole(0x80000009, status=0x0D),
        "< bind_transceiver_resp 7 ESME_RBINDFAIL",
        None,
    ),
    (
        "the answer to a query",
        "received",
        whole(0x80000003, b"0E99\x00240102153000000+\0\x02\0"),
        "< query_sm_resp 7 message_id=0E99 final_date=240102153000000+ message_state=DELIVRD",
        None,
    ),
    ("a keep-alive", "sent", whole(0x15), "> enquire_link 7", "> enquire_link 7"),
    (
        "a command that nobody knows",
        "received",
        whole(0x99, b"Crue"),
        "< 0x00000099 7 (unknown command) <4 octets>",
        "< 0x00000099 7 (unknown command) 43 72 75 65",
    ),
    (
        "a body that is cut short",
        "received",
        whole(DELIVER, b"\0\x01\x01336000"),
        "< deliver_sm 7 source_addr_ton=1 source_addr_npi=1 (cut short in source_addr) <9 octets>",
        "< deliver_sm 7 source_addr_ton=1 source_addr_npi=1 (cut short in source_addr)"
        " 00 01 01 33 33 36 30 30 30",
    ),
    (
        "a text that is cut short",
        "received",
        whole(DELIVER, short_message(NUMBER, NAME, b"Crue du Loir")[:-1]),
        f"< deliver_sm 7 {FROM}336****1234 {TO}STMARTIN esm_class=0x00 registered_delivery=0"
        " data_coding=0 (cut short in short_message) <47 octets>",
        None,
    ),
    (
        "a TLV that is cut short",
        "received",
        whole(0x80000004, b"0E99\0" + tlv(0x1D, b"Crue du Loir")[:-2]),
        "< submit_sm_resp 7 message_id=0E99 (14 octets more)",
        None,
    ),
    (
        "a length that cannot be",
        "received",
        HEADER.pack(0xFFFFFFFF, DELIVER, 0, 7) + b"Crue",
        "< broken framing: command_length 4294967295 in 20 octets that begin ff ff ff ff",
        "< broken framing: command_length 4294967295 in 20 octets that begin"
        " ff ff ff ff 00 00 00 05 00 00 00 00 00 00 00 07",
    ),
    (
        "the beginning of a PDU",
        "received",
        whole(DELIVER, short_message(NUMBER, NAME, b"Crue"))[:40],
        "< deliver_sm 7 (the first 40 octets of a PDU)",
        "< deliver_sm 7 (the first 40 octets of a PDU)",
    ),
    (
        "the beginning of a header",
        "received",
        b"\0\0\0\x10\0",
        "< (the first 5 octets of a PDU)",
        "< (the first 5 octets of a PDU)",
    ),
]


@pytest.mark.parametrize(
    ("direction", "octets", "masked", "clear"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_a_person_can_read(direction: str, octets: bytes, masked: str, clear: str | None) -> None:
    assert lines(octets, direction=direction) == [masked]
    if clear is not None:
        assert lines(octets, masked=False, direction=direction) == [clear]


def test_every_pdu_of_a_buffer_has_its_line_and_what_follows_it_too() -> None:
    parts = [octets for _, _, octets, _, _ in CASES[:-3]]
    expected = [masked[2:] for _, _, _, masked, _ in CASES[:-3]]
    assert [line[2:] for line in lines(b"".join(parts))] == expected
    cut = lines(b"".join(parts) + whole(0x15)[:-1])
    assert [line[2:] for line in cut] == [*expected, "(the first 15 octets of a PDU)"]


def test_octets_of_ours_that_cannot_be_read_are_counted_and_not_shown() -> None:
    for octets in (whole(0x99, b"secret08"), whole(DELIVER, b"secret08")):
        (line,) = lines(octets, masked=False, direction="sent")
        assert line.endswith(" <8 octets>")


def test_no_more_is_shown_of_what_cannot_be_read_than_helps() -> None:
    (line,) = lines(whole(0x99, bytes(100)), masked=False)
    assert line == "< 0x00000099 7 (unknown command) " + " ".join(["00"] * 48)


@pytest.mark.parametrize(
    ("tag", "value", "shown"),
    [
        (0x205, b"\x05", "user_response_code=5"),
        (0x205, b"Crue du Loir", "user_response_code=<12 octets>"),
        (0x427, b"", "message_state=<0 octets>"),
        (0x427, b"\x09", "message_state=9"),
        (0x1E, b"0E99\0Crue", "receipted_message_id=0E99"),
        (0x1E, b"x" * 66, "receipted_message_id=<66 characters>"),
        (0x381, b"\x01\x00\x0133600001234", "callback_num=<14 octets>"),
        (0x1D, b"Crue", "additional_status_info_text=<4 octets>"),
        (0x1401, b"Crue", "0x1401=<4 octets>"),
    ],
)
def test_a_tlv_shows_what_is_nobodys(tag: int, value: bytes, shown: str) -> None:
    (line,) = lines(whole(0x80000004, b"0E99\0" + tlv(tag, value)))
    assert line == f"< submit_sm_resp 7 message_id=0E99 {shown}"


def test_what_we_send_is_no_receipt() -> None:
    (line,) = lines(whole(SUBMIT, short_message(NAME, NUMBER, RECEIPT, 4)))
    assert line.endswith(" sm_length=108 short_message=<108 octets>")


def test_without_a_decoder_a_text_is_latin_1_or_ucs2() -> None:
    for text, data_coding in (("Été", 8), ("Été", 3)):
        octets = text.encode("utf-16-be" if data_coding == 8 else "latin-1")
        body = short_message(NAME, NUMBER, octets, 0, data_coding)
        (line,) = describe("sent", whole(SUBMIT, body), masked=False)
        assert line.endswith(f"short_message={text!r}")


def test_an_id_that_holds_the_number_does_not_give_it_away() -> None:
    receipt = RECEIPT.replace(b"0E99", b"SAR-33600001234-2-1")
    body = short_message(NUMBER, NAME, receipt, 4) + tlv(0x1E, b"600001234\0")
    (line,) = lines(whole(DELIVER, body))
    assert "id=6**** " in line  # the national number
    assert "receipted_message_id=6****" in line
    (line,) = lines(whole(DELIVER, short_message(NUMBER, NAME, receipt, 4)))
    assert "id=SAR-****-2-1 " in line


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("STMARTIN", "STMARTIN"),
        ("St Martin", "'St Martin'"),
        ("36111", "36111"),
        ("551234", "55****34"),
        ("0600001234", "06****34"),
        ("590690001234", "590****1234"),
        ("06 00 00 12 34", "06****34"),
        ("a\nb", r"'a\nb'"),
    ],
)
def test_names_and_short_codes_are_shown_and_numbers_are_not(address: str, shown: str) -> None:
    (line,) = lines(whole(SUBMIT, short_message(NAME, address, b"")))
    assert f"destination_addr={shown} esm_class" in line


def test_commands_and_tlvs_have_the_names_that_smpplib_gives_them() -> None:
    assert {name: number for number, (name, _) in _COMMANDS.items()} == command_codes.commands
    ours = {name.lower(): tag for tag, (name, _) in _TLVS.items()}
    theirs = {name.lower(): tag for name, tag in consts.OPTIONAL_PARAMS.items()}
    assert ours.items() <= theirs.items() or theirs.items() <= ours.items()


letters = st.text("BGHJKLPQVWXYZ", min_size=5, max_size=12)
numbers = st.text("123456789", min_size=8, max_size=15)


@given(
    st.lists(letters, min_size=1, max_size=6),
    numbers,
    st.sampled_from([SUBMIT, DELIVER]),
    st.sampled_from([0, 8]),
    st.sampled_from(["short", "udh", "payload", "receipt", "text of a receipt", "id", "vendor"]),
    st.booleans(),
)
def test_masked_no_number_and_no_word_of_a_text_appears(
    words: list[str], number: str, command_id: int, data_coding: int, place: str, plus: bool
) -> None:
    text = " ".join([*words, number]).encode("utf-16-be" if data_coding else "latin-1")
    address = "+" * plus + number
    source, destination = (NAME, address) if command_id == SUBMIT else (address, NAME)
    short, esm_class, tlvs = text, 0, b""
    match place:
        case "udh":
            short, esm_class = b"\x05\0\x03\x2a\x02\x01" + text, 0x40
        case "payload":
            short, tlvs = b"", tlv(0x424, text)
        case "receipt":
            short, esm_class = text, 4
        case "text of a receipt":
            short, esm_class = RECEIPT.split(b"Crue")[0] + text, 4
        case "id":
            short, esm_class = RECEIPT.replace(b"0E99", number.encode()), 4
            tlvs = tlv(0x1E, number.encode()) + tlv(0x381, number.encode())
        case "vendor":
            short, tlvs = b"", tlv(0x1400, text) + tlv(0x1D, text)
    body = short_message(source, destination, short[:255], esm_class, data_coding) + tlvs
    for octets in (whole(command_id, body), whole(0x99, body), whole(command_id, body)[:-3]):
        for octets_read in (octets, octets + whole(0x15), octets + body):
            line = "\n".join(lines(octets_read))
            # What is no length at all: 00 01 01 2b is 65835, whatever the number.
            line = re.sub(r"command_length \d+", "", line)
            assert not [word for word in words if word in line]
            assert not [n for n in range(len(number) - 4) if number[n : n + 5] in line]
            assert text.hex(" ") not in line
            assert number.encode().hex(" ") not in line


@given(
    st.sampled_from(["bind_transmitter", "bind_receiver", "bind_transceiver"]),
    st.text("GHJKLMNOPQRSTUVWXYZ", min_size=6, max_size=60),
    st.integers(0, 200),
    st.integers(0, 200) | st.integers(0, 2**32 - 1),
    st.booleans(),
)
@example("bind_transceiver", PASSWORD, 30, 0xFFFFFFFF, False)
@example("bind_transceiver", PASSWORD, 30, 24, False)
@example("bind_transceiver", "GHJKLMNOPQRS", 0, 18, False)  # read as the next PDU's header
def test_a_password_is_in_no_line_however_its_pdu_is_damaged(
    command: str, password: str, cut_at: int, length: int, masked: bool
) -> None:
    bind = pdu.encode(command, 1, system_id="syndic", password=password)
    outbind = whole(0x0B, b"smsc\0" + password.encode() + b"\0")
    for direction, octets in (("sent", bind), ("received", outbind)):
        for damaged in (
            octets,
            octets[:cut_at],
            whole(0x15) + octets[:cut_at],
            struct.pack(">I", length) + octets[4:],
            struct.pack(">I", len(octets) - 1) + octets[4:],
            struct.pack(">I", len(octets) - 1) + octets[4:-1],
        ):
            line = "\n".join(lines(damaged, masked=masked, direction=direction))
            assert password not in line
            assert password.encode().hex(" ") not in line


bodies = st.sampled_from([octets[16:] for _, _, octets, _, _ in CASES if len(octets) > 16])


@given(
    st.binary(max_size=200)
    | st.builds(
        whole,
        st.sampled_from(sorted(_COMMANDS)) | st.integers(0, 2**32 - 1),
        st.binary(max_size=80) | bodies,
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
    ),
    st.binary(max_size=40),
    st.booleans(),
)
def test_whatever_the_octets_are_there_are_lines(octets: bytes, more: bytes, masked: bool) -> None:
    found = lines(octets + more, masked=masked) + list(
        describe("received", octets + more, masked=masked)
    )
    assert bool(found) == bool(octets + more)
    for line in found:
        assert line.startswith("< ")
        assert line.isprintable()
