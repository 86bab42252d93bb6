"""Proofs from the command line: one whole file, for its owner alone, written down in the audit."""

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from smppgw import __version__
from smppgw.ledger import audit
from smppgw.ledger.hashing import Hasher
from smppgw.ledger.turn import Arrivals
from tests.cli.conftest import Ended, Smppgw
from tests.ledger.conftest import Ledger


@pytest.fixture
def job(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> int:
    """Send a job of two messages, of which one is delivered and one is on its way."""
    monkeypatch.setenv("SUDO_USER", "garde")
    job_id = ledger.load(2, job_class="alert", text="Crue : montez à l’étage.")
    claims = ledger.claim(2)
    ledger.now += 1500
    ledger.turn(Arrivals(answered=[ledger.answer(c, str(n)) for n, c in enumerate(claims, 1)]))
    ledger.now += 1000
    ledger.turn(Arrivals(receipts=[ledger.receipt("1")]))
    return job_id


def settle(ledger: Ledger) -> None:
    ledger.turn(Arrivals(receipts=[ledger.receipt("2", recipient="33600000001")]))


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def last_entry(ledger: Ledger) -> audit.Entry:
    return audit.entries(ledger.db)[-1]


@pytest.mark.parametrize("form", ["html", "json"])
def test_a_proof_is_one_file_for_its_owner_whose_hash_is_printed_and_in_the_audit(
    ledger: Ledger, smppgw: Smppgw, job: int, tmp_path: Path, form: str
) -> None:
    settle(ledger)
    before = audit.head(ledger.db)
    output = tmp_path / "out" / f"preuve.{form}"
    output.parent.mkdir()
    written = smppgw("proof", job, "--output", output)
    assert (written.status, written.err) == (0, "")
    digest = digest_of(output)
    assert written.out == f"The proof of job {job} is written to {output}.\nSHA-256  {digest}\n"
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert list(output.parent.iterdir()) == [output]
    entry = last_entry(ledger)
    assert entry[2:5] == ("garde", "proof.written", job)
    assert entry.details == {"sha256": digest, "format": form, "numbers": "masked"}
    assert list(audit.verify(ledger.db)) == []
    assert before.hash in output.read_text("utf-8")  # the head that it was made on


def test_json_tells_what_the_ledger_holds(
    ledger: Ledger, smppgw: Smppgw, job: int, tmp_path: Path
) -> None:
    output = tmp_path / "preuve.json"
    shown = json.loads(smppgw("proof", job, "--output", output, "--json").out)
    assert shown == {
        "job": job, "file": str(output), "sha256": digest_of(output), "final": False,
    }  # fmt: skip
    document = json.loads(output.read_text("utf-8"))
    assert document["written_by"] == "garde"
    assert document["software"] == f"smppgw {__version__}"
    assert document["counts"]["delivered"] == 1
    assert document["counts"]["accepted"] == 1
    assert document["delays"]["accepted"]["p95_s"] == 1.5
    assert document["delays"]["delivered"]["p50_s"] == 2.5
    assert document["text"]["sent"] == "Crue : montez à l’étage."  # rewrite keep
    assert [entry["action"] for entry in document["actions"]] == ["job.submitted"]
    assert document["audit"]["sound"] is True
    assert document["audit"]["last_hash"] == audit.entries(ledger.db)[-2].hash
    assert [message["smsc_message_ids"] for message in document["messages"]] == [["1"], ["2"]]
    assert [message["number"] for message in document["messages"]] == [
        "+336****0000",
        "+336****0001",
    ]


def test_numbers_are_masked_unless_asked_for_otherwise(
    ledger: Ledger, smppgw: Smppgw, job: int, tmp_path: Path, config_path: Path
) -> None:
    def numbers(*options: str) -> list[str]:
        output = tmp_path / "preuve.json"
        smppgw("proof", job, "--output", output, "--force", *options)
        return [row["number"] for row in json.loads(output.read_text("utf-8"))["messages"]]

    clear = ["+33600000000", "+33600000001"]
    assert numbers("--numbers", "clear") == clear
    assert numbers() == ["+336****0000", "+336****0001"]
    hasher = Hasher.open(config_path.with_name("smppgw.key"))
    assert numbers("--numbers", "hashed") == [f"#{hasher.of(number)}" for number in clear]
    page = tmp_path / "preuve.html"
    smppgw("proof", job, "--output", page)
    assert "+33600000000" not in page.read_text("utf-8")


def test_the_page_is_french_unless_english_is_asked_for(
    ledger: Ledger, smppgw: Smppgw, job: int, tmp_path: Path
) -> None:
    smppgw("proof", job, "--output", tmp_path / "fr.html")
    smppgw("proof", job, "--output", tmp_path / "en.html", "--language", "en")
    assert "<h1>Preuve d’envoi</h1>" in (tmp_path / "fr.html").read_text("utf-8")
    assert "<h1>Proof of sending</h1>" in (tmp_path / "en.html").read_text("utf-8")


def test_a_proof_of_what_goes_on_says_so(
    ledger: Ledger, smppgw: Smppgw, job: int, tmp_path: Path
) -> None:
    written = smppgw("proof", job, "--output", tmp_path / "preuve.html")
    assert written.status == 0
    assert written.err.startswith("It is not final: 1 message may still change state.")


def test_a_file_that_is_there_stays_unless_somebody_says_otherwise(
    ledger: Ledger, smppgw: Smppgw, job: int, tmp_path: Path
) -> None:
    output = tmp_path / "preuve.html"
    output.write_text("an earlier one")
    output.chmod(0o644)
    refused = smppgw("proof", job, "--output", output)
    assert (refused.status, refused.out) == (1, "")
    assert "exists: name another file, or add --force" in refused.err
    assert output.read_text() == "an earlier one"
    assert last_entry(ledger).action == "job.submitted"
    assert smppgw("proof", job, "--output", output, "--force").status == 0
    assert output.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert stat.S_IMODE(output.stat().st_mode) == 0o600


@pytest.mark.parametrize("output", ["preuve.pdf", "preuve", "preuve.html.txt"])
def test_a_file_of_another_kind_is_wrong_usage(
    ledger: Ledger, smppgw: Smppgw, job: int, tmp_path: Path, output: str
) -> None:
    refused = smppgw("proof", job, "--output", tmp_path / output)
    assert refused.status == 2
    assert "Name the file .html" in refused.err
    assert not (tmp_path / output).exists()


def test_what_cannot_be_proved_is_refused_in_a_sentence(
    ledger: Ledger, smppgw: Smppgw, tmp_path: Path
) -> None:
    nobody = smppgw("proof", 99, "--output", tmp_path / "preuve.html")
    assert nobody.status == 2
    assert "There is no job 99" in nobody.err
    loading = ledger.load(1)
    ledger.db.execute("UPDATE job SET state = 'loading' WHERE id = ?", (loading,))
    early = smppgw("proof", loading, "--output", tmp_path / "preuve.html")
    assert early.status == 2
    assert "still being submitted" in early.err
    assert list(tmp_path.glob("*preuve*")) == []


def test_a_file_that_cannot_be_made_is_told_and_nothing_is_written_down(
    ledger: Ledger, smppgw: Smppgw, job: int, tmp_path: Path
) -> None:
    refused = smppgw("proof", job, "--output", tmp_path / "nowhere" / "preuve.html")
    assert refused.status == 1
    assert "The proof cannot be written to" in refused.err
    assert "Traceback" not in refused.err
    assert last_entry(ledger).action == "job.submitted"


def test_a_disk_that_is_full_half_way_leaves_neither_a_file_nor_an_entry(
    ledger: Ledger, smppgw: Smppgw, job: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    output = tmp_path / "preuve.html"
    monkeypatch.setattr(os, "fsync", full)
    refused = smppgw("proof", job, "--output", output)
    assert refused.status == 1
    assert "No space left" in refused.err
    assert list(tmp_path.glob("*preuve*")) == []
    assert last_entry(ledger).action == "job.submitted"


def test_a_proof_without_its_entry_in_the_audit_does_not_get_its_name(
    ledger: Ledger, smppgw: Smppgw, job: int, tmp_path: Path
) -> None:
    ledger.db.execute(
        "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    refused = smppgw("proof", job, "--output", tmp_path / "preuve.html")
    assert refused.status == 1
    assert list(tmp_path.glob("*preuve*")) == []


def test_a_broken_audit_is_told_by_the_proof_and_by_the_command(
    ledger: Ledger, smppgw: Smppgw, job: int, tmp_path: Path
) -> None:
    settle(ledger)
    ledger.db.execute("UPDATE audit SET actor = 'autre' WHERE id = 1")
    output = tmp_path / "preuve.html"
    written: Ended = smppgw("proof", job, "--output", output)
    assert written.status == 0
    assert "The audit is broken" in written.err
    assert "ROMPU : Entry 1 is not what was written" in output.read_text("utf-8")
