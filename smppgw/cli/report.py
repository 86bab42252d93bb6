"""`report`: one row for each message of a job."""

import csv
import json
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

import click
import xlsxwriter
import xlsxwriter.exceptions

from smppgw.campaign.spreadsheet import neutralise
from smppgw.cli.ledger import open_ledger, require
from smppgw.cli.output import err, iso, plural, private, told, unicode_out
from smppgw.config import Config, load
from smppgw.errors import InputError, OperationError
from smppgw.ledger.jobs import Job, MessageRow, report_rows

_SHEET_ROWS = 1_048_575  # that XLSX holds below the header
REPORT_COLUMNS = (
    "number",
    "state",
    "submitted_at",
    "accepted_at",
    "done_at",
    "segments",
    "error",
    "exercise",
)


@click.command()
@click.argument("job", type=int)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["csv", "xlsx", "json"]),
    default="csv",
    show_default=True,
    help="csv for programs, xlsx for people, json for machines.",
)
@click.option("--output", type=click.Path(path_type=Path), help="A file; else standard output.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.pass_obj
def report(
    config_path: Path | None, job: int, format_: str, output: Path | None, as_json: bool
) -> None:
    """Write one row for each message of a job.

    Its columns: number, state, submitted_at, accepted_at, done_at, segments, error, exercise: yes
    where it was a drill.
    """
    config = load(config_path, secrets=False)
    format_ = "json" if as_json else format_
    if format_ == "xlsx" and output is None:
        raise click.UsageError("A spreadsheet goes to a file: add --output FILE.")
    with open_ledger(config.gateway.database) as db:
        found = require(db, job)
    if format_ == "xlsx" and found.total > _SHEET_ROWS:
        raise InputError(
            f"Job {job} has {found.total} messages and a spreadsheet holds {_SHEET_ROWS}: "
            "take --format csv."
        )
    if output is not None:
        _require_other_file(config, output)
    rows = _rows(config, found)
    try:
        if output is None:
            _write_text(sys.stdout, format_, rows)
        elif output.is_symlink() or (output.exists() and not output.is_file()):
            _write(output, format_, rows)  # a link is refused there, a device is written to
        else:
            unfinished = output.with_name(output.name + ".unfinished")
            unfinished.unlink(missing_ok=True)
            try:
                _write(unfinished, format_, rows)
                unfinished.replace(output)
            finally:
                unfinished.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except (OSError, xlsxwriter.exceptions.FileCreateError) as error:
        cause = error if isinstance(error, OSError) else error.args[0]
        raise OperationError(
            f"The report cannot be written to {output or 'standard output'} "
            f"({cause.strerror}): name another file with --output, or make room."
        ) from error
    finally:
        rows.close()
    if output is not None:
        err.print(f"{plural(found.total, 'message')} written to {told(output)}.")


def _require_other_file(config: Config, output: Path) -> None:
    """Refuse to write a report over what the gateway lives by."""
    database = config.gateway.database
    own = [database.with_name(database.name + suffix) for suffix in ("", "-wal", "-shm", "-lock")]
    own += [config.retention.key_file, config.source]
    if output.resolve() in [one.resolve() for one in own]:
        raise InputError(f"{output} belongs to the gateway: name another file with --output.")


def _write(path: Path, format_: str, rows: Iterator[tuple[Any, ...]]) -> None:
    if format_ == "xlsx":
        _write_xlsx(path, rows)
        return
    encoding = (
        "utf-8-sig" if format_ == "csv" else "utf-8"
    )  # Excel knows a CSV in UTF-8 by its mark
    with open(path, "w", encoding=encoding, newline="", opener=private) as file:
        _write_text(file, format_, rows)


def _rows(config: Config, job: Job) -> Generator[tuple[Any, ...], None, None]:
    """Read the report's rows; what its reader raises stays out of the ledger's explanations."""
    zone = ZoneInfo(config.gateway.timezone)
    with open_ledger(config.gateway.database) as db:
        for row in report_rows(db, job.job_id):
            yield (*_cells(row, zone), "yes" if job.exercise else "no")


def _cells(row: MessageRow, zone: ZoneInfo) -> tuple[Any, ...]:
    times = (iso(at, zone) for at in (row.submitted_at, row.accepted_at, row.done_at))
    return (row.number, row.state, *times, row.segments, row.error)


def _write_text(file: IO[str], format_: str, rows: Iterator[tuple[Any, ...]]) -> None:
    if format_ == "csv":
        writer = csv.writer(file)
        writer.writerow(REPORT_COLUMNS)
        for number, *cells in rows:
            # What an SMSC wrote is no formula; a number begins with + and is none either.
            guarded = (neutralise(cell) if isinstance(cell, str) else cell for cell in cells)
            writer.writerow([number, *guarded])
        return
    file.write("[")
    for count, row in enumerate(rows):
        file.write(",\n" if count else "\n")
        document = dict(zip(REPORT_COLUMNS, row, strict=True))
        json.dump(document, file, ensure_ascii=file is sys.stdout and not unicode_out())
    file.write("\n]\n")


def _write_xlsx(path: Path, rows: Iterator[tuple[Any, ...]]) -> None:
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    os.close(private(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
    book = xlsxwriter.Workbook(path, options)
    sheet = book.add_worksheet("report")
    sheet.write_row(0, 0, REPORT_COLUMNS)
    for position, row in enumerate(rows, 1):
        sheet.write_row(position, 0, row)
    book.close()
