"""The command `bench`: its table, its documents, and what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import click
import pytest
from rich.console import Console

from smppgw.bench import MEASURES, Result, Row
from smppgw.cli.bench import WIDTHS, Address, number, show

BENCH = [sys.executable, "-m", "smppgw", "bench"]
LIMIT_S = 100
MACHINE = {
    "cores": 2,
    "processor": "some processor",
    "memory_mb": 16_000,
    "system": "Linux 6.1",
    "python": "3.11.7",
    "sqlite": "3.40.1",
    "filesystem": "ext4",
    "fsync_ms": 0.5,
    "fsync_p90_ms": 3.9,
    "load_before": 0.1,
    "smsc": "given",
}


def shown(*rows: Row) -> list[str]:
    page = StringIO()
    show(Result(MACHINE, list(rows)), Console(file=page, width=sum(WIDTHS) + len(WIDTHS) - 1))
    return page.getvalue().splitlines()


def test_the_table_fits_a_hundred_columns_and_loses_no_word_of_a_note() -> None:
    note = "a word and another and many more until it does not fit on one line any longer"
    lines = shown(
        Row("worst_1000", (1000.0,), 1000.0, 1.0, note),
        Row("aiosmpplib_per_s", (123_456.0,), 123_456.0, 0.123),
        Row("share_200", (12.3456,), 12.3456, 1234.5),
    )
    assert max(map(len, lines)) <= 100
    said = " ".join(" ".join(line[-WIDTHS[-1] :].split()) for line in lines[2:6])
    assert all(word in said for word in note.split())


def test_a_row_shows_its_figure_its_ratio_its_budget_and_whether_it_is_met() -> None:
    missed = shown(Row("times_smpplib", (9.5,), 9.5))[2]
    assert missed.split() == [
        "The",
        "same,",
        "in",
        "times",
        "smpplib",
        "9.5",
        "times",
        "≥",
        "10",
        "no",
    ]
    met = shown(Row("cpu_s_per_1000", (0.02,), 0.02, 0.1))[2]
    assert met.split()[-8:] == ["0.02", "s/1,000", "0.1", "×", "smpplib", "≤", "0.04", "yes"]
    assert shown(Row("times_smpplib", note="why"))[2].split()[-4:] == ["–", "≥", "10", "why"]


@pytest.mark.parametrize(
    ("figure", "written"),
    [
        (25_000, "25,000"),
        (999.4, "999"),
        (98.765, "98.8"),
        (10, "10"),
        (0.0333, "0.0333"),
        (0, "0"),
    ],
)
def test_figures_are_written_with_the_digits_that_mean_something(
    figure: float, written: str
) -> None:
    assert number(figure) == written


def test_an_address_is_a_host_and_a_port() -> None:
    assert Address().convert("127.0.0.1:2775", None, None) == ("127.0.0.1", 2775)
    assert Address().convert("[::1]:2775", None, None) == ("::1", 2775)
    for wrong in ("127.0.0.1", "localhost:", ":2775", "localhost:0", "localhost:65536", "a:b"):
        with pytest.raises(click.BadParameter):
            Address().convert(wrong, None, None)


def test_one_json_document_stands_on_standard_output_and_in_the_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *BENCH,
            *("--quick", "--only", "window-10", "--json", "--folder", str(tmp_path)),
            *("--json-file", str(tmp_path / "out.json"), "--chart", str(tmp_path / "out.svg")),
        ],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document == json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert [row["name"] for row in document["rows"]] == ["window_10", "window_10_cpu"]
    assert document["rows"][0]["budget"] == 5000
    assert document["machine"]["sqlite"]
    assert (tmp_path / "out.svg").read_text("utf-8").startswith("<svg")
    assert "window-10" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"out.json", "out.svg"}


def test_ended_in_the_middle_it_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*BENCH, "--quick", "--only", "share", "--folder", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "queueing" in line:  # the simulator is up, and submit is at work
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 143
    assert not list(tmp_path.iterdir())
    assert not list(children_at_work(tmp_path))


def children_at_work(folder: Path) -> list[str]:
    """Return the command lines of processes that name a folder."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
        except OSError:
            continue  # it has ended meanwhile
        if str(folder) in command:
            found.append(command)
    return found


def test_an_unknown_measure_is_wrong_usage_and_the_known_ones_are_named() -> None:
    done = subprocess.run(
        [*BENCH, "--only", "luck"], capture_output=True, text=True, timeout=LIMIT_S
    )
    assert done.returncode == 2
    for name in MEASURES:
        assert name in done.stderr
