"""A list as somebody saved it → rows of text, whatever program wrote it and whatever it is called.

The content decides what a file is, never its name. CSV is streamed in chunks of 64 KiB; XLSX, XLSB,
XLS and ODS are loaded by calamine, one sheet at a time. A row's place in `Table.rows`, counted from
1, is the number that Excel shows beside it, so empty rows are rows too. Cells are stripped text.

CSV is UTF-8 or UTF-16 where it begins with their mark. Without a mark it is UTF-8, until a chunk
that is not; if all before was ASCII, the rest is Windows-1252, else the file is refused: which of
two encodings a name is in cannot be guessed. Either way, nothing given out before was read wrongly.
The separator is the one that cuts most of the first rows into equally many cells.

Hidden and filtered rows come like all others; `Table.hidden` says which they are. I/O is the
reading of one file. Sources: RFC 4180; [MS-XLS] 2.4.117 (FilePass); [MS-OFFCRYPTO] 2.3.4.4
(EncryptedPackage); OWASP, CSV Injection.
"""

import codecs
import csv
import difflib
import io
import os
import struct
import subprocess  # nosec B404  # one call, of our own file
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    SheetMetadata,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from smppgw.campaign import ole, trial
from smppgw.campaign.hidden import ZIP_FAILURES, Hidden, find_hidden
from smppgw.errors import InputError, OperationError
from smppgw.sms.template import fold

CHUNK_OCTETS = 64 * 1024
SNIFFED_LINES = 200
# A line of a list is shorter by far; without a limit, one missing line end would fill the memory.
LONGEST_LINE = 1024 * 1024

# The first of two wins where both explain the rows equally well: "Dupont, Jean;06…" is two cells.
SEPARATORS = ("\t", ";", "|", ",")

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

OPEN_FAILURES: tuple[tuple[type[OSError], str], ...] = (
    (FileNotFoundError, "does not exist; check the name and the folder"),
    (IsADirectoryError, "is a folder; name the list in it"),
    (PermissionError, "may not be read by this user; ask its owner for the right to read it"),
)

ZIP = b"PK\x03\x04"

SAVE_AS = "open it in Excel or LibreOffice and save the list as XLSX or CSV"
PROTECTED = "is protected by a password; save it without one and try again"
TOO_LARGE = (
    "takes more memory than any list needs: most likely one cell lies far from all others; delete "
    "the rows below the list and the columns right of it, or save it as CSV"
)
DAMAGED = f"is damaged or is no spreadsheet; {SAVE_AS}"

# What people attach by mistake, by its first octets (compared without case).
OTHER_KINDS = (
    (b"%pdf-", "a PDF"),
    (b"\x89png", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"gif8", "a picture"),
    (b"{\\rtf", "a text document"),
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
    (b"<table", "a web page"),
    (b"<?xml", "an XML file"),
    (b"begin:vcard", "an address card"),
    (b"\x1f\x8b", "a compressed file"),
    (b"7z\xbc\xaf", "a compressed file"),
    (b"rar!", "a compressed file"),
)

# What an OLE file holds, by the name of a stream in its directory.
OLE_STREAMS = (
    ("EncryptedPackage", PROTECTED),
    ("WordDocument", f"is a Word document, not a spreadsheet; {SAVE_AS}"),
    ("PowerPoint Document", f"is a presentation, not a spreadsheet; {SAVE_AS}"),
)

# What a zip file holds, by the beginning of a member's name.
ZIP_MEMBERS = (
    ("word/", f"is a Word document, not a spreadsheet; {SAVE_AS}"),
    ("ppt/", f"is a presentation, not a spreadsheet; {SAVE_AS}"),
    ("Index/", f"is an Apple Numbers file; {SAVE_AS.replace('Excel or LibreOffice', 'Numbers')}"),
)
MEMBER_OCTETS = 1024 * 1024
ENCRYPTED_MEMBER = 0x01  # APPNOTE.TXT 4.4.4, bit 0

