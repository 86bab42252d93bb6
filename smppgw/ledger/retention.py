"""Retention: what has been kept long enough is taken away, in slices that hold up no alert.

    text    of a job that ended, its messages' personal fields, raw receipts, texts from phones
    number  of messages, of texts from phones, of opt-outs; a keyed hash stands in its place
    audit   entries, from the oldest on; the chain goes on from where they end

What is counted stays: a job with its counts, states, times, opt-outs as hashes with their proof. A
slice is one transaction of a few milliseconds. What a slice has done is not done again, so a round
that a crash cut short is simply begun anew; a job is marked in the transaction of its last slice.
A job's own text goes with its first: an empty text says that it must not be sent again.

What is taken away is overwritten with zeros in the file (secure_delete), where SQLite would leave
it in unused space: 20,000 numbers took 75 ms with it and 70 ms without.

Times are milliseconds since 1970.
"""

import sqlite3
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from smppgw.ledger import audit
from smppgw.ledger.database import BUSY_TIMEOUT_S, make_way, transaction
from smppgw.ledger.hashing import HASH_MARK, Hasher
from smppgw.ledger.keys import SEGMENT_BITS, SEGMENT_MASK, messages_of
from smppgw.ledger.optouts import require_key

MESSAGES_AT_ONCE = 1000  # 4 ms where all of them lose their number
SEGMENTS_AT_ONCE = 2000
LOOKED_AT_ONCE = 5000  # rows of which few are due: 1 ms

# What is counted, in the order in which it is done.
KINDS = (
    "job_texts",
    "personal_fields",
    "receipts",
    "inbound_texts",
    "job_numbers",
    "message_numbers",
    "inbound_numbers",
    "optout_numbers",
    "audit_entries",
)


class Periods(NamedTuple):
    """How long things are kept, in milliseconds."""

    text_ms: int
    number_ms: int
    audit_ms: int


class Purged(NamedTuple):
    """How far a round is: what it did so far, by kind, and where it goes on.

    `counts` has the kinds of which there was something; `more` is whether to go on.
    """

    counts: Mapping[str, int] = MappingProxyType({})
    more: bool = True
    step: int = 0
    after: int = 0


BEGINNING = Purged()


def purge_some(
    db: sqlite3.Connection,
    hasher: Hasher,
    periods: Periods,
    now: int,
    actor: str,
    so_far: Purged = BEGINNING,
) -> Purged:
    """Do one slice of a round: one transaction of a few milliseconds.

    Call it again with what it returned as long as that says `more`; every slice of a round is given
    the same `now`. The last one writes `purge.done` to the audit, if the round did anything.

    Args:
        db: the ledger, in no transaction.
        hasher: makes what stands in the place of numbers.
        periods: how long things are kept.
        now: milliseconds since 1970.
        actor: who does it, for the audit.
        so_far: what the slice before returned; without it a round begins.

    Raises:
        sqlite3.Error: nothing of this slice was done; it can be tried again.
        DatabaseError: the key is not the one that opt-outs were hashed with; nothing was done.
    """
    require_key(db, hasher)  # else a hash would stand for a number that no other hash agrees with
    with transaction(db):
        work = _Slice(db, hasher, periods, now, so_far.after)
        after = _STEPS[so_far.step](work)
        counts = {
            kind: so_far.counts.get(kind, 0) + work.counts.get(kind, 0)
            for kind in KINDS
            if kind in so_far.counts or work.counts.get(kind)
        }
        step = so_far.step + (after is None)
        more = step < len(_STEPS)
        if counts and not more:
            audit.note(db, now, actor, "purge.done", **counts)
    return Purged(counts, more, step, after or 0)


def purge(
    db: sqlite3.Connection, hasher: Hasher, periods: Periods, now: int, actor: str
) -> dict[str, int]:
    """Do a whole round; returns what it did, by KINDS.

    A gateway may run meanwhile: its turns come between the slices. Arguments as for `purge_some`.
    """
    purged = BEGINNING
    while purged.more:
        purged = purge_some(db, hasher, periods, now, actor, purged)
        make_way()
    return {kind: purged.counts.get(kind, 0) for kind in KINDS}


