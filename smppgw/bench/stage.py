"""Where a benchmark is played: a folder on a disk, an SMSC, ledgers full of messages, processes.

Everything is done as a user does it: `smppgw submit` fills a ledger, `smppgw run` empties it,
`smppgw simulate` is the SMSC, each a process of its own. A ledger that is needed often is filled
once and copied. Every wait is bounded; leaving a context ends its process, and the stage's folder
goes with the stage.

Linux only, as the gateway is: what a process used is read from /proc.
"""

import csv
import json
import os
import platform
import random
import select
import shutil
import signal
import socket
import subprocess  # nosec B404  # our own commands
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, Self, TypeVar

from smppgw import __version__
from smppgw.bench.peers.task import SENDER, TEXT, Task, destination
from smppgw.errors import OperationError
from smppgw.ledger.database import Database, open_database

T = TypeVar("T")

START_LIMIT_S = 30.0
STOP_LIMIT_S = 60.0  # a drain waits for the response timeout
POLL_S = 0.002  # a look into the ledger takes 30 µs
UNLIMITED = 1_000_000  # as throughput: the highest that the configuration takes

# How a secretary's list writes a number that the operator would write +33600000001.
WRITTEN = (
    lambda digits: "0" + digits[2:],
    lambda digits: " ".join(("0" + digits[2:])[at : at + 2] for at in range(0, 10, 2)),
    lambda digits: ".".join(("0" + digits[2:])[at : at + 2] for at in range(0, 10, 2)),
    lambda digits: "+" + digits,
    lambda digits: digits[2:],  # Excel has eaten the zero
)
LEFT_OUT_EVERY = 200  # good rows to one that is written twice, and to one that is no number

_CONFIG = """
[gateway]
database = "ledger.db"

[metrics]
listen = "127.0.0.1:0"

[[smsc]]
name = "operator"
host = {host}
port = {port}
system_id = {system_id}
password = {password}
window = {window}
throughput = {throughput}
reconnect = ["100ms", "1s"]
price = 0.038

[[tenant]]
name = "saint-martin"
sender = "{sender}"

[class.promotional]
profiles = ["always"]

[profile.always]
"""
QUEUED_CLASS = "promotional"  # of lists: the last lane, which everything else goes in front of


class Memory(NamedTuple):
    """Memory of a process now, and the most it had; in MB of 10^6 octets."""

    resident_mb: float
    peak_mb: float


