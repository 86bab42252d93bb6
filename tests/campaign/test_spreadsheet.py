"""Lists in real files of every kind, as Excel, LibreOffice and exports write them."""

import csv
import io
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
import xlsxwriter
import xlwt
from hypothesis import given
from hypothesis import strategies as st

from smppgw.campaign.spreadsheet import (
    CHUNK_OCTETS,
    DAMAGED,
    PROTECTED,
    SEPARATORS,
    column_letter,
    nearest_first,
    neutralise,
    open_table,
)
from smppgw.errors import InputError, OperationError
from smppgw.sms.template import fold

LIST = [["Prénom", "Portable"], ["Zoé", "06 00 00 00 01"], ["Noël", "06 00 00 00 02"]]
ROWS = [tuple(row) for row in LIST]

ODS = "urn:oasis:names:tc:opendocument:xmlns:"
ODS_NAMESPACES = " ".join(
    f'xmlns:{prefix}="{ODS}{prefix}:1.0"' for prefix in ("office", "table", "text")
)


def read(path: Path | str, **options: Any) -> list[tuple[str, ...]]:
    with open_table(path, **options) as table:
        return list(table.rows)


def refusal(path: Path | str, **options: Any) -> str:
    """What a person is told of a list that cannot be used."""
    with pytest.raises(InputError) as caught, open_table(path, **options) as table:
        list(table.rows)
    return str(caught.value)


def write_xlsx(path: Path, sheets: Mapping[str, Sequence[Sequence[Any]]], hidden: str = "") -> Path:
    with xlsxwriter.Workbook(path) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for at, row in enumerate(rows):
                sheet.write_row(at, 0, row)
            if name == hidden:
                sheet.hide()
    return path


def write_xls(path: Path, rows: Sequence[Sequence[Any]]) -> Path:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Feuil1")
    for at, row in enumerate(rows):
        for column, cell in enumerate(row):
            if cell != "":
                sheet.write(at, column, cell)
    book.save(str(path))
    return path


def write_ods(path: Path, rows: Sequence[Sequence[Any]], encrypted: bool = False) -> Path:
    cells = {
        str: '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>',
        float: '<table:table-cell office:value-type="float" office:value="{}"/>',
        bool: '<table:table-cell office:value-type="boolean" office:boolean-value="{}"/>',
        date: '<table:table-cell office:value-type="date" office:date-value="{}"/>',
    }
    body = "".join(
        "<table:table-row>"
        + "".join(
            cells[type(cell)].format(
                escape(str(cell)).lower() if type(cell) is bool else escape(str(cell))
            )
            for cell in row
        )
        + "</table:table-row>"
        for row in rows
    )
    table = f"<table:table table:name={quoteattr('Feuille 1')}>{body}</table:table>"
    encryption = "<manifest:encryption-data/>" if encrypted else ""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "META-INF/manifest.xml",
            f'<manifest:manifest xmlns:manifest="{ODS}manifest:1.0">'
            f'<manifest:file-entry manifest:full-path="content.xml">{encryption}'
            "</manifest:file-entry></manifest:manifest>",
        )
        archive.writestr(
            "content.xml",
            f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {ODS_NAMESPACES}>'
            f"<office:body><office:spreadsheet>{table}</office:spreadsheet></office:body>"
            "</office:document-content>",
        )
    return path


def csv_octets(
    rows: Sequence[Sequence[str]],
    separator: str = ";",
    encoding: str = "utf-8",
    line_end: str = "\r\n",
    quoting: Any = csv.QUOTE_MINIMAL,
) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=line_end, quoting=quoting).writerows(rows)
    return text.getvalue().encode(encoding)


# --- CSV ---


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_csv_gives_the_same_rows_in_any_encoding_separator_and_line_end(
    tmp_path: Path, encoding: str, separator: str, line_end: str
) -> None:
    path = tmp_path / "liste.csv"
    path.write_bytes(csv_octets(LIST, separator, encoding, line_end))
    assert read(path) == ROWS


def test_utf_16_of_a_big_endian_machine_is_read(tmp_path: Path) -> None:
    path = tmp_path / "liste.csv"
    path.write_bytes("\ufeff".encode("utf-16-be") + csv_octets(LIST, "\t", "utf-16-be"))
    assert read(path) == ROWS


# Cells as people write them: no cell is a guarded one, and blanks around it do not count.
cells = st.text(
    st.characters(codec="cp1252", exclude_characters="\r\n\0\x1a", exclude_categories=["Cc"]),
    max_size=12,
).map(lambda cell: neutralise(cell.strip()).strip("'=").strip())


