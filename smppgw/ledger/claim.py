"""Claiming: which segments leave now, and for whom.

Alerts go first, then service, then promotional messages (I8). Within a lane the tenants take turns
in equal shares, and the jobs of a tenant go in order. A message that came back is the front of its
stream. What a link has begun it ends: segments of one message are not interleaved with others.

On the way out a message is held once more to what has changed since it was submitted: whether its
recipient asked not to be written to.

Runs inside the turn's transaction; time is handed in, milliseconds since 1970.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from smppgw.errors import ContradictionError
from smppgw.ledger.keys import (
    JOB_BITS,
    ROUTE_BITS,
    ROUTE_MASK,
    SEGMENT_BITS,
    SEGMENT_MASK,
    messages_in,
    segments_of,
)
from smppgw.shares import Shares
from smppgw.smpp.receipt import asks_receipt

LANES = ("alert", "service", "promotional")  # in the order of claiming
# The purpose of what answers a STOP, which no opt-out silences.
CONFIRMATION = "optout-confirmation"
EVERY_PURPOSE = "all"
# Which opt-outs of its tenant silence a job: what [class.NAME] optouts says.
POLICIES = {
    "any": "",
    "purpose": f" AND (optout.purpose = :purpose OR optout.purpose = '{EVERY_PURPOSE}')",
    "all": f" AND optout.purpose = '{EVERY_PURPOSE}'",
}
_POLICY = "purpose"  # where nothing is said
# Messages that are suppressed in one turn: a list of 50,000 opt-outs must not hold an alert.
SUPPRESSED_AT_ONCE = 500
# Opt-outs of so long before a job was made are looked for as well, though they were left out of it:
# the clock may have been set back since.
CLOCK_MARGIN_MS = 600_000
_STREAMS_AT_ONCE = 16
_EVERY_ROUTE = (1 << (1 << ROUTE_BITS)) - 1
_ONE = (1,)
# How a stream goes on; drained with nothing that came back; drained until something is due again.
_GO_ON = "UPDATE stream SET cursor = ?1 WHERE id = ?2"
_DRAIN = "UPDATE stream SET cursor = ?1, ready_at = NULL WHERE id = ?2"
_WAIT = (
    "UPDATE stream SET cursor = ?1, ready_at = (SELECT min(due_at) FROM message"
    " WHERE message.id >> 26 = ?2 AND due_at IS NOT NULL) WHERE id = ?2"
)


class Remainder(NamedTuple):
    """The segments of a message that its link has not sent yet: numbers in order."""

    message_id: int
    numbers: tuple[int, ...]


class Demand(NamedTuple):
    """What one link may write now."""

    link: int  # the gateway's own index of it
    account_id: int
    slots: int  # segments
    classes: frozenset[str]
    receipts: str  # which segments ask for one: every | first | last | none
    routes: frozenset[int] | None = None  # None is all
    remainder: Remainder | None = None
    closed: Mapping[str, int] = MappingProxyType({})  # by class, the routes (bits) that rest now

    def barred(self, job_class: str) -> int:
        """Return the routes, as bits, of which it takes nothing of this class now."""
        if job_class not in self.classes:
            return _EVERY_ROUTE
        closed = self.closed.get(job_class, 0)
        if self.routes is None:
            return closed
        return closed | _EVERY_ROUTE & ~sum(1 << route for route in self.routes)


class Claim(NamedTuple):
    """Segments of one message, committed as submitting: `numbers` are to be written now."""

    job_id: int
    message_id: int
    recipient: str  # E.164
    fields: str | None  # JSON of a personal text's values
    total: int  # segments of the message
    attempt: int
    numbers: tuple[int, ...]


class JobText(NamedTuple):
    """What a link needs to know to write a job's messages."""

    job_id: int
    job_class: str
    ready_at: int
    sender: str
    text: str
    rewrite: str
    flash: int
    expires_at: int


@dataclass(slots=True)
class Claimed:
    """What may leave.

    Attributes:
        claims: by link, what to write now.
        remainders: by link, what is left of the last message it claimed.
        jobs: the texts of the jobs claimed from, by id.
        begun: the jobs of which something was claimed and that were not being sent yet.
        exhausted: links for which nothing more can be claimed until another process writes or
            `next_due_at`.
        next_due_at: when something that waits may be claimed; None where nothing waits.
    """

    claims: dict[int, list[Claim]] = field(default_factory=dict)
    remainders: dict[int, Remainder] = field(default_factory=dict)
    jobs: dict[int, JobText] = field(default_factory=dict)
    begun: set[int] = field(default_factory=set)
    exhausted: set[int] = field(default_factory=set)
    next_due_at: int | None = None


