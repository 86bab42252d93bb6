"""Octets from phones become characters, whoever numbers the coding, wherever they were cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw.sms.alphabet import DEFAULT, EXTENSION, encode_gsm, pack
from smppgw.sms.inbound import GAP, UserData, decode_parts, decode_text

GSM_TEXT = st.text(
    st.sampled_from([*DEFAULT.replace("\x1b", ""), *EXTENSION.values()]), max_size=80
)
FRENCH = "Où est l'arrêt ?"


def septets(text: str) -> bytes:
    encoded = encode_gsm(text)
    assert encoded is not None
    return encoded


@pytest.mark.parametrize(
    ("data_coding", "octets", "expected"),
    [
        (0x00, b"\x05t\x05 \x1be", "été €"),
        (0x01, b"ete \xe9", "ete é"),
        (0x03, b"\xe9t\xe9 \xa4", "été ¤"),
        (0x06, "Привет".encode("iso8859-5"), "Привет"),
        (0x07, "שלום".encode("iso8859-8"), "שלום"),
        (0x08, FRENCH.encode("utf-16-be"), FRENCH),
        (0x02, b"\xde\xad", "de ad"),
        (0x04, b"\xde\xad", "de ad"),
        # 3GPP TS 23.038, section 4
        (0x10, b"\x05", "é"),  # class 0, default alphabet
        (0x14, b"\xde\xad", "de ad"),  # class 0, 8-bit
        (0x18, b"\x00\xe9", "é"),  # class 0, UCS2
        (0x20, b"\xde\xad", "de ad"),  # compressed
        (0x31, b"\xde\xad", "de ad"),
        (0x40, b"\x05", "é"),  # to be deleted when read
        (0x48, b"\x00\xe9", "é"),
        (0x80, b"\x05", "é"),  # reserved
        (0xC8, b"\x05", "é"),  # message waiting, to be discarded
        (0xD8, b"\x05", "é"),  # message waiting, to be stored
        (0xE8, b"\x00\xe9", "é"),  # message waiting, UCS2
        (0xF0, b"\x05", "é"),  # class 0
        (0xF1, b"\x05", "é"),
        (0xF5, b"\xde\xad", "de ad"),
    ],
)
def test_a_coding_is_read_in_the_numbers_of_smpp_and_of_gsm(
    data_coding: int, octets: bytes, expected: str
) -> None:
    assert decode_text(octets, data_coding) == expected


@pytest.mark.parametrize(
    ("alphabet", "octets"),
    [
        ("gsm7", b"\x05t\x05"),
        ("gsm7-packed", pack(b"\x05t\x05")),
        ("latin1", b"\xe9t\xe9"),
    ],
)
@pytest.mark.parametrize("data_coding", [0x00, 0x10, 0xF0])
def test_the_default_alphabet_is_the_accounts(
    alphabet: str, octets: bytes, data_coding: int
) -> None:
    assert decode_text(octets, data_coding, alphabet) == "été"


@given(GSM_TEXT, st.integers(0, 140))
def test_packed_septets_begin_at_a_septet_behind_their_header(text: str, header: int) -> None:
    packed = pack(septets(text), -header * 8 % 7)
    assert decode_text(packed, 0, "gsm7-packed", header) in (text, text.removesuffix("@"))


def test_seven_bits_that_are_left_over_are_no_at_sign() -> None:
    assert decode_text(pack(b"1234567"), 0, "gsm7-packed") == "1234567"
    assert decode_text(pack(b"12345678"), 0, "gsm7-packed") == "12345678"
    assert decode_text(pack(septets("moi@")), 0, "gsm7-packed") == "moi@"


def parts_of(octets: bytes, cuts: list[int], data_coding: int) -> list[UserData | None]:
    places = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
    return [UserData(octets[start:end], data_coding) for start, end in pairwise(places)]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.lists(st.integers(0)))
def test_utf_16_may_be_cut_at_any_octet(text: str, cuts: list[int]) -> None:
    text = text.strip("\0\ufeff")
    assert decode_parts(parts_of(text.encode("utf-16-be"), cuts, 8)) == text


@given(GSM_TEXT, st.lists(st.integers(0)))
def test_gsm_may_be_cut_behind_an_escape(text: str, cuts: list[int]) -> None:
    assert decode_parts(parts_of(septets(text), cuts, 0)) == text


@given(GSM_TEXT, st.integers(0, 80))
def test_each_part_of_a_packed_text_is_unpacked_by_itself(text: str, cut: int) -> None:
    whole = septets(text).replace(b"\0", b"a")  # an @ at the end cannot be told from filling
    parts = [UserData(pack(piece, 1), 0, "gsm7-packed", 6) for piece in (whole[:cut], whole[cut:])]
    assert decode_parts(parts) == text.replace("@", "a")


def test_an_octet_too_many_spoils_one_character_at_most() -> None:
    assert decode_text("Été".encode("utf-16-be") + b"\0", 8) == "Été"
    assert decode_text(b"\0", 8) == ""
    odd = UserData("Été ".encode("utf-16-be") + b"\0", 8)
    assert decode_parts([odd, UserData("à la mer".encode("utf-16-be"), 8)]) == "Été à la mer"


def test_half_a_surrogate_pair_becomes_one_replacement_character() -> None:
    assert decode_text("a🎉".encode("utf-16-be")[:-2], 8) == "a\ufffd"


def test_a_byte_order_mark_and_closing_nuls_are_no_text() -> None:
    assert decode_text(b"\xfe\xff\x00O\x00K", 8) == "OK"
    assert decode_text(b"OK\0", 3) == "OK"


def test_missing_parts_show_as_one_gap_for_each_run_of_them() -> None:
    a, b = UserData(b"a"), UserData(b"b")
    assert decode_parts([a, None, b]) == f"a{GAP}b"
    assert decode_parts([None, None, b, None]) == f"{GAP}b{GAP}"
    assert decode_parts([a, b]) == "ab"


def test_parts_of_different_codings_are_read_each_in_its_own() -> None:
    parts = [UserData(b"\x05 ", 0), UserData(b"\x20\xac", 8), UserData(b"\xe9", 3)]
    assert decode_parts(parts) == "é €é"


@given(
    st.lists(
        st.none()
        | st.builds(
            UserData,
            st.binary(max_size=30),
            st.integers(0, 255),
            st.sampled_from(["gsm7", "gsm7-packed", "latin1"]),
            st.integers(0, 255),
        ),
        max_size=5,
    )
)
def test_nothing_that_a_phone_can_write_raises_or_cannot_be_stored(
    parts: list[UserData | None],
) -> None:
    decode_parts(parts).encode("utf-8")
