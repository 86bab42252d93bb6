"""Real processes in a folder of their own: the gateway, the simulated SMSC, and the commands.

Nothing here sleeps: lines that a process writes are waited for as they come, and what no process
announces (`wait_until`) is asked for again and again within a bound. Every process is stopped by
its own pid and reaped, and what it wrote is held to the promises that are everybody's: no
traceback, no colours where there is no terminal, no number of a citizen in the logs.
"""

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar
from zoneinfo import ZoneInfo

import xlsxwriter

from smppgw.cli.jobs import job_document
from smppgw.ledger.database import Database, open_database
from smppgw.ledger.jobs import list_jobs, report_rows

T = TypeVar("T")

SMPPGW = (sys.executable, "-m", "smppgw")
PATIENCE_S = 40.0  # longer than anything here takes on a busy machine, shorter than pytest-timeout
SYSTEM_ID, PASSWORD = "syndic", "secret08"
ZONE = ZoneInfo("Europe/Paris")
# Below what Linux hands out (ip_local_port_range); neighbouring pids begin 101 apart.
FIRST_PORT, PORTS = 15_000, 15_000
_ports = (FIRST_PORT + (os.getpid() * 101 + at) % PORTS for at in range(PORTS))
# Every number in these tests is +33 6 00 0x xx xx, one way or the other.
ANY_NUMBER = re.compile(r"0?6[ .]?00[ .]?0\d[ .]?\d\d[ .]?\d\d")


def number(ordinal: int) -> str:
    """Return an invented number in E.164; 100,000 of them are different."""
    return f"+336000{ordinal:05d}"


def national(ordinal: int) -> str:
    """Return the same number as a secretary writes it."""
    digits = f"06000{ordinal:05d}"
    return " ".join(digits[at : at + 2] for at in range(0, 10, 2))


def free_port() -> int:
    """Return a port that nobody listens on, another one at each call.

    The kernel gives none of these by itself, and each process begins elsewhere: until a test
    listens on it, or while its SMSC starts again, no other test is likely to take it.
    """
    for port in _ports:
        if is_free(port):
            return port
    raise AssertionError("no port is free")


def is_free(port: int) -> bool:
    """Tell whether nobody listens on a port; sessions that outlive their server do not count."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def wait_until(condition: Callable[[], T | None], what: str, limit_s: float = PATIENCE_S) -> T:
    """Ask until the answer is true, where no event tells."""
    deadline, pause = time.monotonic() + limit_s, threading.Event()
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"{what} did not come within {limit_s:g} s"
        pause.wait(0.05)
    return answer


class Stream:
    """What a process writes, line by line, as it comes."""

    def __init__(self, pipe: IO[str]) -> None:
        self.lines: list[str] = []
        self._ended = False
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._reader.start()

    def _read(self, pipe: IO[str]) -> None:
        for line in pipe:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        pipe.close()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def wait_for(
        self, found: Callable[[Sequence[str]], T | None], limit_s: float = PATIENCE_S
    ) -> T:
        """Wait until the lines so far satisfy; fails when the stream ends or the time is up."""
        deadline = time.monotonic() + limit_s
        with self._news:
            while not (answer := found(self.lines)):
                left_s = deadline - time.monotonic()
                tail = "\n".join(self.lines[-20:])
                assert not self._ended, f"the process ended; its last words were:\n{tail}"
                assert left_s > 0, f"nothing of the kind came; the last lines are:\n{tail}"
                self._news.wait(left_s)
            return answer

    def end(self) -> None:
        """Wait for the end of the stream."""
        self._reader.join(PATIENCE_S)


class Process:
    """A process that stays until it is told to go."""

    def __init__(self, site: "Site", *args: str, stdin: int = subprocess.DEVNULL) -> None:
        self.popen = subprocess.Popen(
            [*SMPPGW, *args],
            cwd=site.folder,
            env=site.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert self.popen.stdout is not None
        assert self.popen.stderr is not None
        self.out, self.err = Stream(self.popen.stdout), Stream(self.popen.stderr)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def wait(self, limit_s: float = PATIENCE_S) -> int:
        """Wait for the end; returns the exit status."""
        status = self.popen.wait(limit_s)
        self.out.end()
        self.err.end()
        return status

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit status."""
        self.popen.send_signal(number)
        return self.wait()

    def stop(self) -> None:
        """End it by whatever it takes."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(5)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        self.wait()

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log's events of a name."""
        logged = (json.loads(line) for line in self.err.lines if line.startswith("{"))
        return [event for event in logged if event["event"] == name]


