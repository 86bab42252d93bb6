"""`jobs pause`, `resume`, `cancel` and `retry`: jobs steered, whether or not a gateway runs."""

import sys
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from smppgw.cli.jobs import job_document, show_job
from smppgw.cli.ledger import open_ledger, require
from smppgw.cli.output import err, json_option, plural, show_json, whoami
from smppgw.cli.watch import wait_of
from smppgw.config import Config, load
from smppgw.errors import OperationError
from smppgw.ledger import steer
from smppgw.ledger.database import Database
from smppgw.ledger.jobs import Job


@click.command()
@click.argument("job", type=int)
@json_option
@click.pass_obj
def pause(config_path: Path | None, job: int, as_json: bool) -> None:
    """Send nothing more of a job until it is resumed.

    What has left is not called back, and the validity of what waits runs on.
    """
    config = load(config_path, secrets=False)
    with open_ledger(config.gateway.database) as db:
        paused = steer.pause(db, job, _now_ms(), whoami())
        _show(db, paused, config, as_json)


@click.command()
@click.argument("job", type=int)
@json_option
@click.pass_obj
def resume(config_path: Path | None, job: int, as_json: bool) -> None:
    """Go on with a job that was paused."""
    config = load(config_path, secrets=False)
    with open_ledger(config.gateway.database) as db:
        resumed = steer.resume(db, job, _now_ms(), whoami())
        _show(db, resumed, config, as_json)


@click.command()
@click.argument("job", type=int)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def cancel(config_path: Path | None, job: int, yes: bool, as_json: bool) -> None:
    """Send nothing more of a job, ever.

    What has left is not called back; its receipts are still recorded. Asks at a terminal.
    """
    config = load(config_path, secrets=False)
    with open_ledger(config.gateway.database) as db:
        before = require(db, job)
        again = before.state == "cancelled"
        if not yes and not again and not as_json and sys.stdin.isatty():
            waiting = before.counts["queued"]
            question = f"Cancel job {job}: {plural(waiting, 'message')} will never be sent?"
            if not click.confirm(question, err=True):
                raise OperationError("Nothing was cancelled.")
        cancelled = steer.cancel(db, job, _now_ms(), whoami())
        if again:
            err.print(f"Job {job} was cancelled before; nothing has changed.")
        _show(db, cancelled, config, as_json)


@click.command()
@click.argument("job", type=int)
@click.option("--unknown", is_flag=True, help="Those of which nobody knows whether they arrived.")
@click.option("--undelivered", is_flag=True, help="Those that the SMSC could not deliver.")
@json_option
@click.pass_obj
def retry(
    config_path: Path | None, job: int, unknown: bool, undelivered: bool, as_json: bool
) -> None:
    """Send again what was rejected or expired; with an option, what that names instead.

    The messages have all their attempts again, and as long a validity as before. Those of unknown
    outcome may have arrived: with --unknown somebody may be written to twice.
    """
    flags = {"unknown": unknown, "undelivered": undelivered}
    states = {state for state, wanted in flags.items() if wanted} or {"rejected", "expired"}
    config = load(config_path, secrets=False)
    with open_ledger(config.gateway.database) as db:
        retried = steer.retry(db, job, states, _now_ms(), whoami())
        if retried:
            err.print(f"{plural(retried, 'message')} of job {job} will be sent again.")
        else:
            err.print(f"Nothing is sent again: no message of job {job} is {_alternatives(states)}.")
        _show(db, require(db, job), config, as_json)


def _alternatives(states: set[str]) -> str:
    return " or ".join(state for state in steer.RETRIED if state in states)


def _show(db: Database, job: Job, config: Config, as_json: bool) -> None:
    wait = wait_of(db, config, job)
    if as_json:
        show_json(job_document(job, ZoneInfo(config.gateway.timezone), wait))
    else:
        show_job(job, config, wait)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
