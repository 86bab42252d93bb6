"""`jobs` and `report`: what became of jobs."""

import contextlib
import csv
import json
import os
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

import click
import xlsxwriter
import xlsxwriter.exceptions
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from smppgw.cli.output import clock, err, iso, json_option, out, plural, show_json, table, told
from smppgw.config import Config, load
from smppgw.errors import InputError, OperationError
from smppgw.ledger.database import Database, explained, open_database
from smppgw.ledger.jobs import Job, MessageRow, find_job, list_jobs, report_rows

_REFRESH_S = 0.2
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


@click.group()
def jobs() -> None:
    """See what became of jobs, and steer them; JOB is the number that `submit` gave."""


@jobs.command("list")
@click.option("--limit", type=click.IntRange(1, 2**63 - 1), help="Only the newest so many.")
@json_option
@click.pass_obj
def list_(config_path: Path | None, limit: int | None, as_json: bool) -> None:
    """List the jobs, newest first."""
    config = load(config_path, secrets=False)
    with _ledger(config) as db:
        found = list_jobs(db, limit)
    zone = ZoneInfo(config.gateway.timezone)
    if as_json:
        show_json([job_document(job, zone) for job in found])
        return
    rows = [
        (
            job.job_id,
            job.state,
            f"{job.job_class}, DRILL" if job.exercise else job.job_class,
            job.tenant,
            clock(job.created_at, zone, short=True),
            job.total,
            job.counts["delivered"],
            _troubled(job),
            job.label,
        )
        for job in found
    ]
    columns = (">Job", "State", "Class", "Tenant", "Created", ">Total", ">Delivered", ">Failed")
    out.print(table(None, *columns, "Label", rows=rows) if rows else "There is no job yet.")


@jobs.command()
@click.argument("job", type=int)
@json_option
@click.pass_obj
def show(config_path: Path | None, job: int, as_json: bool) -> None:
    """Show one job: its times, and how many messages are in each state."""
    config = load(config_path, secrets=False)
    with _ledger(config) as db:
        found = require(db, job)
    if as_json:
        show_json(job_document(found, ZoneInfo(config.gateway.timezone)))
    else:
        show_job(found, config)


@jobs.command()
@click.argument("job", type=int)
@json_option
@click.pass_obj
def watch(config_path: Path | None, job: int, as_json: bool) -> None:
    """Follow one job until nothing of it can change any more."""
    config = load(config_path, secrets=False)
    with _ledger(config) as db:
        require(db, job)
        found = follow(db, config, job, timeout_s=None, show=not as_json)
    if as_json:
        show_json(job_document(found, ZoneInfo(config.gateway.timezone)))
    else:
        show_job(found, config)


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
    with _ledger(config) as db:
        found = require(db, job)
    if format_ == "xlsx" and found.total > _SHEET_ROWS:
        raise InputError(
            f"Job {job} has {found.total} messages and a spreadsheet holds {_SHEET_ROWS}: "
            "take --format csv."
        )
    rows = _rows(config, found)
    try:
        if output is None:
            _write_text(sys.stdout, format_, rows)
        elif format_ == "xlsx":
            _write_xlsx(output, rows)
        else:
            # Excel takes a CSV for UTF-8 only by its mark.
            encoding = "utf-8-sig" if format_ == "csv" else "utf-8"
            with open(output, "w", encoding=encoding, newline="", opener=_private) as file:
                _write_text(file, format_, rows)
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


def _rows(config: Config, job: Job) -> Generator[tuple[Any, ...], None, None]:
    """Read the report's rows; what its reader raises stays out of the ledger's explanations."""
    zone = ZoneInfo(config.gateway.timezone)
    with _ledger(config) as db:
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
            writer.writerow([number, *map(_harmless, cells)])
        return
    file.write("[")
    for count, row in enumerate(rows):
        file.write(",\n" if count else "\n")
        json.dump(dict(zip(REPORT_COLUMNS, row, strict=True)), file, ensure_ascii=False)
    file.write("\n]\n")


