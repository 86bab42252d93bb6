"""The file: who may read it, what is refused, who holds it, and what its errors say."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from smppgw.errors import DatabaseError, GatewayRunningError
from smppgw.ledger import database
from smppgw.ledger.database import (
    _EXPLANATIONS,
    VERSION,
    Locks,
    explained,
    open_database,
    transaction,
)
from tests.ledger.process import Other

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def make(path: Path) -> None:
    open_database(path, create=True).close()


def refusal(path: Path, *, create: bool = False) -> str:
    with pytest.raises(DatabaseError) as raised:
        open_database(path, create=create).close()
    text = str(raised.value)
    assert text.startswith(f"{path}") or f" {path} " in text
    assert text.endswith((".", "it."))
    return text


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be somebody whom modes bind: they do not bind root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


# Opening


def test_the_database_and_what_stands_beside_it_are_for_their_owner_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        with closing(open_database(path, create=True)), closing(Locks(path)):
            modes = {one.name: one.stat().st_mode & 0o777 for one in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {
        f"ledger.db{suffix}": 0o600 for suffix in ("", "-wal", "-shm", "-lock")
    }  # fmt: skip


@pytest.mark.parametrize("times", [1, 2])
def test_what_is_committed_is_on_disk_each_time_it_is_opened(path: Path, times: int) -> None:
    for _ in range(times):
        with closing(open_database(path, create=True)) as db:
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
            assert db.isolation_level is None


def test_a_new_database_has_the_version_that_the_next_opening_asks_for(path: Path) -> None:
    make(path)
    with closing(open_database(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert db.execute("SELECT count(*) FROM job").fetchone() == (0,)


def test_opening_again_keeps_what_is_there(path: Path) -> None:
    with closing(open_database(path, create=True)) as db:
        db.execute("INSERT INTO account (name) VALUES ('operator')")
    with closing(open_database(path, create=True)) as db:
        assert db.execute("SELECT name FROM account").fetchall() == [("operator",)]


@pytest.mark.parametrize("name", ["été 100%.db", "a?mode=ro#b.db", "a%20b.db"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    make(tmp_path / name)
    assert (tmp_path / name).stat().st_size > 0


def test_an_empty_file_that_a_crash_left_behind_becomes_a_ledger(path: Path) -> None:
    path.touch()
    with closing(open_database(path)) as db:
        assert db.execute("SELECT count(*) FROM job").fetchone() == (0,)


OPEN = """
import sys, pathlib
from smppgw.ledger.database import open_database
print("ready", flush=True)
sys.stdin.readline()
db = open_database(pathlib.Path(sys.argv[1]), create=True)
print(db.execute("SELECT count(*) FROM job").fetchone()[0], flush=True)
"""


def test_processes_that_make_the_database_at_once_all_get_it(tmp_path: Path) -> None:
    with ExitStack() as stack:
        others = [stack.enter_context(Other(OPEN, tmp_path / "x.db")) for _ in range(4)]
        assert [other.line() for other in others] == ["ready"] * 4
        for other in others:
            other.tell()
        assert [other.line() for other in others] == ["0"] * 4


def test_opening_waits_for_somebody_who_is_just_making_the_database(path: Path) -> None:
    path.touch()
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as maker,
        ThreadPoolExecutor() as pool,
    ):
        maker.execute("BEGIN IMMEDIATE")
        opening = pool.submit(open_database, path)
        with pytest.raises(TimeoutError):
            opening.result(0.2)
        maker.execute("ROLLBACK")
        opening.result(10).close()


# What is refused


def test_no_database_yet_says_what_makes_one(path: Path) -> None:
    assert refusal(path) == (
        f"There is no database {path} yet: `smppgw submit` and `smppgw run` make it."
    )
    assert not path.exists()


@pytest.mark.parametrize("version", [0, VERSION, 7])
@pytest.mark.parametrize("create", [True, False])
def test_the_database_of_another_program_is_refused_and_not_touched(
    path: Path, version: int, create: bool
) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE job (id INTEGER)")
        db.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    assert refusal(path, create=create) == (
        f"{path} is a database of some other program: name another file as [gateway] database."
    )
    assert path.read_bytes() == before


def test_a_database_of_another_version_says_which_smppgw_to_run(path: Path) -> None:
    with closing(open_database(path, create=True)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    assert refusal(path) == (
        f"{path} has version {VERSION + 1} and this smppgw knows version {VERSION}: "
        "run the smppgw that made it, or a newer one."
    )


@pytest.mark.parametrize("create", [True, False])
def test_a_file_that_is_no_database_is_refused_and_not_touched(path: Path, create: bool) -> None:
    path.write_text("Liste des communes\n" * 200)
    assert "it is not an SQLite database" in refusal(path, create=create)
    assert path.read_text() == "Liste des communes\n" * 200


def test_a_damaged_database_says_to_restore_a_backup(path: Path) -> None:
    make(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    assert refusal(path) == f"{path}: {_EXPLANATIONS['SQLITE_CORRUPT']}"


@pytest.mark.parametrize(
    ("below", "reason"),
    [("missing/x.db", "No such file or directory"), ("file/x.db", "Not a directory")],
)
def test_a_folder_that_is_none_is_told(tmp_path: Path, below: str, reason: str) -> None:
    (tmp_path / "file").touch()
    said = f"{reason}. Check the path, its owner and its mode."
    assert refusal(tmp_path / below, create=True) == f"{tmp_path / below}: {said}"
    with pytest.raises(DatabaseError) as raised:
        Locks(tmp_path / below)
    assert str(raised.value) == f"{tmp_path / below}-lock: {said}"


@pytest.mark.parametrize("create", [True, False])
def test_a_folder_in_place_of_the_file_is_told(tmp_path: Path, create: bool) -> None:
    assert refusal(tmp_path, create=create).startswith(f"{tmp_path}: ")


def test_a_folder_that_may_not_be_written_is_told(folder: Path) -> None:
    folder.chmod(0o555)
    with unprivileged():
        text = refusal(folder / "x.db", create=True)
        assert text.endswith("Permission denied. Check the path, its owner and its mode.")
        with pytest.raises(DatabaseError, match="Permission denied"):
            Locks(folder / "x.db")


def test_a_file_that_may_not_be_written_is_told(folder: Path) -> None:
    make(folder / "x.db")
    (folder / "x.db").chmod(0o444)
    folder.chmod(0o555)
    with unprivileged():
        assert "Check " in refusal(folder / "x.db")
        assert "Permission denied" in refusal(folder / "x.db", create=True)


def test_a_file_that_may_not_be_read_is_told(folder: Path) -> None:
    make(folder / "x.db")
    (folder / "x.db").chmod(0)
    with unprivileged():
        assert "Check " in refusal(folder / "x.db")


# Errors in plain words


@pytest.mark.parametrize("name", [*_EXPLANATIONS, "SQLITE_IOERR_WRITE", "SQLITE_BUSY_SNAPSHOT"])
def test_each_kind_of_sqlite_error_becomes_a_sentence(path: Path, name: str) -> None:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorname = name
    with pytest.raises(DatabaseError) as raised, explained(path):
        raise error
    text = str(raised.value)
    assert text.startswith(f"{path}: ")
    assert text.endswith(".")
    assert "what SQLite says" not in text
    assert raised.value.__cause__ is error


def test_an_error_that_has_no_sentence_of_its_own_keeps_its_words(path: Path) -> None:
    with pytest.raises(DatabaseError) as raised, explained(path):
        raise sqlite3.ProgrammingError("Cannot operate on a closed database")
    assert str(raised.value) == f"{path}: Cannot operate on a closed database."


def test_what_is_no_error_of_the_file_passes_as_it_is(path: Path) -> None:
    with pytest.raises(KeyError), explained(path):
        raise KeyError("x")


def test_a_full_disk_is_told_loses_nothing_and_the_ledger_goes_on_with_room(path: Path) -> None:
    with closing(open_database(path, create=True)) as db:
        db.execute("INSERT INTO account (name) VALUES ('kept')")
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(DatabaseError, match="the disk is full") as raised:
            fill(db, path)
        assert "nothing that was acknowledged is lost" in str(raised.value)
        assert not db.in_transaction
        db.execute("PRAGMA max_page_count = 1000000")
        fill(db, path)
        assert db.execute("SELECT count(*) FROM account").fetchone() == (201,)


def fill(db: sqlite3.Connection, path: Path) -> None:
    with explained(path), transaction(db):
        for number in range(200):
            db.execute("INSERT INTO account (name) VALUES (?)", (f"{number:01000d}",))


def test_a_database_that_another_holds_is_told_in_time(path: Path) -> None:
    with closing(open_database(path, create=True)) as db, closing(open_database(path)) as other:
        db.execute("PRAGMA busy_timeout = 0")
        with (
            transaction(other),
            pytest.raises(DatabaseError, match="another process has held it"),
            explained(path),
            transaction(db),
        ):
            pass
        with transaction(db):
            pass


def test_a_connection_that_may_only_read_is_told(path: Path) -> None:
    make(path)
    with (
        closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db,
        pytest.raises(DatabaseError, match="it cannot be written"),
        explained(path),
    ):
        db.execute("INSERT INTO account (name) VALUES ('x')")


def test_an_error_never_repeats_what_was_to_be_written(path: Path) -> None:
    with closing(open_database(path, create=True)) as db:
        row = (1, "+33600000001", "queued", 1)
        insert = "INSERT INTO message (id, recipient, state, segments) VALUES (?, ?, ?, ?)"
        db.execute(insert, row)
        for wrong in (row, (2, "+33600000001", "nowhere", 1), (3, "+33600000001", "queued", 256)):
            with pytest.raises(DatabaseError) as raised, explained(path):
                db.execute(insert, wrong)
            assert "0600" not in str(raised.value)
            assert "336" not in str(raised.value)


# Transactions


def test_a_transaction_is_whole_or_absent(path: Path) -> None:
    with closing(open_database(path, create=True)) as db, closing(open_database(path)) as other:
        with suppress(KeyError), transaction(db):
            db.execute("INSERT INTO account (name) VALUES ('absent')")
            raise KeyError
        with transaction(db):
            db.execute("INSERT INTO account (name) VALUES ('whole')")
            assert other.execute("SELECT count(*) FROM account").fetchone() == (0,)
        assert other.execute("SELECT name FROM account").fetchall() == [("whole",)]


def test_a_commit_that_fails_leaves_no_transaction_open(path: Path) -> None:
    with closing(open_database(path, create=True)) as db:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute(
            "CREATE TEMP TABLE child (id INTEGER PRIMARY KEY, parent INTEGER"
            " REFERENCES child (id) DEFERRABLE INITIALLY DEFERRED)"
        )
        with pytest.raises(sqlite3.IntegrityError), transaction(db):
            db.execute("INSERT INTO child VALUES (1, 2)")  # what COMMIT finds out
        assert not db.in_transaction
        with transaction(db):
            db.execute("INSERT INTO child VALUES (3, 3)")
        assert db.execute("SELECT id FROM child").fetchall() == [(3,)]


COMMIT = """
import sys, pathlib
from smppgw.ledger.database import open_database, transaction
db = open_database(pathlib.Path(sys.argv[1]), create=True)
number = 0
while True:
    number += 1
    with transaction(db):
        db.execute("INSERT INTO account (name) VALUES (?)", (str(number),))
    print(number, flush=True)
