"""Rows and columns that a sheet hides, in files as Excel, LibreOffice and others write them."""

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
import xlsxwriter
import xlwt
from hypothesis import given
from hypothesis import strategies as st

from smppgw.campaign import hidden
from smppgw.campaign.hidden import MOST_COLUMNS, MOST_ROWS, find_hidden
from smppgw.campaign.spreadsheet import open_table

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
CELLS = ("nom", "06 00 00 00 01", "x")

# rows, the hidden ones counted from 1, the hidden columns counted from 0 → a workbook, of whose two
# sheets "Liste" is the second
Write = Callable[[int, Collection[int], Collection[int]], bytes]


def write_xlsx(rows: int, hidden_rows: Collection[int], hidden_columns: Collection[int]) -> bytes:
    with xlsxwriter.Workbook(octets := io.BytesIO(), {"in_memory": True}) as book:
        book.add_worksheet("Autre").set_row(0, None, None, {"hidden": True})
        sheet = book.add_worksheet("Liste")
        for row in range(rows):
            sheet.write_row(row, 0, (f"{row + 1}", *CELLS))
        for row in hidden_rows:
            sheet.set_row(row - 1, None, None, {"hidden": True})
        for column in hidden_columns:
            sheet.set_column(column, column, None, None, {"hidden": True})
    return octets.getvalue()


def write_xls(rows: int, hidden_rows: Collection[int], hidden_columns: Collection[int]) -> bytes:
    book = xlwt.Workbook()
    book.add_sheet("Autre").row(0).hidden = True
    sheet = book.add_sheet("Liste")
    for row in range(rows):
        for column, cell in enumerate((f"{row + 1}", *CELLS)):
            sheet.write(row, column, cell)
    for row in hidden_rows:
        sheet.row(row - 1).hidden = True
    for column in hidden_columns:
        sheet.col(column).hidden = True
    book.save(octets := io.BytesIO())
    return octets.getvalue()


def write_ods(rows: int, hidden_rows: Collection[int], hidden_columns: Collection[int]) -> bytes:
    collapsed = ' table:visibility="collapse"'
    columns = "".join(
        f"<table:table-column{collapsed if at in hidden_columns else ''}/>" for at in range(4)
    )
    filtered = ' table:style-name="ro1" table:visibility="filter"'
    lines = "".join(
        f"<table:table-row{filtered if row in hidden_rows else ''}>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p>'
            "</table:table-cell>"
            for cell in (f"{row}", *CELLS)
        )
        + "</table:table-row>"
        for row in range(1, rows + 1)
    )
    return ods(
        f'<table:table table:name="Autre"><table:table-row{collapsed}/></table:table>'
        f'<table:table table:name="Liste">{columns}{lines}</table:table>'
    )


def ods(tables: str) -> bytes:
    namespaces = " ".join(
        f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{prefix}:1.0"'
        for prefix in ("office", "table", "text")
    )
    return archive(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "META-INF/manifest.xml": "<manifest/>",
            "content.xml": f"<office:document-content {namespaces}><office:body>"
            f"<office:spreadsheet>{tables}</office:spreadsheet></office:body>"
            "</office:document-content>",
        }
    )


