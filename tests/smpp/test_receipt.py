"""Receipts: read what SMSCs write, raise nothing."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw.smpp import parse_receipt
from smppgw.smpp.receipt import asks_receipt, normal_form, normal_forms

CANONICAL = (
    b"id:0123456789 sub:001 dlvrd:001 submit date:2401021530 done date:2401021531"
    b" stat:DELIVRD err:000 text:Bonjour les gens"
)


def test_the_text_of_appendix_b_is_read_whole() -> None:
    receipt = parse_receipt(CANONICAL)
    assert receipt is not None
    assert (receipt.message_id, receipt.state, receipt.raw_state) == (
        "0123456789",
        "DELIVRD",
        "DELIVRD",
    )
    assert (receipt.error, receipt.text) == ("000", "Bonjour les gens")
    assert receipt.submitted_at == datetime(2024, 1, 2, 15, 30)
    assert receipt.done_at == datetime(2024, 1, 2, 15, 31)
    assert receipt.raw == CANONICAL.decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"id:1 stat:DELIVRD", ("1", "DELIVRD", None)),
        (b"id:1 sub:001 dlvrd:001 stat:UNDELIV err:01F text:", ("1", "UNDELIV", "01F")),
        (b"stat:EXPIRED err:6 id:ABCD-12", ("ABCD-12", "EXPIRED", "6")),
        (b"ID:7 STAT:delivrd ERR:000", ("7", "DELIVRD", "000")),
        (b"id:7 stat:BLOCKED err:53", ("7", "OTHER", "53")),
        (b"id: 7 stat: REJECTED", ("7", "REJECTD", None)),
        (CANONICAL[:40], ("0123456789", "OTHER", None)),
        (
            b"id:7 sub:001 dlvrd:001 submit date: done date: stat:ACCEPTD err: text:",
            ("7", "ACCEPTD", None),
        ),
    ],
)
def test_fields_may_be_missing_moved_or_unknown(
    text: bytes, expected: tuple[str, str, str | None]
) -> None:
    receipt = parse_receipt(text)
    assert receipt is not None
    assert (receipt.message_id, receipt.state, receipt.error) == expected


def test_the_text_of_the_message_cannot_pass_for_a_field() -> None:
    receipt = parse_receipt(CANONICAL.replace(b"Bonjour les gens", b"id:9 stat:UNDELIV err:9"))
    assert receipt is not None
    assert (receipt.message_id, receipt.state, receipt.error) == ("0123456789", "DELIVRD", "000")
    loose = parse_receipt(b"stat:DELIVRD id:1 text:id:9 stat:UNDELIV")
    assert loose is not None
    assert (loose.message_id, loose.state) == ("1", "DELIVRD")


def test_tlvs_win_over_the_text() -> None:
    tlvs = {0x001E: b"abc\0", 0x0427: b"\x05", 0x0423: b"\x03\x00\x35"}
    receipt = parse_receipt(CANONICAL, tlvs=tlvs)
    assert receipt is not None
    assert (receipt.message_id, receipt.state, receipt.error) == ("abc", "UNDELIV", "53")


def test_a_receipt_in_tlvs_alone_is_read() -> None:
    receipt = parse_receipt(b"", tlvs={0x001E: b"abc\0", 0x0427: b"\x02"})
    assert receipt is not None
    assert (receipt.message_id, receipt.state) == ("abc", "DELIVRD")


def test_a_receipt_in_ucs2_is_read() -> None:
    receipt = parse_receipt(CANONICAL.decode().encode("utf-16-be"), data_coding=8)
    assert receipt is not None
    assert (receipt.message_id, receipt.state) == ("0123456789", "DELIVRD")


def test_a_text_from_a_phone_that_looks_like_a_receipt_is_none() -> None:
    assert parse_receipt(CANONICAL, esm_class=0) is None
    assert parse_receipt(CANONICAL, esm_class=0x40) is None


def test_an_account_that_marks_its_receipts_as_texts_can_be_read_too() -> None:
    receipt = parse_receipt(CANONICAL, esm_class=0, any_esm_class=True)
    assert receipt is not None
    assert receipt.state == "DELIVRD"
    assert parse_receipt(b"Merci !", esm_class=0, any_esm_class=True) is None


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        (b"201201021530", None),  # 2012-01-02 15:30, or 2020-12-01 02:15:30?
        (b"20240102153045", datetime(2024, 1, 2, 15, 30, 45)),
        (b"991231235959", datetime(1999, 12, 31, 23, 59, 59)),
        (b"2402301530", None),  # there is no 30 February
        (b"soon", None),
    ],
)
def test_a_date_is_read_only_where_it_has_one_reading(
    date: bytes, expected: datetime | None
) -> None:
    receipt = parse_receipt(b"id:1 done date:" + date + b" stat:DELIVRD")
    assert receipt is not None
    assert receipt.done_at == expected


@given(
    st.binary(max_size=300),
    st.integers(0, 255),
    st.integers(0, 255),
    st.dictionaries(st.sampled_from([0x1E, 0x424, 0x423, 0x427, 0x1401]), st.binary(max_size=9)),
)
def test_nothing_that_an_smsc_can_write_raises(
    text: bytes, esm_class: int, data_coding: int, tlvs: dict[int, bytes]
) -> None:
    for octets in (text, b"id:" + text, CANONICAL[: len(text) % 120] + text):
        receipt = parse_receipt(octets, esm_class=esm_class, data_coding=data_coding, tlvs=tlvs)
        if receipt is not None:
            _ = receipt.submitted_at, receipt.done_at


@pytest.mark.parametrize(
    ("dialect", "receipt_id", "response_id"),
    [
        ("auto", "0E99AB", "e99ab"),
        ("auto", "255", "ff"),
        ("auto", "FF", "255"),
        ("hex-then-decimal", "255", "00FF"),
        ("text", "00AbC", "abc"),
    ],
)
def test_an_id_is_recognised_in_the_forms_that_smscs_give_it(
    dialect: str, receipt_id: str, response_id: str
) -> None:
    assert normal_form(response_id) in normal_forms(receipt_id, dialect)


def test_an_account_that_says_so_has_its_ids_compared_as_text_only() -> None:
    assert normal_forms("255", "text") == ["255"]


@pytest.mark.parametrize(
    ("policy", "asking"),
    [("every", [1, 2, 3]), ("first", [1]), ("last", [3]), ("none", [])],
)
def test_a_receipt_is_asked_for_on_the_segments_that_the_account_names(
    policy: str, asking: list[int]
) -> None:
    assert [n for n in (1, 2, 3) if asks_receipt(policy, number=n, total=3)] == asking
