"""Octets that a phone wrote → characters.

Which coding they have is told by data_coding, in the numbers of SMPP or in those of GSM: an SMSC
passes on either. What data_coding 0 means is the account's to say.

Octets are joined before they are decoded, because a phone may cut a text inside a character; only
packed septets are laid out part by part, since each part begins them anew. Nothing is ever raised:
what is no character becomes U+FFFD, what is no text is shown in hexadecimal.

Sources: SMPP 3.4 issue 1.2, 5.2.19; 3GPP TS 23.038, section 4 and 6.1.2.1; 3GPP TS 23.040,
9.2.3.24 (fill bits).
"""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from smppgw.sms.alphabet import decode_gsm, unpack

GAP = "[…]"  # where parts are missing, one or several in a row

_ACCOUNT = "account"  # the account's alphabet
# data_coding & mask == bits → coding; the first row that fits decides, the last fits all. What is
# written in an alphabet of Japan or Korea is shown as octets.
CODINGS: tuple[tuple[int, int, str], ...] = (
    # SMPP 3.4 issue 1.2, 5.2.19
    (0xFF, 0x01, "latin1"),  # IA5; octets above 0x7F are no IA5 and are Latin-1 when they come
    (0xFF, 0x02, "binary"),
    (0xFF, 0x03, "latin1"),
    (0xFF, 0x04, "binary"),
    (0xFF, 0x05, "binary"),  # JIS
    (0xFF, 0x06, "cyrillic"),
    (0xFF, 0x07, "hebrew"),
    (0xFF, 0x08, "ucs2"),
    (0xFF, 0x09, "binary"),  # pictogram encoding
    (0xFF, 0x0A, "binary"),  # ISO-2022-JP
    (0xFF, 0x0D, "binary"),  # extended Kanji
    (0xFF, 0x0E, "binary"),  # KS C 5601
    # 3GPP TS 23.038, section 4
    (0xA0, 0x20, "binary"),  # groups 00xx and 01xx, compressed
    (0x8C, 0x04, "binary"),  # the same groups, 8-bit data
    (0x8C, 0x08, "ucs2"),  # the same groups
    (0xF0, 0xE0, "ucs2"),  # message waiting, UCS2
    (0xF4, 0xF4, "binary"),  # message class, 8-bit data
    (0x00, 0x00, _ACCOUNT),  # the default alphabet, and all that is reserved
)
_BY_DATA_CODING = [
    next(coding for mask, bits, coding in CODINGS if value & mask == bits) for value in range(256)
]
_CODECS = {
    "latin1": "latin-1",
    "cyrillic": "iso8859-5",
    "hebrew": "iso8859-8",
    "ucs2": "utf-16-be",
}


class UserData(NamedTuple):
    """What one part brought: octets without their header, which had `header_octets`.

    `alphabet` is what data_coding 0 means on the account: gsm7, gsm7-packed or latin1.
    """

    octets: bytes
    data_coding: int = 0
    alphabet: str = "gsm7"
    header_octets: int = 0


def decode_text(
    octets: bytes, data_coding: int = 0, alphabet: str = "gsm7", header_octets: int = 0
) -> str:
    """Decode a text of one part; never raises (3 µs for 120 characters, 20 if packed)."""
    return decode_parts([UserData(octets, data_coding, alphabet, header_octets)])


def decode_parts(parts: Sequence[UserData | None]) -> str:
    """Decode a text from its parts in their order, None where one is missing; never raises."""
    return "".join(
        GAP if coding is None else _decode(coding, [part for part in run if part is not None])
        for coding, run in groupby(parts, _coding_of)
    )


def _coding_of(part: UserData | None) -> str | None:
    if part is None:
        return None
    coding = _BY_DATA_CODING[part.data_coding & 0xFF]
    return part.alphabet if coding == _ACCOUNT else coding


def _decode(coding: str, parts: Sequence[UserData]) -> str:
    """Decode parts of one coding, none missing between them."""
    match coding:
        case "gsm7":
            return decode_gsm(b"".join([part.octets for part in parts]))
        case "gsm7-packed":
            return decode_gsm(b"".join([_septets(part) for part in parts]))
        case "binary":
            return b"".join([part.octets for part in parts]).hex(" ")
        case "ucs2":
            octets = _pairs([part.octets for part in parts])
        case _:
            octets = b"".join([part.octets for part in parts])
    return octets.decode(_CODECS[coding], "replace").rstrip("\0").removeprefix("\ufeff")


def _septets(part: UserData) -> bytes:
    """Unpack the septets of a part, which begin at a septet's boundary behind its header.

    Only octets are counted, so seven bits may be left over at the end. They are zero then, which
    reads as one @ too many: it is taken for what is left over.
    """
    fill_bits = -part.header_octets * 8 % 7
    bits = len(part.octets) * 8 - fill_bits
    septets = unpack(part.octets, max(bits, 0) // 7, fill_bits)
    return septets[:-1] if bits % 7 == 0 and septets.endswith(b"\0") else septets


def _pairs(parts: Sequence[bytes]) -> bytes:
    """Join UTF-16.

    A text that was cut between the two octets of a unit is even as a whole. Where it is odd, parts
    have an octet too many at their end.
    """
    joined = b"".join(parts)
    if len(joined) % 2 == 0:
        return joined
    return b"".join([octets[: len(octets) & ~1] for octets in parts])