"""


def test_what_was_committed_survives_kill_9(path: Path) -> None:
    with Other(COMMIT, path) as other:
        for _ in range(20):
            told = int(other.line())
        other.kill()
        while line := other.line():
            told = int(line)
    with closing(open_database(path)) as db:
        (there,) = db.execute("SELECT count(*) FROM account").fetchone()
        assert there in (told, told + 1)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# Locks


def test_a_second_gateway_is_refused_and_told_what_to_do(path: Path) -> None:
    with closing(Locks(path)) as one, closing(Locks(path)) as other:
        assert not other.gateway_running()
        one.take_gateway()
        with pytest.raises(GatewayRunningError, match="stop it first, or see `smppgw status`"):
            other.take_gateway()
        assert other.gateway_running()
        one.close()
        assert not other.gateway_running()
        other.take_gateway()


HOLD = """
import sys, pathlib
from smppgw.errors import GatewayRunningError
from smppgw.ledger.database import Locks
locks = Locks(pathlib.Path(sys.argv[1]))
try:
    locks.take_gateway()
    locks.take_job(7)
    print("taken", flush=True)
except GatewayRunningError:
    print("refused", flush=True)
sys.stdin.readline()
"""


def test_a_gateway_in_another_process_is_seen_until_it_is_killed(path: Path) -> None:
    with closing(Locks(path)) as mine, Other(HOLD, path) as other:
        assert other.line() == "taken"
        assert mine.gateway_running()
        assert not mine.job_abandoned(7)
        assert mine.job_abandoned(8)
        with pytest.raises(GatewayRunningError):
            mine.take_gateway()
        other.kill()
        assert not mine.gateway_running()
        assert mine.job_abandoned(7)
        mine.take_gateway()


def test_a_gateway_in_another_process_is_refused_while_this_one_runs(path: Path) -> None:
    with closing(Locks(path)) as mine:
        mine.take_gateway()
        with Other(HOLD, path) as other:
            assert other.line() == "refused"


def test_a_job_that_is_loaded_here_is_not_abandoned_until_the_locks_are_closed(path: Path) -> None:
    with closing(Locks(path)) as mine, closing(Locks(path)) as other:
        mine.take_job(7)
        assert not mine.job_abandoned(7)
        assert not other.job_abandoned(7)
        mine.close()
        assert other.job_abandoned(7)


def test_locks_may_be_closed_twice(path: Path) -> None:
    locks = Locks(path)
    locks.take_gateway()
    locks.close()
    locks.close()
    with closing(Locks(path)) as other:
        other.take_gateway()


def test_the_lock_file_is_never_taken_away(path: Path) -> None:
    for _ in range(2):
        with closing(Locks(path)) as locks:
            locks.take_gateway()
    assert (path.parent / "ledger.db-lock").exists()


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that does not exist yet, with what it would change."""
    monkeypatch.setattr(database, "VERSION", VERSION + 1)
    monkeypatch.setattr(
        database,
        "MIGRATIONS",
        {VERSION: "ALTER TABLE job ADD COLUMN note TEXT;\nUPDATE job SET note = 'kept';"},
    )


