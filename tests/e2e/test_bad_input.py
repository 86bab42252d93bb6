"""Whatever is wrong, a person learns it in a sentence or two that say what to do, and a script by
the exit status: 1 it could not be done, 2 the usage, the configuration or the input is wrong."""

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from smppgw.ledger.database import open_database
from tests.e2e.processes import (
    PATIENCE_S,
    SMPPGW,
    Site,
    free_port,
    national,
    shown,
    wait_until,
)

pytestmark = pytest.mark.timeout(60)

TO = ("--to", national(1))
TEXT = ("--text", "Essai")


class Case(NamedTuple):
    """A command that cannot be done: its exit status, and words that its explanation holds."""

    args: tuple[str, ...]
    status: int
    words: tuple[str, ...]
    files: dict[str, bytes] = {}  # noqa: RUF012  # read only


CASES = {
    "no recipients": Case(("submit", *TEXT), 2, ("--to", "--recipients")),
    "both kinds of recipients": Case(
        ("submit", *TEXT, *TO, "--recipients", "a.csv"), 2, ("--to", "--recipients")
    ),
    "no text": Case(("submit", *TO), 2, ("--text", "--text-file")),
    "both kinds of text": Case(
        ("submit", *TO, *TEXT, "--text-file", "a.txt"), 2, ("--text", "--text-file")
    ),
    "an empty text": Case(("submit", *TO, "--text", " "), 2, ("empty", "--text")),
    "no text file": Case(("submit", *TO, "--text-file", "a.txt"), 2, ("a.txt", "name")),
    "a text file that is not UTF-8": Case(
        ("submit", *TO, "--text-file", "a.txt"), 2, ("a.txt", "UTF-8"),
        {"a.txt": "Pas d'eau à Saint-Martin".encode("latin-1")},
    ),
    "a text that is not UTF-8": Case(
        ("submit", *TO, "--text", "caf\udce9"), 2, ("--text", "UTF-8")
    ),
    "a text of more segments than there are": Case(
        ("submit", *TO, "--text", "a" * 50_000), 2, ("segments", "shorten")
    ),
    "a placeholder without its column": Case(
        ("submit", "--recipients", "a.csv", "--text", "Bonjour {prenmo}"),
        2, ("{prenmo}", "Prénom"), {"a.csv": "Prénom;Portable\nZoé;0600000001\n".encode()},
    ),
    "a placeholder without a list": Case(
        ("submit", *TO, "--text", "Bonjour {prenom}"), 2, ("{prenom}", "--recipients")
    ),
    "a brace never closed": Case(("submit", *TO, "--text", "a { b"), 2, ("{{",)),
    "a blank cell for a placeholder": Case(
        ("submit", "--recipients", "a.csv", "--text", "Bonjour {prenom}"),
        2, ("a.csv", "row 3", "{prenom}"),
        {"a.csv": "Prénom;Portable\nZoé;0600000001\n;0600000002\n".encode()},
    ),
    "no list": Case(("submit", *TEXT, "--recipients", "a.csv"), 2, ("a.csv", "does not exist")),
    "a folder for a list": Case(("submit", *TEXT, "--recipients", "."), 2, (".",)),
    "an empty list": Case(
        ("submit", *TEXT, "--recipients", "a.csv"), 2, ("a.csv", "empty"), {"a.csv": b""}
    ),
    "a list of a header alone": Case(
        ("submit", *TEXT, "--recipients", "a.csv"), 2, ("a.csv", "header"),
        {"a.csv": b"Nom;Portable\n"},
    ),
    "a list without a column of numbers": Case(
        ("submit", *TEXT, "--recipients", "a.csv"), 2, ("a.csv", "--column", "Nom"),
        {"a.csv": b"Nom;Rue\nRoux;rue Haute\nBlanc;rue Basse\n"},
    ),
    "a column that is not there": Case(
        ("submit", *TEXT, "--recipients", "a.csv", "--column", "Mobile"), 2,
        ("Mobile", "Portable"), {"a.csv": b"Nom;Portable\nRoux;0600000001\n"},
    ),
    "a list of which nobody is left": Case(
        ("submit", *TEXT, "--recipients", "a.csv"), 2, ("a.csv", "no recipient"),
        {"a.csv": b"Nom;Portable\nRoux;0100000001\nBlanc;0100000002\n"},
    ),
    "a picture for a list": Case(
        ("submit", *TEXT, "--recipients", "a.xlsx"), 2, ("a.xlsx",),
        {"a.xlsx": b"\x89PNG\r\n\x1a\n" + bytes(200)},
    ),
    "a column for numbers given one by one": Case(
        ("submit", *TEXT, *TO, "--column", "A"), 2, ("--column", "--recipients")
    ),
    "an unknown tenant": Case(
        ("submit", *TEXT, *TO, "--tenant", "saint-martn"), 2, ("saint-martn", "'saint-martin'?")
    ),
    "a bad class": Case(("submit", *TEXT, *TO, "--class", "alrt"), 2, ("alrt", "'alert'")),
    "a bad duration": Case(
        ("submit", *TEXT, *TO, "--expires", "3 weeks"), 2, ("--expires", '"2d"')
    ),
    "a time limit without waiting": Case(
        ("submit", *TEXT, *TO, "--timeout", "3s"), 2, ("--timeout", "--wait")
    ),
    "an unknown option": Case(("submit", *TEXT, *TO, "--clas", "alert"), 2, ("--clas",)),
    "an unknown command": Case(("sumbit",), 2, ("sumbit",)),
    "a job number that is none": Case(("jobs", "show", "x"), 2, ("JOB",)),
    "a spreadsheet on standard output": Case(
        ("report", "1", "--format", "xlsx"), 2, ("--output",)
    ),
    "a command before there is a database": Case(
        ("jobs", "list"), 1, ("gateway.db", "smppgw submit")
    ),
    "outcomes that no SMSC has": Case(("simulate", "--outcomes", "DELIVRD=x"), 2, ("DELIVRD=95",)),
    "a fault that nobody knows": Case(
        ("simulate", "--faults", "receipt-twcie"), 2, ("receipt-twcie", "receipt-twice")
    ),
}  # fmt: skip


