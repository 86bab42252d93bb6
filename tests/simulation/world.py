"""A world of its own: virtual time, and a network that does whatever real ones do.

`VirtualLoop` is asyncio's own loop on a clock that jumps to the next thing that is due, so that an
hour takes no longer than what happens in it. Its `create_connection` and `create_server` lead to
each other through `Network`, which delays, cuts octets apart anywhere, stalls, and breaks.

The gateway, its links, the ledger and the simulated SMSC run on it unchanged. Everything that is
drawn comes from one `random.Random`, so that one seed is one run.
"""

import asyncio
import errno
import os
import random
import selectors
from collections.abc import Callable
from typing import Any

START_S = 1_000.0  # of the monotonic clock
WALL_START_S = 1_800_000_000.0


class Deadlock(AssertionError):
    """Nothing is due any more and somebody still waits."""


class Spin(AssertionError):
    """Somebody is busy without an end, and time does not pass."""


_STEPS_AT_ONCE = 20_000
_APART_S = 1e-9


class _Idle(selectors.SelectSelector):
    """In place of waiting for files, of which there are none, time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START_S
        self._steps = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Deadlock("everybody waits and nothing is due")
        self._steps = 0 if timeout > 0 else self._steps + 1
        if self._steps > _STEPS_AT_ONCE:
            raise Spin(f"{_STEPS_AT_ONCE} steps of the loop, and no time has passed")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when nothing is left to do."""

    def __init__(self) -> None:
        self._idle = _Idle()
        super().__init__(self._idle)
        self.network: Network

    def time(self) -> float:
        return self._idle.now

    async def create_connection(  # type: ignore[override]  # what links use of it
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int, **_: Any
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        return await self.network.connect(factory, port)

    async def create_server(  # type: ignore[override]  # what the simulator uses of it
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int, **_: Any
    ) -> "_Server":
        return _Server(self.network, factory, port or 2775)


class _Server:
    """What a simulator listens with."""

    def __init__(self, network: "Network", factory: Callable[[], Any], port: int) -> None:
        self._network, self._port = network, port
        self.sockets = [self]
        network.listeners[port] = factory

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", self._port)

    def close(self) -> None:
        self._network.listeners.pop(self._port, None)

    async def wait_closed(self) -> None:
        pass


class _Socket:
    def setsockopt(self, *_: int) -> None:
        pass


class Pipe(asyncio.Transport):
    """One end of a connection."""

    def __init__(self, network: "Network", protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._network = network
        self.protocol: Any = protocol
        self.peer: Pipe
        self.gone = False  # nothing is delivered here any more
        self._closing = False
        self._due = 0.0  # when the last chunk on its way here arrives
        self._paused = False
        self._kept: list[bytes] = []
        self.tap: Callable[[str, bytes], None] | None = None

    # asyncio's side

    def write(self, data: Any) -> None:
        if self._closing or self.gone:
            return
        if self.tap is not None:
            self.tap("written", bytes(data))
        self.peer.carry(bytes(data))

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.peer.carry(None)
            self._network.loop.call_soon(self._lose, None)

    def abort(self) -> None:
        self._closing = True
        if not self.gone:
            self.peer.break_off()
            self._network.loop.call_soon(self._lose, None)

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        kept, self._kept = self._kept, []
        for chunk in kept:
            self._arrive(chunk)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return _Socket() if name == "socket" else default

    # The network's side

    def carry(self, data: bytes | None) -> None:
        """Take octets, or the end of the stream, on their way to this end."""
        network = self._network
        chunks: list[bytes | None] = [data]
        if data is not None:
            chunks = list(network.cut(data))
        for chunk in chunks:
            now = network.loop.time()
            # A little later each: the loop keeps no order among what is due at the same time.
            self._due = max(self._due + _APART_S, now + network.latency(), network.stalled_until)
            network.loop.call_at(self._due, self._arrive, chunk)

    def _arrive(self, chunk: bytes | None) -> None:
        if self.gone:
            return
        if chunk is None:
            self._closing = True
            self._lose(None)
        elif self._paused:
            self._kept.append(chunk)
        else:
            if self.tap is not None:
                self.tap("read", chunk)
            self.protocol.data_received(chunk)

    def break_off(self) -> None:
        """Let this end notice, after a while, that the connection is broken."""
        delay_s = self._network.latency()
        self._network.loop.call_later(delay_s, self._lose, ConnectionResetError(104, "reset"))

    def _lose(self, error: Exception | None) -> None:
        if not self.gone:
            self.gone = self._closing = True
            self._network.pipes.pop(self, None)
            self.protocol.connection_lost(error)

    def vanish(self) -> None:
        """End as a process does that is killed: what it wrote arrives, it learns of nothing."""
        if not self.gone:
            self.gone = self._closing = True
            self._network.pipes.pop(self, None)
            self.peer.carry(None)


class Network:
    """Everything between the gateway and the SMSC."""

    def __init__(self, loop: VirtualLoop, chance: random.Random) -> None:
        self.loop = loop
        loop.network = self
        self.listeners: dict[int, Callable[[], asyncio.Protocol]] = {}
        self.pipes: dict[Pipe, None] = {}  # in the order of connecting
        self.stalled_until = 0.0
        self.slowest_s = chance.choice([0.0, 0.001, 0.05, 0.5])
        self.cuts = chance.random() < 0.3
        self._chance = chance
        self.on_connect: Callable[[Pipe], None] = lambda pipe: None

    def latency(self) -> float:
        """Draw how long octets take."""
        return self._chance.uniform(0.0, self.slowest_s)

    def cut(self, data: bytes) -> list[bytes]:
        """Cut a write apart anywhere, or not."""
        if not self.cuts or len(data) < 2 or self._chance.random() < 0.5:
            return [data]
        at = self._chance.randrange(1, len(data))
        return [data[:at], data[at:]]

    async def connect(
        self, factory: Callable[[], asyncio.Protocol], port: int
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Connect to whoever listens."""
        wait_s = max(self.latency(), self.stalled_until - self.loop.time())
        await asyncio.sleep(wait_s)
        listener = self.listeners.get(port)
        if listener is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        ours, theirs = Pipe(self, factory()), Pipe(self, listener())
        ours.peer, theirs.peer = theirs, ours
        self.pipes |= {ours: None, theirs: None}
        self.on_connect(ours)
        theirs.protocol.connection_made(theirs)
        ours.protocol.connection_made(ours)
        return ours, ours.protocol

    def break_all(self) -> None:
        """Break every connection; what is on its way is lost from some octet on."""
        for pipe in list(self.pipes):
            pipe.break_off()

    def stall(self, seconds: float) -> None:
        """Deliver nothing for a while; no connection breaks by it."""
        self.stalled_until = self.loop.time() + seconds
