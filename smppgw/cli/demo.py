"""`demo`: simulator, gateway and a list of a commune together, in a folder that goes away."""

import asyncio
import csv
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.live import Live

from smppgw.campaign.recipients import REPORT_COLUMNS, open_recipients
from smppgw.campaign.submission import Plan, Wish
from smppgw.cli.jobs import show_job
from smppgw.cli.logs import set_up_logs
from smppgw.cli.output import err, json_option, out, plural, show_json, table
from smppgw.cli.run import run_until_signal
from smppgw.config import Config, load
from smppgw.errors import OperationError
from smppgw.gateway import Gateway
from smppgw.ledger.database import Locks, open_database
from smppgw.ledger.jobs import Job, Loading, find_job
from smppgw.simulator import Behaviour, Simulator

LIST = "saint-martin.xlsx"
TEXT = (
    "Bonjour {prenom}, la fête de Saint-Martin a lieu samedi à 15 h place du marché : manège, "
    "buvette et bal. Nous passons chez vous vendredi, {rue}."
)
BEHAVIOUR = Behaviour(
    latency_s=0.02,
    receipt_delay_s=0.4,
    outcomes={"DELIVRD": 94, "UNDELIV": 4, "EXPIRED": 2},
    seed=1,
    system_id="syndic",
    password="secret08",  # nosec B106  # of the simulated SMSC
)
CONFIG = """
[gateway]
database = "demo.db"

[metrics]
listen = ""

[[smsc]]
name = "simulator"
host = "127.0.0.1"
port = {port}
system_id = "syndic"
password = "secret08"
window = 10
throughput = 200
price = 0.038

[[tenant]]
name = "saint-martin"
sender = "STMARTIN"
rewrite = "full"
"""
_REFRESH_S = 0.1
_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class _Outcome:
    job: Job
    seconds: float
    submitted: int


@click.command()
@json_option
def demo(as_json: bool) -> int:
    """Show the main job: an Excel list of a commune leaves by SMPP, and every receipt comes home.

    Everything is simulated, on this machine alone; nothing is left behind.
    """
    set_up_logs(quiet=True)
    with tempfile.TemporaryDirectory(prefix="smppgw-demo-") as folder:
        outcome: list[_Outcome] = []

        async def show() -> None:
            outcome.append(await _show(Path(folder), as_json))

        run_until_signal(show())
    job, seconds = outcome[0].job, outcome[0].seconds
    if as_json:
        counts = {"total": job.total, **job.counts}
        show_json({"job": job.job_id, "counts": counts, "seconds": round(seconds, 3)})
    if sum(job.counts.values()) != job.total or not job.settled:
        err.print("The counts do not sum to the total: this should not happen.")
        return 1
    return 0


async def _show(folder: Path, as_json: bool) -> _Outcome:
    async with Simulator(BEHAVIOUR, port=0) as smsc:
        path = folder / "config.toml"
        path.write_text(CONFIG.format(port=smsc.port), encoding="utf-8")
        (folder / LIST).write_bytes(sample_list())
        config = load(path)
        gateway = Gateway(config)
        began = time.monotonic()
        job_id = await asyncio.to_thread(_submit, config, folder / LIST, not as_json)
        serving = asyncio.create_task(gateway.run(), name="gateway")
        try:
            job = await _follow(config, job_id, serving, not as_json)
        finally:
            gateway.stop()
            await serving
        seconds = time.monotonic() - began
        outcome = _Outcome(job, seconds, smsc.counts.submits)
        if not as_json:
            _tell(outcome, smsc, config)
        return outcome


def sample_list() -> bytes:
    """Return the list of a commune that does not exist, as an Excel file."""
    return resources.files("smppgw.demo").joinpath(LIST).read_bytes()


def _submit(config: Config, path: Path, show: bool) -> int:
    """Import the list, as `submit` does, and say what was left out and why."""
    db = open_database(config.gateway.database, create=True)
    locks = Locks(config.gateway.database)
    try:
        with open_recipients(str(path), region=config.gateway.region) as recipients:
            now = datetime.now(ZoneInfo(config.gateway.timezone))
            wish = Wish(text=TEXT, job_class="service", label="Fête de l'été")
            plan = Plan(config, wish, recipients, now)
            loading = Loading(db, locks, plan.order, plan.routes)
            loading.add(plan.addressees())
            job_id = loading.finish(time.time_ns() // 1_000_000)
            if show:
                _tell_import(plan, path.with_name(Path(LIST).stem + ".left-out.csv"))
        return job_id
    finally:
        db.close()
        locks.close()


def _tell_import(plan: Plan, left_out: Path) -> None:
    """Say what was imported, and what was left out and why, with some rows of the file that says
    so."""
    recipients, tally = plan.recipients, plan.tally
    with left_out.open(encoding="utf-8-sig", newline="") as file:
        rows = [
            list(row.values())[-len(REPORT_COLUMNS) :]
            for row in csv.DictReader(file, delimiter=";")
        ]
    out.print(f"[bold]{LIST}[/bold]: {plural(recipients.read, 'row')} of an Excel file.")
    out.print(f"{plural(tally.queued, 'message')} queued, {plural(len(rows), 'row')} left out:\n")
    reasons = Counter(reason.partition(":")[0] for *_, reason in rows)
    examples = {
        reason.partition(":")[0]: (row, value.removeprefix("'"), reason.partition(": ")[2])
        for row, _, value, reason in reversed(rows)
    }
    out.print(
        table(
            None,
            ">Rows",
            "Why",
            ">Such as row",
            "Which says",
            "So",
            rows=[(count, reason, *examples[reason]) for reason, count in reasons.most_common()],
        )
    )
    segments = tally.segments[plan.order.rewrite]
    out.print(
        f"\nA text of {tally.shortest} or {tally.longest} segments, by the length of the street; "
        f"{plural(segments, 'segment')} in all, {tally.price(plan.order.rewrite):.2f} "
        f"{plan.config.gateway.currency}.\n"
    )


async def _follow(config: Config, job_id: int, serving: asyncio.Task[None], show: bool) -> Job:
    """Follow the job until nothing of it can change; fails if the gateway does."""
    db = open_database(config.gateway.database)
    deadline = time.monotonic() + _LIMIT_S
    try:
        with Live(console=err, transient=True, auto_refresh=False) as live:
            while True:
                job = find_job(db, job_id)
                assert job is not None
                if show and err.is_terminal:
                    rows = [
                        (state, n, "█" * (n * 50 // job.total))
                        for state, n in job.counts.items()
                        if n
                    ]
                    live.update(
                        table("On the way", "State", ">Messages", "", rows=rows), refresh=True
                    )
                if job.settled:
                    return job
                if serving.done():
                    await serving
                if time.monotonic() > deadline:
                    raise OperationError(f"The demo did not end within {_LIMIT_S:g} s.")
                await asyncio.wait({serving}, timeout=_REFRESH_S)
    finally:
        db.close()


def _tell(outcome: _Outcome, smsc: Simulator, config: Config) -> None:
    job = outcome.job
    show_job(job, config)
    out.print(
        f"The SMSC took {outcome.submitted} segments in {smsc.counts.binds} bind and sent "
        f"{smsc.counts.receipts_sent} receipts; all are on record."
    )
    assert job.first_submit_at is not None
    assert job.finished_at is not None
    sending_s = max(job.finished_at - job.first_submit_at, 1) / 1000
    out.print(
        f"{outcome.submitted / sending_s:.0f} segments a second while sending "
        f"({config.smsc[0].throughput} allowed), {outcome.seconds:.1f} s from list to last receipt."
    )
