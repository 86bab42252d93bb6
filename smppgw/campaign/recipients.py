"""A list of recipients → numbers that can be written to, and a file of those that cannot.

Hides which row is the header, which column holds the numbers, and what was left out. Everything is
streamed: what stays in memory is the first rows, and a bit for each number that there could be in
the ranges met (25 MB for all mobile numbers of France).
A list is walked once; the file of what was left out is made beside it when its first row is.

That file has the list's own columns under their own headers, then REPORT_COLUMNS. Corrected and
submitted again it gives only what was corrected, in the list's own column or in `value` beside the
reason: `column` says where the numbers are. A duplicate stays left out until it has another number,
for the first list has already written to the one that it had; so does who opted out.
"""

import csv
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self, TextIO

from smppgw.campaign.spreadsheet import (
    Table,
    column_letter,
    nearest_first,
    neutralise,
    open_table,
)
from smppgw.errors import InputError, NumberError, OperationError
from smppgw.sms.numbers import is_foreign, normalise_number
from smppgw.sms.template import fold

SAMPLED_ROWS = 100  # what the header and the phone column are judged by
HEADER_WITHIN_ROWS = 20  # titles and remarks may stand above it
PHONE_DIGITS = 8  # a cell with as many may be a bad phone number, so it is no header

# Reasons for leaving a row out: the code, and what a secretary reads beside it.
REASONS = {
    "invalid": "not a phone number that exists",
    "landline": "a fixed line, SMS needs a mobile",
    "machine": "the number of a machine, nobody reads it",
    "short": "a short or special number, SMS needs a mobile",
    "ambiguous": "more than one number, keep the one to write to",
    "foreign": "the number of another country",
    "duplicate": "the same number stands in an earlier row",
    "opted_out": "asked not to be written to",
    "blank": "no number in this row",
}

# Reasons that a number stays left out for, in whatever way its row is corrected.
LASTING_REASONS = ("duplicate", "opted_out")

REPORT_COLUMNS = ("row", "column", "value", "reason")

# What a header says of its column, by its words; the highest rank is written to.
MOBILE, PHONE, NUMBER, FIXED = 3, 2, 1, 0
HEADER_WORDS = {
    "cellulaire": MOBILE,
    "gsm": MOBILE,
    "mobile": MOBILE,
    "mobiles": MOBILE,
    "port": MOBILE,
    "portable": MOBILE,
    "portables": MOBILE,
    "smartphone": MOBILE,
    "telmobile": MOBILE,
    "telport": MOBILE,
    "telportable": MOBILE,
    "msisdn": PHONE,
    "numtel": PHONE,
    "phone": PHONE,
    "phones": PHONE,
    "tel": PHONE,
    "telephone": PHONE,
    "telephones": PHONE,
    "n": NUMBER,
    "no": NUMBER,
    "num": NUMBER,
    "number": NUMBER,
    "numero": NUMBER,
    "numeros": NUMBER,
    "domicile": FIXED,
    "fixe": FIXED,
    "fixes": FIXED,
    "landline": FIXED,
}
# A header with one of these speaks of something else, whatever its other words.
OTHER_WORDS = frozenset(("courriel", "email", "fax", "mail", "operateur", "telecopie"))
FILLER_WORDS = frozenset(("d", "de", "des", "du", "l", "la", "le", "les"))

# Between words: anything but letters and digits, and the hump of camelCase.
WORD_BREAKS = re.compile(r"(?<=[a-zà-ÿ])(?=[A-ZÀ-Ý])|[\W_]+")


class Row(NamedTuple):
    """A recipient: the row's number as Excel shows it, E.164, and the cells under the headers."""

    row: int
    number: str
    values: tuple[str, ...]


class LeftOut(NamedTuple):
    """A row that is not written to.

    Its number, the phone cell, a key of REASONS, all its cells; its E.164 for LASTING_REASONS.
    """

    row: int
    value: str
    reason: str
    values: tuple[str, ...]
    number: str = ""


# A row before it is judged: its number, phone cell and cells; which of LASTING_REASONS it has
# already, or nothing.
_Candidate = tuple[int, str, tuple[str, ...], str]


