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
        self._session = smsc._connect()
        self._session.connection_made(self)

    def read(self, *pdus: bytes) -> None:
        self._session.data_received(b"".join(pdus))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

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
