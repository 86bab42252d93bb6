"""The permitted rate of an account: even, slowed by throttling answers, recovering by itself.

Permits fall due one by one, `HEADROOM` slower than the permitted rate. What falls due while nobody
asks is not saved up beyond `SLACK_S`: enough that a slow turn costs nothing, too little to be a
burst. A segment that leaves late, after a slow commit, does not delay the ones after it. The
ceiling in any sliding second is not kept here but by asyncio-throttle, which records when segments
were really written.

A throttling answer halves the permitted rate, once for all answers to what was sent before it was
halved; afterwards it climbs by a twentieth of the ceiling each second. Pure: `now` is monotonic
seconds.
"""

import math

SLACK_S = 0.09
# A segment may leave this much of a second late before the sliding second of the account holds back
# the one that follows a second later; without it every delay would add to the one before.
HEADROOM = 0.014
_SLOW_DOWN = 0.5
_RECOVERY_PER_S = 0.05  # of the ceiling
# An SMSC that counts by the second refuses what is sent in the rest of it, however slowly.
_SAME_THROTTLING_S = 1.0


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
        """Return how many segments may leave now; what fell due before the slack is forfeited."""
        self._next = max(self._next, now - SLACK_S)
        if self._next > now:
            return 0
        return 1 + int((now - self._next) * self.due_per_s(now))

    def spend(self, segments: int, now: float) -> None:
        """Take permits that `allowance` offered, however long ago that was."""
        self._next += segments / self.due_per_s(now)

    def due_at(self, permits: int = 1, now: float = 0.0) -> float:
        """Return when so many permits will be due; for more than one at the rate of `now`."""
        return self._next + (permits - 1) / self.due_per_s(now) if permits > 1 else self._next

    def throttled(self, now: float, sent: float = math.inf) -> None:
        """Slow down: the SMSC said that it is too much.

        Args:
            now: monotonic seconds.
            sent: when the segment that it refused was sent; where that is not known, after the rate
                was last halved.
        """
        if sent <= self._slowed_at or now - self._slowed_at < _SAME_THROTTLING_S:
            return
        self._permitted = max(1.0, self.permitted(now) * _SLOW_DOWN)
        self._permitted_at = self._slowed_at = now

    def set_throughput(self, throughput: int) -> None:
        """Change the ceiling; the permitted rate keeps its share of it."""
        self._permitted *= throughput / self.throughput
        self.throughput = throughput

    def due_per_s(self, now: float) -> float:
        """Return how many permits fall due in a second."""
        return self.permitted(now) / (1.0 + HEADROOM)
