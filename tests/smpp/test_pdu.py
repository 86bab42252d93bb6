"""The fast path is held, octet for octet, to smpplib."""

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from smpplib import smpp

from smppgw.errors import RemoteProtocolError
from smppgw.simulator import codec
from smppgw.smpp import pdu
from smppgw.smpp.pdu import Addresses, Concatenation, Delivery, SubmitTemplate

sequences = st.integers(1, pdu.SEQUENCE_LIMIT)
digits = st.text("0123456789", min_size=1, max_size=20)
senders = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", max_size=11)
octet = st.integers(0, 255)


def by_smpplib(command: str, sequence: int, status: int = 0, **fields: Any) -> bytes:
    made = smpp.make_pdu(command, sequence=sequence, status=status, **fields)
    made.sequence = sequence
    octets: bytes = made.generate()
    return octets


@given(
    sequences,
    senders,
    digits,
    st.binary(max_size=140),
    octet,
    st.sampled_from([0, 1]),
    st.tuples(octet, octet, octet, octet),
)
@example(1, "", "0", b"", 0, 0, (0, 0, 0, 0))
@example(1, "0", "0", b"0", 0, 1, (5, 0, 1, 1))
def test_a_spliced_submit_sm_is_what_smpplib_would_have_encoded(
    sequence: int,
    sender: str,
    destination: str,
    text: bytes,
    data_coding: int,
    registered: int,
    numbering: tuple[int, int, int, int],
) -> None:
    template = SubmitTemplate(
        Addresses(sender, *numbering), text, data_coding=data_coding, registered_delivery=registered
    )
    ton, npi, dest_ton, dest_npi = numbering
    assert template.encode(sequence, destination, 0) == by_smpplib(
        "submit_sm",
        sequence,
        source_addr_ton=ton,
        source_addr_npi=npi,
        source_addr=sender,
        dest_addr_ton=dest_ton,
        dest_addr_npi=dest_npi,
        destination_addr=destination,
        data_coding=data_coding,
        registered_delivery=registered,
        short_message=text,
    )


@given(sequences, digits, st.binary(max_size=153), octet, st.integers(2, 255), st.data())
def test_a_segment_of_a_long_text_carries_its_header_and_reference(
    sequence: int, destination: str, text: bytes, reference: int, total: int, data: st.DataObject
) -> None:
    number = data.draw(st.integers(1, total))
    template = SubmitTemplate(
        Addresses("STMARTIN", 5, 0, 1, 1),
        text,
        data_coding=0,
        registered_delivery=1,
        concatenation=Concatenation(number, total),
    )
    assert template.encode(sequence, destination, reference) == by_smpplib(
        "submit_sm",
        sequence,
        source_addr_ton=5,
        source_addr_npi=0,
        source_addr="STMARTIN",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr=destination,
        esm_class=0x40,
        registered_delivery=1,
        short_message=bytes((5, 0, 3, reference, total, number)) + text,
    )


def responses(count: int) -> list[tuple[bytes, tuple[int, int, str]]]:
    return [
        (by_smpplib("submit_sm_resp", n + 1, message_id=f"{n:010d}"), (n + 1, 0, f"{n:010d}"))
        for n in range(count)
    ]


@given(
    sequences,
    digits,
    st.binary(max_size=153),
    st.integers(0, 65535),
    st.integers(2, 255),
    st.data(),
)
def test_a_segment_may_carry_its_place_in_tlvs_instead(
    sequence: int, destination: str, text: bytes, reference: int, total: int, data: st.DataObject
) -> None:
    number = data.draw(st.integers(1, total))
    template = SubmitTemplate(
        Addresses("STMARTIN", 5, 0, 1, 1),
        text,
        data_coding=0,
        registered_delivery=1,
        concatenation=Concatenation(number, total, "sar"),
    )
    read = codec.decode(template.encode(sequence, destination, reference)).fields
    assert (read["short_message"], read["esm_class"]) == (text, 0)
    assert read["destination_addr"] == destination
    assert read["tlvs"] == {
        0x020C: reference.to_bytes(2, "big"),
        0x020E: bytes((total,)),
        0x020F: bytes((number,)),
    }


@given(sequences, digits, st.binary(min_size=1, max_size=3000))
def test_a_text_may_travel_whole_as_payload(sequence: int, destination: str, text: bytes) -> None:
    template = SubmitTemplate(
        Addresses("STMARTIN", 5, 0, 1, 1),
        text,
        data_coding=8,
        registered_delivery=1,
        as_payload=True,
        validity_period="301231235959000+",
    )
    read = codec.decode(template.encode(sequence, destination, 0)).fields
    assert (read["short_message"], read["tlvs"]) == (b"", {0x0424: text})
    assert read["validity_period"] == "301231235959000+"


@given(st.lists(st.tuples(sequences, octet, st.text("0123456789abcdefABCDEF-", max_size=64))))
def test_walking_submit_sm_responses_reads_what_smpplib_wrote(
    answers: list[tuple[int, int, str]],
) -> None:
    stream = b"".join(
        by_smpplib("submit_sm_resp", sequence, status, message_id=message_id)
        for sequence, status, message_id in answers
    )
    walk = pdu.walk(stream)
    assert walk.responses == answers
    assert (walk.deliveries, walk.others, walk.consumed, walk.broken) == ([], [], len(stream), None)


