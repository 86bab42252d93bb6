"""An SMSC account: what all its links share, which is the rate that the operator sold.

Two guards in a row. `Pace` spreads the segments evenly and slows when the operator says so;
asyncio-throttle keeps the contract in any sliding second (I6), from the times at which segments
were really written: its permits are acquired right before the write and never wait, since nothing
was claimed without room for it.
"""

from asyncio_throttle import Throttler

from smppgw.config import Smsc
from smppgw.pace import Pace

# The sliding second is kept this much longer, because what we wrote a second apart may be read by
# the SMSC less than a second apart.
_MARGIN_S = 0.01


class _Ceiling(Throttler):  # type: ignore[misc]  # asyncio-throttle has no types
    """asyncio-throttle with a look at what is left, so that only as much is claimed."""

    def left(self) -> int:
        self.flush()
        return int(self.rate_limit - len(self._task_logs))

    def next_at(self) -> float:
        """Return when something is left again; time.monotonic seconds."""
        return float(self._task_logs[0] + self.period) if self.left() <= 0 else 0.0


class Account:
    """The rate of one account, shared by its links."""

    def __init__(self, smsc: Smsc, account_id: int) -> None:
        """Start with the whole rate.

        Args:
            smsc: its configuration.
            account_id: what the ledger calls it.
        """
        self.smsc = smsc
        self.account_id = account_id
        self.classes = frozenset(smsc.classes)
        self.pace = Pace(smsc.throughput)
        self._ceiling = _Ceiling(smsc.throughput, 1.0 + _MARGIN_S, retry_interval=0.001)

    def allowance(self, now: float) -> int:
        """Return how many segments all links together may write now (time.monotonic seconds)."""
        return max(0, min(self.pace.allowance(now), self._ceiling.left()))

    def due_at(self) -> float:
        """Return when there may be something to write again."""
        return max(self.pace.due_at(), self._ceiling.next_at())

    async def spend(self, segments: int, now: float) -> None:
        """Take permits for segments that are written next."""
        self.pace.spend(segments, now)
        for _ in range(segments):
            await self._ceiling.acquire()

    def set_throughput(self, throughput: int) -> None:
        """Change the contract while running."""
        self.pace = Pace(throughput)
        self._ceiling.rate_limit = throughput
