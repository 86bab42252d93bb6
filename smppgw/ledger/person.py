"""One person: everything the ledger holds about a number, told or taken away.

Taken away means: a keyed hash in place of the number, and nothing of what was written to it or came
from it. Opt-outs stay, as that hash, so that nobody writes to the person again. What is on its way
at that moment keeps its number until its outcome is told, because the number is how it is told.

A number is looked for in every message: 0.1 s for a million that are in memory. Nothing but reading
happens then; writing is done in transactions as small as those of a submission. Times are
milliseconds since 1970.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from smppgw import sms
from smppgw.errors import NumberError
from smppgw.ledger import audit
from smppgw.ledger.database import Locks, make_way, transaction
from smppgw.ledger.hashing import HASH_MARK, Hasher
from smppgw.ledger.keys import JOB_BITS, messages_of, segments_of, streams_of
from smppgw.ledger.optouts import require_key
from smppgw.ledger.turn import add_to_counts

ERASED_AT_ONCE = 200  # messages in one transaction: 2 to 4 ms
# Operators try for so long to hand over a receipt (OVHcloud, SMPP technical specifications).
RECEIPTS_AWAITED_MS = 7 * 86_400_000
_READ_OCTETS = 1 << 20
_SAME_DIGITS = 8  # of a number, however it is written


class Sent(NamedTuple):
    """A message to the person; `text` is None where retention has taken it."""

    job_id: int
    tenant: str
    job_class: str
    purpose: str
    exercise: bool
    sender: str
    text: str | None
    state: str
    created_at: int
    submitted_at: int | None
    accepted_at: int | None
    done_at: int | None
    segments: int
    error: str | None
    hashed: bool  # the number is kept as a hash alone


class Written(NamedTuple):
    """A text from the person; `text` is None where retention has taken it."""

    received_at: int
    smsc: str
    destination: str
    text: str | None
    hashed: bool


class Objection(NamedTuple):
    """An opt-out of the person, with its proof."""

    tenant: str
    purpose: str
    added_at: int
    channel: str
    text: str | None
    hashed: bool


class Person(NamedTuple):
    """What is known of a number; `in_transit` are parts of texts, and receipts, that wait."""

    number_hash: str
    messages: list[Sent]
    texts: list[Written]
    optouts: list[Objection]
    in_transit: int


@dataclass(slots=True)
class Erased:
    """What became of a person's data.

    Attributes:
        number_hash: what stands in place of the number.
        messages: that lost their number, those `suppressed` among them.
        suppressed: that waited, and are not sent any more.
        texts: from the person, emptied.
        optouts: that lost their number.
        in_transit: parts of texts, and receipts, taken away.
        moving: messages that are on their way, or whose job is being submitted.
        asking: texts that the gateway has not read yet: they ask it to stop.
    """

    number_hash: str
    messages: int = 0
    suppressed: int = 0
    texts: int = 0
    optouts: int = 0
    in_transit: int = 0
    moving: int = 0
    asking: int = 0

    @property
    def complete(self) -> bool:
        """Whether nothing is left that has to be erased later."""
        return not (self.moving or self.asking)


def export(
    db: sqlite3.Connection, hasher: Hasher, number: str, region: str, now: int, actor: str
) -> Person:
    """Return everything about a number, oldest first, and write to the audit that it was told.

    Args:
        db: the ledger, in no transaction.
        hasher: finds what is kept as a hash alone.
        number: E.164.
        region: whose national numbers phones may have written.
        now: milliseconds since 1970.
        actor: who asks, for the audit.

    Raises:
        DatabaseError: the key is not the one that opt-outs were hashed with.
    """
    require_key(db, hasher)
    number_hash = hasher.of(number)
    db.execute("BEGIN")  # one instant, whatever the gateway does meanwhile
    try:
        message_ids = _messages(db, number, number_hash)
        person = Person(
            number_hash,
            [_sent(db, message_id) for message_id in message_ids],
            [
                Written(received_at, smsc, destination, text or None, source[0] == HASH_MARK)
                for _, source, received_at, smsc, destination, text in _texts(
                    db, number, number_hash, region
                )
            ],
            [
                Objection._make((*row[:-1], bool(row[-1])))
                for row in db.execute(
                    "SELECT tenant, purpose, added_at, channel, text, recipient IS NULL"
                    " FROM optout WHERE recipient_hash = ? ORDER BY added_at, id",
                    (number_hash,),
                )
            ],
            len(_same(db, _PARTS, number, region)) + len(_same(db, _PARKED, number, region)),
        )
    finally:
        db.execute("COMMIT")
    with transaction(db):
        audit.note(
            db,
            now,
            actor,
            "person.exported",
            person=number_hash,
            messages=len(person.messages),
            texts=len(person.texts),
            optouts=len(person.optouts),
        )
    return person


def erase(
    db: sqlite3.Connection, hasher: Hasher, number: str, region: str, now: int, actor: str
) -> Erased:
    """Take a number away wherever it stands, with all that was written to it or came from it.

    What still waits for it is suppressed. Messages that are on their way are left as they are and
    counted; the opt-outs keep the number as long as there are such. Can be called again.

    Args:
        db: the ledger, in no transaction.
        hasher: makes what stands in the place of the number.
        number: E.164.
        region: whose national numbers phones may have written.
        now: milliseconds since 1970.
        actor: who does it, for the audit.

    Raises:
        sqlite3.Error: some of it was done; calling again does the rest.
        DatabaseError: the key is not the one that opt-outs were hashed with; nothing was done.
    """
    require_key(db, hasher)
    work = _Erasing(db, hasher.of(number), number, region, now)
    message_ids = _messages(db, number)
    for first in range(0, len(message_ids), ERASED_AT_ONCE):
        with transaction(db):
            work.messages(message_ids[first : first + ERASED_AT_ONCE])
        make_way()
    with transaction(db):
        work.texts()
        if not work.erased.moving:
            work.optouts()
            work.in_transit()
        work.note(actor)
    return work.erased


_MOVING = ("loading", "submitting", "awaited")


class _Erasing:
    """One number on its way out."""

    def __init__(
        self, db: sqlite3.Connection, number_hash: str, number: str, region: str, now: int
    ) -> None:
        self.erased = Erased(number_hash)
        self._db = db
        self._number = number
        self._region = region
        self._now = now
        self._hashed = HASH_MARK + number_hash

    def messages(self, message_ids: Sequence[int]) -> None:
        """Erase messages that are at rest, and suppress those that wait."""
        suppressed: Counter[int] = Counter()
        jobs: dict[int, None] = {}
        for message_id in message_ids:
            job_id = message_id >> JOB_BITS
            state = self._state(message_id)
            if state is None:  # of a job that was being submitted, and is not any more
                continue
            if state in _MOVING:
                self.erased.moving += 1
                continue
            jobs[job_id] = None
            if state == "queued":
                suppressed[job_id] += 1
                self._db.execute(
                    "UPDATE message SET state = 'suppressed', due_at = NULL, error = 'erased'"
                    " WHERE id = ?",
                    (message_id,),
                )
            self._db.execute(
                "UPDATE message SET recipient = ?, fields = NULL WHERE id = ?",
                (self._hashed, message_id),
            )
            self._db.execute(
                "UPDATE segment SET receipt = NULL WHERE id > ? AND id < ? AND receipt IS NOT NULL",
                segments_of(message_id),
            )
            self.erased.messages += 1
        for job_id, count in suppressed.items():
            add_to_counts(self._db, job_id, {"queued": -count, "suppressed": count}, self._now)
            self.erased.suppressed += count
        for job_id in jobs:
            self._job(job_id)

    def _state(self, message_id: int) -> str | None:
        """Return a message's state, or one of _MOVING in its place; None where it is gone."""
        row = self._db.execute(
            "SELECT iif(job.state = 'loading', job.state, message.state)"
            " FROM message JOIN job ON job.id = message.id >> 32 WHERE message.id = ?",
            (message_id,),
        ).fetchone()
        if row == ("accepted",):
            (awaited,) = self._db.execute(
                "SELECT EXISTS (SELECT 1 FROM segment WHERE id > ? AND id < ?"
                " AND state = 'accepted' AND asks_receipt AND accepted_at > ?)",
                (*segments_of(message_id), self._now - RECEIPTS_AWAITED_MS),
            ).fetchone()
            if awaited:
                return "awaited"
        return None if row is None else str(row[0])

    def _job(self, job_id: int) -> None:
        """Take from a job what may tell of the person: what it was compared with is no keyed hash.

        A job for this person alone has a text for this person alone.
        """
        self._db.execute("UPDATE job SET content = NULL WHERE id = ?", (job_id,))
        self._db.execute(
            "UPDATE stream SET ready_at = NULL WHERE id >= ? AND id < ?"
            " AND EXISTS (SELECT 1 FROM job WHERE id = ? AND finished_at IS NOT NULL)",
            (*streams_of(job_id), job_id),
        )
        others = self._db.execute(
            "SELECT 1 FROM message WHERE id > ? AND id < ? AND recipient <> ? LIMIT 1",
            (*messages_of(job_id), self._hashed),
        ).fetchone()
        if others is None:
            self._db.execute(
                "UPDATE job SET text = '', label = NULL,"
                " text_purged_at = coalesce(text_purged_at, ?),"
                " numbers_purged_at = coalesce(numbers_purged_at, ?) WHERE id = ?",
                (self._now, self._now, job_id),
            )

    def texts(self) -> None:
        """Erase the texts that came from the number."""
        for inbound_id, source, *_ in _texts(
            self._db, self._number, self.erased.number_hash, self._region
        ):
            (asks,) = self._db.execute(
                "SELECT asks FROM inbound WHERE id = ?", (inbound_id,)
            ).fetchone()
            if asks is not None:
                self.erased.asking += 1
                continue
            self._db.execute(
                "UPDATE inbound SET source = ?, text = '', octets = x'' WHERE id = ?",
                (self._hashed, inbound_id),
            )
            self.erased.texts += source[0] != HASH_MARK

    def optouts(self) -> None:
        """Leave of the number's opt-outs the hash alone, and what an operator wrote."""
        self.erased.optouts += self._db.execute(
            "UPDATE optout SET recipient = NULL,"
            " text = iif(channel = 'receipt' OR channel = 'response', text, NULL)"
            " WHERE recipient_hash = ? AND (recipient IS NOT NULL OR text IS NOT NULL)",
            (self.erased.number_hash,),
        ).rowcount

    def in_transit(self) -> None:
        """Erase parts of texts, and receipts that wait: these are counted, and stay to be that."""
        parts = _same(self._db, _PARTS, self._number, self._region)
        self._db.executemany("DELETE FROM inbound_part WHERE id = ?", parts)
        parked = _same(self._db, _PARKED, self._number, self._region)
        self._db.executemany(
            "UPDATE parked SET recipient = ?, receipt = '' WHERE id = ?",
            [(self._hashed, parked_id) for (parked_id,) in parked],
        )
        self.erased.in_transit += len(parts) + len(parked)

    def note(self, actor: str) -> None:
        """Write to the audit what was done."""
        audit.note(
            self._db,
            self._now,
            actor,
            "person.erased",
            person=self.erased.number_hash,
            messages=self.erased.messages,
            suppressed=self.erased.suppressed,
            texts=self.erased.texts,
            optouts=self.erased.optouts,
            complete=self.erased.complete,
        )


