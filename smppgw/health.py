"""Whether an account still does what it is paid for: by its latest answers and by its receipts.

An account that refuses most of what it is sent, leaves it without answer, or whose receipts tell of
hardly a delivery any more, rests, provided that another account can take its place: whoever asks
decides that. It is tried again after a while, which doubles as long as it does no better.

Pure: `now` is monotonic seconds; counts are handed in by the batch.
"""

import math

ANSWERS_MEASURED = 20  # so many answers tell something
ANSWERS_WHEN_TRIED = 3  # so many tell whether a rest has helped
ANSWERS_BAD = 0.5  # the share of refusals that is too much
RECEIPTS_MEASURED = 50
RECEIPTS_BAD = 0.8  # the share of receipts of failure that is too much
FIRST_REST_S = 30.0
LONGEST_REST_S = 600.0
_MEMORY = 200.0  # older counts fade: the two of a meter never sum to more


class _Meter:
    """The share of bad among the latest."""

    def __init__(self, least: int, limit: float) -> None:
        self.least = least
        self._limit = limit
        self._good = self._bad = 0.0

    def note(self, good: int, bad: int) -> None:
        self._good += good
        self._bad += bad
        total = self._good + self._bad
        if total > _MEMORY:
            self._good *= _MEMORY / total
            self._bad *= _MEMORY / total

    @property
    def measured(self) -> bool:
        return self._good + self._bad >= self.least

    @property
    def exceeded(self) -> bool:
        return self.measured and self._bad > self._limit * (self._good + self._bad)


class Health:
    """The health of one account."""

    def __init__(self) -> None:
        self._rest_s = FIRST_REST_S
        self._rests_until = -math.inf
        self._tried = False
        self._begin()

    def _begin(self) -> None:
        least = ANSWERS_WHEN_TRIED if self._tried else ANSWERS_MEASURED
        self._answers = _Meter(least, ANSWERS_BAD)
        self._receipts = _Meter(RECEIPTS_MEASURED, RECEIPTS_BAD)

    def resting(self, now: float) -> bool:
        """Whether another account should take its place."""
        return now < self._rests_until

    def note_answers(self, accepted: int, failed: int, now: float) -> str | None:
        """Take answers to submit_sm into account; those that say slow down count for nothing.

        Args:
            accepted: how many were accepted.
            failed: how many were refused for any reason, or not given in time.
            now: monotonic seconds.

        Returns:
            Why the account rests from now on, or None.
        """
        self._answers.note(accepted, failed)
        return self._judge(self._answers, "it refuses or does not answer most submit_sm", now)

    def note_receipts(self, delivered: int, failed: int, now: float) -> str | None:
        """Take final receipts into account.

        Returns:
            Why the account rests from now on, or None.
        """
        self._receipts.note(delivered, failed)
        return self._judge(self._receipts, "its receipts tell of hardly a delivery", now)

    def _judge(self, meter: _Meter, reason: str, now: float) -> str | None:
        if self.resting(now) or not meter.measured:
            return None
        if not meter.exceeded:
            if meter is self._answers and self._tried:  # the rest has helped
                self._rest_s, self._tried = FIRST_REST_S, False
                self._answers.least = ANSWERS_MEASURED
            return None
        self._rests_until = now + self._rest_s
        self._rest_s = min(self._rest_s * 2, LONGEST_REST_S)
        self._tried = True
        self._begin()
        return reason
