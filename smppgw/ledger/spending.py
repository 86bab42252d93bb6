"""What a tenant has spent: segments of its jobs, for budgets by the month."""

import sqlite3

from smppgw.ledger.keys import messages_of

_UNSENT = ("rejected", "expired", "cancelled", "suppressed")  # what nobody pays for


def segments_between(
    db: sqlite3.Connection, tenant: str, since: int, until: int, *, but: str | None = None
) -> int:
    """Count the segments of a tenant's messages that were sent or wait, of jobs made in a period.

    A message that ended without being sent, or that the SMSC refused, counts for nothing; one that
    was sent again counts once. 0.1 ms; 0.2 s where of a job of a million messages some were not
    sent, because then each of them is looked at.

    Args:
        db: the ledger.
        tenant: its name.
        since: the period's first instant, milliseconds since 1970.
        until: the first instant behind it.
        but: the key of a job that is not counted, because it is the one being asked for again.
    """
    total = 0
    jobs = db.execute(
        f"SELECT id, segments, {' + '.join(_UNSENT)} FROM job"  # nosec B608  # only constants
        " WHERE tenant = ? AND created_at >= ? AND created_at < ? AND state <> 'loading'"
        " AND (key IS NULL OR key IS NOT ?)",
        (tenant, since, until, but),
    ).fetchall()
    for job_id, segments, unsent in jobs:
        total += segments
        if unsent:
            (saved,) = db.execute(
                "SELECT coalesce(sum(segments), 0) FROM message WHERE id > ? AND id < ?"  # nosec B608  # only constants
                f" AND ({' OR '.join(f'state = {state!r}' for state in _UNSENT)})",
                messages_of(job_id),
            ).fetchone()
            total -= saved
    return total