# Messages that a turn moves, by (job, from, to).
Moved = defaultdict[tuple[int, str, str], int]


class _Stream(NamedTuple):
    """A stream that may be claimed from, with what its job says."""

    stream_id: int
    cursor: int
    tenant: str
    purpose: str
    new: int  # nothing of its job has been claimed yet
    objected: int  # somebody opted out since the job was made
    returned: int  # messages came back to it, due or not
    job: JobText


class Claiming:
    """One turn's claims."""

    def __init__(
        self,
        db: sqlite3.Connection,
        now: int,
        claimed: Claimed,
        moved: Moved,
        shares: Shares,
        silences: Mapping[str, str],
    ) -> None:
        """Prepare.

        Args:
            db: the ledger, in the turn's transaction.
            now: milliseconds since 1970.
            claimed: what is claimed is put here.
            moved: what the turn moves; what is claimed is added.
            shares: what the tenants have had so far.
            silences: by class, which opt-outs silence a job: any | purpose | all.
        """
        self.db = db
        self.now = now
        self.claimed = claimed
        self._moved = moved
        self._shares = shares
        self._silences = silences
        self._charged = 0  # segments, of the piece that is being claimed
        self._suppressed = 0  # messages
        # What is written at the end, by a statement for all streams together.
        self._singles = 0  # messages of one segment, in runs from the first to the last
        self._runs: list[tuple[int, int]] = []
        self._run_segments: list[tuple[int, bool, int, int, int]] = []
        # A stream that goes on may be taken again, and drained then: in this order no cursor is set
        # back.
        self._cursors: dict[str, list[tuple[int, int]]] = {_GO_ON: [], _DRAIN: [], _WAIT: []}

    def claim(self, demands: Sequence[Demand]) -> None:
        """Give each link the segments that it may write now, alerts first."""
        self._release()
        wanting = {d.link: d for d in map(self._continue, demands) if d.slots > 0}
        for lane, job_class in enumerate(LANES):
            if wanting and not self._tired:
                self._claim_lane(lane, job_class, wanting)
        self._write()
        accounts = {d.account_id for d in demands if d.link in self.claimed.claims}
        if accounts:
            self.db.executemany(
                "UPDATE account SET claimed_at = ? WHERE id = ?",
                [(self.now, account_id) for account_id in sorted(accounts)],
            )
        if wanting and not self._tired:
            self.claimed.exhausted = set(wanting)
            (self.claimed.next_due_at,) = self.db.execute(
                "SELECT min(ready_at) FROM stream JOIN job ON job.id = stream.id >> 6"
                " WHERE ready_at > 0 AND ready_at > ?"
                " AND (state = 'queued' OR state = 'sending' OR state = 'scheduled')",
                (self.now,),
            ).fetchone()

    def _release(self) -> None:
        """Queue the jobs whose time has come.

        To ask first takes 1.5 µs, where an UPDATE of nothing takes 12: it opens every index.
        """
        released = self.db.execute(
            "SELECT id FROM job INDEXED BY job_scheduled"
            " WHERE state = 'scheduled' AND starts_at <= ?",
            (self.now,),
        ).fetchall()
        if released:
            self.db.executemany("UPDATE job SET state = 'queued' WHERE id = ?", released)

    def _claim_lane(self, lane: int, job_class: str, wanting: dict[int, Demand]) -> None:
        """Claim from one lane, by turns among its tenants, until nobody wants or nothing is left.

        `wanting` loses the links that have all they asked for.
        """
        barred = {link: demand.barred(job_class) for link, demand in wanting.items()}
        if _common(barred.values()) == _EVERY_ROUTE:
            return
        waiting = {tenant: _Queue(self, lane, tenant) for tenant in self._tenants(lane)}
        while waiting and barred and not self._tired:
            tenant = self._shares.next_of(lane, waiting)
            stream = waiting[tenant].head(_common(barred.values()))
            if stream is None:
                del waiting[tenant]
                continue
            route = stream.stream_id & ROUTE_MASK
            takers = [wanting[link] for link in barred if not barred[link] >> route & 1]
            piece = -(-sum(demand.slots for demand in takers) // len(waiting))
            self._charged = 0
            left, cursor = self._take(stream, takers, piece)
            self._shares.charge(lane, tenant, self._charged)
            waiting[tenant].advance(cursor)
            for demand in left:
                wanting[demand.link] = demand
                if demand.slots <= 0:
                    del wanting[demand.link], barred[demand.link]

    @property
    def _tired(self) -> bool:
        """Whether so many were suppressed that the next turn has to go on."""
        return self._suppressed >= SUPPRESSED_AT_ONCE

    def _tenants(self, lane: int) -> list[str]:
        """List the tenants that have something in a lane, with one look at the index for each."""
        tenants: list[str] = []
        while True:
            row = self.db.execute(
                "SELECT tenant FROM stream INDEXED BY stream_claimable"
                " WHERE ready_at IS NOT NULL AND lane = ? AND tenant > ? ORDER BY tenant LIMIT 1",
                (lane, tenants[-1] if tenants else ""),
            ).fetchone()
            if row is None:
                return tenants
            tenants.append(row[0])

    def streams(self, lane: int, tenant: str, after: int, barred: int) -> list[_Stream]:
        """Return the next streams of a tenant that may be claimed from, in order."""
        rows = self.db.execute(
            "SELECT stream.id, cursor, stream.tenant, purpose, first_submit_at IS NULL,"  # nosec B608  # constants
            " EXISTS (SELECT 1 FROM optout WHERE optout.tenant = job.tenant"
            f" AND added_at >= created_at - {CLOCK_MARGIN_MS}),"
            # Without the + SQLite would not use the index: an expression has no affinity.
            " EXISTS (SELECT 1 FROM message"
            " WHERE message.id >> 26 = +stream.id AND due_at IS NOT NULL),"
            " job.id, class, max(ready_at, starts_at), sender, text, rewrite, flash, expires_at"
            " FROM stream INDEXED BY stream_claimable JOIN job ON job.id = stream.id >> 6"
            " WHERE ready_at IS NOT NULL AND stream.lane = ?1 AND stream.tenant = ?2"
            " AND stream.id > ?3 AND NOT (?4 >> (stream.id & 63)) & 1 AND ready_at <= ?5"
            " AND (state = 'queued' OR state = 'sending') AND expires_at > ?5"
            " ORDER BY stream.id LIMIT ?6",
            (lane, tenant, after, _signed(barred), self.now, _STREAMS_AT_ONCE),
        ).fetchall()
        return [_Stream._make((*row[:_OF_JOB], JobText(*row[_OF_JOB:]))) for row in rows]

    def _continue(self, demand: Demand) -> Demand:
        """Go on with the message whose first segments the link has sent (no interleaving, I8)."""
        if demand.remainder is None:
            return demand
        message_id, numbers = demand.remainder
        row = self.db.execute(
            "SELECT recipient, fields, segments, attempts FROM message"
            " WHERE id = ? AND state = 'submitting' AND NOT EXISTS (SELECT 1 FROM segment"
            " WHERE segment.id > ? AND segment.id < ? AND segment.state = 'rejected')",
            (message_id, *segments_of(message_id)),
        ).fetchone()
        if row is None:  # a segment was refused meanwhile: the others would be wasted money
            return demand._replace(slots=0)
        recipient, fields, total, attempts = row
        now_numbers, later = numbers[: demand.slots], numbers[demand.slots :]
        job_id = message_id >> JOB_BITS
        if now_numbers:
            self._insert_segments(
                demand,
                Claim(job_id, message_id, recipient, fields, total, attempts, now_numbers),
            )
            if job_id not in self.claimed.jobs:
                self.claimed.jobs[job_id] = self._job_text(job_id)
        if later:
            self.claimed.remainders[demand.link] = Remainder(message_id, later)
        return demand._replace(slots=demand.slots - len(now_numbers))

    def _job_text(self, job_id: int) -> JobText:
        row = self.db.execute(
            "SELECT class, starts_at, sender, text, rewrite, flash, expires_at"
            " FROM job WHERE id = ?",
            (job_id,),
        ).fetchone()
        return JobText(job_id, *row)

    def _take(
        self, stream: _Stream, takers: list[Demand], piece: int
    ) -> tuple[list[Demand], int | None]:
        """Claim from one stream for the links that may take it: about so many segments at most.

        Returns:
            What the links still want, and the last message claimed; None where nothing more of the
            stream can be claimed now.
        """
        stream_id, cursor = stream.stream_id, stream.cursor
        drained, left = False, []
        self.claimed.jobs[stream.job.job_id] = stream.job
        for demand in takers:
            if stream.returned:
                demand = self._take_requeued(stream, demand, piece)
            while demand.slots > 0 and self._charged < piece and not drained and not self._tired:
                demand, cursor, drained = self._take_fresh(stream, cursor, demand, piece)
            left.append(demand)
        drain = _WAIT if stream.returned else _DRAIN
        self._cursors[drain if drained else _GO_ON].append((cursor, stream_id))
        if stream.new and self._charged:
            self.claimed.begun.add(stream.job.job_id)
        return left, None if drained else cursor

    def _take_fresh(
        self, stream: _Stream, cursor: int, demand: Demand, piece: int
    ) -> tuple[Demand, int, bool]:
        """Claim messages that never left, in order.

        Returns:
            What the link still wants, the last message claimed, and whether none is left.
        """
        job_id = stream.job.job_id
        _, last = messages_in(stream.stream_id)
        limit = min(demand.slots, piece - self._charged)
        rows = self.db.execute(
            "SELECT id, recipient, fields, segments, attempts FROM message"
            " WHERE id > ? AND id < ? AND state = 'queued' ORDER BY id LIMIT ?",
            (cursor, last, limit),
        ).fetchall()
        if not rows:
            return demand, cursor, True
        if stream.objected:
            cursor = rows[-1][0]
            rows = self._without_objectors(stream, rows)
            if not rows:
                return demand, cursor, False
        singles = len(rows)
        for position, row in enumerate(rows):
            if row[3] != 1:
                singles = position
                break
        if singles:
            self._claim_singles(job_id, rows[:singles], demand)
            drained = len(rows) < limit and singles == len(rows) and not stream.objected
            return demand._replace(slots=demand.slots - singles), rows[singles - 1][0], drained
        message_id = rows[0][0]
        return self._claim_one(job_id, rows[0], demand, range(1, rows[0][3] + 1)), message_id, False

    def _claim_singles(
        self, job_id: int, rows: list[tuple[int, str, str | None, int, int]], demand: Demand
    ) -> None:
        """Claim a run of messages of one segment."""
        first, last = rows[0][0], rows[-1][0]
        self._singles += len(rows)
        self._runs.append((first, last))
        self._run_segments.append(
            (demand.account_id, demand.receipts != "none", self.now, first, last)
        )
        self._moved[job_id, "queued", "submitting"] += len(rows)
        self._charged += len(rows)
        self.claimed.claims.setdefault(demand.link, []).extend(
            [
                Claim(job_id, message_id, recipient, fields, 1, attempts, _ONE)
                for message_id, recipient, fields, _, attempts in rows
            ]
        )

    def _write(self) -> None:
        """Write the runs that were claimed, and how far the streams have come."""
        if self._runs:
            moved = self.db.executemany(
                "UPDATE message SET state = 'submitting'"
                " WHERE id BETWEEN ? AND ? AND state = 'queued'",
                self._runs,
            ).rowcount
            if moved != self._singles:
                raise ContradictionError(f"{self._singles} messages to claim, {moved} claimed.")
            self.db.executemany(
                "INSERT INTO segment (id, state, account_id, attempt, asks_receipt, submitted_at)"
                " SELECT id << 8 | 1, 'submitting', ?, attempts, ?, ? FROM message"
                " WHERE id BETWEEN ? AND ? AND state = 'submitting'",
                self._run_segments,
            )
        for statement, cursors in self._cursors.items():
            if cursors:
                self.db.executemany(statement, cursors)

    def _take_requeued(self, stream: _Stream, demand: Demand, piece: int) -> Demand:
        """Claim messages that came back and are due: they are the front of the stream."""
        while demand.slots > 0 and self._charged < piece and not self._tired:
            rows = self.db.execute(
                "SELECT id, recipient, fields, segments, attempts FROM message"
                " WHERE id >> 26 = ? AND due_at IS NOT NULL AND due_at <= ?"
                " ORDER BY due_at, id LIMIT ?",
                (stream.stream_id, self.now, demand.slots),
            ).fetchall()
            if not rows:
                break
            if stream.objected:
                rows = self._without_objectors(stream, rows)
            for row in rows:
                if demand.slots <= 0 or self._charged >= piece:
                    break
                demand = self._claim_one(stream.job.job_id, row, demand, self._missing(row))
        return demand

    def _missing(self, row: tuple[int, str, str | None, int, int]) -> list[int]:
        """Return the segments of a message that are still to be sent."""
        there = {
            segment_id & SEGMENT_MASK
            for (segment_id,) in self.db.execute(
                "SELECT id FROM segment WHERE id > ? AND id < ? AND state <> 'unknown'",
                segments_of(row[0]),
            )
        }
        return [number for number in range(1, row[3] + 1) if number not in there]

    def _claim_one(
        self,
        job_id: int,
        row: tuple[int, str, str | None, int, int],
        demand: Demand,
        numbers: Sequence[int],
    ) -> Demand:
        """Claim one message: as many of its segments as there are slots, the rest later."""
        message_id, recipient, fields, total, attempts = row
        now_numbers, later = tuple(numbers[: demand.slots]), tuple(numbers[demand.slots :])
        self.db.execute(
            "UPDATE message SET state = 'submitting', due_at = NULL WHERE id = ?", (message_id,)
        )
        self._moved[job_id, "queued", "submitting"] += 1
        self._charged += len(numbers)
        self._insert_segments(
            demand, Claim(job_id, message_id, recipient, fields, total, attempts, now_numbers)
        )
        if later:
            self.claimed.remainders[demand.link] = Remainder(message_id, later)
        return demand._replace(slots=demand.slots - len(now_numbers))

    def _insert_segments(self, demand: Demand, claim: Claim) -> None:
        self.db.executemany(
            "INSERT OR REPLACE INTO segment"
            " (id, state, account_id, attempt, asks_receipt, submitted_at)"
            " VALUES (?, 'submitting', ?, ?, ?, ?)",
            [
                (
                    claim.message_id << SEGMENT_BITS | number,
                    demand.account_id,
                    claim.attempt,
                    asks_receipt(demand.receipts, number=number, total=claim.total),
                    self.now,
                )
                for number in claim.numbers
            ],
        )
        self.claimed.claims.setdefault(demand.link, []).append(claim)

    def _without_objectors(
        self, stream: _Stream, rows: list[tuple[int, str, str | None, int, int]]
    ) -> list[tuple[int, str, str | None, int, int]]:
        """Suppress the messages of those who asked not to be written to since the job was made.

        A message of which something has been sent already is ended.
        """
        if stream.purpose == CONFIRMATION:
            return rows
        policy = POLICIES[self._silences.get(stream.job.job_class, _POLICY)]
        objectors = self.db.execute(
            "SELECT id FROM message WHERE id IN (SELECT value FROM json_each(:ids))"  # nosec B608  # constants
            " AND EXISTS (SELECT 1 FROM optout WHERE optout.recipient = message.recipient"
            f" AND tenant = :tenant{policy})"
            " AND NOT EXISTS (SELECT 1 FROM segment"
            " WHERE segment.id > message.id << 8 AND segment.id < (message.id + 1) << 8)",
            {
                "ids": json.dumps([row[0] for row in rows]),
                "tenant": stream.tenant,
                "purpose": stream.purpose,
            },
        ).fetchall()
        gone = {message_id for (message_id,) in objectors}
        if not gone:
            return rows
        self.db.executemany(
            "UPDATE message SET state = 'suppressed', due_at = NULL, error = 'opted out'"
            " WHERE id = ?",
            [(message_id,) for message_id in sorted(gone)],
        )
        self._moved[stream.job.job_id, "queued", "suppressed"] += len(gone)
        self._suppressed += len(gone)
        return [row for row in rows if row[0] not in gone]


_OF_JOB = _Stream._fields.index("job")


class _Queue:
    """The streams of one tenant in one lane, a few at a time."""

    def __init__(self, claiming: Claiming, lane: int, tenant: str) -> None:
        self._claiming = claiming
        self._lane = lane
        self._tenant = tenant
        self._streams: list[_Stream] = []
        self._after = 0
        self._more = True

    def head(self, barred: int) -> _Stream | None:
        """Return the first stream that some link takes; None where there is none."""
        while True:
            if not self._streams:
                if not self._more:
                    return None
                self._streams = self._claiming.streams(
                    self._lane, self._tenant, self._after, barred
                )
                self._more = len(self._streams) == _STREAMS_AT_ONCE
                self._streams.reverse()
                continue
            if not barred >> (self._streams[-1].stream_id & ROUTE_MASK) & 1:
                return self._streams[-1]
            self.advance(None)

    def advance(self, cursor: int | None) -> None:
        """Go on behind a message of the first stream; with the next one where it is None."""
        stream = self._streams.pop()
        self._after = stream.stream_id
        if cursor is not None:
            self._streams.append(stream._replace(cursor=cursor))


def _common(masks: Iterable[int]) -> int:
    """Return the routes that all of them bar."""
    common = _EVERY_ROUTE
    for mask in masks:
        common &= mask
    return common


def _signed(mask: int) -> int:
    """Return 64 bits as SQLite holds them."""
    return mask - (1 << 64) if mask >> 63 else mask
