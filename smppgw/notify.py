"""What systemd is told: that the service is ready, that it moves, how it stands, that it ends.

It hides the protocol of sd_notify(3): lines of NAME=value in one datagram to the AF_UNIX socket
that $NOTIFY_SOCKET names; a name that begins with @ is abstract. Where no manager listens nothing
is sent and nothing fails, so that nobody has to ask whether there is one. A datagram that cannot
be delivered is dropped: the watchdog is there for a manager that hears nothing.

The environment is handed in; the clock is read for RELOADING alone, which has to say when it began.

Own code, since the protocol is forty lines and keeps still: `sdnotify` is not maintained and knows
neither the watchdog nor MONOTONIC_USEC; `systemd-python` needs a compiler and libsystemd's headers.
"""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """The way to the service manager, if there is one."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read where to write and how often.

        Args:
            environ: the environment that the manager started the process with.
        """
        name = environ.get("NOTIFY_SOCKET", "")
        # Other families, such as vsock, are for virtual machines that report to their host.
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self.listened_to: bool = name.startswith(("/", "@"))
        self.watchdog_s: float | None = _watchdog_s(environ) if self.listened_to else None
        """Longest silence, in seconds, before the manager ends the process; None: it never does."""
        self._started = False

    def ready(self, status: str) -> None:
        """Say that the service has started."""
        self._started = True
        self._send("READY=1", _status(status))

    def alive(self, status: str) -> None:
        """Feed the watchdog; only for somebody who has seen progress."""
        self._send("WATCHDOG=1", _status(status))

    def stands(self, status: str) -> None:
        """Say how the service stands, without feeding the watchdog."""
        self._send(_status(status))

    def reloading(self) -> None:
        """Say that a reload begins; `reloaded` has to follow."""
        if self._started:  # else the end of the reload would be taken for the end of the start
            now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            self._send("RELOADING=1", f"MONOTONIC_USEC={now_us}")

    def reloaded(self, status: str) -> None:
        """Say that the reload has ended, one way or the other."""
        if self._started:
            self._send("READY=1", _status(status))

    def stopping(self, status: str) -> None:
        """Say that the service is on its way out."""
        self._send("STOPPING=1", _status(status))

    def _send(self, *lines: str) -> None:
        if not self.listened_to:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with socket.socket(socket.AF_UNIX, kind) as way, suppress(OSError):
            way.sendto("\n".join(lines).encode(), self._address)


def _status(sentence: str) -> str:
    """Write a status, which is one line whatever it tells of."""
    return f"STATUS={' '.join(sentence.split())}"


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """Read the watchdog's time as sd_watchdog_enabled(3) does: it may be another process's."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 else None
