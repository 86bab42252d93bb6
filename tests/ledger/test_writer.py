"""The writer's thread: one at a time, whole functions, and one gateway for each database."""

import asyncio
import itertools
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from smppgw.errors import DatabaseError, GatewayRunningError, InputError
from smppgw.ledger.database import Locks, open_database, transaction
from smppgw.ledger.jobs import account_ids
from smppgw.ledger.writer import Writer
from tests.ledger.process import Other


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def thread(db: sqlite3.Connection) -> int:
    return threading.get_ident()


def accounts(db: sqlite3.Connection) -> int:
    count: int = db.execute("SELECT count(*) FROM account").fetchone()[0]
    return count


class Slow:
    """A function of the ledger that a test can hold in the middle of its transaction."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, db: sqlite3.Connection) -> None:
        with transaction(db):
            db.execute("INSERT INTO account (name) VALUES ('first half')")
            self.begun.set()
            assert self.go_on.wait(10)
            db.execute("INSERT INTO account (name) VALUES ('second half')")


async def begin(
    writer: Writer, slow: Callable[..., None], begun: threading.Event
) -> asyncio.Task[None]:
    call = asyncio.create_task(writer.call(slow))
    await asyncio.to_thread(begun.wait, 10)
    return call


def test_every_call_runs_in_the_same_thread_which_is_not_the_loops(path: Path) -> None:
    async def run() -> set[int]:
        async with Writer(path) as writer:
            return set(await asyncio.gather(*(writer.call(thread) for _ in range(20))))

    threads = asyncio.run(run())
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_calls_run_one_after_the_other_in_the_order_they_were_made(path: Path) -> None:
    ran: list[int] = []

    def note(db: sqlite3.Connection, number: int) -> None:
        ran.append(number)

    async def run() -> None:
        async with Writer(path) as writer:
            await asyncio.gather(*(writer.call(note, number) for number in range(50)))

    asyncio.run(run())
    assert ran == list(range(50))


def test_a_call_returns_what_the_function_returned(path: Path) -> None:
    async def run() -> dict[str, int]:
        async with Writer(path) as writer:
            return await writer.call(account_ids, ["operator"])

    assert asyncio.run(run()) == {"operator": 1}


def test_the_loop_goes_on_while_the_writer_writes(path: Path) -> None:
    async def run() -> int:
        slow = Slow()
        async with Writer(path) as writer:
            call = await begin(writer, slow, slow.begun)
            assert not call.done()
            slow.go_on.set()
            await call
            return await writer.call(accounts)

    assert asyncio.run(run()) == 2


def test_a_call_that_is_cancelled_midway_is_still_completed(path: Path) -> None:
    async def run() -> int:
        slow = Slow()
        async with Writer(path) as writer:
            call = await begin(writer, slow, slow.begun)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            slow.go_on.set()
            return await writer.call(accounts)

    assert asyncio.run(run()) == 2


def test_leaving_waits_for_a_call_that_was_cancelled_midway(path: Path) -> None:
    async def run() -> None:
        slow = Slow()
        async with Writer(path) as writer:
            call = await begin(writer, slow, slow.begun)
            call.cancel()
            asyncio.get_running_loop().call_soon(slow.go_on.set)

    asyncio.run(run())
    with closing(open_database(path)) as db:
        assert accounts(db) == 2


def test_a_call_that_fails_after_it_was_cancelled_disturbs_nobody(path: Path) -> None:
    go_on, begun = threading.Event(), threading.Event()

    def fail(db: sqlite3.Connection) -> None:
        begun.set()
        assert go_on.wait(10)
        db.execute("nonsense")

    async def run() -> list[dict[str, object]]:
        complaints: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
        async with Writer(path) as writer:
            call = await begin(writer, fail, begun)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            go_on.set()
            assert await writer.call(accounts) == 0
        return complaints

    assert asyncio.run(run()) == []


def test_an_error_of_sqlite_comes_out_as_a_sentence_and_the_writer_goes_on(path: Path) -> None:
    def half(db: sqlite3.Connection) -> None:
        with transaction(db):
            db.execute("INSERT INTO account (name) VALUES ('half')")
            db.execute("INSERT INTO account (name) VALUES ('half')")

    async def run() -> int:
        async with Writer(path) as writer:
            with pytest.raises(DatabaseError, match=r"ledger\.db: UNIQUE constraint failed"):
                await writer.call(half)
            return await writer.call(accounts)

    assert asyncio.run(run()) == 0


def test_what_a_function_refuses_comes_out_as_it_is(path: Path) -> None:
    def refuse(db: sqlite3.Connection) -> None:
        raise InputError("no")

    async def run() -> None:
        async with Writer(path) as writer:
            with pytest.raises(InputError, match="no"):
                await writer.call(refuse)

    asyncio.run(run())


def test_the_version_changes_when_somebody_else_has_written_and_only_then(path: Path) -> None:
    async def run() -> list[bool]:
        async with Writer(path) as writer:
            with closing(open_database(path)) as other:
                versions = [await writer.version()]
                await writer.call(account_ids, ["mine"])
                versions.append(await writer.version())
                account_ids(other, ["another's"])
                versions.append(await writer.version())
                accounts(other)
                versions.append(await writer.version())
        return [one != next_ for one, next_ in itertools.pairwise(versions)]

    assert asyncio.run(run()) == [False, True, False]


def test_it_is_quiet_as_long_as_nobody_else_writes_and_no_sooner_than_that_can_be_told(
    path: Path,
) -> None:
    async def run() -> list[bool]:
        async with Writer(path) as writer:
            with closing(open_database(path)) as other:
                await writer.call(account_ids, ["mine"])
                quiet = [writer.quiet()]
                await writer.version()
                quiet.append(writer.quiet())  # what is written now might have the same time
                os.utime(f"{path}-wal", (0, 0))
                quiet.append(writer.quiet())
                await writer.version()
                quiet.append(writer.quiet())
                accounts(other)
                quiet.append(writer.quiet())
                account_ids(other, ["another's"])
                quiet.append(writer.quiet())
        return quiet

    assert asyncio.run(run()) == [False, False, False, True, True, False]


# One gateway


def test_a_second_writer_is_refused_and_the_first_goes_on(path: Path) -> None:
    async def run() -> dict[str, int]:
        async with Writer(path) as writer:
            with pytest.raises(GatewayRunningError):
                await Writer(path).__aenter__()
            return await writer.call(account_ids, ["operator"])

    assert asyncio.run(run()) == {"operator": 1}


WRITE = """
import asyncio, pathlib, sys
from smppgw.errors import GatewayRunningError
from smppgw.ledger.writer import Writer
async def run():
    async with Writer(pathlib.Path(sys.argv[1])):
        print("running", flush=True)
        sys.stdin.readline()