def _write_xlsx(path: Path, rows: Iterator[tuple[Any, ...]]) -> None:
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    os.close(_private(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
    book = xlsxwriter.Workbook(path, options)
    sheet = book.add_worksheet("report")
    sheet.write_row(0, 0, REPORT_COLUMNS)
    for position, row in enumerate(rows, 1):
        sheet.write_row(position, 0, row)
    book.close()


def _private(path: str | Path, flags: int) -> int:
    """Open a file that holds numbers: a new one is for its owner alone."""
    return os.open(path, flags, 0o600)


def _harmless(cell: object) -> object:
    """Keep a spreadsheet from taking what an SMSC wrote for a formula."""
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{cell}"
    return cell


def job_document(job: Job, zone: ZoneInfo) -> dict[str, Any]:
    """Return a job as the JSON of `jobs show`."""
    return {
        "job": job.job_id,
        "state": job.state,
        "class": job.job_class,
        "tenant": job.tenant,
        "sender": job.sender,
        "label": job.label,
        "purpose": job.purpose,
        "exercise": job.exercise,
        "ordered_by": job.ordered_by or None,
        "created_at": iso(job.created_at, zone),
        "starts_at": iso(job.starts_at, zone),
        "first_submit_at": iso(job.first_submit_at, zone),
        "finished_at": iso(job.finished_at, zone),
        "counts": {"total": job.total, **job.counts},
        "segments": job.segments,
    }


def show_job(job: Job, config: Config) -> None:
    """Print a job for people."""
    zone = ZoneInfo(config.gateway.timezone)
    label = f" “{told(job.label)}”" if job.label else ""
    drill = "DRILL, " if job.exercise else ""
    purpose = "" if job.purpose == job.job_class else f" ({job.purpose})"
    out.print(
        f"[bold]Job {job.job_id}{label} is {job.state}[/bold]: {drill}{job.job_class}{purpose}, "
        f"{job.tenant}, from {told(job.sender)}"
    )
    by = f", ordered by {told(job.ordered_by)}" if job.ordered_by else ""
    out.print(f"  Created       {clock(job.created_at, zone)}{by}")
    if job.starts_at != job.created_at:
        out.print(f"  Not before    {clock(job.starts_at, zone)}")
    out.print(f"  First submit  {clock(job.first_submit_at, zone)}")
    out.print(f"  Finished      {clock(job.finished_at, zone)}")
    rows = [
        (state, count, f"{count / job.total:.1%}") for state, count in job.counts.items() if count
    ]
    rows.append(("total", job.total, plural(job.segments, "segment")))
    out.print(table(None, "State", ">Messages", ">Share", rows=rows))
    if job.counts["unknown"] and job.state != "cancelled":
        out.print(
            f"{plural(job.counts['unknown'], 'message')} got no answer, and may have arrived: "
            f"`smppgw jobs retry {job.job_id} --unknown` sends them again."
        )


def follow(
    db: Database, config: Config, job_id: int, *, timeout_s: float | None, show: bool
) -> Job:
    """Follow a job until no message of it can change any more.

    Raises:
        OperationError: the time is up first.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    columns = (
        TextColumn("Job {task.fields[job]}"),
        BarColumn(),
        TextColumn("{task.fields[line]}"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=err, transient=True, disable=not show or not err.is_terminal
    ) as progress:
        task = progress.add_task("", job=job_id, line="", total=None)
        moving = _moving(config, require(db, job_id))
        while True:
            with explained(config.gateway.database):
                job = require(db, job_id)
            ended = job.total - sum(job.counts[state] for state in moving)
            line = ", ".join(f"{count} {state}" for state, count in job.counts.items() if count)
            progress.update(task, total=job.total, completed=ended, line=line)
            if job.state != "loading" and ended == job.total:
                return job
            if deadline is not None and time.monotonic() >= deadline:
                raise OperationError(
                    f"Job {job_id} is not finished after {timeout_s:g} s ({line}). "
                    f"It goes on: see `smppgw jobs show {job_id}`."
                )
            time.sleep(_REFRESH_S)


def _moving(config: Config, job: Job) -> tuple[str, ...]:
    """Return the states that can still change: accepted only where receipts are asked for.

    Where one of several accounts asks for none, nobody waits for what others may still tell.
    """
    accounts = [smsc for smsc in config.smsc if job.job_class in smsc.classes]
    if any(smsc.receipts == "none" for smsc in accounts):
        return ("queued", "submitting")
    return ("queued", "submitting", "accepted")


def _troubled(job: Job) -> int:
    return sum(job.counts[s] for s in ("undelivered", "rejected", "expired", "unknown"))


def require(db: Database, job_id: int) -> Job:
    job = find_job(db, job_id)
    if job is None:
        raise InputError(f"There is no job {job_id}: `smppgw jobs list` shows those there are.")
    return job


@contextlib.contextmanager
def _ledger(config: Config) -> Iterator[Database]:
    db = open_database(config.gateway.database)
    try:
        with explained(config.gateway.database):
            yield db
    finally:
        db.close()
