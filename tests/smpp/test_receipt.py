"""Receipts: read what SMSCs write, raise nothing."""
# ruff: noqa: DTZ001  # the dates of a receipt name no zone

import struct
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smppgw.smpp import Receipt, parse_receipt
from smppgw.smpp.pdu import parse_tlvs
from smppgw.smpp.receipt import (
    _CANONICAL,
    STATES,
    _read_loosely,
    asks_receipt,
    normal_form,
    normal_forms,
)

CANONICAL = (
    b"id:0123456789 sub:001 dlvrd:001 submit date:2401021530 done date:2401021531"
    b" stat:DELIVRD err:000 text:Bonjour les gens"
)
WORDS = {*STATES.values(), "OTHER"}
NOTHING: Mapping[int, bytes] = {}
DONE = datetime(2024, 1, 2, 15, 31)
DONE_S = datetime(2024, 1, 2, 15, 31, 45)
UUID = "0e999f21-81ef-4974-a414-3de98174e3c7"
NUMBER, STATE, ERROR, PAYLOAD, OUTGOING_ID = 0x001E, 0x0427, 0x0423, 0x0424, 0x1401


class Told(NamedTuple):
    """What a receipt says."""

    message_id: str | None
    state: str
    raw_state: str | None
    error: str | None = None
    done_at: datetime | None = None
    text: str | None = None


class Dialect(NamedTuple):
    """Who writes it, how, and what it says."""

    source: str
    octets: bytes
    expected: Told
    tlvs: Mapping[int, bytes] = NOTHING
    esm_class: int = 4
    data_coding: int = 0