def checkpoint(db: sqlite3.Connection) -> bool:
    """Bring the write-ahead log into the file and empty it, since it holds what was before.

    Waits for nobody: a gateway that writes, or somebody who reads, comes first.

    Returns:
        Whether the log is empty; else it is worth trying again later.
    """
    db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()  # does most of it and blocks nobody
    db.execute("PRAGMA busy_timeout = 0")
    try:
        (busy, _, _) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        db.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
    return not busy


# Jobs whose text, or whose numbers, have been kept long enough; a job that goes on again is none.
_DUE_TEXT = "text_purged_at IS NULL AND finished_at <= ?"
_DUE_NUMBERS = "numbers_purged_at IS NULL AND finished_at <= ?"
# Rows, with 1 for those that are due. A STOP that the gateway has not read yet needs its number.
_INBOUND_TEXTS = (
    "SELECT id, received_at <= ? AND asks IS NULL AND (text <> '' OR length(octets) > 0)"
    " FROM inbound WHERE id > ? ORDER BY id LIMIT ?"
)
_INBOUND_NUMBERS = (
    "SELECT id, received_at <= ? AND asks IS NULL AND source NOT LIKE '#%'"
    " FROM inbound WHERE id > ? ORDER BY id LIMIT ?"
)
_OPTOUTS = (
    "SELECT id, added_at <= ? AND recipient IS NOT NULL FROM optout WHERE id > ?"
    " ORDER BY id LIMIT ?"
)
# A message that may still be sent is held to opt-outs by its number, not by a hash.
_NUMBERS_NEEDED = (
    "SELECT EXISTS (SELECT 1 FROM job WHERE numbers_purged_at IS NULL AND created_at <= ?1"
    " AND (finished_at IS NULL OR finished_at > ?1))"
)