def told(ended_stderr: str) -> str:
    """Return an explanation in one line, after holding it to what every explanation promises."""
    lines = [line for line in ended_stderr.splitlines() if line]
    if lines and lines[0].startswith("Usage:"):
        assert lines[1].startswith("Try 'smppgw")
        del lines[:2]
    text = " ".join(lines)
    assert text.startswith("Error: ")
    assert len(re.findall(r"[.?](?= [A-Z]|$)", text)) <= 3, text
    assert len(text) < 600
    return text


Ended = tuple[Site, subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def ended_cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """Run every case in a folder of its own, several at once."""
    base = tmp_path_factory.mktemp("cases")

    def end(name: str) -> Ended:
        case = CASES[name]
        site = Site(base / name)
        site.folder.mkdir()
        site.configure()
        for file, octets in case.files.items():
            (site.folder / file).write_bytes(octets)
        return site, site.run(*case.args)

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(CASES, pool.map(end, CASES), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_explained_and_nothing_else_happens(
    ended_cases: dict[str, Ended], name: str
) -> None:
    _, status, words, _ = CASES[name]
    site, ended = ended_cases[name]
    assert ended.returncode == status
    assert ended.stdout == ""
    explanation = told(ended.stderr)
    assert [word for word in words if word not in explanation] == [], explanation
    if (site.folder / "gateway.db").exists():
        assert site.jobs() == []


def test_a_sheet_that_is_not_there_is_answered_with_those_there_are(site: Site) -> None:
    listed = site.write_xlsx(3)
    ended = site.run("submit", *TEXT, "--recipients", listed, "--sheet", "Élus")
    assert ended.returncode == 2
    explanation = told(ended.stderr)
    assert "Élus" in explanation
    assert "Habitants" in explanation


def test_an_unknown_job_is_told_by_every_command_that_takes_one(site: Site) -> None:
    site.submit(*TO)
    for args in (("jobs", "show", "9"), ("jobs", "watch", "9", "--json"), ("report", "9")):
        ended = site.run(*args)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "no job 9" in told(ended.stderr)


def test_a_report_that_cannot_be_written_is_told_with_its_place(site: Site) -> None:
    site.submit(*TO)
    for kind in ("csv", "json", "xlsx"):
        ended = site.run("report", "1", "--format", kind, "--output", f"nowhere/report.{kind}")
        assert (ended.returncode, ended.stdout) == (1, "")
        assert f"nowhere/report.{kind}" in told(ended.stderr)


# The text file


def test_a_text_file_with_a_byte_order_mark_costs_no_more(site: Site) -> None:
    (site.folder / "texte.txt").write_bytes("\ufeffPas d'eau à Saint-Martin\r\n".encode())
    previewed = site.read("preview", *TO, "--text-file", "texte.txt", "--rewrite", "keep")
    assert previewed["text"]["encoding"] == "gsm7"


# The configuration


def test_no_configuration_is_told_with_how_to_name_one(site: Site) -> None:
    (site.folder / "config.toml").unlink()
    for args in (("status",), ("run",), ("check",), ("submit", *TO, *TEXT)):
        ended = site.run(*args)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "--config" in told(ended.stderr)
    assert list(site.folder.iterdir()) == []


def test_every_mistake_of_the_configuration_is_told_at_once_with_what_is_allowed(
    site: Site,
) -> None:
    path = site.configure()
    text = path.read_text("utf-8")
    text = text.replace("throughput =", "thruput =").replace("window = 10", "window = 0")
    text = text.replace('enquire_link = "30s"', "enquire_link = 30")
    path.write_text(text, "utf-8")
    ended = site.run("check")
    assert (ended.returncode, ended.stdout) == (2, "")
    for words in ('"operator" thruput: unknown key', "'throughput'?", "window: must be 1 or more",
                  'enquire_link: a duration is'):  # fmt: skip
        assert words in ended.stderr
    as_json = site.run("check", "--json")
    assert as_json.returncode == 2
    document = json.loads(as_json.stdout)
    assert document["ok"] is False
    assert len(document["problems"]) == 3
    assert site.run("run").returncode == 2


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"[gateway\n", ("not TOML", "line 1")),
        (b"# caf\xe9\n", ("UTF-8",)),
        (b"", ("smsc", "must be given")),
    ],
)
def test_a_configuration_that_is_none_is_told(
    site: Site, octets: bytes, words: tuple[str, ...]
) -> None:
    (site.folder / "config.toml").write_bytes(octets)
    ended = site.run("run")
    assert (ended.returncode, ended.stdout) == (2, "")
    for word in words:
        assert word in told(ended.stderr)