def packed(text: bytes) -> bytes:
    """Pack septets (3GPP TS 23.038, 6.1.2.1)."""
    bits = sum(septet << 7 * n for n, septet in enumerate(text))
    return bits.to_bytes((7 * len(text) + 7) // 8, "little")


def in_ucs2(text: bytes, byte_order: str = "be") -> bytes:
    return text.decode("latin-1").encode(f"utf-16-{byte_order}")


SHORT = b"id:7 stat:DELIVRD err:000"
DELIVERED = Told("7", "DELIVRD", "DELIVRD", "000")

# The octets have the shape that the source shows, or the words that it lists in the shape of
# appendix B; ids and dates are ours.
DIALECTS = [
    Dialect(
        "SMPP 3.4 issue 1.2, appendix B",
        b"id:0123456789 sub:001 dlvrd:001 submit date:2401021530 done date:2401021531"
        b" stat:DELIVRD err:000 Text:Bonjour",
        Told("0123456789", "DELIVRD", "DELIVRD", "000", DONE, "Bonjour"),
    ),
    Dialect(
        "Nexmo, How to read a Nexmo SMPP Delivery Receipt",
        b"id:0000000012345678 sub:001 dlvrd:001 submit date:2401021530 done date:2401021531"
        b" stat:DELIVRD err:000 text:none",
        Told("0000000012345678", "DELIVRD", "DELIVRD", "000", DONE, "none"),
    ),
    Dialect(
        "Vonage, SMPP delivery receipts: FAILED",
        b"id:2a1f0f1d sub:001 dlvrd:000 submit date:2401021530 done date:2401021531"
        b" stat:FAILED err:051 text:none",
        Told("2a1f0f1d", "UNDELIV", "FAILED", "051", DONE, "none"),
    ),
    Dialect(
        "LINK Mobility, SMSC SMPP User Guide 1.5: counts 000, empty text",
        b"id:e731049e9fc84e61 sub:000 dlvrd:000 submit date:2401021530 done date:2401021531"
        b" stat:DELIVRD err:000 text:",
        Told("e731049e9fc84e61", "DELIVRD", "DELIVRD", "000", DONE, ""),
    ),
    Dialect(
        "Infobip, SMPP specification: no text, ENROUTE in an ordinary receipt",
        b"id:44191696 sub:001 dlvrd:000 submit date:2401021530 done date:2401021531"
        b" stat:ENROUTE err:000",
        Told("44191696", "ENROUTE", "ENROUTE", "000", DONE),
    ),
    Dialect(
        "jookies/jasmin #70, Clickatell: seconds in dates",
        b"id:a29f6845555647139e5c8f3b817f2c9a sub:001 dlvrd:001 submit date:240102153001"
        b" done date:240102153145 stat:DELIVRD err:000 text:",
        Told("a29f6845555647139e5c8f3b817f2c9a", "DELIVRD", "DELIVRD", "000", DONE_S, ""),
    ),
    Dialect(
        "SMPPCenter, How to Read SMPP Delivery Receipt: a long decimal id",
        b"id:64567564356765435676 sub:001 dlvrd:001 submit date:240102153001"
        b" done date:240102153145 stat:DELIVRD err:000 text:Hello World",
        Told("64567564356765435676", "DELIVRD", "DELIVRD", "000", DONE_S, "Hello World"),
    ),
    Dialect(
        "CM.com, SMPP: neither sub nor dlvrd, the state told twice",
        b"id:5be9f816f19992a78c8e26442f8afa50 submit date:2401021530 done date:2401021531"
        b" stat:DELIVRD err:000",
        Told("5be9f816f19992a78c8e26442f8afa50", "DELIVRD", "2", "000", DONE),
        {STATE: b"\x02"},
    ),
    Dialect(
        "Telesign, SMS SMPP TLVs: err in hexadecimal, message_state 9 of SMPP 5.0",
        b"id:e9ca671b2497d778 sub:001 dlvrd:000 submit date:240102153001"
        b" done date:240102153145 stat:UNKNOWN err:4A6 text:",
        Told("e9ca671b2497d778", "UNKNOWN", "UNKNOWN", "4A6", DONE_S, ""),
        {NUMBER: b"e9ca671b2497d778\0", STATE: b"\x09"},
    ),
    Dialect(
        "smpp.org, SMPP delivery receipt: an id in no place",
        b"sub:001 dlvrd:001 submit date:2401021530 done date:2401021531 stat:DELIVRD err:000 text:",
        Told(None, "DELIVRD", "DELIVRD", "000", DONE, ""),
    ),
    Dialect(
        "opentelecoms-org/jsmpp #62: sub and dlvrd missing",
        b"id:1526758174 submit date:2401021530 done date:2401021531 stat:DELIVRD err:000"
        b" text:hellow",
        Told("1526758174", "DELIVRD", "DELIVRD", "000", DONE, "hellow"),
    ),
    Dialect(
        "twitter-archive/cloudhopper-smpp #105: sub empty",
        b"id:1526758174 sub: dlvrd:001 submit date:2401021530 done date:2401021531"
        b" stat:DELIVRD err:000 text:",
        Told("1526758174", "DELIVRD", "DELIVRD", "000", DONE, ""),
    ),
    Dialect(
        "uudashr/jsmpp #67: sub, dlvrd and text missing",
        b"id:0654354026 submit date:2401021530 done date:2401021531 stat:DELIVRD err:000",
        Told("0654354026", "DELIVRD", "DELIVRD", "000", DONE),
    ),
    Dialect(
        "jookies/jasmin #195 and #753: the century in 12 digits",
        b"id:c87c2273-7edb-4bc7-8d3a-7f57f21b625e submit date:202401021530"
        b" done date:201506201641 stat:DELIVRD err:000",
        Told(
            "c87c2273-7edb-4bc7-8d3a-7f57f21b625e",
            "DELIVRD",
            "DELIVRD",
            "000",
            datetime(2015, 6, 20, 16, 41),
        ),
    ),
    Dialect(
        "jookies/jasmin #447: FAILED, and a date of noughts",
        b"id:1216080510463401720 sub:001 dlvrd:001 submit date:2401021530 done date:0000000000"
        b" stat:FAILED err:002 Text:",
        Told("1216080510463401720", "UNDELIV", "FAILED", "002", None, ""),
    ),
    Dialect(
        "jookies/jasmin #643: an id in capitals without its nought",
        b"id:E999F21-81EF-4974-A414-3DE98174E3C7 sub:001 dlvrd:001 submit date:2401021530"
        b" done date:2401021531 stat:DELIVRD err:000 text:",
        Told("E999F21-81EF-4974-A414-3DE98174E3C7", "DELIVRD", "DELIVRD", "000", DONE, ""),
    ),
    Dialect(
        "jookies/jasmin #418: an id that names the part",
        b"id:SAR-2347000000475-1EEDF843-2-1 sub:001 dlvrd:000 submit date:2401021530"
        b" done date:2401021531 stat:UNDELIV err:011 text:",
        Told("SAR-2347000000475-1EEDF843-2-1", "UNDELIV", "UNDELIV", "011", DONE, ""),
    ),
    Dialect(
        "jookies/jasmin #916: ACCEPTD at once",
        b"id:1101C1-C9D03D-F000 sub:000 dlvrd:000 submit date:2401021530 done date:2401021531"
        b" stat:ACCEPTD err:000 text:",
        Told("1101C1-C9D03D-F000", "ACCEPTD", "ACCEPTD", "000", DONE, ""),
    ),
    Dialect(
        "jookies/jasmin #427, test_take_msgid_from_tlv_first: another id in the TLV",
        b"id:5000 submit date:2401021530 done date:2401021531 stat:DELIVRD err:000",
        Told("6000", "DELIVRD", "2", "000", DONE),
        {NUMBER: b"6000\0", STATE: b"\x02"},
    ),
    Dialect(
        "jookies/jasmin #224, Sicap MMG: id and number for text, the rest in TLVs",
        b"362d9701 2",
        Told("362d9701", "DELIVRD", "2"),
        {NUMBER: b"362d9701", STATE: b"\x02"},
    ),
    Dialect(
        "jookies/jasmin #92, Sicap MMG: TLVs alone",
        b"",
        Told("362d9701", "DELIVRD", "2"),
        {NUMBER: b"362d9701\0", STATE: b"\x02"},
    ),
    Dialect(
        "onlinecity/php-smpp #70: err of four digits, a network_error_code that says nothing",
        b"id:117062714244798261 sub:001 dlvrd:001 submit date:2401021530 done date:2401021531"
        b" stat:DELIVRD err:0000 text:H\x1bello world",
        Told("117062714244798261", "DELIVRD", "DELIVRD", "0000", DONE, "H\x1bello world"),
        {ERROR: b"\0\0\0", 0x1454: b"\0\0\0\0", 0x1418: b"\0\0\0\0"},
    ),
    Dialect(
        "onlinecity/php-smpp #29: a blank after the colon",
        b"id: 7 sub: 001 dlvrd: 001 submit date: 2401021530 done date: 2401021531 stat: UNDELIV"
        b" err: 0 text: hello",
        Told("7", "UNDELIV", "UNDELIV", "0", DONE, "hello"),
    ),
    Dialect(
        "linxGnu/gosmpp #124: one digit for err, a blank before the text",
        b"id:123A456B sub:1 dlvrd:1 submit date:2401021530 done date:2401021531 stat:DELIVRD"
        b" err:0 text: hello how are you there",
        Told("123A456B", "DELIVRD", "DELIVRD", "0", DONE, "hello how are you there"),
    ),
    Dialect(
        "funbox/smppex #46: dates as absolute times",
        b"id:rdwjwxns18krxr9936ey96ymcw sub:000 dlvrd:000 submit date:240102153003912+"
        b" done date:240102153145012+ stat:UNDELIV err:000",
        Told("rdwjwxns18krxr9936ey96ymcw", "UNDELIV", "UNDELIV", "000", DONE_S),
    ),
    Dialect(
        "an SMSC built with SMPPEX: dates with a blank in them, the state's long name, TEXT",
        b"id:1718000000123456789 sub:001 dlvrd:001 submit date:2024-01-02 15:30:01"
        b" done date:2024-01-02 15:31:45 stat:DELIVERED err:600 TEXT:",
        Told("1718000000123456789", "DELIVRD", "DELIVERED", "600", DONE_S, ""),
    ),
    Dialect(
        "jookies/jasmin #181: REJECTED",
        b"id:7 sub:001 dlvrd:000 err:001 stat:REJECTED",
        Told("7", "REJECTD", "REJECTED", "001"),
    ),
    Dialect(
        "praekeltfoundation/vumi #635: UCS2",
        in_ucs2(CANONICAL),
        Told("0123456789", "DELIVRD", "DELIVRD", "000", DONE, "Bonjour les gens"),
        data_coding=8,
    ),
    Dialect(
        "praekeltfoundation/vumi #216, Yo!: a digit for the state, which SMPP 5.0 calls SCHEDULED",
        b"id:7 sub:1 dlvrd:1 submit date:2401021530 done date:2401021531 stat:0 err:0"
        b" text:If a general electio",
        Told("7", "OTHER", "0", "0", DONE, "If a general electio"),
    ),
    Dialect(
        "praekeltfoundation/vumi #897, its test: dots for counts",
        b"id:foo sub:... dlvrd:... submit date:2401021530 done date:2401021531 stat:FAILED err:042"
        b" text:Meep",
        Told("foo", "UNDELIV", "FAILED", "042", DONE, "Meep"),
    ),
    Dialect(
        "praekeltfoundation/vumi #637: TLVs beside a text that is none",
        b"undeliverable",
        Told("foo", "UNDELIV", "5"),
        {NUMBER: b"foo\0", STATE: b"\x05"},
    ),
    Dialect(
        "farhadi/node-smpp #77: a count in dlvrd, Text of a USSD code",
        b"id:45013692 sub:0 dlvrd:28 submit date:2401021530 done date:2401021531 stat:UNDELIV"
        b" err:21 Text:*100#",
        Told("45013692", "UNDELIV", "UNDELIV", "21", DONE, "*100#"),
    ),
    Dialect(
        "farhadi/node-smpp #140: no done date yet, no id",
        b"message text:7 sub:001 dlvrd:0 submit date:2401021530 done date: stat:ACCEPTD err:000",
        Told(None, "ACCEPTD", "ACCEPTD", "000", None, "7"),
    ),
    Dialect(
        "Stack Overflow 8754853: each field on a line of its own",
        b"id:40072910491427628\nsub:001\ndlvrd:001\nsubmit date:2401021530 done\ndate:2401021531\n"
        b"stat:DELIVRD\nerr:000\n",
        Told("40072910491427628", "DELIVRD", "DELIVRD", "000", DONE),
    ),
    Dialect(
        "an HLR service behind Kannel: addresses before, network fields after",
        b"addr: 0 0 33600001234 addr: 0 0 0000000000 msg: id:40072910491427628 sub:001 dlvrd:001"
        b" submit date:2401021530 done date:2401021531 stat:UNDELIV err:001 IMSI: MSC: ORN:Net"
        b" MCCMNC:",
        Told("40072910491427628", "UNDELIV", "UNDELIV", "001", DONE),
    ),
    Dialect(
        "OpenMarket, Example deliver_sm request: submitdate, donedate of noughts, its own id",
        b"id:0118Z-0122I-2309U-57DGB sub:000 dlvrd:000 submitdate:240102153001"
        b" donedate:000000000000 stat:REJECTD err:375 text:",
        Told("0118Z-0122I-2309U-57DGB", "REJECTD", "REJECTD", "375", None, ""),
    ),
    Dialect(
        "an Indian carrier's receipts as a public database dump keeps them: all in capitals",
        b"ID:1 SUB:001 DLVRD:001 SUBMITDATE:2401021530 DONEDATE:2401021531 STAT:DELIVRD ERR:000"
        b" TEXT:NULL",
        Told("1", "DELIVRD", "DELIVRD", "000", DONE, "NULL"),
    ),
    Dialect(
        "CNGP and SMGP gateways of China Telecom: Submit_date, done_date, txt",
        b"id:1234567890 sub:123 dlvrd:001 Submit_date:2401021530 done_date:2401021531"
        b" stat:DELIVRD err:092 txt:002he",
        Told("1234567890", "DELIVRD", "DELIVRD", "092", DONE, "002he"),
    ),
    Dialect(
        "GatewayAPI, SMPP: the sender's own reference for text",
        b"id:1390125333 sub:001 dlvrd:000 submit date:2401021530 done date:2401021531"
        b" stat:UNDELIV err:019 text:user_message_reference",
        Told("1390125333", "UNDELIV", "UNDELIV", "019", DONE, "user_message_reference"),
    ),
    Dialect(
        "YCloud, SMPP: err 0 when delivered",
        b"id:11041301030001006668 sub:001 dlvrd:001 submit date:2401021530 done date:2401021531"
        b" stat:DELIVRD err:0 text:none",
        Told("11041301030001006668", "DELIVRD", "DELIVRD", "0", DONE, "none"),
    ),
    Dialect(
        "OVHcloud, SMPP Technical Specifications: receipted_message_id, outgoing_id, a PTT code",
        b"id:ab12cd34 sub:001 dlvrd:000 submit date:2401021530 done date:2401021531"
        b" stat:UNDELIV err:053 text:",
        Told("ab12cd34", "UNDELIV", "UNDELIV", "053", DONE, ""),
        {NUMBER: b"ab12cd34\0", OUTGOING_ID: b"9f0c77\0"},
    ),
    Dialect(
        "Kast, DR Format: id, state and error in TLVs",
        b"",
        Told("kast-1", "UNDELIV", "5", "503"),
        {NUMBER: b"kast-1\0", STATE: b"\x05", ERROR: b"\x03\x01\xf7"},
    ),
    Dialect(
        "Kannel, error_from_network_error_code: three digits instead of a number",
        SHORT,
        Told("7", "DELIVRD", "DELIVRD", "053"),
        {ERROR: b"053"},
    ),
    Dialect(
        "Kannel, handle_dlr: a buffered message",
        b"id:7 sub:001 dlvrd:000 submit date:2401021530 done date:2401021531 stat:BUFFRED err:000"
        b" text:",
        Told("7", "ENROUTE", "BUFFRED", "000", DONE, ""),
    ),
    Dialect(
        "Kannel, handle_pdu: esm_class 0x44 without a user data header",
        CANONICAL,
        Told("0123456789", "DELIVRD", "DELIVRD", "000", DONE, "Bonjour les gens"),
        esm_class=0x44,
    ),
    Dialect(
        "SMPP 3.4 issue 1.2, 5.2.12: esm_class 0x44 with one",
        bytes((5, 0, 3, 42, 2, 1)) + CANONICAL,
        Told("0123456789", "DELIVRD", "DELIVRD", "000", DONE, "Bonjour les gens"),
        esm_class=0x44,
    ),
    Dialect(
        "Route Mobile, SMPP Gateway Manual: what the network said",
        b"id:7 sub:001 dlvrd:000 submit date:2401021530 done date:2401021531 stat:ABSENT-SUB"
        b" err:010 text:",
        Told("7", "UNDELIV", "ABSENT-SUB", "010", DONE, ""),
    ),
    Dialect(
        "Kaleyra, SMS status codes: what the platform refused",
        b"id:7 sub:001 dlvrd:000 submit date:2401021530 done date:2401021531 stat:DNDNUMB err:408"
        b" text:",
        Told("7", "REJECTD", "DNDNUMB", "408", DONE, ""),
    ),
    Dialect(
        "SMSPortal, Delivery Statuses",
        b"id:7 sub:001 dlvrd:000 submit date:2401021530 done date:2401021531 stat:SUBMITD err:000",
        Told("7", "ENROUTE", "SUBMITD", "000", DONE),
    ),
    Dialect(
        "ClickSend, SMPP: states by number",
        b"id:7 sub:001 dlvrd:000 submit date:2401021530 done date:2401021531 stat:5 err:301",
        Told("7", "UNDELIV", "5", "301", DONE),
    ),
    Dialect(
        "Bandwidth, Send SMS with Delivery Receipts: err of its own",
        b"id:7 sub:001 dlvrd:000 submit date:2401021530 done date:2401021531 stat:REJECTD err:775",
        Told("7", "REJECTD", "REJECTD", "775", DONE),
    ),
    Dialect(
        "Restcomm, TelestaxDlrParser: blanks to the end",
        b"id:0000058049 sub:001 dlvrd:001 submit date:2401021530 done date:2401021531"
        b" stat:DELIVRD err:000 text:none                ",
        Told("0000058049", "DELIVRD", "DELIVRD", "000", DONE, "none"),
    ),
    Dialect(
        "jodd's PropertiesTest: a gateway's id before the SMSC's",
        b"ID:149994-11658328384691 STAT:Delivered id:28d2e34e sub:001 dlvrd:001"
        b" submit date:2401021530 done date:2401021531 err:000 text:12345678901234567890",
        Told(
            "149994-11658328384691",
            "DELIVRD",
            "Delivered",
            "000",
            DONE,
            "12345678901234567890",
        ),
    ),
    Dialect(
        "Kannel devel list, msg02229: commas and no names",
        b"00,2401021531,2401021530,,33600001234,10110200000000,we2345678i9o03er45ty67u",
        Told(None, "OTHER", None),
    ),
    # Shapes that no one document shows, each a small step from one that does.
    Dialect("ended by a NUL", SHORT + b"\0", DELIVERED),
    Dialect("UCS2 in the other byte order", in_ucs2(SHORT, "le"), DELIVERED, data_coding=8),
    Dialect("UCS2 with a byte order mark", b"\xfe\xff" + in_ucs2(SHORT), DELIVERED, data_coding=8),
    Dialect("UCS2 that is not announced", in_ucs2(SHORT), DELIVERED),
    Dialect("ASCII announced as UCS2", SHORT, DELIVERED, data_coding=8),
    Dialect(
        "canonical ASCII announced as UCS2",
        CANONICAL.split(b" text")[0],
        Told("0123456789", "DELIVRD", "DELIVRD", "000", DONE),
        data_coding=8,
    ),
    Dialect("packed septets", packed(SHORT), DELIVERED),
    Dialect("in message_payload", b"", DELIVERED, {PAYLOAD: SHORT}),
    Dialect("UCS2 in message_payload", b"", DELIVERED, {PAYLOAD: in_ucs2(SHORT)}, data_coding=8),
    Dialect("quoted values", b"""id:"7" stat:'DELIVRD' err:"000" """, DELIVERED),
    Dialect("quoted with a blank", b'id:"AB 7" stat:"DELIVRD"', Told("AB 7", "DELIVRD", "DELIVRD")),
    Dialect("JSON", b'{"message_id":"7","status":"DELIVRD","error_code":"000"}', DELIVERED),
    Dialect("equals signs and ampersands", b"msgid=7&state=DELIVRD&err=000", DELIVERED),
    Dialect("commas", b"id:7,stat:DELIVRD,err:000", DELIVERED),
    Dialect("blanks in number", b"id:7    stat:DELIVRD \t  err:000   ", DELIVERED),
    Dialect("shuffled", b"err:000 stat:DELIVRD id:7", DELIVERED),
    Dialect(
        "text in the middle",
        b"id:7 text:hi all stat:DELIVRD err:000",
        DELIVERED._replace(text="hi all"),
    ),
    Dialect(
        "text first", b"text:hi all id:7 stat:DELIVRD err:000", DELIVERED._replace(text="hi all")
    ),
    Dialect("lower case", b"id:7 stat:delivrd err:000", DELIVERED._replace(raw_state="delivrd")),
    Dialect("cut after the id", CANONICAL[:30], Told("0123456789", "OTHER", None)),
    Dialect("cut in the state", b"id:7 stat:DELI", Told("7", "OTHER", "DELI")),
    Dialect(
        "no value at all",
        b"id: sub: dlvrd: submit date: done date: stat: err: text:",
        Told(None, "OTHER", None, text=""),
    ),
    Dialect("letters in err", b"id:7 stat:UNDELIV err:E1F", Told("7", "UNDELIV", "UNDELIV", "E1F")),
    Dialect("message_state alone", b"", Told(None, "DELIVRD", "2"), {STATE: b"\x02"}),
    Dialect(
        "message_state beyond SMPP 3.4",
        b"",
        Told("7", "OTHER", "9"),
        {NUMBER: b"7\0", STATE: b"\x09"},
    ),
    Dialect("message_state of two octets", SHORT, DELIVERED, {STATE: b"\x05\0"}),
    Dialect("receipted_message_id empty", SHORT, DELIVERED, {NUMBER: b"\0"}),
    Dialect("vendor TLVs alone", b"", Told(None, "OTHER", None), {OUTGOING_ID: b"9f0c77\0"}),
]


@pytest.mark.parametrize("dialect", DIALECTS, ids=[dialect.source for dialect in DIALECTS])
def test_a_receipt_is_read_in_the_dialect_of(dialect: Dialect) -> None:
    receipt = parse_receipt(
        dialect.octets,
        esm_class=dialect.esm_class,
        data_coding=dialect.data_coding,
        tlvs=dict(dialect.tlvs),
    )
    assert receipt is not None
    told = (receipt.message_id, receipt.state, receipt.raw_state, receipt.error)
    assert (*told, receipt.done_at, receipt.text) == dialect.expected


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
    ("word", "state"),
    [
        *((word, word) for word in STATES.values()),
        *((str(number), word) for number, word in STATES.items()),
        ("DELIVERED", "DELIVRD"),
        ("UNDELIVERABLE", "UNDELIV"),
        ("EXPIRED", "EXPIRED"),
        ("Rejected", "REJECTD"),
        ("002", "DELIVRD"),
        ("SENT", "OTHER"),
        ("READ", "OTHER"),
        ("BLOCKED", "OTHER"),
        ("ABSENT", "OTHER"),
        ("DELIVRDX", "OTHER"),
        ("0", "OTHER"),
        ("9", "OTHER"),
        ("99999999999999999999", "OTHER"),
    ],
)
def test_a_word_with_one_meaning_is_understood_and_any_other_is_kept(word: str, state: str) -> None:
    for text in (b"id:7 stat:%s err:1", CANONICAL.replace(b"DELIVRD", b"%s")):
        receipt = parse_receipt(text % word.encode())
        assert receipt is not None
        assert (receipt.state, receipt.raw_state) == (state, word)


