"""The interface that checks from outside rely on: documents, exit statuses, metrics, terminals."""

import csv
import io
import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families
from python_calamine import CalamineWorkbook

from smppgw.cli import commands
from tests.e2e.processes import (
    ANY_NUMBER,
    PATIENCE_S,
    SMPPGW,
    Site,
    free_port,
    national,
    number,
    recipients,
    shown,
    wait_until,
)
from tests.e2e.shapes import DEMO, JOB, STATUS, SUBMISSION, misfits

pytestmark = pytest.mark.timeout(60)

REPORT = (
    "number",
    "state",
    "submitted_at",
    "accepted_at",
    "done_at",
    "segments",
    "error",
    "exercise",
)

# Name → labels.
METRICS = {
    "submit_sm_total": {"smsc"},
    "submit_sm_resp_total": {"smsc", "command_status"},
    "receipts_total": {"smsc", "state"},
    "receipts_unmatched": {"kind"},
    "messages_total": {"class", "state"},
    "submit_response_seconds": {"smsc"},
    "delivery_seconds": {"smsc"},
    "alert_wait_seconds": set(),
    "turn_commit_seconds": set(),
    "turn_segments": set(),
    "link_up": {"smsc", "bind"},
    "link_reconnects_total": {"smsc"},
    "window_size": {"smsc", "bind"},
    "window_outstanding": {"smsc", "bind"},
    "throughput_configured": {"smsc"},
    "throughput_permitted": {"smsc"},
    "queued_messages": {"class"},
    "oldest_queued_seconds": {"class"},
    "unknown_messages": set(),
    "inbound_total": {"kind"},
    "optouts_total": set(),
    "database_bytes": set(),
    "build_info": {"version"},
}


# Documents


def test_submit_and_preview_answer_in_the_shape_of_the_contract(site: Site) -> None:
    listed = site.write_csv(3)
    order = ("--recipients", listed, "--text", "{Prénom} êtes là ?", "--rewrite", "keep")
    preview = site.read("preview", *order)
    assert misfits(preview, SUBMISSION) == []
    assert (preview["job"], preview["state"]) == (None, "queued")
    assert preview["text"] == {
        "encoding": "ucs2", "segments_min": 1, "segments_max": 1, "forces_ucs2": ["ê"],
    }  # fmt: skip
    dry = site.read("submit", *order, "--dry-run")
    submitted = site.read("submit", *order)
    assert misfits(submitted, SUBMISSION) == []
    assert submitted["state"] == "queued"
    assert isinstance(submitted["job"], int)
    per_run = {"job", "finish_at", "warnings"}
    for same in (dry, submitted):
        assert {key: value for key, value in same.items() if key not in per_run} == {
            key: value for key, value in preview.items() if key not in per_run
        }
    assert [job["job"] for job in site.jobs()] == [submitted["job"]]


def test_jobs_answer_in_the_shape_of_the_contract_from_queued_to_done(site: Site) -> None:
    smsc = site.smsc()
    site.configure(port=smsc.port)
    first = site.submit("--to", national(1), "--label", "Fête [/b] :tada:")["job"]
    second = site.submit("--to", national(2))["job"]
    listed = site.read("jobs", "list")
    assert [job["job"] for job in listed] == [second, first]
    assert site.read("jobs", "list", "--limit", "1") == listed[:1]
    for job in listed:
        assert misfits(job, JOB) == []
        assert job == site.read("jobs", "show", str(job["job"]))
        assert shown(job["counts"]) == {"queued": 1}
        assert job["first_submit_at"] is job["finished_at"] is None
    site.gateway()
    done = site.read("jobs", "watch", str(first))
    assert misfits(done, JOB) == []
    assert done["state"] == "done"
    assert done["created_at"] < done["first_submit_at"] <= done["finished_at"]
    assert done["label"] == "Fête [/b] :tada:"
    for_people = site.run("jobs", "show", str(first)).stdout
    assert "Fête [/b] :tada:" in for_people
    assert "delivered" in for_people
    assert "Fête [/b] :tada:" in site.run("jobs", "list").stdout