@given(
    rows=st.integers(2, 5).flatmap(
        lambda width: st.lists(
            st.lists(cells, min_size=width, max_size=width).filter(any), min_size=3, max_size=20
        )
    ),
    separator=st.sampled_from(SEPARATORS),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_any_cells_fully_quoted_survive_any_encoding_and_separator(
    rows: list[list[str]], separator: str, encoding: str, line_end: str
) -> None:
    octets = csv_octets(rows, separator, encoding, line_end, csv.QUOTE_ALL)
    if encoding == "cp1252" and octets.isascii() is False:
        try:
            octets.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            return  # Windows-1252 text that is also UTF-8, such as Ã©: nobody can tell
    assert read("-", stdin=io.BytesIO(octets)) == [tuple(row) for row in rows]


@given(st.binary(max_size=400))
def test_any_octets_give_rows_or_a_sentence(octets: bytes) -> None:
    try:
        rows = read("-", stdin=io.BytesIO(octets))
    except InputError:
        rows = []
    assert all(isinstance(cell, str) for row in rows for cell in row)


@pytest.mark.parametrize("before", range(CHUNK_OCTETS - 4, CHUNK_OCTETS + 3))
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_letter_cut_by_the_end_of_a_chunk_is_read_whole(
    tmp_path: Path, before: int, encoding: str
) -> None:
    path = tmp_path / "liste.csv"
    line = b"Zoe;0600000001\n"
    filled = line * (before // len(line))
    padding = b"x" * (before - len(filled))
    path.write_bytes(filled + padding + "é;0600000002\r\nNoël;0600000003".encode(encoding))
    rows = read(path)
    assert rows[-2:] == [("x" * len(padding) + "é", "0600000002"), ("Noël", "0600000003")]
    assert len(rows) == before // len(line) + 2


def test_a_line_end_cut_by_the_end_of_a_chunk_makes_no_empty_row(tmp_path: Path) -> None:
    path = tmp_path / "liste.csv"
    path.write_bytes(b"a;b\r\n" * 10 + b"x" * (CHUNK_OCTETS - 53) + b";b\r\nc;d\r\n")
    assert path.read_bytes()[CHUNK_OCTETS - 1 : CHUNK_OCTETS + 1] == b"\r\n"
    assert read(path)[-1] == ("c", "d")
    assert () not in read(path)


def test_windows_1252_is_recognised_however_late_its_first_accent_comes(tmp_path: Path) -> None:
    path = tmp_path / "liste.csv"
    path.write_bytes(b"Zoe;0600000001\n" * 20_000 + "Noël;0600000002\n".encode("cp1252"))
    assert read(path)[-1] == ("Noël", "0600000002")


def test_a_list_in_two_encodings_is_refused_at_its_line(tmp_path: Path) -> None:
    path = tmp_path / "liste.csv"
    first = "Zoé;0600000001\n".encode() * 20_000
    path.write_bytes(first + "Noël;0600000002\n".encode("cp1252"))
    told = refusal(path)
    assert "line 20001" in told
    assert "XLSX" in told


def test_octets_of_no_known_encoding_are_refused_at_their_line(tmp_path: Path) -> None:
    path = tmp_path / "liste.csv"
    path.write_bytes(b"Nom;Portable\nRen\x8f;0600000001\n")
    assert "line 2" in refusal(path)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('Nom;Portable\n"Dupont; Jean";06\n', [("Nom", "Portable"), ("Dupont; Jean", "06")]),
        ("Dupont, Jean;06\nMartin, Zoé;07\n", [("Dupont, Jean", "06"), ("Martin, Zoé", "07")]),
        ("Rue|Tel\n1, rue A; bât B|06\n2, rue C|07\n", None),
        ("Liste du club\nNom,Tel\nA,06\nB,07\n", None),
        ("Portable\n06\n07\n", [("Portable",), ("06",), ("07",)]),
        ('Nom\n"L;M"\n', [("Nom",), ("L;M",)]),
        ('sep=,\nNom,Tel\n"A;B","06;07"\n', [("Nom", "Tel"), ("A;B", "06;07")]),
    ],
)
def test_separator_is_the_one_that_cuts_most_rows_alike(
    text: str, rows: list[tuple[str, ...]] | None
) -> None:
    given_rows = read("-", stdin=io.BytesIO(text.encode()))
    if rows is None:
        assert {len(row) for row in given_rows[1:]} == {2}
    else:
        assert given_rows == rows


