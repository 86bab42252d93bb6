"""Characters and septets: GSM 03.38, and what a text becomes so that it fits in.

The two tables of the standard stand here as it prints them. `encode_gsm` and `decode_gsm` use one
octet for each septet; `pack` and `unpack` lay septets side by side.

A character that GSM 03.38 lacks forces the whole text into UCS2, of which a segment carries less
than half. The rewrites are tables of what may stand for such characters; none touches a character
that GSM 03.38 has, and emoji stay.

Sources: 3GPP TS 23.038, 6.1.2.1, 6.2.1 and 6.2.1.1; Unicode Standard Annex 15 (NFC).
"""

import codecs
import re
import unicodedata
from itertools import chain

REWRITES = ("keep", "gentle", "full")

ESCAPE = 0x1B  # the next septet is one of the extension table

# 6.2.1, the default table: its eight columns are the eight rows here, sixteen codes in each. ESC
# has its place there and is no character; CR is one, which compose never sends.
DEFAULT = (
    "@£$¥èéùìòÇ\nØø\rÅå"  # 0x00
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"  # 0x10
    " !\"#¤%&'()*+,-./"  # 0x20
    "0123456789:;<=>?"  # 0x30
    "¡ABCDEFGHIJKLMNO"  # 0x40
    "PQRSTUVWXYZÄÖÑÜ§"  # 0x50
    "¿abcdefghijklmno"  # 0x60
    "pqrstuvwxyzäöñüà"  # 0x70
)

# 6.2.1.1, the extension table: the code behind the escape.
EXTENSION = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}

GSM = frozenset(DEFAULT.replace("\x1b", "")) | frozenset(EXTENSION.values())

# What looks the same or nearly so: characters, what stands for each, how they come into a text.
GENTLE: tuple[tuple[str, str, str], ...] = (
    ("’‘‚‛ʼʹ′`´", "'", "Word, Outlook and iOS put them for the apostrophe"),
    ("“”„‟«»″", '"', "Word and iOS put them for the quotation mark"),
    ("‹›", "'", "quotation marks inside quotation marks"),
    ("\u2010\u2011‒–—―−", "-", "Word and iOS put them for one hyphen or two"),
    ("…", "...", "Word and iOS put it for three dots"),
    ("‥", "..", "two dots"),
    ("\u00a0\u202f", " ", "French typing puts no-break spaces before : ; ! ? and inside « »"),
    ("\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u205f\u3000", " ",
     "spaces of other widths, from web pages and PDF"),
    ("\t", " ", "a tabulator, which no phone shows as one"),
    ("\v\u2028\u2029", "\n", "the line ends that Word makes with Shift and Enter"),
    ("œ", "oe", "French"),
    ("Œ", "OE", "French"),
    ("ﬀ", "ff", "PDF"),
    ("ﬁ", "fi", "PDF"),
    ("ﬂ", "fl", "PDF"),
    ("ﬃ", "ffi", "PDF"),
    ("ﬄ", "ffl", "PDF"),
    ("ﬅﬆ", "st", "PDF"),
    ("•‣◦∙·●■▪", "-", "bullets"),
    ("\uf0b7\uf0a7\uf0d8", "-", "bullets of Word in the font Wingdings"),
    ("→", "->", "Word puts it for -> and -->"),
    ("←", "<-", "Word puts it for <- and <--"),
    ("⇒", "=>", "Word puts it for =>"),
    ("\u00ad\u200b\u2060\ufeff\u180e", "", "soft hyphen, zero-width spaces, byte order mark"),
    ("\ufffc", "", "where a picture stood"),
    ("\0\1\2\3\4\5\6\7\b\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f",
     "", "control characters, which show nothing"),
)  # fmt: skip

