"""A link at work: what its trace shows, and when it answers."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Coroutine, Iterator, MutableMapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from smppgw import gateway, link
from smppgw.account import Account
from smppgw.ledger import database
from smppgw.ledger.claim import Claim, Remainder
from smppgw.ledger.inbound import list_inbound
from smppgw.ledger.turn import Arrivals
from smppgw.link import Link, Trace
from smppgw.metrics import Metrics
from smppgw.simulator import Behaviour, Simulator, codec
from smppgw.simulator.witness import Witness
from tests.gateway.trial import account, configure, numbers, running, submit

Logs = list[MutableMapping[str, Any]]


@pytest.fixture(autouse=True)
def logs() -> Iterator[Logs]:
    configured = structlog.is_configured()
    with capture_logs() as entries:
        yield entries
    if not configured:
        structlog.reset_defaults()


def play(scenario: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario

    asyncio.run(bounded())


def traced(logs: Logs, command: str = "") -> list[str]:
    """Return the lines of the trace, of one command or of all."""
    lines = [str(entry["pdu"]) for entry in logs if entry["event"] == "pdu"]
    return [line for line in lines if not command or line.split()[1] == command]


def test_the_trace_is_switched_on_and_off_while_pdus_flow_and_hides_numbers_and_texts(
    tmp_path: Path, logs: Logs
) -> None:
    async def scenario() -> None:
        behaviour = Behaviour(faults=["cut-anywhere", "phone-text-like-receipt:5"], seed=1)
        async with Simulator(behaviour) as smsc:
            config = configure(tmp_path, account(smsc.port))
            async with running(config) as trial:
                for first, on in ((0, False), (100, True), (200, False)):
                    before = len(traced(logs))
                    job = submit(config, numbers(50, first), "Crue de la rivière")
                    await trial.until_counts(job, {"delivered": 50})
                    if on:  # the last are answered right after they are on disk
                        await trial.until(lambda: len(traced(logs, "deliver_sm_resp")) == 60)
                    assert (len(traced(logs)) > before) is on
                    trial.gateway.switch_trace()

    play(scenario())
    events = [entry["event"] for entry in logs if str(entry["event"]).startswith("trace.")]
    assert events == ["trace.on", "trace.off", "trace.on"]
    sent, told = traced(logs, "submit_sm"), traced(logs, "deliver_sm")
    assert (len(sent), len(traced(logs, "submit_sm_resp"))) == (50, 50)
    assert len(told) == len(traced(logs, "deliver_sm_resp")) == 60
    assert all(line.startswith("> submit_sm ") and "336****" in line for line in sent)
    shown = str(logs)
    for secret in ("3360000", "Crue", "rivi", "secret08"):
        assert secret not in shown


def test_an_unmasked_trace_shows_them_and_never_the_password(tmp_path: Path, logs: Logs) -> None:
    async def scenario() -> None:
        async with Simulator() as smsc:
            config = configure(tmp_path, account(smsc.port))
            job = submit(config, numbers(1), "Crue de la rivière")
            async with running(config, Trace(on=True, masked=False)) as trial:
                await trial.until_counts(job, {"delivered": 1})

    play(scenario())
    (line,) = traced(logs, "submit_sm")
    assert "33600000000" in line
    assert "Crue de la rivière" in line
    assert traced(logs, "bind_transceiver")
    assert "secret08" not in str(logs)


def test_what_comes_while_the_disk_refuses_is_answered_only_once_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    """I4, as the SMSC sees it; and no more is read than a backlog that can be held."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(gateway, "RETRY_S", 0.05)
    monkeypatch.setattr(link, "_BACKLOG_LIMIT", 20)

    async def scenario() -> None:
        witness = Witness()
        async with Simulator(Behaviour(receipt_delay_s=0.2), witness=witness) as smsc:
            config = configure(tmp_path, account(smsc.port))
            job = submit(config, numbers(100))
            async with running(config) as trial:
                await trial.until(lambda: len(witness.accepted) == 100)
                await trial.until(lambda: trial.counts(job).get("accepted") == 100)
                with closing(sqlite3.connect(config.gateway.database)) as other:
                    other.execute("BEGIN IMMEDIATE")
                    for number in range(200):
                        smsc.deliver(f"336{number:08d}", "36111", "Bonjour")
                    await trial.until(
                        lambda: smsc.counts.receipts_sent == 100 and failures(logs) > 0
                    )
                    assert smsc.counts.texts_acknowledged == 0
                    assert smsc.counts.receipts_acknowledged == 0
                    other.rollback()
                await trial.until(lambda: smsc.counts.texts_acknowledged == 200)
                await trial.until_counts(job, {"delivered": 100})
                assert len(list_inbound(trial.db)) == 200
            assert smsc.counts.binds == 1

    play(scenario())
    assert failures(logs) == 1  # it is said once, however often it is tried


def failures(logs: Logs) -> int:
    return sum(entry["event"] == "database.failed" for entry in logs)


