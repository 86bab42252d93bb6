"""Lists as secretaries keep them, in real files, and what is made of them."""

import csv
import io
import os
import random
import stat
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from smppgw.campaign.recipients import (
    REASONS,
    REPORT_COLUMNS,
    Recipients,
    Row,
    from_numbers,
    open_recipients,
)
from smppgw.errors import InputError

HEADER = ["Nom", "Portable"]
A, B, C = "+33600000001", "+33600000002", "+33600000003"


def write_csv(path: Path, rows: Sequence[Sequence[str]], **options: Any) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";", **options).writerows(rows)
    return path


def write_xlsx(path: Path, **sheets: Sequence[Sequence[Any]]) -> Path:
    with xlsxwriter.Workbook(path) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for at, row in enumerate(rows):
                sheet.write_row(at, 0, row)
    return path


def read_csv(path: str | Path) -> list[list[str]]:
    """The cells as any other program reads them."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, delimiter=";"))


def walk(path: Path | str, **options: Any) -> tuple[list[Row], Recipients]:
    with open_recipients(path, **options) as recipients:
        return list(recipients), recipients


def numbers(path: Path | str, **options: Any) -> list[str]:
    return [row.number for row in walk(path, **options)[0]]


def column_of(tmp_path: Path, rows: Sequence[Sequence[str]], **options: Any) -> str:
    """The header of the column that is written to."""
    return walk(write_csv(tmp_path / "liste.csv", rows), **options)[1].phone_column


def refusal(path: Path | str, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        walk(path, **options)
    return str(caught.value)


def left_out(recipients: Recipients) -> list[dict[str, str]]:
    """The rows of the file of what was left out, by header."""
    assert recipients.left_out_file is not None
    header, *rows = read_csv(recipients.left_out_file)
    return [dict(zip(header, row, strict=True)) for row in rows]


# --- Which column holds the numbers ---


@pytest.mark.parametrize(
    "header",
    [
        "Téléphone", "TELEPHONE", "téléphone portable", "Te\u0301le\u0301phone", "Tél.", "tel",
        "N° de téléphone", "N° Tél. mobile", "Portable", "Port.", "GSM", "Mobile", "MSISDN",
        "phone", "phoneNumber", "Numéro", "numéro_de_portable", "Tel\nportable", "Mobile (SMS)",
    ],
)  # fmt: skip
def test_the_phone_column_is_found_by_its_header_whatever_its_accents_and_case(
    tmp_path: Path, header: str
) -> None:
    rows = [["Nom", header, "Note"], ["Zoé", "06 00 00 00 01", "06 00 00 00 09"]]
    path = write_csv(tmp_path / "liste.csv", rows)
    kept, recipients = walk(path)
    assert recipients.phone_column == " ".join(header.split())
    assert [row.number for row in kept] == [A]


@pytest.mark.parametrize(
    ("headers", "chosen"),
    [
        (["Téléphone fixe", "Téléphone portable"], "Téléphone portable"),
        (["Téléphone portable", "Téléphone fixe"], "Téléphone portable"),
        (["Tél. domicile", "Tél."], "Tél."),
        (["Numéro", "Téléphone"], "Téléphone"),
        (["Téléphone", "Mobile"], "Mobile"),
        (["Téléphone", "Fax"], "Téléphone"),
        (["Portable", "E-mail portable"], "Portable"),
    ],
)
def test_of_several_phone_columns_the_one_that_says_mobile_is_written_to(
    tmp_path: Path, headers: list[str], chosen: str
) -> None:
    rows = [["Nom", *headers], ["Zoé", "06 00 00 00 01", "06 00 00 00 02"]]
    assert column_of(tmp_path, rows) == chosen


def test_a_phone_column_without_any_number_gives_way_to_one_that_has_some(tmp_path: Path) -> None:
    rows = [["Portable", "Téléphone"], ["", "06 00 00 00 01"], ["néant", "06 00 00 00 02"]]
    assert column_of(tmp_path, rows) == "Téléphone"


def test_a_column_of_landlines_gives_way_to_one_full_of_mobiles(tmp_path: Path) -> None:
    rows = [["Téléphone fixe", "Perso"], ["01 00 00 00 01", "06 00 00 00 01"]]
    assert column_of(tmp_path, rows) == "Perso"
    rows = [["Téléphone fixe", "Portable"], ["01 00 00 00 01", ""]]
    assert column_of(tmp_path, rows) == "Portable"
    rows = [["Nom", "Téléphone fixe"], ["Zoé", "01 00 00 00 01"]]
    assert column_of(tmp_path, rows) == "Téléphone fixe"


def test_a_column_for_fax_or_mail_is_none_for_phone_numbers(tmp_path: Path) -> None:
    rows = [["Tél. fax", "Contact"], ["01 00 00 00 01", "06 00 00 00 01"]]
    assert column_of(tmp_path, rows) == "Contact"


def test_a_column_full_of_mobiles_is_found_without_a_header_that_says_so_and_told(
    tmp_path: Path,
) -> None:
    rows = [["Nom", "Contact", "Code"], *(["Zoé", f"06 00 00 00 {at:02}", "1"] for at in range(9))]
    path = write_csv(tmp_path / "liste.csv", rows)
    kept, recipients = walk(path)
    assert len(kept) == 9
    assert recipients.phone_column == "Contact"
    assert ["“Contact” holds the numbers" in warning for warning in recipients.warnings] == [True]


def test_a_numero_that_is_no_phone_number_does_not_hide_the_column_of_mobiles(
    tmp_path: Path,
) -> None:
    rows = [["Numéro", "Contact"], ["1", "06 00 00 00 01"], ["2", "06 00 00 00 02"]]
    assert column_of(tmp_path, rows) == "Contact"


@pytest.mark.parametrize(
    "headers", [["Portable 1", "Portable 2"], ["Mobile père", "Mobile mère"], ["Lui", "Elle"]]
)
def test_two_columns_that_may_both_be_meant_are_named_and_not_chosen_from(
    tmp_path: Path, headers: list[str]
) -> None:
    rows = [["Nom", *headers], ["Zoé", "06 00 00 00 01", "06 00 00 00 02"]]
    path = write_csv(tmp_path / "liste.csv", rows)
    told = refusal(path)
    assert all(f"“{header}”" in told for header in headers)
    assert "--column" in told
    assert numbers(path, column=headers[1]) == [B]


def test_a_list_without_phone_numbers_names_its_columns(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "liste.csv", [["Nom", "Ville"], ["Zoé", "Saint-Martin"]])
    told = refusal(path)
    assert "no column of phone numbers" in told
    assert "“Nom”, “Ville”" in told
    assert "--column" in told


THREE = [
    ["Nom", "Tél. Portable", "Autre"],
    ["Zoé", "06 00 00 00 01", "06 00 00 00 02"],
]


@pytest.mark.parametrize(
    ("column", "number"),
    [("Autre", B), ("AUTRE", B), ("tel portable", A), ("C", B), ("c", B), ("B", A), (" autre ", B)],
)
def test_a_column_is_named_by_its_header_or_its_letter(
    tmp_path: Path, column: str, number: str
) -> None:
    assert numbers(write_csv(tmp_path / "liste.csv", THREE), column=column) == [number]


def test_a_header_that_is_a_letter_comes_before_the_letter_of_a_column(tmp_path: Path) -> None:
    rows = [["B", "A"], ["06 00 00 00 01", "06 00 00 00 02"]]
    assert numbers(write_csv(tmp_path / "liste.csv", rows), column="A") == [B]


def test_a_column_that_does_not_exist_is_told_with_the_nearest_first(tmp_path: Path) -> None:
    told = refusal(write_csv(tmp_path / "liste.csv", THREE), column="Autres")
    assert "no column “Autres”; it has “Autre”" in told


def test_two_columns_of_one_name_are_told_apart_by_their_letters(tmp_path: Path) -> None:
    rows = [["Portable", "Portable"], ["06 00 00 00 01", "06 00 00 00 02"]]
    path = write_csv(tmp_path / "liste.csv", rows)
    assert refusal(path, column="Portable").endswith(
        "several columns “Portable”: “A”, “B”; give the letter of one with --column."
    )
    assert "several columns" in refusal(
        write_csv(tmp_path / "b.csv", [["Tél.", "TEL"], *rows[1:]]), column="tel"
    )
    kept, recipients = walk(path, column="B")
    assert [row.number for row in kept] == [B]
    assert recipients.headers == ("Portable", "Portable (B)")


# --- Which row is the header ---


def test_titles_and_blank_rows_may_stand_above_the_header(tmp_path: Path) -> None:
    rows = [
        ["Liste des habitants inscrits"],
        [],
        ["Mairie, tél. 01 00 00 00 00", "", ""],
        ["Nom", "Portable", "Rue"],
        ["Zoé", "06 00 00 00 01", "Haute"],
    ]
    for path in (
        write_csv(tmp_path / "liste.csv", rows),
        write_xlsx(tmp_path / "liste.xlsx", Feuil1=rows),
    ):
        kept, recipients = walk(path)
        assert recipients.headers == ("Nom", "Portable", "Rue")
        assert kept == [Row(5, A, ("Zoé", "06 00 00 00 01", "Haute"))]


@pytest.mark.parametrize(
    ("title", "header", "column"),
    [
        (["Commune", "Saint-Martin", ""], ["Nom", "Portable", "Rue"], None),
        (["Téléphones", "", ""], ["Nom", "Portable", "Rue"], None),
        (["Téléphones", "", ""], ["Nom", "Contact", "Rue"], "Contact"),
    ],
)
def test_a_title_is_not_taken_for_the_header_below_it(
    tmp_path: Path, title: list[str], header: list[str], column: str | None
) -> None:
    rows = [title, header, ["Zoé", "06 00 00 00 01", "Haute"]]
    _, recipients = walk(write_csv(tmp_path / "liste.csv", rows), column=column)
    assert recipients.headers == tuple(header)


@pytest.mark.parametrize(
    "header", ["Portable", "Téléphone (ex. 06 00 00 00 99)", "Tél. (10 chiffres)"]
)
def test_a_header_is_no_recipient_even_with_an_example_in_it(tmp_path: Path, header: str) -> None:
    rows = [["Nom", header], ["Zoé", "06 00 00 00 01"], ["Noël", "06 00 00 00 02"]]
    assert numbers(write_csv(tmp_path / "liste.csv", rows)) == [A, B]


@pytest.mark.parametrize(
    "cells",
    [
        ["06 00 00 00 01", "06 00 00 00 02"],
        ["600000001", "600000002"],
        ["Tél : 06 00 00 00 01", "Tél : 06 00 00 00 02"],
        ["port. 06 00 00 00 01", "06 00 00 00 02 (maman)"],
        ["06 00 00 00 01 (papa)", "06 00 00 00 02 (maman)"],
    ],
)
def test_without_a_header_the_first_row_is_a_recipient(tmp_path: Path, cells: list[str]) -> None:
    rows = [["Zoé", cells[0]], ["Noël", cells[1]]]
    kept, recipients = walk(write_csv(tmp_path / "liste.csv", rows))
    assert [row.number for row in kept] == [A, B]
    assert recipients.headers == ("A", "B")
    assert recipients.phone_column == "B"
    assert any("has no header row" in warning for warning in recipients.warnings)


def test_a_single_column_of_numbers_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "liste.csv"
    path.write_text("06 00 00 00 01\n06 00 00 00 02\n", encoding="utf-8")
    assert numbers(path) == [A, B]


def test_columns_without_a_name_are_called_by_their_letter(tmp_path: Path) -> None:
    rows = [["Nom", "", "Portable"], ["Zoé", "x", "06 00 00 00 01"]]
    _, recipients = walk(write_csv(tmp_path / "liste.csv", rows))
    assert recipients.headers == ("Nom", "B", "Portable")


def test_the_letter_of_a_column_without_a_name_says_nothing_of_what_it_holds(
    tmp_path: Path,
) -> None:
    row = ["x"] * 13 + ["01 00 00 00 01"]  # whose column is N, as in N°
    row[2] = "06 00 00 00 01"
    assert column_of(tmp_path, [row]) == "C"


def test_short_rows_are_filled_and_long_ones_cut_to_the_header(tmp_path: Path) -> None:
    rows = [
        ["Portable", "Nom"],
        ["06 00 00 00 01", "Zoé"],
        *(["0600000003", "Zoé"] for _ in range(100)),
        ["06 00 00 00 02", "Noël", "x"],
        ["0600000004"],
    ]
    kept, _ = walk(write_csv(tmp_path / "liste.csv", rows))
    assert [row.values for row in kept if row.row > 100] == [
        ("06 00 00 00 02", "Noël"),
        ("0600000004", ""),
    ]


# --- What is kept ---


def test_a_row_has_the_number_that_excel_shows_and_its_cells(tmp_path: Path) -> None:
    rows: list[list[Any]] = [HEADER, ["Zoé", 600000001], [], ["Noël", "06.00.00.00.02"]]
    kept, recipients = walk(write_xlsx(tmp_path / "liste.xlsx", Habitants=rows))
    assert kept == [
        Row(2, A, ("Zoé", "600000001")),
        Row(4, B, ("Noël", "06.00.00.00.02")),
    ]
    assert recipients.headers == ("Nom", "Portable")
    assert (recipients.read, recipients.kept) == (2, 2)
    assert recipients.left_out_file is None
    assert recipients.warnings == []
    assert os.listdir(tmp_path) == ["liste.xlsx"]


def hiding(path: Path, *, rows: Sequence[int] = (), columns: Sequence[int] = ()) -> Path:
    """Write a list of 300 recipients with rows, as Excel counts them, and columns hidden."""
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for at in range(1, 302):
            if at != 5:
                number = "Portable" if at == 1 else f"06 00 00 01 {at % 50:02d}"
                sheet.write_row(at - 1, 0, [f"nom {at}", number])
        for row in rows:
            sheet.set_row(row - 1, None, None, {"hidden": True})
        for column in columns:
            sheet.set_column(column, column, None, None, {"hidden": True})
    return path


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ((), None),
        ((3,), "1 row is hidden in the sheet"),
        ((3, 4, 200, 301), "4 rows are hidden in the sheet"),
        ((1, 5, 302, 400), None),
        ((1, 2, 5), "1 row is hidden in the sheet"),
    ],
    ids=["none", "one", "several", "header and empty rows", "among them one recipient"],
)
def test_hidden_rows_are_read_and_told_and_only_those_below_the_header_that_hold_something(
    tmp_path: Path, rows: Sequence[int], told: str | None
) -> None:
    _, recipients = walk(hiding(tmp_path / "liste.xlsx", rows=rows))
    assert recipients.read == 299
    assert [told is not None and told in warning for warning in recipients.warnings] == (
        [] if told is None else [True]
    )


def test_a_hidden_column_of_numbers_is_told_unless_somebody_named_it(tmp_path: Path) -> None:
    path = hiding(tmp_path / "liste.xlsx", columns=(1,))
    _, recipients = walk(path)
    assert len(recipients.warnings) == 1
    assert "column “Portable”, which holds the numbers, is hidden" in recipients.warnings[0]
    assert walk(path, column="Portable")[1].warnings == []
    assert walk(hiding(path, columns=(0,)))[1].warnings == []


def test_one_number_in_many_forms_is_written_to_once_and_in_the_first_row(tmp_path: Path) -> None:
    forms = [
        "06 00 00 00 01", "0600000001", "600000001", "+33 6 00 00 00 01", "0033600000001",
        "+33(0)6.00.00.00.01", "6.00000001E+08", "06\N{NO-BREAK SPACE}00 00 00 01",
        "06 00 00 00 01 / 0600000001",
    ]  # fmt: skip
    rows = [HEADER, *(["Zoé", form] for form in forms)]
    kept, recipients = walk(write_csv(tmp_path / "liste.csv", rows))
    assert kept == [Row(2, A, ("Zoé", forms[0]))]
    assert (recipients.duplicate, recipients.invalid) == (len(forms) - 1, 0)


def test_national_numbers_are_those_of_the_region(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "liste.csv", [HEADER, ["Zoé", "0470 00 00 11"]])
    assert numbers(path, region="BE") == ["+32470000011"]
    path = write_csv(tmp_path / "liste.csv", [HEADER, ["Zoé", "0692 00 00 11"]])
    assert numbers(path) == numbers(path, region="RE") == ["+262692000011"]
    path = write_csv(tmp_path / "liste.csv", [["Zoé", "75 12 34"], ["Noël", "75 12 35"]])
    assert numbers(path, region="NC") == ["+687751234", "+687751235"]
    path = write_csv(tmp_path / "liste.csv", [["Fixe", "Tél."], ["", "75 12 34"]])
    assert numbers(path, region="NC") == ["+687751234"]


# --- What is left out ---

BAD = [
    ("01 00 00 00 01", "landline"),
    ("0700 00 00 00 00 01", "machine"),
    ("3949", "short"),
    ("06 00 00 00 05 / 06 00 00 00 06", "ambiguous"),
    ("+32 470 00 00 11", "foreign"),
    ("+269 321 00 11", "foreign"),
    ("voir sa fille", "invalid"),
    ("06 00 00", "invalid"),
    ("", "blank"),
    ("0600000001", "duplicate"),
]


def spoiled_list(path: Path) -> Path:
    rows = [["Zoé", "06 00 00 00 01"], *(["Noël", cell] for cell, _ in BAD)]
    return write_csv(path, [HEADER, *rows])


def test_what_is_left_out_says_row_column_value_and_reason_in_words(tmp_path: Path) -> None:
    kept, recipients = walk(spoiled_list(tmp_path / "liste.csv"))
    assert [row.number for row in kept] == [A]
    header, *rows = read_csv(tmp_path / "liste.left-out.csv")
    assert recipients.left_out_file == str(tmp_path / "liste.left-out.csv")
    assert header == [*HEADER, *REPORT_COLUMNS]
    assert [row[2:5] for row in rows] == [
        [str(at), "Portable", "'" + cell if cell.startswith("+") else cell]
        for at, (cell, _) in enumerate(BAD, 3)
    ]
    for row, (_, reason) in zip(rows, BAD, strict=True):
        assert row[5].startswith(f"{reason}: {REASONS[reason]}")


def test_what_was_read_is_what_was_kept_and_invalid_and_duplicate(tmp_path: Path) -> None:
    _, recipients = walk(spoiled_list(tmp_path / "liste.csv"))
    assert (recipients.read, recipients.kept, recipients.invalid, recipients.duplicate) == (
        len(BAD) + 1,
        1,
        len(BAD) - 1,
        1,
    )
    assert recipients.reasons.total() == len(BAD)
    assert recipients.reasons["foreign"] == 2


def test_the_file_of_what_was_left_out_is_its_owners_alone(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        walk(spoiled_list(tmp_path / "liste.csv"))
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "liste.left-out.csv").stat().st_mode) == 0o600


def test_no_file_is_ever_replaced_by_what_was_left_out(tmp_path: Path) -> None:
    path = spoiled_list(tmp_path / "liste.csv")
    first, second = tmp_path / "liste.left-out.csv", tmp_path / "liste.left-out-2.csv"
    first.write_text("precious")
    second.symlink_to(tmp_path / "elsewhere")
    _, recipients = walk(path)
    assert recipients.left_out_file == str(tmp_path / "liste.left-out-3.csv")
    assert first.read_text() == "precious"
    assert not (tmp_path / "elsewhere").exists()


def test_excel_runs_no_formula_from_the_file_of_what_was_left_out(tmp_path: Path) -> None:
    cells = ['=HYPERLINK("x")', "+1+1", "-1+1", "@SUM(1)", "'=1", "\t=1", "＝1"]
    rows = [[HEADER[0], "=Portable"], *([cell, cell] for cell in cells), ["Zoé", "0600000001"]]
    _, recipients = walk(write_csv(tmp_path / "liste.csv", rows), column="=Portable")
    assert recipients.left_out_file is not None
    written = read_csv(recipients.left_out_file)
    assert len(written) == len(cells) + 1
    assert not [cell for row in written for cell in row if cell[:1] in ("=", "+", "-", "@", "\t")]


def test_the_file_of_what_was_left_out_opens_with_its_accents_in_excel(tmp_path: Path) -> None:
    walk(write_csv(tmp_path / "liste.csv", [["Prénom", "Portable"], ["Chloë", "néant"]]))
    octets = (tmp_path / "liste.left-out.csv").read_bytes()
    assert octets.startswith(b"\xef\xbb\xbf")
    assert "Chloë;néant;2;Portable;néant;" in octets.decode("utf-8-sig")


# --- Corrected and submitted again ---


def correct(path: str | None, changes: dict[int, dict[str, str]]) -> Path:
    """Change cells, by row (the first below the header is 0) and header, and save."""
    assert path is not None
    header, *rows = read_csv(path)
    for at, cells in changes.items():
        for column, cell in cells.items():
            rows[at][header.index(column)] = cell
    return write_csv(Path(path), [header, *rows])


def test_a_file_of_what_was_left_out_gives_nothing_when_nothing_is_corrected(
    tmp_path: Path,
) -> None:
    _, first = walk(spoiled_list(tmp_path / "liste.csv"))
    assert first.left_out_file is not None
    kept, again = walk(first.left_out_file)
    assert kept == []
    assert again.reasons == first.reasons
    assert again.left_out_file == str(tmp_path / "liste.left-out-2.csv")
    assert [row["value"] for row in left_out(again)] == [row["value"] for row in left_out(first)]


def test_a_corrected_file_gives_only_what_was_corrected_under_the_lists_own_headers(
    tmp_path: Path,
) -> None:
    _, first = walk(spoiled_list(tmp_path / "liste.csv"))
    path = correct(
        first.left_out_file, {0: {"Portable": "06 00 00 00 02"}, 8: {"Portable": "0600000003"}}
    )
    kept, again = walk(path)
    assert [(row.number, row.values) for row in kept] == [
        (B, ("Noël", "06 00 00 00 02")),
        (C, ("Noël", "0600000003")),
    ]
    assert again.headers == ("Nom", "Portable")
    assert again.phone_column == "Portable"
    assert again.read == len(BAD)


def test_a_correction_may_stand_in_the_copy_beside_the_reason(tmp_path: Path) -> None:
    _, first = walk(spoiled_list(tmp_path / "liste.csv"))
    path = correct(
        first.left_out_file, {0: {"value": "06 00 00 00 02"}, 8: {"value": "0600000003"}}
    )
    kept, _ = walk(path)
    assert [(row.number, row.values) for row in kept] == [
        (B, ("Noël", "06 00 00 00 02")),
        (C, ("Noël", "0600000003")),
    ]


@pytest.mark.parametrize("column", ["Portable", "value"])
def test_a_duplicate_that_was_corrected_is_written_to_and_never_its_old_number(
    tmp_path: Path, column: str
) -> None:
    path = write_csv(
        tmp_path / "liste.csv", [HEADER, ["Zoé", "0600000001"], ["Noël", "06 00 00 00 01"]]
    )
    _, first = walk(path)
    corrected = correct(first.left_out_file, {0: {column: "06 00 00 00 02"}})
    assert numbers(corrected) == [B]


@pytest.mark.parametrize("column", ["Portable", "value"])
@pytest.mark.parametrize("cell", ["", "0600000001", "+33600000001", "inconnu"])
def test_a_duplicate_changed_without_giving_another_number_stays_left_out(
    tmp_path: Path, column: str, cell: str
) -> None:
    path = write_csv(
        tmp_path / "liste.csv", [HEADER, ["Zoé", "0600000001"], ["Noël", "06 00 00 00 01"]]
    )
    _, first = walk(path)
    assert numbers(correct(first.left_out_file, {0: {column: cell}})) == []


def test_another_row_does_not_bring_back_the_number_of_one_that_stays_left_out(
    tmp_path: Path,
) -> None:
    path = write_csv(
        tmp_path / "liste.csv",
        [HEADER, ["Zoé", "0600000001"], ["Noël", "06 00 00 00 01"], ["Léa", "06 00"]],
    )
    _, first = walk(path)
    assert numbers(correct(first.left_out_file, {1: {"Portable": "0600000001"}})) == []


def test_a_duplicate_whose_reason_was_damaged_stays_left_out(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "liste.csv", [HEADER, ["Zoé", "0600000001"], ["Noël", "600000001"]])
    _, first = walk(path)
    damaged = correct(first.left_out_file, {0: {"reason": "duplicate", "value": "0600000009"}})
    assert numbers(damaged) == []


# --- Who asked not to be written to ---


def walk_without(path: Path | str, *blocked: str) -> tuple[list[str], Recipients]:
    with open_recipients(path) as recipients:
        recipients.blocked = frozenset(blocked)
        return [row.number for row in recipients], recipients


def three(path: Path) -> Path:
    rows = [["Zoé", "0600000001"], ["Noël", "06 00 00 00 02"], ["Léa", "06 00 00 00 03"]]
    return write_csv(path, [HEADER, *rows])


def test_who_opted_out_is_left_out_counted_apart_and_told(tmp_path: Path) -> None:
    kept, recipients = walk_without(three(tmp_path / "liste.csv"), B, "+33600000009")
    assert kept == [A, C]
    counts = (recipients.read, recipients.kept, recipients.opted_out)
    assert counts == (3, 2, 1)
    assert (recipients.invalid, recipients.duplicate) == (0, 0)
    (told,) = left_out(recipients)
    assert (told["row"], told["value"]) == ("3", "06 00 00 00 02")
    assert told["reason"] == "opted_out: asked not to be written to (it ends in 0002)"


def test_a_duplicate_is_told_before_an_opt_out(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "liste.csv", [HEADER, ["Zoé", "0600000001"], ["Léa", "600000001"]])
    kept, recipients = walk_without(path, A)
    assert kept == []
    assert [row["reason"].split(":")[0] for row in left_out(recipients)] == [
        "opted_out",
        "duplicate",
    ]


def test_an_opt_out_stays_left_out_when_the_file_is_submitted_again(tmp_path: Path) -> None:
    _, first = walk_without(three(tmp_path / "liste.csv"), B)
    assert first.left_out_file is not None
    # Whoever gave fresh consent meanwhile is in the first list, not in what was left out of it.
    for blocked in ([B], []):
        kept, again = walk_without(first.left_out_file, *blocked)
        assert (kept, again.opted_out, again.duplicate) == ([], 1, 0)


@pytest.mark.parametrize("column", ["Portable", "value"])
@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("06 00 00 00 09", ["+33600000009"]),
        ("06 00 00 00 03", []),  # opted out as well
        ("06 00 00 00 02", []),
        ("+33600000002", []),
        ("inconnu", []),
        ("", []),
    ],
)
def test_an_opt_out_with_another_number_is_written_to_if_that_one_is_fine(
    tmp_path: Path, column: str, cell: str, kept: list[str]
) -> None:
    _, first = walk_without(three(tmp_path / "liste.csv"), B)
    corrected = correct(first.left_out_file, {0: {column: cell}})
    assert walk_without(corrected, C)[0] == kept


def test_an_opt_out_given_on_the_command_line_is_told_by_its_place_without_itself() -> None:
    recipients = from_numbers(["0600000001", "0600000042"])
    recipients.blocked = {"+33600000042"}
    assert [row.number for row in recipients] == [A]
    assert recipients.warnings == ["--to, 2: opted_out: asked not to be written to."]
    assert recipients.opted_out == 1


# --- What was corrected, again ---


def test_the_column_chosen_first_is_used_again_for_what_was_corrected(tmp_path: Path) -> None:
    _, first = walk(
        write_csv(tmp_path / "liste.csv", [*THREE, ["Noël", "0600000003", "néant"]]), column="Autre"
    )
    path = correct(first.left_out_file, {0: {"Autre": "0600000002"}})
    kept, again = walk(path)
    assert [row.number for row in kept] == [B]
    assert again.phone_column == "Autre"


def test_what_was_left_out_of_a_list_without_header_can_be_corrected_too(tmp_path: Path) -> None:
    _, first = walk(write_csv(tmp_path / "liste.csv", [["Zoé", "0600000001"], ["Noël", "06 00"]]))
    assert numbers(correct(first.left_out_file, {0: {"B": "0600000002"}})) == [B]


def test_a_corrected_file_saved_by_excel_as_xlsx_gives_only_what_was_corrected(
    tmp_path: Path,
) -> None:
    _, first = walk(spoiled_list(tmp_path / "liste.csv"))
    assert first.left_out_file is not None
    rows: list[list[Any]] = [list(row) for row in read_csv(first.left_out_file)]
    for row in rows[1:]:
        row[1] = float(row[1]) if row[1].isdecimal() else row[1]  # Excel eats zeros in both
        row[4] = float(row[4]) if row[4].isdecimal() else row[4]
    rows[1][1] = 600000002.0
    assert numbers(write_xlsx(tmp_path / "liste.left-out.xlsx", Feuil1=rows)) == [B]


# --- What cannot be used, and where lists come from ---


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_list_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "liste.csv"
    path.write_bytes(content)
    assert "is empty" in refusal(path)


def test_an_empty_workbook_is_refused(tmp_path: Path) -> None:
    assert "is empty" in refusal(write_xlsx(tmp_path / "liste.xlsx", Feuil1=[]))


def test_a_header_without_rows_is_refused(tmp_path: Path) -> None:
    told = refusal(write_csv(tmp_path / "liste.csv", [HEADER]))
    assert "a header and no row below it" in told


def test_a_sheet_is_chosen_by_name_and_a_wrong_name_is_told_with_those_that_exist(
    tmp_path: Path,
) -> None:
    path = write_xlsx(
        tmp_path / "liste.xlsx",
        Habitants=[HEADER, ["Zoé", "0600000001"]],
        Élus=[HEADER, ["Noël", "0600000002"]],
    )
    assert numbers(path) == [A]
    assert numbers(path, sheet="elus") == [B]
    told = refusal(path, sheet="Elus 2024")
    assert "“Élus”" in told
    assert "“Habitants”" in told


def test_a_refused_list_leaves_no_file_behind(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "liste.csv", [["Nom", "Ville"], ["Zoé", "Saint-Martin"]])
    refusal(path)
    assert os.listdir(tmp_path) == ["liste.csv"]


def test_standard_input_is_a_list_whose_left_out_rows_go_to_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stream = io.BytesIO("Nom;Portable\nZoé;0600000001\nNoël;06 00\n".encode())
    kept, recipients = walk("-", stdin=stream)
    assert [row.number for row in kept] == [A]
    assert recipients.left_out_file == str(tmp_path / "stdin.left-out.csv")
    assert "standard input" in recipients.name
    assert not stream.closed


class EndlessList(io.RawIOBase):
    """A list that never ends, and counts what was read of it."""

    def __init__(self) -> None:
        self.octets = 0
        self._rows = self._forms()
        self._rest = b"Nom;Portable\n"

    def _forms(self) -> Iterator[bytes]:
        at = 0
        while True:
            yield f"Zoé;06{at % 10**8:08d}\n".encode()
            at += 1

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        assert size > 0
        while len(self._rest) < size:
            self._rest += next(self._rows)
        given, self._rest = self._rest[:size], self._rest[size:]
        self.octets += len(given)
        return given


def test_rows_are_given_while_the_list_is_still_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    endless: Any = EndlessList()
    with open_recipients("-", stdin=endless) as recipients:
        rows = iter(recipients)
        for _ in range(1000):
            next(rows)
        assert endless.octets < 1_000_000


def test_memory_grows_by_nothing_but_the_number_of_each_row_kept(tmp_path: Path) -> None:
    path = tmp_path / "liste.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("Nom;Portable;Adresse\n")
        file.writelines(f"Zoé;06{at:08d};{'rue Haute ' * 20}\n" for at in range(20_000))
    with open_recipients(path) as recipients:
        rows = iter(recipients)
        next(rows)
        tracemalloc.start()
        try:
            for _ in rows:
                pass
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert recipients.kept == 20_000
    assert path.stat().st_size > 4_000_000
    assert peak < 20_000 * 130 + 1_000_000  # 64 octets a number, twice while the set grows


def test_a_walk_to_the_end_closes_the_list_and_what_was_left_out(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "liste.csv", [HEADER, ["Noël", "06 00"], ["Zoé", "0600000001"]])
    before = os.listdir("/proc/self/fd")
    recipients = open_recipients(path)
    assert len(list(recipients)) == 1
    assert os.listdir("/proc/self/fd") == before
    assert len(left_out(recipients)) == 1


def test_a_walk_given_up_closes_the_list_and_what_was_left_out(tmp_path: Path) -> None:
    rows = [HEADER, ["Noël", "06 00"], ["Zoé", "0600000001"], ["Zoé", "0600000002"]]
    path = write_csv(tmp_path / "liste.csv", rows)
    before = os.listdir("/proc/self/fd")
    with open_recipients(path) as recipients:
        for _ in recipients:
            break
    assert os.listdir("/proc/self/fd") == before
    assert len(left_out(recipients)) == 1


# --- Numbers given one by one ---


def test_numbers_given_one_by_one_are_read_like_those_of_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipients = from_numbers([" 06 00 00 00 01 ", "0600000001", "0690 00 00 01", "01 00 00 00 01"])
    assert list(recipients) == [Row(1, A, ()), Row(3, "+590690000001", ())]
    assert (recipients.read, recipients.kept, recipients.invalid, recipients.duplicate) == (
        4, 2, 1, 1,
    )  # fmt: skip
    assert recipients.headers == ()
    assert recipients.left_out_file is None
    assert os.listdir(tmp_path) == []


def test_a_number_left_out_on_the_command_line_is_told_by_its_place_without_itself() -> None:
    recipients = from_numbers(["0600000001", "01 00 00 00 42", "0600000001", "+32 470 00 00 42"])
    list(recipients)
    assert [warning.split(":")[0] for warning in recipients.warnings] == [
        "--to, 2", "--to, 3", "--to, 4",
    ]  # fmt: skip
    assert "landline" in recipients.warnings[0]
    assert "duplicate" in recipients.warnings[1]
    assert "foreign" in recipients.warnings[2]
    assert not any("42" in warning or "0001" in warning for warning in recipients.warnings)


# --- Whatever a list holds ---

cells = st.one_of(
    st.sampled_from([cell for cell, _ in BAD]),
    st.integers(0, 12).map("06 00 00 00 {:02}".format),
    st.integers(0, 12).map("6000000{:02}".format),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\x1a"), max_size=12),
)


@given(st.lists(cells, min_size=1, max_size=130), st.randoms(use_true_random=False))
def test_every_row_is_kept_once_or_told_once(
    tmp_path_factory: pytest.TempPathFactory, given_cells: list[str], chance: random.Random
) -> None:
    path = tmp_path_factory.mktemp("liste") / "liste.csv"
    write_csv(path, [HEADER, *(["Zoé", cell] for cell in given_cells)])
    kept, recipients = walk(path, column="Portable")
    told = left_out(recipients) if recipients.left_out_file else []
    rows = [row.row for row in kept] + [int(row["row"]) for row in told]
    assert sorted(rows) == list(range(2, len(given_cells) + 2))
    assert len({row.number for row in kept}) == len(kept) == recipients.kept
    assert recipients.read == len(given_cells)
    assert recipients.invalid + recipients.duplicate == len(told) == recipients.reasons.total()
    if told:
        assert numbers(str(recipients.left_out_file)) == []


# Close together, at a border of the ranges that are kept as bitmaps, and far apart.
BORDER = (33_600_000_000 // 8192 + 1) * 8192 - 33_000_000_000
spread_numbers = st.one_of(
    st.integers(600_000_000, 600_000_040),
    st.integers(BORDER - 30, BORDER + 30),
    st.integers(600_000_000, 629_999_999),
)


@given(st.lists(spread_numbers, max_size=200))
def test_duplicates_are_told_exactly_wherever_the_numbers_lie(given_numbers: list[int]) -> None:
    texts = [f"0{number}" for number in given_numbers]
    recipients = from_numbers(texts)
    kept = [row.row for row in recipients]
    firsts = {text: at for at, text in reversed(list(enumerate(texts, 1)))}
    assert kept == sorted(firsts.values())
    assert recipients.duplicate == len(texts) - len(firsts)
