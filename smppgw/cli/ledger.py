"""The ledger as commands open it: what goes wrong is said in a sentence, and it is closed."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from smppgw.errors import InputError
from smppgw.ledger.database import Database, explained, open_database
from smppgw.ledger.jobs import Job, find_job


@contextmanager
def open_ledger(path: Path, *, create: bool = False) -> Iterator[Database]:
    """Open the ledger for a while.

    Args:
        path: [gateway] database.
        create: make it where there is none.

    Raises:
        DatabaseError: there is none, or it cannot be used; also in place of whatever SQLite or the
            file system raise inside.
    """
    with closing(open_database(path, create=create)) as db, explained(path):
        yield db


def require(db: Database, job_id: int) -> Job:
    """Return a job as it stands.

    Raises:
        InputError: there is none of that number.
    """
    job = find_job(db, job_id)
    if job is None:
        raise InputError(f"There is no job {job_id}: `smppgw jobs list` shows those there are.")
    return job
