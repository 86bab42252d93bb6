"""Octets on the wire → lines for people, one for each PDU.

    > submit_sm 17 source_addr=STMARTIN destination_addr=336****5678 esm_class=0x40 … part=1/2 …
    < submit_sm_resp 17 ESME_RTHROTTLED

A field is shown where it says something: not where it is 0 or empty, but for those that are always
looked for. Masked, which is the default, a line holds no text and no one's number (an account's own
short codes and names are nobody's), in no field, TLV or message id. A password is in no line at
all. Whatever the octets are, nothing is raised: what cannot be read is said, beside what could.

Source: SMPP 3.4 issue 1.2, sections 4 (bodies), 5.2.12 (esm_class) and 5.3.2 (TLVs).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from smppgw.smpp.inbound import WHOLE, parse_part
from smppgw.smpp.pdu import (
    COMMAND_OCTETS_LIMIT,
    HEADER,
    HEADER_OCTETS,
    RESPONSE_BIT,
    parse_tlvs,
)
from smppgw.smpp.receipt import (
    MESSAGE_STATE,
    NETWORK_ERROR_CODE,
    STATES,
    UCS2_CODINGS,
    Receipt,
    parse_receipt,
)
from smppgw.smpp.status import status_of

DecodeText = Callable[[bytes, int], str]  # octets and data_coding → characters; never raises

_GUTTERS = {"sent": ">", "received": "<"}
_NUL = b"\0"
_LENGTH_OCTETS = 4  # of command_length
_HEX_OCTETS = 48  # of what cannot be read, that is shown unmasked
_HIDDEN = "****"
_SHORT_CODE_DIGITS = 5  # no longer than that, a number is nobody's: 36xxx, 38xxx
_E164_DIGITS = 11  # from here on four digits at the end leave as many hidden
_TAIL_DIGITS = 8  # by so many a number is recognised inside a message id, with or without its 33

# How a mandatory field is laid out, and with that whether it can be shown.
_WORD = "word"  # C-Octet String of the SMSC's or the account's own
_ADDRESS = "address"  # C-Octet String: a number, a short code or a name
_SECRET = "secret"  # C-Octet String that is never shown  # nosec B105  # the name of a kind of field
_OCTET = "octet"
_MESSAGE = "message"  # sm_length, then so many octets
_REST = "rest"  # not taken apart: nobody here sends it

_SOURCE = (("source_addr_ton", _OCTET), ("source_addr_npi", _OCTET), ("source_addr", _ADDRESS))
_DESTINATION = (
    ("dest_addr_ton", _OCTET),
    ("dest_addr_npi", _OCTET),
    ("destination_addr", _ADDRESS),
)
_TIMES = (("schedule_delivery_time", _WORD), ("validity_period", _WORD))
_SM = (
    ("service_type", _WORD),
    *_SOURCE,
    *_DESTINATION,
    ("esm_class", _OCTET),
    ("protocol_id", _OCTET),
    ("priority_flag", _OCTET),
    *_TIMES,
    ("registered_delivery", _OCTET),
    ("replace_if_present_flag", _OCTET),
    ("data_coding", _OCTET),
    ("sm_default_msg_id", _OCTET),
    ("short_message", _MESSAGE),
)
_BIND = (
    ("system_id", _WORD),
    ("password", _SECRET),
    ("system_type", _WORD),
    ("interface_version", _OCTET),
    ("addr_ton", _OCTET),
    ("addr_npi", _OCTET),
    ("address_range", _ADDRESS),
)
_MESSAGE_ID = (("message_id", _WORD),)
# Section 4, by command_id: the name, and the mandatory fields in their order.
_COMMANDS: dict[int, tuple[str, tuple[tuple[str, str], ...]]] = {
    0x00000001: ("bind_receiver", _BIND),
    0x80000001: ("bind_receiver_resp", (("system_id", _WORD),)),
    0x00000002: ("bind_transmitter", _BIND),
    0x80000002: ("bind_transmitter_resp", (("system_id", _WORD),)),
    0x00000003: ("query_sm", (*_MESSAGE_ID, *_SOURCE)),
    0x80000003: (
        "query_sm_resp",
        (*_MESSAGE_ID, ("final_date", _WORD), ("message_state", _OCTET), ("error_code", _OCTET)),
    ),
    0x00000004: ("submit_sm", _SM),
    0x80000004: ("submit_sm_resp", _MESSAGE_ID),
    0x00000005: ("deliver_sm", _SM),
    0x80000005: ("deliver_sm_resp", _MESSAGE_ID),
    0x00000006: ("unbind", ()),
    0x80000006: ("unbind_resp", ()),
    0x00000007: (
        "replace_sm",
        (
            *_MESSAGE_ID,
            *_SOURCE,
            *_TIMES,
            ("registered_delivery", _OCTET),
            ("sm_default_msg_id", _OCTET),
            ("short_message", _MESSAGE),
        ),
    ),
    0x80000007: ("replace_sm_resp", ()),
    0x00000008: ("cancel_sm", (("service_type", _WORD), *_MESSAGE_ID, *_SOURCE, *_DESTINATION)),
    0x80000008: ("cancel_sm_resp", ()),
    0x00000009: ("bind_transceiver", _BIND),
    0x80000009: ("bind_transceiver_resp", (("system_id", _WORD),)),
    0x0000000B: ("outbind", (("system_id", _WORD), ("password", _SECRET))),
    0x00000015: ("enquire_link", ()),
    0x80000015: ("enquire_link_resp", ()),
    0x00000021: ("submit_multi", (("service_type", _WORD), *_SOURCE, ("dest_address", _REST))),
    0x80000021: ("submit_multi_resp", (*_MESSAGE_ID, ("unsuccess_sme", _REST))),
    0x00000102: (
        "alert_notification",
        (*_SOURCE, ("esme_addr_ton", _OCTET), ("esme_addr_npi", _OCTET), ("esme_addr", _ADDRESS)),
    ),
    0x00000103: (
        "data_sm",
        (
            ("service_type", _WORD),
            *_SOURCE,
            *_DESTINATION,
            ("esm_class", _OCTET),
            ("registered_delivery", _OCTET),
            ("data_coding", _OCTET),
        ),
    ),
    0x80000103: ("data_sm_resp", _MESSAGE_ID),
    0x80000000: ("generic_nack", ()),
}
_DELIVERIES = frozenset({"deliver_sm", "data_sm"})  # what may be a receipt
_WITH_SECRET = frozenset(
    command_id for command_id, (_, fields) in _COMMANDS.items() if ("password", _SECRET) in fields
)
_ALWAYS = frozenset(
    {
        "system_id",
        "message_id",
        "source_addr",
        "destination_addr",
        "esm_class",
        "registered_delivery",
        "data_coding",
    }
)
_IN_HEX = frozenset({"esm_class", "interface_version"})
_LONGEST_WORD = 65  # message_id; all other words are shorter (section 4)

# How a TLV is written; what is neither of the first two is somebody's.
_NUMBER = "number"
_NAME = "name"
_TEXT = "text"
_OCTETS = "octets"
# Section 5.3.2, by tag.
_TLVS = {
    0x0005: ("dest_addr_subunit", _NUMBER),
    0x0006: ("dest_network_type", _NUMBER),
    0x0007: ("dest_bearer_type", _NUMBER),
    0x0008: ("dest_telematics_id", _NUMBER),
    0x000D: ("source_addr_subunit", _NUMBER),
    0x000E: ("source_network_type", _NUMBER),
    0x000F: ("source_bearer_type", _NUMBER),
    0x0010: ("source_telematics_id", _NUMBER),
    0x0017: ("qos_time_to_live", _NUMBER),
    0x0019: ("payload_type", _NUMBER),
    0x001D: ("additional_status_info_text", _TEXT),
    0x001E: ("receipted_message_id", _NAME),
    0x0030: ("ms_msg_wait_facilities", _NUMBER),
    0x0201: ("privacy_indicator", _NUMBER),
    0x0202: ("source_subaddress", _OCTETS),
    0x0203: ("dest_subaddress", _OCTETS),
    0x0204: ("user_message_reference", _NUMBER),
    0x0205: ("user_response_code", _NUMBER),
    0x020A: ("source_port", _NUMBER),
    0x020B: ("destination_port", _NUMBER),
    0x020C: ("sar_msg_ref_num", _NUMBER),
    0x020D: ("language_indicator", _NUMBER),
    0x020E: ("sar_total_segments", _NUMBER),
    0x020F: ("sar_segment_seqnum", _NUMBER),
    0x0210: ("SC_interface_version", _NUMBER),
    0x0302: ("callback_num_pres_ind", _NUMBER),
    0x0303: ("callback_num_atag", _OCTETS),
    0x0304: ("number_of_messages", _NUMBER),
    0x0381: ("callback_num", _OCTETS),
    0x0420: ("dpf_result", _NUMBER),
    0x0421: ("set_dpf", _NUMBER),
    0x0422: ("ms_availability_status", _NUMBER),
    0x0423: ("network_error_code", _NUMBER),
    0x0424: ("message_payload", _TEXT),
    0x0425: ("delivery_failure_reason", _NUMBER),
    0x0426: ("more_messages_to_send", _NUMBER),
    0x0427: ("message_state", _NUMBER),
    0x0501: ("ussd_service_op", _NUMBER),
    0x1201: ("display_time", _NUMBER),
    0x1203: ("sms_signal", _NUMBER),
    0x1204: ("ms_validity", _NUMBER),
    0x130C: ("alert_on_message_delivery", _NUMBER),
    0x1380: ("its_reply_type", _NUMBER),
    0x1383: ("its_session_info", _NUMBER),
}
_NUMBER_OCTETS = 4  # the longest number
_TLV_OCTETS = 4  # of tag and length


def _decode_plainly(octets: bytes, data_coding: int) -> str:
    if data_coding in UCS2_CODINGS:
        return octets.decode("utf-16-be", "replace")
    return octets.decode("latin-1")


def describe(
    direction: str,
    octets: bytes,
    *,
    masked: bool = True,
    decode_text: DecodeText = _decode_plainly,
) -> Iterator[str]:
    """Say what was written to a connection or read from it; never raises.

    Args:
        direction: sent or received.
        octets: whole PDUs, then perhaps the beginning of another.
        masked: hide texts and numbers.
        decode_text: knows what data_coding 0 means on the account; without it, Latin-1.

    Yields:
        A line for each PDU, and one for what is none, after which nothing can be read.
    """
    gutter = _GUTTERS.get(direction, direction)
    # What cannot be read is shown as it came only where no password of ours can be in it.
    view = _View(masked, decode_text, unread=not masked and direction == "received")
    at, size, secret = 0, len(octets), False
    while size - at >= HEADER_OCTETS:
        length, command_id, _, _ = HEADER.unpack_from(octets, at)
        secret = secret or command_id in _WITH_SECRET
        if not HEADER_OCTETS <= length <= COMMAND_OCTETS_LIMIT:
            shown = HEADER_OCTETS if view.unread and not secret else _LENGTH_OCTETS
            yield (
                f"{gutter} broken framing: command_length {length} in {size - at} octets that begin"
                f" {octets[at : at + shown].hex(' ')}"
            )
            return
        whole = octets[at : at + length]
        if len(whole) < length:
            break
        yield " ".join((gutter, *_head_of(whole), *_body_of(whole, view)))
        at += length
    if at < size:
        head = _head_of(octets[at : at + HEADER_OCTETS])
        yield " ".join((gutter, *head, f"(the first {size - at} octets of a PDU)"))


class _View(NamedTuple):
    """How a PDU is looked at.

    `unread` shows the octets of what cannot be read; `numbers` are digits that must not show
    anywhere.
    """

    masked: bool
    decode_text: DecodeText
    unread: bool
    data_coding: int = 0
    numbers: tuple[str, ...] = ()

    def address(self, value: str) -> str:
        """Show a name or a short code; of a number the beginning and the end."""
        digits = _digits_of(value)
        if not self.masked or len(digits) <= _SHORT_CODE_DIGITS:
            return _quoted(value)
        head, tail = (3, 4) if len(digits) >= _E164_DIGITS else (2, 2)
        plus = "+" if value.startswith("+") else ""
        return f"{plus}{digits[:head]}{_HIDDEN}{digits[-tail:]}"

    def word(self, value: str) -> str:
        """Show a word of the protocol, an id or a code."""
        if self.masked:
            for number in self.numbers:
                value = value.replace(number, _HIDDEN)
            if len(value) > _LONGEST_WORD:
                return f"<{len(value)} characters>"
        return _quoted(value)

    def text(self, octets: bytes) -> str:
        """Show a text, or how long it is."""
        if self.masked:
            return f"<{len(octets)} octets>"
        return repr(self.decode_text(octets, self.data_coding))

    def octets(self, octets: bytes) -> str:
        """Show octets of unknown meaning, or how many they are."""
        return f"<{len(octets)} octets>" if self.masked else octets.hex(" ")

    def beginning(self, octets: bytes) -> str:
        """Show the first octets of what cannot be read, or how many they are in all."""
        return octets[:_HEX_OCTETS].hex(" ") if self.unread else f"<{len(octets)} octets>"

    def tlv(self, tag: int, value: bytes) -> str:
        """Show a TLV by its name, else by its number."""
        name, kind = _TLVS.get(tag, (f"0x{tag:04X}", _OCTETS))
        if kind == _NUMBER and 0 < len(value) <= _NUMBER_OCTETS:
            number = int.from_bytes(value, "big")
            shown = _state(number) if tag == MESSAGE_STATE else str(number)
            if tag == NETWORK_ERROR_CODE:
                shown = f"{value[0]}/{int.from_bytes(value[1:], 'big')}"
        elif kind == _NAME:
            shown = self.word(value.split(_NUL, 1)[0].decode("latin-1"))
        elif kind == _TEXT:
            shown = self.text(value)
        else:
            shown = self.octets(value)
        return f"{name}={shown}"


class _Body(NamedTuple):
    """The mandatory fields, as far as they are there; `cut` is the first that is not."""

    numbers: dict[str, int]
    words: dict[str, str]
    message: bytes | None
    rest: bytes
    cut: str | None


def _head_of(octets: bytes) -> Iterator[str]:
    """Yield the name of the command, its sequence_number, and the status if it is not 0."""
    if len(octets) < HEADER_OCTETS:
        return
    _, command_id, status, sequence = HEADER.unpack_from(octets)
    yield _COMMANDS[command_id][0] if command_id in _COMMANDS else f"0x{command_id:08X}"
    yield str(sequence)
    if status:
        yield status_of(status).name


def _body_of(octets: bytes, view: _View) -> Iterator[str]:
    """Yield the fields that say something, and what stands in the way of reading the others."""
    _, command_id, _, _ = HEADER.unpack_from(octets)
    body = octets[HEADER_OCTETS:]
    if command_id not in _COMMANDS:
        yield f"(unknown command) {view.beginning(body)}"
        return
    name, layout = _COMMANDS[command_id]
    if not body and command_id & RESPONSE_BIT:
        return  # a refusal has no body (4.4.2), and many an answer has none either
    numbers, words, message, rest, cut = _take(body, layout)
    view = view._replace(
        data_coding=numbers.get("data_coding", 0), numbers=_numbers_in(words, layout)
    )
    for field, kind in layout:
        if field in words and (words[field] or field in _ALWAYS):
            shown = view.address(words[field]) if kind == _ADDRESS else view.word(words[field])
            yield f"{field}={shown}"
        elif field in numbers and (numbers[field] or field in _ALWAYS):
            yield f"{field}={_number(field, numbers[field])}"
    if cut is not None:
        shown = "" if command_id in _WITH_SECRET else f" {view.beginning(body)}"
        yield f"(cut short in {cut}){shown}"
        return
    tlvs = parse_tlvs(rest)
    if message is not None:
        yield f"sm_length={len(message)}"
    esm_class, message = numbers.get("esm_class", 0), message or b""
    receipt = None
    if name in _DELIVERIES:
        receipt = parse_receipt(
            message, esm_class=esm_class, data_coding=view.data_coding, tlvs=tlvs
        )
    yield from _text(message, esm_class, tlvs, view) if receipt is None else _told(receipt, view)
    for tag, value in tlvs.items():
        yield view.tlv(tag, value)
    if more := len(rest) - sum(_TLV_OCTETS + len(value) for value in tlvs.values()):
        yield f"({more} octets more)"


def _take(body: bytes, layout: tuple[tuple[str, str], ...]) -> _Body:
    """Take the mandatory fields of a body apart."""
    numbers: dict[str, int] = {}
    words: dict[str, str] = {}
    message, at, size = None, 0, len(body)
    for field, kind in layout:
        if kind == _REST:
            at = size
        elif kind in (_OCTET, _MESSAGE):
            if at == size:
                return _Body(numbers, words, None, b"", field)
            at += 1
            if kind == _OCTET:
                numbers[field] = body[at - 1]
                continue
            length = body[at - 1]
            message = body[at : at + length]
            if len(message) < length:
                return _Body(numbers, words, None, b"", field)
            at += length
        else:
            end = body.find(_NUL, at)
            if end < 0 and len(layout) == 1:
                end = size  # an id alone can be read without its NUL
            if end < 0:
                return _Body(numbers, words, None, b"", field)
            if kind != _SECRET:
                words[field] = body[at:end].decode("latin-1")
            at = end + 1
    return _Body(numbers, words, message, body[at:], None)


def _text(message: bytes, esm_class: int, tlvs: Mapping[int, bytes], view: _View) -> Iterator[str]:
    """Yield which part of a text it is, and the text if it stands in short_message."""
    part = parse_part(message, esm_class, tlvs)
    if part.numbering is not WHOLE:
        yield f"part={part.numbering.number}/{part.numbering.total}"
    if message:
        yield f"short_message={view.text(part.octets)}"


def _told(receipt: Receipt, view: _View) -> Iterator[str]:
    """Yield what a receipt says, wherever it says it."""
    named = {"id": receipt.message_id, "stat": receipt.raw_state, "err": receipt.error}
    for name, value in named.items():
        if value is not None:
            yield f"{name}={view.word(value)}"
    if not view.masked:
        yield f"short_message={receipt.raw!r}"


def _number(field: str, value: int) -> str:
    if field == "message_state":
        return _state(value)
    return f"0x{value:02X}" if field in _IN_HEX else str(value)


def _state(number: int) -> str:
    return STATES.get(number, str(number))


def _numbers_in(words: Mapping[str, str], layout: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Return the digits of every number among the addresses, then the last of them."""
    addresses = [_digits_of(words.get(field, "")) for field, kind in layout if kind == _ADDRESS]
    numbers = [digits for digits in addresses if len(digits) > _SHORT_CODE_DIGITS]
    return (*numbers, *(digits[-_TAIL_DIGITS:] for digits in numbers))


def _digits_of(value: str) -> str:
    return "".join(c for c in value if c in "0123456789")


def _quoted(value: str) -> str:
    """Return a value that is one word and prints; any other in quotation marks."""
    return value if value.isprintable() and value and " " not in value else repr(value)
