"""A text → the user data of its segments, in the alphabet that it needs.

A text whose every character is in GSM 03.38 takes it; any other takes UCS2, which is sent as
UTF-16-BE, as phones read it. Segments are filled from the first to the last as far as they go,
which is the least number of them; an escape and its septet, and the two halves of a surrogate pair,
are never cut apart, and nothing else needs to stay together.

Sources: 3GPP TS 23.040, 9.2.3.24.1 (a header of 6 octets, with an 8-bit reference), and 9.2.3.16
(140 octets for header and text).
"""

from typing import Literal, NamedTuple

from smppgw.errors import InputError
from smppgw.sms.alphabet import ESCAPE, REWRITES, encode_gsm, outside_gsm, rewrite_text

# 140 octets hold 160 septets or 70 UTF-16 units, and beside a header of 6 octets, 153 or 67.
GSM7_SEPTETS, GSM7_SEPTETS_OF_PART = 160, 153
UCS2_UNITS, UCS2_UNITS_OF_PART = 70, 67

SEGMENTS_LIMIT = 255  # the header counts them in one octet

_ESCAPE = bytes([ESCAPE])


class Composed(NamedTuple):
    """A text as it is sent.

    Attributes:
        text: The text after rewriting.
        encoding: The alphabet that it needs.
        data_coding: 0 for gsm7, 8 for ucs2 (SMPP 3.4 issue 1.2, 5.2.19).
        segments: One or more: user data without header, one octet for each septet, or UTF-16-BE.
        units: Septets or UTF-16 units of the whole text.
        forces_ucs2: The distinct characters that GSM 03.38 lacks, in order of appearance.
    """

    text: str
    encoding: Literal["gsm7", "ucs2"]
    data_coding: int
    segments: list[bytes]
    units: int
    forces_ucs2: list[str]


def compose(text: str, rewrite: str = "keep", *, latin1: bool = False) -> Composed:
    """Rewrite a text, choose its alphabet and cut it into segments.

    A French text of 120 characters takes 1 µs where GSM 03.38 has them all, which no rewrite then
    changes, and 5 µs where some are rewritten or ask for UCS2.

    Args:
        text: Any text. Line ends become LF and letters with accents one character each (NFC) under
            every rewrite; a surrogate without its other half becomes U+FFFD.
        rewrite: One of REWRITES: `keep` changes nothing that shows; `gentle` replaces what looks
            the same, such as ’ or a no-break space; `full` also takes away the accents that GSM
            03.38 lacks.
        latin1: The account takes Latin-1 in place of GSM 03.38 and converts it: what Latin-1 lacks
            asks for UCS2 too. Segments are counted and given in GSM 03.38 all the same.

    Returns:
        The text as it is sent; an empty text is one empty segment.

    Raises:
        InputError: there is no such rewrite, or the text needs more than 255 segments.
    """
    if rewrite not in REWRITES:
        raise InputError(f"There is no rewrite {rewrite!r}; it is one of {', '.join(REWRITES)}.")
    septets = None if "\r" in text else encode_gsm(text)
    if septets is None:
        text = rewrite_text(text, rewrite)
        septets = encode_gsm(text)
    if septets is not None and not (latin1 and _outside_latin1(text)):
        segments = _cut_septets(septets)
        composed = Composed(text, "gsm7", 0, segments, len(septets), [])
    else:
        octets = text.encode("utf-16-be")
        segments = _cut_units(octets)
        outside = outside_gsm(text) + (_outside_latin1(text) if latin1 else [])
        forces_ucs2 = sorted(set(outside), key=text.index)
        composed = Composed(text, "ucs2", 8, segments, len(octets) // 2, forces_ucs2)
    if len(segments) > SEGMENTS_LIMIT:
        raise InputError(
            f"The text takes {len(segments)} segments, and one message can have {SEGMENTS_LIMIT} "
            "at most: shorten it."
        )
    return composed


def _outside_latin1(text: str) -> list[str]:
    return [character for character in text if character > "\xff"]


def _cut_septets(septets: bytes) -> list[bytes]:
    if len(septets) <= GSM7_SEPTETS:
        return [septets]
    segments = []
    start = 0
    while start < len(septets):
        end = start + GSM7_SEPTETS_OF_PART
        if septets[end - 1 : end] == _ESCAPE:
            end -= 1
        segments.append(septets[start:end])
        start = end
    return segments


def _cut_units(octets: bytes) -> list[bytes]:
    if len(octets) <= 2 * UCS2_UNITS:
        return [octets]
    segments = []
    start = 0
    while start < len(octets):
        end = start + 2 * UCS2_UNITS_OF_PART
        if b"\xd8" <= octets[end - 2 : end - 1] <= b"\xdb":  # the first half of a surrogate pair
            end -= 2
        segments.append(octets[start:end])
        start = end
    return segments
