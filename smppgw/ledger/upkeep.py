"""The ledger looked after: copied while it is at work, and held to its own invariants.

A copy is the state of one instant, and knows nothing of what was sent after it. So that nobody is
written to twice when it is put back, every job in it that could still send is paused: a person
looks at what has been sent since, then resumes or cancels.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from smppgw.errors import OperationError
from smppgw.ledger.turn import MESSAGE_STATES, RECEIPT_KINDS


def backup(db: sqlite3.Connection, target: Path) -> int:
    """Copy the ledger into a file of its own, readable by its owner alone.

    The gateway goes on meanwhile; the copy appears under its name when it is whole and on disk.

    Args:
        db: the ledger.
        target: a file that does not exist.

    Returns:
        The jobs that are paused in the copy.

    Raises:
        OperationError: there is a file of that name.
    """
    if target.exists():
        raise OperationError(f"{target} exists: name another file, nothing is ever replaced.")
    unfinished = target.with_name(target.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with closing(sqlite3.connect(unfinished, isolation_level=None)) as copy:
            db.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a WAL beside it
            copy.execute("PRAGMA synchronous = FULL")
            copy.execute("DELETE FROM gateway")
            copy.execute("DELETE FROM link")
            paused = copy.execute(
                "UPDATE job SET state = 'paused'"
                " WHERE state = 'scheduled' OR state = 'queued' OR state = 'sending'"
            ).rowcount
        os.link(unfinished, target)  # fails where somebody else was quicker
    except FileExistsError:
        raise OperationError(f"{target} exists: name another file.") from None
    finally:
        unfinished.unlink(missing_ok=True)
    _sync_folder(target.absolute().parent)
    return paused


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def verify(db: sqlite3.Connection) -> Iterator[str]:
    """Recompute what the ledger counts, and say what is wrong with it, a sentence each.

    Reads the whole ledger: minutes for tens of millions of messages. Everything is seen as of one
    instant, whatever the gateway does meanwhile.
    """
    db.execute("BEGIN")
    try:
        yield from _damage(db)
        yield from _wrong_counts(db)
        yield from _wrong_receipts(db)
        yield from _wrong_messages(db)
    finally:
        db.execute("COMMIT")


def _damage(db: sqlite3.Connection) -> Iterator[str]:
    for (line,) in db.execute("PRAGMA integrity_check").fetchall():
        if line != "ok":
            yield f"The file is damaged: {line}."


def _wrong_counts(db: sqlite3.Connection) -> Iterator[str]:
    """I2: a job's counts are those of its messages."""
    columns = ", ".join(MESSAGE_STATES)
    for job_id, *counted in db.execute(f"SELECT id, {columns} FROM job ORDER BY id").fetchall():  # nosec B608  # only constants
        found = dict(
            db.execute(
                "SELECT state, count(*) FROM message WHERE id > ? AND id < ? GROUP BY state",
                (job_id << 32, (job_id + 1) << 32),
            ).fetchall()
        )
        for state, count in zip(MESSAGE_STATES, counted, strict=True):
            if found.get(state, 0) != count:
                yield (
                    f"Job {job_id} counts {count} messages as {state} and has "
                    f"{found.get(state, 0)}."
                )


def _wrong_receipts(db: sqlite3.Connection) -> Iterator[str]:
    """I9: no receipt disappears, and those that are parked are there."""
    kinds = ", ".join(f"receipts_{kind}" for kind in RECEIPT_KINDS)
    rows = db.execute(f"SELECT id, name, {kinds} FROM account ORDER BY id").fetchall()  # nosec B608  # only constants
    for account_id, name, received, matched, parked, orphan, duplicate in rows:
        if received != matched + parked + orphan + duplicate:
            yield (
                f"Account {name} received {received} receipts and accounts for "
                f"{matched + parked + orphan + duplicate}."
            )
        (there,) = db.execute(
            "SELECT count(*) FROM parked WHERE account_id = ?", (account_id,)
        ).fetchone()
        if there != parked:
            yield f"Account {name} counts {parked} parked receipts and has {there}."


# Messages whose state their segments contradict: what is wrong, and the condition.
_CONTRADICTIONS = (
    (
        "is accepted or delivered without as many segments",
        "(m.state = 'accepted' OR m.state = 'delivered') AND"
        " (SELECT count(*) FROM segment AS s WHERE s.id > m.id << 8 AND s.id < (m.id + 1) << 8"
        " AND (s.state = 'accepted' OR s.state = 'delivered')) < m.segments",
    ),
    (
        "is submitting without a segment that is",
        "m.state = 'submitting' AND NOT EXISTS (SELECT 1 FROM segment AS s"
        " WHERE s.id > m.id << 8 AND s.id < (m.id + 1) << 8)",
    ),
    (
        "waits, and nothing would ever claim it",
        "m.state = 'queued' AND m.due_at IS NULL"
        " AND m.id <= (SELECT cursor FROM stream WHERE stream.id = m.id >> 26)",
    ),
    (
        "waits in a stream that is not to be claimed",
        "m.state = 'queued' AND EXISTS (SELECT 1 FROM stream WHERE stream.id = m.id >> 26"
        " AND ready_at IS NULL) AND EXISTS (SELECT 1 FROM job WHERE job.id = m.id >> 32"
        " AND (job.state = 'queued' OR job.state = 'sending'))",
    ),
)


def _wrong_messages(db: sqlite3.Connection) -> Iterator[str]:
    for what, condition in _CONTRADICTIONS:
        (count,) = db.execute(f"SELECT count(*) FROM message AS m WHERE {condition}").fetchone()  # nosec B608  # only constants
        if count:
            (example,) = db.execute(
                f"SELECT m.id >> 32 FROM message AS m WHERE {condition} LIMIT 1"  # nosec B608  # only constants
            ).fetchone()
            yield f"{count} messages, one in job {example}: each {what}."
    (strays,) = db.execute(
        "SELECT count(*) FROM segment AS s"
        " WHERE NOT EXISTS (SELECT 1 FROM message AS m WHERE m.id = s.id >> 8)"
    ).fetchone()
    if strays:
        yield f"{strays} segments belong to no message."
