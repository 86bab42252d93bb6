"""What the ledger tells of whether an alert could leave."""

import sqlite3

import pytest

from smppgw.ledger import standing
from smppgw.ledger.database import open_database
from smppgw.ledger.jobs import note_gateway
from smppgw.ledger.standing import Standing, require_writable, spent
from tests.ledger.conftest import START, Ledger


def test_an_empty_ledger_knows_no_time_and_no_drill(ledger: Ledger) -> None:
    assert standing.standing(ledger.db) == Standing(0, None)


def test_the_latest_time_is_that_of_the_newest_job_a_claim_or_the_gateway(ledger: Ledger) -> None:
    ledger.load(1)
    assert standing.standing(ledger.db).latest_at == START
    ledger.now += 5
    ledger.claim(1)
    assert standing.standing(ledger.db).latest_at == START + 5
    note_gateway(ledger.db, 1, START + 9)
    assert standing.standing(ledger.db).latest_at == START + 9


def test_a_drill_counts_once_it_has_left_and_the_newest_counts(ledger: Ledger) -> None:
    ledger.load(1, job_class="alert")
    ledger.load(1)
    assert standing.standing(ledger.db).drilled_at is None
    ledger.now += 7
    ledger.claim(2)
    ledger.now += 7
    ledger.load(1, job_class="alert")
    assert standing.standing(ledger.db).drilled_at == START + 7


def test_what_each_tenant_used_is_told_by_name(ledger: Ledger) -> None:
    ledger.load(3, segments=2)
    used = spent(ledger.db, ["saint-martin", "nobody"], START, START + 1)
    assert used == {"saint-martin": 6, "nobody": 0}


def test_writing_is_tried_in_earnest_and_nothing_is_written(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ledger.db.total_changes
    require_writable(ledger.db)
    assert (ledger.db.total_changes, ledger.db.in_transaction) == (before, False)
    monkeypatch.setattr(standing, "WRITABLE_TIMEOUT_S", 0.01)
    other = open_database(ledger.path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError):
        require_writable(ledger.db)
    other.execute("ROLLBACK")
    other.close()
    assert ledger.db.execute("PRAGMA busy_timeout").fetchone() == (30_000,)