try:
    asyncio.run(run())
except GatewayRunningError as error:
    print("refused", flush=True)
"""


def test_a_writer_in_another_process_stands_in_the_way_until_it_is_killed(path: Path) -> None:
    async def run() -> int:
        async with Writer(path) as writer:
            return await writer.call(accounts)

    with Other(WRITE, path) as other:
        assert other.line() == "running"
        with pytest.raises(GatewayRunningError):
            asyncio.run(run())
        other.kill()
    assert asyncio.run(run()) == 0


def test_a_writer_here_stands_in_the_way_of_another_process(path: Path) -> None:
    async def run() -> str:
        async with Writer(path):
            with Other(WRITE, path) as other:
                return await asyncio.to_thread(other.line)

    assert asyncio.run(run()) == "refused"


def test_a_writer_leaves_no_thread_and_no_lock_behind(path: Path) -> None:
    async def run() -> None:
        async with Writer(path):
            pass

    before = threading.active_count()
    for _ in range(2):
        asyncio.run(run())
    assert threading.active_count() == before
    with closing(Locks(path)) as locks:
        assert not locks.gateway_running()


def test_a_database_that_cannot_be_opened_leaves_no_lock_and_no_thread_behind(path: Path) -> None:
    path.write_text("Liste des communes\n" * 200)

    async def run() -> None:
        with pytest.raises(DatabaseError, match="it is not an SQLite database"):
            await Writer(path).__aenter__()
        with closing(Locks(path)) as locks:
            assert not locks.gateway_running()

    before = set(threading.enumerate())
    asyncio.run(run())
    assert set(threading.enumerate()) == before


def test_nothing_is_opened_before_it_is_entered(path: Path) -> None:
    Writer(path)
    assert list(path.parent.iterdir()) == []