def test_status_answers_in_the_shape_of_the_contract_with_and_without_a_gateway(
    site: Site,
) -> None:
    before = site.read("status")
    assert misfits(before, STATUS) == []
    assert before["gateway"] == {"running": False, "pid": None, "since": None}
    smsc = site.smsc()
    site.configure(port=smsc.port)
    gateway = site.gateway()

    def bound() -> Any:
        status = site.read("status")
        return status if [link["state"] for link in status["links"]] == ["bound"] else None

    status = wait_until(bound, "a bound link")
    assert misfits(status, STATUS) == []
    assert status["gateway"]["pid"] == gateway.pid
    assert status["database"]["path"] == str(site.folder / "gateway.db")
    assert status["database"]["bytes"] > 0
    assert status["links"][0]["window"] == 10
    for_people = site.run("status").stdout
    assert f"pid {gateway.pid}" in for_people
    assert "bound" in for_people


def test_a_report_has_a_row_for_each_message_in_every_format(site: Site) -> None:
    smsc = site.smsc("--outcomes", "DELIVRD=50,UNDELIV=50")
    site.configure(port=smsc.port)
    site.gateway()
    job = site.submit("--recipients", site.write_csv(50))["job"]
    counts = shown(site.watch(job)["counts"])
    reported = site.run("report", str(job), "--format", "json")
    assert reported.returncode == 0
    rows = json.loads(reported.stdout)
    assert {row["number"] for row in rows} == recipients(50)
    assert {state: sum(row["state"] == state for row in rows) for state in counts} == counts
    for row in rows:
        assert tuple(row) == REPORT
        assert row["submitted_at"] <= row["accepted_at"] <= row["done_at"]
        assert (row["error"] is None) == (row["state"] == "delivered")
    printed = site.run("report", str(job), "--format", "csv").stdout
    assert tuple(next(csv.reader(io.StringIO(printed)))) == REPORT
    as_text = [{key: str(value or "") for key, value in row.items()} for row in rows]
    assert list(csv.DictReader(io.StringIO(printed))) == as_text
    for name in ("report.csv", "report.json", "report.xlsx"):
        kind = name.partition(".")[2]
        ended = site.run("report", str(job), "--format", kind, "--output", name)
        assert (ended.returncode, ended.stdout) == (0, "")
    file = site.folder / "report.csv"
    assert list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig")))) == as_text
    assert json.loads((site.folder / "report.json").read_text("utf-8")) == rows
    header, *cells = (
        CalamineWorkbook.from_path(site.folder / "report.xlsx").get_sheet_by_index(0).to_python()
    )
    assert tuple(header) == REPORT
    assert [row[:2] for row in cells] == [[row["number"], row["state"]] for row in rows]


def test_strict_refuses_a_list_with_rows_to_leave_out_and_queues_nothing(site: Site) -> None:
    for command, words in (("submit", "Nothing was queued"), ("preview", "would be queued")):
        ended = site.run(
            command, "--to", national(1), "--to", "01 00 00 00 01", "--text", "x", "--strict",
            "--json",
        )  # fmt: skip
        assert ended.returncode == 3
        assert words in ended.stderr
        document = json.loads(ended.stdout)
        assert misfits(document, SUBMISSION) == []
        assert document["job"] is document["state"] is None
        assert document["recipients"]["invalid"] == 1
    assert site.jobs() == []
    listed = site.submit("--to", national(1), "--to", "01 00 00 00 01")
    assert listed["recipients"]["queued"] == 1


# Seen from outside


