"""What a gateway does beside sending, seen from outside: lists, texts, metrics, the audit."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, MutableMapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import time_ns
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from smppgw import caretaker, gateway
from smppgw.campaign.readiness import CONDITIONS
from smppgw.campaign.recipients import from_numbers
from smppgw.campaign.submission import Plan, Wish
from smppgw.caretaker import Caretaker
from smppgw.config import Config
from smppgw.gateway import Gateway
from smppgw.ledger import audit, steer
from smppgw.ledger.claim import CONFIRMATION
from smppgw.ledger.database import Database, Locks, open_database
from smppgw.ledger.inbound import Inbound, list_inbound
from smppgw.ledger.jobs import Loading, account_ids, list_jobs
from smppgw.ledger.optouts import OptOutRow, find_senders, list_optouts
from smppgw.ledger.turn import Arrivals, turn
from smppgw.ledger.upkeep import verify
from smppgw.ledger.writer import Reader, Writer
from smppgw.metrics import Metrics
from smppgw.simulator import Behaviour, Simulator
from smppgw.simulator.witness import Witness
from tests.gateway import trial as trial_module
from tests.gateway.test_disk import Disk, read_only
from tests.gateway.trial import Trial, account, configure, numbers, running

MARTIN = "saint-martin"
CONFIRMED = '[optouts]\nconfirmation = "STMARTIN : vous ne recevrez plus de messages."\n'
BUDGET = '[[tenant]]\nname = "saint-denis"\nsender = "36222"\nsegments_a_month = 1000\n'
SOON_S = 5.0  # a machine that is busy with other tests; alone it takes some tens of milliseconds


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """Catch what is logged; no number and no text is in it (I11)."""
    configured = structlog.is_configured()
    with capture_logs() as entries:
        yield entries
    if not configured:
        structlog.reset_defaults()
    assert "336000" not in str(entries)
    assert "STOP" not in str(entries)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, wait in (
        (gateway, "HOUSEKEEPING_S", 0.1),
        (gateway, "RETRY_S", 0.05),
        (caretaker, "RETRY_S", 0.1),
        (caretaker, "LOOK_S", 0.1),
        (caretaker, "SPENT_S", 0.2),
    ):
        monkeypatch.setattr(module, name, wait)


def play(scenario: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario

    asyncio.run(bounded())


def submit(
    config: Config, recipients: list[str], *, in_s: float | None = None, **wishes: Any
) -> int:
    """Queue a job, or schedule one some seconds from now."""
    path = config.gateway.database
    db, locks = open_database(path, create=True), Locks(path)
    try:
        now = datetime.now(UTC)
        starts_at = None if in_s is None else now + timedelta(seconds=in_s)
        usual = {"text": "Essai", "job_class": "service", "tenant": MARTIN}
        wish = Wish(**usual | wishes, starts_at=starts_at)
        plan = Plan(config, wish, from_numbers(recipients), now)
        loading = Loading(db, locks, plan.order, plan.routes)
        loading.add(plan.addressees())
        return loading.finish(time_ns() // 1_000_000)
    finally:
        db.close()
        locks.close()


async def listed(trial: Trial, count: int) -> list[OptOutRow]:
    """Return the opt-outs once there are so many."""
    await trial.until(
        lambda: len(list_optouts(trial.db)) == count,
        SOON_S,
        lambda: f"{len(list_optouts(trial.db))} opt-outs, and {count} are expected",
    )
    return list_optouts(trial.db)


async def stored(trial: Trial, count: int) -> None:
    """Return once so many texts from phones are on record."""
    await trial.until(lambda: len(list_inbound(trial.db)) == count, SOON_S)


async def until_told(trial: Trial, value: float, name: str, **labels: str) -> None:
    """Return when a metric has a value; the test's time limit bounds it."""
    while await trial.metric(name, **labels) != value:
        ended, _ = await asyncio.wait({trial.task}, timeout=0.05)
        assert not ended


def confirmations_of(trial: Trial) -> list[int]:
    return [job.job_id for job in list_jobs(trial.db) if job.purpose == CONFIRMATION]


def actions(trial: Trial) -> list[str]:
    return [entry.action for entry in audit.entries(trial.db)]


