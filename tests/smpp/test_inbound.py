"""Parts of texts from phones: headers and TLVs read, nothing raised, no octet dropped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw.smpp.inbound import (
    IN_8_BITS,
    IN_16_BITS,
    IN_TLVS,
    WHOLE,
    Numbering,
    Part,
    international,
    parse_part,
)

UDHI = 0x40
SAR = {0x020C: b"\x12\x34", 0x020E: b"\x03", 0x020F: b"\x02"}
EIGHT = bytes((0, 3, 0x5A, 3, 2))
SIXTEEN = bytes((8, 4, 0x12, 0x34, 3, 2))
PORTS = bytes((5, 4, 0x0B, 0x84, 0, 0))
SPANISH = bytes((0x24, 1, 2))


def udh(*elements: bytes) -> bytes:
    header = b"".join(elements)
    return bytes((len(header),)) + header


def test_a_text_without_header_is_whole() -> None:
    assert parse_part(b"Merci") == Part(b"Merci", 0, WHOLE)


def test_what_looks_like_a_header_is_text_unless_esm_class_says_that_it_is_one() -> None:
    octets = udh(EIGHT) + b"Merci"
    assert parse_part(octets, 0) == Part(octets, 0, WHOLE)
    assert parse_part(octets, UDHI).octets == b"Merci"


@pytest.mark.parametrize(
    ("header", "reference"),
    [
        (udh(EIGHT), IN_8_BITS | 0x5A),
        (udh(SIXTEEN), IN_16_BITS | 0x1234),
        (udh(PORTS, EIGHT), IN_8_BITS | 0x5A),
        (udh(SIXTEEN, SPANISH), IN_16_BITS | 0x1234),
    ],
)
def test_a_header_numbers_the_part_whatever_else_it_holds(header: bytes, reference: int) -> None:
    part = parse_part(header + b"Merci", UDHI)
    assert part == Part(b"Merci", len(header), Numbering(reference, 3, 2))


def test_three_tlvs_number_the_part() -> None:
    part = parse_part(b"Merci", tlvs=SAR)
    assert part == Part(b"Merci", 0, Numbering(IN_TLVS | 0x1234, 3, 2))


def test_the_header_wins_over_the_tlvs() -> None:
    assert parse_part(udh(EIGHT), UDHI, SAR).numbering == Numbering(0x5A, 3, 2)
    assert parse_part(udh(PORTS), UDHI, SAR).numbering == Numbering(IN_TLVS | 0x1234, 3, 2)


def test_of_two_numberings_in_a_header_the_last_that_can_be_counts() -> None:
    other = bytes((0, 3, 0x5B, 4, 1))
    broken = bytes((0, 3, 0x5C, 4, 5))
    assert parse_part(udh(EIGHT, other), UDHI).numbering == Numbering(0x5B, 4, 1)
    assert parse_part(udh(EIGHT, broken), UDHI).numbering == Numbering(0x5A, 3, 2)


def test_references_of_different_length_are_different_references() -> None:
    eight = udh(bytes((0, 3, 5, 2, 1)))
    sixteen = udh(bytes((8, 4, 0, 5, 2, 1)))
    tlvs = {**SAR, 0x020C: b"\0\5"}
    references = [
        parse_part(eight, UDHI).numbering.reference,
        parse_part(sixteen, UDHI).numbering.reference,
        parse_part(b"", 0, tlvs).numbering.reference,
    ]
    assert len(set(references)) == 3


def test_the_payload_counts_where_short_message_is_empty() -> None:
    payload = {0x0424: udh(EIGHT) + b"Long"}
    assert parse_part(b"", UDHI, payload) == Part(b"Long", 6, Numbering(0x5A, 3, 2))
    assert parse_part(b"Court", 0, payload).octets == b"Court"
    assert parse_part(b"", UDHI, {}) == Part(b"")


@pytest.mark.parametrize(("total", "number"), [(0, 0), (0, 1), (1, 1), (2, 0), (2, 3), (255, 0)])
def test_a_numbering_that_cannot_be_is_none(total: int, number: int) -> None:
    header = udh(bytes((0, 3, 7, total, number)))
    assert parse_part(header + b"Merci", UDHI) == Part(b"Merci", 6, WHOLE)
    sar = {0x020C: b"\0\7", 0x020E: bytes((total,)), 0x020F: bytes((number,))}
    assert parse_part(b"Merci", 0, sar) == Part(b"Merci", 0, WHOLE)


@pytest.mark.parametrize(
    "tlvs",
    [
        {0x020C: b"\0\1"},
        {0x020C: b"\0\1", 0x020E: b"\3"},
        {0x020C: b"\0\1", 0x020E: b"\3\0", 0x020F: b"\2"},
        {0x020C: b"\0\0\1", 0x020E: b"\3", 0x020F: b"\2"},
        {0x020E: b"\3", 0x020F: b"\2"},
    ],
)
def test_tlvs_that_are_incomplete_or_too_long_number_nothing(tlvs: dict[int, bytes]) -> None:
    assert parse_part(b"Merci", 0, tlvs) == Part(b"Merci", 0, WHOLE)


@pytest.mark.parametrize(
    "octets",
    [b"\x05", b"\x05\x00\x03", b"\x05\x00\x03\x07\x02", b"\xff" * 20],
    ids=["length only", "cut", "one octet short", "too long"],
)
def test_a_header_that_is_cut_short_is_shown_as_text(octets: bytes) -> None:
    assert parse_part(octets, UDHI) == Part(octets, 0, WHOLE)


@pytest.mark.parametrize(
    "elements",
    [
        b"\0",
        b"\0\3\7",  # the element is longer than the header
        b"\0\4\7\2\1",
        b"\0\2\7\2",
        b"\0\4\7\2\1\0",
        b"\x08\3\7\2\1",
        b"\x24\x90\1",
    ],
)
def test_elements_that_cannot_be_read_leave_the_text_alone(elements: bytes) -> None:
    part = parse_part(udh(elements) + b"Merci", UDHI)
    assert part == Part(b"Merci", len(elements) + 1, WHOLE)


tlv_values = st.dictionaries(
    st.sampled_from([0x020C, 0x020E, 0x020F, 0x0424, 0x1401]), st.binary(max_size=12)
)


@given(st.binary(max_size=60), st.integers(0, 255), tlv_values)
def test_nothing_that_an_smsc_can_write_raises_or_loses_an_octet(
    octets: bytes, esm_class: int, tlvs: dict[int, bytes]
) -> None:
    part = parse_part(octets, esm_class, tlvs)
    came = octets or tlvs.get(0x0424, b"")
    assert came.endswith(part.octets)
    assert part.header_octets + len(part.octets) == len(came)
    reference, total, number = part.numbering
    assert 1 <= number <= total <= 255
    assert 0 <= reference <= IN_TLVS | 0xFFFF


@given(st.binary(max_size=20), st.integers(2, 255), st.data())
def test_what_a_phone_numbers_is_read_back(octets: bytes, total: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(1, total))
    reference = data.draw(st.integers(0, 0xFFFF))
    header = udh(bytes((8, 4, reference >> 8, reference & 0xFF, total, number)))
    part = parse_part(header + octets, UDHI)
    assert part == Part(octets, 7, Numbering(IN_16_BITS | reference, total, number))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("33600000001", "+33600000001"),
        ("0033600000001", "+33600000001"),
        ("+33600000001", "+33600000001"),
        ("262692000001", "+262692000001"),
        ("0600000001", "0600000001"),
        ("36111", "36111"),
        ("600000001", "600000001"),
        ("STMARTIN", "STMARTIN"),
        ("1234567890123456", "1234567890123456"),
        ("³³600000001", "³³600000001"),
        ("", ""),
    ],
)
def test_an_address_is_written_in_e164_only_where_its_digits_say_so(
    address: str, expected: str
) -> None:
    assert international(address) == expected
