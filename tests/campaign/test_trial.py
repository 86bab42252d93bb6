"""Workbooks that would fill the memory, read under the limits of a trial."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import xlsxwriter
import xlwt

from smppgw.campaign import trial
from smppgw.campaign.spreadsheet import DAMAGED, TOO_LARGE, open_table
from smppgw.errors import InputError, OperationError
from tests.campaign.test_spreadsheet import LIST, ROWS, read, refusal, write_ods, write_xls
from tests.campaign.test_spreadsheet import write_xlsx as write_sheets

LAST_ROW, LAST_COLUMN = 1_048_575, 16_383


def write_far_corner(path: Path) -> Path:
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate(LIST):
            sheet.write_row(at, 0, row)
        sheet.write(LAST_ROW, LAST_COLUMN, "x")
    return path


def test_a_sheet_with_one_cell_in_its_far_corner_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = write_far_corner(tmp_path / "a.xlsx")
    assert path.stat().st_size < 10_000
    assert refusal(path) == f"{path} {TOO_LARGE}."


def test_it_is_refused_on_standard_input_too(tmp_path: Path) -> None:
    octets = write_far_corner(tmp_path / "a.xlsx").read_bytes()
    with pytest.raises(InputError, match=TOO_LARGE):
        open_table("-", stdin=io.BytesIO(octets))


def test_an_ods_with_one_cell_in_its_far_corner_is_refused(tmp_path: Path) -> None:
    path = write_ods(tmp_path / "a.ods", LIST)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    far = (
        b'<table:table-row table:number-rows-repeated="1048570"><table:table-cell/>'
        b"</table:table-row><table:table-row>"
        b'<table:table-cell table:number-columns-repeated="16383"/>'
        b'<table:table-cell office:value-type="float" office:value="1"/></table:table-row>'
    )
    content = members["content.xml"]
    members["content.xml"] = content.replace(b"</table:table>", far + b"</table:table>", 1)
    assert members["content.xml"] != content
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, octets in members.items():
            archive.writestr(name, octets)
    assert refusal(path) in (f"{path} {TOO_LARGE}.", f"{path} {DAMAGED}.")


def test_many_sheets_of_an_xls_that_are_large_only_together_are_refused(tmp_path: Path) -> None:
    book = xlwt.Workbook()
    for name in "ABC":
        sheet = book.add_sheet(name)
        sheet.write(0, 0, "Portable")
        sheet.write(65_535, 255, "x")  # half a gigabyte each, and calamine loads them all
    path = tmp_path / "a.xls"
    book.save(str(path))
    assert refusal(path) == f"{path} {TOO_LARGE}."


@pytest.mark.parametrize("many", [write_ods, write_xls], ids=["ods", "xls"])
def test_a_list_that_lives_is_read_from_its_beginning(tmp_path: Path, many: object) -> None:
    path = tmp_path / "liste"
    assert callable(many)
    assert read(many(path, LIST)) == ROWS
    assert read("-", stdin=io.BytesIO(path.read_bytes())) == ROWS


def test_no_list_is_read_where_no_trial_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_sheets(tmp_path / "a.xlsx", {"A": LIST})
    monkeypatch.setattr(trial, "__file__", str(tmp_path / "nowhere.py"))
    with pytest.raises(OperationError, match="ends with status 2"):
        open_table(path)


def test_a_trial_is_held_to_its_limits_and_to_narrower_ones_of_its_parent() -> None:
    script = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (7, 7))\n"
        "from smppgw.campaign.trial import *\n"
        "limit(resource.RLIMIT_AS, MEMORY_OCTETS)\n"
        "limit(resource.RLIMIT_CPU, CPU_S)\n"
        "print(resource.getrlimit(resource.RLIMIT_CPU)[0])\n"
        "try:\n"
        "    bytearray(MEMORY_OCTETS)\n"
        "except MemoryError:\n"
        "    print('full')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    assert ended.stdout.split() == ["7", "full"]
