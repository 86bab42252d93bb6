"""The gateway: record, claim, commit, send, receive, and again.

One task turns, and looks for what other processes write; one task for each link holds its bind.
When any of them dies the gateway stops and says why. On the way out it claims nothing more, waits
for the answers that the window still owes, commits them, unbinds, and leaves.

When the database cannot be written, what arrived is kept, nothing is acknowledged and nothing
claimed; the same turn is tried again until it can.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from smppgw.account import PERIOD_S, Account
from smppgw.alarm import Alarm
from smppgw.campaign.hours import routes_of
from smppgw.campaign.readiness import Bind
from smppgw.caretaker import Caretaker, note_config
from smppgw.config import CLASSES, Config, Smsc, prefix_of
from smppgw.errors import ContradictionError, DatabaseError
from smppgw.ledger import jobs
from smppgw.ledger.claim import Claim, Claimed, Demand, JobText
from smppgw.ledger.turn import Arrivals, Rules, Turned, recover, turn
from smppgw.ledger.writer import Reader, Writer
from smppgw.link import Link, Trace
from smppgw.metrics import Endpoint, Metrics, Traffic
from smppgw.opening import Opening
from smppgw.shares import Shares

log = structlog.get_logger()

# How often another process's writing is looked for where no turn does: a job leaves within 100 ms.
POLL_S = 0.03
# What a turn may wait for, where nobody loses by it: so long, or so many segments of an account.
# With the longest turn it is less than pace.SLACK_S, else permits are forfeited.
GATHER_S = 0.052
GATHER_MORE_S = 0.015  # where the sliding second then lets all of them go together
GATHERED = 10
MANY = 30  # arrivals: where so many come by themselves nothing is gained by waiting for more
PREPARED_LEAST = 30  # segments: to render so many beside their commit is worth a wake
_SHORTEST_SLEEP_S = 0.001  # so that what is due a rounding error from now is due then
HOUSEKEEPING_S = 1.0
TRAFFIC_S = 60.0  # how often what was sent and received is summed up in the log
RETRY_S = 1.0  # after a database error
ALERT_LATE_S = 0.25  # from its submission to the first segment on the wire
STALLED_S = 10.0  # a turn loop that has not moved for so long is not healthy
DRAIN_MARGIN_S = 2.0


class Gateway:
    """One process that holds the binds of a configuration and serves its ledger."""

    def __init__(
        self,
        config: Config,
        trace: Trace | None = None,
        open_writer: Callable[[Path], Writer] = Writer,
    ) -> None:
        """Prepare; nothing is opened before `run`.

        Args:
            config: the configuration.
            trace: whether PDUs are logged to begin with; not at all by default.
            open_writer: makes the way to the ledger.
        """
        self._config = config
        self._open_writer = open_writer
        self._trace = trace or Trace()
        self._metrics = Metrics()
        self._traffic = Traffic(self._metrics)
        self._traffic_told = time.monotonic()
        self._stopping = asyncio.Event()
        self._drained = asyncio.Event()
        self._closing = False
        self._wake = Alarm()
        self._urgent = Alarm()
        self._links: list[Link] = []
        self._accounts: list[Account] = []
        self._held = Arrivals()  # collected and not yet committed
        self._exhausted: set[int] = set()  # links for which nothing is left to claim
        self._due_at: int | None = None  # when there will be something again
        self._classes: dict[int, frozenset[str]] = {}  # that each account was asked for last
        self._zone = ZoneInfo(config.gateway.timezone)
        self._shares = Shares()
        self._routes: dict[str, int] = {}
        self._opening = Opening(config, {})
        self._rules = Rules()
        self._caretaker: Caretaker | None = None
        self._claimed_at = 0.0
        self._alert_since_ms: int | None = None  # when the oldest alert that waits might leave
        self._version = 0  # of the database, as others write it
        self._looked_at = 0.0  # when that was last seen
        self._house_kept = 0.0
        self._turned_at = 0.0
        self._problem: str | None = "the gateway is starting"
        self._noted: list[jobs.LinkRow] = []
        self.metrics_port: int | None = None

    def stop(self) -> None:
        """Begin to stop: drain the window, unbind, leave. May be called twice, and before `run`."""
        self._stopping.set()
        self._wake.set()

    def switch_trace(self) -> None:
        """Begin to log PDUs, or stop it."""
        self._trace.on = not self._trace.on
        log.info("trace.on" if self._trace.on else "trace.off", masked=self._trace.masked)

    def reload(self, config: Config) -> None:
        """Take over what a new configuration changes and can be changed while running."""
        by_name = {smsc.name: smsc for smsc in config.smsc}
        restart = {account.smsc.name for account in self._accounts} ^ set(by_name)
        for account in self._accounts:
            smsc = by_name.get(account.smsc.name)
            if smsc is not None:
                restart |= {f"{smsc.name}.{key}" for key in account.reload(smsc)}
        if config.gateway != self._config.gateway:
            restart.add("gateway")
        if config.metrics != self._config.metrics:
            restart.add("metrics")
        self._config = config.model_copy(
            update={"gateway": self._config.gateway, "metrics": self._config.metrics}
        )
        self._opening = Opening(self._config, self._routes)
        self._rules = self._rules_of(self._config)
        if self._caretaker is not None:
            self._caretaker.reload(self._config)
        log.info("gateway.reloaded", needs_restart=sorted(restart))
        self._wake.set()

    # Life

    async def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`.

        Args:
            started: called once the ledger is open and the links are on their way.

        Raises:
            GatewayRunningError: another gateway serves this database.
            DatabaseError: it cannot be opened.
            OperationError: the metrics endpoint cannot listen.
        """
        async with AsyncExitStack() as stack:
            writer = await stack.enter_async_context(
                self._open_writer(self._config.gateway.database)
            )
            await self._open(writer)
            reader = await stack.enter_async_context(Reader(writer.path))
            self._caretaker = Caretaker(
                self._config,
                writer,
                reader,
                self._metrics,
                binds=self._binds,
                problem=lambda: self._problem,
                queued=self._look_again,
            )
            self._listen(stack)
            async with asyncio.TaskGroup() as tasks:
                for link in self._links:
                    tasks.create_task(link.run(), name=f"link {link.index}")
                caretaker = tasks.create_task(self._caretaker.run(), name="caretaker")
                turner = tasks.create_task(self._turns(writer), name="turns")
                started()
                await self._drain()
                await asyncio.gather(*(link.stop() for link in self._links))
                self._closing = True
                self._wake.set()
                await turner
                caretaker.cancel()
            await self._note_links(writer)
        self._tell_traffic()
        log.info("gateway.stopped")

    async def _open(self, writer: Writer) -> None:
        now = _now_ms()
        removed = await writer.call(jobs.discard_abandoned, writer.locks)
        unknown = await writer.call(recover, now)
        await writer.call(jobs.note_gateway, os.getpid(), now)
        await writer.call(note_config, "gateway.started", self._config, now)
        log.info(
            "gateway.started",
            database=str(writer.path),
            unfinished_jobs_removed=removed,
            unknown_segments=unknown,
        )
        ids = await writer.call(jobs.account_ids, [smsc.name for smsc in self._config.smsc])
        self._routes = await writer.call(jobs.route_ids, routes_of(self._config))
        self._opening = Opening(self._config, self._routes)
        last_claims = await writer.call(jobs.last_claims)
        awaited = await writer.call(jobs.receipts_awaited)
        for smsc in self._config.smsc:
            mine = frozenset(
                route for prefix, route in self._routes.items() if prefix.startswith(smsc.prefixes)
            )
            since_s = (_now_ms() - last_claims[ids[smsc.name]]) / 1000
            rest_s = min(PERIOD_S, max(0.0, PERIOD_S - since_s))  # whatever the clock says
            account = Account(
                smsc,
                ids[smsc.name],
                mine if smsc.prefixes else None,
                opens_at=time.monotonic() + rest_s,
            )
            account.receipts_owed = awaited
            self._accounts.append(account)
            self._metrics.begin(smsc.name)
            for number, kind in enumerate(smsc.bind_kinds, 1):
                link = Link(
                    len(self._links),
                    account,
                    number,
                    kind,
                    self._metrics,
                    self._trace,
                    self._wake.set,
                    self._urgent.set,
                )
                self._links.append(link)
        self._rules = self._rules_of(self._config)

    def _rules_of(self, config: Config) -> Rules:
        accounts = self._accounts
        return Rules(
            {job_class: config.classes[job_class].optouts for job_class in CLASSES},
            {a.account_id: frozenset(a.smsc.optout_errors) for a in accounts},
            {a.account_id: frozenset(int(c, 16) for c in a.smsc.optout_statuses) for a in accounts},
        )

    def _listen(self, stack: AsyncExitStack) -> None:
        metrics = self._config.metrics
        if metrics.host is not None:
            endpoint = Endpoint(
                self._metrics,
                metrics.host,
                metrics.port,
                healthy=self.unhealthy,
                ready=self.unready,
            )
            stack.enter_context(endpoint)
            self.metrics_port = endpoint.port

    async def _drain(self) -> None:
        """Wait for `stop`, then until no link waits for an answer, but not for ever."""
        await self._stopping.wait()
        log.info("gateway.draining", outstanding=sum(link.outstanding for link in self._links))
        longest_s = max(smsc.response_timeout_s for smsc in self._config.smsc)
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s + DRAIN_MARGIN_S):
                await self._drained.wait()

    # The turn

    async def _turns(self, writer: Writer) -> None:
        """Record, claim, commit, send; again as soon as there is something to do."""
        while True:
            self._wake.clear()
            self._urgent.clear()
            self._turned_at = now = time.monotonic()
            if not self._held:  # else the database failed, and what arrived waits with the links
                for link in self._links:
                    link.collect(self._held)
            demands = self._demands(now)
            wanted = any(d.slots and d.link not in self._exhausted for d in demands)
            idle = not (self._held or wanted)
            if idle and self._stopping.is_set() and all(link.quiet for link in self._links):
                self._drained.set()
                if self._closing:
                    return
            house = now - self._house_kept >= HOUSEKEEPING_S
            if idle and not house:
                await self._sleep(writer, now)
                continue
            held = self._held
            arrived = len(held.answered) + len(held.receipts) + len(held.inbound)
            try:
                turned = await self._turn(writer, demands, house=house)
                for demand in demands:  # what was half sent and has been refused meanwhile
                    if demand.link not in turned.remainders:
                        self._links[demand.link].forget(demand.remainder)
                for link in self._links:
                    claims = turned.claims.get(link.index, [])
                    await link.go_on(claims, turned.remainders.get(link.index), turned.jobs)
                self._count(turned)  # while the SMSC is at work on it
                if house:  # once what was claimed is sent, since the database may fail here too
                    self._house_kept = now
                    await self._keep_house(writer)
            except ContradictionError:
                raise  # trying again would not help; a new start settles it
            except DatabaseError as error:
                await self._stand_still(error)
            await self._rest(self._leisure_s(arrived))

    def _leisure_s(self, arrived: int) -> float:
        """Return how long arrivals and permits may gather before the next turn.

        A turn costs nearly the same for one message as for ten. No account loses by waiting until
        a batch of its permits is due, as long as the windows of its links hold so many: where it is
        they that hold it back, permits have fallen due meanwhile and there is no waiting.

        Args:
            arrived: answers, receipts and texts of the last turn; where so many come by themselves,
                nothing is gained.
        """
        now = time.monotonic()
        until, sending = now + GATHER_S, False
        for account in self._accounts:
            mine = [
                link
                for link in self._links
                if link.account is account
                and link.sends
                and link.state == "bound"
                and link.index not in self._exhausted
            ]
            if mine:
                sending = True
                per_s = account.pace.permitted(now)
                gather_s = min(GATHER_S, GATHERED / per_s)
                room = sum(link.expected_slots(per_s / len(mine), gather_s) for link in mine)
                segments = account.batch(int(min(room, GATHERED, per_s * GATHER_S)), now)
                due_at = account.pace.due_at(segments, now)
                until = min(until, account.due_at(segments, now), due_at + GATHER_MORE_S)
        return until - now if sending or arrived < MANY else 0.0

    async def _rest(self, seconds: float) -> None:
        """Wait, unless an SMSC waits for answers or something has to be seen to at once."""
        if seconds < _SHORTEST_SLEEP_S:
            await asyncio.sleep(0)
        else:
            await self._urgent.wait(seconds)

    async def _turn(self, writer: Writer, demands: list[Demand], *, house: bool) -> Turned:
        began, loop = time.monotonic(), asyncio.get_running_loop()

        def foretell(claimed: Claimed) -> None:  # in the writer's thread
            if sum(map(len, claimed.claims.values())) >= PREPARED_LEAST:
                loop.call_soon_threadsafe(self._prepare, claimed)

        turned = await writer.call(
            turn,
            self._held,
            demands,
            _now_ms(),
            housekeeping=house,
            shares=self._shares,
            rules=self._rules,
            foretell=foretell,
        )
        self._metrics.turn_commit_seconds.observe([time.monotonic() - began])
        self._problem = None
        self._held = Arrivals()
        asked = {demand.link for demand in demands if demand.slots}
        left_alone = set() if turned.came_back else self._exhausted - asked
        self._exhausted = left_alone | turned.exhausted
        if turned.exhausted:
            self._due_at = turned.next_due_at
        self._see(turned.version)
        return turned

    def _prepare(self, claimed: Claimed) -> None:
        """Render what is about to be committed, while the disk is at work on it."""
        for index, claims in claimed.claims.items():
            self._links[index].prepare(claims, claimed.jobs)

    async def _stand_still(self, error: DatabaseError) -> None:
        """Say once that nothing goes on, and wait a little.

        Raises:
            DatabaseError: it is time to leave, and what arrived last cannot be recorded.
        """
        if self._problem != str(error):
            self._problem = str(error)
            log.error("database.failed", reason=str(error))
        if self._closing:
            raise error
        await asyncio.sleep(RETRY_S)

    def _demands(self, now: float) -> list[Demand]:
        """Share each account's allowance among its links.

        First come those in mid-message, last those that found nothing to claim: else they would
        take at a low rate what the others need. While stopping nothing new is claimed, but a
        message that is half sent is finished.
        """
        demands = []
        reopened = self._opening.look(self._accounts, _now_ms())
        if reopened:
            self._exhausted -= {link.index for link in self._links if link.account in reopened}
        self._accounts.append(self._accounts.pop(0))  # each is the first in its turn
        for account in self._accounts:
            left = account.allowance(now)
            classes = account.classes - self._taken_over(account, now)
            links = [link for link in self._links if link.account is account and link.sends]
            if classes != self._classes.get(account.account_id):
                self._classes[account.account_id] = classes
                self._exhausted -= {link.index for link in links}
            for link in sorted(links, key=self._turn_of):
                slots = left
                if self._stopping.is_set():
                    slots = min(left, len(link.remainder.numbers)) if link.remainder else 0
                demand = link.demand(slots, classes)
                left -= demand.slots
                demands.append(demand)
        return demands

    def _turn_of(self, link: Link) -> tuple[bool, bool]:
        return link.remainder is None, link.index in self._exhausted

    def _taken_over(self, account: Account, now: float) -> frozenset[str]:
        """Return the classes that other accounts send in place of one that rests."""
        if not account.health.resting(now):
            return frozenset()
        return frozenset().union(
            *(
                link.account.classes
                for link in self._links
                if link.account is not account
                and link.state == "bound"  # however full its window is just now
                and link.sends
                and link.account.covers(account)
                and not link.account.health.resting(now)
            )
        )

    async def _sleep(self, writer: Writer, now: float) -> None:
        """Wait for an event, for what other processes write, or until the next thing falls due."""
        until = self._house_kept + HOUSEKEEPING_S
        for link in self._links:
            claims = link.remainder is not None or not self._stopping.is_set()
            if claims and link.free_slots > 0 and link.index not in self._exhausted:
                until = min(until, link.account.due_at())
        if self._due_at is not None:
            due = now + (self._due_at - _now_ms()) / 1000
            if due <= now:
                self._exhausted, self._due_at = set(), None
            until = min(until, due)
        until = max(until, now + _SHORTEST_SLEEP_S)
        while not await self._wake.wait(min(until, self._looked_at + POLL_S) - time.monotonic()):
            now = time.monotonic()
            if now >= until:
                return
            self._looked_at = now
            if not writer.quiet():
                with suppress(DatabaseError):  # the turn says so
                    self._see(await writer.version())

    def _see(self, version: int) -> None:
        """Look for something to claim again, if another process has written."""
        self._looked_at = time.monotonic()
        if version != self._version:
            self._version = version
            self._look_again()

    def _look_again(self) -> None:
        """Look for something to claim, for every link."""
        self._exhausted = set()
        self._wake.set()
        self._urgent.set()

    # What is told

    def _count(self, turned: Turned) -> None:
        metrics = self._metrics
        claims = [claim for link_claims in turned.claims.values() for claim in link_claims]
        if self._caretaker is not None:
            self._caretaker.call(turned.optouts, asked=bool(turned.inbound))
        for index, link_claims in turned.claims.items():
            smsc = self._links[index].account.smsc
            if smsc.price is not None:
                cost = _cost(smsc, link_claims, datetime.now(self._zone).date())
                metrics.segments_cost_total.labels(smsc.name).inc(cost)
        if claims:
            self._claimed_at = time.monotonic()
            metrics.turn_segments.observe([sum(len(claim.numbers) for claim in claims)])
        if turned.begun:
            self._note_alerts([turned.jobs[job_id] for job_id in turned.begun])
        for (job_class, state), messages in turned.finished.items():
            metrics.messages_total.labels(job_class, state).inc(messages)
        for kind, texts in turned.inbound.items():
            metrics.inbound_total.labels(kind).inc(texts)
        for account in self._accounts:
            waits = turned.delivery_ms.get(account.account_id)
            if waits:
                metrics.delivery_seconds.observe([ms / 1000 for ms in waits], account.smsc.name)

    def _note_alerts(self, begun: list[JobText]) -> None:
        """Tell how long alerts waited for their first segment, and say so if it was too long."""
        now = _now_ms()
        waits_s = [(now - job.ready_at) / 1000 for job in begun if job.job_class == "alert"]
        self._metrics.alert_wait_seconds.observe(waits_s)
        late = [wait_s for wait_s in waits_s if wait_s > ALERT_LATE_S]
        if late:
            log.warning("alert.late", jobs=len(late), waited_s=round(max(late), 3))

    async def _keep_house(self, writer: Writer) -> None:
        """Bring the gauges up to date, and tell other processes how the links stand."""
        metrics = self._metrics
        queued, unknown, octets, recorded = await writer.call(jobs.gauges)
        _, self._alert_since_ms = queued.get("alert", (0, None))
        for job_class in CLASSES:
            messages, oldest = queued.get(job_class, (0, None))
            metrics.queued_messages.labels(job_class).set(messages)
            waits = oldest is not None and not self._rests(job_class)
            age_s = (_now_ms() - oldest) / 1000 if oldest is not None and waits else 0.0
            metrics.oldest_queued_seconds.labels(job_class).set(age_s)
        metrics.unknown_messages.set(unknown)
        metrics.database_bytes.set(octets)
        for smsc, counts in recorded.items():
            for kind, receipts in counts.items():
                metrics.receipts_recorded.labels(smsc, kind).set(receipts)
        for kind in ("parked", "orphan"):
            unmatched = sum(counts[kind] for counts in recorded.values())
            metrics.receipts_unmatched.labels(kind).set(unmatched)
        now = time.monotonic()
        for account in self._accounts:
            name, pace = account.smsc.name, account.pace
            metrics.throughput_configured.labels(name).set(pace.throughput)
            metrics.throughput_permitted.labels(name).set(pace.permitted(now))
        for link in self._links:
            labels = (link.account.smsc.name, str(link.bind_number))
            metrics.window_size.labels(*labels).set(link.window)
            metrics.window_outstanding.labels(*labels).set(link.outstanding)
        await self._note_links(writer)
        if now - self._traffic_told >= TRAFFIC_S:
            self._tell_traffic()

    def _tell_traffic(self) -> None:
        """Sum up in one line what was sent and received; nothing is said of a quiet minute."""
        now = time.monotonic()
        sums = self._traffic.since_asked()
        if sums:
            log.info("traffic.minute", seconds=round(now - self._traffic_told), **sums)
        self._traffic_told = now

    def _binds(self) -> list[Bind]:
        return [
            Bind(link.account.smsc.name, link.bind_number, link.state, link.reason)
            for link in self._links
        ]

    def _rests(self, job_class: str) -> bool:
        """Whether the class is outside its hours with every account that takes it."""
        takers = [account for account in self._accounts if job_class in account.classes]
        return all(account.closed.get(job_class, 0) & 1 for account in takers)

    async def _note_links(self, writer: Writer) -> None:
        now = time.monotonic()
        rows = [
            jobs.LinkRow(
                link.account.smsc.name,
                link.bind_number,
                link.state,
                link.reason,
                link.window,
                link.outstanding,
                link.account.pace.throughput,
                link.account.pace.permitted(now),
            )
            for link in self._links
        ]
        if rows != self._noted:
            await writer.call(jobs.note_links, rows)
            self._noted = rows

    def unhealthy(self) -> str | None:
        """Say what is wrong with the process, or None."""
        still_s = time.monotonic() - self._turned_at
        return f"no turn for {still_s:.0f} s" if still_s > STALLED_S else None

    def unready(self) -> str | None:
        """Say why an alert could not leave now, or None."""
        if self._problem or self._stopping.is_set():
            return self._problem or "the gateway is stopping"
        if not any(
            link.sends and link.state == "bound" and "alert" in link.account.classes
            for link in self._links
        ):
            return "no bind stands that takes alerts"
        if self._alert_since_ms is not None:
            waited_s = (_now_ms() - self._alert_since_ms) / 1000
            if min(waited_s, time.monotonic() - self._claimed_at) > STALLED_S:
                return f"an alert has waited for {waited_s:.0f} s and nothing leaves"
        return self.unhealthy()


def _cost(smsc: Smsc, claims: list[Claim], day: date) -> float:
    """Return the price of segments on a day; 0 for those that have none."""
    prices = smsc.prices_on(day)
    if prices.keys() <= {"default"}:
        return float(prices.get("default", 0)) * sum(len(claim.numbers) for claim in claims)
    return sum(
        float(prices.get(prefix_of(claim.recipient, prices), 0)) * len(claim.numbers)
        for claim in claims
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