def test_empty_lines_keep_their_place_among_the_rows() -> None:
    octets = b"Nom;Tel\r\n\r\n;\r\nA;06\r\n"
    assert read("-", stdin=io.BytesIO(octets)) == [("Nom", "Tel"), (), ("", ""), ("A", "06")]


def test_a_quotation_mark_never_closed_is_refused_at_its_row() -> None:
    octets = b'Nom;Tel\nA;06\n"B;06\nC;06\nD;06\n'
    assert "row 3" in refusal("-", stdin=io.BytesIO(octets))
    assert "row 3" in refusal("-", stdin=io.BytesIO(octets + b"E;06\n" * 50_000))


def test_a_quotation_mark_closed_rows_later_is_told() -> None:
    octets = b'Tel;Nom\n06;"A\n06;B\n06;"C"\n06;D\n'
    with open_table("-", stdin=io.BytesIO(octets)) as table:
        assert len(list(table.rows)) == 3
    assert len(table.warnings) == 1
    assert "row 2" in table.warnings[0]


def test_an_address_of_several_lines_is_one_cell_and_no_cause_for_a_warning() -> None:
    octets = b'Nom;Adresse\nA;"1, rue B\r\n17000 C"\n'
    with open_table("-", stdin=io.BytesIO(octets)) as table:
        assert list(table.rows) == [("Nom", "Adresse"), ("A", "1, rue B\r\n17000 C")]
    assert table.warnings == []


def test_an_endless_line_is_refused_before_it_fills_the_memory() -> None:
    assert "line longer" in refusal("-", stdin=io.BytesIO(b"x" * 3_000_000))


def test_a_sheet_asked_of_a_csv_file_is_told_and_no_obstacle() -> None:
    with open_table("-", sheet="Feuil1", stdin=io.BytesIO(b"A;06\n")) as table:
        assert list(table.rows) == [("A", "06")]
    assert "no sheets" in table.warnings[0]


def test_what_guards_a_cell_from_excel_is_taken_away() -> None:
    octets = b'\'+33600000001;\'=1+1;"=""0600000002""";\'t Hooft;d\'Arc;\';=\n'
    assert read("-", stdin=io.BytesIO(octets)) == [
        ("+33600000001", "=1+1", "0600000002", "'t Hooft", "d'Arc", "'", "=")
    ]


@given(st.text(st.sampled_from("'=+-@a\"; "), max_size=6).map(str.strip))
def test_a_cell_written_safely_is_read_as_it_was_and_never_begins_a_formula(cell: str) -> None:
    safe = neutralise(cell)
    assert not safe.startswith(("=", "+", "-", "@", "\t", "\r"))
    octets = csv_octets([[safe, "06"]] * 3, quoting=csv.QUOTE_ALL)
    assert read("-", stdin=io.BytesIO(octets)) == [(cell, "06")] * 3


# --- Workbooks ---