# The database


def other_program(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE recipe (name TEXT)")
    db.commit()
    db.close()


def newer_version(path: Path) -> None:
    with closing(open_database(path, create=True)) as db:
        db.execute("PRAGMA user_version = 99")


DATABASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no database": (lambda path: path.write_bytes(b"not a database, but long enough" * 50),
                    "not an SQLite database"),
    "another program's": (other_program, "other program"),
    "a newer version's": (newer_version, "version 99"),
    "a folder": (lambda path: path.mkdir(), "gateway.db"),
}  # fmt: skip


@pytest.mark.parametrize("name", DATABASES)
def test_a_file_that_is_no_ledger_is_left_as_it_is(site: Site, name: str) -> None:
    make, words = DATABASES[name]
    path = site.folder / "gateway.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with ThreadPoolExecutor(3) as pool:
        commands = (("run",), ("submit", *TO, *TEXT), ("status",))
        for ended in pool.map(lambda args: site.run(*args), commands):
            assert (ended.returncode, ended.stdout) == (1, "")
            assert words in told(ended.stderr)
    assert (path.read_bytes() if path.is_file() else None) == before


@pytest.mark.parametrize("command", ["run", "submit"])
def test_a_database_that_cannot_be_made_is_told_with_its_path(site: Site, command: str) -> None:
    path = site.configure()
    # Not even root may make a file below a file.
    path.write_text(path.read_text("utf-8").replace("gateway.db", "config.toml/gateway.db"))
    ended = site.run(command, *((*TO, *TEXT) if command == "submit" else ()))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "config.toml/gateway.db" in told(ended.stderr)


