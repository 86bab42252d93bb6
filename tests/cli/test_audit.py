"""The audit from the command line: who did what, and whether anybody has touched it."""

import json
from datetime import datetime

import pytest

from smppgw.ledger.audit import head
from tests.cli.conftest import Smppgw
from tests.ledger.conftest import Ledger


@pytest.fixture(autouse=True)
def who(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "garde")


def steered(ledger: Ledger, smppgw: Smppgw) -> tuple[int, int]:
    """Submit two jobs, and pause and cancel the second."""
    first, second = ledger.load(1), ledger.load(2)
    smppgw("jobs", "pause", second)
    smppgw("jobs", "cancel", second)
    return first, second


def test_the_list_tells_who_did_what_newest_first(ledger: Ledger, smppgw: Smppgw) -> None:
    steered(ledger, smppgw)
    lines = smppgw("audit", "list").out.splitlines()
    assert lines[0].split() == ["Entry", "At", "Who", "Action", "Job", "Details"]
    told = [line.split() for line in lines[2:]]
    assert [(row[0], row[3], row[4]) for row in told[:2]] == [
        ("4", "garde", "job.cancelled"),
        ("3", "garde", "job.paused"),
    ]
    assert told[0][5:] == ["2", "queued:", "2"]
    assert told[3][3] == "–"  # nobody was named when it was loaded


def test_the_list_is_of_one_job_or_of_the_newest_where_asked(
    ledger: Ledger, smppgw: Smppgw
) -> None:
    first, _ = steered(ledger, smppgw)
    of_first = json.loads(smppgw("audit", "list", "--job", first, "--json").out)
    assert [entry["action"] for entry in of_first] == ["job.submitted"]
    newest = json.loads(smppgw("audit", "list", "--limit", 1, "--json").out)
    assert [entry["entry"] for entry in newest] == [4]
    entry = newest[0]
    assert entry.keys() == {"entry", "at", "actor", "action", "job", "details", "hash"}
    assert datetime.fromisoformat(entry["at"]).tzinfo is not None
    assert entry["hash"] == head(ledger.db).hash
    nobody = smppgw("audit", "list", "--job", 99)
    assert (nobody.status, nobody.out) == (2, "")
    assert "There is no job 99" in nobody.err


def test_an_empty_list_says_so(ledger: Ledger, smppgw: Smppgw) -> None:
    assert smppgw("audit", "list").out == "Nothing is written down yet.\n"
    assert json.loads(smppgw("audit", "list", "--json").out) == []


def test_verify_tells_that_nothing_was_touched_and_what_to_write_down(
    ledger: Ledger, smppgw: Smppgw
) -> None:
    steered(ledger, smppgw)
    sound = smppgw("audit", "verify")
    last = head(ledger.db).hash
    assert (sound.status, sound.err) == (0, "")
    assert sound.out == (
        f"The audit has 4 entries, and none was touched.\nLast entry  4\nLast hash   {last}\n"
    )
    assert json.loads(smppgw("audit", "verify", "--json").out) == {
        "ok": True, "problems": [], "entries": 4, "last_entry": 4, "last_hash": last,
    }  # fmt: skip


def test_verify_says_which_entry_was_touched_with_status_1(ledger: Ledger, smppgw: Smppgw) -> None:
    steered(ledger, smppgw)
    ledger.db.execute("UPDATE audit SET actor = 'autre' WHERE id = 3")
    broken = smppgw("audit", "verify")
    assert broken.status == 1
    assert broken.out.startswith("Entry 3 is not what was written")
    assert "none was touched" not in broken.out
    assert "1 problem in the audit of" in broken.err
    shown = smppgw("audit", "verify", "--json")
    assert shown.status == 1
    assert json.loads(shown.out)["ok"] is False


def test_a_hash_that_was_written_down_is_looked_for(ledger: Ledger, smppgw: Smppgw) -> None:
    steered(ledger, smppgw)
    written_down = head(ledger.db).hash
    assert smppgw("audit", "verify", "--expect", f" {written_down.upper()}").status == 0
    # Somebody who knows how takes away the end, and leaves no gap.
    ledger.db.execute("DELETE FROM audit WHERE id = 4")
    ledger.db.execute("UPDATE sqlite_sequence SET seq = 3 WHERE name = 'audit'")
    assert smppgw("audit", "verify").status == 0
    broken = smppgw("audit", "verify", "--expect", written_down)
    assert broken.status == 1
    assert broken.out.startswith("No entry has the hash that was expected.")