def _messages(db: sqlite3.Connection, number: str, number_hash: str | None = None) -> list[int]:
    """Find messages to a number, and to its hash where one is given, in order."""
    hashed = None if number_hash is None else HASH_MARK + number_hash
    rows = db.execute(
        "SELECT id FROM message WHERE recipient = ? OR recipient = ? ORDER BY id", (number, hashed)
    )
    return [message_id for (message_id,) in rows]


def _sent(db: sqlite3.Connection, message_id: int) -> Sent:
    *before, text, rewrite, fields = db.execute(
        "SELECT job.id, tenant, class, purpose, exercise, sender, text, rewrite, fields"
        " FROM message JOIN job ON job.id = message.id >> 32 WHERE message.id = ?",
        (message_id,),
    ).fetchone()
    *after, recipient = db.execute(
        "SELECT m.state, created_at, min(s.submitted_at), max(s.accepted_at), max(s.done_at),"
        " m.segments, coalesce(m.error, max(s.error)), recipient"
        " FROM message AS m JOIN job ON job.id = m.id >> 32"
        " LEFT JOIN segment AS s ON s.id > ?2 AND s.id < ?3 WHERE m.id = ?1",
        (message_id, *segments_of(message_id)),
    ).fetchone()
    row = (*before, _text(text, rewrite, fields), *after, recipient[0] == HASH_MARK)
    return Sent._make(row)._replace(exercise=bool(before[4]))