@pytest.mark.parametrize(
    ("octets", "esm_class", "data_coding", "raw"),
    [
        (CANONICAL, 0x04, 0, CANONICAL.decode()),
        (b"\x05\0\x03\x2a\x02\x01" + SHORT, 0x44, 0, SHORT.decode()),
        (b"\x05\0\x03" + SHORT, 0x04, 0, "\x05\0\x03" + SHORT.decode()),
        (b"\x05\0\x03", 0x44, 0, "\x05\0\x03"),  # no header fits in it
        (b"", 0x44, 0, ""),
        (in_ucs2(SHORT), 0x04, 8, SHORT.decode()),
        ("Remis à 15 h".encode("utf-16-be"), 0x04, 8, "Remis à 15 h"),
        ("Remis à 15 h".encode("latin-1"), 0x04, 0, "Remis à 15 h"),
    ],
)
def test_the_raw_text_stays_with_the_receipt(
    octets: bytes, esm_class: int, data_coding: int, raw: str
) -> None:
    receipt = parse_receipt(octets, esm_class=esm_class, data_coding=data_coding)
    assert receipt is not None
    assert receipt.raw == raw


def test_the_text_of_the_message_cannot_pass_for_a_field() -> None:
    receipt = parse_receipt(CANONICAL.replace(b"Bonjour les gens", b"id:9 stat:UNDELIV err:9"))
    assert receipt is not None
    assert (receipt.message_id, receipt.state, receipt.error) == ("0123456789", "DELIVRD", "000")
    loose = parse_receipt(b"stat:DELIVRD id:1 text:id:9 stat:UNDELIV")
    assert loose is not None
    assert (loose.message_id, loose.state) == ("1", "DELIVRD")
    nameless = parse_receipt(b"stat:DELIVRD err:000 text:id:9 votre bon")
    assert nameless is not None
    assert (nameless.message_id, nameless.text) == (None, "id:9 votre bon")


