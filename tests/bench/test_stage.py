"""Processes, ledgers and lists of the benchmark."""

import csv
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smppgw.bench.peers.task import Task
from smppgw.bench.stage import (
    ENDED,
    LEFT_OUT_EVERY,
    Process,
    Smsc,
    Stage,
    _Children,
    busy_s,
    wait_until,
)
from smppgw.campaign.recipients import open_recipients
from smppgw.errors import OperationError
from smppgw.ledger.jobs import find_job

NOWHERE = Smsc("127.0.0.1", 1, "bench", "bench")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(folder=tmp_path) as made:
        yield made


def python(script: str, log: Path) -> Process:
    return Process(["-u", "-c", script], log, name="the script")


def test_a_process_that_fails_ends_the_benchmark_with_its_last_words(tmp_path: Path) -> None:
    with python("import sys; sys.exit('the disk is full')", tmp_path / "log") as process:
        with pytest.raises(OperationError, match=r"ended with status 1.*the disk is full"):
            process.finish(30)
        with pytest.raises(OperationError, match="the script ended"):
            process.check()
        with pytest.raises(OperationError, match="said nothing"):
            process.line(30)


# The scripts sleep so as to be there when they are ended: nothing waits for them.


def test_a_line_comes_with_the_time_at_which_it_was_said(tmp_path: Path) -> None:
    script = "import time; print(time.monotonic()); print('more'); time.sleep(60)"
    with python(script, tmp_path / "log") as process:
        at, line = process.line(30)
        assert 0 <= at - float(line) < 30
        assert process.line(30)[1] == "more"


def test_a_process_that_does_not_want_to_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smppgw.bench.stage.STOP_LIMIT_S", 0.2)
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('deaf'); time.sleep(60)"
    )
    with python(script, tmp_path / "log") as process:
        process.line(30)
        assert process.running
    assert not process.running


def test_a_process_is_charged_for_what_it_uses_and_for_nothing_else(tmp_path: Path) -> None:
    script = (
        "import time\n"
        "while time.process_time() < 0.3: pass\n"
        "kept = bytearray(50_000_000); print('ready'); time.sleep(60)"
    )
    with python(script, tmp_path / "log") as process:
        machine_s, ours_s = busy_s(), time.process_time()
        process.line(30)
        ours_s = time.process_time() - ours_s
        assert 0.25 <= process.cpu_s() < 3
        assert busy_s() - machine_s - ours_s >= 0.2
        assert 50 < process.memory().resident_mb <= process.memory().peak_mb < 120
    assert process.cpu_s() == 0


def test_a_wait_ends_with_what_it_waited_for_or_says_that_it_was_in_vain(tmp_path: Path) -> None:
    answers = iter((None, False, 0))
    assert wait_until(lambda: next(answers), 5, "an answer") == 0
    with pytest.raises(OperationError, match=r"waited 0.01 s for rain"):
        wait_until(lambda: None, 0.01, "rain")
    with (
        python("pass", tmp_path / "log") as process,
        pytest.raises(OperationError, match="the script ended"),
    ):
        wait_until(lambda: None, 60, "rain", process)


@pytest.mark.parametrize("messages", [1, LEFT_OUT_EVERY, 3 * LEFT_OUT_EVERY + 1])
def test_a_list_has_as_many_good_rows_as_asked_and_some_to_leave_out(
    stage: Stage, messages: int
) -> None:
    path = stage.recipients(messages)
    with open_recipients(path) as recipients:
        numbers = [row.number for row in recipients]
    assert len(set(numbers)) == len(numbers) == messages
    left_out = -(-messages // LEFT_OUT_EVERY)
    assert (recipients.duplicate, recipients.invalid) == (left_out, left_out)


def test_lists_are_written_in_the_ways_of_secretaries(stage: Stage) -> None:
    with stage.recipients(200).open(encoding="utf-8", newline="") as file:
        cells = [row[2] for row in csv.reader(file, delimiter=";")][1:]
    for mark in (" ", ".", "+33", "06", "6"):
        assert any(cell.startswith(mark) or mark in cell[:4] for cell in cells), mark


def test_a_filled_ledger_is_copied_as_often_as_it_is_wanted(stage: Stage) -> None:
    first = stage.filled(20, NOWHERE, window=10)
    second = stage.filled(20, NOWHERE, window=100, throughput=7)
    assert first.database != second.database
    for site in (first, second):
        with site.ledger() as db:
            job = find_job(db, 1)
        assert job is not None
        assert job.counts["queued"] == job.total == 20
    assert "throughput = 7" in second.config.read_text()


def test_submitting_other_than_was_meant_ends_the_benchmark(stage: Stage) -> None:
    site = stage.site(None)
    stage.recipients(3).write_text("Portable\n06 00 00 00 01\n")
    with pytest.raises(OperationError, match="queued 1 of 3"):
        stage.submit(site, 3)


def test_a_peer_does_its_task_against_the_simulator_and_reports_it(stage: Stage) -> None:
    with stage.smsc(record=True) as smsc:
        task = Task(smsc.host, smsc.port, smsc.system_id, smsc.password, 3, 20)
        report = stage.peer("smpplib", task, 60)
        wait_until(lambda: len(smsc.recorded("unbind")) == 1, 30, "the record")
        assert len(smsc.recorded("submit_sm")) == 20
        assert len(smsc.recorded("deliver_sm_resp")) == 20
    assert report["messages"] == 20
    assert report["seconds"] > 0
    assert report["cpu_s"] > 0


def test_a_peer_that_is_not_there_says_so(stage: Stage) -> None:
    with pytest.raises(OperationError, match="No module named"):
        stage.peer("pigeon", Task("127.0.0.1", 1, "bench", "bench", 1, 1), 60)


def test_nothing_is_left_on_the_disk(tmp_path: Path) -> None:
    with Stage(folder=tmp_path) as stage:
        stage.filled(5, NOWHERE, window=10)
        assert list(tmp_path.iterdir()) == [stage.folder]
    assert not list(tmp_path.iterdir())


def test_the_machine_is_described_with_what_the_figures_depend_on(stage: Stage) -> None:
    machine = stage.machine()
    assert machine["cores"] == len(os.sched_getaffinity(0))
    assert machine["sqlite"].startswith("3.")
    assert machine["filesystem"]
    assert len(stage.fsyncs_ms(3)) == 3


def test_a_child_that_is_being_started_when_the_end_comes_is_ended_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children, made = _Children(), []
    start = subprocess.Popen

    def interrupted(*arguments: Any, **options: Any) -> Any:
        made.append(start(*arguments, **options))
        signal.raise_signal(signal.SIGTERM)  # between the fork and whoever would know of it
        return made[-1]

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    before = signal.signal(signal.SIGTERM, children.leave)
    try:
        with (tmp_path / "log").open("ab") as log, pytest.raises(SystemExit, match=f"{ENDED}"):
            children.start(["-c", "input()"], log)
    finally:
        signal.signal(signal.SIGTERM, before)
        children.end()
        made[0].communicate()
    assert made[0].returncode == -signal.SIGKILL


def test_a_record_is_read_while_its_last_line_is_being_written(tmp_path: Path) -> None:
    record = tmp_path / "record"
    whole = '{"command": "submit_sm", "direction": "received", "at": 1.0}\n'
    record.write_text(whole + whole[:40], encoding="utf-8")
    smsc = Smsc("127.0.0.1", 1, "bench", "bench", record=record)
    assert [pdu["at"] for pdu in smsc.recorded("submit_sm")] == [1.0]
