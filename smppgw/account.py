"""An SMSC account: what all its links share, above all the rate that the operator sold.

Two guards in a row. `Pace` spreads the segments evenly and slows when the operator says so;
asyncio-throttle keeps the contract in any sliding second (I6), from the times at which segments
were really written: its permits are acquired right before the write and never wait, since nothing
was claimed without room for it.
"""

from collections.abc import Mapping
from itertools import repeat

from asyncio_throttle import Throttler

from smppgw.config import Smsc
from smppgw.health import Health
from smppgw.pace import Pace
from smppgw.smpp.status import Verdict, status_of

# The sliding second is kept this much longer, because what we wrote a second apart may be read by
# the SMSC less than a second apart.
_MARGIN_S = 0.01
PERIOD_S = 1.0 + _MARGIN_S
_TICK_S = 1e-6


class _Ceiling(Throttler):  # type: ignore[misc]  # asyncio-throttle has no types
    """asyncio-throttle with a look at what is left, so that only as much is claimed."""

    def left(self) -> int:
        self.flush()
        return int(self.rate_limit - len(self._task_logs))

    async def acquire_together(self, permits: int) -> None:
        """Take permits as `acquire` takes one: wait for the first, the others are there with it."""
        await self.acquire()
        self._task_logs.extend(repeat(self._task_logs[-1], permits - 1))

    def free_at(self, permits: int) -> float:
        """Return when so many are left; time.monotonic seconds, 0 where they are."""
        missing = min(permits - self.left(), len(self._task_logs))
        # asyncio-throttle counts a permit as long as it is not older than the period.
        return 0.0 if missing <= 0 else float(self._task_logs[missing - 1] + self.period) + _TICK_S


class Account:
    """One account, shared by its links."""

    def __init__(
        self,
        smsc: Smsc,
        account_id: int,
        routes: frozenset[int] | None = None,
        opens_at: float = 0.0,
    ) -> None:
        """Start with the whole rate, in good health.

        Args:
            smsc: its configuration.
            account_id: what the ledger calls it.
            routes: the ledger's numbers of the prefixes that it takes; None is all numbers.
            opens_at: time.monotonic seconds before which nothing may be written, because an earlier
                gateway may have used up the rate.
        """
        self.smsc = smsc
        self.account_id = account_id
        self.routes = routes
        self._opens_at = opens_at
        self.classes = frozenset(smsc.classes)
        self.closed: Mapping[str, int] = {}  # by class, the routes (bits) that rest now
        self.receipts_owed = 0  # rather too many: accepted, and not told of yet
        self.health = Health()
        self.pace = Pace(smsc.throughput)
        self._ceiling = _Ceiling(smsc.throughput, PERIOD_S, retry_interval=0.001)
        self._verdicts = _verdicts(smsc)

    def verdict_on(self, command_status: int) -> Verdict:
        """Return what an answer to a submit_sm means here: the configuration's say, else the
        table's."""
        return self._verdicts.get(command_status) or status_of(command_status).verdict

    def covers(self, other: "Account") -> bool:
        """Whether it takes every number that another account takes."""
        if self.routes is None:
            return True
        return other.routes is not None and other.routes <= self.routes

    def allowance(self, now: float) -> int:
        """Return how many segments all links together may write now (time.monotonic seconds)."""
        if now < self._opens_at:
            return 0
        return max(0, min(self.pace.allowance(now), self._ceiling.left()))

    def due_at(self, segments: int = 1, now: float = 0.0) -> float:
        """Return when there may be so much to write; time.monotonic seconds."""
        pace_at = self.pace.due_at(segments, now)
        return max(pace_at, self._ceiling.free_at(segments), self._opens_at)

    def batch(self, most: int, now: float) -> int:
        """Return how many segments can leave together again and again, of so many at most.

        What was written together is free together, a sliding second later. In some sliding second
        there is one batch more than fits into it as they fall due: where those are more than the
        contract has, a part of the last is held up, and needs a turn of its own. At 200 a second
        batches of 8 and 10 fit, those of 9 would be 207.
        """
        due = PERIOD_S * self.pace.due_per_s(now)
        for segments in range(most, 1, -1):
            if segments * (int(due / segments) + 1) <= self.pace.throughput:
                return segments
        return min(most, 1)

    async def spend(self, segments: int, now: float) -> None:
        """Take permits for segments that are written next."""
        self.pace.spend(segments, now)
        await self._ceiling.acquire_together(segments)

    def set_throughput(self, throughput: int) -> None:
        """Change the contract while running; an account that was slowed stays slowed."""
        self.pace.set_throughput(throughput)
        self._ceiling.rate_limit = throughput

    def reload(self, smsc: Smsc) -> list[str]:
        """Take over what a new configuration changes.

        Returns:
            The keys that differ and need a restart; those are left as they were.
        """
        differing = [
            name for name in Smsc.model_fields if getattr(smsc, name) != getattr(self.smsc, name)
        ]
        changes = {name: getattr(smsc, name) for name in differing if name in RELOADED}
        self.smsc = self.smsc.model_copy(update=changes)
        self._verdicts = _verdicts(smsc)
        self.set_throughput(smsc.throughput)
        return [name for name in differing if name not in RELOADED]


def _verdicts(smsc: Smsc) -> dict[int, Verdict]:
    return {int(code, 16): Verdict(meaning) for code, meaning in smsc.statuses.items()}


# What a reload takes over: the window, the time-outs and the password with the next bind, all else
# at once.
RELOADED = frozenset(
    (
        "throughput",
        "statuses",
        "window",
        "enquire_link_s",
        "response_timeout_s",
        "reconnect_s",
        "message_id",
        "password",
        "password_file",
        "password_env",
        "price",
        "profiles",
        "optout_errors",
        "optout_statuses",
        "receipts_as_texts",
        "senders",
    )
)