class Recipients:
    """Whom a job is for; iterated once, it gives the rows that are kept, in the list's order.

    Attributes:
        name: What to call the list in a sentence.
        headers: One name for each column, no two the same; empty for numbers given one by one.
        phone_column: The header of the column with the numbers; empty for numbers given one by one.
        warnings: Sentences for whoever sends; complete when the iteration ends.
        blocked: The numbers (E.164) of those who opted out, set before the iteration begins.
        kept: Rows given so far.
        reasons: Rows left out so far, by reason.
    """

    def __init__(
        self,
        name: str,
        candidates: Iterator[_Candidate],
        *,
        region: str,
        headers: tuple[str, ...] = (),
        phone_column: str = "",
        table: Table | None = None,
        left_out: "LeftOutFile | None" = None,
    ) -> None:
        self.name = name
        self.headers = headers
        self.phone_column = phone_column
        self.warnings: list[str] = [] if table is None else table.warnings
        self.blocked: Container[str] = ()
        self.kept = 0
        self.reasons: Counter[str] = Counter()
        self._candidates = candidates
        self._region = region
        self._table = table
        self._left_out = left_out

    @property
    def read(self) -> int:
        """Rows read so far, empty ones apart."""
        return self.kept + self.reasons.total()

    @property
    def duplicate(self) -> int:
        """Rows left out so far because an earlier one has the same number."""
        return self.reasons["duplicate"]

    @property
    def opted_out(self) -> int:
        """Rows left out so far because their number is blocked."""
        return self.reasons["opted_out"]

    @property
    def invalid(self) -> int:
        """Rows left out so far for any other reason."""
        return self.reasons.total() - self.duplicate - self.opted_out

    @property
    def left_out_file(self) -> str | None:
        """The file with the rows left out, or None as long as there is none."""
        if self._left_out is None or self._left_out.path is None:
            return None
        return str(self._left_out.path)

    def __iter__(self) -> Iterator[Row]:
        """Walk the list; everything is closed when the walk ends or is given up.

        3.6 µs a row of five cells, reading and normalising included, where the number is digits and
        blanks; 10 with dots, 17 where a landline is left out (200,000 rows of CSV).

        Raises:
            InputError: A part of the file cannot be read as what it began as.
            OperationError: The file cannot be read to its end, or what is left out not written.
        """
        region, seen, blocked = self._region, _Seen(), self.blocked
        try:
            for row, value, values, lasting in self._candidates:
                try:
                    number = normalise_number(value, region)
                except NumberError as error:
                    reason = _reason(error, value, region)
                    self._leave_out(LeftOut(row, value, reason, values))
                    continue
                fresh = seen.add(int(number))
                if lasting or not fresh or number in blocked:
                    reason = lasting or ("opted_out" if fresh else "duplicate")
                    self._leave_out(LeftOut(row, value, reason, values, number))
                    continue
                self.kept += 1
                yield Row(row, number, values)
        finally:
            self.close()

    def _leave_out(self, left_out: LeftOut) -> None:
        self.reasons[left_out.reason] += 1
        if self._left_out is None:
            self.warnings.append(f"{self.name}, {left_out.row}: {_in_words(left_out.reason)}.")
        else:
            self._left_out.write(left_out)

    def close(self) -> None:
        """Close the list, and the file of what was left out."""
        if self._table is not None:
            self._table.close()
        if self._left_out is not None:
            self._left_out.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Seen:
    """The numbers met so far, exactly: a bitmap for each range of 8,192 that has one.

    0.2 µs a number. A set of a million takes 64 MB; this takes 0.2 where they lie close together
    and 30 where they lie all over the 200 million mobile numbers of France.
    """

    def __init__(self) -> None:
        self._ranges: dict[int, bytearray] = {}

    def add(self, number: int) -> bool:
        """Add a number; returns whether it is new."""
        bits = self._ranges.get(number >> 13)
        if bits is None:
            bits = self._ranges[number >> 13] = bytearray(1 << 10)
        octet, bit = number >> 3 & 0x3FF, 1 << (number & 7)
        if bits[octet] & bit:
            return False
        bits[octet] |= bit
        return True


