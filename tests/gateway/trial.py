"""A trial: the real gateway on a real file sends jobs through simulated SMSCs.

What the gateway believes, by its ledger, is held to what truly happened, by each SMSC's witness.
"""

import asyncio
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import time_ns
from typing import Any

from smppgw.campaign.recipients import from_numbers
from smppgw.campaign.submission import Plan, Wish
from smppgw.config import Config, load
from smppgw.gateway import Gateway
from smppgw.ledger.database import Database, Locks, open_database
from smppgw.ledger.jobs import Job, Loading, find_job, receipt_counts, report_rows
from smppgw.link import Trace
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
LONG_SEGMENTS = 2
PATIENCE_S = 30.0
_POLL_S = 0.02
_DIFFERENCES_SHOWN = 5

_CONFIG = """
[gateway]
database = "ledger.db"
[metrics]
listen = "127.0.0.1:0"
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


def account(port: int, **keys: Any) -> str:
    """Write an [[smsc]] table."""
    table = {**_DEFAULTS, "port": port, **keys}
    return "[[smsc]]\n" + "\n".join(f"{key} = {_toml(value)}" for key, value in table.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{k}" = {_toml(v)}' for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str | Path) else str(value)


def configure(folder: Path, *accounts: str) -> Config:
    """Write and read a configuration."""
    path = folder / "config.toml"
    path.write_text(_CONFIG.format(accounts="\n".join(accounts)), encoding="utf-8")
    return load(path)


def numbers(count: int, first: int = 0, prefix: str = "+336") -> list[str]:
    """Return invented numbers, no two the same."""
    return [f"{prefix}{number:08d}" for number in range(first, first + count)]


def submit(
    config: Config, recipients: Sequence[str], text: str = SHORT, job_class: str = "service"
) -> int:
    """Queue a job as the command line does; returns its number."""
    path = config.gateway.database
    db, locks = open_database(path, create=True), Locks(path)
    try:
        wish = Wish(text=text, job_class=job_class)
        plan = Plan(config, wish, from_numbers(recipients), datetime.now(UTC))
        loading = Loading(db, locks, plan.order, config.prefixes)
        loading.add(plan.addressees())
        return loading.finish(time_ns() // 1_000_000)
    finally:
        db.close()
        locks.close()


@dataclass
class Trial:
    """One gateway at work; made by `running`."""

    config: Config
    gateway: Gateway
    db: Database
    task: asyncio.Task[None]

    async def until(
        self,
        condition: Callable[[], bool],
        limit_s: float = PATIENCE_S,
        otherwise: Callable[[], object] = lambda: "time is up",
    ) -> None:
        """Return when a condition holds; fails when the gateway ends or time is up before.

        Args:
            condition: is looked at again and again.
            limit_s: how long, seconds.
            otherwise: says what is missing when time is up.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + limit_s
        while not condition():
            assert loop.time() < end, otherwise()
            done, _ = await asyncio.wait({self.task}, timeout=_POLL_S)
            if done and not condition():
                self.task.result()
                raise AssertionError("the gateway has ended")

    async def until_counts(self, job_id: int, counts: Mapping[str, int]) -> None:
        """Return when a job has these messages, by state, and no others."""
        await self.until(
            lambda: self.counts(job_id) == counts, otherwise=lambda: self.counts(job_id)
        )

    async def until_true(
        self,
        job_id: int,
        *witnesses: Witness,
        truth: Callable[[Sequence[Accepted]], str] | None = None,
        settled: Callable[[], bool] = lambda: True,
        limit_s: float = PATIENCE_S,
    ) -> dict[str, str]:
        """Return a job's states when they are what the witnesses know to be true.

        Args:
            job_id: the job.
            witnesses: of all SMSCs it may go through.
            truth: says what a message must be, by the copies of it that were accepted.
            settled: says whether nothing more is awaited; asked before the states are compared.
            limit_s: how long, seconds; then it fails with the messages that differ.
        """
        judge = truth or true_state
        states: dict[str, str] = {}
        differing: dict[str, tuple[str, str]] = {}

        def agreed() -> bool:
            nonlocal states, differing
            if not settled():
                return False
            states = self.states(job_id)
            copies: dict[str, list[Accepted]] = {}
            for witness in witnesses:
                for number, accepted in witness.by_destination().items():
                    copies.setdefault(number, []).extend(accepted)
            differing = {
                number: (state, true)
                for number, state in states.items()
                if state != (true := judge(copies.get(number, ())))
            }
            return not differing

        def otherwise() -> str:
            shown = dict(list(differing.items())[:_DIFFERENCES_SHOWN])
            return (
                f"{len(differing)} messages differ, as ledger and truth: {shown};"
                f" settled: {settled()}; job: {self.counts(job_id)};"
                f" receipts: {receipt_counts(self.db)}"
            )

        await self.until(agreed, limit_s, otherwise)
        return states

    def job(self, job_id: int) -> Job:
        job = find_job(self.db, job_id)
        assert job is not None
        return job

    def counts(self, job_id: int) -> dict[str, int]:
        return {state: count for state, count in self.job(job_id).counts.items() if count}

    def states(self, job_id: int) -> dict[str, str]:
        """Return each recipient's state; numbers as digits, as the wire has them."""
        return {row.number[1:]: row.state for row in report_rows(self.db, job_id)}

    def errors(self, job_id: int) -> Counter[str | None]:
        """Return how often each reason stands in the report."""
        return Counter([row.error for row in report_rows(self.db, job_id)])

    def receipts(self, name: str = "operator") -> dict[str, int]:
        return receipt_counts(self.db)[name]

    async def metric(self, name: str, **labels: str) -> float:
        """Return a sample of /metrics, 0 where it is not there yet."""
        url = f"http://127.0.0.1:{self.gateway.metrics_port}/metrics"
        shown = await asyncio.to_thread(_fetch, url)
        wanted = name + "{" + ",".join(f'{k}="{v}"' for k, v in sorted(labels.items())) + "}"
        for line in shown.splitlines():
            sample, _, value = line.rpartition(" ")
            if sample == (wanted if labels else name):
                return float(value)
        return 0.0