class _Children:
    """Every child that was started, so that none is left when a signal ends the benchmark.

    A signal that comes while a child is made waits until it is on the list: an exception raised in
    the middle of that would leave a process that nobody knows of.
    """

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[bytes]] = []
        self._starting = False
        self._ending = False

    def start(self, arguments: list[str], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start one; its standard output is a pipe.

        Raises:
            SystemExit: the benchmark is to end.
        """
        self._starting = True
        try:
            child = subprocess.Popen(  # nosec B603  # our own commands
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
            self._started.append(child)
        finally:
            self._starting = False
        if self._ending:
            sys.exit(ENDED)
        return child

    def leave(self, *_: object) -> None:
        """End the benchmark: the handler of SIGTERM.

        Raises:
            SystemExit: at once, or when the child that is being started is known.
        """
        self._ending = True
        if not self._starting:
            sys.exit(ENDED)

    def end(self) -> None:
        """End those that are left, with SIGKILL."""
        for child in self._started:
            if child.poll() is None:
                child.kill()
                child.wait()


ENDED = 128 + signal.SIGTERM  # the status of what SIGTERM has ended
CHILDREN = _Children()


class Process:
    """One child: what it uses, what it says, and its end. Use as a context."""

    def __init__(self, arguments: list[str], log: Path, *, name: str) -> None:
        """Start it.

        Args:
            arguments: of this Python.
            log: a file for what it says on standard error.
            name: what to call it in a sentence.
        """
        self.name = name
        self._log = log
        self._said = b""
        self._said_at = 0.0
        with log.open("ab") as stderr:
            self._child = CHILDREN.start(arguments, stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._child.poll() is None

    def check(self) -> None:
        """See that it still runs.

        Raises:
            OperationError: it has ended.
        """
        if not self.running:
            raise self.failure(f"ended with status {self._child.returncode}")

    def failure(self, what: str) -> OperationError:
        """Make an error that ends with the last that the process said."""
        said = self._log.read_text("utf-8", "replace").strip().rpartition("\n")[2]
        return OperationError(f"{self.name} {what}. {said}"[:300].rstrip())

    def cpu_s(self) -> float:
        """Return the processor time it has used, in steps of 10 ms; 0 once it has ended."""
        try:
            fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> Memory:
        """Return its memory; zeros once it has ended."""
        sizes = {"VmRSS": 0.0, "VmHWM": 0.0}
        with suppress(FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{self._child.pid}/status").read_text().splitlines():
                key, _, value = line.partition(":")
                if key in sizes:
                    sizes[key] = int(value.split()[0]) * 1024 / 1e6
        return Memory(sizes["VmRSS"], sizes["VmHWM"])

    def line(self, limit_s: float) -> tuple[float, str]:
        """Wait for a line on its standard output.

        Returns:
            When it came (time.monotonic), and the line.

        Raises:
            OperationError: none came in time, or the process ended without one.
        """
        stream, deadline = self._child.stdout, time.monotonic() + limit_s
        assert stream is not None
        while b"\n" not in self._said:
            ready, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise self.failure(f"said nothing for {limit_s:g} s")
            octets = os.read(stream.fileno(), 1 << 16)
            self._said_at = time.monotonic()
            if not octets:
                self._child.wait(STOP_LIMIT_S)
                raise self.failure(f"ended with status {self._child.returncode} and said nothing")
            self._said += octets
        line, _, self._said = self._said.partition(b"\n")
        return self._said_at, line.decode()

    def finish(self, limit_s: float) -> Memory:
        """Wait until it ends by itself, with status 0.

        Returns:
            Its memory when it was last seen, 10 ms before the end at most.

        Raises:
            OperationError: it does not end in time, or with another status.
        """
        deadline, memory = time.monotonic() + limit_s, Memory(0.0, 0.0)
        while self.running:
            if time.monotonic() > deadline:
                raise self.failure(f"did not end within {limit_s:g} s")
            memory = max(memory, self.memory(), key=lambda seen: seen.peak_mb)
            time.sleep(5 * POLL_S)
        if self._child.returncode:
            raise self.failure(f"ended with status {self._child.returncode}")
        return memory

    def wait(self, limit_s: float) -> None:
        """Let it end by itself for a while, with whatever status."""
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(limit_s)

    def kill(self) -> None:
        """End it with SIGKILL, and reap it."""
        self._child.kill()
        self._child.wait()

    def stop(self) -> None:
        """End it with SIGTERM, with SIGKILL where that takes too long, and reap it."""
        if self.running:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.kill()
        if self._child.stdout is not None:
            self._child.stdout.close()


class Smsc(NamedTuple):
    """Where submit_sm go: an SMSC given by its address, or a simulator of ours.

    `record` is the simulator's file about each PDU, where it was asked for.
    """

    host: str
    port: int
    system_id: str
    password: str
    process: Process | None = None
    record: Path | None = None

    def cpu_s(self) -> float:
        """Return the processor time that it has used; 0 where it is not ours."""
        return self.process.cpu_s() if self.process else 0.0

    def recorded(self, command: str, direction: str = "received") -> list[dict[str, Any]]:
        """Return what the record holds of one command; a last line that is half written waits."""
        assert self.record is not None, "the SMSC keeps no record"
        marks = (f'"{command}"', f'"{direction}"')
        with self.record.open(encoding="utf-8") as lines:
            found = [
                json.loads(line)
                for line in lines
                if line.endswith("\n") and all(mark in line for mark in marks)
            ]
        return [pdu for pdu in found if pdu["command"] == command]


class Site(NamedTuple):
    """One installation: a configuration and its ledger, in a folder of their own."""

    folder: Path
    jobs: int  # in the ledger

    @property
    def config(self) -> Path:
        """The path of config.toml."""
        return self.folder / "config.toml"

    @property
    def database(self) -> Path:
        """The path of the ledger."""
        return self.folder / "ledger.db"

    @contextmanager
    def ledger(self) -> Iterator[Database]:
        """Open the ledger to look into it."""
        db = open_database(self.database)
        try:
            yield db
        finally:
            db.close()


class Stage:
    """The folder, and what is put up in it. Use as a context."""

    def __init__(
        self,
        *,
        smsc: Smsc | None = None,
        folder: Path | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Set up a stage.

        Args:
            smsc: the SMSC to send to; None takes a simulator of our own.
            folder: where to make the folder; None takes the first of the usual ones that is on a
                disk.
            say: told what is going on.
        """
        self.say = say
        self.external = smsc is not None
        self._smsc = smsc
        self._temporary = tempfile.TemporaryDirectory(
            prefix="smppgw-bench-", dir=folder or _on_disk(), ignore_cleanup_errors=True
        )
        self.folder = Path(self._temporary.name)
        self._log = self.folder / "log"
        self._numbered = 0
        self._filled: dict[tuple[int, str], Site] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        CHILDREN.end()
        self._temporary.cleanup()

    # Processes

    @contextmanager
    def smsc(self, *options: str, record: bool = False) -> Iterator[Smsc]:
        """Put up the SMSC: the one that was given, or a simulator.

        Args:
            options: of `smppgw simulate`.
            record: have it keep a record; only a simulator can.
        """
        if self._smsc is not None:
            yield self._smsc
            return
        port = _free_port()
        path = self._new_path("record") if record else None
        arguments = ["simulate", "--port", str(port), *options]
        if path is not None:
            arguments += ["--record", str(path)]
        with self.smppgw(*arguments) as process:
            smsc = Smsc("127.0.0.1", port, "bench", "bench", process, path)
            wait_until(lambda: _listens(smsc), START_LIMIT_S, "the simulator to listen", process)
            yield smsc
        if path is not None:
            path.unlink()

    def smppgw(self, *arguments: str, site: Site | None = None) -> Process:
        """Start a command of smppgw, with a site's configuration."""
        config = ["--config", str(site.config)] if site else []
        return Process(
            ["-m", "smppgw", *config, *arguments], self._log, name=f"smppgw {arguments[0]}"
        )

    def gateway(self, site: Site) -> Process:
        """Start the gateway of a site."""
        return self.smppgw("run", site=site)

    def peer(self, name: str, task: Task, limit_s: float) -> Mapping[str, float]:
        """Let another client do a task.

        Returns:
            messages, seconds and cpu_s.

        Raises:
            OperationError: it is not installed, or did not do it.
        """
        arguments = ["-m", f"smppgw.bench.peers.via_{name}", *task.options()]
        with Process(arguments, self._log, name=name) as process:
            _, line = process.line(limit_s)
            report: Mapping[str, float] = json.loads(line)
            process.wait(STOP_LIMIT_S)  # how it ends is its own affair: smpp34 may crash then
        return report

    # Ledgers

    def site(self, smsc: Smsc | None, *, window: int = 10, throughput: int = UNLIMITED) -> Site:
        """Make a site with no ledger yet."""
        folder = self._new_path("site")
        folder.mkdir()
        site = Site(folder, 0)
        to = smsc or Smsc("127.0.0.1", 1, "bench", "bench")
        text = _CONFIG.format(
            host=json.dumps(to.host),
            port=to.port,
            system_id=json.dumps(to.system_id),
            password=json.dumps(to.password),
            window=window,
            throughput=throughput,
            sender=SENDER,
        )
        site.config.write_text(text, "utf-8")
        return site

    def filled(
        self,
        messages: int,
        smsc: Smsc | None,
        *,
        window: int,
        throughput: int = UNLIMITED,
        text: str = TEXT,
    ) -> Site:
        """Make a site with one job of `messages` queued."""
        if (messages, text) not in self._filled:
            self.say(f"  queueing {messages:,} messages")
            site = self.site(None)
            self.submit(site, messages, text=text)
            self.keep(site, messages, text)
        return self.copy(self._filled[messages, text], smsc, window=window, throughput=throughput)

    def keep(self, site: Site, messages: int, text: str = TEXT) -> None:
        """Keep a site that holds one job of `messages`, to be copied when it is wanted."""
        self._filled[messages, text] = site._replace(jobs=1)

    def copy(self, site: Site, smsc: Smsc | None, *, window: int, throughput: int) -> Site:
        """Copy a ledger that no process has open."""
        copy = self.site(smsc, window=window, throughput=throughput)
        shutil.copyfile(site.database, copy.database)
        with copy.database.open("rb") as file:
            os.fsync(file.fileno())  # or the disk would be busy with it while it is measured
        return copy._replace(jobs=site.jobs)

    def discard(self, site: Site) -> None:
        """Remove a site: ledgers are large."""
        shutil.rmtree(site.folder)

    def submit(
        self, site: Site, messages: int, *options: str, text: str = TEXT, limit_s: float = 3600
    ) -> tuple[float, Memory]:
        """Queue a job from a list through `smppgw submit`.

        Returns:
            Seconds from start to end of the process, and its memory.

        Raises:
            OperationError: it did not queue exactly `messages`.
        """
        arguments = self.importing(messages, text)
        began = time.monotonic()
        with self.smppgw(*arguments, *options, site=site) as process:
            memory = process.finish(limit_s)
            seconds = time.monotonic() - began
            _, line = process.line(1.0)
        queued = json.loads(line)["recipients"]["queued"]
        if queued != messages:
            raise OperationError(f"smppgw submit queued {queued:,} of {messages:,} messages.")
        return seconds, memory

    def importing(self, messages: int, text: str = TEXT) -> list[str]:
        """Return the command that queues a job from a list."""
        path = str(self.recipients(messages))
        return ["submit", "--recipients", path, "--text", text, "--class", QUEUED_CLASS, "--json"]

    def recipients(self, messages: int) -> Path:
        """Write a secretary's list: `messages` good rows, and one in a hundred that is left out."""
        path = self.folder / f"list-{messages}.csv"
        if not path.exists():
            with path.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, delimiter=";").writerows(_list(messages))
        return path

    def _new_path(self, kind: str) -> Path:
        self._numbered += 1
        return self.folder / f"{kind}-{self._numbered}"

    # The machine

    def machine(self) -> dict[str, Any]:
        """Describe what the figures depend on."""
        return {
            "smppgw": __version__,
            "cores": len(os.sched_getaffinity(0)),
            "processor": _processor(),
            "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000,
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
            "sqlite": _sqlite_version(),
            "filesystem": _filesystem(self.folder),
            "load_before": round(os.getloadavg()[0], 2),
            "smsc": "given" if self.external else "simulated on the same machine",
        }

    def fsyncs_ms(self, samples: int = 50) -> list[float]:
        """Return how long single pages take to the stage's disk."""
        path, times_ms = self.folder / "fsync", []
        with path.open("wb", buffering=0) as file:
            for _ in range(samples):
                file.write(bytes(4096))
                began = time.perf_counter()
                os.fsync(file.fileno())
                times_ms.append((time.perf_counter() - began) * 1000)
        path.unlink()
        return times_ms


