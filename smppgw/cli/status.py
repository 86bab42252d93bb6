"""`status`: the gateway from outside."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from smppgw.campaign.readiness import Condition, evaluate
from smppgw.campaign.waiting import Wait, Waiting
from smppgw.cli.ledger import open_ledger
from smppgw.cli.output import clock, iso, json_option, out, plural, show_json, table, told
from smppgw.cli.ready import look
from smppgw.cli.screen import Picture, bar, can_draw, watch
from smppgw.cli.watch import Followed, moment, waits_of
from smppgw.config import CLASSES, Config, load
from smppgw.ledger import jobs
from smppgw.ledger.database import Locks
from smppgw.ledger.jobs import Job
from smppgw.ledger.turn import RECEIPT_KINDS
from smppgw.ledger.waiting import prefixes_ahead, waiting_jobs

WAITS = ("hours", "scheduled", "paused")
_SPENT_S = 60.0  # how often budgets are counted anew while watching
_JOBS = 10  # that are drawn, before the rest is only counted
_EVERY_S = 2.0


@dataclass
class _Seen:
    """What the database says; as it stands here, where there is none yet."""

    running: bool = False
    process: tuple[int, int] | None = None
    links: list[jobs.LinkRow] = field(default_factory=list)
    queued: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    waiting: list[Job] = field(default_factory=list)
    waits: dict[int, Wait] = field(default_factory=dict)
    prefixes: dict[int, tuple[str, ...]] = field(default_factory=dict)
    receipts: dict[str, dict[str, int]] = field(default_factory=dict)
    unknown: int = 0
    octets: int = 0


def _look(config: Config) -> _Seen:
    path = config.gateway.database
    if not path.exists():
        return _Seen()
    locks = Locks(path)
    try:
        with open_ledger(path) as db:
            waiting = waiting_jobs(db)
            return _Seen(
                locks.gateway_running(),
                jobs.gateway_process(db),
                jobs.links(db),
                jobs.queued_by_class(db),
                waiting,
                waits_of(db, config, waiting),
                prefixes_ahead(db, (job.job_id for job in waiting)),
                jobs.receipt_counts(db),
                jobs.unknown_messages(db),
                jobs.database_octets(db),
            )
    finally:
        locks.close()


@click.command()
@click.option(
    "--watch",
    "every_s",
    type=click.FloatRange(0.2, 3600.0),
    is_flag=False,
    flag_value=_EVERY_S,
    metavar="[SECONDS]",
    help="Draw it again every so often, 2 s if nothing is said; Ctrl-C ends it.",
)
@json_option
@click.pass_obj
def status(config_path: Path | None, every_s: float | None, as_json: bool) -> None:
    """Show the gateway, its links, its queue and its receipts."""
    config = load(config_path, secrets=False)
    if every_s is not None:
        if as_json or not can_draw(out):
            raise click.UsageError(
                "--watch draws on a terminal: for a program, take `smppgw status --json`."
            )
        _watch(config, every_s)
        return
    seen, failed = _look(config), _failed(config)
    if as_json:
        show_json(_document(config, seen, failed))
        return
    for part in _page(config, seen, failed):
        out.print(part)


def _failed(config: Config, used: Mapping[str, int] | None = None) -> list[Condition]:
    """Return the conditions for an alert to leave that do not hold."""
    seen = look(config, used)
    return [condition for condition in evaluate(config, seen) if not condition.ok]


def _watch(config: Config, every_s: float) -> None:
    """Draw until somebody has seen enough, which is no failure."""
    followed: dict[int, Followed] = {}
    used: Mapping[str, int] = {}
    count_at = 0.0
    waiting = Waiting(config)

    def see() -> tuple[Picture, bool]:
        nonlocal used, count_at
        now = time.monotonic()
        fresh = now >= count_at
        conditions = look(config, None if fresh else used)
        if fresh:
            used, count_at = conditions.spent, now + _SPENT_S
        failed = [condition for condition in evaluate(config, conditions) if not condition.ok]
        seen = _look(config)
        for job in seen.waiting:
            follows = followed.setdefault(job.job_id, Followed(config, waiting))
            follows.note(job, seen.prefixes.get(job.job_id, ()), now)
        for job_id in followed.keys() - {job.job_id for job in seen.waiting}:
            del followed[job_id]
        zone = ZoneInfo(config.gateway.timezone)
        title = Text(f"{datetime.now(zone):%d/%m/%Y %H:%M:%S}, every {every_s:g} s", style="dim")
        return Picture(title, *_page(config, seen, failed, _jobs(seen, followed))), False

    with suppress(KeyboardInterrupt):
        watch(out, see, every_s)


def _document(config: Config, seen: _Seen, failed: list[Condition]) -> dict[str, Any]:
    zone, running = ZoneInfo(config.gateway.timezone), seen.running
    pid, since = seen.process if running and seen.process else (None, None)
    receipts = seen.receipts.values()
    return {
        "gateway": {"running": running, "pid": pid, "since": iso(since, zone)},
        "alert": {"ready": not failed, "against": [condition.name for condition in failed]},
        "database": {"path": str(config.gateway.database), "bytes": seen.octets},
        "links": [
            {
                "smsc": link.smsc,
                "bind": link.bind,
                "state": link.state if running else "stopped",
                "reason": link.reason if running else None,
                "window": link.window,
                "outstanding": link.outstanding if running else 0,
                "throughput": link.throughput,
                "permitted": link.permitted,
            }
            for link in seen.links
        ],
        "queue": {job_class: seen.queued.get(job_class, (0, None))[0] for job_class in CLASSES},
        "waiting": {
            job_class: {
                reason: sum(
                    job.counts["queued"]
                    for job in seen.waiting
                    if job.job_class == job_class
                    and job.job_id in seen.waits
                    and seen.waits[job.job_id].reason == reason
                )
                for reason in WAITS
            }
            for job_class in CLASSES
        },
        "unknown": seen.unknown,
        "receipts": {kind: sum(counts[kind] for counts in receipts) for kind in RECEIPT_KINDS},
    }


def _page(
    config: Config,
    seen: _Seen,
    failed: list[Condition],
    underway: Iterable[RenderableType] = (),
) -> Iterator[RenderableType]:
    """Say how it stands, for people; the jobs under way below the queue that they wait in."""
    zone, document = ZoneInfo(config.gateway.timezone), _document(config, seen, failed)
    if seen.running and seen.process:
        pid, since = seen.process
        yield f"[bold green]The gateway runs[/bold green] (pid {pid}) since {clock(since, zone)}."
    else:
        yield "[bold red]The gateway does not run[/bold red]: start it with `smppgw run`."
    names = ", ".join(document["alert"]["against"])
    yield (
        f"Alert     [bold red]may not leave, or not as it should[/bold red]: {names}; see "
        "`smppgw ready`"
        if failed
        else "Alert     could leave now"
    )
    size = f"{seen.octets / 1e6:.1f} MB" if seen.octets else "not made yet"
    yield f"Database  {told(config.gateway.database)}, {size}"
    rows = [
        (
            link["smsc"],
            link["bind"],
            link["state"],
            f"{link['outstanding']} of {link['window']}",
            f"{link['permitted']:.3g} of {link['throughput']} a second",
            link["reason"],
        )
        for link in document["links"]
    ]
    if rows:
        yield table(None, "SMSC", ">Bind", "State", ">Window", ">Rate", "Why", rows=rows)
    queue = ", ".join(f"{count} {name}" for name, count in document["queue"].items())
    yield f"Queue     {queue}"
    for job_class, reasons in document["waiting"].items():
        held = ", ".join(f"{count} {_HELD[why]}" for why, count in reasons.items() if count)
        if held:
            opens = _opens(seen, job_class, zone)
            yield f"          {job_class}: {held}{opens}"
    yield from underway
    hint = ": `smppgw jobs retry JOB --unknown` sends those of a job again" if seen.unknown else ""
    yield f"Unknown   {plural(seen.unknown, 'message')}{hint}"
    kinds = ", ".join(f"{count} {kind}" for kind, count in document["receipts"].items())
    yield f"Receipts  {kinds}"


_HELD = {"hours": "outside their hours", "scheduled": "scheduled", "paused": "paused"}


def _opens(seen: _Seen, job_class: str, zone: ZoneInfo) -> str:
    """Say when the first of a class leaves that waits for a time."""
    times = [
        seen.waits[job.job_id].opens_at
        for job in seen.waiting
        if job.job_class == job_class and job.job_id in seen.waits
    ]
    known = [at for at in times if at is not None]
    return f"; the next leave at {moment(min(known), zone)}" if known else ""


def _jobs(seen: _Seen, followed: Mapping[int, Followed]) -> Iterator[RenderableType]:
    """Draw a bar for each job that has messages queued."""
    if not seen.waiting:
        return
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1, min_width=6)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(ratio=3, no_wrap=True)
    for job in seen.waiting[:_JOBS]:
        gone = job.total - job.counts["queued"] - job.counts["submitting"]
        grid.add_row(
            f"Job {job.job_id}",
            job.job_class,
            bar(gone, job.total),
            f"{gone / job.total:.0%}",
            Text(followed[job.job_id].pace(job)),
        )
    yield grid
    more = len(seen.waiting) - _JOBS
    if more > 0:
        yield f"and {plural(more, 'job')} more"
