"""The database fails while the gateway is at work: it stands still, says so once, and goes on.

Each failure is SQLite's own, on the gateway's own connection: its file may not grow, or may not be
written, or another process holds it.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from smppgw import gateway as gateway_module
from smppgw.config import Config
from smppgw.errors import DatabaseError
from smppgw.gateway import Gateway
from smppgw.ledger.database import Database, open_database
from smppgw.ledger.upkeep import verify
from smppgw.ledger.writer import Writer
from smppgw.simulator import Behaviour, Simulator
from smppgw.simulator.witness import Witness
from tests.gateway import trial as trial_module
from tests.gateway.trial import (
    Trial,
    account,
    configure,
    hold_the_invariants,
    numbers,
    running,
    submit,
)
from tests.ledger.process import Other

Logs = list[MutableMapping[str, Any]]
MESSAGES = 600
WINDOW = 40  # so that claims are prepared before their commit fails
BEGUN = 100  # messages that are delivered before the failure
FAILURES = 5  # turns in a row that fail before it is put right


class Disk(Writer):
    """The way to the ledger, which notes what fails on it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.failures = 0

    async def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().call(function, *args, **kwargs)
        except DatabaseError:
            self.failures += 1
            raise

    async def set(self, pragma: str) -> None:
        """Set something on the gateway's own connection."""

        def execute(db: sqlite3.Connection) -> None:
            db.execute(f"PRAGMA {pragma}").fetchall()

        await super().call(execute)


