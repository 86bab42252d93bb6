"""The tables are compared with the standard's, the codec with one that is written plainly."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smppgw.sms import alphabet
from smppgw.sms.alphabet import (
    BEHIND_A_DIGIT,
    DEFAULT,
    EXTENSION,
    FULL,
    GENTLE,
    GSM,
    JOINERS,
    REWRITES,
    decode_gsm,
    encode_gsm,
    outside_gsm,
    pack,
    rewrite_text,
    unpack,
)

# 3GPP TS 23.038, 6.2.1, by the names that Unicode gives; every code not here is as in ASCII.
NOT_AS_IN_ASCII = {
    0x00: "COMMERCIAL AT",
    0x01: "POUND SIGN",
    0x02: "DOLLAR SIGN",
    0x03: "YEN SIGN",
    0x04: "LATIN SMALL LETTER E WITH GRAVE",
    0x05: "LATIN SMALL LETTER E WITH ACUTE",
    0x06: "LATIN SMALL LETTER U WITH GRAVE",
    0x07: "LATIN SMALL LETTER I WITH GRAVE",
    0x08: "LATIN SMALL LETTER O WITH GRAVE",
    0x09: "LATIN CAPITAL LETTER C WITH CEDILLA",
    0x0B: "LATIN CAPITAL LETTER O WITH STROKE",
    0x0C: "LATIN SMALL LETTER O WITH STROKE",
    0x0E: "LATIN CAPITAL LETTER A WITH RING ABOVE",
    0x0F: "LATIN SMALL LETTER A WITH RING ABOVE",
    0x10: "GREEK CAPITAL LETTER DELTA",
    0x11: "LOW LINE",
    0x12: "GREEK CAPITAL LETTER PHI",
    0x13: "GREEK CAPITAL LETTER GAMMA",
    0x14: "GREEK CAPITAL LETTER LAMDA",
    0x15: "GREEK CAPITAL LETTER OMEGA",
    0x16: "GREEK CAPITAL LETTER PI",
    0x17: "GREEK CAPITAL LETTER PSI",
    0x18: "GREEK CAPITAL LETTER SIGMA",
    0x19: "GREEK CAPITAL LETTER THETA",
    0x1A: "GREEK CAPITAL LETTER XI",
    0x1C: "LATIN CAPITAL LETTER AE",
    0x1D: "LATIN SMALL LETTER AE",
    0x1E: "LATIN SMALL LETTER SHARP S",
    0x1F: "LATIN CAPITAL LETTER E WITH ACUTE",
    0x24: "CURRENCY SIGN",
    0x40: "INVERTED EXCLAMATION MARK",
    0x5B: "LATIN CAPITAL LETTER A WITH DIAERESIS",
    0x5C: "LATIN CAPITAL LETTER O WITH DIAERESIS",
    0x5D: "LATIN CAPITAL LETTER N WITH TILDE",
    0x5E: "LATIN CAPITAL LETTER U WITH DIAERESIS",
    0x5F: "SECTION SIGN",
    0x60: "INVERTED QUESTION MARK",
    0x7B: "LATIN SMALL LETTER A WITH DIAERESIS",
    0x7C: "LATIN SMALL LETTER O WITH DIAERESIS",
    0x7D: "LATIN SMALL LETTER N WITH TILDE",
    0x7E: "LATIN SMALL LETTER U WITH DIAERESIS",
    0x7F: "LATIN SMALL LETTER A WITH GRAVE",
}
# 6.2.1.1
BEHIND_THE_ESCAPE = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}

FRENCH_IN_GSM = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZéèàùÉÇäöüæøåñìòßÄÖÜÆØÅÑ"
FRENCH_OUTSIDE_GSM = "çêëîïôœûâÿÀÂÈÊËÎÏÔŒÙÛŸ"
SIGNS_OUTSIDE_GSM = "’‘«»“”–—…°•²³µ`ºª\u00a0\u202f"

# Everything that a table knows, beside whatever Unicode has, halves of surrogate pairs included.
known = "".join(alphabet._TABLES["full"]) + "".join(JOINERS) + "".join(GSM) + "\r\n🎉👨\u0301\u0302"
characters = st.one_of(st.sampled_from(sorted(known)), st.characters(exclude_categories=()))
texts = st.text(characters, max_size=60)
gsm_texts = st.text(sorted(GSM))


def octets_of(text: str) -> bytes:
    octets = encode_gsm(text)
    assert octets is not None
    return octets


def standard(code: int) -> str:
    return unicodedata.lookup(NOT_AS_IN_ASCII[code]) if code in NOT_AS_IN_ASCII else chr(code)


@pytest.mark.parametrize("code", [code for code in range(0x80) if code != 0x1B])
def test_each_code_of_the_default_table_is_the_standards(code: int) -> None:
    assert octets_of(standard(code)) == bytes([code])
    assert decode_gsm(bytes([code])) == standard(code)


@pytest.mark.parametrize(("character", "code"), BEHIND_THE_ESCAPE.items())
def test_each_character_of_the_extension_table_is_an_escape_and_the_standards_code(
    character: str, code: int
) -> None:
    assert octets_of(character) == bytes([0x1B, code])
    assert decode_gsm(bytes([0x1B, code])) == character


def test_no_other_character_of_unicode_is_in_gsm() -> None:
    standards = {standard(code) for code in range(0x80) if code != 0x1B} | set(BEHIND_THE_ESCAPE)
    assert standards == GSM
    assert len(standards) == 127 + 10
    encodable = {
        character for character in map(chr, range(0x110000)) if encode_gsm(character) is not None
    }
    assert encodable == standards


def test_the_french_letters_and_signs_that_gsm_has_and_lacks_are_known() -> None:
    assert outside_gsm(FRENCH_IN_GSM) == []
    assert outside_gsm(FRENCH_OUTSIDE_GSM) == list(FRENCH_OUTSIDE_GSM)
    assert outside_gsm(SIGNS_OUTSIDE_GSM) == list(SIGNS_OUTSIDE_GSM)


def test_characters_that_gsm_lacks_are_listed_once_in_order_of_appearance() -> None:
    assert outside_gsm("Fête à l’île, fête d’août") == ["ê", "’", "î", "û"]


@given(gsm_texts)
def test_a_text_is_its_characters_encoded_one_by_one(text: str) -> None:
    assert octets_of(text) == b"".join(map(octets_of, text))


@given(gsm_texts)
def test_decoding_undoes_encoding(text: str) -> None:
    assert decode_gsm(octets_of(text)) == text


@given(texts)
def test_a_text_is_encoded_exactly_if_gsm_has_all_its_characters(text: str) -> None:
    assert (encode_gsm(text) is None) == bool(outside_gsm(text)) == bool(set(text) - GSM)


@pytest.mark.parametrize("code", sorted(set(range(0x80)) - set(EXTENSION) - {0x1B}))
def test_an_escape_before_an_unknown_code_shows_the_character_of_the_default_table(
    code: int,
) -> None:
    assert decode_gsm(bytes([0x1B, code])) == DEFAULT[code]


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"a\x1b", "a "),
        (b"\x1b\x1be", " e"),
        (b"\x1b\x1b\x1be", " €"),
        (b"\x1b\x00", "@"),
        (b"a\x80\xffb", "a\ufffd\ufffdb"),
        (b"", ""),
    ],
)
def test_octets_that_are_no_text_are_shown_as_a_phone_shows_them(octets: bytes, text: str) -> None:
    assert decode_gsm(octets) == text


@given(st.binary())
def test_decoding_takes_any_octets(octets: bytes) -> None:
    assert len(decode_gsm(octets)) <= len(octets)


# --- Rewrites ---


def test_no_row_of_a_rewrite_touches_what_gsm_has() -> None:
    for table in alphabet._TABLES.values():
        assert not GSM & table.keys()
    assert not GSM & JOINERS


def test_every_row_of_a_rewrite_gives_what_gsm_has_and_a_reason() -> None:
    for table in (*alphabet._TABLES.values(), BEHIND_A_DIGIT):
        assert outside_gsm("".join(table.values())) == []
    assert all(reason for rows in (GENTLE, FULL) for _, _, reason in rows)


def test_no_character_is_in_two_rows_of_the_rewrites() -> None:
    listed = "".join(characters for rows in (GENTLE, FULL) for characters, _, _ in rows)
    assert len(set(listed)) == len(listed)


def test_whatever_changes_behind_a_digit_changes_elsewhere_too() -> None:
    assert BEHIND_A_DIGIT.keys() <= alphabet._TABLES["full"].keys()


@pytest.mark.parametrize(
    ("text", "gentle"),
    [
        ("l’eau d‘ici", "l'eau d'ici"),
        ("« Salle »", '" Salle "'),
        ("“Salle” „a‟", '"Salle" "a"'),
        ("‹a› `b´", "'a' 'b'"),
        ("10–12, a — b, c\u2011d, −3", "10-12, a - b, c-d, -3"),
        ("à suivre…", "à suivre..."),
        ("14\u00a0h\u202f: a\u2009b\u3000c\td", "14 h : a b c d"),
        ("a\u2028b\vc", "a\nb\nc"),
        ("cœur, Œuvre", "coeur, OEuvre"),
        ("oﬃciel, ﬁn", "officiel, fin"),
        ("• a\n▪ b", "- a\n- b"),
        ("→ mairie", "-> mairie"),
        ("ci\u00adté\u200b \ufeffici\u2060\ufffc", "cité ici"),
        ("a\x00b\x1bc\x7f", "abc"),
    ],
)
def test_gentle_and_full_replace_what_word_and_phones_insert(text: str, gentle: str) -> None:
    assert rewrite_text(text, "gentle") == gentle
    assert rewrite_text(text, "full") == gentle
    assert rewrite_text(text, "keep") == text
    assert encode_gsm(gentle) is not None


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("Fête à Noël, ça gèle là-bas, maïs", "Fete à Noel, ca gèle là-bas, mais"),
        ("ÀÂÈÊËÎÏÔÙÛŸ âêëîïôûÿç", "AAEEEIIOUUY aeeiiouyc"),
        ("Çà, É, Ñ, ü, Ø, æ, ß", "Çà, É, Ñ, ü, Ø, æ, ß"),
        ("Łódź, İzmir, Đorđe, Straẞe", "Lodz, Izmir, Dorde, StraSSe"),
        ("ǘ ế ḉ Ḉ ǻ", "ü e c Ç å"),
        ("n° 5, Nº 6", "no 5, No 6"),
        ("37°C, 37 °, 1º", "37degC, 37 deg, 1deg"),
        ("12 m², 5 m³, 10² µg", "12 m2, 5 m3, 10^2 ug"),
        ("½ h, 1½ h", "1/2 h, 1 1/2 h"),
        ("1ᵉʳ mai, CO₂, ™", "1er mai, CO2, TM"),
        ("𝗙ê𝘁𝗲", "Fete"),
        ("x\u0302y", "xy"),
        ("4 × 3 ≥ 10", "4 x 3 >= 10"),
    ],
)
def test_full_also_takes_away_what_gsm_lacks(text: str, full: str) -> None:
    assert rewrite_text(text, "full") == full
    assert encode_gsm(full) is not None


def test_gentle_keeps_the_accents_that_full_takes_away() -> None:
    assert rewrite_text(FRENCH_OUTSIDE_GSM, "gentle") == "çêëîïôoeûâÿÀÂÈÊËÎÏÔOEÙÛŸ"


def test_full_brings_every_letter_with_a_gsm_letter_under_its_accents_into_gsm() -> None:
    left = [
        character
        for character in map(chr, range(0x110000))
        if character.isalpha()
        and unicodedata.normalize("NFD", character)[0] in GSM
        and encode_gsm(rewrite_text(character, "full")) is None
    ]
    assert left == []


@given(st.text(FRENCH_IN_GSM + FRENCH_OUTSIDE_GSM + SIGNS_OUTSIDE_GSM + " .,;:!?'\n0123456789€"))
def test_french_under_full_is_always_in_gsm(text: str) -> None:
    assert encode_gsm(rewrite_text(text, "full")) is not None
    decomposed = unicodedata.normalize("NFD", text)
    assert encode_gsm(rewrite_text(decomposed, "full")) is not None


@pytest.mark.parametrize("rewrite", REWRITES)
@pytest.mark.parametrize("text", ["🎉", "👨‍👩‍👧", "❤️", "Привет", "你好", "مرحبا", "≠", "\ufffd"])
def test_what_has_no_likeness_in_gsm_stays_as_it_is(text: str, rewrite: str) -> None:
    assert rewrite_text(text, rewrite) == text


@pytest.mark.parametrize("rewrite", ["gentle", "full"])
def test_a_mark_of_direction_goes_where_it_alone_would_force_ucs2(rewrite: str) -> None:
    number = "Appelez le \u202d06 00 00 00 01\u202c."
    assert rewrite_text(number, rewrite) == "Appelez le 06 00 00 00 01."
    assert rewrite_text(number, "keep") == number
    assert rewrite_text("▪\ufe0f a", rewrite) == "- a"
    assert rewrite_text(number + "\u200f مرحبا", rewrite) == number + "\u200f مرحبا"


@pytest.mark.parametrize("rewrite", REWRITES)
def test_line_ends_and_decomposed_accents_are_made_uniform_under_every_rewrite(
    rewrite: str,
) -> None:
    assert rewrite_text("a\r\nb\rc\n\r\nd", rewrite) == "a\nb\nc\n\nd"
    assert rewrite_text("ne\u0301e", rewrite) == "née"


@pytest.mark.parametrize("rewrite", REWRITES)
@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("a\ud83d", "a\ufffd"),
        ("\ude00b", "\ufffdb"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("\ud83d\ud83d\ude00", "\ufffd😀"),
        ("a\ud83d\ude00b", "a😀b"),
    ],
)
def test_halves_of_surrogate_pairs_are_joined_or_shown_as_damage(
    text: str, whole: str, rewrite: str
) -> None:
    assert rewrite_text(text, rewrite) == whole


@pytest.mark.parametrize("rewrite", REWRITES)
@given(texts)
@example("œ\u0301")
@example("e\u200b\u0301")
@example("e\u200d\u0301")
@example("1\u200b²°")
def test_rewriting_again_changes_nothing(rewrite: str, text: str) -> None:
    once = rewrite_text(text, rewrite)
    assert rewrite_text(once, rewrite) == once


@given(texts)
def test_keep_changes_no_composed_text(text: str) -> None:
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    composed = unicodedata.normalize("NFC", whole.replace("\r", ""))
    assert rewrite_text(composed, "keep") == composed


@pytest.mark.parametrize("rewrite", REWRITES)
@given(gsm_texts)
def test_no_rewrite_changes_a_text_that_gsm_has(rewrite: str, text: str) -> None:
    text = text.replace("\r", "")
    assert rewrite_text(text, rewrite) == text


@pytest.mark.parametrize("rewrite", REWRITES)
@given(texts)
def test_a_rewritten_text_is_composed_and_encodable(rewrite: str, text: str) -> None:
    rewritten = rewrite_text(text, rewrite)
    assert unicodedata.is_normalized("NFC", rewritten)
    assert "\r" not in rewritten
    rewritten.encode("utf-16-be")


# --- Packing ---


@pytest.mark.parametrize(
    ("text", "fill_bits", "packed"),
    [
        ("", 0, ""),
        ("a", 0, "61"),
        ("hellohello", 0, "e8329bfd4697d9ec37"),
        ("1234567", 0, "31d98c56b3dd00"),
        ("12345678", 0, "31d98c56b3dd70"),
        ("a", 1, "c2"),
        ("aa", 1, "c261"),
    ],
)
def test_septets_are_packed_as_the_standard_shows(text: str, fill_bits: int, packed: str) -> None:
    assert pack(octets_of(text), fill_bits).hex() == packed


septets = st.binary().map(lambda octets: bytes(octet & 0x7F for octet in octets))


@given(septets, st.integers(0, 6))
def test_packed_bits_are_those_of_the_septets_in_order(octets: bytes, fill_bits: int) -> None:
    bits = "".join(f"{octet:08b}"[::-1] for octet in pack(octets, fill_bits))
    plainly = "0" * fill_bits + "".join(f"{octet:07b}"[::-1] for octet in octets)
    assert bits.rstrip("0") == plainly.rstrip("0")
    assert len(plainly) <= len(bits) < len(plainly) + 8


@given(septets, st.integers(0, 6))
def test_unpacking_undoes_packing(octets: bytes, fill_bits: int) -> None:
    assert unpack(pack(octets, fill_bits), len(octets), fill_bits) == octets


@given(st.binary(), st.integers(0, 300), st.integers(0, 6))
def test_unpacking_gives_no_septet_that_is_not_there(
    octets: bytes, count: int, fill_bits: int
) -> None:
    unpacked = unpack(octets, count, fill_bits)
    assert len(unpacked) == min(count, max(8 * len(octets) - fill_bits, 0) // 7)
    assert unpacked.isascii()


def test_an_octet_that_is_no_septet_is_not_packed() -> None:
    with pytest.raises(ValueError, match="septet"):
        pack(b"a\x80")
