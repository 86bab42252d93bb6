"""The gateway's way to the ledger: aiosqlite's one writer thread.

Every call runs a whole function of this package in that thread and returns what it returned: a turn
costs one hop there and back, not one for each statement. There is no second writer in the process.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import aiosqlite

from smppgw.ledger.database import Locks, data_version, explained, open_database

# A commit is written to the WAL, flushed, and only then to be seen: the WAL's time is trusted when
# it is older than any flush takes. Some file systems also count in whole seconds.
_SETTLED_NS = 10_000_000_000

P = ParamSpec("P")
T = TypeVar("T")


class _Ledger(aiosqlite.Connection):
    """A connection to the ledger, in a thread of its own."""

    path: Path

    def _end(self) -> None:
        if self._thread.is_alive():  # at its last step, which must not outlive the event loop
            self._thread.join()

    async def __aexit__(self, *exception: object) -> None:
        try:
            await self.close()
        finally:
            self._end()

    async def call(
        self,
        function: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a function of this package in the thread, on its connection.

        The function ends even when the caller is cancelled: a transaction is never cut in two.

        Raises:
            DatabaseError: SQLite could not do it; the function's transaction was rolled back.
        """
        with explained(self.path):
            result: T = await self._execute(  # type: ignore[no-untyped-call]  # of aiosqlite
                function, self._conn, *args, **kwargs
            )
            return result


class Reader(_Ledger):
    """A second way to the ledger that can only read: what takes long holds no turn.

    Use `async with Reader(path)`, once the file is there.
    """

    def __init__(self, path: Path) -> None:
        """Prepare; nothing is opened before `async with`."""
        super().__init__(lambda: _open_to_read(path), iter_chunk_size=64)
        self.path = path

    async def __aenter__(self) -> "Reader":
        """Open it.

        Raises:
            DatabaseError: it cannot be opened.
        """
        try:
            await self
        except BaseException:
            self._end()
            raise
        return self


def _open_to_read(path: Path) -> sqlite3.Connection:
    db = open_database(path, gateway=True)
    db.execute("PRAGMA query_only = ON")
    return db


class Writer(_Ledger):
    """The ledger in a thread of its own, as the gateway of this database.

    Use `async with Writer(path)`; the thread ends with it.
    """

    def __init__(self, path: Path) -> None:
        """Prepare; nothing is opened before `async with`.

        Args:
            path: the SQLite file; made where there is none.
        """
        super().__init__(lambda: open_database(path, create=True, gateway=True), iter_chunk_size=64)
        self.path = path
        self.locks: Locks
        self._wal = path.with_name(path.name + "-wal")
        self._settled: tuple[int, int] | None = None  # how the WAL was when `version` was asked

    async def __aenter__(self) -> "Writer":
        """Become the gateway of this database.

        Raises:
            GatewayRunningError: another process is.
            DatabaseError: it cannot be opened.
        """
        self.locks = Locks(self.path)
        try:
            self.locks.take_gateway()
            await self
        except BaseException:
            self._end()
            raise
        return self

    def _end(self) -> None:
        super()._end()
        self.locks.close()

    async def version(self) -> int:
        """Return a number that changes when another process has written."""
        seen = self._look()
        version = await self.call(data_version)
        written_ns = seen[0] if seen else 0
        self._settled = seen if time.time_ns() - written_ns > _SETTLED_NS else None
        return version

    def quiet(self) -> bool:
        """Tell whether nobody has written since `version` was asked for, where that can be told.

        One look at the WAL's times and size, 2 µs: to ask SQLite takes the way to the thread and
        back, 0.5 ms on an idle machine, thirty times a second. Never while the gateway writes.
        """
        return self._settled is not None and self._settled == self._look()

    def _look(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._wal)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size