def test_a_stop_puts_the_phone_on_the_list_silences_what_waits_and_is_confirmed_once(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        witness = Witness()
        async with Simulator(Behaviour(seed=1), witness=witness) as smsc:
            config = configure(tmp_path, account(smsc.port), CONFIRMED)
            phones = numbers(3)
            before = submit(config, phones, purpose="fetes")
            waiting = submit(config, phones, purpose="fetes", in_s=2.0)
            another = submit(config, phones, purpose="ecole", in_s=2.0)
            async with running(config) as trial:
                await trial.until_counts(before, {"delivered": 3})
                for _ in range(2):  # a phone that is not sure
                    smsc.deliver(phones[1], "STMARTIN", "Stop svp")
                (row,) = await listed(trial, 1)
                assert (row.tenant, row.purpose, row.number) == (MARTIN, "fetes", phones[1])
                assert (row.channel, row.text) == ("sms", "Stop svp")
                await trial.until_counts(waiting, {"delivered": 2, "suppressed": 1})
                await trial.until_counts(another, {"delivered": 3})
                (told,) = confirmations_of(trial)
                await trial.until_counts(told, {"delivered": 1})
                assert await trial.metric("smppgw_optouts_total") == 1
                assert actions(trial).count("optout.added") == 1
                assert list(audit.verify(trial.db)) == []
                assert list(verify(trial.db)) == []
            by_phone = witness.by_destination()
            # One before, one of the other purpose, and what tells that it was understood.
            assert len(by_phone[phones[1][1:]]) == 3
            assert all(len(by_phone[phone[1:]]) == 3 for phone in (phones[0], phones[2]))

    play(scenario())


def test_without_a_confirmation_in_the_configuration_a_stop_is_obeyed_in_silence(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with Simulator(Behaviour(seed=1)) as smsc:
            config = configure(tmp_path, account(smsc.port))
            job = submit(config, numbers(1))
            async with running(config) as trial:
                await trial.until_counts(job, {"delivered": 1})
                smsc.deliver(numbers(1)[0], "STMARTIN", "STOP")
                await listed(trial, 1)
                assert confirmations_of(trial) == []

    play(scenario())


def test_many_phones_that_ask_one_after_the_other_are_all_heard(tmp_path: Path) -> None:
    """One that comes while another is answered is not overlooked."""

    async def scenario() -> None:
        async with Simulator(Behaviour(seed=1)) as smsc:
            config = configure(tmp_path, account(smsc.port))
            phones = numbers(60)
            job = submit(config, phones)
            async with running(config) as trial:
                await trial.until_counts(job, {"delivered": 60})
                for heard, phone in enumerate(phones, 1):
                    smsc.deliver(phone, "STMARTIN", "STOP")
                    await stored(trial, heard)
                await listed(trial, 60)
                assert await trial.metric("smppgw_optouts_total") == 60

    play(scenario())


def test_a_stop_that_the_last_gateway_stored_is_answered_by_the_next(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Simulator(Behaviour(seed=1)) as smsc:
            config = configure(tmp_path, account(smsc.port), CONFIRMED)
            path = config.gateway.database
            waiting = submit(config, numbers(2), purpose="fetes", in_s=1.5)
            db = open_database(path)
            record_stop(db, numbers(1)[0])
            db.close()
            for _ in range(2):  # and is not answered again by the one after
                async with running(config) as trial:
                    await listed(trial, 1)
                    (told,) = confirmations_of(trial)
                    await trial.until_counts(told, {"delivered": 1})
                    assert actions(trial).count("optout.added") == 1
            async with running(config) as trial:
                # Nothing had been sent to it: it is the class of texts that people mind most.
                assert [row.purpose for row in list_optouts(trial.db)] == ["promotional"]
                await trial.until_counts(waiting, {"delivered": 2})

    play(scenario())


@pytest.mark.parametrize(
    ("channel", "behaviour", "keys", "counts"),
    [
        (
            "receipt",
            {"outcomes": {"UNDELIV": 1}},
            {"optout_errors": ["005"]},
            {"undelivered": 20},
        ),
        (
            "response",
            {"faults": ["refuse:1"]},
            {"optout_statuses": ["0x000B"]},
            {"rejected": 20},
        ),
    ],
)
def test_who_opted_out_with_the_operator_is_learned_from_its_refusals(
    tmp_path: Path,
    channel: str,
    behaviour: dict[str, Any],
    keys: dict[str, Any],
    counts: dict[str, int],
) -> None:
    async def scenario() -> None:
        async with Simulator(Behaviour(seed=1, **behaviour)) as smsc:
            config = configure(tmp_path, account(smsc.port, **keys), CONFIRMED)
            phones = numbers(20)
            job = submit(config, phones, purpose="fetes")
            async with running(config) as trial:
                await trial.until_counts(job, counts)
                rows = await listed(trial, 20)
                assert {row.number for row in rows} == set(phones)
                assert {(row.purpose, row.channel) for row in rows} == {("fetes", channel)}
                assert confirmations_of(trial) == []  # nobody has asked us
                assert await trial.metric("smppgw_optouts_total") == 20

    play(scenario())


def test_other_refusals_put_nobody_on_a_list(tmp_path: Path) -> None:
    async def scenario() -> None:
        behaviour = Behaviour(seed=1, outcomes={"UNDELIV": 1})
        async with Simulator(behaviour) as smsc:
            keys = {"optout_errors": ["053"], "optout_statuses": ["0x0401"]}
            config = configure(tmp_path, account(smsc.port, **keys))
            job = submit(config, numbers(5))
            async with running(config) as trial:
                await trial.until_counts(job, {"undelivered": 5})
            db = open_database(config.gateway.database)
            assert list_optouts(db) == []
            db.close()

    play(scenario())


class HeldReader(Reader):
    """A way to read that can be held after it has looked and before it says what it saw."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.looked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        result = await super().call(function, *args, **kwargs)
        if function is find_senders:
            self.looked.set()
            await self.go_on.wait()
        return result


@asynccontextmanager
async def caring(folder: Path) -> AsyncIterator[tuple[Caretaker, Writer, HeldReader]]:
    """Run a caretaker alone, without a gateway."""
    config = configure(folder, account(2775))
    path = config.gateway.database
    reader = HeldReader(path)
    async with Writer(path) as writer, reader:
        tending = Caretaker(
            config, writer, reader, Metrics(),
            binds=list, problem=lambda: None, queued=lambda: None,
        )  # fmt: skip
        task = asyncio.create_task(tending.run())
        await reader.looked.wait()
        reader.looked.clear()
        yield tending, writer, reader
        task.cancel()
        await asyncio.wait({task})


def record_stop(db: Database, number: str) -> None:
    operator = account_ids(db, ["operator"])["operator"]
    stop = Inbound(operator, number, "STMARTIN", 0, 0, b"STOP", {}, "gsm7")
    turn(db, Arrivals(inbound=[stop]), [], time_ns() // 1_000_000)


def test_a_stop_that_comes_while_others_are_looked_for_is_not_overlooked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with caring(tmp_path) as (tending, writer, reader):
            reader.go_on.clear()
            tending.call([], asked=True)  # of a text that asks for nothing
            await reader.looked.wait()
            await writer.call(record_stop, numbers(1)[0])
            tending.call([], asked=True)
            reader.go_on.set()
            while not await writer.call(list_optouts):
                await asyncio.wait({asyncio.create_task(reader.looked.wait())}, timeout=0.05)

    play(scenario())


def test_what_was_told_last_is_written_down_though_the_gateway_stops(tmp_path: Path) -> None:
    async def scenario() -> None:
        phone = numbers(1)
        config = configure(tmp_path, account(2775))
        job = submit(config, phone, purpose="fetes")
        async with caring(tmp_path) as (tending, _, _):
            tending.call([((job << 6) << 26 | 1, "receipt")], asked=False)
        db = open_database(config.gateway.database)
        assert [row.number for row in list_optouts(db)] == phone
        db.close()

    play(scenario())


def test_a_database_that_cannot_be_written_postpones_and_ends_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    logs: list[MutableMapping[str, Any]],
) -> None:
    disks: list[Disk] = []

    def open_disk(path: Path) -> Disk:
        disks.append(Disk(path))
        return disks[-1]

    monkeypatch.setattr(trial_module, "Gateway", partial(Gateway, open_writer=open_disk))

    async def scenario() -> None:
        async with Simulator(Behaviour(seed=1)) as smsc:
            config = configure(tmp_path, account(smsc.port), CONFIRMED)
            job = submit(config, numbers(1))
            async with running(config) as trial:
                await trial.until_counts(job, {"delivered": 1})
                (disk,) = disks
                async with read_only(disk):
                    trial.gateway.reload(config)  # which the audit wants to tell of
                    smsc.deliver(numbers(1)[0], "STMARTIN", "STOP")
                    failures = disk.failures
                    await trial.until(lambda: disk.failures > failures + 10)
                    await until_told(trial, 0, "smppgw_ready", condition="database")
                    assert await trial.metric("smppgw_ready", condition="link") == 1
                    assert list_optouts(trial.db) == []
                await listed(trial, 1)
                (told,) = confirmations_of(trial)
                await trial.until_counts(told, {"delivered": 1})
                assert actions(trial).count("config.changed") == 1
                await until_told(trial, 1, "smppgw_ready", condition="database")

    play(scenario())
    assert any(entry["event"] == "care.postponed" for entry in logs)


def test_the_audit_tells_with_which_configuration_the_gateway_works_and_no_secret(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with Simulator(Behaviour(seed=1)) as smsc:
            config = configure(tmp_path, account(smsc.port))
            async with running(config) as trial:
                trial.gateway.reload(configure(tmp_path, account(smsc.port, window=7)))
                await trial.until(lambda: "config.changed" in actions(trial), SOON_S)
                started, changed = audit.entries(trial.db)
                assert (started.action, started.actor) == ("gateway.started", "gateway")
                digests = {entry.details["configuration"] for entry in (started, changed)}
                assert len(digests) == 2
                assert all(len(digest) == 64 for digest in digests)
                assert "secret08" not in str([started, changed])
                assert list(audit.verify(trial.db)) == []
            async with running(config) as trial:
                again = audit.entries(trial.db)[-1]
                assert again.details == started.details, "the same configuration, another digest"

    play(scenario())


def test_readiness_budgets_disk_and_cost_are_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Simulator(Behaviour(seed=1)) as smsc:
            config = configure(tmp_path, account(smsc.port, price=0.05), BUDGET)
            job = submit(config, numbers(40), tenant="saint-denis")
            async with running(config) as trial:
                await trial.until_counts(job, {"delivered": 40})
                tenant = "saint-denis"
                await until_told(trial, 40, "smppgw_budget_used_segments", tenant=tenant)
                await until_told(trial, 1000, "smppgw_budget_segments", tenant=tenant)
                for condition in CONDITIONS:
                    await until_told(trial, 1, "smppgw_ready", condition=condition)
                assert await trial.metric("smppgw_disk_free_bytes") > 0
                cost = await trial.metric("smppgw_segments_cost_total", smsc="operator")
                assert cost == pytest.approx(40 * 0.05)

    play(scenario())


def test_retention_goes_on_beside_alerts_and_stops_and_holds_neither(
    tmp_path: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    retention = '[retention]\ntext = "1s"\nnumber = "1s"\n'

    async def scenario() -> None:
        async with Simulator(Behaviour(seed=1)) as smsc:
            config = configure(tmp_path, account(smsc.port), retention)
            old = submit(config, numbers(20_000, 1000))
            db = open_database(config.gateway.database)
            steer.cancel(db, old, time_ns() // 1_000_000, "garde")
            db.execute("UPDATE job SET finished_at = finished_at - 60000")
            db.close()

            def purged() -> int | None:
                found: int | None
                (found,) = trial.db.execute(
                    "SELECT numbers_purged_at FROM job WHERE id = ?", (old,)
                ).fetchone()
                return found

            def text() -> str:
                found: str
                (found,) = trial.db.execute("SELECT text FROM job WHERE id = ?", (old,)).fetchone()
                return found

            async with running(config) as trial:
                await trial.until(lambda: not text())
                alert = submit(config, numbers(1), job_class="alert")
                await trial.until_counts(alert, {"delivered": 1})
                smsc.deliver(numbers(1)[0], "STMARTIN", "STOP")
                await listed(trial, 1)
                assert purged() is None, "the trial is too small to show anything"
                await trial.until(lambda: purged() is not None)
                clear = trial.db.execute(
                    "SELECT count(*) FROM message WHERE id >> 32 = ? AND recipient LIKE '+%'",
                    (old,),
                ).fetchone()
                assert clear == (0,)
                await trial.until(lambda: "purge.done" in actions(trial), SOON_S)
                assert list(audit.verify(trial.db)) == []
                assert list(verify(trial.db)) == []

    play(scenario())
    (applied,) = [entry for entry in logs if entry["event"] == "retention.applied"]
    assert applied["message_numbers"] == 20_000