def made_now(path: Path) -> None:
    """Leave a database of the present version with a job in it."""
    with closing(open_database(path, create=True)) as db:
        db.execute(
            "INSERT INTO job (state, class, tenant, sender, text, rewrite, flash, attempts,"
            " unknown_policy, purpose, exercise, ordered_by, created_at, starts_at, expires_at)"
            " VALUES ('queued', 'alert', 't', 's', 'x', 'keep', 0, 1, 'hold', 'alert', 0, '', 0, 0,"
            " 0)"
        )


def test_a_database_of_an_earlier_version_is_brought_up_to_date_with_all_it_holds(
    path: Path, request: pytest.FixtureRequest
) -> None:
    made_now(path)
    request.getfixturevalue("next_version")
    for _ in range(2):
        with closing(open_database(path)) as db:
            assert db.execute("SELECT class, note FROM job").fetchall() == [("alert", "kept")]
            assert db.execute("PRAGMA user_version").fetchone() == (VERSION + 1,)


def test_no_database_is_changed_under_a_gateway_that_is_at_work_on_it(
    path: Path, request: pytest.FixtureRequest
) -> None:
    made_now(path)
    request.getfixturevalue("next_version")
    locks = Locks(path)
    locks.take_gateway()
    with pytest.raises(GatewayRunningError):
        open_database(path)
    with closing(open_database(path, gateway=True)) as db:
        assert db.execute("SELECT note FROM job").fetchall() == [("kept",)]
    locks.close()