def archive(members: dict[str, str]) -> bytes:
    with zipfile.ZipFile(octets := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in members.items():
            written.writestr(name, content)
    return octets.getvalue()


def xlsx(
    sheet: str,
    *,
    target: str = "worksheets/sheet1.xml",
    head: str = '<?xml version="1.0" encoding="UTF-8"?>',
) -> bytes:
    """A workbook of one sheet, with its XML as given."""
    return archive(
        {
            "xl/workbook.xml": f'{head}<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>'
            '<sheet name="L" sheetId="1" r:id="rId7"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{RELATIONS}">'
            '<Relationship Id="rId1" Target="styles.xml"/>'
            f'<Relationship Id="rId7" Target="{target}"/></Relationships>',
            "xl/worksheets/sheet1.xml": sheet,
        }
    )


def found(octets: bytes, sheet: int = 0) -> tuple[set[int], set[int]]:
    """What is hidden, as row numbers and places of columns."""
    told = find_hidden(io.BytesIO(octets), sheet)
    assert told is not None
    rows = {row for row in range(len(told.rows) + 2) if told.has_row(row)}
    return rows, set(told.columns)


WRITERS = pytest.mark.parametrize("write", [write_xlsx, write_xls, write_ods])


@WRITERS
@pytest.mark.parametrize(
    ("rows", "columns"),
    [((), ()), ((1,), (0,)), ((2, 3, 5), (1, 2)), ((40,), (3,)), (range(1, 41), range(4))],
)
def test_hidden_rows_and_columns_are_found_and_no_others(
    write: Write, rows: Collection[int], columns: Collection[int]
) -> None:
    assert found(write(40, rows, columns), 1) == (set(rows), set(columns))
    assert found(write(40, rows, columns), 0) == ({1}, set())


@WRITERS
def test_a_hidden_row_has_the_number_that_the_row_has_when_it_is_read(
    tmp_path: Path, write: Write
) -> None:
    path = tmp_path / "liste"
    path.write_bytes(write(30, (7, 30), ()))
    with open_table(path, sheet="Liste") as table:
        rows = [cells[0] for at, cells in enumerate(table.rows, 1) if table.hidden.has_row(at)]
    assert rows == ["7", "30"]
    assert table.warnings == []


@pytest.mark.parametrize(
    ("sheet", "rows", "columns"),
    [
        ('<row r="2" hidden="true"/><row r="3" hidden="false"/>', {2}, set()),
        ("<row hidden = '1'><c/></row><row/><row></row><row s='1' hidden='1'/>", {1, 4}, set()),
        ('<row r="7"/><row r="9" s="1" customFormat="1" hidden="1" ht="0">', {9}, set()),
        ('<row r="2" unhidden="1" xhidden="1" x="hidden=1"/>', set(), set()),
        ('<row r="2"><c><is><t>&lt;row hidden="1"> hidden="1"</t></is></c></row>', set(), set()),
        ('<rowBreaks hidden="1"/><colBreaks hidden="1"/>', set(), set()),
        ('<cols><col min="2" max="3" hidden="1"/><col min="4" max="9"/></cols>', set(), {1, 2}),
        ('<row r="1" hidden="1"/><row r="0" hidden="1"/>', {0, 1}, set()),
        ('<row r="1048577" hidden="1"/><row r="9999999" hidden="1"/>', set(), set()),
    ],
)  # fmt: skip
def test_a_row_of_xlsx_is_understood_however_it_is_written(
    sheet: str, rows: set[int], columns: set[int]
) -> None:
    assert found(xlsx(f"<worksheet>{sheet}</worksheet>")) == (rows, columns)


def test_xlsx_with_a_prefix_before_every_name_is_understood() -> None:
    sheet = (
        f'<x:worksheet xmlns:x="{MAIN}"><x:cols><x:col min="1" max="1" hidden="1"/></x:cols>'
        '<x:sheetData><x:row r="4" hidden="1"/></x:sheetData></x:worksheet>'
    )
    assert found(xlsx(sheet)) == ({4}, {0})


@pytest.mark.parametrize("target", ["/xl/worksheets/sheet1.xml", "../xl/Worksheets/./sheet1.xml"])
def test_the_part_of_a_sheet_is_found_by_any_path(target: str) -> None:
    sheet = '<worksheet><row r="4" hidden="1"/></worksheet>'
    assert found(xlsx(sheet, target=target)) == ({4}, set())


@pytest.mark.parametrize("octets", range(900, 965))
def test_a_tag_cut_by_the_end_of_a_chunk_is_read_whole(
    monkeypatch: pytest.MonkeyPatch, octets: int
) -> None:
    monkeypatch.setattr(hidden, "CHUNK_OCTETS", octets)
    rows = [row for row in range(1, 200) if row % 3 == 0]
    assert found(write_xlsx(200, rows, (1,)), 1) == (set(rows), {1})
    assert found(write_ods(200, rows, (1,)), 1) == (set(rows), {1})


def test_rows_and_columns_that_ods_repeats_are_all_counted() -> None:
    octets = ods(
        '<table:table table:name="L"><table:table-column table:number-columns-repeated="2"/>'
        '<table:table-column table:visibility="collapse" table:number-columns-repeated="2"/>'
        '<table:table-header-rows><table:table-row table:number-rows-repeated="3"/>'
        "</table:table-header-rows>"
        '<table:table-row-group><table:table-row table:number-rows-repeated="2"'
        ' table:visibility="collapse"><table:table-cell/></table:table-row>'
        '<table:table-row table:visibility="visible"/></table:table-row-group>'
        '<table:table-row table:visibility="filter"/></table:table>'
    )
    assert found(octets) == ({4, 5, 7}, {2, 3})


def test_a_large_xls_whose_table_of_sectors_is_chained_is_read() -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("L")
    for row in range(300):
        sheet.write(row, 0, f"{row} ".ljust(30_000, "x"))
    sheet.row(299).hidden = True
    book.save(octets := io.BytesIO())
    assert struct.unpack_from("<I", octets.getvalue(), 72)[0] > 0
    assert found(octets.getvalue()) == ({300}, set())


def test_the_end_of_a_chart_is_not_that_of_the_sheet_it_stands_in() -> None:
    octets = write_xls(5, (4,), ())
    settings = octets.rindex(b"\x0d\0\x02\0"), octets.rindex(b"\x0c\0\x02\0")
    begin, end = sorted(settings)
    assert end - begin == 6  # two records of the sheet, one after the other
    chart = octets[:begin] + b"\x09\x08" + octets[begin + 2 : end] + b"\x0a\0" + octets[end + 2 :]
    assert found(chart, 1) == ({4}, set())


# --- What somebody bent ---


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        archive({"liste.csv": "A;06"}),
        archive({"xl/workbook.bin": "", "xl/worksheets/sheet1.bin": ""}),
        xlsx("<worksheet/>", target="worksheets/sheet2.xml"),
        xlsx("<worksheet/>", head='<!DOCTYPE x [<!ENTITY a "aa">]>'),
        xlsx("<worksheet/>", head=" " * (4 * 1024 * 1024)),
        xlsx("<html/>"),
        ods(""),
        write_xls(3, (), ())[:2000],
    ],
    ids=["empty", "csv", "xlsb", "lost", "doctype", "endless", "html", "no table", "cut"],
)
def test_what_cannot_be_looked_into_is_none(octets: bytes) -> None:
    assert find_hidden(io.BytesIO(octets), 0) is None


