"""The file: opening it, its version, its locks, and what goes wrong with it in plain words.

One SQLite file in WAL mode with synchronous=FULL: what is committed survives kill -9 and power cut
(I1). Beside it stands `<file>-lock`, whose single octets are locked by the processes at work: octet
0 by the gateway, octet N by whoever loads job N. A lock goes with its process, so a dead loader is
told from a slow one without a clock. The locks are of the open file description (fcntl(2), Linux),
so that a gateway and a loader in one process hold theirs apart.
"""

import fcntl
import os
import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from smppgw.errors import ContradictionError, DatabaseError, GatewayRunningError

Database = sqlite3.Connection  # what the other rooms call it


def _script(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


VERSION = 2
# From each earlier version to the next: the statements that change what is there.
MIGRATIONS = {1: _script("version_1_to_2.sql")}
_APPLICATION_ID = 0x534D5050  # "SMPP": tells our files from those of programs that count alike
BUSY_TIMEOUT_S = 30.0  # another writer holds the file for milliseconds; longer means it hangs
_BUSY_RETRY_S = 0.005
_CACHE_KIB = 16 * 1024
# While a reader holds a snapshot the WAL grows without end, and SQLite never shortens its file by
# itself. Four times what is checkpointed at once (1000 pages), so that it is not cut every time.
WAL_LIMIT_OCTETS = 16 * 1024 * 1024
_GATEWAY_OCTET = 0
_FLOCK = struct.Struct("hhqqi4x")  # l_type, l_whence, l_start, l_len, l_pid


def open_database(path: Path, *, create: bool = False, gateway: bool = False) -> sqlite3.Connection:
    """Open the ledger's file, in autocommit mode: transactions are visible in the code.

    Args:
        path: the SQLite file.
        create: make it, with mode 0600, where there is none.
        gateway: the caller holds the gateway's lock.

    Raises:
        DatabaseError: there is none, it cannot be opened or written, or it is no ledger of ours.
    """
    with explained(path):
        if create:
            _create(path)
        elif not path.exists():
            raise DatabaseError(
                f"There is no database {path} yet: `smppgw submit` and `smppgw run` make it."
            )
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            cached_statements=256,
            check_same_thread=False,  # opened here, used by the one thread of aiosqlite
        )
        try:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")  # what retention takes is gone from the file
            db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            db.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_OCTETS}")
            _bring_up(db, path, gateway=gateway)
        except BaseException:
            db.close()
            raise
    return db


def _create(path: Path) -> None:
    # Made before SQLite does, so that its mode is never wider than ours.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _bring_up(db: sqlite3.Connection, path: Path, *, gateway: bool) -> None:
    if _empty(db):
        _write_ahead(db)
        with transaction(db):
            if _empty(db):  # nobody else was quicker
                for statement in _statements(_script("schema.sql")):
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {VERSION}")
    if _number(db, "application_id") != _APPLICATION_ID:
        raise DatabaseError(
            f"{path} is a database of some other program: name another file as [gateway] database."
        )
    version = _number(db, "user_version")
    if version < VERSION:
        _migrate(db, path, gateway=gateway)
    elif version > VERSION:
        raise DatabaseError(
            f"{path} has version {version} and this smppgw knows version {VERSION}: "
            "run the smppgw that made it, or a newer one."
        )


def _migrate(db: sqlite3.Connection, path: Path, *, gateway: bool) -> None:
    """Bring an earlier version up to date, in one transaction, while no gateway is at work on it.

    Raises:
        GatewayRunningError: one is; the database is left as it was.
    """
    locks = Locks(path)
    try:
        if not gateway:
            locks.take_gateway()
        with transaction(db):
            for version in range(_number(db, "user_version"), VERSION):
                for statement in _statements(MIGRATIONS[version]):
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
    finally:
        locks.close()


def _write_ahead(db: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite itself does not wait where several processes do so at once."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(_BUSY_RETRY_S)


def _empty(db: sqlite3.Connection) -> bool:
    numbered = _number(db, "application_id") or _number(db, "user_version")
    return not numbered and not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]