class _Slice:
    """One slice at work. Each step returns after which id it goes on; None where it is through."""

    def __init__(
        self, db: sqlite3.Connection, hasher: Hasher, periods: Periods, now: int, after: int
    ) -> None:
        self.counts: dict[str, int] = {}
        self._db = db
        self._hasher = hasher
        self._periods = periods
        self._now = now
        self._after = after

    def _count(self, kind: str, count: int) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + count

    # Jobs

    def job_texts(self) -> int | None:
        """Empty the text of a job, and what its next messages have of their own."""
        job_id = self._due_job(_DUE_TEXT, self._periods.text_ms)
        if job_id is None:
            return None
        begun, rows, ended = self._messages(job_id)
        if not begun:
            self._db.execute("UPDATE job SET text = '' WHERE id = ?", (job_id,))
        if rows:
            first, last = rows[0][0], rows[-1][0]
            fields = self._db.execute(
                "UPDATE message SET fields = NULL WHERE id BETWEEN ? AND ? AND fields IS NOT NULL",
                (first, last),
            )
            self._count("personal_fields", fields.rowcount)
            self._empty_receipts(first, last)
        if not ended:
            return rows[-1][0]
        self._db.execute("UPDATE job SET text_purged_at = ? WHERE id = ?", (self._now, job_id))
        self._count("job_texts", 1)
        return 0

    def job_numbers(self) -> int | None:
        """Replace the numbers of the next messages of a job by their hashes."""
        job_id = self._due_job(_DUE_NUMBERS, self._periods.number_ms)
        if job_id is None:
            return None
        _, rows, ended = self._messages(job_id)
        clear = [(message_id, number) for message_id, number, _ in rows if number[0] != HASH_MARK]
        self._db.executemany(
            "UPDATE message SET recipient = ? WHERE id = ?",
            [(self._hashed(number), message_id) for message_id, number in clear],
        )
        self._count("message_numbers", len(clear))
        if rows:
            self._empty_receipts(rows[0][0], rows[-1][0])  # that came after the text was taken
        if not ended:
            return rows[-1][0]
        # What a second submit is compared with is a hash too, without a key: a short list's numbers
        # could be found by trying.
        self._db.execute(
            "UPDATE job SET numbers_purged_at = ?, content = NULL WHERE id = ?",
            (self._now, job_id),
        )
        self._count("job_numbers", 1)
        return 0

    def _due_job(self, due: str, period_ms: int) -> int | None:
        # NOT INDEXED: no index fits, whatever statistics say; jobs are few beside messages.
        row = self._db.execute(
            f"SELECT id FROM job NOT INDEXED WHERE {due} ORDER BY finished_at, id LIMIT 1",  # nosec B608  # only constants
            (self._now - period_ms,),
        ).fetchone()
        return None if row is None else row[0]

    def _messages(self, job_id: int) -> tuple[bool, list[tuple[int, str, int]], bool]:
        """Take up the next messages of a job.

        Returns:
            Whether the job was begun before, the messages (id, recipient, segments), and whether
            they are the last.
        """
        first, last = messages_of(job_id)
        begun = first < self._after < last
        rows = self._db.execute(
            "SELECT id, recipient, segments FROM message WHERE id > ? AND id < ?"
            " ORDER BY id LIMIT ?",
            (self._after if begun else first, last, MESSAGES_AT_ONCE),
        ).fetchall()
        segments = 0
        for position, (_, _, count) in enumerate(rows):
            segments += count
            if segments > SEGMENTS_AT_ONCE and position:
                return begun, rows[:position], False
        return begun, rows, len(rows) < MESSAGES_AT_ONCE

    def _empty_receipts(self, first: int, last: int) -> None:
        """Take the raw receipts of messages: they may hold the beginning of the text."""
        receipts = self._db.execute(
            "UPDATE segment SET receipt = NULL WHERE id > ? AND id <= ? AND receipt IS NOT NULL",
            (first << SEGMENT_BITS, last << SEGMENT_BITS | SEGMENT_MASK),
        )
        self._count("receipts", receipts.rowcount)

    def _hashed(self, number: str) -> str:
        return HASH_MARK + self._hasher.of(number)

    # What phones sent

    def inbound_texts(self) -> int | None:
        """Empty texts from phones."""
        due, after = self._walk(_INBOUND_TEXTS, self._now - self._periods.text_ms)
        self._db.executemany("UPDATE inbound SET text = '', octets = x'' WHERE id = ?", due)
        self._count("inbound_texts", len(due))
        return after

    def inbound_numbers(self) -> int | None:
        """Replace the numbers of those who wrote by their hashes."""
        due, after = self._walk(_INBOUND_NUMBERS, self._now - self._periods.number_ms)
        for (inbound_id,) in due:
            (source,) = self._db.execute(
                "SELECT source FROM inbound WHERE id = ?", (inbound_id,)
            ).fetchone()
            self._db.execute(
                "UPDATE inbound SET source = ? WHERE id = ?", (self._hashed(source), inbound_id)
            )
        self._count("inbound_numbers", len(due))
        return after

    def optout_numbers(self) -> int | None:
        """Take the numbers of opt-outs; the hash beside them stays, and so does the proof."""
        before = self._now - self._periods.number_ms
        if self._db.execute(_NUMBERS_NEEDED, (before,)).fetchone()[0]:
            return None
        due, after = self._walk(_OPTOUTS, before)
        self._db.executemany("UPDATE optout SET recipient = NULL WHERE id = ?", due)
        self._count("optout_numbers", len(due))
        return after

    def _walk(self, select: str, before: int) -> tuple[list[tuple[int]], int | None]:
        """Look at the next rows of a table.

        Returns:
            The ids of those that are due, and the last id looked at, None where that is the end.
        """
        looked = self._db.execute(select, (before, self._after, LOOKED_AT_ONCE)).fetchall()
        due: list[tuple[int]] = []
        for row_id, is_due in looked:
            if is_due:
                due.append((row_id,))
                if len(due) == MESSAGES_AT_ONCE:
                    return due, row_id
        return due, looked[-1][0] if len(looked) == LOOKED_AT_ONCE else None

    # The audit

    def audit_entries(self) -> int | None:
        """Take the oldest entries of the audit."""
        before = self._now - self._periods.audit_ms
        nth = self._db.execute(
            "SELECT at FROM audit ORDER BY id LIMIT 1 OFFSET ?", (MESSAGES_AT_ONCE,)
        ).fetchone()
        taken = 0
        if nth is not None and nth[0] < before:
            taken = audit.purge(self._db, nth[0])
        self._count("audit_entries", taken or audit.purge(self._db, before))
        return 0 if taken else None


