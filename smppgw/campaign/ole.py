"""The streams of an OLE file, which XLS is kept in, and whether it can be read to an end.

A file is sectors, and a table that says which sector follows which; the table lies in sectors too,
and is found by a list that may go on in others. A bent table may lead in circles: calamine 0.9
follows it until the memory is full, so it must not be given such a file.

Octets come whole and nothing is read or written. Source: [MS-CFB] 2.2 (header), 2.3 and 2.4 (which
sector follows), 2.5 (list of the table's sectors), 2.6 (directory).
"""

import struct
from collections.abc import Sequence

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_NO_SECTOR = 0xFFFFFFFA  # this and above end a chain, or mark what is in none
_LARGEST_SHIFT = 12  # sectors are of 512 or 4,096 octets
_STREAM = 2
_ENTRY_OCTETS = 128


class OleError(Exception):
    """The octets are no OLE file that can be read, or it has no such stream."""


def read_stream(octets: bytes, *names: str) -> bytes:
    """Give the first stream that has one of the names.

    Raises:
        OleError: there is none, or it is so short that it is kept elsewhere: Excel and the others
            fill that of a workbook up.
    """
    try:
        return _read_stream(octets, names)
    except (LookupError, struct.error, ValueError) as error:
        raise OleError("the stream cannot be read") from error


def is_endless(octets: bytes) -> bool:
    """Tell whether sectors follow each other in a circle (12 ms for 10 MB)."""
    try:
        sectors = _sectors(octets)
        following = _following(octets, sectors)
        (small,) = struct.unpack_from("<I", octets, 60)
        if _has_circle(following):
            return True
        return _has_circle(_numbers(_joined(small, sectors, following)))
    except _Circle:
        return True
    except (LookupError, struct.error):
        return False  # it ends soon enough


class _Circle(LookupError):
    """A chain leads back into itself."""


def _read_stream(octets: bytes, names: Sequence[str]) -> bytes:
    sectors = _sectors(octets)
    following = _following(octets, sectors)
    directory, _, smallest = struct.unpack_from("<3I", octets, 48)
    entries = _joined(directory, sectors, following)
    for at in range(0, len(entries), _ENTRY_OCTETS):
        name, kind = entries[at : at + 64].decode("utf-16-le"), entries[at + 66]
        first, length = struct.unpack_from("<2I", entries, at + 116)
        if kind == _STREAM and name.split("\0")[0] in names and length >= smallest:
            return _joined(first, sectors, following)[:length]
    raise LookupError(names)


def _sectors(octets: bytes) -> Sequence[bytes]:
    (shift,) = struct.unpack_from("<H", octets, 30)
    size = 1 << min(shift, _LARGEST_SHIFT)
    return [octets[at : at + size] for at in range(size, len(octets), size)]


def _following(octets: bytes, sectors: Sequence[bytes]) -> Sequence[int]:
    """Read the table: what follows each sector."""
    places = list(struct.unpack_from("<109I", octets, 76))
    (more,) = struct.unpack_from("<I", octets, 68)
    steps = 0
    while more < _NO_SECTOR:
        *others, more = _numbers(sectors[more])
        places += others
        steps += 1
        if steps > len(sectors):
            raise _Circle(more)
    return _numbers(b"".join(sectors[place] for place in places if place < _NO_SECTOR))


def _numbers(octets: bytes) -> Sequence[int]:
    return struct.unpack_from(f"<{len(octets) // 4}I", octets)


def _joined(sector: int, sectors: Sequence[bytes], following: Sequence[int]) -> bytes:
    chain: list[bytes] = []
    while sector < _NO_SECTOR:
        if len(chain) > len(sectors):
            raise _Circle(sector)
        chain.append(sectors[sector])
        sector = following[sector]
    return b"".join(chain)


def _has_circle(following: Sequence[int]) -> bool:
    """Follow every chain until it ends, meets one that was followed before, or itself."""
    chains = [0] * len(following)  # the chain that each sector was met in, counted from 1
    for chain, start in enumerate(range(len(following)), 1):
        sector = start
        while sector < len(following) and not chains[sector]:
            chains[sector] = chain
            sector = following[sector]
            if sector < len(following) and chains[sector] == chain:
                return True
    return False
