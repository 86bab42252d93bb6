"""Jobs in, jobs inspected: what commands do to the ledger while a gateway may be running on it.

A job is loaded in transactions of a few milliseconds, so that the gateway never waits for one;
until the last it is `loading`, which nothing claims and no listing counts on. A loading job whose
loader is gone is removed by the next loader or gateway. The loader's lock tells (database.Locks).

Times go in and out as milliseconds since 1970; the functions take a plain sqlite3 connection.
"""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from smppgw.errors import InputError
from smppgw.ledger import audit
from smppgw.ledger.database import Locks, make_way, transaction
from smppgw.ledger.keys import LAST_ORDINAL, MESSAGE_BITS, ROUTE_BITS, messages_of, streams_of
from smppgw.ledger.turn import AT_ONCE, MESSAGE_STATES, RECEIPT_KINDS

LAST_JOB = (1 << 23) - 1  # what the schema leaves room for
MESSAGES_AT_ONCE = 1000  # in one transaction: 2 to 4 ms on the reference machine


@dataclass(frozen=True, slots=True)
class Order:
    """One order to send, without its recipients.

    `attempts`, `unknown_policy` and `expires_at` are the class's rules at the time of the order.
    `purpose` is what an opt-out may name, the class where it is None; `starts_at` is None for at
    once; `ordered_by` is the operating system's name of whoever ordered it.
    """

    job_class: str
    tenant: str
    sender: str
    text: str
    rewrite: str
    flash: bool
    label: str | None
    key: str | None
    attempts: int
    unknown_policy: str
    created_at: int
    expires_at: int
    purpose: str | None = None
    starts_at: int | None = None
    exercise: bool = False
    ordered_by: str = ""


class Addressee(NamedTuple):
    """One message to be: `fields` are the values of a personal text, JSON by column, or None."""

    recipient: str  # E.164
    segments: int
    fields: str | None