_STEPS: tuple[Callable[[_Slice], int | None], ...] = (
    _Slice.job_texts,
    _Slice.inbound_texts,
    _Slice.job_numbers,
    _Slice.inbound_numbers,
    _Slice.optout_numbers,
    _Slice.audit_entries,
)


def due(db: sqlite3.Connection, periods: Periods, now: int) -> dict[str, int]:
    """Count what a round would do now, by KINDS; changes nothing.

    Reads every message of the jobs that are due.

    Args:
        db: the ledger, in no transaction.
        periods: how long things are kept.
        now: milliseconds since 1970.
    """
    text, number = now - periods.text_ms, now - periods.number_ms
    counts = dict.fromkeys(KINDS, 0)
    db.execute("BEGIN")
    try:
        texts = _ids(db, f"SELECT id FROM job WHERE {_DUE_TEXT}", text)  # nosec B608  # only constants
        numbers = _ids(db, f"SELECT id FROM job WHERE {_DUE_NUMBERS}", number)  # nosec B608  # only constants
        counts["job_texts"], counts["job_numbers"] = len(texts), len(numbers)
        for job_id in texts:
            counts["personal_fields"] += _number(
                db,
                "SELECT count(fields) FROM message WHERE id > ? AND id < ?",
                *messages_of(job_id),
            )
        for job_id in numbers:
            counts["message_numbers"] += _number(
                db,
                "SELECT count(*) FROM message WHERE id > ? AND id < ? AND recipient NOT LIKE '#%'",
                *messages_of(job_id),
            )
        for job_id in {*texts, *numbers}:
            first, last = messages_of(job_id)
            counts["receipts"] += _number(
                db,
                "SELECT count(receipt) FROM segment WHERE id > ? AND id < ?",
                first << SEGMENT_BITS,
                last << SEGMENT_BITS,
            )
        everything = (0, -1)  # after no id, without a limit
        counts["inbound_texts"] = _due_rows(db, _INBOUND_TEXTS, text, *everything)
        counts["inbound_numbers"] = _due_rows(db, _INBOUND_NUMBERS, number, *everything)
        if not _number(db, _NUMBERS_NEEDED, number):
            counts["optout_numbers"] = _due_rows(db, _OPTOUTS, number, *everything)
        counts["audit_entries"] = _number(
            db,
            "SELECT count(*) FROM audit WHERE id <"
            " coalesce((SELECT min(id) FROM audit WHERE at >= ?), (SELECT max(id) + 1 FROM audit))",
            now - periods.audit_ms,
        )
    finally:
        db.execute("COMMIT")
    return counts


def _ids(db: sqlite3.Connection, select: str, before: int) -> list[int]:
    return [row[0] for row in db.execute(select, (before,)).fetchall()]


def _number(db: sqlite3.Connection, select: str, *parameters: int) -> int:
    number: int = db.execute(select, parameters).fetchone()[0]
    return number


def _due_rows(db: sqlite3.Connection, select: str, *parameters: int) -> int:
    return sum(is_due for _, is_due in db.execute(select, parameters))
