"""A week by volume, in small: what becomes of the ledger's files, and of its statements' plans."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smppgw.ledger import jobs
from smppgw.ledger.database import WAL_LIMIT_OCTETS, open_database
from smppgw.ledger.jobs import find_job, list_jobs, report_rows
from smppgw.ledger.optouts import OptOut, add, list_optouts
from smppgw.ledger.standing import standing
from smppgw.ledger.waiting import waiting_jobs
from tests.ledger.week import HASHER, HOUR, Recording, Week


@pytest.fixture
def week(tmp_path: Path) -> Iterator[Week]:
    week = Week(tmp_path)
    yield week
    week.close()


def test_wal_stays_below_its_limit_while_nobody_holds_a_snapshot(week: Week) -> None:
    for _ in range(10):
        week.run(2000)
        week.retain()
    assert week.largest_wal_octets < WAL_LIMIT_OCTETS


def test_wal_comes_back_below_its_limit_once_a_reader_let_go(week: Week) -> None:
    reader = open_database(week.path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM job").fetchone()
    for _ in range(15):
        week.run(2000)
    assert week.wal_octets() > WAL_LIMIT_OCTETS  # or nothing is shown
    reader.execute("COMMIT")
    reader.close()
    for _ in range(3):
        week.run(2000)
    assert week.wal_octets() <= WAL_LIMIT_OCTETS


def plans(path: Path, statements: dict[str, Any]) -> dict[str, list[str]]:
    db = open_database(path)  # statistics are read when a file is opened
    found = {
        sql: [row[3] for row in db.execute("EXPLAIN QUERY PLAN " + sql, values)]
        for sql, values in statements.items()
        if sql.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE")
    }
    db.close()
    return found


def changed(before: dict[str, list[str]], after: dict[str, list[str]]) -> dict[str, Any]:
    return {sql: (before[sql], after[sql]) for sql in before if before[sql] != after[sql]}


def lopsided(db: sqlite3.Connection) -> None:
    """Let the statistics say that every index finds half of a table of ten million."""
    db.execute("ANALYZE")
    for rowid, stat in db.execute("SELECT rowid, stat FROM sqlite_stat1").fetchall():
        columns = len(stat.split()) - 1
        told = " ".join(["10000000"] + ["5000000"] * columns)
        db.execute("UPDATE sqlite_stat1 SET stat = ? WHERE rowid = ?", (told, rowid))


def test_plans_of_statements_do_not_depend_on_analyze(week: Week) -> None:
    recording: Any = Recording(week.db)
    for number in range(20):
        week.run(300, recording)
        optout = OptOut("town", "service", f"+336000000{number:02d}", "command")
        add(recording, HASHER, [optout], "somebody", week.now)
        week.retain(recording)
    list(report_rows(recording, 1))
    for ask in (
        list_jobs, waiting_jobs, standing, list_optouts,
        jobs.queued_by_class, jobs.unknown_messages, jobs.receipt_counts,
    ):  # fmt: skip
        ask(recording)
    find_job(recording, 1)
    jobs.segments_ahead(recording, "service")
    before = plans(week.path, recording.statements)
    assert len(before) > 40
    week.db.execute("ANALYZE")
    assert changed(before, plans(week.path, recording.statements)) == {}
    lopsided(week.db)
    assert changed(before, plans(week.path, recording.statements)) == {}


def test_retention_of_texts_takes_no_room_and_that_of_numbers_a_hash_for_each(week: Week) -> None:
    week.run(10_000)
    before = jobs.database_octets(week.db)
    week.now += 5 * HOUR
    assert week.retain()["personal_fields"] == 10_000
    assert jobs.database_octets(week.db) <= before
    week.now += 5 * HOUR
    assert week.retain()["message_numbers"] == 10_000
    assert jobs.database_octets(week.db) <= before + 10_000 * len(HASHER.of("+33600000000"))