class Loading:
    """A job on its way into the ledger.

    Nothing of it counts until `finish`; `discard` removes it. The same key with the same content
    finds the job that is there already.
    """

    def __init__(
        self, db: sqlite3.Connection, locks: Locks, order: Order, prefixes: Iterable[str] = ()
    ) -> None:
        """Begin a job, or find the one that has its key.

        Args:
            db: the ledger.
            locks: its lock file.
            order: what to send.
            prefixes: of numbers that some account is chosen by; each is a route of its own.

        Raises:
            InputError: another process is loading a job with this key just now.
        """
        self.job_id = 0
        self._db = db
        self._order = order
        self._ordinals: Counter[int] = Counter()  # messages so far, by route
        self._digest = hashlib.sha256(
            json.dumps(
                [
                    order.job_class,
                    order.tenant,
                    order.sender,
                    order.text,
                    order.rewrite,
                    order.flash,
                    order.purpose or order.job_class,
                    order.starts_at,
                    order.exercise,
                ]
            ).encode()
        )
        discard_abandoned(db, locks)
        routes = route_ids(db, prefixes)
        self._routes = sorted(routes.items(), key=lambda route: -len(route[0]))
        with transaction(db):
            self._same: tuple[int, str, str] | None = None
            if order.key is not None:
                self._same = db.execute(
                    "SELECT id, state, content FROM job WHERE key = ?", (order.key,)
                ).fetchone()
            if self._same is None:
                self.job_id = self._insert()
                locks.take_job(self.job_id)
            elif self._same[1] == "loading":
                raise InputError(
                    f"A job with the key {order.key!r} is being submitted by another process: "
                    "wait for it, then submit again to see its number."
                )

    def _insert(self) -> int:
        order = self._order
        job_id = self._db.execute(
            "INSERT INTO job (state, class, tenant, sender, text, rewrite, flash, label, key,"
            " attempts, unknown_policy, created_at, expires_at, purpose, starts_at, exercise,"
            " ordered_by)"
            " VALUES ('loading', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                order.job_class,
                order.tenant,
                order.sender,
                order.text,
                order.rewrite,
                order.flash,
                order.label,
                order.key,
                order.attempts,
                order.unknown_policy,
                order.created_at,
                order.expires_at,
                order.purpose or order.job_class,
                order.created_at if order.starts_at is None else order.starts_at,
                order.exercise,
                order.ordered_by,
            ),
        ).lastrowid
        assert job_id is not None
        return job_id

    def add(self, addressees: Iterable[Addressee]) -> None:
        """Add messages, each MESSAGES_AT_ONCE of them in a transaction of its own."""
        batch: list[Addressee] = []
        for addressee in addressees:
            batch.append(addressee)
            if len(batch) == MESSAGES_AT_ONCE:
                self._add_batch(batch)
                batch = []
        if batch:
            self._add_batch(batch)

    def _add_batch(self, batch: list[Addressee]) -> None:
        # One line for each, so that it does not matter how they are cut into batches.
        self._digest.update("".join(f"{a.recipient} {a.fields}\n" for a in batch).encode())
        if self._same is not None:
            return  # only to be compared with the job that is there
        with transaction(self._db):
            self._db.executemany(
                "INSERT INTO message (id, recipient, state, segments, fields)"
                " VALUES (?, ?, 'queued', ?, ?)",
                [
                    (message_id, recipient, segments, fields)
                    for message_id, (recipient, segments, fields) in zip(
                        self._message_ids(batch), batch, strict=True
                    )
                ],
            )
            self._db.execute(
                "UPDATE job SET messages = messages + ?1, queued = queued + ?1,"
                " segments = segments + ?2 WHERE id = ?3",
                (len(batch), sum(a.segments for a in batch), self.job_id),
            )

    def _message_ids(self, batch: Sequence[Addressee]) -> Iterable[int]:
        """Number the next messages, each within the stream of its route."""
        first_stream, _ = streams_of(self.job_id)
        if not self._routes:
            first = (first_stream << MESSAGE_BITS) + self._ordinals[0] + 1
            self._count(0, len(batch))
            return range(first, first + len(batch))
        ids, prefixes = [], tuple(prefix for prefix, _ in self._routes)
        for recipient, _, _ in batch:
            route = 0
            if recipient.startswith(prefixes):
                route = next(r for prefix, r in self._routes if recipient.startswith(prefix))
            self._count(route, 1)
            ids.append((first_stream + route << MESSAGE_BITS) + self._ordinals[route])
        return ids

    def _count(self, route: int, messages: int) -> None:
        self._ordinals[route] += messages
        if self._ordinals[route] > LAST_ORDINAL:
            raise InputError(f"A job has {LAST_ORDINAL} recipients at most: cut the list in two.")

    def finish(self, now: int, require: Callable[[], None] = lambda: None) -> int:
        """Make the job visible: from here on it is acknowledged and on disk (I1).

        Args:
            now: milliseconds since 1970.
            require: called in the transaction that makes it visible; what it raises forbids that.

        Returns:
            The job's number; an earlier one where the key and the content are the same.

        Raises:
            InputError: the key belongs to a job with other content; nothing was queued.
        """
        content = self._digest.hexdigest()
        if self._same is not None:
            job_id, _, there = self._same
            if there != content:
                raise InputError(
                    f"The key {self._order.key!r} belongs to job {job_id}, which has another text "
                    "or other recipients: use another key, or none."
                )
            return job_id
        with transaction(self._db):
            require()
            starts_at = self._order.starts_at
            self._db.execute(
                "UPDATE job SET state = ?, content = ? WHERE id = ?",
                ("queued" if starts_at is None else "scheduled", content, self.job_id),
            )
            first_stream, _ = streams_of(self.job_id)
            self._db.executemany(
                "INSERT INTO stream (id, lane, tenant, cursor, ready_at)"
                " SELECT ?1, lane, tenant, ?1 << 26, ?2 FROM job WHERE id = ?3",
                [
                    (first_stream + route, starts_at or AT_ONCE, self.job_id)
                    for route in sorted(self._ordinals)
                ],
            )
            self._note(now)
        return self.job_id

    def _note(self, now: int) -> None:
        """Write to the audit who ordered what."""
        order = self._order
        messages, segments = self._db.execute(
            "SELECT messages, segments FROM job WHERE id = ?", (self.job_id,)
        ).fetchone()
        details: dict[str, audit.Detail] = {
            "class": order.job_class,
            "tenant": order.tenant,
            "purpose": order.purpose or order.job_class,
            "sender": order.sender,
            "messages": messages,
            "segments": segments,
            "exercise": order.exercise,
            "starts_at": order.created_at if order.starts_at is None else order.starts_at,
        }
        audit.note(self._db, now, order.ordered_by, "job.submitted", self.job_id, **details)

    def discard(self) -> None:
        """Remove what was loaded; the key can be used again."""
        if self._same is None:
            _remove(self._db, self.job_id)


def discard_abandoned(db: sqlite3.Connection, locks: Locks) -> int:
    """Remove jobs whose loader died; returns how many."""
    loading = db.execute("SELECT id FROM job WHERE state = 'loading'").fetchall()
    abandoned = [job_id for (job_id,) in loading if locks.job_abandoned(job_id)]
    for job_id in abandoned:
        _remove(db, job_id)
    return len(abandoned)