def test_tlvs_win_over_the_text() -> None:
    tlvs = {0x001E: b"abc\0", 0x0427: b"\x05", 0x0423: b"\x03\x00\x35"}
    for text in (CANONICAL, CANONICAL[:-20]):
        receipt = parse_receipt(text, tlvs=tlvs)
        assert receipt is not None
        assert (receipt.message_id, receipt.state, receipt.error) == ("abc", "UNDELIV", "53")
        assert receipt.done_at == DONE


def test_tlvs_are_read_as_the_body_of_a_deliver_sm_has_them() -> None:
    octets = b"".join(
        struct.pack(">HH", tag, len(value)) + value
        for tag, value in ((OUTGOING_ID, b"9f\0"), (NUMBER, b"abc\0"), (STATE, b"\x02"))
    )
    receipt = parse_receipt(b"", tlvs=parse_tlvs(octets))
    assert receipt is not None
    assert (receipt.message_id, receipt.state) == ("abc", "DELIVRD")


@pytest.mark.parametrize("esm_class", [0x00, 0x01, 0x03, 0x08, 0x10, 0x18, 0x40, 0x80, 0xC0])
def test_what_a_phone_sends_is_no_receipt_whatever_it_says(esm_class: int) -> None:
    assert parse_receipt(CANONICAL, esm_class=esm_class) is None
    assert parse_receipt(CANONICAL, esm_class=esm_class, tlvs={STATE: b"\x02"}) is None


