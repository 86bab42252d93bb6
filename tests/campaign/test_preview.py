"""Which characters cost, what is cheaper, and which texts are shown."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw.campaign.preview import Example, Examples, costly, pieces
from smppgw.sms import compose
from smppgw.sms.alphabet import rewrite_text


def example(row: int, segments: int = 1, units: int = 10) -> Example:
    return Example(row, f"text {row}", "gsm7", segments, units)


def test_costly_characters_are_named_once_with_the_mildest_rewrite_that_helps() -> None:
    found = costly("L’été d’Eloïse : «\u00a0fête\u00a0» à 3 €, n° 12, 37° 😀")
    assert [(one.name, one.rewrite, one.replacement) for one in found if not one.doubles] == [
        ("’", "gentle", "'"),
        ("ï", "full", "i"),
        ("«", "gentle", '"'),
        ("no-break space", "gentle", " "),
        ("ê", "full", "e"),
        ("»", "gentle", '"'),
        ("°", "full", "o"),
        ("°", "full", "deg"),
        ("😀", None, "😀"),
    ]
    assert [one.name for one in found if one.doubles] == ["€"]


def test_characters_that_show_nothing_have_a_name() -> None:
    names = [one.name for one in costly("a\u202f\u200b\ufeff\x07\u2003\t\u00ad")]
    assert names == [
        "narrow no-break space", "zero-width space", "byte order mark", "u+0007", "em space",
        "tabulator", "soft hyphen",
    ]  # fmt: skip


def test_placeholders_cost_nothing_but_their_defaults_do() -> None:
    assert costly("Bonjour {prenom}, {rue|ici}") == []
    assert [one.name for one in costly("{prénom ê|Chère amie ô}")] == ["ô"]
    assert [one.name for one in costly("{{ouvert}}")] == ["{", "}"]


@given(st.text(st.sampled_from("abé’ê€[\u00a0😀°1{}|\r\n\u0301e"), max_size=40))
def test_pieces_are_the_whole_text_and_mark_just_what_costs(text: str) -> None:
    found = list(pieces(text))
    assert "".join(piece.text for piece in found) == rewrite_text(text, "keep")
    assert all(one.costly != other.costly for one, other in pairwise(found))
    for piece in found:
        plain = compose(piece.text)
        assert piece.costly == (plain.encoding == "ucs2" or plain.units > len(plain.text))


@pytest.mark.parametrize(
    ("text", "marked"),
    [("{a}€{b|ê}{{", "€{{"), ("{a", "{"), ("}}{{a}}", "}}{{}}"), ("plain", "")],
)
def test_placeholders_are_not_marked_and_braces_are(text: str, marked: str) -> None:
    assert "".join(one.text for one in pieces(text, template=True) if one.costly) == marked


def test_the_longest_the_shortest_and_three_texts_from_all_over_the_list_are_shown() -> None:
    examples = Examples()
    sizes = {77: (3, 200), 500: (1, 4)}
    for row in range(1, 1001):
        examples.add(example(row, *sizes.get(row, (2, 170))))
    assert [(name, one.row) for name, one in examples.named()] == [
        ("longest", 77), ("shortest", 500), ("example", 128), ("example", 256), ("example", 512),
    ]  # fmt: skip


def test_segments_tell_the_longest_before_units_do() -> None:
    examples = Examples()
    for one in (example(1, 1, 160), example(2, 2, 71), example(3, 2, 72)):
        examples.add(one)
    assert [one.row for _, one in examples.named()][:2] == [3, 1]


def test_no_row_is_shown_twice_and_none_where_there_is_none() -> None:
    examples = Examples()
    assert list(examples.named()) == []
    examples.add(example(1))
    assert [(name, one.row) for name, one in examples.named()] == [("longest", 1)]
