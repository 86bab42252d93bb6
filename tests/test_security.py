"""The threat model: each row of docs/security.md names tests that exist; some of them are here."""

import ast
import asyncio
import socket
import sqlite3
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from smppgw import gateway, link, metrics
from smppgw.cli.output import private, table, told
from smppgw.config import load
from smppgw.ledger import database
from smppgw.ledger.inbound import list_inbound
from smppgw.metrics import Endpoint, Metrics
from tests.cli.conftest import Smppgw, config_path, ledger, smppgw
from tests.gateway.trial import account, configure, running
from tests.ledger.conftest import Ledger
from tests.test_docs import ROOT, quoted, sections

__all__ = ["config_path", "ledger", "smppgw"]  # fixtures

Logs = list[MutableMapping[str, Any]]
THREATS = sections("docs/security.md")["Threats"]
HEADER = struct.Struct(">IIII")
BIND_RESP, DELIVER, ENQUIRE = 0x80000009, 0x05, 0x15
TEXT_OCTETS = 60_000


@pytest.fixture(autouse=True)
def logs() -> Iterator[Logs]:
    configured = structlog.is_configured()
    with capture_logs() as entries:
        yield entries
    if not configured:
        structlog.reset_defaults()


# --- What the page says ---


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", THREATS, ids=[row[0][:40] for row in THREATS])
def test_each_threat_names_tests_that_exist(row: list[str]) -> None:
    threat, done, tests = row
    assert threat
    assert done
    named = quoted(tests)
    assert named
    for name in named:
        path, _, test = name.partition("::")
        assert test.startswith("test_"), name
        assert test in functions(ROOT / "tests" / path), name


# --- An SMSC that means harm ---


def pdu(command: int, sequence: int, body: bytes = b"") -> bytes:
    return HEADER.pack(16 + len(body), command, 0, sequence) + body