@pytest.mark.parametrize("esm_class", [0x04, 0x05, 0x06, 0x07, 0x20, 0x24, 0x44, 0x84, 0xC7])
def test_what_esm_class_calls_a_receipt_is_one_even_where_nothing_can_be_read(
    esm_class: int,
) -> None:
    receipt = parse_receipt(b"STOP", esm_class=esm_class)
    assert receipt is not None
    assert receipt[:6] == (None, "OTHER", None, None, None, "STOP")
    assert not receipt.final


def test_an_account_that_marks_its_receipts_as_texts_can_be_read_too() -> None:
    receipt = parse_receipt(CANONICAL, esm_class=0, any_esm_class=True)
    assert receipt is not None
    assert receipt.state == "DELIVRD"
    in_tlvs = parse_receipt(
        b"", esm_class=0, tlvs={NUMBER: b"7\0", STATE: b"\x02"}, any_esm_class=True
    )
    assert in_tlvs is not None
    assert (in_tlvs.message_id, in_tlvs.state) == ("7", "DELIVRD")
    for text in (b"Merci !", b"id: 12, rue du Port", b"STOP", b"stat: rien", b""):
        assert parse_receipt(text, esm_class=0, any_esm_class=True) is None


@pytest.mark.parametrize(
    ("word", "in_receipt", "in_notification"),
    [
        ("DELIVRD", True, True),
        ("EXPIRED", True, True),
        ("DELETED", True, True),
        ("REJECTD", True, True),
        ("UNDELIV", True, False),
        ("UNKNOWN", True, False),
        ("ENROUTE", False, False),
        ("ACCEPTD", False, False),
        ("NONSENS", False, False),
    ],
)
def test_a_failed_attempt_told_by_a_notification_is_not_the_end(
    word: str, in_receipt: bool, in_notification: bool
) -> None:
    for text in (CANONICAL.replace(b"DELIVRD", word.encode()), b"id:7 stat:" + word.encode()):
        for esm_class, final in ((0x04, in_receipt), (0x20, in_notification)):
            receipt = parse_receipt(text, esm_class=esm_class)
            assert receipt is not None
            assert (receipt.raw_state, receipt.final) == (word, final)
            assert receipt.notification == (esm_class == 0x20)


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        (b"201201021530", None),  # 2012-01-02 15:30, or 2020-12-01 02:15:30?
        (b"20240102153045", datetime(2024, 1, 2, 15, 30, 45)),
        (b"991231235959", datetime(1999, 12, 31, 23, 59, 59)),
        (b"2402301530", None),  # there is no 30 February
        (b"240230153000", None),
        (b"24010215", None),
        (b"240102153003912-", datetime(2024, 1, 2, 15, 30, 3)),
        (b"000000000100000R", None),  # a time from now
        (b"2024-01-02T15:30:45", datetime(2024, 1, 2, 15, 30, 45)),
        (b"2024-01-02T15:30:45+01:00", datetime(2024, 1, 2, 15, 30, 45)),
        (b"2024-01-02T15:30:99", None),
        (b"1704209445", datetime(2024, 1, 2, 15, 30, 45)),  # no date of appendix B: 58 o'clock
        (b"9999999999", None),
        (b"0000000000", None),
        (b"\xb2\xb340102153", None),  # digits for str.isdigit() only
        (b"soon", None),
    ],
)
def test_a_date_is_read_only_where_it_has_one_reading(
    date: bytes, expected: datetime | None
) -> None:
    receipt = parse_receipt(b"id:1 done date:" + date + b" stat:DELIVRD")
    assert receipt is not None
    assert receipt.done_at == expected
    assert receipt.submitted_at is None


