"""Jobs steered while a gateway may be running on the ledger: paused, resumed, cancelled, retried.

Each takes effect in one transaction, between two turns; what it means for a million messages is
then done in transactions as small as those of a submission. A segment that has left cannot be
called back: its outcome is recorded whatever becomes of its job. Who did it is written to the audit
in the transaction in which it takes effect; what changes nothing is not written.

Arrows that are made here and nowhere else:

    scheduled | queued | sending → paused → scheduled | queued | sending   of a job
    … → cancelled, done → sending                                          of a job
    unknown | undelivered | rejected | expired → queued                    of a message
"""

import sqlite3
from collections import Counter

from smppgw.errors import InputError
from smppgw.ledger import audit
from smppgw.ledger.database import make_way, transaction
from smppgw.ledger.jobs import Job, find_job
from smppgw.ledger.keys import MESSAGE_BITS, messages_of, segments_of
from smppgw.ledger.turn import AT_ONCE, CANCELLED_AT_ONCE, add_to_counts, cancel_some

RETRIED_AT_ONCE = 200  # messages in one transaction: 2 to 4 ms

# What `retry` takes up, and the segments of it that are sent again: those that did not arrive.
RETRIED = {
    "rejected": ("rejected",),
    "expired": (),
    "unknown": ("unknown",),
    "undelivered": ("undelivered", "rejected"),
}


def pause(db: sqlite3.Connection, job_id: int, now: int, actor: str) -> Job:
    """Send nothing more of a job until it is resumed; the validity of its messages runs on.

    Args:
        db: the ledger.
        job_id: the job.
        now: milliseconds since 1970.
        actor: who does it, for the audit.

    Raises:
        InputError: there is no such job, or nothing of it waits.
    """
    with transaction(db):
        job = _require(db, job_id)
        if job.state not in ("scheduled", "queued", "sending", "paused"):
            raise InputError(f"Job {job_id} is {job.state}: there is nothing to pause.")
        if job.state != "paused":
            db.execute("UPDATE job SET state = 'paused' WHERE id = ?", (job_id,))
            audit.note(db, now, actor, "job.paused", job_id, queued=job.counts["queued"])
    return _require(db, job_id)


def resume(db: sqlite3.Connection, job_id: int, now: int, actor: str) -> Job:
    """Go on with a job that was paused.

    Args:
        db: the ledger.
        job_id: the job.
        now: milliseconds since 1970.
        actor: who does it, for the audit.

    Raises:
        InputError: there is no such job, or it is not paused.
    """
    with transaction(db):
        job = _require(db, job_id)
        if job.state != "paused":
            raise InputError(f"Job {job_id} is {job.state}, not paused.")
        state = "queued" if job.starts_at <= now else "scheduled"
        if job.first_submit_at is not None:
            state = "sending"
        db.execute("UPDATE job SET state = ? WHERE id = ?", (state, job_id))
        audit.note(db, now, actor, "job.resumed", job_id, queued=job.counts["queued"])
    return _require(db, job_id)


def cancel(db: sqlite3.Connection, job_id: int, now: int, actor: str) -> Job:
    """Send nothing more of a job, ever: its messages that wait become cancelled.

    Should this process die on the way, the gateway goes on with it.

    Args:
        db: the ledger.
        job_id: the job.
        now: milliseconds since 1970.
        actor: who does it, for the audit.

    Raises:
        InputError: there is no such job, it is being submitted, or it has ended.
    """
    with transaction(db):
        job = _require(db, job_id)
        if job.state in ("loading", "done"):
            raise InputError(f"Job {job_id} is {job.state}: there is nothing to cancel.")
        if job.state != "cancelled":
            db.execute("UPDATE job SET state = 'cancelled' WHERE id = ?", (job_id,))
            audit.note(db, now, actor, "job.cancelled", job_id, queued=job.counts["queued"])
    cancelled = CANCELLED_AT_ONCE
    while cancelled == CANCELLED_AT_ONCE:
        with transaction(db):
            cancelled = cancel_some(db, job_id)
            add_to_counts(db, job_id, {"queued": -cancelled, "cancelled": cancelled}, now)
        make_way()
    return _require(db, job_id)