def delivery(sequence: int, text: bytes) -> bytes:
    source = b"33600%06d" % sequence
    payload = struct.pack(">HH", 0x0424, len(text)) + text
    body = b"\0\1\1%b\0\1\1" % source + b"36111\0" + bytes(3) + b"\0\0" + bytes(5) + payload
    return pdu(DELIVER, sequence, body)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def hostile_smsc(serve: Serve) -> AsyncIterator[int]:
    """Listen, accept every bind, then do harm; gives the port."""
    tasks: set[asyncio.Task[None]] = set()

    async def bound(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(16)
        length, _, _, sequence = HEADER.unpack(head)
        await reader.readexactly(length - 16)
        writer.write(pdu(BIND_RESP, sequence, b"smsc\0"))
        with suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(bound(reader, writer))
        tasks.add(task)

    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    server = await asyncio.start_server(connected, sock=listener)
    try:
        yield listener.getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def pour(writer: asyncio.StreamWriter, octets: bytes, times: int, stalled_s: float) -> int:
    """Send octets again and again until nobody reads them; returns how many times they went."""
    writer.transport.set_write_buffer_limits(high=0)
    for sent in range(times):
        writer.write(octets)
        try:
            async with asyncio.timeout(stalled_s):
                await writer.drain()
        except TimeoutError:
            return sent
    return times


def play(scenario: Callable[[], Any]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(bounded())


def quick_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(gateway, "RETRY_S", 0.05)


def test_an_smsc_that_hangs_up_again_and_again_fills_no_memory_while_the_database_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    quick_to_fail(monkeypatch)
    monkeypatch.setattr(link, "_BACKLOG_LIMIT", 20)
    sent = connections = 0

    def refused() -> int:
        return sum("cannot be recorded yet" in str(entry.get("reason")) for entry in logs)

    async def scenario() -> None:
        locked = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent, connections
            await locked.wait()
            connections += 1
            if connections > 10:
                await reader.read()
            for _ in range(30):
                sent += 1
                writer.write(delivery(sent, b"Bonjour"))
            await writer.drain()

        async with hostile_smsc(serve) as port:
            keys: dict[str, Any] = {
                "reconnect": ["20ms", "20ms"],
                "enquire_link": "1s",  # nothing is read, so that only this shows who hung up
                "response_timeout": "1s",
            }
            config = configure(tmp_path, account(port, **keys))
            async with running(config) as trial:
                with closing(sqlite3.connect(config.gateway.database)) as other:
                    other.execute("BEGIN IMMEDIATE")
                    locked.set()
                    await trial.until(lambda: refused() >= 10)
                    assert connections <= 3  # what the turn holds, and what waits for the next
                    other.rollback()
                await trial.until(lambda: connections > 10)
                await trial.until(lambda: len(list_inbound(trial.db)) == 300)

    play(scenario)


def test_large_texts_are_counted_by_octets_while_the_database_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    quick_to_fail(monkeypatch)
    monkeypatch.setattr(link, "_BACKLOG_OCTETS", 256 * 1024)
    most, went = 500, -1  # 30 MB

    async def scenario() -> None:
        locked = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal went
            await locked.wait()
            went = await pour(writer, delivery(1, bytes(TEXT_OCTETS)), most, 1.0)
            await reader.read()

        async with hostile_smsc(serve) as port:
            config = configure(tmp_path, account(port, response_timeout="2s"))
            async with running(config) as trial:
                with closing(sqlite3.connect(config.gateway.database)) as other:
                    other.execute("BEGIN IMMEDIATE")
                    locked.set()
                    await trial.until(lambda: went >= 0)
                    other.rollback()

    play(scenario)
    assert went < most / 2  # the backlog, and what lies in the buffers of two sockets


def test_an_smsc_that_asks_and_never_reads_the_answers_is_read_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    monkeypatch.setattr(link, "_UNREAD_OCTETS", 64 * 1024)
    asked = b"".join(pdu(ENQUIRE, sequence) for sequence in range(1, 1025))
    most, went = 1024, -1  # 16 MB, and as much to answer

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal went
        reader._transport.pause_reading()  # type: ignore[attr-defined]  # no public way to stop
        went = await pour(writer, asked, most, 1.5)
        reader._transport.resume_reading()  # type: ignore[attr-defined]
        await reader.read()

    async def scenario() -> None:
        async with hostile_smsc(serve) as port:
            config = configure(tmp_path, account(port, response_timeout="2s"))
            async with running(config) as trial:
                await trial.until(lambda: went >= 0)

    play(scenario)
    assert went < most


# --- Who asks the endpoint ---


def test_the_endpoint_answers_so_many_clients_at_once_and_hangs_up_on_the_slow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(metrics, "LONGEST_S", 2.0)
    monkeypatch.setattr(metrics, "MOST_CLIENTS", 3)

    def ask(client: socket.socket) -> bytes:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        return b"".join(iter(lambda: client.recv(4096), b""))

    def connect() -> socket.socket:
        return socket.create_connection(("127.0.0.1", endpoint.port), timeout=10)

    with Endpoint(Metrics(), "127.0.0.1", 0, healthy=lambda: None, ready=lambda: None) as endpoint:
        slow = [connect() for _ in range(3)]
        for client in slow:
            client.sendall(b"GET /metr")
        one_more = connect()
        assert one_more.recv(1) == b""  # at once: there is no thread for it
        for client in slow:
            assert client.recv(1) == b""  # when its time is up
        with connect() as quick:
            assert ask(quick).startswith(b"HTTP/1.0 200 OK")
        for client in (*slow, one_more):
            client.close()
    assert "Traceback" not in capsys.readouterr().err


def test_the_endpoint_listens_on_this_machine_alone_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        '[[smsc]]\nname = "a"\nhost = "127.0.0.1"\nsystem_id = "s"\npassword = "p"\n'
        '[[tenant]]\nname = "b"\nsender = "BBB"\n'
    )
    assert load(tmp_path / "config.toml").metrics.host == "127.0.0.1"


# --- What a terminal would obey ---

STEERING = "\x1b[2Jmairie\x9b1m\u202eeiriam\x07"


def test_no_text_of_others_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    made = table(None, "Label", rows=[(STEERING,)])
    (cell,) = made.columns[0]._cells
    for shown in (str(cell), told(STEERING)):
        assert "mairie" in shown
        assert not {"\x1b", "\x9b", "\u202e", "\x07"} & set(shown)


def test_a_label_and_a_sender_with_escapes_are_harmless_in_every_listing(
    ledger: Ledger, smppgw: Smppgw
) -> None:
    assert ledger
    submitted = smppgw(
        "submit", "--to", "0600000001", "--text", "Essai", "--label", STEERING, "--yes"
    )
    assert submitted.status == 0, submitted.err
    for words in (("jobs", "list"), ("jobs", "show", 1), ("audit", "list")):
        shown = smppgw(*words)
        assert shown.status == 0, shown.err
        assert "\x1b" not in shown.out + shown.err
        assert "\u202e" not in shown.out + shown.err


# --- Files ---


def test_a_report_follows_no_link_that_somebody_laid(
    tmp_path: Path, ledger: Ledger, smppgw: Smppgw
) -> None:
    assert smppgw("submit", "--to", "0600000001", "--text", "Essai", "--yes").status == 0
    assert ledger
    precious = tmp_path / "precious"
    precious.write_text("kept")
    for form in ("csv", "xlsx", "json"):
        trap = tmp_path / f"report.{form}"
        trap.symlink_to(precious)
        ended = smppgw("report", 1, "--format", form, "--output", trap)
        assert ended.status == 1
        assert precious.read_text() == "kept"


def test_what_is_opened_to_write_numbers_is_for_its_owner_alone(tmp_path: Path) -> None:
    with open(tmp_path / "new", "w", opener=private) as file:
        assert Path(file.name).stat().st_mode & 0o777 == 0o600


# --- What it is made of ---


@pytest.mark.parametrize(
    "path", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.stem
)
def test_every_requirement_is_pinned_with_its_hashes(path: Path) -> None:
    text = path.read_text("utf-8").replace("\\\n", " ")
    wanted = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert wanted
    for line in wanted:
        name, _, rest = line.partition(" ")
        assert "==" in name, name
        assert "--hash=sha256:" in rest, name
        assert "://" not in line, name