class LeftOutFile:
    """The rows of a list that are not written to, in a CSV that French Excel opens by double click.

    It is created with the first row, readable by its owner alone, and never replaces a file.
    """

    def __init__(self, source: Path | None, headers: tuple[str, ...], phone_column: str) -> None:
        """Prepare, without touching the disk.

        Args:
            source: The list; the file goes beside it, or into the current directory where that is
                not allowed or the list is standard input (None).
            headers: The list's headers.
            phone_column: The one with the numbers.
        """
        self.path: Path | None = None
        self._source = source
        self._headers = headers
        self._phone_column = phone_column
        self._file: TextIO | None = None

    def write(self, left_out: LeftOut) -> None:
        """Add a row.

        Raises:
            OperationError: The file cannot be created or written.
        """
        row, value, reason, values, number = left_out
        words = _in_words(reason)
        if number:
            words += f" (it ends in {number[-4:]})"
        try:
            if self._file is None:
                self.path, self._file = self._create()
                _write_cells(self._file, (*self._headers, *REPORT_COLUMNS))
            _write_cells(self._file, (*values, str(row), self._phone_column, value, words))
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Close the file, if there is one.

        Raises:
            OperationError: Its last rows cannot be written.
        """
        try:
            if self._file is not None:
                self._file.close()
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> OperationError:
        return OperationError(
            f"The rows left out cannot be written to {self.path or Path.cwd()}: {error.strerror}."
        )

    def _create(self) -> tuple[Path, TextIO]:
        """Create the file beside the list, else in the current directory."""
        if self._source is None:
            return _create_unique(Path.cwd(), "stdin")
        stem = re.sub(r"\.left-out(-\d+)?$", "", self._source.stem)
        try:
            return _create_unique(self._source.parent, stem)
        except OSError:
            return _create_unique(Path.cwd(), stem)


def open_recipients(
    path: str | os.PathLike[str],
    *,
    column: str | None = None,
    sheet: str | None = None,
    region: str = "FR",
    stdin: BinaryIO | None = None,
) -> Recipients:
    """Open a list of recipients and find its header and its phone column.

    Args:
        path: CSV, XLSX, XLS or ODS, whatever its name; `-` is standard input.
        column: The phone column: its header, forgiving accents, case and blanks, or its letter;
            None looks for a header that says so, then for a column full of mobile numbers.
        sheet: The sheet; None is the first visible one with data.
        region: Whose national numbers are meant.
        stdin: The binary stream that `-` stands for; None is the process's own.

    Raises:
        InputError: The file cannot be used, or which column is meant is not certain; nothing stays
            open, nothing is created.
    """
    table = open_table(path, sheet=sheet, stdin=stdin)
    try:
        rows = ((row, cells) for row, cells in enumerate(table.rows, 1) if any(cells))
        head = list(islice(rows, SAMPLED_ROWS))
        layout = _lay_out(head, table, column, region)
    except BaseException:
        table.close()
        raise
    phone_column = layout.headers[layout.phone]
    source = None if os.fspath(path) == "-" else Path(path)
    below = chain(head[layout.header_rows :], rows)
    if column is None and layout.phone in table.hidden.columns:
        table.warnings.append(
            f"{table.name}: column “{phone_column}”, which holds the numbers, is hidden in the "
            "sheet; --column names another."
        )
    return Recipients(
        table.name,
        _candidates(_telling_hidden(below, table), layout, region),
        region=region,
        headers=layout.headers,
        phone_column=phone_column,
        table=table,
        left_out=LeftOutFile(source, layout.headers, phone_column),
    )


def from_numbers(numbers: Sequence[str], region: str = "FR") -> Recipients:
    """Take numbers given one by one: a row is a place in the sequence, its values are empty.

    What is left out becomes a warning that names the place.
    """
    candidates = ((at, number.strip(), (), "") for at, number in enumerate(numbers, 1))
    return Recipients("--to", candidates, region=region)


def _reason(error: NumberError, value: str, region: str) -> str:
    if not value:
        return "blank"
    if error.reason == "invalid" and is_foreign(value, region):
        return "foreign"
    return error.reason


def _in_words(reason: str) -> str:
    return f"{reason}: {REASONS[reason]}"


def _write_cells(file: TextIO, cells: Sequence[str]) -> None:
    csv.writer(file, delimiter=";").writerow(map(neutralise, cells))


def _create_unique(folder: Path, stem: str) -> tuple[Path, TextIO]:
    path, attempt = folder / f"{stem}.left-out.csv", 1
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            attempt += 1
            path = folder / f"{stem}.left-out-{attempt}.csv"
        else:
            return path, open(descriptor, "w", encoding="utf-8-sig", newline="")


# --- Which row is the header, which column holds the numbers ---


class _Layout(NamedTuple):
    """How a list is laid out.

    `header_rows` of the sampled rows come before the first recipient; `report` is where
    REPORT_COLUMNS begin, in a list that this gateway wrote; `phone` is a place in `headers`.
    """

    headers: tuple[str, ...]
    header_rows: int
    report: int | None
    phone: int


def _lay_out(
    head: Sequence[tuple[int, tuple[str, ...]]], table: Table, column: str | None, region: str
) -> _Layout:
    if not head:
        raise InputError(f"{table.name} is empty; give a list with one recipient in each row.")
    filled = [cells for _, cells in head]
    width = max(at + 1 for cells in filled for at, cell in enumerate(cells) if cell)
    filled = [(cells + ("",) * width)[:width] for cells in filled]
    header_rows = _header_rows(filled, column, region)
    header = filled[header_rows - 1] if header_rows else ("",) * width
    sample = filled[header_rows:]
    if not sample:
        raise InputError(f"{table.name} has a header and no row below it; add the recipients.")
    report = _report(header)
    marked = None
    if report is not None:
        marked = sample[0][report + REPORT_COLUMNS.index("column")]
        header = _without_report(header, report)
        sample = [_without_report(cells, report) for cells in sample]
    headers = _unique(header)
    if not header_rows:
        table.warnings.append(
            f"{table.name} has no header row; its columns are called {', '.join(headers)}."
        )
    if column is not None:
        phone = _named_column(column, header, headers, table.name)
    elif marked in headers:
        phone = headers.index(marked)
    else:
        phone = _found_column(header, headers, sample, table, region)
    return _Layout(headers, header_rows, report, phone)


def _telling_hidden(
    rows: Iterator[tuple[int, tuple[str, ...]]], table: Table
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Pass rows on, and warn in the end of those that whoever made the list may not have seen."""
    if not table.hidden.rows:
        yield from rows
        return
    hidden = 0
    for row, cells in rows:
        hidden += table.hidden.has_row(row)
        yield row, cells
    if hidden:
        what = f"{hidden} rows are" if hidden > 1 else "1 row is"
        table.warnings.append(
            f"{table.name}: {what} hidden in the sheet, by hand or by a filter, and written to all "
            "the same; show all rows to be sure, or copy the visible ones to a sheet of their own."
        )