def test_a_list_that_does_not_fit_on_the_disk_is_told_and_nothing_of_it_is_queued(
    site: Site,
) -> None:
    site.submit(*TO)
    command = " ".join((*SMPPGW, "submit --text Essai --recipients", site.write_csv(20_000)))
    ended = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -f 1000; exec {command}"],  # blocks: no file grows beyond
        cwd=site.folder,
        env=site.environment,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "disk" in told(ended.stderr)
    left, first = site.jobs()
    assert left["state"] == "loading"  # there was no room to remove it either
    again = site.submit(*TO)["job"]
    assert [job["job"] for job in site.jobs()] == [again, first["job"]]


# The SMSC


def test_with_the_smsc_down_jobs_are_queued_and_status_says_why_nothing_leaves(site: Site) -> None:
    port = free_port()
    site.configure(port=port)
    gateway = site.gateway(bound=False)
    gateway.err.wait_for(lambda lines: any('"event": "link.down"' in line for line in lines))
    job = site.submit(*TO)["job"]

    def backed_off() -> str | None:
        (link,) = site.read("status")["links"]
        reason: str = link["reason"]
        return reason if link["state"] == "backoff" else None

    reason = wait_until(backed_off, "backoff")
    assert f"127.0.0.1:{port}" in reason
    assert shown(site.job(job)["counts"]) == {"queued": 1}
    for_people = wait_until(
        lambda: text if "backoff" in (text := site.run("status").stdout) else None, "backoff"
    )
    assert f"127.0.0.1:{port}" in for_people
    status, why = site.get("/readyz")
    assert status == 503
    assert why.strip()
    site.smsc(port=port)
    assert shown(site.watch(job)["counts"]) == {"delivered": 1}


def test_a_wrong_password_stops_the_link_with_one_clear_line(site: Site) -> None:
    smsc = site.smsc()
    site.configure(port=smsc.port, password="secret09")
    gateway = site.gateway(bound=False)
    gateway.err.wait_for(lambda lines: any('"event": "link.stopped"' in line for line in lines))
    (stopped,) = gateway.events("link.stopped")
    assert stopped["level"] == "error"
    assert "ESME_RINVPASWD" in stopped["reason"]
    assert "password" in stopped["hint"]
    assert gateway.events("link.down") == []  # it does not knock again and again

    def link_stopped() -> str | None:
        (link,) = site.read("status")["links"] or [{"state": None}]
        return str(link["reason"]) if link["state"] == "stopped" else None

    assert "ESME_RINVPASWD" in wait_until(link_stopped, "the link's state")
    assert site.get("/readyz")[0] == 503
    assert gateway.end() == smsc.end() == 0
    assert len(smsc.record("bind_transceiver")) == 1
    assert "secret09" not in "\n".join(gateway.err.lines)


def test_a_submit_without_a_gateway_says_that_nothing_leaves_yet(site: Site) -> None:
    ended = site.run("submit", *TO, *TEXT)
    assert ended.returncode == 0
    assert "smppgw run" in ended.stderr
    assert "Job 1 is queued" in ended.stdout
    (warning,) = site.submit(*TO)["warnings"]
    assert "smppgw run" in warning


def test_the_rows_left_out_are_written_beside_the_list(site: Site) -> None:
    lists = site.folder / "lists"
    lists.mkdir()
    shutil.move(site.folder / site.write_csv(3), lists / "a.csv")
    with (lists / "a.csv").open("a", encoding="utf-8") as file:
        file.write("Personne;néant\n")
    submitted = site.submit("--recipients", "lists/a.csv")
    assert submitted["recipients"]["invalid"] == 1
    assert submitted["left_out_file"] == "lists/a.left-out.csv"
    left_out = (site.folder / submitted["left_out_file"]).read_text("utf-8-sig")
    assert "Personne" in left_out