# What looks different and reads the same; letters with an accent are added by _without_accents.
FULL: tuple[tuple[str, str, str], ...] = (
    ("".join(map(chr, range(0x300, 0x370))), "", "accents for which no letter is made"),
    ("ÐĐ", "D", "Icelandic, Croatian, Vietnamese"),
    ("ðđ", "d", "Icelandic, Croatian, Vietnamese"),
    ("Ħ", "H", "Maltese"),
    ("ħ", "h", "Maltese"),
    ("ı", "i", "Turkish"),
    ("Ł", "L", "Polish"),
    ("ł", "l", "Polish"),
    ("Ŋ", "N", "Sami"),
    ("ŋ", "n", "Sami"),
    ("Þ", "Th", "Icelandic"),
    ("þ", "th", "Icelandic"),
    ("Ŧ", "T", "Sami"),
    ("ŧ", "t", "Sami"),
    ("ẞ", "SS", "German"),
    ("°º", "o", "n° and Nº; behind a digit see BEHIND_A_DIGIT"),
    ("µ", "u", "µg/m3"),
    ("©", "(c)", "copyright"),
    ("®", "(R)", "registered"),
    ("×", "x", "3 × 4"),
    ("÷", "/", "divided by"),
    ("±", "+/-", "more or less"),
    ("≤", "<=", "at most"),
    ("≥", ">=", "at least"),
    ("≈", "~", "about"),
    ("¦", "|", "a bar"),
    ("¼", "1/4", "fractions"),
    ("½", "1/2", "fractions"),
    ("¾", "3/4", "fractions"),
)

# 37° must not become 37o, which reads as 370, nor 10² become 102, nor 1½ become 11/2.
BEHIND_A_DIGIT = {
    "°": "deg",
    "º": "deg",
    "¼": " 1/4",
    "½": " 1/2",
    "¾": " 3/4",
    "⁰": "^0",
    "¹": "^1",
    "²": "^2",
    "³": "^3",
    "⁴": "^4",
    "⁵": "^5",
    "⁶": "^6",
    "⁷": "^7",
    "⁸": "^8",
    "⁹": "^9",
}

# They show nothing by themselves, but join emoji, choose their look, or order Arabic and Hebrew; so
# they go only where nothing else asks for UCS2.
JOINERS = frozenset(
    "\u200c\u200d\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufe0e\ufe0f"
)

# Where `full` looks for what is a letter or digit of GSM 03.38 with something added.
_LETTERS = (
    range(0x00A0, 0x0250),  # Latin-1 Supplement, Latin Extended-A and -B
    range(0x02B0, 0x02B9),  # modifier letters: the er of 1er set high
    range(0x0370, 0x0400),  # Greek
    range(0x1D2C, 0x1D6B),  # modifier letters
    range(0x1E00, 0x2000),  # Latin Extended Additional, Greek Extended
    range(0x2070, 0x209D),  # superscripts and subscripts
    range(0x2100, 0x2189),  # letterlike symbols, Roman numbers
    range(0xFF01, 0xFF5F),  # full-width forms
    range(0x1D400, 0x1D800),  # the "bold" and "italic" of social networks
)


def _without_accents(character: str) -> str | None:
    """Take accents away, the last first, until GSM 03.38 has what is left; None if it never has."""
    kept = ""
    for part in unicodedata.normalize("NFKC", character):
        while part not in GSM:
            pieces = unicodedata.decomposition(part).split()
            if not pieces:
                return None
            part = chr(int(pieces[0], 16))
        kept += part
    return kept


def _by_character(rows: tuple[tuple[str, str, str], ...]) -> dict[str, str]:
    return {
        character: replacement for characters, replacement, _ in rows for character in characters
    }


_gentle = _by_character(GENTLE)
_full = {
    character: plain
    for character in map(chr, chain.from_iterable(_LETTERS))
    if character not in GSM and (plain := _without_accents(character)) is not None
}
_TABLES: dict[str, dict[str, str]] = {
    "gentle": _gentle,
    "full": _full | _by_character(FULL) | _gentle,
}

_OUTSIDE = re.compile(f"[^{re.escape(''.join(sorted(GSM)))}]")
_BEHIND_A_DIGIT = re.compile(rf"(?<=\d)(\s?)([{''.join(BEHIND_A_DIGIT)}])")


def outside_gsm(text: str) -> list[str]:
    """List the distinct characters that GSM 03.38 lacks, in order of appearance."""
    return list(dict.fromkeys(_OUTSIDE.findall(text)))


