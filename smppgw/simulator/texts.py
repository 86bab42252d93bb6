"""What phones write: the body of a deliver_sm, or of several for a long text.

A text goes as ASCII where GSM 03.38 says the same, else as UCS2. A long one travels in
message_payload, or in segments: tied by a user data header with a reference of 8 or 16 bits (3GPP
TS 23.040, 9.2.3.24.1 and .8), or by SAR TLVs (SMPP 3.4 issue 1.2, 5.3.2.22 to 24). Pure.
"""

from smppgw.errors import InputError
from smppgw.simulator import codec
from smppgw.simulator.codec import Submit

LONG_TEXTS = ("payload", "udh-8", "udh-16", "sar")

# Characters with the same code in ASCII and in the GSM default alphabet (3GPP TS 23.038, 6.2.1).
_COMMON_CHARACTERS = frozenset(
    "\n\r !\"#%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
_SHORT_CODE_DIGITS = 6
# Characters of one segment, with the user data header; as it is and when it is UCS2.
_SINGLE = (160, 70)
_SEGMENT = {"udh-8": (153, 67), "udh-16": (152, 66), "sar": (153, 67)}


class Text(bytes):
    """The body of a deliver_sm that is a text from a phone."""


def write_text(
    source: str, destination: str, text: str, *, long_text: str = "payload", reference: int = 1
) -> list[Text]:
    """Write the deliver_sm of a text.

    Args:
        source: the phone's number, with or without a plus sign.
        destination: the number or short code that was written to.
        text: what was written.
        long_text: one of `LONG_TEXTS`, for a text that is longer than one SMS.
        reference: what ties its segments.

    Returns:
        Their bodies, without header.

    Raises:
        InputError: the text is longer than a deliver_sm can carry, or has too many segments.
    """
    return _write(address(source), address(destination), text, long_text, reference)


def answer_text(
    submit: Submit, text: str, *, long_text: str = "payload", reference: int = 1
) -> list[Text]:
    """Write the deliver_sm of a text from the phone that a submit_sm went to; as `write_text`."""
    return _write(submit.destination, submit.source, text, long_text, reference)


def _write(
    source: bytes, destination: bytes, text: str, long_text: str, reference: int
) -> list[Text]:
    ucs2 = not _COMMON_CHARACTERS.issuperset(text)
    data_coding = codec.DATA_CODING_UCS2 if ucs2 else codec.DATA_CODING_DEFAULT
    codec_name = "utf-16-be" if ucs2 else "ascii"
    octets = text.encode(codec_name)
    if long_text == "payload" or len(octets) <= _SINGLE[ucs2] * (1 + ucs2):
        if len(octets) > codec.PAYLOAD_OCTETS_LIMIT:
            raise InputError(f"The text has {len(octets)} octets: a deliver_sm carries 64,000.")
        return [_body(source, destination, 0, data_coding, octets)]
    pieces = [piece.encode(codec_name) for piece in _cut(text, _SEGMENT[long_text][ucs2])]
    if len(pieces) > 255:
        raise InputError(f"The text has {len(pieces)} segments: a phone can send 255.")
    bodies = []
    for number, piece in enumerate(pieces, 1):
        tie = (len(pieces), number)
        if long_text == "sar":
            tlvs = {
                codec.TLV_SAR_MSG_REF_NUM: (reference & 0xFFFF).to_bytes(2, "big"),
                codec.TLV_SAR_TOTAL_SEGMENTS: bytes(tie[:1]),
                codec.TLV_SAR_SEGMENT_SEQNUM: bytes(tie[1:]),
            }
            bodies.append(_body(source, destination, 0, data_coding, piece, tlvs))
            continue
        if long_text == "udh-8":
            header = bytes((5, codec.IE_CONCATENATED_8, 3, reference & 0xFF, *tie))
        else:
            header = bytes((6, codec.IE_CONCATENATED_16, 4, *divmod(reference & 0xFFFF, 256), *tie))
        bodies.append(_body(source, destination, codec.ESM_CLASS_UDHI, data_coding, header + piece))
    return bodies


def _cut(text: str, units: int) -> list[str]:
    """Cut a text into pieces of at most `units` UTF-16 units, never inside a surrogate pair."""
    pieces, begin, used = [], 0, 0
    for at, character in enumerate(text):
        size = 1 + (character > "\uffff")
        if used + size > units:
            pieces.append(text[begin:at])
            begin, used = at, 0
        used += size
    return [*pieces, text[begin:]]


def receipt_lookalike(submit: Submit, message_id: bytes) -> Text:
    """Write a text from a phone that reads like a receipt, and says what is not so."""
    text = (
        b"id:%b sub:001 dlvrd:000 submit date:2501010000 done date:2501010000"
        b" stat:UNDELIV err:005 text:" % message_id
    )
    return _body(submit.destination, submit.source, 0, codec.DATA_CODING_DEFAULT, text)


def address(text: str) -> bytes:
    """Return ton, npi and address as octets (5.2.5, 5.2.6): a name, a short code, or a number."""
    digits = text.removeprefix("+")
    if not digits.isdecimal():
        numbering, digits = b"\x05\0", text
    else:
        numbering = b"\x03\0" if len(digits) <= _SHORT_CODE_DIGITS else b"\x01\x01"
    return numbering + digits.encode("latin-1") + b"\0"


def _body(
    source: bytes,
    destination: bytes,
    esm_class: int,
    data_coding: int,
    octets: bytes,
    tlvs: dict[int, bytes] | None = None,
) -> Text:
    return Text(codec.message_body(source, destination, esm_class, data_coding, octets, tlvs))
