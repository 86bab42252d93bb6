"""Cells as people write them and spreadsheets spoil them."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw.errors import NumberError
from smppgw.sms import numbers
from smppgw.sms.numbers import is_foreign, normalise_number

MOBILE = "+33600001122"
REASONS = {"invalid", "landline", "machine", "short", "ambiguous"}


def outcome(raw: str, region: str = "FR") -> str:
    """E.164, or the reason."""
    try:
        return normalise_number(raw, region)
    except NumberError as error:
        return error.reason


# --- One mobile number, however written ---


@pytest.mark.parametrize(
    "raw",
    [
        "06 00 00 11 22",
        "06.00.00.11.22",
        "06-00-00-11-22",
        "06/00/00/11/22",
        "06,00,00,11,22",
        "06_00_00_11_22",
        "06 – 00 – 00 – 11 – 22",
        "0600 00 11 22",
        "060 000 1122",
        "06.00001122",
        "(06) 00 00 11 22",
        "(0)6 00 00 11 22",
        "  0600001122  ",
        "0 6 0 0 0 0 1 1 2 2",
        "+33 6 00 00 11 22",
        "+33600001122",
        "+ 33 6 00 00 11 22",
        "(+33) 6 00 00 11 22",
        "33600001122",
        "0033 6 00 00 11 22",
        "00 33 6 00 00 11 22",
        "+0033600001122",
        "+0600001122",
        "+33(0)6 00 00 11 22",
        "+33 (0)6.00.00.11.22",
        "+33 0 6 00 00 11 22",
        "0033 (0) 6 00 00 11 22",
        "33 06 00 00 11 22",
    ],
)
def test_a_french_mobile_is_read_in_every_form_that_people_write(raw: str) -> None:
    assert outcome(raw) == MOBILE


@pytest.mark.parametrize(
    "raw",
    [
        "600001122",
        "6 00 00 11 22",
        "600 001 122",
        "600.001.122",
        "6.00001122E+08",
        "6,00001122E+08",
        "6.00001122e8",
        "6.0000112200E+08",
        "3.3600001122E+10",
        "600001122.0",
        "600001122,00",
        "0600001122.0",
        "33600001122.0",
        "'0600001122",
        "’0600001122",
        '"0600001122"',
    ],
)
def test_what_excel_does_to_a_number_is_repaired(raw: str) -> None:
    assert outcome(raw) == MOBILE


@pytest.mark.parametrize(
    "raw",
    [
        "06\N{NO-BREAK SPACE}00\N{NO-BREAK SPACE}00\N{NO-BREAK SPACE}11\N{NO-BREAK SPACE}22",
        "06\N{NARROW NO-BREAK SPACE}00\N{NARROW NO-BREAK SPACE}00 11 22",
        "06\N{THIN SPACE}00\N{FIGURE SPACE}00\t11\r\n22",
        "\N{ZERO WIDTH SPACE}06000\N{ZERO WIDTH NON-JOINER}01122\N{ZERO WIDTH NO-BREAK SPACE}",
        "\N{LEFT-TO-RIGHT EMBEDDING}+33600001122\N{POP DIRECTIONAL FORMATTING}",
        "\N{LEFT-TO-RIGHT MARK}06 00 00 11 22",
        "06\N{NON-BREAKING HYPHEN}00\N{EN DASH}00\N{MINUS SIGN}11\N{SOFT HYPHEN}22",
        "０６００００１１２２",
        "06 00 ００ １１ 22",
        "＋３３（０）６．００．００．１１．２２",
        "٠٦٠٠٠٠١١٢٢",
        "0\x00600001122",
        "📱 06 00 00 11 22",
        "0\ufe0f\u20e36 00 00 11 22",
    ],
)
def test_invisible_and_foreign_characters_do_not_hide_a_number(raw: str) -> None:
    assert outcome(raw) == MOBILE


@pytest.mark.parametrize(
    "raw",
    [
        "tel:0600001122",
        "tel:+33-6-00-00-11-22",
        "Tél : 06 00 00 11 22",
        "TÉL.0600001122",
        "Te\N{COMBINING ACUTE ACCENT}l. 06 00 00 11 22",
        "port. 06 00 00 11 22",
        "06 00 00 11 22 (maman)",
        "06 00 00 11 22 - bureau 12",
        "Mme Petit, 3 enfants : 06 00 00 11 22, le soir après 18h",
        "né le 12/05/1960 06 00 00 11 22",
        "0600001122;",
        "- 06 00 00 11 22 -",
    ],
)
def test_words_around_a_number_do_not_count(raw: str) -> None:
    assert outcome(raw) == MOBILE


@pytest.mark.parametrize(
    ("national", "e164"),
    [
        ("0690001234", "+590690001234"),
        ("0691301234", "+590691301234"),
        ("0694001234", "+594694001234"),
        ("0696001234", "+596696001234"),
        ("0697001234", "+596697001234"),
        ("0692001234", "+262692001234"),
        ("0693001234", "+262693001234"),
        ("0639001234", "+262639001234"),
        ("0709001234", "+590709001234"),
        ("0709101234", "+596709101234"),
        ("0709201234", "+262709201234"),
        ("0709301234", "+594709301234"),
        ("0709351234", "+262709351234"),
        ("0708401234", "+508708401234"),
        ("0600001122", "+33600001122"),
        ("0730001122", "+33730001122"),
    ],
)
def test_an_overseas_mobile_gets_its_own_calling_code_in_every_form(
    national: str, e164: str
) -> None:
    code, nine = e164.removesuffix(national[1:]), national[1:]
    pairs = " ".join((national[:4], national[4:6], national[6:8], national[8:]))
    forms = (national, nine, pairs, f"'{pairs}", pairs.replace(" ", "."), f"{nine}.0")
    international = (e164, e164[1:], f"00{e164[1:]}", f"{code} (0){nine}", f"{code} 0 {nine}")
    by_mistake = (f"+33{nine}", f"+33 {pairs}", f"0033{nine}", f"+33(0){nine}", f"33{nine}")
    for raw in (*forms, *international, *by_mistake):
        for region in ("FR", "RE", "GP", "MQ", "GF", "YT", "BL", "MF", "PM", "NC"):
            assert outcome(raw, region) == e164, (raw, region)


@pytest.mark.parametrize(
    ("raw", "e164"),
    [
        ("+508 55 12 34", "+508551234"),
        ("00 508 55 12 34", "+508551234"),
        ("+687 75 12 34", "+687751234"),
        ("+689 87 00 00 11", "+68987000011"),
        ("68987000011", "+68987000011"),
        ("+681 82 12 34", "+681821234"),
    ],
)
def test_a_french_territory_with_a_plan_of_its_own_is_reached_by_its_calling_code(
    raw: str, e164: str
) -> None:
    assert outcome(raw) == e164


@pytest.mark.parametrize(
    ("raw", "region", "e164"),
    [
        ("55 12 34", "PM", "+508551234"),
        ("75 12 34", "NC", "+687751234"),
        ("87 00 00 11", "PF", "+68987000011"),
        ("06 00 00 11 22", "PF", MOBILE),
        ("0470 00 00 11", "BE", "+32470000011"),
        ("+32 470 00 00 11", "BE", "+32470000011"),
        ("078 600 00 11", "CH", "+41786000011"),
        ("(201) 555-0123", "US", "+12015550123"),
    ],
)
def test_national_numbers_are_those_of_the_region(raw: str, region: str, e164: str) -> None:
    assert outcome(raw, region) == e164


# --- No mobile number ---


@pytest.mark.parametrize(
    "raw",
    [
        "01 00 00 11 22",
        "0200001122",
        "300001122",
        "04.00.00.11.22",
        "+33 5 00 00 11 22",
        "0033 9 00 00 11 22",
        "0590 20 12 34",
        "0262 20 12 34",
        "+262 262 20 12 34",
        "+33 596 30 12 34",
        "+687 25 12 34",
        "tél. fixe 01 00 00 11 22",
        "01 00 00 11 22 / 02 00 00 11 22",
        "0800 00 11 22 / 01 00 00 11 22",
        "+32 470 00 00 11 ou 01 00 00 11 22",
    ],
)
def test_a_landline_is_called_one(raw: str) -> None:
    assert outcome(raw) == "landline"


@pytest.mark.parametrize(
    "raw",
    [
        "07 00 00 00 11 22 33",
        "07000000112233",
        "7000000112233",
        "+33 700 0000112233",
        "0033 700 0000112233",
        "+262 700 0000112233",
        "0700 00 11 22",
        "+33 700 00 11 22",
    ],
)
def test_a_number_of_0700_is_a_machine(raw: str) -> None:
    assert outcome(raw) == "machine"


@pytest.mark.parametrize(
    "raw",
    [
        "15", "112", "116 117", "3949", "36 05", "36105", "38 000", "118 000",
        "0800 00 11 22", "0836 00 11 22", "08.90.00.11.22", "+33 8 00 00 11 22", "800001122",
    ],
)  # fmt: skip
def test_short_codes_and_special_services_are_called_short(raw: str) -> None:
    assert outcome(raw) == "short"
    assert outcome(raw, "RE") == "short"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "   ",
        "néant",
        "voir sa fille",
        "-",
        "+",
        "0",
        "06",
        "06 00 00",
        "06 00 00 11 2",
        "06 00 00 11 22 3",
        "06 00 00 11 22 33",
        "1 06 00 00 11 22",
        "0701 00 11 22",
        "0710 00 11 22",
        "0720 00 11 22",
        "0699",
        "00 00 00 00 00",
        "+33 6 00 00 11 2",
        "+33 6 00 00 11 22 3",
        "0033",
        "1+1",
        "+112",
        "1" * 300,
        "06 " * 100,
        "15 rue Haute",
        "SIRET 123 456 789 00012",
    ],
)
def test_too_few_or_too_many_digits_and_words_are_invalid(raw: str) -> None:
    assert outcome(raw) == "invalid"


@pytest.mark.parametrize(
    "raw",
    [
        "12/05/2024",
        "12.05.2024",
        "2024-05-12",
        "2024-05-12 00:00:00",
        "06/01/2024 10",
        "06-01-2024 10",
        "2024-05-12 06:00:00",
        "12:30",
    ],
)
def test_a_date_is_no_number_even_where_its_digits_would_make_one(raw: str) -> None:
    assert outcome(raw) == "invalid"


@pytest.mark.parametrize(
    "raw",
    [
        "6E+08",
        "6.12E+08",
        "6.1234568E+08",
        "6.00001122E+09",
        "6.00001122E-08",
        "6.000011225E+08",
        "3.36E+10",
        "6E99",
        "600001122.5",
        "60000112.2",
        "60000112,2",
        "6.00001122",
    ],
)
def test_a_number_that_was_rounded_or_cut_by_excel_is_nobodys(raw: str) -> None:
    assert outcome(raw) == "invalid"


@pytest.mark.parametrize(
    "raw",
    ["O6 00 00 11 22", "06 OO OO 11 22", "06 00 00 1l 22", "06 00 00 ** 22", "6? 00 00 11 22",
     "06 xx xx 11 22", "06 00 00 11 2²", "C600001122", "€600001122.50"],
)  # fmt: skip
def test_no_digit_is_guessed_where_another_sign_stands(raw: str) -> None:
    assert outcome(raw) == "invalid"


@pytest.mark.parametrize(
    ("raw", "region"),
    [
        ("+32 470 00 00 11", "FR"),
        ("0032470000011", "FR"),
        ("+41 78 600 00 11", "FR"),
        ("+49 1512 3456789", "FR"),
        ("+49 30 123456", "FR"),
        ("+269 321 00 11", "FR"),
        ("+269 321 00 11", "YT"),
        ("00269 321 00 11", "YT"),
        ("tel. Bruxelles : +32 470 00 00 11", "FR"),
        ("+32 470 00 00 11 / +41 78 600 00 11", "FR"),
        ("+33 6 00 00 11 22", "BE"),
    ],
)
def test_a_number_of_another_country_is_left_out_and_known_for_what_it_is(
    raw: str, region: str
) -> None:
    assert outcome(raw, region) == "invalid"
    assert is_foreign(raw, region)


@pytest.mark.parametrize(
    "raw", ["06 00 00 11 22", "01 00 00 11 22", "néant", "", "+32 470", "+269 639 00 11 22", "15"]
)
def test_what_is_french_or_no_number_at_all_is_not_foreign(raw: str) -> None:
    assert not is_foreign(raw)


# --- Several numbers in a cell ---

BETWEEN = (" / ", "/", " ou ", " et ", ";", ", ", ",", "\n", " - ", "   ", " ", " | ", " & ", " + ")
TWO_FORMS = ("06 00 00 11 {}", "06000011{}", "6000011{}", "+33 6 00 00 11 {}", "06.00.00.11.{}")


@pytest.mark.parametrize("between", [*BETWEEN, " (Paul), ", " puis ", "ou"])
@pytest.mark.parametrize("first", TWO_FORMS)
@pytest.mark.parametrize("second", TWO_FORMS)
def test_two_mobiles_in_a_cell_are_ambiguous_and_the_same_twice_is_one(
    between: str, first: str, second: str
) -> None:
    assert outcome(first.format(22) + between + second.format(33)) == "ambiguous"
    if between == "ou" and second.startswith("6"):
        return  # digits glued to a letter are a number only with their 0 or +
    assert outcome(first.format(22) + between + second.format(22)) == MOBILE


@pytest.mark.parametrize("between", BETWEEN)
def test_the_one_mobile_of_a_cell_is_meant_whatever_else_can_be_called_there(between: str) -> None:
    for other in ("01 00 00 11 22", "+32 470 00 00 11", "0800 00 11 22", "07 00 00 00 11 22 33"):
        assert outcome(f"06 00 00 11 22{between}{other}") == MOBILE
        assert outcome(f"{other}{between}06 00 00 11 22") == MOBILE


@pytest.mark.parametrize("between", BETWEEN)
def test_a_second_number_cut_short_leaves_the_whole_cell_to_a_person(between: str) -> None:
    assert outcome(f"06 00 00 11 22{between}33") == "invalid"


def test_three_numbers_of_which_two_are_the_same_are_ambiguous() -> None:
    assert outcome("06 00 00 11 22 / +33600001122 / 06 00 00 11 33") == "ambiguous"


# --- What the module owes to phonenumbers, and to any string ---


def test_the_short_cuts_say_what_phonenumbers_says_for_every_prefix_and_length() -> None:
    for prefix in range(10_000):
        for length in (9, 10, 11):
            number = f"{prefix:04d}{'0011223':.{length - 4}}"
            assert numbers._read(number, "FR") == numbers._ask(number, "FR"), number


def test_the_short_cuts_say_what_phonenumbers_says_for_every_mobile_range() -> None:
    for prefix in range(60_000, 80_000):
        number, region = f"+33{prefix}0011", ("FR", "RE", "GF")[prefix % 3]
        assert numbers._read(number, region) == numbers._ask(number, region), number


digits = st.text("0123456789", min_size=1, max_size=16)
prefixes = st.sampled_from(
    ["", "0", "+", "00", "+0", "33", "+33", "+330", "0033", "00330", "+269", "+32", "0049"]
    + [start + str(code) for start in ("", "+", "00") for code in numbers.FRENCH_CODES]
)
nine = st.builds("{}{:07d}".format, st.integers(10, 99), st.integers(0, 9_999_999))
regions = st.sampled_from(["FR", "GP", "BL", "MF", "RE", "YT", "MQ", "GF", "PM", "NC", "BE", "XX"])


@given(prefixes, digits | nine, regions)
def test_the_short_cuts_say_what_phonenumbers_says_for_any_digits(
    prefix: str, rest: str, region: str
) -> None:
    number = (prefix + rest).replace("+0", "0")
    assert numbers._read(number, region) == numbers._ask(number, region)


@given(prefixes, digits | nine, st.lists(st.integers(0, 20), max_size=8), regions)
def test_blanks_take_the_quick_way_to_the_same_answer(
    prefix: str, rest: str, cuts: list[int], region: str
) -> None:
    raw = prefix + rest
    for cut in cuts:
        raw = raw[:cut] + " " + raw[cut:]
    slowly = numbers._judge(raw, region)
    assert outcome(raw, region) == ("invalid" if slowly == "foreign" else slowly)
    # An apostrophe bars the quick way and says nothing.
    assert outcome("'" + raw, region) == outcome(raw, region)


def test_no_nine_digits_are_mobile_under_two_calling_codes() -> None:
    for prefix in range(60_000, 80_000):
        national = prefix * 10_000 + 11
        codes = [
            code
            for code in numbers.TRUNK_CODES
            if phonenumbers.number_type(phonenumbers.PhoneNumber(code, national))
            in numbers.MOBILE_TYPES
        ]
        assert len(codes) < 2, (national, codes)


alphabet = st.sampled_from(
    "0123456789" * 3 + "  ..,/-+()'eE;\n\t\0xouét²٠６\u200b\xa0\ud800\U0001f4f1"
)


@given(st.text() | st.text(alphabet, max_size=60), regions)
def test_any_string_gives_a_valid_number_or_one_of_five_reasons(raw: str, region: str) -> None:
    refused: NumberError | None = None
    try:
        number = normalise_number(raw, region)
    except NumberError as error:
        refused = error
    if refused is None:
        assert number.isascii()
        assert phonenumbers.is_valid_number(phonenumbers.parse(number))
        assert normalise_number(number, region) == number
    else:
        assert refused.reason in REASONS
        assert str(refused) == refused.reason
        assert (refused.__cause__, refused.__context__) == (None, None)


def test_a_cell_without_end_is_refused_before_it_costs_anything() -> None:
    for raw in ("6 " * 1_000_000, "+33" * 1_000_000, "x0" * 1_000_000):
        assert outcome(raw, "BE") == "invalid"