Failing = Callable[[Disk], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def full(disk: Disk) -> AsyncIterator[None]:
    await disk.set("max_page_count = 1")  # not below what there is: no page can be added
    yield
    await disk.set("max_page_count = 1073741823")


@asynccontextmanager
async def read_only(disk: Disk) -> AsyncIterator[None]:
    await disk.set("query_only = ON")
    yield
    await disk.set("query_only = OFF")


HOLD = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
"""


@asynccontextmanager
async def locked(disk: Disk) -> AsyncIterator[None]:
    await disk.set("busy_timeout = 20")  # instead of 30 s
    with Other(HOLD, disk.path) as other:
        assert await asyncio.to_thread(other.line) == "held"
        yield
        other.kill()


FAILINGS: dict[str, tuple[Failing, str]] = {
    "full": (full, "the disk is full. Make room"),
    "read-only": (read_only, "it cannot be written"),
    "locked": (locked, "another process has held it"),
}


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch) -> list[Disk]:
    """The ways to the ledger of the gateways of a test, as they are made."""
    made: list[Disk] = []

    def open_disk(path: Path) -> Disk:
        made.append(Disk(path))
        return made[-1]

    monkeypatch.setattr(trial_module, "Gateway", partial(Gateway, open_writer=open_disk))
    monkeypatch.setattr(gateway_module, "RETRY_S", 0.05)
    return made


def begin(tmp_path: Path, smsc: Simulator, **keys: Any) -> tuple[Config, int]:
    """Configure an account and queue a job for it; returns its number too."""
    config = configure(tmp_path, account(smsc.port, window=WINDOW, throughput=400, **keys))
    return config, submit(config, numbers(MESSAGES))


def acknowledged(witness: Witness) -> int:
    """Return how many receipts the gateway has answered."""
    return sum(
        told.acknowledged_at is not None
        for accepted in witness.accepted
        for told in accepted.receipts
    )


def told_of(logs: Logs) -> list[str]:
    """Return what the log says of the database."""
    return [entry["reason"] for entry in logs if entry["event"] == "database.failed"]


async def fail_for_a_while(trial: Trial, disk: Disk) -> None:
    """Wait until the database has failed some turns in a row."""
    disk.failures = 0
    await trial.until(lambda: disk.failures >= FAILURES)


async def go_on(trial: Trial, job: int) -> None:
    """Wait until the counts of a job change."""
    before = trial.counts(job)
    await trial.until(lambda: trial.counts(job) != before)


@pytest.fixture(params=FAILINGS)
def failing(request: pytest.FixtureRequest) -> tuple[Failing, str]:
    return FAILINGS[request.param]


def test_nothing_leaves_and_nothing_is_acknowledged_until_it_can_be_written_down(
    tmp_path: Path, disks: list[Disk], failing: tuple[Failing, str]
) -> None:
    async def run() -> None:
        witness = Witness()
        behaviour = Behaviour(latency_s=0.02, receipt_delay_s=0.1)
        async with Simulator(behaviour, witness=witness) as smsc:
            config, job = begin(tmp_path, smsc)
            async with running(config) as trial:
                await trial.until(lambda: trial.counts(job).get("delivered", 0) >= BEGUN)
                async with failing[0](disks[0]):
                    await fail_for_a_while(trial, disks[0])
                    sent, answered = len(witness.accepted), acknowledged(witness)
                    await fail_for_a_while(trial, disks[0])
                    assert len(witness.accepted) == sent < MESSAGES
                    assert acknowledged(witness) == answered
                    assert answered <= trial.receipts()["received"]
                await trial.until_counts(job, {"delivered": MESSAGES})
                assert set(witness.copies().values()) == {1}
                hold_the_invariants(trial, {"operator": witness})
                assert list(verify(trial.db)) == []

    asyncio.run(run())


def test_it_is_said_once_in_a_sentence_that_says_what_to_do(
    tmp_path: Path, disks: list[Disk], failing: tuple[Failing, str], logs: Logs
) -> None:
    async def run() -> None:
        async with Simulator(Behaviour(latency_s=0.02)) as smsc:
            config, job = begin(tmp_path, smsc)
            async with running(config) as trial:
                await trial.until(lambda: trial.counts(job).get("delivered", 0) >= BEGUN)
                for times in (1, 2):  # and once more, when it comes again
                    async with failing[0](disks[0]):
                        await fail_for_a_while(trial, disks[0])
                        assert len(told_of(logs)) == times
                    await go_on(trial, job)

    asyncio.run(run())
    assert set(told_of(logs)) == {told_of(logs)[0]}
    assert failing[1] in told_of(logs)[0]


def test_meanwhile_the_gateway_says_that_no_alert_could_leave(
    tmp_path: Path, disks: list[Disk], failing: tuple[Failing, str]
) -> None:
    async def run() -> None:
        async with Simulator(Behaviour(latency_s=0.02)) as smsc:
            config, job = begin(tmp_path, smsc)
            async with running(config) as trial:
                await trial.until(lambda: trial.counts(job).get("delivered", 0) >= BEGUN)
                assert trial.gateway.unready() is None
                async with failing[0](disks[0]):
                    await fail_for_a_while(trial, disks[0])
                    why = trial.gateway.unready()
                    assert why is not None
                    assert failing[1] in why
                await trial.until_counts(job, {"delivered": MESSAGES})
                assert trial.gateway.unready() is None

    asyncio.run(run())


def test_what_others_ask_can_still_be_read_from_a_full_disk(
    tmp_path: Path, disks: list[Disk]
) -> None:
    async def run() -> None:
        async with Simulator(Behaviour(latency_s=0.02)) as smsc:
            config, job = begin(tmp_path, smsc)
            async with running(config) as trial:
                await trial.until(lambda: trial.counts(job).get("delivered", 0) >= BEGUN)
                async with full(disks[0]):
                    await fail_for_a_while(trial, disks[0])
                    other: Database = open_database(config.gateway.database)
                    try:
                        assert list(verify(other)) == []
                    finally:
                        other.close()

    asyncio.run(run())


def test_a_gateway_that_must_stop_meanwhile_says_why_and_the_next_one_loses_nothing(
    tmp_path: Path, disks: list[Disk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "DRAIN_MARGIN_S", 0.1)

    async def stop_while_it_fails(config: Config, job: int) -> None:
        async with running(config) as trial:
            await trial.until(lambda: trial.counts(job).get("delivered", 0) >= BEGUN)
            await disks[0].set("query_only = 1")  # where the disk is full, updates may still fit
            await fail_for_a_while(trial, disks[0])

    async def run() -> None:
        witness = Witness()
        behaviour = Behaviour(latency_s=0.02, receipt_delay_s=0.1)
        async with Simulator(behaviour, witness=witness) as smsc:
            config, job = begin(tmp_path, smsc, response_timeout="500ms")
            with pytest.raises(ExceptionGroup) as raised:
                await stop_while_it_fails(config, job)
            (error,) = raised.value.exceptions
            assert isinstance(error, DatabaseError)
            assert "cannot be written" in str(error)
            async with running(config) as trial:
                await trial.until(lambda: trial.job(job).settled)
                states = trial.counts(job)
                assert states.keys() <= {"delivered", "unknown"}
                assert states.get("unknown", 0) <= WINDOW
                assert set(witness.copies().values()) == {1}  # held: nobody was written to twice
                hold_the_invariants(trial, {"operator": witness})

    asyncio.run(run())
