"""Whatever octets an SMSC sends: events or a documented end, never anything else."""

import asyncio
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from smppgw import link
from smppgw.simulator import codec
from tests.fuzz.streams import feed, spliced
from tests.gateway.trial import account, configure, numbers, running, submit

EXAMPLES = 1500
CONNECTIONS = 300


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.randoms(use_true_random=False))
def test_cut_spliced_and_bent_streams_are_events_or_an_end(random: Random) -> None:
    feed(spliced(random))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=5))
def test_random_octets_are_events_or_an_end(pieces: list[bytes]) -> None:
    feed(pieces)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=100))
def test_any_length_is_waited_for_or_an_end_and_no_memory_is_set_aside_for_it(
    length: int, command_id: int, body: bytes
) -> None:
    header = codec.HEADER.pack(length, command_id, 0, 1)
    ended = feed([header, body])
    if not 16 <= length <= 65_536:
        assert ended == f"command_length {length} cannot be"


@pytest.fixture
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    configured = structlog.is_configured()
    with capture_logs() as entries:
        yield entries
    if not configured:
        structlog.reset_defaults()


def test_a_gateway_outlives_an_smsc_that_sends_nothing_but_nonsense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: list[MutableMapping[str, Any]]
) -> None:
    monkeypatch.setattr(link, "CLOSE_TIMEOUT_S", 0.05)
    served = 0

    async def talk_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        random = Random(served)
        served += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            bind = await reader.readexactly(16)
            sequence = codec.HEADER.unpack(bind)[3]
            answer = codec.encode(0x80000009, sequence, 0, system_id="SMSC")
            pieces = [piece for _ in range(8) for piece in spliced(random)]
            for piece in [answer, *pieces]:
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def scenario() -> None:
        async with await asyncio.start_server(talk_nonsense, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            config = configure(tmp_path, account(port, reconnect=["1ms", "2ms"]))
            job = submit(config, numbers(2000), job_class="alert")
            async with running(config) as trial:
                await trial.until(lambda: served >= CONNECTIONS)
                assert sum(trial.counts(job).values()) == 2000
                receipts = trial.receipts()
                kinds = ("matched", "parked", "orphan", "duplicate")
                assert receipts["received"] == sum(receipts[kind] for kind in kinds) > 0

    asyncio.run(scenario())
    assert "database.failed" not in [entry["event"] for entry in logs]