def busy_s() -> float:
    """Return the processor time that the whole machine has used: every core, every process."""
    fields = Path("/proc/stat").read_text("ascii").split(maxsplit=9)[1:9]
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def wait_until(
    condition: Callable[[], T | None], limit_s: float, what: str, *processes: Process
) -> T:
    """Ask until there is an answer other than None and False.

    Raises:
        OperationError: there is none in time, or one of the processes has ended.
    """
    deadline = time.monotonic() + limit_s
    while True:
        answer = condition()
        if answer is not None and answer is not False:
            return answer
        for process in processes:
            process.check()
        if time.monotonic() > deadline:
            raise OperationError(f"The benchmark waited {limit_s:g} s for {what}, in vain.")
        time.sleep(POLL_S)


def _list(messages: int) -> Iterator[tuple[str, str, str]]:
    chance = random.Random(messages)  # nosec B311  # no secret
    yield "Nom", "Commune", "Portable"
    for ordinal in range(messages):
        written = chance.choice(WRITTEN)(destination(ordinal))
        yield f"Habitant {ordinal}", "Saint-Martin-sur-Lys", written
        if ordinal % LEFT_OUT_EVERY == 0:
            yield f"Habitant {ordinal}", "Saint-Martin-sur-Lys", WRITTEN[1](destination(ordinal))
            yield f"Habitant {ordinal}", "Saint-Martin-sur-Lys", "06 00 00 00"


def _on_disk() -> Path:
    """Return the first usual folder for temporary files that is not kept in memory."""
    for folder in (Path(tempfile.gettempdir()), Path.cwd(), Path.home()):
        if _filesystem(folder) not in ("tmpfs", "ramfs") and os.access(folder, os.W_OK):
            return folder
    raise OperationError(
        "Every usual folder for temporary files is kept in memory: name one on a disk with "
        "--folder."
    )


def _filesystem(folder: Path) -> str:
    """Return the type of the file system that holds a folder."""
    kinds = {}
    for line in Path("/proc/self/mounts").read_text("utf-8").splitlines():
        _, mounted_at, kind, *_ = line.split()
        kinds[Path(mounted_at.encode().decode("unicode_escape"))] = kind
    place = folder.resolve()
    return next(kinds[parent] for parent in (place, *place.parents) if parent in kinds)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def _sqlite_version() -> str:
    """Ask another Python: here the module is not ours to import."""
    script = "import sqlite3; print(sqlite3.sqlite_version)"
    return subprocess.run(  # nosec B603  # our own commands
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _listens(smsc: Smsc) -> bool:
    with socket.socket() as caller:
        caller.settimeout(1.0)
        return caller.connect_ex((smsc.host, smsc.port)) == 0