@WRITERS
def test_a_sheet_that_is_not_there_is_none(write: Write) -> None:
    assert find_hidden(io.BytesIO(write(2, (), ())), 2) is None


SMALL: dict[Write, bytes] = {
    write: write(3, (2,), (1,)) for write in (write_xlsx, write_xls, write_ods)
}


@WRITERS
@given(bends=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_any_octets_are_something_hidden_or_none(
    write: Write, bends: list[tuple[float, int]]
) -> None:
    octets = bytearray(SMALL[write])
    for place, octet in bends:
        octets[int(place * (len(octets) - 1))] = octet
    told = find_hidden(io.BytesIO(octets), 1)
    assert told is None or len(told.rows) <= MOST_ROWS + 1


@given(
    bends=st.lists(
        st.tuples(st.integers(0, 19), st.sampled_from([0, 1, 2, 0xFFFFFFFA, 0xFFFFFFFE])),
        min_size=1,
        max_size=6,
    )
)
def test_a_chain_of_sectors_that_was_bent_ends_all_the_same(bends: list[tuple[int, int]]) -> None:
    octets = bytearray(SMALL[write_xls])
    table = (struct.unpack_from("<I", octets, 76)[0] + 1) * 512
    for place, sector in bends:
        struct.pack_into("<I", octets, table + 4 * place, sector)
    told = find_hidden(io.BytesIO(octets), 1)
    assert told is None or len(told.rows) <= MOST_ROWS + 1


def test_a_sheet_made_to_fill_the_memory_does_not() -> None:
    row = "<row" + " " * 40_000_000 + 'hidden="1">'
    many = '<row hidden="1"/>' * 50_000
    repeated = (
        '<table:table-row table:visibility="filter" table:number-rows-repeated="99999999"/>'
        '<table:table-column table:visibility="collapse"'
        ' table:number-columns-repeated="99999999"/>'
    )
    workbooks = [
        xlsx(f"<worksheet>{row}{many}</worksheet>"),
        ods(f"<table:table>{repeated * 1000}</table:table>"),
        xlsx("<worksheet/>", head=" " * 40_000_000),
    ]
    tracemalloc.start()
    try:
        told = [find_hidden(io.BytesIO(octets), 0) for octets in workbooks]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 12_000_000
    assert [sum(one.rows) for one in told if one is not None] == [50_000, MOST_ROWS]
    assert [len(one.columns) for one in told if one is not None] == [0, MOST_COLUMNS]