def test_a_negative_response_may_come_without_a_body() -> None:
    stream = struct.pack(">IIII", 16, pdu.SUBMIT_SM_RESP, 0x58, 7)
    assert pdu.walk(stream).responses == [(7, 0x58, "")]


def test_a_response_whose_id_lacks_its_nul_is_read_to_its_end_and_no_further() -> None:
    first = struct.pack(">IIII", 18, pdu.SUBMIT_SM_RESP, 0, 7) + b"12"
    assert pdu.walk(first * 2).responses == [(7, 0, "12"), (7, 0, "12")]


@given(st.integers(0, 600))
def test_any_cut_of_a_stream_leaves_exactly_the_beginning_of_a_pdu(at: int) -> None:
    stream = b"".join(octets for octets, _ in responses(20))
    head = stream[:at]
    walk = pdu.walk(head)
    again = pdu.walk(head[walk.consumed :] + stream[at:])
    assert walk.responses + again.responses == [answer for _, answer in responses(20)]
    assert len(head) - walk.consumed < 27


@pytest.mark.parametrize("length", [0, 1, 15, pdu.COMMAND_OCTETS_LIMIT + 1, 0xFFFFFFFF])
def test_a_command_length_that_cannot_be_ends_the_walk_and_keeps_what_came_before(
    length: int,
) -> None:
    good, answer = responses(1)[0]
    walk = pdu.walk(good + struct.pack(">IIII", length, 4, 0, 1) + good)
    assert walk.responses == [answer]
    assert walk.broken == length
    assert walk.consumed == len(good)


@given(
    sequences,
    digits,
    senders,
    octet,
    octet,
    st.binary(max_size=254),
    st.dictionaries(st.integers(0x1400, 0x3FFF), st.binary(max_size=20), max_size=3),
)
def test_a_deliver_sm_is_read_as_smpplib_wrote_it(
    sequence: int,
    source: str,
    destination: str,
    esm_class: int,
    data_coding: int,
    text: bytes,
    tlvs: dict[int, bytes],
) -> None:
    octets = by_smpplib(
        "deliver_sm",
        sequence,
        source_addr=source,
        destination_addr=destination,
        esm_class=esm_class,
        data_coding=data_coding,
        short_message=text,
    )
    body = octets[16:] + b"".join(
        struct.pack(">HH", tag, len(value)) + value for tag, value in tlvs.items()
    )
    assert pdu.parse_delivery(sequence, body) == Delivery(
        sequence, source, destination, esm_class, data_coding, text, tlvs
    )


@given(st.binary(max_size=300))
def test_a_body_that_nobody_can_read_is_a_protocol_error_and_nothing_else(body: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        pdu.parse_delivery(1, body)


def test_every_shorter_beginning_of_a_deliver_sm_is_refused() -> None:
    octets = by_smpplib(
        "deliver_sm", 1, source_addr="33600000001", destination_addr="X", short_message=b"id:1"
    )
    body = octets[16:]
    pdu.parse_delivery(1, body)
    for end in range(len(body)):
        with pytest.raises(RemoteProtocolError):
            pdu.parse_delivery(1, body[:end])


@given(st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF))))
def test_delivery_responses_are_what_smpplib_would_have_encoded(
    answers: list[tuple[int, int]],
) -> None:
    assert pdu.encode_delivery_responses(answers) == b"".join(
        by_smpplib("deliver_sm_resp", sequence, status, message_id="")
        for sequence, status in answers
    )


@pytest.mark.parametrize("sequence", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_any_sequence_number_is_echoed(sequence: int) -> None:
    answer = pdu.decode(pdu.encode("enquire_link_resp", sequence))
    assert (answer.command, answer.sequence, answer.status) == ("enquire_link_resp", sequence, 0)


@pytest.mark.parametrize("kind", ["bind_transmitter", "bind_receiver", "bind_transceiver"])
def test_a_password_longer_than_the_specification_allows_is_sent_whole(kind: str) -> None:
    octets = pdu.encode(kind, 1, system_id="syndic", password="a-password-of-22-octets")
    assert b"syndic\0a-password-of-22-octets\0" in octets


@given(st.binary(min_size=16, max_size=200))
def test_decoding_any_octets_gives_at_least_what_to_answer(octets: bytes) -> None:
    other = pdu.decode(octets)
    assert (other.command_id, other.status, other.sequence) == struct.unpack(">III", octets[4:16])


def test_what_a_vendor_adds_to_a_pdu_is_nothing_to_write_to_standard_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    tlv = b"\x15\x01\0\x04smsc"
    octets = struct.pack(">IIII", 16 + 1 + len(tlv), 0x80000009, 0, 1) + b"\0" + tlv
    assert pdu.decode(octets).command == "bind_transceiver_resp"
    assert capfd.readouterr() == ("", "")