def retry(db: sqlite3.Connection, job_id: int, states: set[str], now: int, actor: str) -> int:
    """Send messages of a job again that are in certain states, with as long a validity as before.

    Args:
        db: the ledger.
        job_id: the job.
        states: some of RETRIED.
        now: milliseconds since 1970.
        actor: who does it, for the audit.

    Returns:
        How many are sent again.

    Raises:
        InputError: there is no such job, it is being submitted, it was cancelled, or its text or
            its numbers are gone.
    """
    retried, (after, last) = 0, messages_of(job_id)
    wanted = ", ".join(f"'{state}'" for state in RETRIED if state in states)
    # A number that begins with # is the hash of one that was erased.
    found = f"state IN ({wanted}) AND recipient NOT LIKE '#%'"
    while True:
        ids = db.execute(  # looked for outside of the transaction: it may be a long way to the next
            f"SELECT id FROM message WHERE id > ? AND id < ? AND {found} ORDER BY id LIMIT ?",  # nosec B608  # only constants
            (after, last, RETRIED_AT_ONCE),
        ).fetchall()
        with transaction(db):
            job = _require(db, job_id)
            if job.state in ("loading", "cancelled"):
                raise InputError(f"Job {job_id} is {job.state}: nothing of it can be sent again.")
            (text,) = db.execute("SELECT text FROM job WHERE id = ?", (job_id,)).fetchone()
            if not text:
                raise InputError(
                    f"The text of job {job_id} was taken by retention: nothing of it can be sent "
                    "again. Submit it anew."
                )
            if not ids:
                return retried
            rows = [
                row
                for message_id in ids
                for row in db.execute(
                    f"SELECT id, state FROM message WHERE id = ? AND {found}",  # nosec B608  # only constants
                    message_id,
                )
            ]
            if not retried:  # with the first of them: who dies on the way has ordered them all
                count = sum(job.counts[state] for state in states)
                audit.note(
                    db, now, actor, "job.retried", job_id, states=sorted(states), messages=count
                )
            if rows:
                _requeue(db, job_id, rows, now)
        make_way()
        retried += len(rows)
        (after,) = ids[-1]


def _requeue(db: sqlite3.Connection, job_id: int, rows: list[tuple[int, str]], now: int) -> None:
    change: Counter[str] = Counter()
    for message_id, state in rows:
        for segment_state in RETRIED[state]:
            db.execute(
                "DELETE FROM segment WHERE id > ? AND id < ? AND state = ?",
                (*segments_of(message_id), segment_state),
            )
        change[state] -= 1
        change["queued"] += 1
    # Another attempt, so that a late answer to the one before is not taken for its own; the first
    # of as many as the class allows.
    db.executemany(
        "UPDATE message SET state = 'queued', error = NULL, due_at = ?, attempts = attempts + 1,"
        " forgiven = attempts + 1 WHERE id = ?",
        [(AT_ONCE, message_id) for message_id, _ in rows],
    )
    db.execute(
        "UPDATE job SET state = iif(state = 'paused', state, 'sending'), finished_at = NULL,"
        " expires_at = max(expires_at, ? + expires_at - created_at) WHERE id = ?",
        (now, job_id),
    )
    streams = {message_id >> MESSAGE_BITS for message_id, _ in rows}
    db.executemany(
        "UPDATE stream SET ready_at = min(coalesce(ready_at, ?1), ?1) WHERE id = ?2",
        [(AT_ONCE, stream_id) for stream_id in sorted(streams)],
    )
    add_to_counts(db, job_id, change, now)


def _require(db: sqlite3.Connection, job_id: int) -> Job:
    job = find_job(db, job_id)
    if job is None:
        raise InputError(f"There is no job {job_id}: `smppgw jobs list` shows those there are.")
    return job
