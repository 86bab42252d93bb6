"""`backup` and `verify`: what they write, what they say, and how they end."""

import json
import stat
from contextlib import closing
from pathlib import Path

import pytest

from smppgw.ledger.database import open_database
from smppgw.ledger.jobs import list_jobs
from tests.cli.conftest import Smppgw
from tests.ledger.conftest import Ledger


def test_a_backup_is_a_ledger_of_its_own_in_which_nothing_is_sent(
    ledger: Ledger, smppgw: Smppgw, tmp_path: Path
) -> None:
    job = ledger.load(3)
    made = smppgw("backup", tmp_path / "copy.db")
    assert made.status == 0
    assert "1 job can still send" in made.out
    with closing(open_database(tmp_path / "copy.db")) as copy:
        assert [(one.job_id, one.state) for one in list_jobs(copy)] == [(job, "paused")]
    assert ledger.job(job).state == "queued"


def test_json_of_a_backup_names_the_file_its_size_and_the_paused_jobs(
    ledger: Ledger, smppgw: Smppgw, tmp_path: Path
) -> None:
    ledger.load(3)
    target = tmp_path / "copy.db"
    assert json.loads(smppgw("backup", target, "--json").out) == {
        "file": str(target),
        "bytes": target.stat().st_size,
        "paused_jobs": 1,
    }


def test_a_backup_is_readable_by_its_owner_alone(
    ledger: Ledger, smppgw: Smppgw, tmp_path: Path
) -> None:
    assert smppgw("backup", tmp_path / "copy.db").status == 0
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600


def test_a_backup_never_replaces_a_file_and_names_the_folder_that_is_missing(
    ledger: Ledger, smppgw: Smppgw, tmp_path: Path
) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    refused = smppgw("backup", target)
    assert refused.status == 1
    assert refused.out == ""
    assert "nothing is ever replaced" in refused.err
    assert target.read_text() == "precious"
    nowhere = smppgw("backup", tmp_path / "none" / "copy.db")
    assert nowhere.status == 1
    assert nowhere.err == (
        f"Error: {tmp_path / 'none' / 'copy.db'}: No such file or directory. "
        "Check the path, its owner and its mode.\n"
    )


def test_verify_says_that_a_sound_ledger_is_sound(ledger: Ledger, smppgw: Smppgw) -> None:
    ledger.load(3)
    sound = smppgw("verify")
    assert (sound.status, sound.out, sound.err) == (0, f"{ledger.path} is sound.\n", "")
    assert json.loads(smppgw("verify", "--json").out) == {"ok": True, "problems": []}


def test_verify_prints_each_problem_on_a_line_and_ends_with_1(
    ledger: Ledger, smppgw: Smppgw
) -> None:
    job = ledger.load(3)
    ledger.db.execute("PRAGMA ignore_check_constraints = ON")
    ledger.db.execute("UPDATE job SET queued = 2, accepted = 1")
    problems = [
        f"Job {job} counts 2 messages as queued and has 3.",
        f"Job {job} counts 1 messages as accepted and has 0.",
    ]
    wrong = smppgw("verify")
    assert wrong.status == 1
    assert wrong.out.splitlines() == problems
    assert wrong.err.startswith("2 problems in ")
    told = smppgw("verify", "--json")
    assert told.status == 1
    assert json.loads(told.out) == {"ok": False, "problems": problems}


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_verify_tells_of_a_file_that_cannot_be_read_to_its_end(
    ledger: Ledger, smppgw: Smppgw, options: tuple[str, ...]
) -> None:
    ledger.load(5000)
    ledger.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger.db.close()
    octets = bytearray(ledger.path.read_bytes())
    page = 4096
    for at in range(len(octets) // page // 2 * page, len(octets) - page, page * 2):
        octets[at : at + page] = b"\xff" * page
    ledger.path.write_bytes(octets)
    damaged = smppgw("verify", *options)
    assert damaged.status == 1
    assert "damaged" in damaged.out
    if options:
        assert json.loads(damaged.out)["ok"] is False


def test_without_a_database_both_say_what_makes_one(smppgw: Smppgw, tmp_path: Path) -> None:
    for words in (("verify",), ("backup", tmp_path / "copy.db")):
        refused = smppgw(*words)
        assert refused.status == 1
        assert "There is no database" in refused.err
    assert not (tmp_path / "copy.db").exists()