latin = st.characters(max_codepoint=255)
blank_or_word = st.sampled_from([b" ", b":", b"id:", b"stat:", b"text:", b'"', b"\0", b"date", b""])


@given(st.from_regex(_CANONICAL, fullmatch=True, alphabet=latin), st.sampled_from([4, 0x20]))
@example("id:message sub:err dlvrd:submit submit date:done done date:message stat:ERR err:text", 4)
@example("id:id:5 sub:1 dlvrd:1 submit date:stat:X done date: stat:DELIVRD err:000", 4)
@example(CANONICAL.decode() + " id:9 stat:UNDELIV submit date:1 sub:2", 4)
def test_the_two_readers_agree_on_every_canonical_text(text: str, esm_class: int) -> None:
    octets = text.encode("latin-1")
    assert parse_receipt(octets, esm_class=esm_class) == _read_loosely(octets, 0, esm_class == 0x20)


def swallow(octets: bytes, **how: Any) -> None:
    receipt = parse_receipt(octets, **how)
    assert receipt is None or (type(receipt) is Receipt and receipt.state in WORDS)
    if receipt is not None:
        for date in (receipt.submitted_at, receipt.done_at):
            assert date is None or (type(date) is datetime and date.tzinfo is None)
        assert isinstance(receipt.final, bool)
        assert receipt.message_id != ""


