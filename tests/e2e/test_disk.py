"""A disk that fails, a file that cannot be used, too few open files: a real process, real limits.

The limits are the kernel's, set on the running gateway from outside and lifted again.
"""

import resource
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from smppgw.ledger.upkeep import verify
from tests.e2e.processes import (
    PATIENCE_S,
    SMPPGW,
    Process,
    Site,
    national,
    recipients,
    shown,
)

ROWS = 600


def limit(process: Process, what: int, most: int) -> int:
    """Let a process have no more of a resource than this; returns what it might have before."""
    before, hard = resource.prlimit(process.pid, what)
    resource.prlimit(process.pid, what, (most, hard))
    return before


@contextmanager
def limited(process: Process, what: int, most: int) -> Iterator[None]:
    """Let a process have no more of a resource than this, for a while."""
    before = limit(process, what, most)
    yield
    limit(process, what, before)


def wait_for_event(process: Process, event: str, count: int = 1) -> None:
    process.err.wait_for(lambda lines: sum(f'"event": "{event}"' in one for one in lines) >= count)


def test_a_disk_that_refuses_to_write_stops_everything_until_it_writes_again(site: Site) -> None:
    smsc = site.smsc("--latency", "20ms", "--receipt-delay", "100ms")
    site.configure(port=smsc.port, throughput=300)
    gateway = site.gateway()
    job = site.submit("--recipients", site.write_csv(ROWS))["job"]
    smsc.wait_for("submit_sm", 100)
    with limited(gateway, resource.RLIMIT_FSIZE, 4096):
        wait_for_event(gateway, "database.failed")
        assert site.get("/readyz")[0] == 503
        # What the SMSC was told is on disk; the other receipts it keeps.
        answered = len(smsc.record("deliver_sm_resp"))
        with site.ledger() as db:
            (received,) = db.execute("SELECT sum(receipts_received) FROM account").fetchone()
        assert answered <= received
    assert shown(site.watch(job)["counts"]) == {"delivered": ROWS}
    assert gateway.popen.poll() is None
    (failed,) = gateway.events("database.failed")
    assert "the disk" in failed["reason"]
    with site.ledger() as db:
        assert list(verify(db)) == []
    submitted = smsc.final_submits()
    assert submitted.keys() == recipients(ROWS)
    assert set(submitted.values()) == {1}


def test_killed_while_the_disk_refuses_to_write_nothing_acknowledged_is_missing(site: Site) -> None:
    smsc = site.smsc("--latency", "20ms", "--receipt-delay", "100ms")
    site.configure(port=smsc.port, throughput=300, window=10)
    gateway = site.gateway()
    job = site.submit("--recipients", site.write_csv(ROWS))["job"]
    smsc.wait_for("submit_sm", 100)
    with limited(gateway, resource.RLIMIT_FSIZE, 4096):
        wait_for_event(gateway, "database.failed")
    gateway.end(signal.SIGKILL)
    site.gateway()
    counts = shown(site.watch(job)["counts"])
    assert counts.keys() <= {"delivered", "unknown"}
    assert counts.get("unknown", 0) <= 10
    assert set(smsc.final_submits().values()) == {1}


def test_a_submit_that_the_disk_refuses_says_so_and_leaves_no_job(site: Site) -> None:
    site.submit("--to", national(1))
    submit = site.start("submit", "--recipients", site.write_csv(50_000), "--text", "Essai")
    limit(submit, resource.RLIMIT_FSIZE, 100_000)
    assert submit.wait() == 1
    (line,) = submit.err.lines
    assert line.startswith("Error: ")
    assert "gateway.db: the disk" in line
    assert not submit.out.lines
    again = site.submit("--to", national(2))
    assert [job["job"] for job in site.jobs()] == [again["job"], 1]
    with site.ledger() as db:
        assert list(verify(db)) == []


def test_without_files_to_open_a_link_waits_and_binds_again_when_there_are_some(
    site: Site,
) -> None:
    smsc = site.smsc()
    site.configure(port=smsc.port)
    gateway = site.gateway()
    assert smsc.end() == 0
    wait_for_event(gateway, "link.down")
    with limited(gateway, resource.RLIMIT_NOFILE, 3):
        gateway.err.wait_for(lambda lines: any("Too many open files" in one for one in lines))
        job = site.submit("--to", national(1))["job"]
        assert shown(site.job(job)["counts"]) == {"queued": 1}
    site.smsc(port=smsc.port)
    wait_for_event(gateway, "link.bound", 2)
    assert shown(site.watch(job)["counts"]) == {"delivered": 1}


def test_a_gateway_that_may_not_open_its_files_says_so_in_one_line(site: Site) -> None:
    shell = ["sh", "-c", 'ulimit -n 6; exec "$@"', "sh", *SMPPGW, "run"]
    ended = subprocess.run(
        shell,
        cwd=site.folder,
        env=site.environment,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("Error: ")
    assert line.endswith(": Too many open files.")


# Files that cannot be used


def garbage(path: Path) -> None:
    path.write_bytes(b"Liste des communes\n" * 5000)


def torn(path: Path) -> None:
    octets = bytearray(path.read_bytes())
    octets[4096:] = b"\xa5" * (len(octets) - 4096)
    path.write_bytes(octets)


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA user_version = 99")


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA application_id = 77")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (garbage, "it is not an SQLite database. Name another file"),
        (torn, "it is damaged. Stop the gateway and restore a backup."),
        (newer, "has version 99 and this smppgw knows version 2: run the smppgw that made it"),
        (foreign, "is a database of some other program: name another file"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line_and_left_as_it_is(
    site: Site, spoil: Callable[[Path], None], said: str
) -> None:
    site.submit("--to", national(1))
    path = site.folder / "gateway.db"
    spoil(path)
    before = path.read_bytes()
    for words in (("run",), ("submit", "--to", national(2), "--text", "Essai"), ("verify",)):
        ended = site.run(*words)
        assert ended.returncode == 1
        (line,) = ended.stderr.splitlines()
        assert line.startswith("Error: ")
        assert said in line
        assert ended.stdout == ""
    assert path.read_bytes() == before
