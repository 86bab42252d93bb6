"""Who does not want to be written to: added, removed, asked for; and the STOPs of phones, answered.

An opt-out is a tenant, a purpose and a number. What it silences is said by the policy of a job's
class (POLICIES). The number stands in clear until retention takes it, its keyed hash without end.
Beside it stands the proof: when it came, how, and what was written. What changes here is written to
the audit in the same transaction, numbers by their hash.

A STOP is answered in two steps. `find_senders` looks up what the phone was last sent, on a
connection of its own that reads alone, because it may walk through all messages there are;
`apply_stops` then does everything in one short transaction, and a second time nothing.

Times are milliseconds since 1970.
"""

import re
import sqlite3
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from smppgw.errors import DatabaseError, NumberError
from smppgw.ledger import audit
from smppgw.ledger.claim import CONFIRMATION, EVERY_PURPOSE, POLICIES
from smppgw.ledger.database import make_way, transaction
from smppgw.ledger.hashing import Hasher
from smppgw.ledger.keys import JOB_BITS, MESSAGE_BITS, streams_of
from smppgw.ledger.turn import AT_ONCE
from smppgw.sms.numbers import normalise_number
from smppgw.sms.stop import STOP_ALL

UNKNOWN_PURPOSE = "promotional"  # of a STOP from a number that nothing was sent to
ENTRIES_AT_ONCE = 1000  # in one transaction: 16 ms, 50 in a list of 100,000
STOPS_AT_ONCE = 200
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


class OptOut(NamedTuple):
    """One wish not to be written to.

    `channel` is how it came: sms, command, file, receipt or response; `text` is what was written.
    """

    tenant: str
    purpose: str
    number: str  # E.164
    channel: str
    text: str | None = None


class OptOutRow(NamedTuple):
    """An opt-out as it stands; without `number` once retention has taken it."""

    tenant: str
    purpose: str
    number: str | None
    number_hash: str
    added_at: int
    channel: str
    text: str | None


def add(
    db: sqlite3.Connection, hasher: Hasher, entries: Iterable[OptOut], actor: str, now: int
) -> int:
    """Add opt-outs, ENTRIES_AT_ONCE in a transaction; one that is there stays as it is.

    Args:
        db: the ledger.
        hasher: of its numbers.
        entries: any number of them.
        actor: who does it, for the audit.
        now: milliseconds since 1970.

    Returns:
        How many are new.

    Raises:
        DatabaseError: the key is not the one that the list was made with; nothing was added.
    """
    require_key(db, hasher)
    added, entries = 0, iter(entries)
    while batch := list(islice(entries, ENTRIES_AT_ONCE)):
        with transaction(db):
            added += len(_add(db, hasher, batch, actor, now))
        make_way()
    return added


def _add(
    db: sqlite3.Connection, hasher: Hasher, entries: Iterable[OptOut], actor: str, now: int
) -> list[OptOut]:
    """Add opt-outs inside a transaction; returns those that are new."""
    added: list[OptOut] = []
    hashes: dict[tuple[str, str, str], list[str]] = {}
    for entry in entries:
        tenant, purpose, number, channel, text = entry
        number_hash = hasher.of(number)
        inserted = db.execute(
            "INSERT INTO optout (tenant, purpose, recipient, recipient_hash, added_at, channel,"
            " text) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (tenant, purpose, number, number_hash, now, channel, text),
        ).rowcount
        if inserted:
            added.append(entry)
            hashes.setdefault((tenant, purpose, channel), []).append(number_hash)
    for (tenant, purpose, channel), recipients in hashes.items():
        audit.note(
            db,
            now,
            actor,
            "optout.imported" if channel == "file" else "optout.added",
            tenant=tenant,
            purpose=purpose,
            channel=channel,
            recipients=recipients,
        )
    return added


def remove(
    db: sqlite3.Connection,
    hasher: Hasher,
    tenant: str,
    purpose: str,
    numbers: Iterable[str],
    actor: str,
    now: int,
) -> int:
    """Take numbers off the list of one tenant and purpose; that of another stays.

    Args:
        db: the ledger.
        hasher: of its numbers.
        tenant: whose list.
        purpose: which one.
        numbers: E.164.
        actor: who does it, for the audit.
        now: milliseconds since 1970.

    Returns:
        How many were on it.

    Raises:
        DatabaseError: the key is not the one that the list was made with; nothing was removed.
    """
    require_key(db, hasher)
    removed = 0
    hashes = iter(dict.fromkeys(map(hasher.of, numbers)))
    while batch := list(islice(hashes, ENTRIES_AT_ONCE)):
        with transaction(db):
            gone = [
                number_hash
                for number_hash in batch
                if db.execute(
                    "DELETE FROM optout WHERE tenant = ? AND purpose = ? AND recipient_hash = ?",
                    (tenant, purpose, number_hash),
                ).rowcount
            ]
            if gone:
                audit.note(
                    db, now, actor, "optout.removed",
                    tenant=tenant, purpose=purpose, recipients=gone,
                )  # fmt: skip
        make_way()
        removed += len(gone)
    return removed