def rewrite_text(text: str, rewrite: str) -> str:
    """Rewrite a text so that more of it, or all, is in GSM 03.38.

    Whatever the rewrite, even for `keep`, what no reader sees is made uniform: line ends become
    LF, letters with accents become one character each (NFC). A surrogate without its other half,
    which is no character and cannot be sent, becomes U+FFFD, so that the damage shows.

    Args:
        text: any text.
        rewrite: one of REWRITES.

    Returns:
        The text; rewriting it again changes nothing. One without CR that GSM 03.38 has all
        characters of is returned as it is.
    """
    text = _whole_characters(text).replace("\r\n", "\n").replace("\r", "\n")
    text = unicodedata.normalize("NFC", text)
    if rewrite == "keep":
        return text
    table = _TABLES[rewrite]
    while True:
        outside = set(_OUTSIDE.findall(text))
        known = outside if outside <= JOINERS else outside & table.keys()
        if not known:
            return text
        if rewrite == "full" and not outside.isdisjoint(BEHIND_A_DIGIT):
            text = _BEHIND_A_DIGIT.sub(lambda found: found[1] + BEHIND_A_DIGIT[found[2]], text)
        for character in known:
            text = text.replace(character, table.get(character, ""))
        # What was taken out may have stood between a letter and its accent.
        text = unicodedata.normalize("NFC", text)


def _whole_characters(text: str) -> str:
    try:
        text.encode("utf-16-le")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


# --- Octets ---

# GSM 03.38 as a code page of 256 places: the default table, and the extension table 0x80 above. The
# place 0 must hold NUL, or charmap_build makes a dict, six times slower; so @ is at 0x80.
_PAGE = ["\ufffe"] * 256  # which charmap_build takes for "nothing here"
for _code, _character in enumerate(DEFAULT):
    _PAGE[_code] = _character
for _code, _character in EXTENSION.items():
    _PAGE[0x80 | _code] = _character
_PAGE[0], _PAGE[0x80], _PAGE[ESCAPE] = "\0", "@", "\ufffe"
_ENCODING = codecs.charmap_build("".join(_PAGE))
_PLACES = [(b"\x80", b"\0")] + [(bytes([0x80 | code]), bytes([ESCAPE, code])) for code in EXTENSION]

_ESCAPED = re.compile("\x1b(.?)", re.DOTALL)
_EXTENDED = {DEFAULT[code]: character for code, character in EXTENSION.items()} | {
    "": " ",  # the text ends, or is cut, behind the escape (6.2.1, note 1)
    "\x1b": " ",  # reserved for another table (6.2.1.1, note 1)
}


def encode_gsm(text: str) -> bytes | None:
    """Encode a text in GSM 03.38, one octet for each septet; 0.4 µs for 120 characters.

    Returns:
        The septets, a character of the extension table being two; None where GSM 03.38 lacks a
        character. U+001B is no character of it.
    """
    try:
        octets = codecs.charmap_encode(text, "strict", _ENCODING)[0]
    except UnicodeEncodeError:
        return None
    if 0 in octets:
        return None
    if not octets.isascii():
        for place, septets in _PLACES:
            octets = octets.replace(place, septets)
    return octets


def decode_gsm(octets: bytes) -> str:
    """Decode GSM 03.38 of one octet for each septet, as a phone shows it; never raises.

    An escape before a code that the extension table lacks gives the character of the default table;
    one before another escape, or at the end, gives a space (6.2.1.1). An octet above 0x7F is no
    septet and gives U+FFFD.
    """
    text = codecs.charmap_decode(octets, "replace", DEFAULT)[0]
    if ESCAPE in octets:
        text = _ESCAPED.sub(lambda found: _EXTENDED.get(found[1], found[1]), text)
    return text


def pack(septets: bytes, fill_bits: int = 0) -> bytes:
    """Lay septets side by side (3GPP TS 23.038, 6.1.2.1), the first in the lowest bits.

    How many there are is not part of the result: with seven bits to spare, a reader who only counts
    octets sees one `@` more.

    Args:
        septets: one octet for each, below 0x80.
        fill_bits: 0 to 6 bits, left zero before the first, so that it begins on a septet's boundary
            counted from the header's first octet (3GPP TS 23.040, 9.2.3.24).

    Raises:
        ValueError: an octet is no septet.
    """
    if not septets.isascii():
        raise ValueError("an octet above 0x7F is no septet")
    bits = 0
    for septet in reversed(septets):
        bits = bits << 7 | septet
    return (bits << fill_bits).to_bytes((len(septets) * 7 + fill_bits + 7) // 8, "little")


def unpack(octets: bytes, count: int, fill_bits: int = 0) -> bytes:
    """Undo `pack`: give `count` septets, one octet for each, or fewer if the octets end before."""
    bits = int.from_bytes(octets, "little") >> fill_bits
    count = min(count, max(len(octets) * 8 - fill_bits, 0) // 7)
    return bytes(bits >> 7 * at & 0x7F for at in range(count))
