"""The permitted rate of an account: even, slowed by throttling answers, recovering by itself.

Permits fall due one by one at the permitted rate. What falls due while nobody asks is not saved up
beyond `SLACK_S`: enough that a late timer costs nothing, too little to be a burst. The ceiling in
any sliding second is not kept here but by asyncio-throttle, which records when segments were really
written.

A throttling answer halves the permitted rate, once for all answers to what was sent before it was
halved; afterwards it climbs by a twentieth of the ceiling each second. Pure: `now` is monotonic
seconds.
"""

import math

SLACK_S = 0.02
_SLOW_DOWN = 0.5
_RECOVERY_PER_S = 0.05  # of the ceiling
_SAME_THROTTLING_S = 1.0  # answers within it speak of the rate before it was slowed


class Pace:
    """How many segments may leave now."""

    def __init__(self, throughput: int) -> None:
        """Start at the ceiling.

        Args:
            throughput: submit_sm a second that the account allows.
        """
        self.throughput = throughput
        self._permitted = float(throughput)
        self._permitted_at = 0.0  # when `_permitted` was true
        self._next = 0.0  # when the next permit falls due
        self._slowed_at = -math.inf

    def permitted(self, now: float) -> float:
        """Return the permitted rate, segments a second."""
        gained = (now - self._permitted_at) * _RECOVERY_PER_S * self.throughput
        return min(float(self.throughput), self._permitted + max(0.0, gained))

    def allowance(self, now: float) -> int:
        """Return how many segments may leave now; at least the one that has fallen due."""
        since = now - max(self._next, now - SLACK_S)
        if since < 0:
            return 0
        return 1 + int(since * self.permitted(now))

    def spend(self, segments: int, now: float) -> None:
        """Take permits that `allowance` offered."""
        start = max(self._next, now - SLACK_S)
        self._next = start + segments / self.permitted(now)

    def due_at(self) -> float:
        """Return when the next permit falls due."""
        return self._next

    def throttled(self, now: float) -> None:
        """Slow down: the SMSC said that it is too much."""
        if now - self._slowed_at < _SAME_THROTTLING_S:
            return
        self._permitted = max(1.0, self.permitted(now) * _SLOW_DOWN)
        self._permitted_at = self._slowed_at = now