def list_optouts(
    db: sqlite3.Connection,
    tenant: str | None = None,
    purpose: str | None = None,
    limit: int | None = None,
) -> list[OptOutRow]:
    """Return opt-outs, newest first: of one tenant, of one purpose, `limit` at most."""
    rows = db.execute(
        "SELECT tenant, purpose, recipient, recipient_hash, added_at, channel, text FROM optout"
        " WHERE tenant = coalesce(?, tenant) AND purpose = coalesce(?, purpose)"
        " ORDER BY id DESC LIMIT ?",
        (tenant, purpose, -1 if limit is None else limit),
    )
    return [OptOutRow._make(row) for row in rows]


def purposes_of(db: sqlite3.Connection, hasher: Hasher, tenant: str, number: str) -> list[str]:
    """Return for which purposes a tenant may not write to a number."""
    rows = db.execute(
        "SELECT purpose FROM optout WHERE tenant = ? AND recipient_hash = ? ORDER BY purpose",
        (tenant, hasher.of(number)),
    )
    return [purpose for (purpose,) in rows]


class Blocked(Container[str]):
    """The numbers (E.164) that a job may not be sent to, as they were when it was made.

    0.4 µs a number; 4 where some entries are hashes alone. 200 octets for each entry.
    """

    def __init__(self, hasher: Hasher, numbers: set[str], hashes: set[str]) -> None:
        self._hasher = hasher
        self._numbers = numbers
        self._hashes = hashes

    def __contains__(self, number: object) -> bool:
        if number in self._numbers:
            return True
        return bool(self._hashes) and self._hasher.of(str(number)) in self._hashes

    def __len__(self) -> int:
        return len(self._numbers) + len(self._hashes)


def blocked(
    db: sqlite3.Connection, hasher: Hasher, tenant: str, purpose: str, policy: str
) -> Blocked:
    """Return whom a job may not be sent to.

    Args:
        db: the ledger.
        hasher: of its numbers.
        tenant: whom the job is for.
        purpose: what it is for.
        policy: one of POLICIES.

    Raises:
        DatabaseError: some are known by their hash alone, and the key is not the one that they were
            hashed with.
    """
    numbers: set[str] = set()
    hashes: set[str] = set()
    rows = db.execute(
        "SELECT recipient, recipient_hash FROM optout WHERE tenant = :tenant" + POLICIES[policy],  # nosec B608  # only constants
        {"tenant": tenant, "purpose": purpose},
    )
    for number, number_hash in rows:
        if number is None:
            hashes.add(number_hash)
        else:
            numbers.add(number)
    if hashes:
        require_key(db, hasher)
    return Blocked(hasher, numbers, hashes)


def require_key(db: sqlite3.Connection, hasher: Hasher) -> None:
    """Hold the key to a number of which the list has the hash.

    Raises:
        DatabaseError: it is another key than the list was made with.
    """
    row = db.execute(
        "SELECT recipient, recipient_hash FROM optout INDEXED BY optout_by_recipient"
        " WHERE recipient IS NOT NULL LIMIT 1"
    ).fetchone()
    if row is not None and hasher.of(row[0]) != row[1]:
        raise DatabaseError(
            "The opt-outs were hashed with another key than the one in [retention] key_file: "
            "put the right file in its place, from the backup that the database came from."
        )


# STOPs of phones


class Answer(NamedTuple):
    """What a text that asks for it comes to: the lists that its sender is put on."""

    inbound_id: int
    number: str
    text: str
    lists: tuple[tuple[str, str], ...]  # tenant and purpose


class Confirmation(NamedTuple):
    """The text that tells one tenant's people that their STOP was understood.

    `text` is a template without names; `prefixes` are those that accounts are chosen by.
    """

    sender: str
    text: str
    rewrite: str
    segments: int
    validity_ms: int
    prefixes: tuple[str, ...] = ()


class Applied(NamedTuple):
    """What came of STOPs: the opt-outs that are new, and how many confirmations now wait."""

    added: list[OptOut]
    confirmations: int


class _Asking(NamedTuple):
    inbound_id: int
    number: str
    destination: str
    text: str
    asks: str


