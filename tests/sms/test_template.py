"""Placeholders as people write them, and lists as people head them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw.errors import TemplateError
from smppgw.sms.template import Template, fold

HEADERS = ["Nom", "Prénom", "Portable", "Date de naissance", "Adresse_e-mail"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("Bonjour", ()),
        ("{nom}", ("nom",)),
        ("{nom} {prénom} {nom|vous}", ("nom", "prénom")),
        ("{ Date  de\nnaissance }", ("Date de naissance",)),
        ("{a}{b}", ("a", "b")),
        ("{{nom}} {{{a}}}", ("a",)),
        ("{a|}", ("a",)),
        ("{a|b|c}", ("a",)),
        ("}", ()),
    ],
)
def test_names_are_the_distinct_columns_in_order_of_appearance(
    text: str, names: tuple[str, ...]
) -> None:
    assert Template(text).names == names
    assert Template(text).text == text


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("", ""),
        ("Bonjour {a} !", "Bonjour Zoé !"),
        ("{a}{a}{b}", "ZoéZoéNoël"),
        ("{{a}} }} } {{", "{a} } } {"),
        ("{{{a}}}", "{Zoé}"),
        ("{a}}", "Zoé}"),
        ("{blank|Madame, Monsieur} x", "Madame, Monsieur x"),
        ("{missing | là }.", "là."),
        ("{a|vous}", "Zoé"),
        ("-{blank|}-", "--"),
        ("{blank|a|b}", "a|b"),
        ("{blank|x} {blank|y}", "x y"),
    ],
)
def test_values_and_defaults_stand_where_their_placeholders_stood(text: str, filled: str) -> None:
    assert Template(text).fill({"a": "Zoé", "b": "Noël", "blank": " \u00a0\t"}) == filled


def test_a_value_is_put_in_without_the_blanks_around_it_and_with_single_ones_inside() -> None:
    assert Template("<{a}>").fill({"a": "\n Le\u00a0\u00a0Goff\r\n Zoé "}) == "<Le Goff Zoé>"


def test_braces_in_a_value_mean_nothing() -> None:
    assert Template("{a} {b}").fill({"a": "{b}", "b": "{{"}) == "{b} {{"


def test_a_template_can_be_filled_again() -> None:
    template = Template("Bonjour {a|vous}.")
    assert template.fill({"a": "Zoé"}) == "Bonjour Zoé."
    assert template.fill({}) == "Bonjour vous."
    assert template.fill({"a": "Noël"}) == "Bonjour Noël."


@given(st.text("ab{} \n|"))
def test_any_text_with_its_braces_doubled_is_itself(text: str) -> None:
    template = Template(text.replace("{", "{{").replace("}", "}}"))
    assert template.names == ()
    assert template.fill({}) == text


pieces = st.one_of(
    st.text("ab |\n").map(lambda text: (text, text)),
    st.sampled_from(
        [("{{", "{"), ("}}", "}"), ("{x}", "X"), ("{y}", "Y"), ("{z|d}", "d"), ("{ x |d}", "X")]
    ),
)


@given(st.lists(pieces))
def test_a_template_of_pieces_is_filled_piece_by_piece(written: list[tuple[str, str]]) -> None:
    template = Template("".join(source for source, _ in written))
    filled = template.fill({"x": "X", "y": "Y", "z": ""})
    assert filled == "".join(result for _, result in written)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{", "at character 1 "),
        ("Bonjour {nom", "at character 9 "),
        ("a {nom {b}", "at character 3 "),
        ("{a} {b{{", "at character 5 "),
        ("a\nb { c", "at character 3 of line 2 "),
        ("a\n\nb\n{", "at character 1 of line 4 "),
        ("{\n", "at character 1 of line 1 "),
    ],
)
def test_a_brace_that_is_not_closed_is_told_with_its_place_and_the_remedy(
    text: str, place: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(text)
    assert place in str(caught.value)
    assert "{{" in str(caught.value)


@pytest.mark.parametrize("text", ["ab {}", "ab { }", "ab {|x}", "ab { \n|x}"])
def test_braces_without_a_name_are_told_with_their_place(text: str) -> None:
    with pytest.raises(TemplateError, match=r"at character 4.*no column"):
        Template(text)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("Prénom", "Prénom"),
        ("prenom", "Prénom"),
        ("PRÉNOM", "Prénom"),
        ("pre\u0301nom", "Prénom"),
        ("date_de_naissance", "Date de naissance"),
        ("Date de\nnaissance", "Date de naissance"),
        ("adresse e mail", "Adresse_e-mail"),
    ],
)
def test_a_column_is_found_whatever_its_accents_case_blanks_and_punctuation(
    name: str, header: str
) -> None:
    template = Template(f"{{{name}}}")
    assert template.bind(HEADERS) == {template.names[0]: header}


def test_what_is_bound_can_be_filled_by_name() -> None:
    template = Template("{prenom} {NOM}")
    bound = template.bind(HEADERS)
    row = {"Nom": "Le Goff", "Prénom": "Zoé"}
    assert template.fill({name: row[header] for name, header in bound.items()}) == "Zoé Le Goff"


def test_the_same_name_wins_over_one_that_is_only_alike() -> None:
    headers = ["Prénom", "PRENOM", "prenom"]
    assert Template("{PRENOM}").bind(headers) == {"PRENOM": "PRENOM"}
    assert Template("{prenom}").bind(headers) == {"prenom": "prenom"}


def test_a_name_that_is_like_two_columns_is_refused_naming_both() -> None:
    with pytest.raises(TemplateError, match=r"\{prénom\}.*“Prénom”, “PRENOM”:"):
        Template("{prénom}").bind(["Prénom", "PRENOM", "Nom"])


def test_a_name_without_a_column_is_refused_with_the_nearest_and_all_there_are() -> None:
    with pytest.raises(TemplateError) as caught:
        Template("{prenon} {nom} {rue}").bind(HEADERS)
    message = str(caught.value)
    assert "{prenon}; did you mean {Prénom}?" in message
    assert "{rue}." in message
    assert "{nom}" not in message
    assert all(f"“{header}”" in message for header in HEADERS)


def test_a_default_does_not_excuse_a_column_that_does_not_exist() -> None:
    with pytest.raises(TemplateError, match="prenon"):
        Template("{prenon|vous}").bind(HEADERS)


def test_columns_named_with_signs_alone_match_only_themselves() -> None:
    assert Template("{?}").bind(["?", "!"]) == {"?": "?"}
    with pytest.raises(TemplateError, match=re.escape("{?}")):
        Template("{?}").bind(["!", "Nom"])


def test_of_many_columns_the_first_are_listed() -> None:
    with pytest.raises(TemplateError, match="“c19” and 30 more"):
        Template("{nom}").bind([f"c{at}" for at in range(50)])


def test_numbers_given_one_by_one_have_no_columns() -> None:
    assert Template("Bonjour").bind([]) == {}
    with pytest.raises(TemplateError, match=r"\{nom\}, \{rue\}.*--to.*--recipients"):
        Template("{nom} {rue}").bind([])


@pytest.mark.parametrize("values", [{}, {"prenom": ""}, {"prenom": " \u00a0\n"}])
def test_a_blank_without_a_default_is_refused_naming_the_column_and_the_remedy(
    values: dict[str, str],
) -> None:
    with pytest.raises(TemplateError, match=r"\{prenom\}.*\{prenom\|Madame, Monsieur\}"):
        Template("Bonjour {prenom}").fill(values)


def test_no_error_tells_a_value_or_the_text() -> None:
    template = Template("SECRET {a} {b}")
    with pytest.raises(TemplateError) as blank:
        template.fill({"a": "PRIVATE", "b": ""})
    with pytest.raises(TemplateError) as unbound:
        template.bind(["c"])
    with pytest.raises(TemplateError) as unclosed:
        Template("SECRET { SECRET")
    messages = [str(caught.value) for caught in (blank, unbound, unclosed)]
    assert not any(word in message for message in messages for word in ("SECRET", "PRIVATE"))


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Prénom", "prenom"),
        ("N° de tél.", "ndetel"),
        ("ADRESSE_E-MAIL\u00a0", "adresseemail"),
        ("Straße", "strasse"),
        ("Téléphone 2", "telephone2"),
        ("ﬁn", "fin"),
        ("- !", ""),
    ],
)
def test_folding_leaves_letters_and_digits_without_accent_or_case(name: str, folded: str) -> None:
    assert fold(name) == folded