ODS_MEDIA_TYPE = b"application/vnd.oasis.opendocument.spreadsheet"

BOF, FILEPASS = 0x0809, 0x002F  # [MS-XLS] 2.3: the first record, and the one that says "encrypted"

# Excel takes a cell that begins so for a formula, or cuts it there (OWASP, CSV Injection).
FORMULA_STARTS = frozenset("=+-@\t\r")


class Table:
    """One sheet, or one CSV file, as rows of text that can be walked once.

    Attributes:
        name: What to call the file in a sentence.
        rows: The stripped cells of each row, empty rows included; ragged as the file is.
        warnings: Sentences for whoever sends; one may be added while the rows are walked.
        hidden: The rows and columns that the sheet hides; none in CSV.
    """

    def __init__(self, name: str, file: BinaryIO | None) -> None:
        self.name = name
        self.rows: Iterator[tuple[str, ...]] = iter(())
        self.warnings: list[str] = []
        self.hidden = Hidden()
        self._file = file

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_table(
    path: str | os.PathLike[str], *, sheet: str | None = None, stdin: BinaryIO | None = None
) -> Table:
    """Open a list of any supported kind.

    Args:
        path: The file, or `-` for standard input.
        sheet: The sheet to read, forgiving case, accents and blanks; None is the first visible
            one with data.
        stdin: The binary stream that `-` stands for; None is the process's own.

    Raises:
        InputError: The file cannot be opened, is no list, is protected or has no such sheet;
            nothing stays open. Walking `rows` may raise it too, for a wrong octet or a quotation
            mark never closed.
        OperationError: Reading failed.
    """
    if os.fspath(path) == "-":
        table = Table("standard input", None)
        file = stdin if stdin is not None else sys.stdin.buffer
    else:
        table = Table(os.fspath(path), file := _open(Path(path)))
    try:
        head = _read(file, table.name)
        if head.startswith((ZIP, ole.MAGIC)):
            table.rows = _workbook_rows(file, head, sheet, table)
        else:
            if sheet is not None:
                table.warnings.append(f"{table.name} is a CSV file and has no sheets.")
            table.rows = _csv_rows(file, head, table)
    except BaseException:
        table.close()
        raise
    return table