def find_senders(
    db: sqlite3.Connection,
    senders: Mapping[str, str],
    region: str = "FR",
    limit: int = STOPS_AT_ONCE,
) -> list[Answer]:
    """Find out what the texts that ask to stop answer to; changes nothing.

    It is the job of the newest message that was sent to the phone, if possible one from the sender
    that it wrote to. Where nothing was sent to it, it is every tenant of that sender, else every
    tenant. To be run in another thread than the turn: a walk through a million messages takes
    0.25 s, and there is one such walk however many ask.

    Args:
        db: the ledger, on a connection of its own.
        senders: of the tenants, by name.
        region: whose national numbers phones are shown with.
        limit: texts at most, oldest first.
    """
    asking = [
        _Asking(inbound_id, _normal(source, region), destination, text, asks)
        for inbound_id, source, destination, text, asks in db.execute(
            "SELECT id, source, destination, text, asks FROM inbound INDEXED BY inbound_asking"
            " WHERE asks IS NOT NULL ORDER BY id LIMIT ?",
            (limit,),
        ).fetchall()
    ]
    sent = _newest_sent(db, {(one.number, one.destination) for one in asking})
    answers = []
    for one in asking:
        answered = sent.get((one.number, one.destination))
        if answered is None:
            tenants = [name for name, sender in senders.items() if sender == one.destination]
            lists = [(tenant, UNKNOWN_PURPOSE) for tenant in tenants or senders]
        else:
            lists = [answered]
        if one.asks == STOP_ALL:
            lists = [(tenant, EVERY_PURPOSE) for tenant, _ in lists]
        answers.append(Answer(one.inbound_id, one.number, one.text, tuple(lists)))
    return answers


def _normal(source: str, region: str) -> str:
    """Write a phone's number as recipients are written; what is none stays as it came."""
    if source.startswith("+"):
        return source
    try:
        return normalise_number(source, region)
    except NumberError:
        return source


def _newest_sent(
    db: sqlite3.Connection, wanted: set[tuple[str, str]]
) -> dict[tuple[str, str], tuple[str, str]]:
    """Find tenant and purpose of what was last sent, by the phone's number and whom it wrote to.

    Messages that left are walked through newest first, until nothing better can come.
    """
    known = {
        destination
        for destination in {destination for _, destination in wanted}
        if db.execute("SELECT 1 FROM job WHERE sender = ?", (destination,)).fetchone()
    }
    destinations: dict[str, set[str]] = {}
    for number, destination in wanted:
        destinations.setdefault(number, set()).add(destination)
    found: dict[tuple[str, str], tuple[str, str]] = {}
    if not destinations:
        return found
    rows = db.execute(
        "SELECT recipient, sender, tenant, purpose FROM message NOT INDEXED"  # nosec B608  # only constants
        f" CROSS JOIN job ON job.id = message.id >> {JOB_BITS}"
        f" WHERE recipient IN ({', '.join('?' * len(destinations))}) AND purpose <> ?"
        " AND message.state <> 'rejected' AND EXISTS (SELECT 1 FROM segment"
        " WHERE segment.id > message.id << 8 AND segment.id < (message.id + 1) << 8)"
        " ORDER BY message.id DESC",
        (*destinations, CONFIRMATION),
    )
    for number, sender, *answered in rows:
        for destination in tuple(destinations.get(number, ())):
            key = (number, destination)
            if sender == destination or key not in found:
                found[key] = (answered[0], answered[1])
            if sender == destination or destination not in known:
                destinations[number].discard(destination)
        if not destinations.get(number, True):
            del destinations[number]
            if not destinations:
                break
    return found


def apply_stops(
    db: sqlite3.Connection,
    hasher: Hasher,
    answers: Sequence[Answer],
    now: int,
    *,
    confirmations: Mapping[str, Confirmation] | None = None,
    actor: str = "gateway",
) -> Applied:
    """Put those who asked on the lists, and queue what tells them so; all of it or nothing.

    A text that was applied already does nothing. A phone is told once for each text, and only where
    the text changed something.

    Args:
        db: the ledger, in the writer.
        hasher: of its numbers.
        answers: of `find_senders`.
        now: milliseconds since 1970.
        confirmations: by tenant; those without one tell nothing.
        actor: for the audit.
    """
    applied = Applied([], 0)
    told: dict[str, list[str]] = {}
    with transaction(db):
        for answer in answers:
            open_still = db.execute(
                "UPDATE inbound SET asks = NULL WHERE id = ? AND asks IS NOT NULL",
                (answer.inbound_id,),
            ).rowcount
            if not open_still:
                continue
            entries = [
                OptOut(tenant, purpose, answer.number, "sms", answer.text)
                for tenant, purpose in answer.lists
            ]
            added = _add(db, hasher, entries, actor, now)
            applied.added.extend(added)
            telling = [one.tenant for one in added if one.tenant in (confirmations or {})]
            if telling and _E164.fullmatch(answer.number):
                told.setdefault(telling[0], []).append(answer.number)
        for tenant, numbers in told.items():
            _queue_confirmation(db, tenant, (confirmations or {})[tenant], numbers, actor, now)
    return applied._replace(confirmations=sum(map(len, told.values())))


