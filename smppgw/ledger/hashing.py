"""The keyed hash that stands for a number that is no longer kept.

Without the key, the few million mobile numbers there are could be hashed one by one until one fits;
with it, a number can be told to be in the list and never read from it. So the key stands in a file
of its own, beside the ledger and not in it, and is as precious as the ledger: without it, those who
asked not to be written to are not known any more.

The file is complete before it has its name: another process finds the whole key or none.
"""

import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from smppgw.errors import DatabaseError
from smppgw.ledger.database import explained

KEY_OCTETS = 32

HASH_MARK = "#"  # what stands before a hash in the place of a number


class Hasher:
    """Hashes numbers with one key; the same number has the same hash for ever."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def open(cls, path: Path) -> "Hasher":
        """Read the key, making one, readable by its owner alone, where there is none.

        Of several processes that make it at once one does, and the others use that one.

        Raises:
            DatabaseError: it cannot be read or made, or it is no key.
        """
        with explained(path):
            try:
                key = path.read_bytes()
            except FileNotFoundError:
                key = _make(path)
        if len(key) != KEY_OCTETS:
            raise DatabaseError(
                f"{path} is damaged: it has {len(key)} octets and a key has {KEY_OCTETS}. Restore "
                "it from a backup; with a new key, opt-outs that are kept as hashes are not known."
            )
        return cls(key)

    def of(self, number: str) -> str:
        """Return the hash of a number in E.164: 64 hexadecimal digits (1.7 µs)."""
        return hmac.digest(self._key, number.encode(), "sha256").hex()


def _make(path: Path) -> bytes:
    """Write a new key; returns it, or the one of whoever was quicker."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 0600
    try:
        with open(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_OCTETS))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(name, path)
        _sync(path.parent)
    finally:
        os.unlink(name)
    return path.read_bytes()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