def test_metrics_have_the_names_and_labels_of_the_contract(site: Site) -> None:
    smsc = site.smsc("--outcomes", "DELIVRD=50,UNDELIV=50")
    site.configure(port=smsc.port)
    site.gateway()
    for job_class in ("alert", "service"):
        job = site.submit("--recipients", site.write_csv(20), "--class", job_class)
        site.watch(job["job"])

    def housekept() -> str | None:
        _, text = site.get("/metrics")
        return text if 'smppgw_window_size{bind="1",smsc="operator"} 10.0' in text else None

    text = wait_until(housekept, "the gauges")
    declared = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    assert {f"smppgw_{name}" for name in METRICS} - declared == set()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert ANY_NUMBER.search(str(sample.labels)) is None
            for name in (family.name, f"{family.name}_total"):
                labels = METRICS.get(name.removeprefix("smppgw_"))
                if labels is not None:
                    assert sample.labels.keys() - {"le"} == labels
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    samples = {name: value for name, _, value in (line.rpartition(" ") for line in lines)}
    assert float(samples['smppgw_submit_sm_total{smsc="operator"}']) == 40
    ok = 'smppgw_submit_sm_resp_total{command_status="ESME_ROK",smsc="operator"}'
    assert float(samples[ok]) == 40
    finals = (
        float(value) for name, value in samples.items() if name.startswith("smppgw_messages_total{")
    )
    assert sum(finals) == 40
    assert int(float(samples["smppgw_alert_wait_seconds_count"])) >= 1


def test_ready_says_whether_an_alert_could_leave_and_healthy_whether_the_process_turns(
    site: Site,
) -> None:
    smsc = site.smsc()
    site.configure(port=smsc.port)
    gateway = site.gateway()
    assert wait_until(lambda: site.get("/readyz")[0] == 200, "ready")
    assert site.get("/healthz") == (200, "ok\n")
    assert site.get("/nothing")[0] == 404
    smsc.end()
    gateway.err.wait_for(lambda lines: any('"event": "link.down"' in line for line in lines))
    status, reason = site.get("/readyz")
    assert status == 503
    assert "bind" in reason
    assert site.get("/healthz")[0] == 200
    site.smsc(port=smsc.port)
    assert wait_until(lambda: site.get("/readyz")[0] == 200, "ready again")


def test_logs_and_metrics_hold_no_number_and_no_text_whatever_goes_wrong(site: Site) -> None:
    smsc = site.smsc(
        "--faults",
        "refuse:4,system-error:5,no-answer:7,receipt-twice,receipt-cut,unbind:1,vendor-status:6",
        "--outcomes",
        "DELIVRD=60,UNDELIV=40",
    )
    site.configure(port=smsc.port, response_timeout="500ms", throughput=100)
    gateway = site.gateway()
    secret = "Secret de la commune: {Prénom}."
    job = site.submit("--recipients", site.write_csv(80), text=secret)["job"]
    smsc.wait_for("submit_sm", 70)
    assert site.job(job)["counts"]["total"] == 80
    assert gateway.end(signal.SIGINT) == 0
    log = "\n".join(gateway.err.lines)
    assert "link.down" in log
    for word in ("Secret", "commune", "Zoé"):
        assert word not in log
    assert ANY_NUMBER.search(log) is None


# People and scripts


@pytest.fixture
def terminal(site: Site) -> Iterator["Terminal"]:
    made = Terminal(site)
    yield made
    made.close()