def _remove(db: sqlite3.Connection, job_id: int) -> None:
    """Remove a loading job, in transactions as small as those that loaded it.

    One that was finished since somebody looked is acknowledged, and stays.
    """
    while True:
        with transaction(db):
            loading = "SELECT 1 FROM job WHERE id = ? AND state = 'loading'"
            if db.execute(loading, (job_id,)).fetchone() is None:
                return
            deleted = db.execute(
                "DELETE FROM message WHERE id IN (SELECT id FROM message"
                " WHERE id > ? AND id < ? LIMIT ?)",
                (*messages_of(job_id), MESSAGES_AT_ONCE),
            ).rowcount
            if deleted == 0:
                db.execute("DELETE FROM job WHERE id = ?", (job_id,))
                return
            db.execute(
                "UPDATE job SET messages = messages - ?1, queued = queued - ?1 WHERE id = ?2",
                (deleted, job_id),
            )
        make_way()


class Job(NamedTuple):
    """One job as it stands; `counts` is by state, in the order of MESSAGE_STATES."""

    job_id: int
    state: str
    job_class: str
    tenant: str
    sender: str
    label: str | None
    purpose: str
    exercise: bool
    ordered_by: str
    created_at: int
    starts_at: int
    first_submit_at: int | None
    finished_at: int | None
    segments: int
    total: int
    counts: dict[str, int]

    @property
    def settled(self) -> bool:
        """Whether no message is in a state that can still change by itself."""
        moving = self.counts["queued"] + self.counts["submitting"] + self.counts["accepted"]
        return self.state != "loading" and moving == 0


_JOB_COLUMNS = (
    "id, state, class, tenant, sender, label, purpose, exercise, ordered_by, created_at, starts_at,"
    " first_submit_at, finished_at, segments, messages, " + ", ".join(MESSAGE_STATES)
)


def _job(row: Sequence[Any]) -> Job:
    known = Job._fields.index("counts")
    counts = dict(zip(MESSAGE_STATES, row[known:], strict=True))
    job = Job._make((*row[:known], counts))
    return job._replace(exercise=bool(job.exercise))


def find_job(db: sqlite3.Connection, job_id: int) -> Job | None:
    """Return a job as it stands, or None where there is none of that number."""
    if not 0 < job_id <= LAST_JOB:  # it may be more than SQLite can hold
        return None
    row = db.execute(f"SELECT {_JOB_COLUMNS} FROM job WHERE id = ?", (job_id,)).fetchone()  # nosec B608  # only constants
    return None if row is None else _job(row)


def list_jobs(db: sqlite3.Connection, limit: int | None = None) -> list[Job]:
    """Return the jobs as they stand, newest first, `limit` at most."""
    # NOT INDEXED: else statistics of a small ledger have SQLite walk another index, and sort.
    rows = db.execute(
        f"SELECT {_JOB_COLUMNS} FROM job NOT INDEXED ORDER BY id DESC LIMIT ?",  # nosec B608  # only constants
        (-1 if limit is None else limit,),
    )
    return [_job(row) for row in rows]


class MessageRow(NamedTuple):
    """One message for a report; times in milliseconds since 1970, of its first and last segment."""

    number: str
    state: str
    submitted_at: int | None
    accepted_at: int | None
    done_at: int | None
    segments: int
    error: str | None


def report_rows(db: sqlite3.Connection, job_id: int) -> Iterator[MessageRow]:
    """Yield a job's messages, route by route in the order of the list, reading as it goes."""
    after, last = messages_of(job_id)
    while True:
        rows = db.execute(
            "SELECT m.id, m.recipient, m.state, min(s.submitted_at), max(s.accepted_at),"
            " max(s.done_at), m.segments, coalesce(m.error, max(s.error))"
            " FROM (SELECT * FROM message WHERE id > ? AND id < ? ORDER BY id LIMIT ?) AS m"
            " LEFT JOIN segment AS s ON s.id > m.id << 8 AND s.id < (m.id + 1) << 8"
            " GROUP BY m.id ORDER BY m.id",
            (after, last, MESSAGES_AT_ONCE),
        ).fetchall()
        for row in rows:
            yield MessageRow(*row[1:])
        if len(rows) < MESSAGES_AT_ONCE:
            return
        after = rows[-1][0]


def queued_by_class(db: sqlite3.Connection) -> dict[str, tuple[int, int | None]]:
    """Return, by class, how many messages are queued, and since when the oldest might leave.

    Those that are scheduled or paused wait for nobody's neglect: they have no age.
    """
    rows = db.execute(
        "SELECT class, sum(queued),"
        " min(iif(state = 'queued' OR state = 'sending', starts_at, NULL))"
        " FROM job INDEXED BY job_waiting"
        " WHERE queued > 0 AND state <> 'loading' GROUP BY class"
    )
    return {job_class: (queued, oldest) for job_class, queued, oldest in rows}


def segments_ahead(db: sqlite3.Connection, job_class: str) -> int:
    """Return how many segments are queued that would leave before a new job of this class."""
    row = db.execute(
        "SELECT coalesce(sum(segments * queued / messages), 0) FROM job INDEXED BY job_waiting"
        " WHERE queued > 0 AND (state = 'queued' OR state = 'sending')"
        " AND lane <= CASE ? WHEN 'alert' THEN 0 WHEN 'service' THEN 1 ELSE 2 END",
        (job_class,),
    ).fetchone()
    return int(row[0])


