"""What the ledger knows of whether an alert could leave now; the rules are in campaign/readiness.

Times are milliseconds since 1970.
"""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from smppgw.ledger.database import BUSY_TIMEOUT_S
from smppgw.ledger.spending import segments_between

WRITABLE_TIMEOUT_S = 1.0  # a transaction of a loader or of retention holds it for milliseconds


class Standing(NamedTuple):
    """What is read in one go: 20 µs, and 0.1 ms for each thousand jobs since the last alert.

    Attributes:
        latest_at: the latest time that the newest job, a claim or the gateway wrote down; 0 where
            nothing did.
        drilled_at: when the first segment of the newest alert or drill left; None where none did.
    """

    latest_at: int
    drilled_at: int | None


def standing(db: sqlite3.Connection) -> Standing:
    """Return how the ledger stands, in a transaction or not."""
    # NOT INDEXED: statistics of a small ledger would have SQLite walk a key's index and sort.
    (latest_at,) = db.execute(
        "SELECT max(coalesce((SELECT created_at FROM job NOT INDEXED ORDER BY id DESC LIMIT 1), 0),"
        " coalesce((SELECT max(claimed_at) FROM account), 0),"
        " coalesce((SELECT max(since) FROM gateway), 0))"
    ).fetchone()
    drill = db.execute(
        "SELECT first_submit_at FROM job NOT INDEXED WHERE class = 'alert'"
        " AND first_submit_at IS NOT NULL ORDER BY id DESC LIMIT 1"
    ).fetchone()
    return Standing(latest_at, None if drill is None else drill[0])


def spent(db: sqlite3.Connection, tenants: Iterable[str], since: int, until: int) -> dict[str, int]:
    """Return how many segments each of these tenants has used in a period.

    See `spending.segments_between` for what counts and what it takes: to be called by the minute,
    not by the second.
    """
    return {tenant: segments_between(db, tenant, since, until) for tenant in tenants}


def require_writable(db: sqlite3.Connection) -> None:
    """Take the right to write and give it back; nothing is written.

    Raises:
        sqlite3.Error: it cannot be had within WRITABLE_TIMEOUT_S.
    """
    db.execute(f"PRAGMA busy_timeout = {int(WRITABLE_TIMEOUT_S * 1000)}")
    try:
        db.execute("BEGIN IMMEDIATE")
        db.execute("ROLLBACK")
    finally:
        db.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