def _number(db: sqlite3.Connection, pragma: str) -> int:
    number: int = db.execute(f"PRAGMA {pragma}").fetchone()[0]
    return number


def _statements(script: str) -> Iterator[str]:
    """Cut a script into its statements, so that all run in one transaction."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system raise into one sentence that says what to do.

    Raises:
        DatabaseError: in place of any sqlite3.Error or OSError inside.
        ContradictionError: in place of one that says that the ledger's rules would be broken.
    """
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise ContradictionError(f"{path}: {_explain(error)}") from error
    except sqlite3.Error as error:
        raise DatabaseError(f"{path}: {_explain(error)}") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DatabaseError(f"{path}: {reason}. Check the path, its owner and its mode.") from error


_EXPLANATIONS = {
    "SQLITE_READONLY": "it cannot be written. Check the owner and mode of the file and its folder.",
    "SQLITE_CANTOPEN": "it cannot be opened. Check that its folder exists and may be written.",
    "SQLITE_PERM": "it cannot be opened. Check the owner and mode of the file and its folder.",
    "SQLITE_BUSY": f"another process has held it for {BUSY_TIMEOUT_S:g} s. Find it and end it.",
    "SQLITE_FULL": "the disk is full. Make room: nothing that was acknowledged is lost.",
    "SQLITE_IOERR": "the disk does not read or write. Check it before anything else.",
    "SQLITE_NOTADB": "it is not an SQLite database. Name another file as [gateway] database.",
    "SQLITE_CORRUPT": "it is damaged. Stop the gateway and restore a backup.",
}


def _explain(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "")
    for prefix, explanation in _EXPLANATIONS.items():
        if name.startswith(prefix):
            return explanation
    return f"{error}."


def data_version(db: sqlite3.Connection) -> int:
    """Return a number that changes when another connection has written."""
    version: int = db.execute("PRAGMA data_version").fetchone()[0]
    return version


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit what is done inside, or nothing of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite has rolled back by itself where the disk is full
            db.execute("ROLLBACK")
        raise


SLICE_REST_S = 0.005


def make_way() -> None:
    """Let others have their turn, between two slices of long work.

    Who waits for the file looks for a gap only every so often (sqlite3_busy_handler): without a
    rest a gateway would wait for the last slice, and an alert with it.
    """
    time.sleep(SLICE_REST_S)


class Locks:
    """The lock file: who is at work on this database."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + "-lock")
        self._jobs: set[int] = set()  # loaded here: no lock stands in the way of its own holder
        with explained(self._path):
            self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Let go of every lock taken here; may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def take_gateway(self) -> None:
        """Become the gateway of this database.

        Raises:
            GatewayRunningError: another process is.
        """
        if not self._take(_GATEWAY_OCTET):
            raise GatewayRunningError(
                "A gateway is already running on this database: stop it first, "
                "or see `smppgw status`."
            )

    def gateway_running(self) -> bool:
        """Whether some process is the gateway of this database."""
        return not self._free(_GATEWAY_OCTET)

    def take_job(self, job_id: int) -> None:
        """Say that this process loads a job."""
        self._take(job_id)
        self._jobs.add(job_id)

    def job_abandoned(self, job_id: int) -> bool:
        """Whether no process loads this job."""
        return job_id not in self._jobs and self._free(job_id)

    def _take(self, octet: int) -> bool:
        lock = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, octet, 1, 0)
        with explained(self._path):
            try:
                fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, lock)
            except (BlockingIOError, PermissionError):
                return False
        return True

    def _free(self, octet: int) -> bool:
        lock = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, octet, 1, 0)
        with explained(self._path):
            answer = fcntl.fcntl(self._descriptor, fcntl.F_OFD_GETLK, lock)
        return bool(_FLOCK.unpack(answer)[0] == fcntl.F_UNLCK)
