"""The record: a JSON line for each PDU that the simulator receives or sends.

It holds phone numbers and texts: a simulator stands on the operator's side, and what it is sent is
what a trial is about. Passwords are left out. It is off unless asked for, and slow beside the rest
(each PDU is decoded by the table), so nobody measures speed with it.

Both clocks are handed in; lines are kept until `flush`, which writes them in one piece.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO

from smppgw.errors import OperationError, RemoteProtocolError
from smppgw.simulator import codec

Direction = Literal["received", "sent"]  # as the simulator sees it

# What the record calls a field, where that is not the specification's name.
_NAMES = {"source_addr": "source", "destination_addr": "destination"}
_SECRETS = frozenset({"password"})


class Record:
    """A file of JSON lines.

        {"at": 5021.25, "wall": "2025-03-01T10:00:00.000000+00:00", "session": 1,
         "direction": "received", "command": "submit_sm", "status": 0, "sequence": 7,
         "source": "STMARTIN", …, "short_message": "426f6e6a6f7572"}

    `at` is monotonic seconds, of one clock with the process. Octets are hexadecimal. A command that
    the table does not know is named by its number, with its `body`; a body that cannot be read
    stands as `body` too.
    """

    def __init__(self, target: str | Path | TextIO) -> None:
        """Take a file, or open one to be appended to.

        Raises:
            OperationError: the file cannot be opened.
        """
        self._closes = isinstance(target, str | Path)
        self._lines: list[str] = []
        try:
            self._file: TextIO = (
                open(target, "a", encoding="utf-8")  # noqa: SIM115  # `close` closes it
                if isinstance(target, str | Path)
                else target
            )
        except OSError as error:
            raise OperationError(
                f"Cannot write the record to {target}: {error.strerror}."
            ) from error

    def note(
        self,
        session: int,
        direction: Direction,
        octets: bytes,
        *,
        at: float,
        wall_s: float,
    ) -> None:
        """Keep a line for each PDU.

        Args:
            session: number of the connection, from 1.
            direction: of all of them.
            octets: zero or more whole PDUs; what follows them is left for the next time.
            at: monotonic seconds.
            wall_s: seconds since 1970.
        """
        wall = datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="microseconds")
        for pdu in codec.split(octets):
            line = {"at": at, "wall": wall, "session": session, "direction": direction}
            self._lines.append(json.dumps(line | _describe(pdu)))

    def flush(self) -> None:
        """Write what was noted."""
        if self._lines:
            self._file.write("\n".join(self._lines) + "\n")
            self._file.flush()
            self._lines.clear()

    def close(self) -> None:
        """Write what was noted; close the file if it was opened here."""
        self.flush()
        if self._closes:
            self._file.close()


def _describe(pdu: bytes) -> dict[str, Any]:
    """Return the fields of a PDU as JSON can hold them."""
    try:
        command, command_id, status, sequence, fields = codec.decode(pdu)
    except RemoteProtocolError:
        _, command_id, status, sequence = codec.HEADER.unpack_from(pdu)
        command, fields = codec.LAYOUTS[command_id][0], {"body": pdu[codec.HEADER_OCTETS :]}
    head = {
        "command": command or f"0x{command_id:08x}",
        "status": status,
        "sequence": sequence,
    }
    return head | {
        _NAMES.get(name, name): _plain(value)
        for name, value in fields.items()
        if name not in _SECRETS and value != {}
    }


def _plain(value: int | str | bytes | Mapping[int, bytes]) -> int | str | dict[str, str]:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {f"0x{tag:04x}": octets.hex() for tag, octets in value.items()}
    return value