def _text(text: str, rewrite: str, fields: str | None) -> str | None:
    """Return a text as the person read it; None where it is not kept any more."""
    template = sms.Template(text)
    if not text or (template.names and fields is None):
        return None
    filled = template.fill({} if fields is None else json.loads(fields))
    return sms.compose(filled, rewrite).text


def _texts(
    db: sqlite3.Connection, number: str, number_hash: str, region: str
) -> list[tuple[int, str, int, str, str, str]]:
    """Find texts from a number: id, source, received_at, account, destination, text."""
    rows = db.execute(
        "SELECT inbound.id, source, received_at, name, destination, text"
        " FROM inbound JOIN account ON account.id = account_id"
        " WHERE substr(source, -?) = ? OR source = ? ORDER BY inbound.id",
        (_SAME_DIGITS, number[-_SAME_DIGITS:], HASH_MARK + number_hash),
    ).fetchall()
    return [row for row in rows if row[1][0] == HASH_MARK or _is(number, row[1], region)]


_PARTS = "SELECT id, source FROM inbound_part WHERE substr(source, -?) = ?"
_PARKED = "SELECT id, recipient FROM parked WHERE substr(recipient, -?) = ?"


def _same(db: sqlite3.Connection, select: str, number: str, region: str) -> list[tuple[int]]:
    """Find rows with a number, however an SMSC wrote it; returns their ids."""
    rows = db.execute(select, (_SAME_DIGITS, number[-_SAME_DIGITS:])).fetchall()
    return [(row_id,) for row_id, written in rows if _is(number, written, region)]


