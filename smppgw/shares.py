"""Whose turn it is: tenants that wait in one lane are served in equal shares of segments.

Start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queuing", 1997) with equal weights: a
tenant's next piece starts where its last one ended or, if it was idle, where the lane is now. So a
commune with 50,000 messages does not hold one with 50, and nobody saves up a right by being silent.

Pure; what it remembers may be forgotten at any time, which costs nobody more than one piece.
"""

from collections.abc import Collection


class Shares:
    """What each tenant of each lane has had."""

    def __init__(self) -> None:
        self._now: dict[int, int] = {}  # by lane, where it is: segments
        self._ends: dict[tuple[int, str], int] = {}  # where a tenant's last piece ended

    def next_of(self, lane: int, tenants: Collection[str]) -> str:
        """Return which of these tenants is to be served next; of equals, by name."""
        return min(tenants, key=lambda tenant: (self._start(lane, tenant), tenant))

    def charge(self, lane: int, tenant: str, segments: int) -> None:
        """Note that a tenant is served a piece."""
        start = self._now[lane] = self._start(lane, tenant)
        self._ends[lane, tenant] = start + segments

    def _start(self, lane: int, tenant: str) -> int:
        return max(self._ends.get((lane, tenant), 0), self._now.get(lane, 0))