class Smsc(Process):
    """`smppgw simulate`, with its record read as it is written."""

    def __init__(self, site: "Site", *options: str, port: int = 0) -> None:
        super().__init__(
            site, "simulate", "--port", str(port), "--system-id", SYSTEM_ID,
            "--password", PASSWORD, "--record", "/dev/stdout", *options,
        )  # fmt: skip
        line = self.err.wait_for(lambda lines: lines[0] if lines else "")
        match = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert match is not None, line
        self.port = int(match[1])

    def record(self, command: str, direction: str = "received") -> list[dict[str, Any]]:
        """Return the PDUs of a kind so far."""
        key = f'"direction": "{direction}", "command": "{command}",'
        return [json.loads(line) for line in self.out.lines if key in line]

    def wait_for(self, command: str, count: int = 1, direction: str = "received") -> None:
        """Wait until so many PDUs of a kind are on record."""
        key = f'"direction": "{direction}", "command": "{command}",'
        self.out.wait_for(lambda lines: sum(key in line for line in lines) >= count)

    def final_submits(self) -> Counter[str]:
        """Stop, so that the record is whole; returns how often each recipient was written to."""
        if self.popen.poll() is None:
            assert self.end() == 0
        return Counter(f"+{pdu['destination']}" for pdu in self.record("submit_sm"))


CONFIG = """
[gateway]
database = "gateway.db"

[metrics]
listen = "127.0.0.1:{metrics_port}"

[[smsc]]
name = "operator"
host = "127.0.0.1"
port = {port}
system_id = "syndic"
password = "{password}"
window = {window}
throughput = {throughput}
enquire_link = "{enquire_link}"
response_timeout = "{response_timeout}"
reconnect = ["100ms", "400ms"]
receipts = "{receipts}"
price = 0.038

[[tenant]]
name = "saint-martin"
sender = "STMARTIN"
rewrite = "gentle"

[class.alert]
unknown = "{alert_unknown}"
"""
SETTINGS = {
    "port": 2775,
    "password": PASSWORD,
    "window": 10,
    "throughput": 100_000,
    "enquire_link": "30s",
    "response_timeout": "10s",
    "receipts": "every",
    "alert_unknown": "resend",
}


