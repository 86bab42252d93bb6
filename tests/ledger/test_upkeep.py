"""The ledger copied and checked."""

import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from smppgw.errors import OperationError
from smppgw.ledger.jobs import find_job
from smppgw.ledger.turn import Arrivals
from smppgw.ledger.upkeep import backup, verify
from tests.ledger.conftest import Ledger

Opener = Callable[[Path], sqlite3.Connection]


def worked(ledger: Ledger) -> int:
    """Leave a job with a message in each of several states, and a parked receipt."""
    job = ledger.load(6)
    claims = ledger.claim(4)
    ledger.turn(
        Arrivals(
            answered=[ledger.answer(claims[0], "1"), ledger.answer(claims[1], "2")],
            lost=[ledger.lost(claims[2])],
            receipts=[ledger.receipt("1"), ledger.receipt("x-77")],
        )
    )
    return job


def test_a_copy_holds_what_was_committed_and_is_readable_by_its_owner_alone(
    ledger: Ledger, tmp_path: Path, opener: Opener
) -> None:
    job = worked(ledger)
    target = tmp_path / "copy.db"
    assert backup(ledger.db, target) == 1
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy.db"]
    copy = opener(target)
    copied = find_job(copy, job)
    assert copied is not None
    assert copied.counts == ledger.job(job).counts
    assert list(verify(copy)) == []


def test_nothing_leaves_from_a_copy_that_is_put_back_until_somebody_says_so(
    ledger: Ledger, tmp_path: Path, opener: Opener
) -> None:
    job = worked(ledger)
    backup(ledger.db, tmp_path / "copy.db")
    copied = find_job(opener(tmp_path / "copy.db"), job)
    assert copied is not None
    assert copied.state == "paused"
    assert ledger.job(job).state == "sending"


def test_a_copy_never_replaces_a_file(ledger: Ledger, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("precious")
    with pytest.raises(OperationError, match="exists"):
        backup(ledger.db, target)
    assert target.read_text() == "precious"


def test_a_sound_ledger_gives_no_cause_for_complaint(ledger: Ledger) -> None:
    worked(ledger)
    assert list(verify(ledger.db)) == []


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("UPDATE job SET accepted = accepted + 1", "counts 2 messages as accepted and has 1"),
        ("UPDATE message SET state = 'delivered' WHERE state = 'queued'", "has 3"),
        ("UPDATE account SET receipts_received = 9", "received 9 receipts and accounts for 2"),
        ("DELETE FROM parked", "counts 1 parked receipts and has 0"),
        ("DELETE FROM segment WHERE state = 'accepted'", "without as many segments"),
        ("DELETE FROM segment WHERE state = 'submitting'", "without a segment that is"),
        ("UPDATE stream SET cursor = cursor + 5", "nothing would ever claim it"),
        ("UPDATE stream SET ready_at = NULL", "not to be claimed"),
        ("DELETE FROM message WHERE state = 'delivered'", "belong to no message"),
    ],
)
def test_what_is_wrong_is_said(ledger: Ledger, tmp_path: Path, damage: str, complaint: str) -> None:
    worked(ledger)
    path = tmp_path / "damaged.db"
    backup(ledger.db, path)
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        db.execute("UPDATE job SET state = 'sending'")
        db.execute(damage)
        assert any(complaint in line for line in verify(db))
    db.close()
