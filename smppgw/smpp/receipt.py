"""deliver_sm → Receipt: esm_class says what it is, TLVs what became of it, then the text.

A receipt's text is a habit, not a standard (SMPP 3.4 issue 1.2, appendix B, calls it SMSC vendor
specific), so reading is forgiving: fields in any order and any case, missing, cut short, unknown,
in UCS2 of either byte order or in packed septets, whatever data_coding says. What cannot be read is
None; nothing is ever raised, and the raw text stays with the receipt.

The canonical text is read by one regular expression, everything else field by field; the two are
held equal by tests. Dates are only read when asked for: the gateway goes by its own clock.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from smppgw.smpp.pdu import ESM_CLASS_UDHI, MESSAGE_PAYLOAD

RECEIPTED_MESSAGE_ID = 0x001E  # SMPP 3.4 issue 1.2, 5.3.2.12
NETWORK_ERROR_CODE = 0x0423  # 5.3.2.31
MESSAGE_STATE = 0x0427  # 5.3.2.35

# 5.2.12: bits 5 to 2 of esm_class tell what a deliver_sm is. 0x08 and 0x10 are what a phone
# acknowledges; they say nothing about a message_id. SMPP 5.0, 4.7.12, reads bits 2 and 5 apart, so
# that both may be set.
_ESM_TYPE = 0x3C
_ESM_NOTIFICATION = 0x20
_ESM_RECEIPTS = frozenset({0x04, _ESM_NOTIFICATION, 0x04 | _ESM_NOTIFICATION})

# 5.2.28 in numbers, appendix B in words.
STATES = {
    1: "ENROUTE",
    2: "DELIVRD",
    3: "EXPIRED",
    4: "DELETED",
    5: "UNDELIV",
    6: "ACCEPTD",
    7: "UNKNOWN",
    8: "REJECTD",
}
_NOT_FINAL = frozenset({"ENROUTE", "ACCEPTD", "OTHER"})
# The outcome of one attempt, of a message that the SMSC may still hold: SMPP 5.0, 4.3.5.3.
_NOT_FINAL_IN_NOTIFICATION = _NOT_FINAL | {"UNDELIV", "UNKNOWN"}

# What operators write for these states, as far as a word has one meaning; READ, SENT, BLOCKED or
# ABSENT have none that a document of an SMPP operator gives, and stay OTHER.
_SPELLINGS = {
    # Appendix B, and the numbers of 5.2.28 in its place (ClickSend, "SMPP").
    **{word: word for word in STATES.values()},
    **{str(number): word for number, word in STATES.items()},
    # The names of 5.2.28, unshortened (jookies/jasmin #181); SCHEDULED by SMPP 5.0, 4.7.15, which
    # says that 3.4 calls it ENROUTE.
    "DELIVERED": "DELIVRD",
    "UNDELIVERABLE": "UNDELIV",
    "ACCEPTED": "ACCEPTD",
    "REJECTED": "REJECTD",
    "SCHEDULED": "ENROUTE",
    # The same, shortened or spelled in ways that leave one reading.
    "DELIVERD": "DELIVRD",
    "DELIVRED": "DELIVRD",
    "UNDELIVERED": "UNDELIV",
    "UNDELIVRD": "UNDELIV",
    "EN_ROUTE": "ENROUTE",
    # Kannel, gw/smsc/smsc_smpp.c, handle_dlr: held by the SMSC.
    "ACKED": "ACCEPTD",
    "BUFFERD": "ENROUTE",
    "BUFFRED": "ENROUTE",
    # Vonage, "SMPP delivery receipts"; Route Mobile and Kaleyra, as below.
    "FAILED": "UNDELIV",
    # Shreeweb, "Message status explanation": awaiting the acknowledgement of delivery.
    "ENQUEUE": "ENROUTE",
    # Ozeki, "SMPP error codes": refused by the operator's SMSC at once.
    "NACK": "REJECTD",
    # SMSPortal, "Delivery Statuses".
    "SUBMITD": "ENROUTE",
    "STAGED": "ENROUTE",
    "CANCELLED": "DELETED",
    "BLIST": "REJECTD",
    "NOROUTE": "UNDELIV",
    # Route Mobile, "SMPP Gateway Manual", Delivery Reports, and Kaleyra, "SMS status codes": what
    # the network said …
    "INVALID-SUB": "UNDELIV",
    "ABSENT-SUB": "UNDELIV",
    "HANDSET-ERR": "UNDELIV",
    "HANDSET-BUSY": "UNDELIV",
    "MEMEXEC": "UNDELIV",
    "MOB-OFF": "UNDELIV",
    "NET-ERR": "UNDELIV",
    "BARRED": "UNDELIV",
    "SERIES-BLK": "UNDELIV",
    # … and what the platform refused to send.
    "SERIES-BLOCK": "REJECTD",
    "NO-CREDITS": "REJECTD",
    "SERVER-ERR": "REJECTD",
    "INV-NUMBER": "REJECTD",
    "INV-SENDER": "REJECTD",
    "INV-TEMPLATE": "REJECTD",
    "SPAM": "REJECTD",
    "DNDNUMB": "REJECTD",
    "BLACKLST": "REJECTD",
    "BLACKLIST": "REJECTD",
    "NOT-OPTIN": "REJECTD",
    "OPTOUT-REJ": "REJECTD",
    "PROMO-TMOUT": "REJECTD",
    "NOTALLOWED": "REJECTD",
    "DUPLICATE": "REJECTD",
}

# A value of the canonical text: what ends or wraps a value elsewhere is left to the loose reader.
_PLAIN = r"""[^\s:=,;&|"'\0]"""
_CANONICAL = re.compile(
    rf"id:({_PLAIN}+) sub:{_PLAIN}* dlvrd:{_PLAIN}* submit date:({_PLAIN}*)"
    rf" done date:({_PLAIN}*) stat:([A-Z]+) err:({_PLAIN}*)(?: [Tt]ext:(.*))?",
    re.DOTALL | re.ASCII,
)
_NAMES = (
    r"(?:(?:message|msg)[_-]?)?id|sub|dlvrd|submit[\s_-]*date|done[\s_-]*date"
    r"|(?:message[_-]?)?stat(?:e|us)?|err(?:or)?(?:[\s_-]*code)?"
)
_TEXT_NAME = r"te?xt"
# After the colon: no value where the next field begins; else quoted, or a date with a space in it,
# or up to a blank or a separator.
_FIELD = re.compile(
    rf"""\b(?:(?P<name>{_NAMES})["']?\s*[:=]\s*(?!(?:{_NAMES}|{_TEXT_NAME})\s*[:=])"""
    r"""(?P<value>"[^"]*"|'[^']*'|\d{4}-\d\d-\d\d\ [\d:.]+|[^\s,;&|]*)"""
    rf"""|(?P<text>{_TEXT_NAME})["']?\s*[:=](?P<rest>.*))""",
    re.IGNORECASE | re.DOTALL | re.ASCII,
)
_WRAPPING = "\"'\0"
_BLANK = " \t\r\n\0"
UCS2_CODINGS = frozenset({0x08, 0x18})  # 5.2.19; 0x18 is UCS2 shown at once (3GPP TS 23.038, 4)
_LONGEST_UDH = 0x1F  # no header is longer, and no receipt begins with a control character
_PACKED_OCTETS_LIMIT = 255  # a short_message


class Receipt(NamedTuple):
    """What became of one segment, as the SMSC tells it.

    Attributes:
        message_id: the SMSC's id as it stands there, or None.
        state: one of the eight words of appendix B, or OTHER.
        raw_state: the state as it came: the word, or the number of the TLV as text; None if
            missing.
        error: err of the text or network_error_code of the TLV, as text; None if missing.
        text: what follows `text:`, without the blanks around it, or None.
        raw: the text of the receipt as it came, octets as Latin-1 where they are no UCS2.
        raw_submitted_at: the SMSC's time of submission as it came, or None.
        raw_done_at: the SMSC's time of the state as it came, or None.
        notification: whether esm_class calls it an intermediate notification, which tells how an
            attempt ended while the SMSC may still hold the message.
    """

    message_id: str | None
    state: str
    raw_state: str | None
    error: str | None
    text: str | None
    raw: str
    raw_submitted_at: str | None
    raw_done_at: str | None
    notification: bool = False

    @property
    def submitted_at(self) -> datetime | None:
        """The SMSC's time of submission, naive: it names no zone."""
        return _read_date(self.raw_submitted_at)

    @property
    def done_at(self) -> datetime | None:
        """The SMSC's time of the state, naive: it names no zone."""
        return _read_date(self.raw_done_at)

    @property
    def final(self) -> bool:
        """Whether the SMSC has stopped trying, as far as this receipt can say."""
        return self.state not in (_NOT_FINAL_IN_NOTIFICATION if self.notification else _NOT_FINAL)


def parse_receipt(
    short_message: bytes,
    *,
    esm_class: int = 4,
    data_coding: int = 0,
    tlvs: Mapping[int, bytes] | None = None,
    any_esm_class: bool = False,
) -> Receipt | None:
    """Read a delivery receipt; never raises (1.5 µs for the canonical text, 2.5 with TLVs).

    Args:
        short_message: the deliver_sm's text, with its user data header if it has one.
        esm_class: tells a receipt from a text from a phone (SMPP 3.4 issue 1.2, 5.2.12).
        data_coding: 8 means UCS2, anything else Latin-1; a text that only makes sense in another
            reading is read in that one.
        tlvs: optional parameters by tag; they win over the text.
        any_esm_class: the account sends receipts with esm_class 0. What esm_class does not call a
            receipt is one if it has an id and a state.

    Returns:
        The receipt, or None where it is none: a text from a phone, whatever it says. What esm_class
        calls a receipt is one, even where nothing in it can be read.
    """
    kind = esm_class & _ESM_TYPE
    marked = kind in _ESM_RECEIPTS
    if not marked and not any_esm_class:
        return None
    notification = kind & _ESM_NOTIFICATION != 0
    octets = short_message
    if tlvs and not octets:
        octets = tlvs.get(MESSAGE_PAYLOAD, b"")
    if esm_class & ESM_CLASS_UDHI:
        octets = _without_header(octets)
    match = _CANONICAL.fullmatch(octets.decode("latin-1"))
    if match is None:
        receipt = _read_loosely(octets, data_coding, notification)
    else:
        message_id, submitted, done, word, error, text = match.groups()
        receipt = Receipt(
            message_id,
            _SPELLINGS.get(word, "OTHER"),
            word,
            error or None,
            text if text is None else text.strip(_BLANK),
            match.string,
            submitted or None,
            done or None,
            notification,
        )
    if tlvs:
        receipt = _corrected(receipt, tlvs)
    if not marked and not (receipt.message_id and receipt.raw_state):
        return None
    return receipt


def _read_loosely(octets: bytes, data_coding: int, notification: bool) -> Receipt:
    """Read the text of a receipt field by field: the plain twin of the canonical expression."""
    raw, fields = _read(octets, data_coding in UCS2_CODINGS)
    word = fields.get("stat", "")
    return Receipt(
        fields.get("id") or None,
        _SPELLINGS.get(word.upper().lstrip("0"), "OTHER"),
        word or None,
        fields.get("err") or None,
        fields.get("text"),
        raw,
        fields.get("submitdate") or None,
        fields.get("donedate") or None,
        notification,
    )


def _corrected(receipt: Receipt, tlvs: Mapping[int, bytes]) -> Receipt:
    """Let the TLVs win over the text; one that says nothing does not silence a text that does."""
    message_id, state, raw_state, error, text, raw, submitted, done, notification = receipt
    receipted = tlvs.get(RECEIPTED_MESSAGE_ID, b"").split(b"\0", 1)[0]
    if receipted:
        message_id = receipted.decode("latin-1")
    number = tlvs.get(MESSAGE_STATE, b"")
    if len(number) == 1 and (number[0] in STATES or state == "OTHER"):
        state, raw_state = STATES.get(number[0], "OTHER"), str(number[0])
    code = tlvs.get(NETWORK_ERROR_CODE, b"")
    if len(code) == 3 and (any(code) or not error):  # three zeros name no network and no error
        error = _network_error(code)
    return Receipt(message_id, state, raw_state, error, text, raw, submitted, done, notification)


def _without_header(octets: bytes) -> bytes:
    """Drop the user data header; a peer that announces one often sends none."""
    if octets and octets[0] <= _LONGEST_UDH and octets[0] < len(octets):
        return octets[1 + octets[0] :]
    return octets


def _read(octets: bytes, ucs2: bool) -> tuple[str, dict[str, str]]:
    """Return the first reading of a text that has fields in it, and them; else the announced one.

    data_coding is not to be trusted here: receipts come in UCS2 (praekeltfoundation/vumi #635), in
    ASCII under the data_coding of the message that they are about, and with the octets swapped.
    """
    if not octets:
        return "", {}
    announced = None
    for text in _readings(octets, ucs2):
        if announced is None:
            announced = text
        fields = _fields_of(text)
        if "id" in fields or "stat" in fields:
            return text, fields
    return announced or "", {}


def _readings(octets: bytes, ucs2: bool) -> Iterator[str]:
    """Yield what the octets may say, likeliest first."""
    single = octets.decode("latin-1")
    if not ucs2:
        yield single
    if ucs2 or b"\0" in octets:
        yield octets.decode("utf-16-be", "replace")
        yield octets.decode("utf-16-le", "replace")
    if ucs2:
        yield single
    if len(octets) <= _PACKED_OCTETS_LIMIT:
        yield _unpack_septets(octets)


def _unpack_septets(octets: bytes) -> str:
    """Unpack septets (3GPP TS 23.038, 6.1.2.1); what receipts are made of is ASCII there too."""
    bits = int.from_bytes(octets, "little")
    return bytes((bits >> 7 * n) & 0x7F for n in range(len(octets) * 8 // 7)).decode("ascii")


def _fields_of(text: str) -> dict[str, str]:
    """Find the fields in a text, by short name; the first of a repeated one wins.

    What follows `text:` is ours, not the SMSC's. It is searched only where it holds what was
    missing before it beside an id, so that a receipt whose text is not last is read as well.
    """
    fields: dict[str, str] = {}
    for match in _FIELD.finditer(text):
        if not match["text"]:
            fields.setdefault(_short(match["name"]), _unwrapped(match["value"]))
            continue
        rest = match["rest"]
        late = [found for found in _FIELD.finditer(rest) if not found["text"]]
        if {_short(found["name"]) for found in late} - fields.keys() - {"id"}:
            rest = rest[: late[0].start()]
            for found in late:
                fields.setdefault(_short(found["name"]), _unwrapped(found["value"]))
        fields["text"] = rest.strip(_BLANK)
    return fields


@lru_cache(maxsize=256)
def _short(name: str) -> str:
    """Return a field's name as appendix B has it, without blanks."""
    name = re.sub(r"[\s_-]", "", name.lower())
    if name.endswith("id"):
        return "id"
    for short in ("err", "stat", "messagestat"):
        if name.startswith(short):
            return short.removeprefix("message")
    return name


def _unwrapped(value: str) -> str:
    return value.strip(_WRAPPING)


def _network_error(code: bytes) -> str:
    """Return the error of a network_error_code: a network's octet, then two of a number."""
    if code.isdigit():  # three digits, as err has them: Kannel, error_from_network_error_code
        return code.decode("ascii")
    return str(int.from_bytes(code[1:], "big"))


# By length: appendix B has minutes; others add seconds or write the century.
_DATE_FORMATS = {
    10: ("%y%m%d%H%M",),
    12: ("%y%m%d%H%M%S", "%Y%m%d%H%M"),
    14: ("%Y%m%d%H%M%S",),
}
# 7.1.1, YYMMDDhhmmsstnnp: local time, tenths of a second, quarter hours (funbox/smppex #46).
_ABSOLUTE_TIME = re.compile(r"(\d{12})\d{3}[+-]", re.ASCII)
_ISO_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", re.ASCII)
_SECONDS_DIGITS = 10
_SECONDS_LIMIT = 2**31


def _read_date(text: str | None) -> datetime | None:
    """Read a receipt's date; None where there is none or where two readings are possible."""
    if not text:
        return None
    if absolute := _ABSOLUTE_TIME.fullmatch(text):
        return _in_format(absolute[1], "%y%m%d%H%M%S")
    if _ISO_TIME.match(text):
        try:
            return datetime.fromisoformat(text).replace(tzinfo=None)
        except ValueError:
            return None
    if not text.isascii() or not text.isdigit():
        return None
    readings = {_in_format(text, pattern) for pattern in _DATE_FORMATS.get(len(text), ())} - {None}
    if not readings and len(text) == _SECONDS_DIGITS and 0 < int(text) < _SECONDS_LIMIT:
        return datetime.fromtimestamp(int(text), UTC).replace(tzinfo=None)  # seconds since 1970
    return readings.pop() if len(readings) == 1 else None


def _in_format(text: str, pattern: str) -> datetime | None:
    try:
        return datetime.strptime(text, pattern)  # noqa: DTZ007  # it names no zone
    except ValueError:
        return None


_HEX_DIGITS = frozenset("0123456789abcdef")
_NUMBER_DIGITS_LIMIT = 64  # 5.2.23: a message_id has no more; int() refuses thousands


def normal_form(message_id: str) -> str:
    """Return the form under which ids are compared: lower case, no leading zeros.

    The SQL index `segment_by_smsc_message_id` computes the same, where only ASCII has a case.
    """
    if message_id.isascii():
        return message_id.lower().lstrip("0")
    return "".join(c.lower() if c.isascii() else c for c in message_id).lstrip("0")


SAME, NUMBER, TO_HEX, TO_DECIMAL = "same", "number", "to-hex", "to-decimal"


def normal_forms(message_id: str, dialect: str = "auto") -> dict[str, str]:
    """Return the normal forms under which a receipt's id may have been given.

    Args:
        message_id: the id as the receipt has it.
        dialect: the account's `message_id` key: auto, text, decimal, hex, or hex-then-decimal
            (hexadecimal in submit_sm_resp, decimal in the receipt).

    Returns:
        The forms by what was done to the id, likeliest first, no two the same: SAME; NUMBER,
        without 0x and blanks; TO_HEX, read as decimal; TO_DECIMAL, read as hexadecimal.
    """
    exact = normal_form(message_id)
    forms = {SAME: exact}
    if dialect in ("text", "decimal"):
        return forms
    given = message_id.strip().lower()
    number = given.removeprefix("0x").lstrip("0")
    if len(number) > _NUMBER_DIGITS_LIMIT or not number or not _HEX_DIGITS.issuperset(number):
        return forms
    decimal = number.isdigit() and not given.startswith("0x")
    if dialect == "hex-then-decimal":
        return {TO_HEX: format(int(number), "x")} if decimal else forms
    if number != exact:
        forms[NUMBER] = number
    if dialect == "auto":
        if decimal:
            forms[TO_HEX] = format(int(number), "x")
        forms[TO_DECIMAL] = str(int(number, 16))
    names = {form: name for name, form in reversed(forms.items())}
    return {name: form for name, form in forms.items() if names[form] == name}


def asks_receipt(receipts: str, *, number: int, total: int) -> bool:
    """Say whether a segment asks for a receipt, by the account's `receipts` key."""
    match receipts:
        case "every":
            return True
        case "first":
            return number == 1
        case "last":
            return number == total
        case _:
            return False
