"""Composed texts are held to a slow twin that goes character by character."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppgw.errors import InputError
from smppgw.sms.alphabet import EXTENSION, GSM, REWRITES, decode_gsm, rewrite_text
from smppgw.sms.segments import Composed, compose

EXTENDED = frozenset(EXTENSION.values())

gsm_texts = st.text(sorted(GSM - {"\r"}), max_size=700)
# Escape pairs so many that each cut place meets some.
escaping_texts = st.text("aé€[^", max_size=700)
ucs2_texts = st.text("ê🎉a", max_size=350)
any_texts = st.text(st.characters(exclude_categories=()), max_size=350)
texts = st.one_of(gsm_texts, escaping_texts, ucs2_texts, any_texts)


def width(character: str, encoding: str) -> int:
    if encoding == "gsm7":
        return 2 if character in EXTENDED else 1
    return 2 if ord(character) > 0xFFFF else 1


def cut_slowly(text: str, encoding: str) -> list[str]:
    """Cut before the first character that does not go into a part any more."""
    single, part = (160, 153) if encoding == "gsm7" else (70, 67)
    if sum(width(character, encoding) for character in text) <= single:
        return [text]
    parts = [""]
    free = part
    for character in text:
        if width(character, encoding) > free:
            parts.append("")
            free = part
        parts[-1] += character
        free -= width(character, encoding)
    return parts


def fewest_parts(text: str, encoding: str) -> int:
    """Try every way of cutting between characters."""
    single, part = (160, 153) if encoding == "gsm7" else (70, 67)
    widths = [width(character, encoding) for character in text]
    if sum(widths) <= single:
        return 1
    fewest = [0]
    for end in range(1, len(text) + 1):
        best, units, start = end, 0, end
        while start and units + widths[start - 1] <= part:
            start -= 1
            units += widths[start]
            best = min(best, fewest[start] + 1)
        fewest.append(best)
    return fewest[-1]


def read(composed: Composed) -> list[str]:
    if composed.encoding == "gsm7":
        return [decode_gsm(segment) for segment in composed.segments]
    return [segment.decode("utf-16-be") for segment in composed.segments]


def sizes(text: str) -> list[int]:
    composed = compose(text)
    units_octets = 1 if composed.encoding == "gsm7" else 2
    return [len(segment) // units_octets for segment in composed.segments]


@pytest.mark.parametrize(
    ("count", "parts"),
    [
        (0, [0]),
        (1, [1]),
        (159, [159]),
        (160, [160]),
        (161, [153, 8]),
        (305, [153, 152]),
        (306, [153, 153]),
        (307, [153, 153, 1]),
        (459, [153, 153, 153]),
        (460, [153, 153, 153, 1]),
    ],
)
def test_gsm_takes_160_septets_in_one_segment_and_153_in_each_of_several(
    count: int, parts: list[int]
) -> None:
    assert sizes("a" * count) == parts
    assert sizes("é" * count) == parts
    assert compose("@" * count).units == count


@pytest.mark.parametrize(
    ("count", "parts"),
    [
        (1, [1]),
        (69, [69]),
        (70, [70]),
        (71, [67, 4]),
        (133, [67, 66]),
        (134, [67, 67]),
        (135, [67, 67, 1]),
        (201, [67, 67, 67]),
        (202, [67, 67, 67, 1]),
    ],
)
def test_ucs2_takes_70_units_in_one_segment_and_67_in_each_of_several(
    count: int, parts: list[int]
) -> None:
    assert sizes("ê" * count) == parts
    assert compose("ê" * count).units == count


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("€" * 80, [160]),
        ("€" * 80 + "a", [152, 9]),
        ("a" * 158 + "€", [160]),
        ("a" * 159 + "€", [153, 8]),
        ("a" * 152 + "€" + "b" * 7, [152, 9]),
        ("a" * 151 + "€" + "b" * 8, [153, 8]),
        ("🎉" * 35, [70]),
        ("🎉" * 35 + "a", [66, 5]),
        ("a" * 68 + "🎉", [70]),
        ("a" * 69 + "🎉", [67, 4]),
        ("a" * 66 + "🎉" + "b" * 3, [66, 5]),
        ("a" * 65 + "🎉" + "b" * 4, [67, 4]),
    ],
)
def test_a_pair_at_the_limit_counts_two_and_moves_to_the_next_segment_as_one(
    text: str, parts: list[int]
) -> None:
    assert sizes(text) == parts


@pytest.mark.parametrize("pair", ["€", "€[", "€€€"])
@pytest.mark.parametrize("before", range(140, 165))
def test_no_escape_pair_is_cut_wherever_it_stands(before: int, pair: str) -> None:
    for first in (before, before + 153):
        composed = compose("a" * first + pair + "b" * 160)
        assert composed.encoding == "gsm7"
        assert not any(segment.endswith(b"\x1b") for segment in composed.segments)
        assert read(composed) == cut_slowly(composed.text, "gsm7")


@pytest.mark.parametrize("pair", ["🎉", "🎉🎉", "👨‍👩‍👧"])
@pytest.mark.parametrize("before", range(55, 75))
def test_no_surrogate_pair_is_cut_wherever_it_stands(before: int, pair: str) -> None:
    for first in (before, before + 67):
        composed = compose("a" * first + pair + "b" * 70)
        assert composed.encoding == "ucs2"
        assert read(composed) == cut_slowly(composed.text, "ucs2")


@pytest.mark.parametrize(
    ("text", "rewrite", "encoding", "data_coding", "segments", "forces_ucs2"),
    [
        ("", "keep", "gsm7", 0, [b""], []),
        ("@ 5 €", "keep", "gsm7", 0, [b"\x00 5 \x1be"], []),
        ("né", "keep", "gsm7", 0, [b"n\x05"], []),
        ("ê", "keep", "ucs2", 8, [b"\x00\xea"], ["ê"]),
        ("ê", "gentle", "ucs2", 8, [b"\x00\xea"], ["ê"]),
        ("ê", "full", "gsm7", 0, [b"e"], []),
        ("l’ê’", "keep", "ucs2", 8, [b"\x00l\x20\x19\x00\xea\x20\x19"], ["’", "ê"]),
        ("l’ê’", "gentle", "ucs2", 8, [b"\x00l\x00'\x00\xea\x00'"], ["ê"]),
        ("a\r\nb", "keep", "gsm7", 0, [b"a\nb"], []),
        ("e\u0301", "keep", "gsm7", 0, [b"\x05"], []),
        ("🎉", "full", "ucs2", 8, [b"\xd8\x3c\xdf\x89"], ["🎉"]),
        ("\ud83c", "full", "ucs2", 8, [b"\xff\xfd"], ["\ufffd"]),
        ("\0", "keep", "ucs2", 8, [b"\0\0"], ["\0"]),
        ("\x1b", "keep", "ucs2", 8, [b"\0\x1b"], ["\x1b"]),
    ],
)
def test_a_text_is_composed_as_a_phone_reads_it(
    text: str,
    rewrite: str,
    encoding: str,
    data_coding: int,
    segments: list[bytes],
    forces_ucs2: list[str],
) -> None:
    composed = compose(text, rewrite)
    assert composed.encoding == encoding
    assert composed.data_coding == data_coding
    assert composed.segments == segments
    assert composed.forces_ucs2 == forces_ucs2


def test_one_typographic_apostrophe_takes_a_text_of_155_characters_from_one_segment_to_three() -> (
    None
):
    text = "l’eau" + "a" * 150
    assert [len(compose(text, rewrite).segments) for rewrite in REWRITES] == [3, 1, 1]


@pytest.mark.parametrize("rewrite", REWRITES)
@given(texts)
def test_the_segments_are_those_of_the_slow_twin(rewrite: str, text: str) -> None:
    composed = compose(text, rewrite)
    assert composed.text == rewrite_text(text, rewrite)
    outside = dict.fromkeys(character for character in composed.text if character not in GSM)
    assert composed.forces_ucs2 == list(outside)
    assert composed.encoding == ("ucs2" if outside else "gsm7")
    assert composed.data_coding == (8 if outside else 0)
    assert read(composed) == cut_slowly(composed.text, composed.encoding)
    assert composed.units == sum(width(each, composed.encoding) for each in composed.text)


@settings(max_examples=50)
@given(st.one_of(escaping_texts, ucs2_texts))
def test_no_way_of_cutting_gives_fewer_segments(text: str) -> None:
    composed = compose(text)
    assert len(composed.segments) == fewest_parts(composed.text, composed.encoding)


@given(texts)
def test_a_text_that_keep_sends_in_gsm7_is_the_same_under_every_rewrite(text: str) -> None:
    kept = compose(text)
    if kept.encoding == "gsm7":
        assert compose(text, "gentle") == kept
        assert compose(text, "full") == kept


@pytest.mark.parametrize(("character", "part"), [("a", 153), ("ê", 67)])
def test_255_segments_are_sent_and_256_refused(character: str, part: int) -> None:
    assert len(compose(character * (255 * part)).segments) == 255
    with pytest.raises(InputError, match=r"256 segments.* 255 at most"):
        compose(character * (255 * part + 1))


def test_a_rewrite_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(InputError, match=r"'gentil'.*keep, gentle, full"):
        compose("a", "gentil")