@pytest.mark.parametrize("extension", ["xlsx", "csv", "xls", "ods", "pdf", "doc"])
def test_the_content_decides_and_the_extension_does_not(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"liste.{extension}"
    assert read(write_xlsx(path, {"Liste": LIST})) == ROWS
    assert read(write_xls(path, LIST)) == ROWS
    assert read(write_ods(path, LIST)) == ROWS
    path.write_bytes(csv_octets(LIST))
    assert read(path) == ROWS


def test_a_workbook_may_come_through_standard_input_or_a_pipe(tmp_path: Path) -> None:
    octets = write_xlsx(tmp_path / "liste.xlsx", {"Liste": LIST}).read_bytes()
    assert read("-", stdin=io.BytesIO(octets)) == ROWS
    reader, writer = os.pipe()
    with open(writer, "wb") as sink:
        sink.write(octets)
    with open(reader, "rb") as source:
        assert read("-", stdin=source) == ROWS


def test_numbers_dates_and_truths_become_text_in_every_kind(tmp_path: Path) -> None:
    row = [612345678.0, 1.25, True, "06 "]
    expected = [("612345678", "1.25", "TRUE", "06")]
    assert read(write_xlsx(tmp_path / "a.xlsx", {"A": [row]})) == expected
    assert read(write_xls(tmp_path / "a.xls", [row])) == expected
    assert read(write_ods(tmp_path / "a.ods", [row])) == expected
    assert read(write_ods(tmp_path / "b.ods", [[date(2024, 1, 2)]])) == [("2024-01-02",)]


def test_formulas_give_their_value_errors_and_merged_cells_are_blank(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        day = book.add_format({"num_format": "dd/mm/yyyy"})
        sheet.write_row(0, 0, ["a", "b", "c"])
        sheet.write_formula(1, 0, '="06"', value="06")
        sheet.write_formula(1, 1, "=NA()", value="#N/A")
        sheet.write_datetime(1, 2, datetime(2024, 1, 2), day)  # noqa: DTZ001  # Excel knows no zone
        sheet.merge_range(2, 0, 2, 1, "merged")
        sheet.write_datetime(2, 2, datetime(2024, 1, 2, 3, 4), day)  # noqa: DTZ001  # Excel knows no zone
        sheet.write_datetime(3, 2, time(3, 4), book.add_format({"num_format": "hh:mm"}))
    assert read(path) == [
        ("a", "b", "c"),
        ("06", "", "2024-01-02"),
        ("merged", "", "2024-01-02 03:04:00"),
        ("", "", "03:04:00"),
    ]


def test_a_table_in_the_middle_of_a_sheet_keeps_its_rows_and_columns(tmp_path: Path) -> None:
    shifted = [[], [], ["", "", "Nom"], ["", "", "A"]]
    expected = [("", "", "Nom"), ("", "", "A")]
    for path in (
        write_xlsx(tmp_path / "a.xlsx", {"A": shifted}),
        write_xls(tmp_path / "a.xls", shifted),
    ):
        rows = read(path)
        assert rows[2:] == expected
        assert not any(map(any, rows[:2]))


def test_first_sheet_with_data_is_read_and_the_others_are_told(tmp_path: Path) -> None:
    sheets = {"Vide": [], "Secret": [["x"]], "Liste": LIST, "Archive 2019": [["y"]]}
    path = write_xlsx(tmp_path / "a.xlsx", sheets, hidden="Secret")
    with open_table(path) as table:
        assert list(table.rows) == ROWS
    assert len(table.warnings) == 1
    assert "“Liste”" in table.warnings[0]
    assert "“Archive 2019”" in table.warnings[0]
    assert "“Secret”" in table.warnings[0]
    assert "Vide" not in table.warnings[0]


def test_a_single_sheet_with_data_is_read_and_told_if_it_is_hidden(tmp_path: Path) -> None:
    sheets = {"Vide": [], "Liste": LIST}
    for hidden, told in (("Vide", []), ("Liste", ["the sheet “Liste” is hidden, and read"])):
        path = write_xlsx(tmp_path / "a.xlsx", sheets, hidden=hidden)
        with open_table(path) as table:
            assert list(table.rows) == ROWS
        assert len(table.warnings) == len(told)
        assert all(map(str.__contains__, table.warnings, told))
    with open_table(path, sheet="Liste") as table:
        assert list(table.rows) == ROWS
    assert table.warnings == []  # whoever names it knows it


@pytest.mark.parametrize("wanted", ["Élus 2024", "elus 2024", "ELUS2024"])
def test_a_sheet_is_named_without_minding_case_accents_or_blanks(
    tmp_path: Path, wanted: str
) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", {"Autre": [["x"]], "Élus 2024": LIST})
    with open_table(path, sheet=wanted) as table:
        assert list(table.rows) == ROWS
    assert table.warnings == []


def test_an_unknown_sheet_is_refused_with_the_nearest_first(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", {"Personnel": [["x"]], "Habitants": LIST})
    assert refusal(path, sheet="Habitans").endswith("it has “Habitants”, “Personnel”.")


def test_a_workbook_without_data_has_no_rows(tmp_path: Path) -> None:
    assert read(write_xlsx(tmp_path / "a.xlsx", {"Vide": []})) == []


def test_a_kind_of_which_nobody_knows_what_is_hidden_says_so(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", {"Liste": LIST})
    octets = path.read_bytes()
    with zipfile.ZipFile(path, "w") as archive, zipfile.ZipFile(io.BytesIO(octets)) as whole:
        for name in whole.namelist():
            content = whole.read(name)
            if name == "xl/workbook.xml":
                content = content.replace(b"<workbook", b"<!DOCTYPE workbook><workbook", 1)
            archive.writestr(name, content)
    with open_table(path) as table:
        assert list(table.rows) == ROWS
    assert len(table.warnings) == 1
    assert "whether rows are hidden cannot be told" in table.warnings[0]


# --- What is no list ---


def test_a_file_that_cannot_be_opened_is_told_by_name(tmp_path: Path) -> None:
    missing = tmp_path / "absent.csv"
    assert "absent.csv does not exist" in refusal(missing)
    assert "is a folder" in refusal(tmp_path)
    assert "cannot be opened" in refusal(tmp_path / ("x" * 300))


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Lay down root's right to read everything, where the tests run with it."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    yield
    os.seteuid(was)


@pytest.mark.usefixtures("ordinary_user")
def test_a_file_that_may_not_be_read_is_told_by_name() -> None:
    assert "/proc/1/mem may not be read" in refusal("/proc/1/mem")


def test_a_file_that_fails_while_it_is_read_is_no_fault_of_the_list() -> None:
    with (
        open("/proc/self/mem", "rb") as unreadable,  # its first page is not mapped
        pytest.raises(OperationError, match="cannot be read to its end"),
    ):
        open_table("-", stdin=unreadable)


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (b"%PDF-1.7\n", "a PDF"),
        (b"\x89PNG\r\n\x1a\n\0\0", "a picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a picture"),
        (b"{\\rtf1 liste}", "a text document"),
        (b"\xef\xbb\xbf<!DOCTYPE html><table>", "a web page"),
        (b"\n <HTML><table>", "a web page"),
        (b"<?xml version='1.0'?>", "an XML file"),
        (b"\x1f\x8b\x08\0", "a compressed file"),
        (b"BEGIN:VCARD\r\n", "an address card"),
        (b"MZ\x90\0\x03\0", "neither a spreadsheet nor a text file"),
        ("Nom;Tel".encode("utf-16-le"), "neither a spreadsheet nor a text file"),
    ],
)
def test_a_file_of_another_kind_is_named_for_what_it_is(
    tmp_path: Path, octets: bytes, kind: str
) -> None:
    path = tmp_path / "liste.xlsx"
    path.write_bytes(octets)
    told = refusal(path)
    assert kind in told
    assert "save the list as XLSX or CSV" in told


def test_a_spreadsheet_under_a_password_is_refused_as_such(tmp_path: Path) -> None:
    octets = write_xls(tmp_path / "a.xls", LIST).read_bytes()
    entry = octets.index("Workbook".encode("utf-16-le"))
    stream = "EncryptedPackage".encode("utf-16-le")
    encrypted_xlsx = tmp_path / "a.xlsx"
    encrypted_xlsx.write_bytes(
        octets[:entry]
        + stream
        + octets[entry + len(stream) : entry + 64]
        + struct.pack("<H", len(stream) + 2)
        + octets[entry + 66 :]
    )
    after_bof = octets.index(struct.pack("<HHHH", 0x0809, 16, 0x0600, 0x0005)) + 20
    encrypted_xls = tmp_path / "b.xls"
    encrypted_xls.write_bytes(octets[:after_bof] + b"\x2f\0" + octets[after_bof + 2 :])
    encrypted_ods = write_ods(tmp_path / "c.ods", LIST, encrypted=True)
    for path in (encrypted_xlsx, encrypted_xls, encrypted_ods):
        assert refusal(path) == f"{path} {PROTECTED}."


@pytest.mark.parametrize("kept", [0.1, 0.4, 0.7, 0.95])
def test_a_spreadsheet_cut_short_is_refused_as_damaged(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "liste"
    rows = [[f"nom {at}", f"prénom {at}"] for at in range(500)]
    for octets in (
        write_xlsx(path, {"A": rows}).read_bytes(),
        write_xls(path, rows).read_bytes(),
        write_ods(path, rows).read_bytes(),
    ):
        path.write_bytes(octets[: int(kept * len(octets))])
        assert refusal(path) == f"{path} {DAMAGED}."


def test_a_spreadsheet_that_makes_calamine_panic_is_refused_as_damaged(tmp_path: Path) -> None:
    octets = bytearray(write_xls(tmp_path / "a.xls", LIST).read_bytes())
    bof = octets.index(struct.pack("<HH", 0x0809, 16))
    octets[bof + 2] = 0  # its length
    path = tmp_path / "b.xls"
    path.write_bytes(octets)
    assert refusal(path) == f"{path} {DAMAGED}."


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"word/document.xml": "<x/>"}, "a Word document"),
        ({"ppt/presentation.xml": "<x/>"}, "a presentation"),
        ({"Index/Document.iwa": "x"}, "an Apple Numbers file"),
        ({"mimetype": "application/vnd.oasis.opendocument.text"}, "a document"),
        ({"liste.csv": "A;06"}, "is damaged or is no spreadsheet"),
    ],
)
def test_an_archive_of_another_kind_is_named_for_what_it_is(
    tmp_path: Path, members: dict[str, str], kind: str
) -> None:
    path = tmp_path / "liste.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert kind in refusal(path)