@given(
    st.binary(max_size=300),
    st.integers(0, 255),
    st.sampled_from([0, 1, 3, 4, 8, 0x18, 255]),
    st.dictionaries(
        st.sampled_from([NUMBER, PAYLOAD, ERROR, STATE, OUTGOING_ID]), st.binary(max_size=9)
    ),
    st.booleans(),
)
def test_nothing_that_an_smsc_can_write_raises(
    text: bytes, esm_class: int, data_coding: int, tlvs: dict[int, bytes], any_esm_class: bool
) -> None:
    how = {
        "esm_class": esm_class,
        "data_coding": data_coding,
        "tlvs": tlvs,
        "any_esm_class": any_esm_class,
    }
    for octets in (text, b"id:" + text, CANONICAL[: len(text) % 120] + text):
        swallow(octets, **how)
    swallow(b"", **(how | {"tlvs": tlvs | {PAYLOAD: text}}))


@given(st.data(), st.sampled_from([4, 0x20, 0x44]), st.sampled_from([0, 8]))
def test_a_canonical_text_with_faults_in_it_is_read_as_far_as_it_goes(
    data: st.DataObject, esm_class: int, data_coding: int
) -> None:
    octets = bytearray(CANONICAL)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(octets)))
        match data.draw(st.sampled_from(["deletion", "insertion", "swap", "cut"])):
            case "deletion":
                del octets[at : at + data.draw(st.integers(1, 9))]
            case "insertion":
                octets[at:at] = data.draw(st.binary(max_size=4) | blank_or_word)
            case "swap":
                octets[at : at + 2] = octets[at : at + 2][::-1]
            case _:
                del octets[max(at, 1) :]
    swallow(bytes(octets), esm_class=esm_class, data_coding=data_coding)


