"""A job's text in the submit_sm of an account, read by a codec that is not the gateway's."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smppgw.config import Smsc
from smppgw.ledger.claim import Claim, JobText
from smppgw.render import Renderer, addresses_for
from smppgw.simulator import codec
from smppgw.sms import compose
from smppgw.sms.alphabet import decode_gsm

PHONE = "+33600000017"
EXPIRES_AT = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
SHORT = "Coupure d'eau rue de l'Été"
LONG = "Alerte crue : gagnez les étages, n'allez pas chercher vos enfants à l'école. " * 5
HEADER_OCTETS = 6  # of the user data header


def smsc(**keys: Any) -> Smsc:
    table = {"name": "operator", "host": "127.0.0.1", "system_id": "syndic", **keys}
    return Smsc.model_validate(table)


def job(text: str, job_id: int = 1, *, flash: bool = False, sender: str = "STMARTIN") -> JobText:
    return JobText(
        job_id=job_id,
        job_class="service",
        ready_at=0,
        sender=sender,
        text=text,
        rewrite="keep",
        flash=flash,
        expires_at=int(EXPIRES_AT.timestamp() * 1000),
    )


def claim(
    total: int,
    *numbers: int,
    job_id: int = 1,
    phone: str = PHONE,
    fields: dict[str, str] | None = None,
) -> Claim:
    return Claim(
        job_id=job_id,
        message_id=job_id << 32 | 1,
        recipient=phone,
        fields=None if fields is None else json.dumps(fields),
        total=total,
        attempt=0,
        numbers=numbers or tuple(range(1, total + 1)),
    )


def rendered(text: str, total: int = 1, *, renderer: Renderer | None = None, **keys: Any) -> Any:
    """Return the fields of each submit_sm of one message."""
    options = {key: keys.pop(key) for key in ("flash", "sender", "job_id") if key in keys}
    renderer = renderer or Renderer(smsc(**keys))
    submits = renderer.submits(claim(total, job_id=options.get("job_id", 1)), job(text, **options))
    pdus = [one.template.encode(7, one.destination, one.reference) for one in submits]
    return [codec.decode(pdu).fields for pdu in pdus]


def unpacked(octets: bytes, skipped_bits: int) -> str:
    """Read septets bit by bit, lowest first (3GPP TS 23.038, 6.1.2.1)."""
    bits = [octet >> place & 1 for octet in octets for place in range(8)][skipped_bits:]
    septets = [
        sum(bit << place for place, bit in enumerate(bits[at : at + 7]))
        for at in range(0, len(bits) - 6, 7)
    ]
    return decode_gsm(bytes(septets))


# Long texts


def test_segments_are_tied_by_a_user_data_header() -> None:
    one, two, three = rendered(LONG, 3)
    for number, fields in enumerate((one, two, three), 1):
        header, body = (
            fields["short_message"][:HEADER_OCTETS],
            fields["short_message"][HEADER_OCTETS:],
        )
        assert (header[:3], header[4:]) == (b"\x05\0\x03", bytes((3, number)))
        assert fields["esm_class"] == 0x40
        assert fields["tlvs"] == {}
        assert len(body) <= 153
    assert one["short_message"][3] == two["short_message"][3] == three["short_message"][3]
    text = b"".join(fields["short_message"][HEADER_OCTETS:] for fields in (one, two, three))
    assert decode_gsm(text) == LONG


def test_segments_are_tied_by_sar_tlvs_where_the_account_wants_them() -> None:
    segments = rendered(LONG, 3, long_text="sar")
    assert [fields["esm_class"] for fields in segments] == [0, 0, 0]
    references = {fields["tlvs"][codec.TLV_SAR_MSG_REF_NUM] for fields in segments}
    assert len(references) == 1
    assert len(references.pop()) == 2
    assert [fields["tlvs"][codec.TLV_SAR_TOTAL_SEGMENTS] for fields in segments] == [b"\x03"] * 3
    numbers = [fields["tlvs"][codec.TLV_SAR_SEGMENT_SEQNUM] for fields in segments]
    assert numbers == [b"\x01", b"\x02", b"\x03"]
    assert decode_gsm(b"".join(fields["short_message"] for fields in segments)) == LONG


def test_a_long_text_is_one_payload_where_the_account_wants_it() -> None:
    (fields,) = rendered(LONG, long_text="payload")
    assert fields["short_message"] == b""
    assert (fields["esm_class"], fields["registered_delivery"]) == (0, 1)
    assert decode_gsm(fields["tlvs"][codec.TLV_MESSAGE_PAYLOAD]) == LONG
    (short,) = rendered(SHORT, long_text="payload")
    assert decode_gsm(short["short_message"]) == SHORT  # which needs none
    assert short["tlvs"] == {}


def test_a_message_that_is_taken_up_again_goes_on_under_its_reference() -> None:
    begun = Renderer(smsc()).submits(claim(3, 1), job(LONG))
    rest = Renderer(smsc()).submits(claim(3, 2, 3), job(LONG))  # as after a restart
    assert len({one.reference for one in begun + rest}) == 1
    assert [one.segment_id & 0xFF for one in begun + rest] == [1, 2, 3]


@pytest.mark.parametrize("long_text", ["udh", "sar"])
def test_successive_texts_to_one_phone_have_other_references(long_text: str) -> None:
    renderer = Renderer(smsc(long_text=long_text))
    references = [
        renderer.submits(claim(3, job_id=job_id), job(LONG, job_id))[0].reference
        for job_id in range(1, 257)
    ]
    assert len(set(references)) == 256


# Alphabets


@given(
    text=st.text(st.sampled_from("abcé à@€[]~^ÄñΔ\n0"), min_size=1, max_size=400),
    long_text=st.sampled_from(["udh", "sar"]),
)
@example(text="é€a" * 100, long_text="udh")
@example(text="é€a" * 100, long_text="sar")
def test_packed_septets_are_read_back_by_a_reader_of_bits(text: str, long_text: str) -> None:
    composed = compose(text)
    total = len(composed.segments)
    read = ""
    for fields, septets in zip(
        rendered(text, total, alphabet="gsm7-packed", long_text=long_text),
        composed.segments,
        strict=True,
    ):
        octets, skipped_bits = fields["short_message"], 0
        if total > 1 and long_text == "udh":
            octets, skipped_bits = octets[HEADER_OCTETS:], 1  # 48 bits are one short of 7 septets
        assert len(fields["short_message"]) <= 140
        part = unpacked(octets, skipped_bits)
        # With seven bits to spare a reader of octets sees one @ too many.
        read += part[: len(decode_gsm(septets))]
        assert part[len(decode_gsm(septets)) :] in ("", "@")
    assert read == composed.text


def test_what_fills_140_octets_packed_is_160_characters() -> None:
    (fields,) = rendered("a" * 160, alphabet="gsm7-packed")
    assert len(fields["short_message"]) == 140
    first, _ = rendered("a" * 161, 2, alphabet="gsm7-packed")
    assert len(first["short_message"]) == 140


def test_a_latin_1_account_gets_latin_1_and_as_many_segments() -> None:
    (fields,) = rendered("Écluse fermée [nord]", alphabet="latin1")
    assert fields["data_coding"] == 0
    assert fields["short_message"] == "Écluse fermée [nord]".encode("latin-1")
    text = "é[" * 110  # 3 septets each, 2 characters
    segments = rendered(text, len(compose(text, latin1=True).segments), alphabet="latin1")
    joined = b"".join(fields["short_message"][HEADER_OCTETS:] for fields in segments)
    assert joined == text.encode("latin-1")
    assert len(segments) == len(compose(text).segments) == 3


def test_what_latin_1_lacks_is_ucs2_on_a_latin_1_account() -> None:
    (fields,) = rendered("10 €", alphabet="latin1")
    assert fields["data_coding"] == 8
    assert fields["short_message"] == "10 €".encode("utf-16-be")
    (fields,) = rendered("10 €", alphabet="gsm7")
    assert (fields["data_coding"], fields["short_message"]) == (0, b"10 \x1be")


@pytest.mark.parametrize(
    ("text", "flash", "data_coding"),
    [(SHORT, False, 0x00), (SHORT, True, 0x10), ("Fête", False, 0x08), ("Fête", True, 0x18)],
)
def test_a_flash_text_has_message_class_0(text: str, flash: bool, data_coding: int) -> None:
    (fields,) = rendered(text, flash=flash)
    assert fields["data_coding"] == data_coding


# The rest of a submit_sm


def test_the_smsc_gives_up_when_the_job_does() -> None:
    (fields,) = rendered(SHORT)
    assert fields["validity_period"] == "310203040506000+"
    (fields,) = rendered(SHORT, validity_period=False)
    assert fields["validity_period"] == ""


@pytest.mark.parametrize(
    ("receipts", "asked"),
    [("every", [1, 1, 1]), ("first", [1, 0, 0]), ("last", [0, 0, 1]), ("none", [0, 0, 0])],
)
def test_receipts_are_asked_for_as_the_account_says(receipts: str, asked: list[int]) -> None:
    segments = rendered(LONG, 3, receipts=receipts)
    assert [fields["registered_delivery"] for fields in segments] == asked
    (single,) = rendered(SHORT, receipts=receipts)
    assert single["registered_delivery"] == (receipts != "none")


@pytest.mark.parametrize(
    ("sender", "written", "ton", "npi"),
    [
        ("STMARTIN", "STMARTIN", 5, 0),  # a name
        ("3615SMS", "3615SMS", 5, 0),
        ("36111", "36111", 3, 0),  # a short code
        ("+33600000017", "33600000017", 1, 1),
    ],
)
def test_ton_and_npi_follow_from_the_address(sender: str, written: str, ton: int, npi: int) -> None:
    (fields,) = rendered(SHORT, sender=sender)
    source = (fields["source_addr"], fields["source_addr_ton"], fields["source_addr_npi"])
    assert source == (written, ton, npi)
    destination = tuple(
        fields[name] for name in ("destination_addr", "dest_addr_ton", "dest_addr_npi")
    )
    assert destination == ("33600000017", 1, 1)


def test_an_account_may_fix_ton_and_npi() -> None:
    fixed = smsc(source_ton=0, source_npi=9, dest_ton=2, dest_npi=0)
    assert tuple(addresses_for("STMARTIN", fixed)) == ("STMARTIN", 0, 9, 2, 0)
    assert tuple(addresses_for("36111", smsc(dest_npi=0)))[3:] == (1, 0)


# Templates


def test_a_personal_text_is_made_for_each_and_a_common_one_once() -> None:
    renderer = Renderer(smsc())
    personal = job("Bonjour {nom}")
    first, second = (
        renderer.submits(claim(1, fields={"nom": name}), personal)[0] for name in ("Luc", "Zoé")
    )
    texts = [
        codec.decode(one.template.encode(1, one.destination, 0)).fields["short_message"]
        for one in (first, second)
    ]
    assert [decode_gsm(text) for text in texts] == ["Bonjour Luc", "Bonjour Zoé"]
    common = job(SHORT, 2)
    assert (
        renderer.submits(claim(1, job_id=2), common)[0].template
        is renderer.submits(claim(1, job_id=2), common)[0].template
    )


def test_more_jobs_than_are_kept_are_all_rendered_as_their_own() -> None:
    renderer = Renderer(smsc())
    for _ in range(2):
        for job_id in range(1, 300):
            (fields,) = rendered(f"Texte {job_id}", renderer=renderer, job_id=job_id)
            assert fields["short_message"] == f"Texte {job_id}".encode()
