"""A trial: the real gateway on a real file sends a list through a simulated SMSC.

What the gateway believes, by its ledger, is held to what truly happened, by the SMSC's witness.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import time_ns
from typing import Any

from smppgw.campaign.recipients import from_numbers
from smppgw.campaign.submission import Plan, Wish
from smppgw.config import Config, load
from smppgw.gateway import Gateway
from smppgw.ledger.database import Database, Locks, open_database
from smppgw.ledger.jobs import Job, Loading, find_job, receipt_counts, report_rows
from smppgw.simulator import Behaviour, Simulator
from smppgw.simulator.counts import Counts
from smppgw.simulator.witness import Accepted, Witness

FINAL_WORDS = {
    "DELIVRD": "delivered",
    "UNDELIV": "undelivered",
    "EXPIRED": "undelivered",
    "DELETED": "undelivered",
    "REJECTD": "undelivered",
    "UNKNOWN": "undelivered",
}
SHORT = "Essai"
LONG = "Un texte qui ne tient pas en un seul segment. " * 5

_CONFIG = """
[gateway]
database = "ledger.db"
[metrics]
listen = ""
{accounts}
[[tenant]]
name = "saint-martin"
sender = "STMARTIN"
[class.service]
unknown = "hold"
attempts = 8
[class.alert]
unknown = "resend"
attempts = 8
"""
_DEFAULTS: dict[str, Any] = {
    "name": "operator",
    "host": "127.0.0.1",
    "system_id": "syndic",
    "password": "secret08",
    "window": 100,
    "throughput": 100_000,
    "response_timeout": "30s",
    "reconnect": ["20ms", "50ms"],
}
POLL_S = 0.01


def account(port: int, **keys: Any) -> str:
    """Write an [[smsc]] table."""
    table = {**_DEFAULTS, "port": port, **keys}
    return "[[smsc]]\n" + "\n".join(f"{key} = {_toml(value)}" for key, value in table.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{k}" = {_toml(v)}' for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')


def configure(folder: Path, *accounts: str) -> Config:
    """Write and read a configuration."""
    path = folder / "config.toml"
    path.write_text(_CONFIG.format(accounts="\n".join(accounts)), encoding="utf-8")
    return load(path)


def numbers(count: int, first: int = 0) -> list[str]:
    """Return invented numbers, no two the same."""
    return [f"+336{number:08d}" for number in range(first, first + count)]


def submit(
    config: Config,
    recipients: Sequence[str],
    text: str = SHORT,
    job_class: str = "service",
    key: str | None = None,
) -> int:
    """Queue a job as the command line does; returns its number."""
    path = config.gateway.database
    db, locks = open_database(path, create=True), Locks(path)
    try:
        plan = Plan(
            config,
            Wish(text=text, job_class=job_class, key=key),
            from_numbers(recipients),
            _now(),
        )
        loading = Loading(db, locks, plan.order, config.prefixes)
        loading.add(plan.addressees())
        return loading.finish(time_ns() // 1_000_000)
    finally:
        db.close()
        locks.close()


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


@dataclass
class Trial:
    """One gateway at work; made by `running`."""

    config: Config
    gateway: Gateway
    db: Database
    task: asyncio.Task[None]
    jobs: list[int] = field(default_factory=list)

    async def until(self, condition: Callable[[], bool], limit_s: float = 60.0) -> None:
        """Return when a condition holds; fails when the gateway ends or time is up before."""
        async with asyncio.timeout(limit_s):
            while not condition():
                done, _ = await asyncio.wait({self.task}, timeout=POLL_S)
                if done and not condition():
                    self.task.result()
                    raise AssertionError("the gateway has ended")

    def job(self, job_id: int) -> Job:
        job = find_job(self.db, job_id)
        assert job is not None
        return job

    def counts(self, job_id: int) -> dict[str, int]:
        return {state: count for state, count in self.job(job_id).counts.items() if count}

    def states(self, job_id: int) -> dict[str, str]:
        """Return each recipient's state; numbers as digits, as the wire has them."""
        return {row.number[1:]: row.state for row in report_rows(self.db, job_id)}

    def receipts(self, name: str = "operator") -> dict[str, int]:
        return receipt_counts(self.db)[name]


class running:
    """Run a gateway while the context is open; it drains and unbinds at the end."""

    def __init__(self, config: Config) -> None:
        self._config = config

    async def __aenter__(self) -> Trial:
        started = asyncio.Event()
        gateway = Gateway(self._config)
        task = asyncio.create_task(gateway.run(started.set), name="gateway")
        waiter = asyncio.create_task(started.wait())
        await asyncio.wait({task, waiter}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        if task.done():
            task.result()
        self._trial = Trial(
            self._config, gateway, open_database(self._config.gateway.database), task
        )
        return self._trial

    async def __aexit__(self, *exception: object) -> None:
        self._trial.gateway.stop()
        try:
            async with asyncio.timeout(30):
                await self._trial.task
        finally:
            self._trial.db.close()


@dataclass
class Outcome:
    """What a trial came to."""

    states: dict[str, str]
    job: Job
    receipts: dict[str, int]
    witness: Witness
    counts: Counts


async def send_through(
    folder: Path,
    behaviour: Behaviour,
    *,
    messages: int,
    text: str = SHORT,
    job_class: str = "service",
    settled: Callable[[Trial, int, Simulator], bool],
    drained: bool = True,
    **keys: Any,
) -> Outcome:
    """Send one job through one account.

    Args:
        folder: where configuration and ledger go.
        behaviour: of the SMSC.
        messages: how many recipients.
        text: what they are sent.
        job_class: the class of the job.
        settled: says when nothing more is awaited, of the trial, the job and the SMSC.
        drained: stop in order before looking.
        keys: of the account.
    """
    witness = Witness()
    async with Simulator(behaviour, witness=witness) as smsc:
        config = configure(folder, account(smsc.port, **keys))
        job_id = submit(config, numbers(messages), text, job_class)
        async with running(config) as trial:
            await trial.until(lambda: settled(trial, job_id, smsc), 90)
            outcome = Outcome(
                trial.states(job_id), trial.job(job_id), trial.receipts(), witness, smsc.counts
            )
    hold_the_invariants(outcome, config)
    return outcome


def hold_the_invariants(outcome: Outcome, config: Config) -> None:
    """Assert what holds of every trial: I2, I6, I7 and I9."""
    job, receipts, witness = outcome.job, outcome.receipts, outcome.witness
    assert sum(job.counts.values()) == job.total == len(outcome.states)
    assert Counter(outcome.states.values()) == {s: n for s, n in job.counts.items() if n}
    smsc = config.smsc[0]
    assert max(witness.most_received_in_a_second.values(), default=0) <= smsc.throughput
    assert max(witness.most_unanswered.values(), default=0) <= smsc.window
    kinds = ("matched", "parked", "orphan", "duplicate")
    assert receipts["received"] == sum(receipts[kind] for kind in kinds)


def true_state(copies: Sequence[Accepted]) -> str:
    """Say what a message must be in the ledger, by what the SMSC did and told of its segments."""
    if not copies:
        return "rejected"
    told = [
        FINAL_WORDS[told.word]
        for accepted in copies
        for told in accepted.receipts
        if told.word in FINAL_WORDS and told.acknowledged_at is not None
    ]
    if told:
        return "undelivered" if "undelivered" in told else "delivered"
    answered = all(accepted.answered_at is not None for accepted in copies)
    return "accepted" if answered else "unknown"