@pytest.mark.parametrize(
    ("dialect", "receipt_id", "response_id"),
    [
        ("auto", "0E99AB", "e99ab"),
        ("auto", UUID.upper().removeprefix("0"), UUID),
        ("auto", "255", "ff"),
        ("auto", "FF", "255"),
        ("auto", "9308878062554710043", "812FC7470000001B"),
        ("auto", "0xFF", "ff"),
        ("auto", "0x0FF", "255"),
        ("auto", " 255 ", "ff"),
        ("auto", " AB 12 ", " ab 12 "),
        ("auto", "\xc9A", "\xc9a"),
        ("hex", "0xFF", "00ff"),
        ("hex-then-decimal", "255", "00FF"),
        ("hex-then-decimal", UUID, UUID),
        ("text", "00AbC", "abc"),
        ("decimal", "000255", "255"),
    ],
)
def test_an_id_is_recognised_in_the_forms_that_smscs_give_it(
    dialect: str, receipt_id: str, response_id: str
) -> None:
    assert normal_form(response_id) in normal_forms(receipt_id, dialect).values()


@pytest.mark.parametrize(
    ("receipt_id", "dialect", "forms"),
    [
        ("255", "text", ["255"]),
        ("255", "decimal", ["255"]),
        ("255", "hex", ["255"]),
        ("255", "auto", ["255", "ff", "597"]),
        ("255", "hex-then-decimal", ["ff"]),
        ("0x255", "auto", ["x255", "255", "597"]),
        ("ff", "auto", ["ff", "255"]),
        (UUID, "auto", [UUID.removeprefix("0")]),
        ("12 34", "auto", ["12 34"]),
        ("", "auto", [""]),
        ("0", "auto", [""]),
        ("٣٤", "auto", ["٣٤"]),  # digits, but nobody's
        ("É", "auto", ["É"]),  # SQLite's lower() leaves it, too
    ],
)
def test_an_id_is_compared_in_no_form_that_its_account_excludes(
    receipt_id: str, dialect: str, forms: list[str]
) -> None:
    assert list(normal_forms(receipt_id, dialect).values()) == forms


@given(st.text(latin, max_size=80), st.sampled_from(["auto", "hex", "hex-then-decimal", "text"]))
@example("9" * 5000, "auto")
@example("9" * 5000, "hex-then-decimal")
@example("f" * 5000, "auto")
@example("0x" + "f" * 5000, "auto")
def test_no_id_is_too_odd_to_be_compared(message_id: str, dialect: str) -> None:
    forms = list(normal_forms(message_id, dialect).values())
    assert forms
    assert len(set(forms)) == len(forms)
    if dialect != "hex-then-decimal":
        assert forms[0] == normal_form(message_id)


@pytest.mark.parametrize(
    ("policy", "asking"),
    [("every", [1, 2, 3]), ("first", [1]), ("last", [3]), ("none", [])],
)
def test_a_receipt_is_asked_for_on_the_segments_that_the_account_names(
    policy: str, asking: list[int]
) -> None:
    assert [n for n in (1, 2, 3) if asks_receipt(policy, number=n, total=3)] == asking