def _queue_confirmation(
    db: sqlite3.Connection,
    tenant: str,
    confirmation: Confirmation,
    numbers: Sequence[str],
    actor: str,
    now: int,
) -> None:
    """Make a job of the confirmations of one tenant, whole and queued, inside a transaction.

    Each is attempted once; where its outcome is unknown it is left so.
    """
    sender, text, rewrite, segments, validity_ms, prefixes = confirmation
    job_id = db.execute(
        "INSERT INTO job (state, class, tenant, sender, text, rewrite, flash, label, attempts,"
        " unknown_policy, created_at, expires_at, purpose, starts_at, exercise, ordered_by,"
        " segments, messages, queued)"
        " VALUES ('queued', 'service', ?1, ?2, ?3, ?4, 0, 'STOP', 1, 'hold', ?5, ?6, ?7, ?5, 0, ?8,"
        " ?9, ?10, ?10)",
        (tenant, sender, text, rewrite, now, now + validity_ms, CONFIRMATION, actor,
         segments * len(numbers), len(numbers)),
    ).lastrowid  # fmt: skip
    assert job_id is not None
    first_stream, _ = streams_of(job_id)
    streams: dict[int, list[str]] = {}
    routes = _routes(db, prefixes)
    for number in numbers:
        route = next((route for prefix, route in routes if number.startswith(prefix)), 0)
        streams.setdefault(first_stream + route, []).append(number)
    for stream_id, recipients in streams.items():
        first = (stream_id << MESSAGE_BITS) + 1
        db.executemany(
            "INSERT INTO message (id, recipient, state, segments) VALUES (?, ?, 'queued', ?)",
            [(first + at, number, segments) for at, number in enumerate(recipients)],
        )
        db.execute(
            "INSERT INTO stream (id, lane, tenant, cursor, ready_at)"
            " SELECT ?1, lane, tenant, ?1 << 26, ?2 FROM job WHERE id = ?3",
            (stream_id, AT_ONCE, job_id),
        )
    audit.note(
        db, now, actor, "job.submitted", job_id,
        tenant=tenant, purpose=CONFIRMATION, sender=sender, messages=len(numbers),
        segments=segments * len(numbers), **{"class": "service"},
    )  # fmt: skip


def _routes(db: sqlite3.Connection, prefixes: Iterable[str]) -> list[tuple[str, int]]:
    """Return those of these prefixes that are routes, the longest first."""
    wanted = set(prefixes)
    known = [row for row in db.execute("SELECT prefix, id FROM route") if row[0] in wanted]
    return sorted(known, key=lambda route: -len(route[0]))


# What operators tell


def add_learned(
    db: sqlite3.Connection,
    hasher: Hasher,
    refused: Iterable[tuple[int, str]],
    now: int,
    *,
    actor: str = "gateway",
) -> int:
    """Put those on the list of whom the operator says that they opted out with it.

    Args:
        db: the ledger, in the writer.
        hasher: of its numbers.
        refused: a message and how its refusal came: "receipt" or "response".
        now: milliseconds since 1970.
        actor: for the audit.

    Returns:
        How many are new.
    """
    added = 0
    entries = _learned(db, refused)
    while batch := list(islice(entries, ENTRIES_AT_ONCE)):
        with transaction(db):
            added += len(_add(db, hasher, batch, actor, now))
    return added


def _learned(db: sqlite3.Connection, refused: Iterable[tuple[int, str]]) -> Iterator[OptOut]:
    for message_id, channel in refused:
        row = db.execute(
            "SELECT tenant, purpose, recipient, error FROM message"  # nosec B608  # only constants
            f" JOIN job ON job.id = message.id >> {JOB_BITS}"
            " WHERE message.id = ? AND purpose <> ?",
            (message_id, CONFIRMATION),
        ).fetchone()
        if row is not None and _E164.fullmatch(row[2]):  # else retention has taken it
            tenant, purpose, number, error = row
            yield OptOut(tenant, purpose, number, channel, error)
