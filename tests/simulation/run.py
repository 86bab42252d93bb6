"""One seeded run of everything, and what must be true of it.

A seed draws an account, an SMSC and how it misbehaves, a network, jobs of several tenants and what
people do to them, some of whom want no more texts, hours that open or close, and what befalls the
gateway: crashes at any moment and on both sides of any commit, orderly stops, a full disk, clocks
that jump. After a while the world heals, and everything must come to rest; then the ledger is held
to what the SMSC knows. What can be seen while it happens is checked when it happens: every octet
that the gateway writes passes `Wire`, every commit passes `SimulatedWriter`.

    python -m tests.simulation.run SEED     replays one seed, and says what happened
"""

import asyncio
import contextlib
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as wall_time
from itertools import combinations
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from smppgw import gateway as gateway_module
from smppgw.campaign.recipients import from_numbers
from smppgw.campaign.submission import Plan, Wish
from smppgw.config import Config, load
from smppgw.errors import DatabaseError, InputError
from smppgw.gateway import Gateway
from smppgw.ledger import steer
from smppgw.ledger.claim import LANES
from smppgw.ledger.database import Locks, data_version, explained, open_database
from smppgw.ledger.hashing import Hasher
from smppgw.ledger.jobs import Loading, find_job, report_rows
from smppgw.ledger.optouts import OptOut, add
from smppgw.ledger.turn import Turned
from smppgw.ledger.upkeep import verify
from smppgw.ledger.writer import Reader, Writer
from smppgw.simulator import Behaviour, Simulator, codec
from smppgw.simulator.witness import Accepted, Witness
from tests.simulation.world import START_S, WALL_START_S, Network, Pipe, VirtualLoop

FINAL_WORDS = {
    "DELIVRD": "delivered",
    "UNDELIV": "undelivered",
    "EXPIRED": "undelivered",
    "REJECTD": "undelivered",
}
SHORT = "Essai"
LONG = "Un texte qui ne tient pas en un seul segment. " * 5
LONG_SEGMENTS = 2
LIMIT_S = 3_000.0  # within which a healed world comes to rest
POLL_S = 0.25  # coarser than in life: a poll costs as much as a message
PARIS = ZoneInfo("Europe/Paris")
TENANTS = ("aix", "saint-denis", "saint-martin")
# Promotional hours; a run begins within the minute after 9:00 on a Friday.
HOURS = {"open": ("08:00", "20:00"), "opens": ("09:01", "20:00"), "closes": ("08:00", "09:01")}
_STEP_S = 2.0  # so long after the clock was set nobody can tell what it said when

# What the SMSC may do, and how likely. Those that leave no trace of what they lost are apart.
FAULTS = (
    "no-answer:15",
    "no-answer-lost:20",
    "throttle:5",
    "queue-full:7",
    "nack:15",
    "nack-0:5",
    "system-error:8",
    "refuse:10",
    "receipt-twice",
    "receipt-lost:10",
    "receipt-intermediate",
    "enroute-after-final",
    "receipt-other-bind",
    "slow-answers:0.02",
    "answers-out-of-order:0.3",
    "stray-answers:5",
    "unbind:12",
    "no-unbind-answer",
    "drop:25",
    "enquire-often:3",
    "sequence-extremes",
    "unknown-command:10",
    "bind-refused:2",
    "already-bound:3",
    "no-enquire-answer",
    "receipt-tlvs",
)
EARLY = ("receipt-first:0", "receipt-first:0.5", "receipt-early-other-bind:0.2")


class Violation(AssertionError):
    """An invariant that does not hold."""


@dataclass
class Life:
    """One life of the gateway."""

    gateway: Gateway
    task: asyncio.Task[None]
    over: asyncio.Event = field(default_factory=asyncio.Event)  # it is to be killed now
    dead: bool = False


class SimulatedWriter(Writer):
    """The way to the ledger without a thread: inline, and the process may die around a commit."""

    def __init__(self, run: "Run", path: Path) -> None:
        self._connection = None
        self.path = path
        self._run = run
        self._life = run.life_at_work

    async def __aenter__(self) -> "SimulatedWriter":
        self.locks = Locks(self.path)
        self.locks.take_gateway()
        self.db = open_database(self.path, create=True)
        self.db.execute("PRAGMA synchronous = OFF")  # no power fails in this world
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.db.close()
        self.locks.close()

    async def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        run = self._run
        await asyncio.sleep(run.commit_s())
        await self._perhaps_die(run.dies_before_commit)
        if run.disk_is_full:
            raise DatabaseError("the disk is full")
        with explained(self.path):
            result = function(self.db, *args, **kwargs)
        if isinstance(result, Turned):
            run.check_lanes(result, args[1])
            run.check_shares(result)
        await self._perhaps_die(run.dies_after_commit)
        await asyncio.sleep(0)
        return result

    async def version(self) -> int:
        version: int = await self.call(data_version)
        return version

    def quiet(self) -> bool:
        return False  # the file's times are not of this world

    async def _perhaps_die(self, dies: Callable[[], bool]) -> None:
        life = self._run.life_at_work
        if life is not None and not life.dead and dies():
            life.over.set()
        if life is None or life.dead or life.over.is_set():
            await asyncio.Event().wait()  # whatever it would have done, it does no more


class SimulatedReader(Reader):
    """The second way to the ledger, without a thread too: turns are taken while it reads."""

    def __init__(self, run: "Run", path: Path) -> None:
        self._connection = None
        self.path = path
        self._run = run
        self._life = run.life_at_work

    async def __aenter__(self) -> "SimulatedReader":
        self.db = open_database(self.path, gateway=True)
        self.db.execute("PRAGMA query_only = ON")
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.db.close()

    async def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with explained(self.path):
            result = function(self.db, *args, **kwargs)
        await asyncio.sleep(self._run.commit_s())
        if self._life is None or self._life.dead or self._life.over.is_set():
            await asyncio.Event().wait()
        return result


class Wire:
    """What the gateway writes and reads on one connection."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._read = self._written = b""
        self._outstanding: set[int] = set()

    def tap(self, direction: str, octets: bytes) -> None:
        if direction == "read":
            self._read += octets
            for pdu in codec.split(self._read):
                self._read = self._read[len(pdu) :]
                _, command_id, _, sequence = codec.HEADER.unpack_from(pdu)
                if command_id in (codec.SUBMIT_SM_RESP, codec.GENERIC_NACK):
                    self._outstanding.discard(sequence)
            return
        submitted, acknowledged = [], 0
        for pdu in codec.split(octets):
            _, command_id, _, sequence = codec.HEADER.unpack_from(pdu)
            if command_id == codec.SUBMIT_SM:
                self._outstanding.add(sequence)
                submitted.append(str(codec.decode(pdu).fields["destination_addr"]))
            elif command_id == codec.DELIVER_SM | codec.RESPONSE_BIT:
                acknowledged += 1
        if len(self._outstanding) > self._run.window:
            raise Violation(f"I7: {len(self._outstanding)} unanswered, {self._run.window} allowed")
        if submitted:
            self._run.on_submitted(submitted)
        if acknowledged:
            self._run.on_acknowledged(acknowledged)


@dataclass
class Acknowledged:
    """A job that `submit` has acknowledged."""

    job_id: int
    job_class: str
    recipients: list[str]
    segments: int
    tenant: str
    starts_at: int  # milliseconds since 1970; 0 is at once
    retried: bool = False
    steered: bool = False


class Run:
    """One seed."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.chance = chance = random.Random(seed)
        self.folder = folder
        self.loop = VirtualLoop()
        self.network = Network(self.loop, random.Random(f"network of {seed}"))
        self.network.on_connect = self._tap
        self.witness = Witness()
        self.life_at_work: Life | None = None
        self.jobs: list[Acknowledged] = []
        self.trouble = chance.random() < 0.85  # whether the gateway's own life is hard
        self.disk_is_full = False
        self.healed = False
        self.wall_offset_s = 0.0
        self._clock_stepped_at = 0.0
        self.acknowledged_receipts = 0
        self.lives = 0
        self.crashes = 0
        self._written_at: deque[float] = deque()
        self._numbers = 0
        self._commits_to_death = chance.randrange(5, 400) if self.trouble else 0
        self._death_before = False
        self._slow_commit_s = chance.choice([0.0, 0.002, 0.02, 0.2])
        self.hours = HOURS[chance.choice(["open", "opens", "closes"])]
        self.wall_offset_s += chance.uniform(0.0, 59.0)
        self._job_of: dict[str, Acknowledged] = {}  # by recipient: none is written to by two jobs
        self._written: set[str] = set()  # recipients
        self._opted_out: dict[str, bool] = {}  # whether something had been claimed for them before
        self._stopped: set[str] = set()  # those who wrote STOP
        self._had: dict[int, dict[str, int]] = {}  # by lane and tenant, segments of this life
        self._apart: dict[int, dict[tuple[str, str], int]] = {}  # while two wait, what parts them
        self.window = chance.choice([1, 2, 5, 10, 20])
        self.throughput = chance.choice([5, 10, 20, 50])
        self.reader: sqlite3.Connection

    # The world, as the seed has it

    def configure(self) -> Config:
        chance = self.chance
        mode = chance.choice(["transceiver", "transceiver", "transmitter+receiver"])
        self._binds = chance.choice([1, 1, 2])
        tenants = "".join(f'[[tenant]]\nname = "{name}"\nsender = "MAIRIE"\n' for name in TENANTS)
        self._toml = f"""
[gateway]
database = "ledger.db"
[metrics]
listen = ""
[[smsc]]
name = "operator"
host = "127.0.0.1"
port = 2775
system_id = "syndic"
password = "secret08"
mode = "{mode}"
binds = {self._binds}
window = {self.window}
throughput = {self.throughput}
response_timeout = "{chance.choice([2, 5, 30])}s"
enquire_link = "{chance.choice([3, 10])}s"
reconnect = ["200ms", "3s"]
long_text = "{chance.choice(["udh", "udh", "sar"])}"
{tenants}
[class.alert]
unknown = "resend"
attempts = 12
[class.service]
unknown = "hold"
attempts = 12
[class.promotional]
unknown = "hold"
attempts = 12
"""
        return self._load_config()

    def _load_config(self) -> Config:
        path = self.folder / "config.toml"
        hours = f'hours = ["{self.hours[0]}", "{self.hours[1]}"]\n'
        path.write_text(self._toml + hours, encoding="utf-8")
        return load(path)

    def _resting(self) -> bool:
        """Whether promotional messages must not leave now."""
        now = datetime.fromtimestamp(self.wall_ms() / 1000, PARIS).time()
        opens, closes = map(wall_time.fromisoformat, self.hours)
        return not opens <= now < closes

    def behaviour(self) -> Behaviour:
        chance = self.chance
        faults = chance.sample(FAULTS, chance.choice([0, 0, 1, 2, 3, 4]))
        if chance.random() < 0.3:
            faults.append(chance.choice(EARLY))
        self.faults = sorted(faults)
        return Behaviour(
            latency_s=chance.choice([0.0, 0.01, 0.3, 1.0]),
            receipt_delay_s=chance.choice([0.0, 0.2, 5.0]),
            outcomes={"DELIVRD": 80, "UNDELIV": 10, "EXPIRED": 5, "REJECTD": 5},
            ids=chance.choice(["decimal", "hex", "hex-then-decimal", "uuid"]),
            seed=self.seed,
            faults=frozenset(faults),
        )

    def commit_s(self) -> float:
        return self.chance.uniform(0.0, self._slow_commit_s)

    def dies_before_commit(self) -> bool:
        self._commits_to_death -= 1
        return self._commits_to_death == 0 and self._death_before and not self.healed

    def dies_after_commit(self) -> bool:
        return self._commits_to_death == 0 and not self._death_before and not self.healed

    # What is checked while it happens

    def _tap(self, pipe: Pipe) -> None:
        pipe.tap = Wire(self).tap

    def on_submitted(self, destinations: Sequence[str]) -> None:
        now = self.loop.time()
        for destination in destinations:
            self._check_written(f"+{destination}")
            (committed,) = self.reader.execute(
                "SELECT count(*) FROM message JOIN segment ON segment.id > message.id << 8"
                " AND segment.id < (message.id + 1) << 8"
                " WHERE recipient = ? AND segment.state = 'submitting'",
                (f"+{destination}",),
            ).fetchone()
            if not committed:
                raise Violation("I3: a submit_sm left whose message is not on disk as submitting")
            while self._written_at and now - self._written_at[0] >= 1.0:
                self._written_at.popleft()
            self._written_at.append(now)
            if len(self._written_at) > self.throughput:
                raise Violation(
                    f"I6: {len(self._written_at)} submit_sm in a second, {self.throughput} allowed"
                )

    def _check_written(self, number: str) -> None:
        """Hold a submit_sm to the hours, to when its job begins, and to who wants none."""
        job = self._job_of[number]
        begun = number in self._written and job.segments > 1  # what is begun is ended
        self._written.add(number)
        if self._opted_out.get(number) is False:
            raise Violation(f"opted out: a {job.job_class} message went to who wants none")
        if self.loop.time() - self._clock_stepped_at < _STEP_S:
            return
        if job.job_class == "promotional" and not begun and self._resting():
            raise Violation("hours: a promotional message left outside its hours")
        if self.wall_ms() < job.starts_at and self._first_claim_of(job) < job.starts_at:
            raise Violation(f"early: job {job.job_id} left before its time")

    def on_acknowledged(self, count: int) -> None:
        self.acknowledged_receipts += count
        recorded = self._recorded()
        if self.acknowledged_receipts > recorded:
            raise Violation(
                f"I4: {self.acknowledged_receipts} deliver_sm answered, {recorded} on disk"
            )

    def _first_claim_of(self, job: Acknowledged) -> int:
        """Return when a job began to leave; the clock may have been set back since."""
        (at,) = self.reader.execute(
            "SELECT first_submit_at FROM job WHERE id = ?", (job.job_id,)
        ).fetchone()
        return int(at)

    def _recorded(self) -> int:
        """Return how many deliver_sm are on disk, receipts and texts."""
        (recorded,) = self.reader.execute(
            "SELECT (SELECT coalesce(sum(receipts_received), 0) FROM account)"
            " + (SELECT count(*) FROM inbound)"
        ).fetchone()
        return int(recorded)

    def check_shares(self, turned: Turned) -> None:
        """Of tenants that wait side by side none gets more than a piece ahead of another.

        A piece is what one turn can give, and the rest of a message. A new life begins anew.
        """
        for claims in turned.claims.values():
            for claim in claims:
                lane = LANES.index(turned.jobs[claim.job_id].job_class)
                tenant = self._tenant_of(claim.job_id)
                had = self._had.setdefault(lane, {})
                had[tenant] = had.get(tenant, 0) + len(claim.numbers)
        most = 2 * (self.window * self._binds + LONG_SEGMENTS)
        for lane, had in self._had.items():
            waiting = self._waiting(lane)
            before, after = self._apart.get(lane, {}), {}
            for one, other in combinations(sorted(waiting), 2):
                apart = had.get(one, 0) - had.get(other, 0)
                after[one, other] = before.get((one, other), apart)
                if abs(apart - after[one, other]) > most:
                    raise Violation(
                        f"shares: {one} and {other} wait, and are {apart} segments apart"
                    )
            self._apart[lane] = after

    def _tenant_of(self, job_id: int) -> str:
        (tenant,) = self.reader.execute("SELECT tenant FROM job WHERE id = ?", (job_id,)).fetchone()
        return str(tenant)

    def _waiting(self, lane: int) -> set[str]:
        """Return the tenants of a lane that have something that could leave now."""
        rows = self.reader.execute(
            "SELECT tenant FROM job WHERE lane = ?1 AND queued > 0 AND starts_at <= ?2"
            " AND (state = 'queued' OR state = 'sending') AND expires_at > ?2"
            " AND EXISTS (SELECT 1 FROM message WHERE message.id > job.id << 32"
            " AND message.id < (job.id + 1) << 32 AND message.state = 'queued'"
            " AND (due_at IS NULL OR due_at <= ?2))",
            (lane, self.wall_ms() - 1000),
        ).fetchall()
        return {tenant for (tenant,) in rows}

    def check_lanes(self, turned: Turned, demands: Sequence[Any]) -> None:
        """I8: whoever claims something else leaves no alert that could have gone in its place."""
        held = {demand.remainder.message_id for demand in demands if demand.remainder}
        lesser = any(
            turned.jobs[claim.job_id].job_class != "alert" and claim.message_id not in held
            for claims in turned.claims.values()
            for claim in claims
        )
        if not lesser:
            return
        now = self.wall_ms()
        (waiting,) = self.reader.execute(
            "SELECT count(*) FROM job JOIN message ON message.id >> 32 = job.id"
            " WHERE class = 'alert' AND (job.state = 'queued' OR job.state = 'sending')"
            " AND message.state = 'queued' AND (due_at IS NULL OR due_at <= ?1)"
            " AND expires_at > ?1 AND starts_at <= ?1",
            (now - 1_000,),
        ).fetchone()
        if waiting:
            raise Violation(f"I8: {waiting} alerts wait and something else was claimed")

    def check_crash(self, binds: int) -> None:
        (unknown,) = self.reader.execute(
            "SELECT count(*) FROM segment WHERE state = 'submitting'"
        ).fetchone()
        if unknown > binds * self.window:
            raise Violation(f"I5: {unknown} of unknown outcome, {binds} windows of {self.window}")

    # Clocks

    def wall_ms(self) -> int:
        return int((WALL_START_S + self.loop.time() - START_S + self.wall_offset_s) * 1000)

    # What people do

    def submit(self) -> None:
        """Queue a job, or die half way."""
        chance = self.chance
        job_class = chance.choice(["alert", "service", "promotional", "promotional"])
        count = chance.choice([1, 3, 10, 40])
        first, self._numbers = self._numbers, self._numbers + count
        recipients = [f"+336{number:08d}" for number in range(first, first + count)]
        text, segments = chance.choice([(SHORT, 1), (SHORT, 1), (LONG, LONG_SEGMENTS)])
        path = self.folder / "ledger.db"
        db, locks = open_database(path, create=True), Locks(path)
        db.execute("PRAGMA synchronous = OFF")
        try:
            now = datetime.fromtimestamp(self.wall_ms() / 1000, UTC)
            tenant, starts_at = chance.choice(TENANTS), None
            if chance.random() < 0.25:
                starts_at = now + timedelta(seconds=chance.uniform(0.1, 15.0))
            wish = Wish(
                text=text,
                job_class=job_class,
                tenant=tenant,
                expires_s=36_000.0,
                starts_at=starts_at,
            )
            plan = Plan(self.config, wish, from_numbers(recipients), now)
            loading = Loading(db, locks, plan.order)
            addressees = list(plan.addressees())
            if chance.random() < 0.1:
                loading.add(addressees[: count // 2])
                return  # killed: its lock goes with it
            loading.add(addressees)
            job_id = loading.finish(self.wall_ms())
            begins = 0 if starts_at is None else int(starts_at.timestamp() * 1000)
            job = Acknowledged(job_id, job_class, recipients, segments, tenant, begins)
            self.jobs.append(job)
            self._job_of.update(dict.fromkeys(recipients, job))
        finally:
            db.close()
            locks.close()

    async def opt_out(self) -> None:
        """Have some recipients of a job say that they want no more texts, in one way or another."""
        if not self.jobs:
            return
        chance = self.chance
        job = chance.choice(self.jobs)
        numbers = chance.sample(job.recipients, min(len(job.recipients), chance.choice([1, 2, 9])))
        if chance.random() < 0.4:
            for number in sorted(self._written.intersection(job.recipients))[:3]:
                self.smsc.deliver(number, "MAIRIE", "STOP")
                self._stopped.add(number)
                await asyncio.sleep(chance.uniform(0.0, self._slow_commit_s))
            return
        purpose = chance.choice([job.job_class, "all"])
        db = open_database(self.folder / "ledger.db")
        db.execute("PRAGMA synchronous = OFF")
        try:
            hasher = Hasher.open(self.config.retention.key_file)
            entries = [OptOut(job.tenant, purpose, number, "command") for number in numbers]
            add(db, hasher, entries, "garde", self.wall_ms())
            claimed = {
                number
                for (number,) in db.execute(
                    "SELECT recipient FROM message WHERE id >> 32 = ? AND (state <> 'queued'"
                    " OR EXISTS (SELECT 1 FROM segment WHERE segment.id > message.id << 8"
                    " AND segment.id < (message.id + 1) << 8))",
                    (job.job_id,),
                )
            }
        finally:
            db.close()
        for number in numbers:
            self._opted_out.setdefault(number, number in claimed)

    def steer(self) -> None:
        """Pause, resume, cancel or retry some job."""
        if not self.jobs:
            return
        chance = self.chance
        job = chance.choice(self.jobs)
        db = open_database(self.folder / "ledger.db")
        db.execute("PRAGMA synchronous = OFF")
        try:
            match chance.choice(["pause", "resume", "resume", "cancel", "retry"]):
                case "pause":
                    steer.pause(db, job.job_id, self.wall_ms(), "garde")
                case "resume":
                    steer.resume(db, job.job_id, self.wall_ms(), "garde")
                case "cancel":
                    steer.cancel(db, job.job_id, self.wall_ms(), "garde")
                    job.steered = True
                case _:
                    states = set(chance.sample(sorted(steer.RETRIED), 2))
                    retried = steer.retry(db, job.job_id, states, self.wall_ms(), "garde")
                    job.retried |= bool(retried)
        except InputError:
            pass  # it is not in a state for that
        finally:
            db.close()

    # What befalls the gateway

    async def live(self) -> None:
        """Live, be killed or stopped, and live again, until the run is over."""
        chance = self.chance
        while True:
            gateway = Gateway(self.config, open_writer=lambda path: SimulatedWriter(self, path))
            task = asyncio.create_task(gateway.run(), name="gateway")
            life = self.life_at_work = Life(gateway, task)
            self.lives += 1
            self._had, self._apart = {}, {}
            killed = asyncio.create_task(life.over.wait(), name="death")
            await asyncio.wait({task, killed}, return_when=asyncio.FIRST_COMPLETED)
            killed.cancel()
            if task.done() and not life.over.is_set():
                try:
                    task.result()  # an orderly stop; anything else is a violation
                except* DatabaseError:
                    pass  # a full disk ends a start, or a stop
            else:
                await self._kill(life)
            self.life_at_work = None
            await asyncio.sleep(chance.choice([0.0, 0.5, 5.0]))
            if self.loop.time() - self._clock_stepped_at < 2.0:
                self._written_at.clear()  # nobody can tell how long ago it was sent
            self._commits_to_death = chance.randrange(5, 2_000)
            self._death_before = chance.random() < 0.5

    async def _kill(self, life: Life) -> None:
        """End a life as kill -9 does: what was written arrives, nothing else happens any more."""
        self.crashes += 1
        life.dead = True
        binds = len(self.config.smsc[0].bind_kinds)
        for pipe in [pipe for pipe in self.network.pipes if pipe.tap is not None]:
            pipe.vanish()
        self.check_crash(binds)
        life.task.cancel()
        await asyncio.wait({life.task})
        if not life.task.cancelled() and isinstance(life.task.exception(), Violation):
            life.task.result()

    async def _misfortune(self) -> None:
        """Let something happen, to the network, the SMSC, the disk, the clock or the process."""
        chance = self.chance
        life = self.life_at_work
        match chance.choice(["break", "stall", "restart", "clock", "disk", "stop", "kill", "kill"]):
            case "break":
                self.network.break_all()
            case "stall":
                self.network.stall(chance.uniform(0.1, 15.0))
            case "restart":
                await self.smsc.__aexit__()
                await asyncio.sleep(chance.uniform(0.0, 10.0))
                await self.smsc.__aenter__()
            case "clock":
                self.wall_offset_s += chance.choice([-120.0, -2.0, 2.0, 120.0])
                self._clock_stepped_at = self.loop.time()
            case "disk":
                self.disk_is_full = True
                await asyncio.sleep(chance.uniform(0.1, 5.0))
                self.disk_is_full = False
            case "stop" if life is not None and self.trouble:
                life.gateway.stop()
            case "kill" if life is not None and self.trouble:
                for _ in range(chance.randrange(20)):  # at any await
                    await asyncio.sleep(0)
                life.over.set()

    async def _story(self) -> None:
        chance = self.chance
        for _ in range(chance.randrange(3, 12)):
            await asyncio.sleep(chance.choice([0.0, 0.1, 1.0, 8.0]) * chance.random())
            deed = chance.random()
            if deed < 0.45 or not self.jobs:
                self.submit()
            elif deed < 0.6:
                self.steer()
            elif deed < 0.7:
                await self.opt_out()
            elif self.trouble:
                await self._misfortune()

    def _heal(self) -> None:
        """Let everything go well from now on, and everybody resume what was paused."""
        self.healed = True
        self.network.slowest_s = 0.01
        self.network.stalled_until = 0.0
        if self.hours == HOURS["closes"]:  # else what waits for tomorrow would have to expire
            self.hours = HOURS["open"]
            self.config = self._load_config()
            if self.life_at_work is not None:
                self.life_at_work.gateway.reload(self.config)
        db = open_database(self.folder / "ledger.db")
        for job in self.jobs:
            with contextlib.suppress(InputError):
                steer.resume(db, job.job_id, self.wall_ms(), "garde")
        db.close()

    async def run(self) -> None:
        """Live through the seed, and hold the outcome to the truth."""
        self.config = self.configure()
        self.reader = open_database(self.folder / "ledger.db", create=True)
        self.smsc = Simulator(self.behaviour(), port=2775, witness=self.witness)
        await self.smsc.__aenter__()
        living = asyncio.create_task(self.live(), name="lives")
        story = asyncio.create_task(self._story(), name="story")
        await asyncio.wait({living, story}, return_when=asyncio.FIRST_COMPLETED)
        if story.done():
            story.result()
            self._heal()
            await self._rest(living)
        else:
            story.cancel()
        if living.done():
            living.result()
        life = self.life_at_work
        living.cancel()
        if life is not None:
            life.task.cancel()
            await asyncio.wait({life.task})
        await asyncio.wait({living})
        await self.smsc.__aexit__()
        self.reader.close()

    async def _rest(self, living: asyncio.Task[None]) -> None:
        """Wait until nothing happens any more, then check."""
        deadline = self.loop.time() + LIMIT_S
        while True:
            await asyncio.wait({living}, timeout=5.0)
            if living.done():
                return
            problem = self._unrest()
            if problem is None:
                problem = next(iter(self.problems()), None)
                if problem is None:
                    return
            if self.loop.time() > deadline:
                raise Violation(f"after {LIMIT_S:g} s: {problem}")

    def _unrest(self) -> str | None:
        """Say what still goes on, if anything."""
        moving = self.reader.execute(
            "SELECT id, state, queued, submitting FROM job"
            " WHERE queued + submitting > 0 AND state <> 'loading'"
        ).fetchall()
        if moving:
            return f"lost: jobs {moving} still have messages that wait or are submitting"
        (asking,) = self.reader.execute(
            "SELECT count(*) FROM inbound WHERE asks IS NOT NULL"
        ).fetchone()
        if asking:
            return f"stop: {asking} STOPs are not answered"
        owed = sum(
            1
            for accepted in self.witness.accepted
            for told in accepted.receipts
            if told.acknowledged_at is None and told is accepted.receipts[-1]
        )
        return f"I4: {owed} receipts are never answered" if owed else None

    # What must be true in the end

    def problems(self) -> Iterator[str]:
        """Say what is wrong, if anything."""
        yield from verify(self.reader)
        truth = self.witness.by_destination()
        copies = self.witness.copies()
        for job in self.jobs:
            found = find_job(self.reader, job.job_id)
            if found is None or found.total != len(job.recipients):
                yield f"I1: job {job.job_id} was acknowledged with {len(job.recipients)} messages"
                continue
            for row in report_rows(self.reader, job.job_id):
                accepted = truth.get(row.number[1:], [])
                if row.state == "suppressed":
                    problem = self._judge_silenced(job, row.number, accepted)
                else:
                    problem = self._judge(job, row.state, accepted)
                if problem:
                    yield f"truth: a {job.job_class} message is {row.state}, {problem}"
                most = max((copies[a.destination, a.digest] for a in accepted), default=0)
                if most > 1 and job.job_class != "alert" and not job.retried:
                    yield f"twice: a {job.job_class} message of job {job.job_id} left {most} times"
        for number in sorted(self._stopped & self._heard()):
            listed = self.reader.execute("SELECT 1 FROM optout WHERE recipient = ?", (number,))
            if listed.fetchone() is None:
                yield "stop: a STOP was stored and its sender is on no list"
        received = self._recorded()
        if received < self.acknowledged_receipts:
            yield f"I9: {self.acknowledged_receipts} receipts answered, {received} on record"

    def _heard(self) -> set[str]:
        """Return the phones whose texts are on disk."""
        return {source for (source,) in self.reader.execute("SELECT source FROM inbound")}

    def _judge_silenced(
        self, job: Acknowledged, number: str, accepted: Sequence[Accepted]
    ) -> str | None:
        if number not in self._opted_out and number not in self._stopped:
            return "and nobody asked for it"
        again = job.retried or job.job_class == "alert"  # it was to be sent another time
        return "but was accepted" if accepted and not again else None

    def _judge(self, job: Acknowledged, state: str, accepted: Sequence[Accepted]) -> str | None:
        """Say why a message cannot be in this state, by what the SMSC knows of it."""
        parts = {accepted_one.part.number if accepted_one.part else 1 for accepted_one in accepted}
        if not accepted:
            return (
                None if state in ("rejected", "expired", "cancelled", "unknown") else "never sent"
            )
        told = {
            FINAL_WORDS[told.word]
            for one in accepted
            for told in one.receipts
            if told.acknowledged_at is not None and told.word in FINAL_WORDS
        }
        if state in ("delivered", "undelivered"):
            return None if state in told else f"but was told {sorted(told) or 'nothing'}"
        if state in ("expired", "cancelled") and not job.steered and not job.retried:
            once = Counter((one.destination, one.digest) for one in accepted)
            return None if job.segments > len(once) else "but was accepted"
        if state == "accepted":
            if len(parts) < job.segments:
                return f"but only {len(parts)} of {job.segments} segments were accepted"
            whole = len(accepted) == job.segments and all(
                any(t.word in FINAL_WORDS and t.acknowledged_at for t in one.receipts)
                for one in accepted
            )
            return "but every segment was told of" if whole else None
        if state == "unknown" and job.segments == len(accepted) == 1 and told and not job.retried:
            return f"but was told {sorted(told)}"
        if state == "rejected" and job.segments == 1 and not job.retried:
            return None if job.job_class == "alert" else "but was accepted"
        return None


def play(
    seed: int, sabotage: Callable[[], contextlib.AbstractContextManager[None]] | None = None
) -> Run:
    """Live through one seed.

    Raises:
        Violation: an invariant does not hold.
    """
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="smppgw-simulation-", dir=base))
    random.seed(seed)
    run = Run(seed, folder)
    clocks = {
        "monotonic": run.loop.time,
        "time": lambda: run.wall_ms() / 1000,
        "time_ns": lambda: run.wall_ms() * 1_000_000,
    }
    kept = {name: getattr(time, name) for name in clocks}
    others = {
        "POLL_S": POLL_S,
        "PREPARED_LEAST": 1,
        "Reader": lambda path: SimulatedReader(run, path),
    }
    theirs = {name: vars(gateway_module)[name] for name in others}
    try:
        for name, clock in clocks.items():
            setattr(time, name, clock)
        vars(gateway_module).update(others)
        with (sabotage or contextlib.nullcontext)():
            run.loop.run_until_complete(run.run())
    finally:
        for name, clock in kept.items():
            setattr(time, name, clock)
        vars(gateway_module).update(theirs)
        _close(run.loop)
        shutil.rmtree(folder, ignore_errors=True)
    return run


def _close(loop: VirtualLoop) -> None:
    """Drop whatever is left of a run."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()


def main() -> int:
    """Replay seeds, and say what happened."""
    for argument in sys.argv[1:]:
        run: Run | None = None
        try:
            run = play(int(argument))
        except Violation as violation:
            print(f"seed {argument}: {violation}")
            return 1
        print(
            f"seed {argument}: {len(run.jobs)} jobs, {len(run.witness.accepted)} submit_sm,"
            f" {run.lives} lives, {run.crashes} crashes, faults {run.faults},"
            f" {run.loop.time() - START_S:.0f} s"
        )
    return 0


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    sys.exit(main())
