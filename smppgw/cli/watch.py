"""Following a job: what became of its messages so far, how fast it goes, and when it will end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.text import Text

from smppgw.campaign.waiting import Wait, Waiting
from smppgw.cli.ledger import require
from smppgw.cli.output import duration, err, plural, told
from smppgw.cli.screen import Meter, Picture, bars, can_draw, watch
from smppgw.config import Config
from smppgw.errors import OperationError
from smppgw.ledger.database import Database, Locks, explained
from smppgw.ledger.jobs import Job
from smppgw.ledger.waiting import prefixes_ahead

_REFRESH_S = 0.25
_LINE_S = 60.0  # without a terminal counts that change are told so often at most
_STYLES = {
    "queued": "cyan",
    "submitting": "cyan",
    "accepted": "blue",
    "delivered": "green",
    "unknown": "yellow",
    "cancelled": "yellow",
    "suppressed": "yellow",
}
_FAILED = "red"


class Followed:
    """One job over a while: its pace, and what it waits for."""

    def __init__(self, config: Config, waiting: Waiting | None = None) -> None:
        self._waiting = waiting or Waiting(config)
        self._zone = ZoneInfo(config.gateway.timezone)
        self._meter = Meter()
        self._wait: Wait | None = None
        self._finish_at: datetime | None = None
        self.per_s: float | None = None  # segments
        self.left_s: float | None = None

    def note(self, job: Job, prefixes: tuple[str, ...], now: float) -> None:
        """Take note of how a job stands (monotonic seconds)."""
        at, counts = time.time_ns() // 1_000_000, job.counts
        waits = counts["queued"] + counts["submitting"]
        never = counts["cancelled"] + counts["suppressed"] + counts["expired"]
        self._meter.note(job.total - waits - never, now)
        self._wait = self._waiting.wait(job, prefixes, at)
        per_s = self._meter.per_s
        self.per_s = None if per_s is None or not job.total else per_s * job.segments / job.total
        self.left_s = waits / per_s if per_s and waits and self._wait is None else None
        if self.left_s is not None:
            self._finish_at = self._waiting.finish_at(job, prefixes or ("",), at, self.left_s)

    def pace(self, job: Job) -> str:
        """Say how fast it goes and when it will have left, or what it waits for."""
        counts = job.counts
        if self._wait is not None:
            return waits_for(self._wait, job, self._zone)
        if counts["queued"] + counts["submitting"] == 0:
            owed = counts["accepted"]
            return f"all have left; {plural(owed, 'receipt')} to come" if owed else "all have ended"
        if self.per_s is None:
            return "…"
        if not self.per_s and counts["queued"]:
            return "nothing leaves just now" if job.first_submit_at else "waits for its turn"
        line = f"{self.per_s:.3g} segments a second"
        if self.left_s is None:
            return line
        end = "its hours never let it end"
        if self._finish_at is not None:
            end = f"until {moment(self._finish_at, self._zone)}"
        return f"{line}, {duration(self.left_s)} left, {end}"


def waits_for(wait: Wait, job: Job, zone: ZoneInfo) -> str:
    """Say what a job waits for, for people."""
    if wait.reason == "paused":
        return f"waits for `smppgw jobs resume {job.job_id}`"
    if wait.opens_at is None:
        return "its hours never let it leave"
    return f"waits for {moment(wait.opens_at, zone)}"


def moment(at: datetime, zone: ZoneInfo) -> str:
    """Write a time to come: of today without its date, of this year without its year."""
    local, today = at.astimezone(zone), datetime.now(zone).date()
    if local.date() == today:
        return f"{local:%H:%M}"
    return f"{local:%d/%m %H:%M}" if local.year == today.year else f"{local:%d/%m/%Y %H:%M}"


def wait_of(db: Database, config: Config, job: Job) -> Wait | None:
    """Return what one job waits for now."""
    return waits_of(db, config, [job]).get(job.job_id)


def waits_of(db: Database, config: Config, jobs: list[Job]) -> dict[int, Wait]:
    """Return, by number, what those of these jobs that wait for something wait for."""
    waiting, now = Waiting(config), time.time_ns() // 1_000_000
    ahead = prefixes_ahead(db, (job.job_id for job in jobs if job.counts["queued"]))
    waits = {job.job_id: waiting.wait(job, ahead.get(job.job_id, ()), now) for job in jobs}
    return {job_id: wait for job_id, wait in waits.items() if wait is not None}


def headline(job: Job) -> str:
    """Name a job and say how it stands, in markup."""
    label = f" “{told(job.label)}”" if job.label else ""
    return f"[bold]Job {job.job_id}{label} is {job.state}[/bold]"


def picture(job: Job, pace: str, *, running: bool) -> Picture:
    """Draw a job: its states with bars, and its pace."""
    head = Text.from_markup(f"{headline(job)}: {job.job_class}, {told(job.tenant)}")
    rows = [
        (state, count, job.total, _STYLES.get(state, _FAILED))
        for state, count in job.counts.items()
        if count
    ]
    total = f"{plural(job.total, 'message')}, {plural(job.segments, 'segment')}"
    tail = [Text(f"{total}: {pace}")]
    if not running and job.counts["queued"]:
        tail.append(Text("The gateway does not run: start it with `smppgw run`.", style="bold red"))
    return Picture(head, bars(rows), *tail)


def follow(
    db: Database,
    config: Config,
    job_id: int,
    *,
    timeout_s: float | None,
    show: bool,
    keep: bool = False,
    lines: bool = False,
) -> Job:
    """Follow a job until no message of it can change any more.

    Args:
        db: the ledger.
        config: which states can still change, and the hours.
        job_id: the job.
        timeout_s: how long, seconds; None is without end.
        show: draw how it stands, where there is a terminal.
        keep: leave the last picture.
        lines: without a terminal, print a line when its state changes, and by the minute.

    Raises:
        OperationError: the time is up first.
        KeyboardInterrupt: somebody has seen enough.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    moving, followed = _moving(config, require(db, job_id)), Followed(config)
    job, ended = require(db, job_id), False
    path = config.gateway.database

    def look() -> tuple[Picture, bool]:
        nonlocal job, ended
        with explained(path):
            job = require(db, job_id)
            followed.note(job, prefixes_ahead(db, [job_id])[job_id], time.monotonic())
        still = sum(job.counts[state] for state in moving)
        ended = job.state != "loading" and still == 0
        if not ended and deadline is not None and time.monotonic() >= deadline:
            if job.state == "done":
                raise OperationError(
                    f"All of job {job_id} has left; after {timeout_s:g} s "
                    f"{plural(still, 'receipt')} have not come. They go on arriving: see "
                    f"`smppgw jobs show {job_id}`."
                )
            raise OperationError(
                f"Job {job_id} is not finished after {timeout_s:g} s ({_counts(job)}). "
                f"It goes on: see `smppgw jobs show {job_id}`."
            )
        return picture(job, followed.pace(job), running=locks.gateway_running()), ended

    with _locks(path) as locks:
        if show and can_draw(err):
            watch(err, look, _REFRESH_S, keep=keep)
            return job
        told_state, told_counts, told_at = "", "", 0.0
        while True:
            look()
            counts, now = _counts(job), time.monotonic()
            news = job.state != told_state or (counts != told_counts and now - told_at >= _LINE_S)
            if lines and show and news:
                err.print(f"Job {job_id} is {job.state}: {counts}; {followed.pace(job)}.")
                told_state, told_counts, told_at = job.state, counts, now
            if ended:
                return job
            time.sleep(_REFRESH_S)


@contextmanager
def _locks(path: Path) -> Iterator[Locks]:
    locks = Locks(path)
    try:
        yield locks
    finally:
        locks.close()


def _counts(job: Job) -> str:
    return ", ".join(f"{count} {state}" for state, count in job.counts.items() if count)


def _moving(config: Config, job: Job) -> tuple[str, ...]:
    """Return the states that can still change: accepted only where receipts are asked for.

    Where one of several accounts asks for none, nobody waits for what others may still tell.
    """
    accounts = [smsc for smsc in config.smsc if job.job_class in smsc.classes]
    if any(smsc.receipts == "none" for smsc in accounts):
        return ("queued", "submitting")
    return ("queued", "submitting", "accepted")