class Site:
    """A folder with a configuration, and what runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metrics_port = free_port()
        self.secrets: set[str] = set()  # texts that no log may hold
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SMPPGW_", "PYTEST_", "FORCE_COLOR", "COV_"))
            and name != "PYTHONDONTWRITEBYTECODE"  # a third of every start is compiling
        }
        self._processes: list[Process] = []
        self._gateways: list[Process] = []

    # Files

    def configure(self, **settings: object) -> Path:
        """Write config.toml; returns its path."""
        path = self.folder / "config.toml"
        values = {**SETTINGS, "metrics_port": self.metrics_port, **settings}
        path.write_text(CONFIG.format(**values), "utf-8")
        return path

    def write_csv(self, count: int, name: str = "habitants.csv") -> str:
        """Write a list of so many recipients; returns its name."""
        with (self.folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=";")
            writer.writerow(("Prénom", "Portable"))
            writer.writerows((f"Zoé {at}", national(at)) for at in range(count))
        return name

    def write_xlsx(self, count: int, name: str = "habitants.xlsx") -> str:
        """Write the same list for Excel; returns its name."""
        book = xlsxwriter.Workbook(self.folder / name)
        sheet = book.add_worksheet("Habitants")
        sheet.write_row(0, 0, ("Prénom", "Portable"))
        for at in range(count):
            sheet.write_row(at + 1, 0, (f"Zoé {at}", national(at)))
        book.close()
        return name

    # Processes

    def start(self, *args: str, stdin: int = subprocess.DEVNULL) -> Process:
        """Start a command that stays."""
        process = Process(self, *args, stdin=stdin)
        self._processes.append(process)
        return process

    def smsc(self, *options: str, port: int = 0) -> Smsc:
        """Start the simulated SMSC; returns when it listens."""
        smsc = Smsc(self, *options, port=port or free_port())
        self._processes.append(smsc)
        return smsc

    def gateway(self, *, bound: bool = True) -> Process:
        """Start the gateway; returns when it is bound, or has begun."""
        gateway = self.start("run")
        self._gateways.append(gateway)
        event = "link.bound" if bound else "gateway.started"
        gateway.err.wait_for(lambda lines: any(f'"event": "{event}"' in line for line in lines))
        return gateway

    def log(self) -> list[str]:
        """Return what the gateways wrote so far, line by line."""
        return [line for gateway in self._gateways for line in gateway.err.lines]

    def stop(self) -> None:
        """End everything, and hold what was written to what every process promises."""
        for process in reversed(self._processes):
            process.stop()
        for process in self._processes:
            assert "Traceback" not in "\n".join(process.err.lines)
            assert "\x1b" not in "\n".join((*process.err.lines, *process.out.lines))
        for gateway in self._gateways:
            assert not gateway.out.lines
        log = self.log()
        assert ANY_NUMBER.search("\n".join(log)) is None
        assert not [secret for secret in self.secrets if secret in "\n".join(log)]
        for line in log:
            json.loads(line)

    # Commands

    def run(self, *args: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, as a script does: no terminal on any side."""
        ended = subprocess.run(
            [*SMPPGW, *args],
            cwd=self.folder,
            env=self.environment,
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE_S,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        assert "\x1b" not in ended.stdout + ended.stderr
        return ended

    def read(self, *args: str, given: str | None = None) -> Any:
        """Run a command with --json; returns its one document."""
        ended = self.run(*args, "--json", given=given)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def submit(
        self, *args: str, text: str = "Coupure d'eau jeudi.", given: str | None = None
    ) -> Any:
        """Submit a job; returns its document."""
        self.secrets.add(text)
        return self.read("submit", "--text", text, *args, given=given)

    # The ledger, read in this process: a command takes 0.3 s to begin

    @contextmanager
    def ledger(self) -> Iterator[Database]:
        """Open the database, as every command does."""
        with closing(open_database(self.folder / "gateway.db")) as db:
            yield db

    def jobs(self) -> list[dict[str, Any]]:
        """Return the documents of `jobs list`."""
        with self.ledger() as db:
            return [job_document(job, ZONE) for job in list_jobs(db)]

    def job(self, job: int) -> dict[str, Any]:
        """Return the document of `jobs show`."""
        (document,) = (one for one in self.jobs() if one["job"] == job)
        return document

    def watch(self, job: int) -> dict[str, Any]:
        """Wait until nothing of a job can change; returns its document."""

        def settled() -> dict[str, Any] | None:
            document = self.job(job)
            counts = document["counts"]
            moving = counts["queued"] + counts["submitting"] + counts["accepted"]
            return None if moving or document["state"] == "loading" else document

        return wait_until(settled, "the end of the job")

    def states(self, job: int) -> dict[str, str]:
        """Return the state of each message of a job, by recipient."""
        with self.ledger() as db:
            return {row.number: row.state for row in report_rows(db, job)}

    def get(self, path: str) -> tuple[int, str]:
        """Ask the gateway's endpoint; returns status and body."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.metrics_port}{path}", timeout=5
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


def shown(counts: dict[str, int]) -> dict[str, int]:
    """Return the counts that are not 0, after holding them to their total (I2)."""
    states = {state: count for state, count in counts.items() if state != "total"}
    assert sum(states.values()) == counts["total"]
    return {state: count for state, count in states.items() if count}


def recipients(count: int) -> set[str]:
    """Return the recipients of a list of so many."""
    return set(map(number, range(count)))


def duplicates(submitted: Iterable[int]) -> int:
    """Return how many submit_sm were more than the first to their recipient."""
    return sum(times - 1 for times in submitted)
