"""`jobs`: what became of jobs."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from smppgw.campaign.waiting import Wait
from smppgw.cli.lazy import LazyCommands
from smppgw.cli.ledger import open_ledger, require
from smppgw.cli.output import clock, err, iso, json_option, out, plural, show_json, table, told
from smppgw.cli.screen import can_draw
from smppgw.cli.watch import follow, headline, wait_of, waits_for, waits_of
from smppgw.config import Config, load
from smppgw.ledger.jobs import Job, list_jobs

_WIDE = 100  # columns at which a list has room for everything
_SHORT, _NARROW = "%d/%m/%y %H:%M", "%d/%m %H:%M"
_LEAST = 80  # and for all but the tenant
_STEERING = dict.fromkeys(("pause", "resume", "cancel", "retry"), "steer")


@click.group(commands=LazyCommands(_STEERING))
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