def bend_members(octets: bytes, at: int, value: int) -> bytes:
    """Write a field of every member's header, as APPNOTE.TXT 4.3.7 and 4.3.12 lay them out."""
    bent = bytearray(octets)
    for magic, offset in ((b"PK\x03\x04", at), (b"PK\x01\x02", at + 2)):
        place = -1
        while (place := octets.find(magic, place + 1)) >= 0:
            struct.pack_into("<H", bent, place + offset, value)
    return bytes(bent)


FLAGS, COMPRESSION = 6, 8  # places of two fields


def test_an_xls_whose_sectors_lead_in_circles_is_refused_before_they_fill_the_memory(
    tmp_path: Path,
) -> None:
    path = write_xls(tmp_path / "a.xls", LIST)
    octets = bytearray(path.read_bytes())
    table = (struct.unpack_from("<I", octets, 76)[0] + 1) * 512
    struct.pack_into("<I", octets, table, 0)  # the first sector follows itself
    path.write_bytes(octets)
    assert refusal(path) == f"{path} {DAMAGED}."


@pytest.mark.parametrize("write", [write_ods, lambda path, rows: write_xlsx(path, {"A": rows})])
@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        (FLAGS, 0x01, PROTECTED),
        (COMPRESSION, 99, DAMAGED),
        (COMPRESSION, zipfile.ZIP_BZIP2, DAMAGED),
        (COMPRESSION, zipfile.ZIP_LZMA, DAMAGED),
    ],
    ids=["password", "unknown compression", "bzip2", "lzma"],
)
def test_an_archive_that_nobody_can_unpack_is_refused_with_the_reason(
    tmp_path: Path, write: Callable[..., Path], field: int, value: int, told: str
) -> None:
    path = write(tmp_path / "liste", LIST)
    path.write_bytes(bend_members(path.read_bytes(), field, value))
    assert refusal(path) == f"{path} {told}."