def test_a_gateway_that_stops_waits_for_the_answers_that_are_owed(tmp_path: Path) -> None:
    async def scenario() -> None:
        witness = Witness()
        async with Simulator(Behaviour(latency_s=0.2), witness=witness) as smsc:
            config = configure(tmp_path, account(smsc.port, window=10))
            job = submit(config, numbers(1000))
            async with running(config) as trial:
                await trial.until(lambda: len(witness.accepted) >= 20)
            async with running(config) as trial:
                counts = trial.counts(job)
                assert counts.keys() <= {"queued", "submitting", "accepted", "delivered"}
            assert all(accepted.answered_at is not None for accepted in witness.accepted)
            assert max(witness.copies().values()) == 1

    play(scenario())


def test_a_gateway_stops_once_it_is_drained_though_every_turn_keeps_house(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "HOUSEKEEPING_S", 0.0)

    async def scenario() -> None:
        async with (
            Simulator(Behaviour()) as smsc,
            running(configure(tmp_path, account(smsc.port, response_timeout="60s"))) as trial,
        ):
            await trial.until_counts(submit(trial.config, numbers(20)), {"delivered": 20})

    play(scenario())


def test_what_happens_to_every_message_is_told_at_once_and_then_summed_by_the_minute() -> None:
    told = link._Sum()
    assert [told.add(2, 100.0), told.add(3, 130.0), told.add(4, 159.9), told.add(5, 160.0)] == [
        2, 0, 0, 12,
    ]  # fmt: skip
    assert told.add(1, 219.9) == 0


def test_the_log_sums_up_what_was_sent_and_has_no_line_for_a_message(
    tmp_path: Path, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(gateway, "TRAFFIC_S", 0.0)
        monkeypatch.setattr(gateway, "HOUSEKEEPING_S", 0.05)
        async with (
            Simulator(Behaviour(seed=1)) as smsc,
            running(configure(tmp_path, account(smsc.port))) as trial,
        ):
            job = submit(trial.config, numbers(300))
            await trial.until_counts(job, {"delivered": 300})

    play(scenario())
    sums = [entry for entry in logs if entry["event"] == "traffic.minute"]
    for name in ("submitted", "accepted", "receipts", "delivered"):
        assert sum(entry[name] for entry in sums) == 300, name
    for name in ("refused", "throttled", "unknown", "inbound"):
        assert sum(entry[name] for entry in sums) == 0, name
    assert len(logs) - len(sums) == 4  # started, bound, draining, stopped
    assert all(
        any(entry[name] for name in ("submitted", "accepted", "receipts", "delivered"))
        for entry in sums
    )


class OneByOne(asyncio.Protocol):
    """An SMSC that sends a deliver_sm when the one before is acknowledged."""

    def __init__(self) -> None:
        self.submits = self.acknowledged = 0
        self._receipts: deque[bytes] = deque()
        self._waits = False
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        for octets in codec.split(self._read):
            self._read = self._read[len(octets) :]
            self._take(codec.decode(octets))
        if self._receipts and not self._waits:
            self._waits = True
            body = self._receipts.popleft()
            self._transport.write(codec.encode_deliveries(self.acknowledged + 1, [body]))

    def _take(self, pdu: codec.Pdu) -> None:
        if pdu.command_id == codec.DELIVER_SM | codec.RESPONSE_BIT:
            self.acknowledged += 1
            self._waits = False
        elif pdu.command_id == codec.SUBMIT_SM:
            self.submits += 1
            message_id = f"{self.submits:08x}"
            destination = b"\1\1" + pdu.fields["destination_addr"].encode() + b"\0"
            text = f"id:{message_id} stat:DELIVRD err:000 text:".encode()
            self._receipts.append(codec.message_body(destination, b"\5\0MAIRIE\0", 4, 0, text))
            self._answer(pdu, message_id=message_id)
        elif not pdu.command_id & codec.RESPONSE_BIT:
            self._answer(pdu)

    def _answer(self, pdu: codec.Pdu, **fields: Any) -> None:
        self._transport.write(
            codec.encode(pdu.command_id | codec.RESPONSE_BIT, pdu.sequence, **fields)
        )


@pytest.mark.parametrize("window", [10, 100])
def test_an_smsc_that_delivers_one_by_one_does_not_wait_until_turns_have_gathered(
    tmp_path: Path, window: int
) -> None:
    async def scenario() -> None:
        smsc = OneByOne()
        server = await asyncio.get_running_loop().create_server(lambda: smsc, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            config = configure(tmp_path, account(port, throughput=200, window=window))
            async with running(config) as trial:
                submit(config, numbers(300))
                await trial.until(lambda: smsc.submits == 300)
                # A turn may gather for 50 ms at this rate: one receipt in each makes 30.
                assert smsc.acknowledged > 150

    play(scenario())


def test_a_message_that_cannot_be_sent_takes_nothing_of_another_with_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        config = configure(tmp_path, account(1))
        nothing = asyncio.Event().set
        link = Link(
            0, Account(config.smsc[0], 1), 1, "transceiver", Metrics(), Trace(), nothing, nothing
        )
        link.remainder = Remainder(7 << 32 | 1, (2, 3))
        other = Claim(8, 8 << 32 | 1, "+33600000001", None, 1, 0, (1,))
        link._refuse(other)
        assert link.remainder is not None
        link._refuse(other._replace(job_id=7, message_id=7 << 32 | 1))
        assert link.remainder is None
        arrived = Arrivals()
        link.collect(arrived)
        assert arrived.abandoned == [7 << 32 | 1]

    asyncio.run(scenario())
