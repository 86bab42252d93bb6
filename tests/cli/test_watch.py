"""Live screens at a real terminal; what a job waits for; lines where nobody looks."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from smppgw.ledger.jobs import LinkRow, note_links
from tests.cli.conftest import CONFIG, Smppgw
from tests.ledger.conftest import Ledger

LIMIT_S = 30.0
Shown = Callable[..., tuple[int, list[list[str]]]]


@pytest.fixture
def watched(config_path: Path) -> Shown:
    """Run a command at a terminal until it has drawn twice, press Ctrl-C, return its pictures."""

    def run(
        *words: object, columns: int = 100, rows: int = 30, press: bool = True, **more: str
    ) -> tuple[int, list[list[str]]]:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        kept = {
            name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "smppgw", "--config", config_path, *map(str, words)],
            env=kept | {"TERM": "xterm"} | more,
            stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        octets, pressed, end = b"", not press, time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            if not select.select([ours], [], [], 1.0)[0]:
                continue
            try:
                octets += os.read(ours, 65536)
            except OSError:  # nobody holds the other end any more
                break
            if not pressed and octets.count(b"\r\x1b[2K") >= 2:
                process.send_signal(signal.SIGINT)
                pressed = True
        os.close(ours)
        drawn = octets.decode().replace("\r\n", "\n").split("\r\x1b[2K")
        pictures = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", one).splitlines() for one in drawn]
        return process.wait(LIMIT_S), pictures

    return run


def test_ctrl_c_ends_the_watching_of_a_job_with_success_and_leaves_the_last_picture(
    ledger: Ledger, watched: Shown
) -> None:
    job = ledger.load(4)
    (claim,) = ledger.claim(1)
    status, pictures = watched("jobs", "watch", job)
    last = "\n".join(pictures[-1])
    assert status == 0
    assert f"Job {job} is sending: service, saint-martin" in last
    assert re.search(r"queued .* 3 +75\.0%", last)
    assert re.search(r"submitting .* 1 +25\.0%", last)
    assert "The gateway does not run" in last
    assert "Interrupted" not in last
    assert claim.message_id


def test_a_job_that_is_settled_ends_the_watching_and_is_shown_once(
    ledger: Ledger, watched: Shown, smppgw: Smppgw
) -> None:
    job = ledger.load(2)
    smppgw("jobs", "cancel", job, "--json")
    status, pictures = watched("jobs", "watch", job, press=False)
    assert status == 0
    assert sum(f"Job {job} is cancelled" in line for line in pictures[-1]) == 1
    assert any("all have ended" in line for line in pictures[-1])


@pytest.mark.parametrize(("columns", "rows"), [(60, 8), (80, 24), (200, 50)])
def test_a_picture_is_no_wider_and_no_higher_than_the_terminal(
    ledger: Ledger, watched: Shown, columns: int, rows: int
) -> None:
    note_links(ledger.db, [LinkRow("operator", 1, "backoff", "why " * 40, 10, 0, 20, 20.0)])
    for _ in range(15):
        ledger.load(3)
    status, pictures = watched("status", "--watch", "0.2", columns=columns, rows=rows)
    assert status == 0
    for picture in pictures[1:]:
        assert len(picture) < rows
        assert max(map(len, picture)) <= columns


def test_status_is_drawn_again_with_a_bar_for_each_job_that_waits(
    ledger: Ledger, watched: Shown
) -> None:
    for _ in range(12):
        ledger.load(3)
    status, pictures = watched("status", "--watch", "0.2", rows=50)
    assert status == 0
    assert len(pictures) >= 3
    shown = pictures[-1]
    assert sum(line.lstrip().startswith("Job ") for line in shown) == 10
    assert any("and 2 jobs more" in line for line in shown)


def test_without_colours_a_bar_still_says_how_much_is_there(
    ledger: Ledger, watched: Shown, smppgw: Smppgw
) -> None:
    job = ledger.load(4)
    ledger.claim(2)
    _, pictures = watched("jobs", "watch", job, NO_COLOR="1")
    lengths = [line.count("━") for line in pictures[-1] if "━" in line]
    assert len(lengths) == 2
    assert 20 < lengths[0] < 50
    assert abs(lengths[0] - lengths[1]) <= 1


@pytest.mark.parametrize("words", [("--watch",), ("--watch", "2"), ("--watch", "2", "--json")])
def test_a_screen_is_refused_where_nobody_looks(
    ledger: Ledger, smppgw: Smppgw, words: tuple[str, ...]
) -> None:
    ended = smppgw("status", *words)
    assert (ended.status, ended.out) == (2, "")
    assert "smppgw status --json" in ended.err


def test_without_a_terminal_a_new_state_is_a_line_and_the_job_is_shown_at_the_end(
    ledger: Ledger, smppgw: Smppgw
) -> None:
    job = ledger.load(2)
    smppgw("jobs", "cancel", job, "--json")
    ended = smppgw("jobs", "watch", job)
    assert ended.err == f"Job {job} is cancelled: 2 cancelled; all have ended.\n"
    assert f"Job {job} is cancelled" in ended.out
    assert smppgw("jobs", "watch", job, "--json").err == ""


def test_a_state_that_lasts_is_told_once(ledger: Ledger, smppgw: Smppgw, config_path: Path) -> None:
    job = ledger.load(2)
    words = ["--config", str(config_path), "jobs", "watch", str(job)]
    with subprocess.Popen(
        [sys.executable, "-m", "smppgw", *words],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        first = process.stderr.readline()
        # It looks several times while this one starts and ends.
        subprocess.run([sys.executable, "-m", "smppgw", *words[:2], "check"], check=True,
                       capture_output=True)  # fmt: skip
        smppgw("jobs", "cancel", job)
        rest = process.stderr.read().splitlines()
    assert first.startswith(f"Job {job} is queued: 2 queued; ")
    assert rest == [f"Job {job} is cancelled: 2 cancelled; all have ended."]


# What a job waits for


def test_a_job_outside_its_hours_says_until_when_wherever_it_is_shown(
    ledger: Ledger, smppgw: Smppgw, config_path: Path
) -> None:
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    tomorrow = days[(time.localtime().tm_wday + 2) % 7]
    config_path.write_text(
        f'{CONFIG}[class.promotional]\ndays = ["{tomorrow}"]\nholidays = true\n', "utf-8"
    )
    job, other = ledger.load(3, job_class="promotional"), ledger.load(2)
    document = json.loads(smppgw("jobs", "show", job, "--json").out)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00\.000[+]0[12]:00", document["opens_at"])
    assert json.loads(smppgw("jobs", "show", other, "--json").out)["opens_at"] is None
    assert "waits for " in smppgw("jobs", "show", job).out
    listed = {line.split()[0]: line for line in smppgw("jobs", "list").out.splitlines()[2:]}
    assert "waits for " in listed[str(job)]
    assert "waits for " not in listed[str(other)]
    status = json.loads(smppgw("status", "--json").out)
    assert status["waiting"]["promotional"] == {"hours": 3, "scheduled": 0, "paused": 0}
    assert status["waiting"]["service"] == {"hours": 0, "scheduled": 0, "paused": 0}
    assert "promotional: 3 outside their hours; the next leave at " in smppgw("status").out


def test_a_job_that_is_scheduled_or_paused_says_so(ledger: Ledger, smppgw: Smppgw) -> None:
    at = (int(time.time()) + 90_000) * 1000
    scheduled, paused = ledger.load(2, starts_at=at), ledger.load(5)
    smppgw("jobs", "pause", paused)
    assert json.loads(smppgw("jobs", "show", scheduled, "--json").out)["opens_at"] is not None
    assert json.loads(smppgw("jobs", "show", paused, "--json").out)["opens_at"] is None
    assert f"jobs resume {paused}" in smppgw("jobs", "show", paused).out
    waiting = json.loads(smppgw("status", "--json").out)["waiting"]["service"]
    assert waiting == {"hours": 0, "scheduled": 2, "paused": 5}


def test_status_says_whether_an_alert_could_leave(ledger: Ledger, smppgw: Smppgw) -> None:
    alert = json.loads(smppgw("status", "--json").out)["alert"]
    assert alert["ready"] is False
    assert "link" in alert["against"]
    assert "may not leave, or not as it should: link" in smppgw("status").out


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_a_list_of_jobs_fits_the_terminal(ledger: Ledger, watched: Shown, columns: int) -> None:
    for _ in range(3):
        ledger.load(2, job_class="promotional", starts_at=(int(time.time()) + 90_000) * 1000)
    status, ((*lines,),) = watched("jobs", "list", columns=columns, press=False)
    assert status == 0
    assert max(map(len, lines)) <= columns
    assert "…" not in "".join(lines)