def test_a_password_on_any_archive_is_told_before_what_it_may_hold(tmp_path: Path) -> None:
    path = tmp_path / "liste.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
    path.write_bytes(bend_members(path.read_bytes(), FLAGS, 0x01))
    assert refusal(path) == f"{path} {PROTECTED}."


def test_a_member_made_to_fill_the_memory_does_not(tmp_path: Path) -> None:
    path = tmp_path / "liste.ods"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", b" " * 60_000_000)
    tracemalloc.start()
    try:
        told = refusal(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "is a document, not a spreadsheet" in told
    assert most < 10_000_000


@given(bends=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_an_archive_with_any_octets_bent_gives_rows_or_a_sentence(
    whole_archives: list[bytes], bends: list[tuple[float, int]]
) -> None:
    for octets in map(bytearray, whole_archives):
        for place, octet in bends:
            octets[int(place * (len(octets) - 1))] = octet
        try:
            rows = read("-", stdin=io.BytesIO(octets))
        except InputError:
            rows = []
        assert all(isinstance(cell, str) for row in rows for cell in row)


@pytest.fixture(scope="module")
def whole_archives(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """XLSX and ODS: of a bent XLS calamine may ask for more memory than any machine has."""
    path = tmp_path_factory.mktemp("whole") / "liste"
    return [write_xlsx(path, {"A": LIST}).read_bytes(), write_ods(path, LIST).read_bytes()]


def test_an_old_word_document_is_named_for_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "liste.xls"
    octets = write_xls(path, LIST).read_bytes()
    stream = "WordDocument".encode("utf-16-le")
    entry = octets.index("Workbook".encode("utf-16-le"))
    path.write_bytes(octets[:entry] + stream + octets[entry + len(stream) :])
    assert "a Word document" in refusal(path)


# --- Names ---


def test_columns_have_the_letters_that_excel_shows() -> None:
    assert [column_letter(at) for at in (0, 1, 25, 26, 27, 701, 702, 16383)] == [
        "A", "B", "Z", "AA", "AB", "ZZ", "AAA", "XFD",
    ]  # fmt: skip


def test_names_are_compared_by_their_letters_and_digits() -> None:
    assert fold(" N° de Tél.\nPORTABLE ") == fold("ndetelportable")
    assert nearest_first("telefone", ["Nom", "Téléphone", "Tel"])[0] == "Téléphone"