def column_letter(index: int) -> str:
    """Give the letter that Excel shows above a column: 0 is A, 26 is AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def nearest_first(wanted: str, names: Iterable[str]) -> list[str]:
    """Sort names by likeness to the one that was asked for and does not exist."""
    target = fold(wanted)
    return sorted(
        names, key=lambda name: -difflib.SequenceMatcher(None, target, fold(name)).ratio()
    )


def neutralise(cell: str) -> str:
    """Put an apostrophe before text that Excel would run as a formula; reading takes it away."""
    return "'" + cell if cell.lstrip("'")[:1] in FORMULA_STARTS else cell


def _clean(cells: Iterable[str]) -> tuple[str, ...]:
    """Strip the cells of a row and undo what guards them from Excel; 0.35 µs for five cells."""
    stripped = tuple(map(str.strip, cells))
    joined = "".join(stripped)
    if "'" in joined or '="' in joined:
        return tuple(map(_unguard, stripped))
    return stripped


def _unguard(cell: str) -> str:
    """Undo `neutralise`, and the `="06…"` by which exports keep Excel from eating a zero."""
    if cell[:1] == "'" and cell.lstrip("'")[:1] in FORMULA_STARTS:
        return cell[1:]
    if cell[:2] == '="' and cell[-1] == '"' and len(cell) > 2:
        return cell[2:-1].strip()
    return cell


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        for kind, sentence in OPEN_FAILURES:
            if isinstance(error, kind):
                raise InputError(f"{path} {sentence}.") from error
        raise InputError(f"{path} cannot be opened: {error.strerror}.") from error


def _read(file: BinaryIO, name: str, octets: int = CHUNK_OCTETS) -> bytes:
    try:
        return file.read(octets)
    except OSError as error:
        raise OperationError(f"{name} cannot be read to its end: {error.strerror}.") from error


# --- CSV ---


def _csv_rows(file: BinaryIO, head: bytes, table: Table) -> Iterator[tuple[str, ...]]:
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()[:16].lower()
    for magic, kind in OTHER_KINDS:
        if start.startswith(magic):
            raise InputError(f"{table.name} is {kind}, not a list; {SAVE_AS}.")
    if b"\0" in head and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{table.name} is neither a spreadsheet nor a text file; {SAVE_AS}.")
    texts = _texts(head, file, table.name)
    first = next(texts)
    lines = _lines(chain((first,), texts), table.name)
    sniffed = list(islice(io.StringIO(first, newline=""), SNIFFED_LINES))
    directive = sniffed[0].rstrip("\r\n").lower() if sniffed else ""
    if directive.startswith("sep=") and len(directive) == 5:  # Excel obeys this line and hides it
        next(lines)
        return _records(lines, directive[-1], table)
    if len(sniffed) > 1 and len(head) == CHUNK_OCTETS:
        sniffed.pop()  # most likely cut in its middle
    return _records(lines, _separator(sniffed), table)


def _texts(head: bytes, file: BinaryIO, name: str) -> Iterator[str]:
    """Decode a stream; the first chunk that is not ASCII settles the encoding."""
    encoding = next((codec for mark, codec in BYTE_ORDER_MARKS if head.startswith(mark)), "utf-8")
    decoder = codecs.getincrementaldecoder(encoding)()
    unsettled = encoding == "utf-8"
    lines = 0
    for chunk in chain((head,), iter(lambda: _read(file, name), b""), (b"",)):
        held = decoder.getstate()[0]
        try:
            try:
                text = decoder.decode(chunk, not chunk)
            except UnicodeDecodeError:
                if not unsettled:
                    raise
                decoder = codecs.getincrementaldecoder("cp1252")()
                text = decoder.decode(held + chunk)
        except UnicodeDecodeError as error:
            line = lines + error.object[: error.start].count(b"\n") + 1
            raise InputError(
                f"{name}, line {line}: a character is not in the encoding of the rest of the file; "
                "open it in Excel or LibreOffice and save it as XLSX."
            ) from None  # the error underneath holds cells
        unsettled = unsettled and text.isascii()
        lines += text.count("\n")
        yield text


def _lines(texts: Iterator[str], name: str) -> Iterator[str]:
    """Cut decoded chunks after \\n, \\r\\n or \\r, and nowhere else."""
    rest = ""
    for text in texts:
        lines = io.StringIO(rest + text, newline="").readlines()
        if not lines:
            continue
        rest = lines.pop()  # its end, or the second half of its \r\n, may be in the next chunk
        yield from lines
        if len(rest) > LONGEST_LINE:
            raise InputError(f"{name} has a line longer than any list has; {SAVE_AS}.")
    if rest:
        yield rest


def _separator(lines: Sequence[str]) -> str:
    """Find what cuts most of the first rows into equally many cells, quotes respected."""
    best, best_share = SEPARATORS[0], 0.0
    for separator in SEPARATORS:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=separator) if any(row))
        agreeing = max((rows for width, rows in widths.items() if width > 1), default=0)
        share = agreeing / max(widths.total(), 1)
        if share > best_share:
            best, best_share = separator, share
    return best


def _records(lines: Iterator[str], separator: str, table: Table) -> Iterator[tuple[str, ...]]:
    ended = False

    def watched() -> Iterator[str]:
        nonlocal ended
        yield from lines
        ended = True

    reader = csv.reader(watched(), delimiter=separator)
    row = line = 0
    swallowed = False
    try:
        for record in reader:
            row += 1
            if ended:  # the reader gives a last row only if the file ends inside quotation marks
                raise _unclosed(table.name, row)
            if reader.line_num > line + 1 and not swallowed and _swallows(record, separator):
                swallowed = True
                table.warnings.append(
                    f"{table.name}, row {row}: one cell holds lines that look like rows of their "
                    "own; is a quotation mark left open there?"
                )
            line = reader.line_num
            yield _clean(record)
    except csv.Error as error:  # a cell beyond csv.field_size_limit()
        raise _unclosed(table.name, row + 1) from error
    finally:
        table.close()


def _unclosed(name: str, row: int) -> InputError:
    return InputError(
        f"{name}, row {row}: a quotation mark is opened and never closed; close or remove it."
    )


def _swallows(record: Sequence[str], separator: str) -> bool:
    """Tell whether a cell of several lines holds one with as many separators as the whole row."""
    return len(record) > 1 and any(
        line.count(separator) >= len(record) - 1
        for cell in record
        for line in cell.splitlines()[1:]
    )


# --- Workbooks ---


def _number_text(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


CELL_TEXT: dict[type, Callable[[Any], str]] = {
    str: str,
    float: _number_text,
    int: str,
    bool: lambda value: "TRUE" if value else "FALSE",
    datetime: lambda value: value.isoformat(sep=" "),
    date: date.isoformat,
    time: time.isoformat,
    timedelta: str,
}


def _workbook_rows(
    file: BinaryIO, head: bytes, sheet: str | None, table: Table
) -> Iterator[tuple[str, ...]]:
    if file.seekable():
        file.seek(0)
    else:
        file = io.BytesIO(head + _read(file, table.name, -1))
    if head.startswith(ole.MAGIC):
        if ole.is_endless(_read(file, table.name, -1)):
            raise InputError(f"{table.name} {DAMAGED}.")
        file.seek(0)
    _require_survivor(file, table.name)
    with _translated(file, table.name), CalamineWorkbook.from_filelike(file) as book:
        everything = book.sheets_metadata
        sheets = [one for one in everything if one.typ is SheetTypeEnum.WorkSheet]
        chosen: CalamineSheet | None = None
        others = []
        if sheet is not None:
            chosen = book.get_sheet_by_name(_named_sheet(sheet, sheets, table.name))
            sheets = []
        for one in sorted(sheets, key=lambda one: one.visible is not SheetVisibleEnum.Visible):
            loaded = book.get_sheet_by_name(one.name)
            if loaded.height and chosen is None:
                chosen = loaded
                if one.visible is not SheetVisibleEnum.Visible:
                    table.warnings.append(
                        f"{table.name}: the sheet “{one.name}” is hidden, and read all the same: "
                        "no visible one has data."
                    )
            elif loaded.height:
                others.append(f"“{one.name}”")
    if chosen is None:
        table.close()
        return iter(())
    hidden = find_hidden(file, [one.name for one in everything].index(chosen.name))
    table.close()
    if others:
        table.warnings.append(
            f"{table.name}: only the sheet “{chosen.name}” is read, not {', '.join(others)}; "
            "--sheet names another."
        )
    if hidden is None:
        table.warnings.append(
            f"{table.name}: whether rows are hidden cannot be told in a file of this kind; "
            "hidden rows are written to all the same."
        )
    else:
        table.hidden = hidden
    return _sheet_rows(chosen)


def _require_survivor(file: BinaryIO, name: str) -> None:
    """Have a process of its own load the workbook first, which this one would die of (`trial`).

    10 ms for a list of some thousand rows; 2.4 s for 300,000 rows of ten cells.

    Raises:
        InputError: it died.
        OperationError: it could not try.
    """
    command = [sys.executable, "-I", trial.__file__]
    given: dict[str, Any] = (
        {"input": file.getbuffer()} if isinstance(file, io.BytesIO) else {"stdin": file}
    )
    try:
        status = subprocess.run(  # nosec B603  # no word of it comes from outside
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=2 * trial.CPU_S,
            check=False,
            **given,
        ).returncode
    except subprocess.TimeoutExpired:
        status = trial.TOO_LARGE
    if status == trial.TOO_LARGE or status < 0:  # or a signal ended it
        raise InputError(f"{name} {TOO_LARGE}.")
    if status:
        raise OperationError(
            f"{name} cannot be read: `{' '.join(command)}` ends with status {status}; run it with "
            "the list as its standard input to see why."
        )
    file.seek(0)


@contextmanager
def _translated(file: BinaryIO, name: str) -> Iterator[None]:
    try:
        yield
    except CalamineError:
        raise InputError(f"{name} {_what_is_wrong(file)}.") from None  # its text may quote a cell
    except BaseException as error:
        # calamine 0.37 panics on some damaged XLS: a BaseException, of a class that pyo3 hides.
        if type(error).__name__ != "PanicException":
            raise
        raise InputError(f"{name} {_what_is_wrong(file)}.") from None


def _what_is_wrong(file: BinaryIO) -> str:
    """Say why calamine refused a file: it names only the last format that it tried."""
    file.seek(0)
    if file.read(len(ole.MAGIC)) == ole.MAGIC:
        octets = file.read()
        for stream, sentence in OLE_STREAMS:
            if stream.encode("utf-16-le") in octets:
                return sentence
        return PROTECTED if _has_filepass(octets) else DAMAGED
    try:
        with zipfile.ZipFile(file) as archive:
            return _what_is_wrong_inside(archive)
    except ZIP_FAILURES:
        return DAMAGED


def _what_is_wrong_inside(archive: zipfile.ZipFile) -> str:
    members = archive.namelist()
    if any(member.flag_bits & ENCRYPTED_MEMBER for member in archive.infolist()):
        return PROTECTED
    for prefix, sentence in ZIP_MEMBERS:
        if any(member.startswith(prefix) for member in members):
            return sentence
    if "mimetype" in members and _beginning(archive, "mimetype").strip() != ODS_MEDIA_TYPE:
        return f"is a document, not a spreadsheet; {SAVE_AS}"
    if "META-INF/manifest.xml" in members:
        manifest = _beginning(archive, "META-INF/manifest.xml")
        return PROTECTED if b"encryption-data" in manifest else DAMAGED
    return DAMAGED


def _beginning(archive: zipfile.ZipFile, member: str) -> bytes:
    """Read as much of a member as says what it is: it may have been made to fill the memory."""
    with archive.open(member) as stream:
        return stream.read(MEMBER_OCTETS)


def _has_filepass(octets: bytes) -> bool:
    """Look for FilePass among the first records of a BIFF8 workbook; it follows BOF closely."""
    at = octets.find(struct.pack("<HHHH", BOF, 16, 0x0600, 0x0005))
    for _ in range(4):
        if not 0 <= at <= len(octets) - 4:
            return False
        kind, length = struct.unpack_from("<HH", octets, at)
        if kind == FILEPASS:
            return True
        at += 4 + length
    return False


def _named_sheet(wanted: str, sheets: Sequence[SheetMetadata], name: str) -> str:
    names = [one.name for one in sheets]
    if wanted in names:
        return wanted
    alike = [one for one in names if fold(one) == fold(wanted)]
    if len(alike) == 1:
        return alike[0]
    listed = ", ".join(f"“{one}”" for one in nearest_first(wanted, names))
    raise InputError(f"{name} has no sheet “{wanted}”; it has {listed}.")


def _sheet_rows(sheet: CalamineSheet) -> Iterator[tuple[str, ...]]:
    # calamine pads the rows above the first cell, but not the columns left of it.
    left = ("",) * (sheet.start[1] if sheet.start else 0)
    for cells in sheet.iter_rows():
        yield left + _clean([CELL_TEXT[type(cell)](cell) for cell in cells])