def test_a_change_that_fails_half_way_leaves_the_database_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_now(path)
    with monkeypatch.context() as later:
        later.setattr(database, "VERSION", VERSION + 1)
        script = "ALTER TABLE job ADD COLUMN note TEXT;\nUPDATE job SET nothing = 1;"
        later.setattr(database, "MIGRATIONS", {VERSION: script})
        with pytest.raises(DatabaseError):
            open_database(path)
    with closing(open_database(path)) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(job)")]
    assert "note" not in columns


def columns_and_indexes(db: sqlite3.Connection) -> dict[str, object]:
    """Describe every table by its columns, whatever their order, and every index."""
    tables = [
        name
        for (name,) in db.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
    ]
    described: dict[str, object] = {
        name: {row[1:4] + row[5:6] for row in db.execute(f"PRAGMA table_xinfo({name})")}
        for name in tables
    }
    described["indexes"] = {
        (name, " ".join(sql.split()))
        for name, sql in db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index'")
        if sql
    }
    return described


@pytest.mark.parametrize("older", [False, True])
def test_a_database_of_version_1_becomes_what_a_new_one_is_and_keeps_its_jobs(
    path: Path, tmp_path: Path, older: bool
) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(Path(__file__).with_name("schema_1.sql").read_text("utf-8"))
        if older:  # it came while version 1 was
            db.execute("DROP INDEX parked_by_time")
        db.execute(f"PRAGMA application_id = {database._APPLICATION_ID}")
        db.execute("PRAGMA user_version = 1")
        db.execute(
            "INSERT INTO job (state, class, tenant, sender, text, rewrite, flash, attempts,"
            " unknown_policy, created_at, expires_at)"
            " VALUES ('queued', 'alert', 't', 's', 'x', 'keep', 0, 1, 'hold', 7, 9)"
        )
        db.execute("INSERT INTO stream (id, lane, cursor, ready_at) VALUES (1 << 6, 0, 1 << 32, 0)")
        db.commit()
    new = tmp_path / "new.db"
    make(new)
    with closing(open_database(path)) as db, closing(open_database(new)) as other:
        assert columns_and_indexes(db) == columns_and_indexes(other)
        assert db.execute("SELECT purpose, starts_at, exercise, tenant FROM job").fetchall() == [
            ("alert", 7, 0, "t")
        ]
        assert db.execute("SELECT tenant FROM stream").fetchall() == [("t",)]
