"""`jobs` and `report`: what became of jobs."""

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
from smppgw.campaign.waiting import Wait
from smppgw.cli.ledger import open_ledger, require
from smppgw.cli.output import (
    clock,
    err,
    iso,
    json_option,
    out,
    plural,
    private,
    show_json,
    table,
    told,
    unicode_out,
)
from smppgw.cli.screen import can_draw
from smppgw.cli.watch import follow, headline, wait_of, waits_for, waits_of
from smppgw.config import Config, load
from smppgw.errors import InputError, OperationError
from smppgw.ledger.jobs import Job, MessageRow, list_jobs, report_rows

_WIDE = 100  # columns at which a list has room for everything
_SHORT, _NARROW = "%d/%m/%y %H:%M", "%d/%m %H:%M"
_LEAST = 80  # and for all but the tenant
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
    with open_ledger(config.gateway.database) as db:
        found = list_jobs(db, limit)
        waits = waits_of(db, config, found)
    zone = ZoneInfo(config.gateway.timezone)
    if as_json:
        show_json([job_document(job, zone, waits.get(job.job_id)) for job in found])
        return
    if not found:
        out.print("There is no job yet.")
        return
    width = out.width if out.is_terminal else _WIDE
    narrow, tiny = width < _WIDE, width < _LEAST
    rows = [
        (
            job.job_id,
            job.state,
            *(() if tiny else (f"{job.job_class}, DRILL" if job.exercise else job.job_class,)),
            *(() if narrow else (job.tenant,)),
            *(() if tiny else (clock(job.created_at, zone, _NARROW if narrow else _SHORT),)),
            job.total,
            job.counts["delivered"],
            _troubled(job),
            _named(job, waits.get(job.job_id), zone, tenant=narrow and len(config.tenant) > 1),
        )
        for job in found
    ]
    columns = (">Job", "State", "Class", "Tenant", "Created", ">Total", ">Delivered", ">Failed")
    left_off = {"Tenant"} if narrow else set()
    left_off |= {"Class", "Created"} if tiny else set()
    shown = [column for column in columns if column not in left_off]
    out.print(table(None, *shown, "Label", rows=rows))


def _named(job: Job, wait: Wait | None, zone: ZoneInfo, *, tenant: bool) -> str:
    """Name a job, and say what it waits for; where there is little room its tenant too."""
    parts = [job.tenant if tenant else None, job.label]
    if wait is not None and wait.reason != "paused":
        parts.append(waits_for(wait, job, zone))
    return ", ".join(part for part in parts if part)


@jobs.command()
@click.argument("job", type=int)
@json_option
@click.pass_obj
def show(config_path: Path | None, job: int, as_json: bool) -> None:
    """Show one job: its times, and how many messages are in each state."""
    config = load(config_path, secrets=False)
    with open_ledger(config.gateway.database) as db:
        found = require(db, job)
        wait = wait_of(db, config, found)
    if as_json:
        show_json(job_document(found, ZoneInfo(config.gateway.timezone), wait))
    else:
        show_job(found, config, wait)


@jobs.command()
@click.argument("job", type=int)
@json_option
@click.pass_obj
def watch(config_path: Path | None, job: int, as_json: bool) -> None:
    """Follow one job until nothing of it can change any more.

    At a terminal it is drawn again and again; Ctrl-C ends that, and the job goes on. Elsewhere a
    line is printed when its state changes, and by the minute.
    """
    config = load(config_path, secrets=False)
    with open_ledger(config.gateway.database) as db:
        require(db, job)
        drawn = not as_json and can_draw(err)
        try:
            found = follow(db, config, job, timeout_s=None, show=not as_json, keep=True, lines=True)
        except KeyboardInterrupt:
            if not drawn:
                raise
            return  # somebody has seen enough, which is no failure
    if as_json:
        show_json(job_document(found, ZoneInfo(config.gateway.timezone)))
    elif not (drawn and out.is_terminal):  # else it stands there already
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


def job_document(job: Job, zone: ZoneInfo, wait: Wait | None = None) -> dict[str, Any]:
    """Return a job as the JSON of `jobs show`; `opens_at` is null where it may leave now."""
    opens_at = None if wait is None or wait.opens_at is None else wait.opens_at.astimezone(zone)
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
        "opens_at": None if opens_at is None else opens_at.isoformat(timespec="milliseconds"),
        "first_submit_at": iso(job.first_submit_at, zone),
        "finished_at": iso(job.finished_at, zone),
        "counts": {"total": job.total, **job.counts},
        "segments": job.segments,
    }


def show_job(job: Job, config: Config, wait: Wait | None = None) -> None:
    """Print a job for people."""
    zone = ZoneInfo(config.gateway.timezone)
    drill = "DRILL, " if job.exercise else ""
    purpose = "" if job.purpose == job.job_class else f" ({job.purpose})"
    out.print(
        f"{headline(job)}: {drill}{job.job_class}{purpose}, {job.tenant}, from {told(job.sender)}"
    )
    by = f", ordered by {told(job.ordered_by)}" if job.ordered_by else ""
    out.print(f"  Created       {clock(job.created_at, zone)}{by}")
    if job.starts_at != job.created_at:
        out.print(f"  Not before    {clock(job.starts_at, zone)}")
    if wait is not None:
        out.print(f"  Now           {waits_for(wait, job, zone)}")
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


def _troubled(job: Job) -> int:
    return sum(job.counts[s] for s in ("undelivered", "rejected", "expired", "unknown"))