def _fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        shown: bytes = answer.read()
    return shown.decode()


@asynccontextmanager
async def running(config: Config, trace: Trace | None = None) -> AsyncIterator[Trial]:
    """Run a gateway while the context is open; it drains and unbinds at the end."""
    started = asyncio.Event()
    gateway = Gateway(config, trace)
    task = asyncio.create_task(gateway.run(started.set), name="gateway")
    waiter = asyncio.create_task(started.wait(), name="started")
    await asyncio.wait({task, waiter}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    if task.done():
        task.result()
    db = open_database(config.gateway.database)
    try:
        yield Trial(config, gateway, db, task)
    finally:
        gateway.stop()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await task
        finally:
            db.close()


def true_state(copies: Sequence[Accepted]) -> str:
    """Say what a message must be in the ledger, by what the SMSC did and told of its segments."""
    if not copies:
        return "rejected"
    told = {
        FINAL_WORDS[told.word]
        for accepted in copies
        for told in accepted.receipts
        if told.word in FINAL_WORDS and told.acknowledged_at is not None
    }
    if told:
        return "undelivered" if "undelivered" in told else "delivered"
    answered = all(accepted.answered_at is not None for accepted in copies)
    return "accepted" if answered else "unknown"


def hold_the_invariants(trial: Trial, witnesses: Mapping[str, Witness]) -> None:
    """Assert what holds of every trial, whatever went wrong: I2, I6, I7 and I9.

    Args:
        trial: a gateway at work.
        witnesses: of its accounts, by name.
    """
    for (job_id,) in trial.db.execute("SELECT id FROM job").fetchall():
        job = trial.job(job_id)
        real = Counter(trial.states(job_id).values())
        assert sum(job.counts.values()) == job.total
        assert real == {state: count for state, count in job.counts.items() if count}
    for smsc in trial.config.smsc:
        witness = witnesses[smsc.name]
        assert max(witness.most_received_in_a_second.values(), default=0) <= smsc.throughput
        assert max(witness.most_unanswered.values(), default=0) <= smsc.window
        receipts = trial.receipts(smsc.name)
        kinds = ("matched", "parked", "orphan", "duplicate")
        assert receipts["received"] == sum(receipts[kind] for kind in kinds)
        acknowledged = sum(
            told.acknowledged_at is not None
            for accepted in witness.accepted
            for told in accepted.receipts
        )
        # What was committed when its connection ended was not acknowledged, and came again.
        assert receipts["received"] >= acknowledged
