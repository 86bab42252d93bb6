"""The service manager's end of sd_notify: a datagram socket, and the environment that names it."""

import socket


class Manager:
    """A manager that listens and does nothing."""

    def __init__(self, name: str) -> None:
        """Listen.

        Args:
            name: a path, or an abstract name that begins with @.
        """
        self.environ = {"NOTIFY_SOCKET": name}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{name[1:]}" if name.startswith("@") else name)

    def heard(self, limit_s: float = 20) -> list[str]:
        """Wait for the next datagram; returns its lines."""
        self._socket.settimeout(limit_s)
        return self._socket.recv(4096).decode().split("\n")

    def heard_nothing(self) -> bool:
        """Whether no datagram is waiting."""
        self._socket.setblocking(False)
        try:
            self._socket.recv(4096)
        except BlockingIOError:
            return True
        return False

    def hear(self, line: str) -> list[str]:
        """Wait for a datagram that holds a line; returns all its lines."""
        for _ in range(1000):
            lines = self.heard()
            if line in lines:
                return lines
        raise AssertionError(f"{line} did not come")

    def close(self) -> None:
        self._socket.close()