def _candidates(
    rows: Iterator[tuple[int, tuple[str, ...]]], layout: _Layout, region: str
) -> Iterator[_Candidate]:
    """Bring rows to the width of the header; cells beyond have no name and are dropped."""
    headers, _, report, phone = layout
    width = len(headers) + (0 if report is None else len(REPORT_COLUMNS))
    blanks = ("",) * width
    for row, cells in rows:
        if len(cells) != width:
            cells = (cells + blanks)[:width]
        if report is None:
            yield row, cells[phone], cells, ""
            continue
        _, _, value, reason = cells[report : report + len(REPORT_COLUMNS)]
        cells = _without_report(cells, report)
        cell, lasting = _corrected(cells[phone], value, reason, region)
        yield row, cell, (*cells[:phone], cell, *cells[phone + 1 :]), lasting


def _corrected(cell: str, copy: str, reason: str, region: str) -> tuple[str, str]:
    """Choose between a phone cell and its copy beside the reason: people correct the one or other.

    Both hold a number where one of LASTING_REASONS was corrected; the one that it had is told by
    its end.

    Returns:
        What to write to, and which of LASTING_REASONS it still has, or nothing.
    """
    lasting = next(filter(reason.startswith, LASTING_REASONS), "")
    if not lasting:
        return (copy if not _mobile(cell, region) and _mobile(copy, region) else cell), ""
    ending = reason.rstrip(" )")[-4:]
    for either in (cell, copy) if ending.isdecimal() else ():
        number = _mobile(either, region)
        if number and not number.endswith(ending):
            return either, ""
    return cell, lasting


def _header_rows(filled: Sequence[tuple[str, ...]], column: str | None, region: str) -> int:
    """Count the rows down to the header; 0 where there is none.

    The header stands above the first phone number. Titles may stand above it: they fill few of the
    columns.
    """
    most = max(sum(map(bool, cells)) for cells in filled)
    wanted = None if column is None else fold(column)
    best, best_score = 0, (False, False, False)
    for at, cells in enumerate(filled[:HEADER_WITHIN_ROWS], 1):
        below = filled[at] if at < len(filled) else ("",) * len(cells)
        if any(_is_data(*pair, region) for pair in zip(cells, below, strict=True)):
            break
        if _report(cells) is not None:
            return at
        ranks = [_rank(cell) for cell in cells]
        says_phone = [exact for rank, exact in ranks if rank in (MOBILE, PHONE, FIXED)]
        if not (says_phone or all(map(_is_words, filter(None, cells)))):
            continue
        named = wanted is not None and any(fold(cell) == wanted for cell in cells)
        score = (named, any(says_phone), 2 * sum(map(bool, cells)) > most)
        if not best or score > best_score:
            best, best_score = at, score
    return best


def _is_words(cell: str) -> bool:
    return any(map(str.isalpha, cell)) and sum(map(str.isdigit, cell)) < PHONE_DIGITS


def _is_data(cell: str, below: str, region: str) -> bool:
    """Tell a recipient's number from a header that gives an example of one.

    Words beside a number make a header of it, unless the cell below has some too.
    """
    return _is_phone(cell, region) and (
        not _has_words(cell) or (_has_words(below) and _is_phone(below, region))
    )


