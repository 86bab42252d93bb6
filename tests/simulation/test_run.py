"""What seeded runs of everything have shown so far, shown again.

A seed that fails is replayed by `python -m tests.simulation.run SEED`; `make soak SEEDS=…` plays
any number of them, and `make sabotage` shows that breaking the gateway is found.
"""

import asyncio
import contextlib
import random
from collections.abc import Iterator

import pytest
import structlog

from tests.simulation.run import Violation, play
from tests.simulation.sabotage import SABOTAGES
from tests.simulation.world import Deadlock, Network, Spin, VirtualLoop

SEEDS = 300
AT_ONCE = 10
# One seed for each of some ways of breaking the gateway; `make sabotage` tries them all.
SHOWN_BY = {
    "acknowledge-before-commit": 1,
    "send-before-the-commit": 1,
    "count-the-window-wrong": 2,
    "do-not-recover": 1,
    "forget-a-count": 3,
    "forget-the-lanes": 7,
    "take-throttled-for-accepted": 10,
    "ignore-the-hours": 1,
    "ignore-opt-outs": 2,
    "forget-the-shares": 1,
    "forget-the-time-of-a-job": 2,
    "forget-a-stop": 119,
}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    kept = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.configure(**kept)


@pytest.mark.parametrize("first", range(1, SEEDS + 1, AT_ONCE))
def test_nothing_is_lost_nothing_sent_twice_and_nothing_in_doubt_whatever_happens(
    first: int,
) -> None:
    for seed in range(first, first + AT_ONCE):
        try:
            play(seed)
        except Exception as error:
            error.add_note(f"replay it: python -m tests.simulation.run {seed}")
            raise


def test_one_seed_is_one_run() -> None:
    once, again = play(7), play(7)
    assert once.witness.accepted
    assert once.witness.accepted == again.witness.accepted
    assert (once.lives, once.loop.time()) == (again.lives, again.loop.time())


@pytest.mark.parametrize("name", SHOWN_BY)
def test_a_gateway_that_is_broken_on_purpose_is_found_out(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.simulation.run.LIMIT_S", 300.0)  # what hangs then hangs for good
    _, broken = SABOTAGES[name]
    with pytest.raises((Violation, ExceptionGroup)):
        play(SHOWN_BY[name], broken)


@contextlib.contextmanager
def loop() -> Iterator[VirtualLoop]:
    made = VirtualLoop()
    yield made
    made.close()


def test_an_hour_passes_at_once() -> None:
    with loop() as virtual:
        began = virtual.time()
        virtual.run_until_complete(asyncio.sleep(3600))  # of virtual time
        assert virtual.time() == pytest.approx(began + 3600)


def test_waiting_for_what_never_comes_is_an_error_and_not_a_wait() -> None:
    with loop() as virtual, pytest.raises(Deadlock):
        virtual.run_until_complete(asyncio.Event().wait())


async def _busy() -> None:
    while True:  # noqa: ASYNC110  # a loop that is busy is the point
        await asyncio.sleep(0)


def test_being_busy_without_an_end_is_an_error_and_not_a_hang() -> None:
    with loop() as virtual, pytest.raises(Spin):
        virtual.run_until_complete(_busy())


class _Collector(asyncio.Protocol):
    def __init__(self) -> None:
        self.read = b""
        self.lost: Exception | str | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.read += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = exc or "closed"


@pytest.mark.parametrize("seed", range(20))
def test_octets_arrive_in_their_order_however_they_are_cut(seed: int) -> None:
    with loop() as virtual:
        network = Network(virtual, random.Random(seed))
        ours, theirs = _Collector(), _Collector()
        network.listeners[1] = lambda: theirs

        async def talk() -> None:
            await virtual.create_connection(lambda: ours, "127.0.0.1", 1)
            for number in range(50):
                ours.transport.write(bytes([number]) * 7)
            ours.transport.close()
            await asyncio.sleep(60)  # of virtual time

        virtual.run_until_complete(talk())
        assert theirs.read == b"".join(bytes([number]) * 7 for number in range(50))
        assert theirs.lost == "closed"