def unknown_messages(db: sqlite3.Connection) -> int:
    """Return how many messages have an outcome that nobody knows."""
    row = db.execute(
        "SELECT coalesce(sum(unknown), 0) FROM job INDEXED BY job_unknown WHERE unknown > 0"
    ).fetchone()
    return int(row[0])


def receipt_counts(db: sqlite3.Connection) -> dict[str, dict[str, int]]:
    """Return what became of the receipts: by account, then by kind (I9)."""
    columns = ", ".join(f"receipts_{kind}" for kind in RECEIPT_KINDS)
    rows = db.execute(f"SELECT name, {columns} FROM account ORDER BY name")  # nosec B608  # only constants
    return {name: dict(zip(RECEIPT_KINDS, counts, strict=True)) for name, *counts in rows}


class Gauges(NamedTuple):
    """What the gateway shows of the ledger every second, each as the function of its name says."""

    queued_by_class: dict[str, tuple[int, int | None]]
    unknown_messages: int
    database_octets: int
    receipt_counts: dict[str, dict[str, int]]


def gauges(db: sqlite3.Connection) -> Gauges:
    """Return all of them, by one way to the writer's thread and back."""
    return Gauges(
        queued_by_class(db), unknown_messages(db), database_octets(db), receipt_counts(db)
    )


class LinkRow(NamedTuple):
    """One link as the gateway last wrote it down."""

    smsc: str
    bind: int
    state: str
    reason: str | None
    window: int
    outstanding: int
    throughput: int
    permitted: float


def note_gateway(db: sqlite3.Connection, pid: int, since: int) -> None:
    """Write down which process is the gateway; the links of an earlier one are forgotten."""
    with transaction(db):
        db.execute("INSERT OR REPLACE INTO gateway (id, pid, since) VALUES (1, ?, ?)", (pid, since))
        db.execute("DELETE FROM link")


def note_links(db: sqlite3.Connection, links: Sequence[LinkRow]) -> None:
    """Write down how the links stand."""
    with transaction(db):
        db.executemany("INSERT OR REPLACE INTO link VALUES (?, ?, ?, ?, ?, ?, ?, ?)", links)


def gateway_process(db: sqlite3.Connection) -> tuple[int, int] | None:
    """Return the (pid, since) that the last gateway wrote down."""
    row: tuple[int, int] | None = db.execute("SELECT pid, since FROM gateway").fetchone()
    return row


def links(db: sqlite3.Connection) -> list[LinkRow]:
    """Return the links as the gateway last wrote them down."""
    return [LinkRow(*row) for row in db.execute("SELECT * FROM link ORDER BY smsc, bind")]


def account_ids(db: sqlite3.Connection, names: Sequence[str]) -> dict[str, int]:
    """Return the ledger's ids of these accounts, making those that are new."""
    with transaction(db):
        db.executemany(
            "INSERT INTO account (name) VALUES (?) ON CONFLICT (name) DO NOTHING",
            [(name,) for name in names],
        )
    rows = db.execute("SELECT name, id FROM account")
    return {name: account_id for name, account_id in rows if name in names}


def last_claims(db: sqlite3.Connection) -> dict[int, int]:
    """Return when something was last claimed for each account, by its id; 0 is never."""
    return dict(db.execute("SELECT id, claimed_at FROM account").fetchall())


def receipts_awaited(db: sqlite3.Connection) -> int:
    """Return how many messages were accepted and are not told of yet, by whichever account."""
    awaited: int = db.execute("SELECT coalesce(sum(accepted), 0) FROM job").fetchone()[0]
    return awaited


def route_ids(db: sqlite3.Connection, prefixes: Iterable[str]) -> dict[str, int]:
    """Return the ledger's numbers of these prefixes, making those that are new.

    Raises:
        InputError: there would be more routes than there is room for.
    """
    wanted = sorted(set(prefixes))
    with transaction(db):
        known = dict(db.execute("SELECT prefix, id FROM route"))
        for prefix in wanted:
            if prefix not in known:
                known[prefix] = len(known)
        if len(known) > 1 << ROUTE_BITS:
            raise InputError("The database knows 63 prefixes already: no account can have another.")
        db.executemany(
            "INSERT INTO route (prefix, id) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(prefix, known[prefix]) for prefix in wanted],
        )
    return {prefix: known[prefix] for prefix in wanted}


def database_octets(db: sqlite3.Connection) -> int:
    """Return the size of the database file, without its WAL, in octets."""
    pages: int = db.execute("PRAGMA page_count").fetchone()[0]
    size: int = db.execute("PRAGMA page_size").fetchone()[0]
    return pages * size