def _is_phone(cell: str, region: str) -> bool:
    """Tell a number from a word or a date, be it a number that nobody can write to."""
    if _has_words(cell):
        return bool(_mobile(cell, region))
    return _verdict(cell, region) not in ("invalid", "short")


def _has_words(cell: str) -> bool:
    return len(set(filter(str.isalpha, cell))) > 1  # 6.12345678E+08 has none


def _mobile(cell: str, region: str) -> str:
    """Give E.164, or nothing."""
    verdict = _verdict(cell, region)
    return verdict if verdict[0] == "+" else ""


def _verdict(cell: str, region: str) -> str:
    """Give E.164, or why the cell has none."""
    try:
        return normalise_number(cell, region)
    except NumberError as error:
        return error.reason


def _report(header: tuple[str, ...]) -> int | None:
    """Find where REPORT_COLUMNS begin."""
    for at in range(len(header) - len(REPORT_COLUMNS) + 1):
        if header[at : at + len(REPORT_COLUMNS)] == REPORT_COLUMNS:
            return at
    return None


def _without_report(cells: tuple[str, ...], report: int) -> tuple[str, ...]:
    return cells[:report] + cells[report + len(REPORT_COLUMNS) :]


def _unique(header: tuple[str, ...]) -> tuple[str, ...]:
    """Give every column a name: its letter where it has none, or has another column's."""
    names: list[str] = []
    for at, cell in enumerate(header):
        letter = column_letter(at)
        name = " ".join(cell.split()) or letter
        while name in names:
            name = f"{name} ({letter})"
        names.append(name)
    return tuple(names)


def _named_column(wanted: str, header: tuple[str, ...], headers: tuple[str, ...], name: str) -> int:
    """Find the column that somebody names; a name that two columns have means neither."""
    letters = [column_letter(at) for at in range(len(headers))]
    alike = [at for at, cell in enumerate(header) if cell == wanted]
    if not alike:
        alike = [at for at, cell in enumerate(headers) if fold(cell) == fold(wanted)]
    if not alike and wanted.strip().upper() in letters:
        return letters.index(wanted.strip().upper())
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise InputError(
            f"{name} has several columns “{wanted}”: {_listed([letters[at] for at in alike])}; "
            "give the letter of one with --column."
        )
    raise InputError(
        f"{name} has no column “{wanted}”; it has {_listed(nearest_first(wanted, headers))}."
    )


def _found_column(
    header: tuple[str, ...],
    headers: tuple[str, ...],
    sample: Sequence[tuple[str, ...]],
    table: Table,
    region: str,
) -> int:
    """Find the phone column by its header, else by its content."""
    columns = range(len(header))
    ranks = {at: rank for at in columns if (rank := _rank(header[at]))[0] is not None}
    live = {
        at: rank for at, rank in ranks.items() if any(_is_phone(row[at], region) for row in sample)
    }
    full = [
        at
        for at in columns
        if 2 * sum(bool(_mobile(row[at], region)) for row in sample if row[at]) >= len(sample)
    ]
    if all(rank == FIXED for rank, _ in live.values()):
        live = {}  # better than no column, but no better than another that is named or full
    if live or (ranks and not full):
        ranks = live or ranks
        full = [at for at in columns if ranks.get(at) == max(ranks.values())]
    elif len(full) == 1:
        table.warnings.append(
            f"{table.name}: column “{headers[full[0]]}” holds the numbers, judging by its content."
        )
    if len(full) == 1:
        return full[0]
    if full:
        raise InputError(
            f"{table.name}: the columns {_listed([headers[at] for at in full])} may all hold the "
            "numbers; name one with --column."
        )
    raise InputError(
        f"{table.name}: no column of phone numbers was found among {_listed(headers)}; "
        "name it with --column."
    )


def _rank(header: str) -> tuple[int | None, bool]:
    """Judge a header: how near it comes to "mobile number", and whether it says nothing else."""
    composed = unicodedata.normalize("NFKC", header)
    words = {fold(word) for word in WORD_BREAKS.split(composed)} - FILLER_WORDS - {""}
    ranks = {HEADER_WORDS[word] for word in words if word in HEADER_WORDS}
    exact = words <= HEADER_WORDS.keys()
    if not ranks or words & OTHER_WORDS:
        return None, False
    if MOBILE in ranks:
        return MOBILE, exact
    if FIXED in ranks:
        return FIXED, exact
    if PHONE in ranks:
        return PHONE, exact
    return (NUMBER, True) if exact else (None, False)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"“{name}”" for name in names[:20])
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown
