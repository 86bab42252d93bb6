"""What a gateway does beside sending: it answers STOPs, learns opt-outs, keeps retention, looks.

Nothing here is in a hurry and nothing may hold a turn: long reading is done on a connection of its
own, writing in transactions of milliseconds with a rest between them. When the database cannot be
written it is left for later; the turn says so.
"""

import asyncio
import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog

from smppgw import __version__
from smppgw.campaign.budget import month_of
from smppgw.campaign.optouts import confirmations
from smppgw.campaign.readiness import Bind, Seen, evaluate, limited
from smppgw.config import Config
from smppgw.errors import ContradictionError, DatabaseError, SmppgwError
from smppgw.ledger import audit
from smppgw.ledger.database import Database, transaction
from smppgw.ledger.hashing import Hasher
from smppgw.ledger.optouts import STOPS_AT_ONCE, Answer, add_learned, apply_stops, find_senders
from smppgw.ledger.retention import BEGINNING, Periods, Purged, checkpoint, purge_some
from smppgw.ledger.standing import Standing, spent, standing
from smppgw.ledger.writer import Reader, Writer
from smppgw.metrics import Metrics

log = structlog.get_logger()

ACTOR = "gateway"
LOOK_S = 2.0  # how often whether an alert could leave is judged
SPENT_S = 60.0  # how often budgets are counted
PURGE_S = 86_400.0
REST_S = 0.05  # between two slices of retention
RETRY_S = 5.0
APPLIED_AT_ONCE = 20  # STOPs in one transaction, each of which may be for dozens of tenants: 30 ms


class Caretaker:
    """One task beside the turn; the gateway owns it."""

    def __init__(
        self,
        config: Config,
        writer: Writer,
        reader: Reader,
        metrics: Metrics,
        *,
        binds: Callable[[], Sequence[Bind]],
        problem: Callable[[], str | None],
        queued: Callable[[], None],
    ) -> None:
        """Prepare.

        Args:
            config: what to go by.
            writer: the way to the ledger, shared with the turn.
            reader: a way of its own.
            metrics: where what is seen is shown.
            binds: tells how the links stand.
            problem: says what is wrong with the database, or None.
            queued: called when something waits that no other process wrote.
        """
        self._config = config
        self._changed = False
        self._trouble = ""  # that was told
        self._writer = writer
        self._reader = reader
        self._metrics = metrics
        self._binds = binds
        self._problem = problem
        self._queued = queued
        self._hasher: Hasher | None = None
        self._called = asyncio.Event()
        self._asked = True  # a STOP may have been left by the gateway before
        self._refused: list[tuple[int, str]] = []
        self._spent: dict[str, int] = {}
        self._purged: Purged | None = None  # how far the round of retention is that goes on now
        self._purged_at = 0  # the time that it goes by
        self._next_look = self._next_count = self._next_purge = 0.0

    def call(self, refused: Sequence[tuple[int, str]], *, asked: bool) -> None:
        """Take note of what a turn brought.

        Args:
            refused: messages whose recipients opted out with the operator, with the channel.
            asked: texts came from phones.
        """
        if refused or asked:
            self._refused += refused
            self._asked |= asked
            self._called.set()

    def reload(self, config: Config) -> None:
        """Go by another configuration from now on, and write down that it is another."""
        if config.retention.key_file != self._config.retention.key_file:
            self._hasher = None
        self._config = config
        self._changed = True
        self._called.set()

    async def run(self) -> None:
        """Go on until cancelled; what was learned until then is written down."""
        try:
            await self._rounds()
        except asyncio.CancelledError:
            if self._refused and self._hasher is not None:
                with suppress(DatabaseError):  # the turn says so
                    await self._learn(self._hasher)
            raise

    async def _rounds(self) -> None:
        while True:
            wait_s = RETRY_S
            try:
                await self._round(time.monotonic())
                wait_s = max(0.0, self._next_look - time.monotonic())
                if self._purged is not None:
                    wait_s = min(wait_s, REST_S)
            except ContradictionError:
                raise
            except SmppgwError as error:
                if str(error) != self._trouble:
                    self._trouble = str(error)
                    log.warning("care.postponed", reason=self._trouble)
            else:
                self._trouble = ""
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._called.wait()
                    self._called.clear()

    async def _round(self, now: float) -> None:
        """Do what is due: first what only reads, so that a full disk does not hide how things are.

        Of retention it is one slice, so that nobody who sent a STOP waits for the others.
        """
        if now >= self._next_count:
            self._next_count = now + SPENT_S
            await self._count_spent()
        if now >= self._next_look:
            self._next_look = now + LOOK_S
            await self._look()
        hasher = self._hasher or Hasher.open(self._config.retention.key_file)
        self._hasher = hasher
        if self._changed:
            await self._note_change()
        if self._asked:
            await self._answer_stops(hasher)
        if self._refused:
            await self._learn(hasher)
        if now >= self._next_purge:
            await self._purge(hasher)
            if self._purged is None:
                self._next_purge = now + PURGE_S

    async def _note_change(self) -> None:
        self._changed = False  # before writing: there may be another one meanwhile
        try:
            await self._writer.call(note_config, "config.changed", self._config, _now_ms())
        except DatabaseError:
            self._changed = True
            raise

    async def _answer_stops(self, hasher: Hasher) -> None:
        senders = {tenant.name: tenant.sender for tenant in self._config.tenant}
        self._asked = False  # before looking: what comes meanwhile wants another look
        try:
            answers = await self._reader.call(find_senders, senders, self._config.gateway.region)
            for at in range(0, len(answers), APPLIED_AT_ONCE):
                await self._apply(hasher, answers[at : at + APPLIED_AT_ONCE])
        except DatabaseError:
            self._asked = True
            raise
        if len(answers) == STOPS_AT_ONCE:
            self._asked = True
            self._called.set()

    async def _learn(self, hasher: Hasher) -> None:
        """Put those on the list of whom the operator said that they opted out."""
        refused, self._refused = self._refused, []
        try:
            added = await self._writer.call(add_learned, hasher, refused, _now_ms())
        except DatabaseError:
            self._refused = refused + self._refused
            raise
        self._count(added, "operator")

    async def _apply(self, hasher: Hasher, answers: Sequence[Answer]) -> None:
        applied = await self._writer.call(
            apply_stops, hasher, answers, _now_ms(), confirmations=confirmations(self._config)
        )
        self._count(len(applied.added), "sms")
        if applied.confirmations:
            self._queued()

    def _count(self, added: int, source: str) -> None:
        if added:
            self._metrics.optouts_total.inc(added)
            log.info("optouts.added", count=added, source=source)

    async def _count_spent(self) -> None:
        first, last = month_of(datetime.now(ZoneInfo(self._config.gateway.timezone)))
        self._spent = await self._reader.call(
            spent,
            list(limited(self._config)),
            int(first.timestamp() * 1000),
            int(last.timestamp() * 1000),
        )
        for tenant in self._config.tenant:
            if tenant.segments_a_month is not None:
                used = self._spent.get(tenant.name, 0)
                self._metrics.budget_segments.labels(tenant.name).set(tenant.segments_a_month)
                self._metrics.budget_used_segments.labels(tenant.name).set(used)

    async def _look(self) -> None:
        """Judge whether an alert could leave."""
        problem, stands = self._problem(), Standing(0, None)
        try:
            stands = await self._reader.call(standing)
        except DatabaseError as error:
            problem = str(error)
        free = None
        with suppress(OSError):
            free = shutil.disk_usage(self._writer.path.absolute().parent).free
            self._metrics.disk_free_bytes.set(free)
        seen = Seen(
            running=True,
            binds=self._binds(),
            database=problem,
            free_octets=free,
            spent=self._spent,
            latest_at=stands.latest_at,
            drilled_at=stands.drilled_at,
            now=_now_ms(),
        )
        for condition in evaluate(self._config, seen):
            self._metrics.ready.labels(condition.name).set(condition.ok)

    async def _purge(self, hasher: Hasher) -> None:
        """Apply the retention periods, a slice of them."""
        retention = self._config.retention
        periods = Periods(
            *(int(s * 1000) for s in (retention.text_s, retention.number_s, retention.audit_s))
        )
        if self._purged is None:
            self._purged, self._purged_at = BEGINNING, _now_ms()
        purged = await self._writer.call(
            purge_some, hasher, periods, self._purged_at, ACTOR, self._purged
        )
        self._purged = purged if purged.more else None
        if purged.counts and not purged.more:
            await self._writer.call(checkpoint)
            log.info("retention.applied", **purged.counts)


def note_config(db: Database, action: str, config: Config, now: int) -> None:
    """Write to the audit with which configuration the gateway works: its digest, secrets masked.

    Args:
        db: the ledger, in the writer.
        action: gateway.started or config.changed.
        config: the configuration.
        now: milliseconds since 1970.
    """
    digest = hashlib.sha256(config.model_dump_json().encode()).hexdigest()
    with transaction(db):
        audit.note(db, now, ACTOR, action, configuration=digest, version=__version__)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