class Terminal:
    """A person at a terminal of 80 columns."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._ours, self._theirs = pty.openpty()
        self.read = ""

    def answer(self, *args: str, question: str, answer: str) -> int:
        """Run a command, wait for its question, answer it; returns the exit status."""
        with subprocess.Popen(
            [*SMPPGW, *args],
            cwd=self._site.folder,
            env=self._site.environment | {"TERM": "xterm", "COLUMNS": "80"},
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
        ) as process:
            octets = b""
            while question.encode() not in octets:
                octets += os.read(self._ours, 4096)
            os.write(self._ours, f"{answer}\n".encode())
            status = process.wait(PATIENCE_S)
        self.read = octets.decode()
        return status

    def close(self) -> None:
        os.close(self._ours)
        os.close(self._theirs)


def test_at_a_terminal_submit_shows_the_bill_and_sends_only_after_a_yes(
    site: Site, terminal: Terminal
) -> None:
    listed = site.write_csv(20)
    with (site.folder / listed).open("a", encoding="utf-8") as file:
        file.write("Personne;01 00 00 00 01\n")
    order = ("submit", "--recipients", listed, "--text", "Bonjour {Prénom}")
    assert terminal.answer(*order, question="Send it? [y/N]", answer="n") == 1
    assert "0.76 EUR" in terminal.read
    assert "\x1b[" in terminal.read  # colours are for people
    assert site.run("jobs", "list").returncode == 1  # not even a database
    left_out = site.folder / "habitants.left-out.csv"
    left_out.unlink()
    assert terminal.answer(*order, question="Send it? [y/N]", answer="y") == 0
    assert [job["counts"]["total"] for job in site.jobs()] == [20]
    assert sorted(site.folder.glob("*left-out*")) == [left_out]  # one file for one submit


COMMANDS = (
    "run", "submit", "preview", "jobs", "jobs list", "jobs show", "jobs watch", "report",
    "status", "check", "simulate", "demo", "",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_without_a_configuration(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # In this process: a dozen starts would tell no more.
    ended = CliRunner().invoke(commands, [*command.split(), "--help"], prog_name="smppgw")
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"Usage: smppgw {command}".rstrip())


def test_tables_are_not_cut_where_nobody_looks(site: Site) -> None:
    label = "Un très long nom pour un travail " * 5
    site.submit("--to", national(1), "--label", label.strip())
    assert label.strip() in site.run("jobs", "list").stdout


def test_a_locale_without_accents_is_no_reason_to_fail(site: Site) -> None:
    site.submit("--to", national(1), "--label", "Fête")
    site.environment["PYTHONIOENCODING"] = "ascii"
    ended = site.run("jobs", "show", "1")
    assert ended.returncode == 0
    assert "F\\xeate" in ended.stdout


def test_a_reader_that_leaves_early_is_no_fault(site: Site) -> None:
    job = site.submit("--recipients", site.write_csv(20_000))["job"]
    command = f"{' '.join(SMPPGW)} report {job} | head -n 2"
    ended = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=site.folder,
        env=site.environment,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
    )
    assert number(0) in ended.stdout
    assert ended.stderr == ""


def test_the_configuration_is_found_by_option_then_environment_then_folder(
    site: Site, tmp_path: Path
) -> None:
    site.submit("--to", national(1))
    for name, args in (("SMPPGW_CONFIG", ()), ("", ("--config", str(tmp_path / "config.toml")))):
        elsewhere = Site(tmp_path / (name or "option"))
        elsewhere.folder.mkdir()
        if name:
            elsewhere.environment[name] = str(tmp_path / "config.toml")
        assert len(elsewhere.read(*args, "jobs", "list")) == 1
    assert site.read("check") == {"ok": True, "source": "config.toml", "problems": []}


# demo


@pytest.mark.parametrize("as_json", [False, True])
def test_the_demo_shows_the_main_job_and_leaves_nothing_behind(site: Site, as_json: bool) -> None:
    temporary = site.folder / "tmp"
    temporary.mkdir()
    args = ["demo", "--json"] if as_json else ["demo"]
    with subprocess.Popen(
        [*SMPPGW, *args],
        cwd=temporary,
        env=site.environment | {"TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    ) as demo:
        out, err = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 0, err
    assert "Traceback" not in err
    assert "\x1b" not in out + err
    if as_json:
        document = json.loads(out)
        assert misfits(document, DEMO) == []
        assert shown(document["counts"]).keys() <= {"delivered", "undelivered"}
    else:
        assert "delivered" in out
    assert list(temporary.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(demo.pid, 0)  # nobody is left of its session


def test_a_port_that_is_taken_is_told_with_what_to_do(site: Site) -> None:
    smsc = site.smsc()
    taken = site.run("simulate", "--port", str(smsc.port))
    assert taken.returncode == 1
    assert "in use" in taken.stderr
    assert str(smsc.port) in taken.stderr
    site.configure(port=smsc.port)
    site.gateway()
    other = Site(site.folder / "other")
    other.folder.mkdir()
    other.metrics_port = site.metrics_port
    other.configure(port=free_port())
    refused = other.run("run")
    assert refused.returncode == 1
    assert "[metrics] listen" in refused.stderr
