"""A cell of a spreadsheet → a mobile number that can be written to, or the reason why not.

Hides what people and spreadsheets do to a number, and France's one plan under many calling codes:
nine digits name one line whether it is in Lille or in Saint-Denis of Réunion, but +33 reaches only
the first. phonenumbers decides what exists and what is mobile; its own patterns, compiled into one,
decide the common forms at once, and tests hold both to the same answers.

A cell is read as one number if that is possible, else cut between its groups of digits into whole
numbers, none left over. Words around numbers do not count, and no digit is ever guessed: a number
that a spreadsheet rounded is nobody's.

Pure. Sources: the metadata of phonenumbers; ITU-T E.164; ARCEP decisions 2006-0720 (Mayotte leaves
+269, which is the Comoros') and 2022-1583 (the national plan).
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberType

from smppgw.errors import NumberError

# The national plan, 0 and nine digits, is shared by these; the rest of France has plans of its own.
TRUNK_CODES: Final = (33, 262, 508, 590, 594, 596)
FRENCH_CODES: Final = (*TRUNK_CODES, 681, 687, 689)

MOBILE_TYPES: Final = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
LANDLINE_TYPES: Final = (PhoneNumberType.FIXED_LINE, PhoneNumberType.VOIP)

# What a cell without a mobile number is called; the first where it may be called several things.
KINDS: Final = ("landline", "machine", "short", "foreign", "invalid")

SHORT_DIGITS: Final = 6
LONGEST_NUMBER: Final = 20  # + and E.164's 15 digits, 00 or a (0) that should not be there
LONGEST_CELL: Final = 250  # phonenumbers' own limit

# "0", "33", "+33", "0033", "+33(0)" or nothing, then what names one line in France.
_CODES = "|".join(map(str, TRUNK_CODES))
_PREFIX = rf"(?:0|(?:\+|00)?(?:{_CODES})0?)?"
_TRUNK = re.compile(rf"{_PREFIX}([1-9]\d{{8}}|700\d{{10}})", re.ASCII)


def _mobile_pattern() -> re.Pattern[str]:
    """Compile the mobile ranges of all territories into one pattern, with a group for each code."""
    ranges = []
    for code in TRUNK_CODES:
        patterns = []
        for region in phonenumbers.region_codes_for_country_code(code):
            metadata = PhoneMetadata.metadata_for_region(region)
            if metadata is not None and metadata.mobile is not None:
                patterns.append(f"(?:{metadata.mobile.national_number_pattern})")
        ranges.append(f"(?P<c{code}>{'|'.join(patterns)})")
    return re.compile(rf"{_PREFIX}(?=\d{{9}}\Z)(?:{'|'.join(ranges)})", re.ASCII)


_MOBILE = _mobile_pattern()
_CODE_OF_GROUP: dict[str | None, str] = {f"c{code}": f"+{code}" for code in TRUNK_CODES}

# Where the plan is told by what precedes the digits; without it, nine or ten digits are national.
_ABROAD = ("+", "00", "508", "681", "687", "689")


def _regions(codes: Iterable[int]) -> frozenset[str]:
    return frozenset(
        region for code in codes for region in phonenumbers.region_codes_for_country_code(code)
    )


_FRENCH_REGIONS = _regions(FRENCH_CODES)
_TRUNK_REGIONS = _regions(TRUNK_CODES) - {"PM"}  # whose own numbers have six digits


def normalise_number(raw: str, region: str = "FR") -> str:
    """Give the one mobile number in a cell, in E.164.

    0.6 µs for digits and blanks, 9 µs with other separators or words and for landlines, 25 µs for
    two numbers or a foreign one. phonenumbers alone takes 22 µs, overseas 48, and repairs nothing.

    Args:
        raw: What stands in the cell, whatever it is.
        region: Whose national numbers are meant, as two capitals. Where that is French, the numbers
            of all of France are.

    Raises:
        NumberError: `landline`, `machine` or `short` say what the number is; `ambiguous`, that
            there are several; `invalid`, anything else, numbers of other countries included.
    """
    if region in _TRUNK_REGIONS:
        digits = raw.replace(" ", "")
        if match := _MOBILE.fullmatch(digits):
            return _CODE_OF_GROUP[match.lastgroup] + digits[-9:]
    verdict = _judge(raw, region)
    if verdict[0] == "+":
        return verdict
    raise NumberError("invalid" if verdict == "foreign" else verdict)


def is_foreign(raw: str, region: str = "FR") -> bool:
    """Tell whether what `normalise_number` calls invalid is a number of another country."""
    return _judge(raw, region) == "foreign"


def _judge(raw: str, region: str) -> str:
    """Give E.164, or what the cell holds instead: one of KINDS, or `ambiguous`."""
    found = set(_numbers(raw, region))
    mobiles = [verdict for verdict in found if verdict[0] == "+"]
    if len(mobiles) > 1:
        return "ambiguous"
    if mobiles:
        return mobiles[0]
    return min(found, key=KINDS.index, default="invalid")


# --- From a cell to the digits of each number in it ---

_SEPARATORS = frozenset(" ()[]{}<>'\"‘’“”«»:;|&_=!\\·•")
_KEPT = frozenset("+-.,/")  # these may tell a date or a decimal from a number
_UNKNOWN = "~"  # may stand for a digit, so no number goes on across it


class _Plain(dict[int, str]):
    """What `str.translate` puts in the place of each character, found out at its first use."""

    def __missing__(self, code: int) -> str:
        self[code] = plain = _plain(chr(code))
        return plain


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category[0] == "Z" or character.isspace():
        return " "
    if category[0] in "CM":  # zero-width, left-to-right mark, accent, what a terminal obeys
        return ""
    if category[0] == "L":
        return character.lower()
    if category == "Pd" or character == "\N{MINUS SIGN}":
        return "-"
    if category[0] in "PS":
        character = unicodedata.normalize("NFKC", character)  # full-width + and ( ) .
    if character in _SEPARATORS:
        return " "
    return character if character in _KEPT else _UNKNOWN


_PLAIN = _Plain()
_LETTER = r"[^\W\d_]"
_BETWEEN_NUMBERS = re.compile(rf"(?<!{_LETTER})(?:ou|et|or|and)(?!{_LETTER})|(?<=\d) \+ ")
_SCIENTIFIC = re.compile(r"([1-9])[.,](\d+) *e\+?(\d\d?)", re.ASCII)
_DATE = re.compile(
    r"(?<!\d)(?:[0-3]?\d([/.-])[01]?\d\1(?:19|20)\d\d|(?:19|20)\d\d([/.-])[01]\d\2[0-3]\d)(?!\d)",
    re.ASCII,
)
_WORDLESS = re.compile(r"[\d+\-., /]+", re.ASCII)
_WHOLE = re.compile(r"(\+?\d{9,})[.,]0+", re.ASCII)
_FRACTION = re.compile(r"(?=.{,18}\Z)[1-9]\d*[.,]\d+", re.ASCII)  # a double's 17 digits at most
_GROUP = re.compile(r"\+? *\d+", re.ASCII)


def _numbers(raw: str, region: str) -> Iterator[str]:
    """Judge each number in a cell; nothing where there is none."""
    text = " ".join(raw.translate(_PLAIN).split())
    if len(text) > LONGEST_CELL:
        return
    if match := _SCIENTIFIC.fullmatch(text):
        text = _written_out(match)
    text = _DATE.sub(_UNKNOWN, _BETWEEN_NUMBERS.sub(" ", text))
    for match in _WORDLESS.finditer(text):
        groups = _groups(match[0].strip(" -.,/"))
        glued = text[match.start() - 1 : match.start()].isalpha() and match[0][0].isdigit()
        if not groups or (glued and groups[0][0] != "0"):  # the 6 of O6 12 is not a lost zero's
            continue
        if len(match[0]) == len(text) and _is_short("".join(groups), region):
            yield "short"
        yield from _cut(groups, region)


def _written_out(match: re.Match[str]) -> str:
    """Write 6.12345678E+08 out, unless digits are missing: 6.12E+08 is rounded."""
    first, decimals, exponent = match[1], match[2], int(match[3])
    if len(decimals) < exponent or decimals[exponent:].strip("0"):
        return ""
    return first + decimals[:exponent]


def _groups(text: str) -> list[str]:
    """Take the groups of digits; + stays only where a calling code can follow."""
    if match := _WHOLE.fullmatch(text):
        text = match[1]
    elif _FRACTION.fullmatch(text):
        return []
    groups = [group.replace(" ", "") for group in _GROUP.findall(text)]
    return [group[1:] if group.startswith("+0") else group for group in groups]


def _cut(groups: list[str], region: str) -> Iterable[str]:
    """Judge the number that the groups are; else all the numbers that they can be cut into."""
    whole = "".join(groups)
    if "+" not in whole[1:] and len(whole) <= LONGEST_NUMBER:
        verdict = _read(whole, region)
        if verdict != "invalid":
            return (verdict,)
    starts, pieces = {0}, []
    for start in range(len(groups)):
        if start not in starts:
            continue
        number = ""
        for end, group in enumerate(groups[start:], start + 1):
            if number and group[0] == "+":
                break
            number += group
            if len(number) > LONGEST_NUMBER:
                break
            verdict = _read(number, region)
            if verdict != "invalid":
                starts.add(end)
                pieces.append((start, end, verdict))
    ends, verdicts = {len(groups)}, []
    for start, end, verdict in reversed(pieces):
        if end in ends:
            ends.add(start)
            verdicts.append(verdict)
    return verdicts


# --- From the digits of one number to what it is ---


def _read(number: str, region: str) -> str:
    """Judge digits, after + or not: E.164, or one of KINDS but `short` codes."""
    if region in _TRUNK_REGIONS:
        if match := _MOBILE.fullmatch(number):
            return _CODE_OF_GROUP[match.lastgroup] + number[-9:]
        if match := _TRUNK.fullmatch(number):
            return _kind_of_trunk(match[1])
        if not number.startswith(_ABROAD):
            return "invalid"
    return _ask(number, region)


def _kind_of_trunk(national: str) -> str:
    """Tell what a French number that is no mobile is, by the plan alone."""
    if national[0] in "123459":
        return "landline"
    if national[0] == "8":
        return "short"
    return "machine" if national.startswith("700") else "invalid"


def _ask(number: str, region: str) -> str:
    """Judge by phonenumbers alone: `_read` without its short cuts, and their twin."""
    verdict = _ask_as_written(number, region)
    if verdict[0] == "+" or region not in _FRENCH_REGIONS:
        return verdict
    if match := _TRUNK.fullmatch(number):
        national = match[1]
        for code in TRUNK_CODES:
            line = PhoneNumber(country_code=code, national_number=int(national))
            if phonenumbers.number_type(line) in MOBILE_TYPES:
                return f"+{code}{national}"
        return _kind_of_trunk(national)
    if number.startswith(tuple(map(str, FRENCH_CODES))):
        return _ask_as_written("+" + number, region)
    return verdict


def _ask_as_written(number: str, region: str) -> str:
    try:
        line = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return "invalid"
    kind = phonenumbers.number_type(line)  # UNKNOWN unless the number is valid
    if kind == PhoneNumberType.UNKNOWN:
        return "invalid"
    if line.country_code not in _home_codes(region):
        return "foreign"
    if kind in MOBILE_TYPES:
        return phonenumbers.format_number(line, phonenumbers.PhoneNumberFormat.E164)
    return "landline" if kind in LANDLINE_TYPES else "short"


def _home_codes(region: str) -> tuple[int, ...]:
    if region in _FRENCH_REGIONS:
        return FRENCH_CODES
    return (phonenumbers.country_code_for_region(region),)


def _is_short(digits: str, region: str) -> bool:
    """Tell a short code, of the region or, where that is French, of France."""
    if len(digits) > SHORT_DIGITS or digits[0] == "0" or not digits.isdecimal():
        return False
    for each in {region, "FR"} if region in _FRENCH_REGIONS else {region}:
        line = PhoneNumber(phonenumbers.country_code_for_region(each), int(digits))
        if phonenumbers.is_valid_short_number_for_region(line, each):
            return True
    return False
