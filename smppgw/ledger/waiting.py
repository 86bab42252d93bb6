"""Jobs of which something is queued, and where it goes; why it waits is in campaign/waiting.

Plain sqlite3 connections, as in jobs; a job more costs 20 µs, however many messages it has.
"""

import sqlite3
from collections.abc import Iterable

from smppgw.ledger.jobs import Job, find_job
from smppgw.ledger.keys import ROUTE_MASK, streams_of


def waiting_jobs(db: sqlite3.Connection) -> list[Job]:
    """Return the jobs that have messages queued, in the order of the lanes, oldest first."""
    rows = db.execute(
        "SELECT id FROM job INDEXED BY job_waiting"
        " WHERE queued > 0 AND state <> 'loading' ORDER BY lane, created_at"
    ).fetchall()
    found = (find_job(db, job_id) for (job_id,) in rows)
    return [job for job in found if job is not None]


def prefixes_ahead(db: sqlite3.Connection, job_ids: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """Return, by job, the prefixes of the routes on which something of it may be claimed."""
    names = dict(db.execute("SELECT id, prefix FROM route"))
    ahead = {}
    for job_id in job_ids:
        streams = db.execute(
            "SELECT id FROM stream WHERE id >= ? AND id < ? AND ready_at IS NOT NULL",
            streams_of(job_id),
        )
        ahead[job_id] = tuple(names[stream_id & ROUTE_MASK] for (stream_id,) in streams)
    return ahead