def _is(number: str, written: str, region: str) -> bool:
    """Whether what an SMSC wrote is a number: in E.164, with its + or without, or national."""
    if number in (written, f"+{written}", f"+{written.removeprefix('00')}"):
        return True
    if written.startswith("+"):  # with a calling code there is nothing to repair
        return False
    try:
        return sms.normalise_number(written, region) == number
    except NumberError:
        return False


# The file


def traces(path: Path, number: str) -> int:
    """Count the places of the database file and its log in which a number's digits stand.

    Such a place may be a text that somebody else wrote, or unused space. Close the database first:
    SQLite's locks go with any descriptor of the file that the process closes.

    Args:
        path: the SQLite file.
        number: E.164.
    """
    return sum(
        _occurrences(file, number.removeprefix("+").encode())
        for file in (path, path.with_name(path.name + "-wal"))
        if file.exists()
    )


def _occurrences(file: Path, digits: bytes) -> int:
    found, tail = 0, b""
    with file.open("rb") as octets:
        while block := octets.read(_READ_OCTETS):
            found += (tail + block).count(digits)
            tail = (tail + block)[-(len(digits) - 1) :]
    return found


def rewrite_file(db: sqlite3.Connection, locks: Locks) -> None:
    """Write the whole file anew, without its unused space, while no gateway is at work on it.

    Raises:
        GatewayRunningError: one is.
    """
    locks.take_gateway()
    db.execute("VACUUM")
