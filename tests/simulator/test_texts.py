"""What phones write."""

import re

import pytest
import smpp34
from hypothesis import given
from hypothesis import strategies as st

from smppgw.errors import InputError
from smppgw.simulator import codec
from smppgw.simulator.texts import LONG_TEXTS, write_text


def read(text: str, long_text: str = "udh-8", reference: int = 300) -> list[smpp34.DeliverSm]:
    """Write a text as a phone does, and read it as smpp34 does."""
    bodies = write_text("33600000001", "36111", text, long_text=long_text, reference=reference)
    pdus = [smpp34.decode(codec.encode_deliveries(1, [body])) for body in bodies]
    return [pdu for pdu in pdus if isinstance(pdu, smpp34.DeliverSm)]


@pytest.mark.parametrize("long_text", LONG_TEXTS)
@pytest.mark.parametrize(
    ("text", "data_coding", "octets"),
    [("x" * 160, 0, b"x" * 160), ("é" * 70, 8, "é".encode("utf-16-be") * 70)],
)
def test_a_text_that_fits_one_sms_has_no_segments(
    text: str, data_coding: int, octets: bytes, long_text: str
) -> None:
    [only] = read(text, long_text)
    assert (only.esm_class, only.data_coding, only.tlvs) == (0, data_coding, [])
    assert only.short_message == octets


@pytest.mark.parametrize(("long_text", "header"), [("udh-8", 6), ("udh-16", 7), ("sar", 0)])
@given(text=st.text("é🌊x", min_size=71, max_size=400))
def test_segments_put_together_are_the_text_and_none_cuts_a_surrogate_pair(
    long_text: str, header: int, text: str
) -> None:
    parts = read(text + "é", long_text)
    pieces = [part.short_message[header:].decode("utf-16-be") for part in parts]
    assert "".join(pieces) == text + "é"
    assert len(parts) > 1
    assert max(len(part.short_message) for part in parts) <= 140


@pytest.mark.parametrize(
    ("long_text", "tie"),
    [("udh-8", b"\x05\0\x03\x2c\x02\x02"), ("udh-16", b"\x06\x08\x04\x01\x2c\x02\x02")],
)
def test_the_reference_takes_the_octets_that_its_header_has(long_text: str, tie: bytes) -> None:
    first, last = read("x" * 161, long_text)
    assert last.short_message.startswith(tie)
    assert len(first.short_message) - len(tie) == 160 - (len(tie) * 8 + 6) // 7


def test_a_text_of_more_segments_than_a_phone_can_send_is_refused() -> None:
    assert len(read("x" * 153 * 255)) == 255
    with pytest.raises(InputError, match=re.escape("256 segments")):
        read("x" * (153 * 255 + 1))
