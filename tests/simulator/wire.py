"""A connection to a simulator without a socket."""

import asyncio
import socket

from smppgw.simulator import Simulator, codec


class Wire(asyncio.Transport):
    """A connection without a socket, where a test says what one read holds and sees each write."""

    def __init__(self, smsc: Simulator) -> None:
        super().__init__({"socket": socket.socket()})
        self.writes: list[bytes] = []
        self._closing = False
        self._written = asyncio.Event()
        self._session = smsc._connect()
        self._session.connection_made(self)

    def read(self, *pdus: bytes) -> None:
        self._session.data_received(b"".join(pdus))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))
        self._written.set()

    async def has_written(self, count: int) -> None:
        """Wait until so many whole PDUs are written."""
        while len(self.pdus()) < count:
            self._written.clear()
            await self._written.wait()

    def pdus(self) -> list[bytes]:
        return codec.split(b"".join(self.writes))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass  # there is no buffer

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.get_extra_info("socket").close()
            self._session.connection_lost(None)

    def abort(self) -> None:
        self.close()
