"""`purge`: what it says it would do, what it does, and how it tells."""

import json
import time
from pathlib import Path

import pytest

from smppgw.ledger import audit
from smppgw.ledger.retention import KINDS
from tests.cli.conftest import CONFIG, Smppgw
from tests.ledger.conftest import Ledger
from tests.ledger.test_retention import DAY, numbers, send, texts


@pytest.fixture
def old(ledger: Ledger) -> Ledger:
    """A ledger whose one job ended 40 days ago."""
    ledger.now = time.time_ns() // 1_000_000 - 40 * DAY
    send(ledger, 3)
    return ledger


def test_what_is_older_than_its_period_goes_and_is_told_by_kind(
    old: Ledger, smppgw: Smppgw
) -> None:
    done = smppgw("purge")
    assert (done.status, done.err) == (0, "")
    assert [line.split()[:2] for line in done.out.splitlines()[-3:]] == [
        ["1", "texts"],
        ["3", "personal"],
        ["3", "raw"],
    ]
    assert texts(old, 1) == ("", 0, 0)
    assert numbers(old, 1)[0] == "+33600000000"
    assert "Nothing has been kept longer" in smppgw("purge").out


def test_a_dry_run_counts_the_same_and_changes_nothing(
    old: Ledger, smppgw: Smppgw, config_path: Path
) -> None:
    before = len(audit.entries(old.db))
    counted = json.loads(smppgw("purge", "--dry-run", "--json").out)
    assert texts(old, 1) == ("Bonjour", 3, 3)
    assert len(audit.entries(old.db)) == before
    assert not config_path.with_name("smppgw.key").exists()
    assert "Would go" in smppgw("purge", "--dry-run").out
    done = json.loads(smppgw("purge", "--json").out)
    assert counted == {"dry_run": True, "purged": done["purged"], "log_emptied": True}
    assert tuple(done["purged"]) == KINDS
    assert done["purged"]["personal_fields"] == 3


def test_the_periods_are_those_of_the_configuration(
    old: Ledger, smppgw: Smppgw, config_path: Path
) -> None:
    config_path.write_text(CONFIG + '[retention]\ntext = "41d"\nnumber = "39d"\n', encoding="utf-8")
    smppgw("purge")
    assert texts(old, 1)[:2] == ("Bonjour", 3)
    assert all(number.startswith("#") for number in numbers(old, 1))


def test_a_log_that_somebody_still_reads_is_told_and_nothing_is_held_up(
    old: Ledger, smppgw: Smppgw
) -> None:
    old.db.execute("BEGIN")
    old.db.execute("SELECT * FROM job").fetchall()
    done = smppgw("purge")
    old.db.execute("COMMIT")
    assert done.status == 0
    assert "write-ahead log" in done.err
    assert texts(old, 1) == ("", 0, 0)


def test_without_a_database_it_says_what_makes_one(smppgw: Smppgw) -> None:
    refused = smppgw("purge")
    assert refused.status == 1
    assert "There is no database" in refused.err
