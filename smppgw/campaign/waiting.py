"""Why what is queued does not leave: paused, scheduled, or outside its hours; and when it will.

Pure: the job, the prefixes of what is left of it, and the moment are handed in. Hours are asked of
the calendar for each prefix and each account that takes it: a job waits where none is open, and
leaves at the first of them that opens.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from smppgw.campaign.hours import Calendar
from smppgw.config import Config, Smsc
from smppgw.ledger.jobs import Job

Reason = Literal["paused", "scheduled", "hours"]


class Wait(NamedTuple):
    """What a job waits for; `opens_at` is when something of it may leave, None for nobody knows."""

    reason: Reason
    opens_at: datetime | None


class Waiting:
    """The hours of a configuration, asked for whole jobs."""

    def __init__(self, config: Config) -> None:
        """Lay out the calendar."""
        self._config = config
        self._calendar = Calendar(config)

    def wait(self, job: Job, prefixes: Sequence[str], now: int) -> Wait | None:
        """Return what holds a job back now; None where nothing does, or nothing of it is queued.

        Args:
            job: as it stands.
            prefixes: of the routes on which something of it is left.
            now: milliseconds since 1970.
        """
        if job.state == "paused":
            return Wait("paused", None)
        if not job.counts["queued"] or job.state not in ("scheduled", "queued", "sending"):
            return None
        if job.state == "scheduled" and job.starts_at > now:
            return Wait("scheduled", self._opens_at(job, prefixes, _moment(job.starts_at)))
        at = _moment(now)
        opens_at = self._opens_at(job, prefixes, at)
        return None if opens_at == at else Wait("hours", opens_at)

    def _opens_at(self, job: Job, prefixes: Sequence[str], at: datetime) -> datetime | None:
        if job.job_class == "alert":
            return at
        opening = [
            self._calendar.next_opening(job.job_class, prefix, at, smsc)
            for prefix in prefixes
            for smsc in self._takers(job, prefix)
        ]
        # Where no account takes it, hours are not what it waits for.
        return min((one for one in opening if one is not None), default=None if opening else at)

    def finish_at(
        self, job: Job, prefixes: Sequence[str], now: int, seconds: float
    ) -> datetime | None:
        """Return when sending ends that takes so many open seconds from now on.

        Returns:
            None where its hours never let it end.
        """
        at, ends = _moment(now), []
        if job.job_class == "alert":
            return self._calendar.finish_at(job.job_class, "", at, seconds)
        for prefix in prefixes:
            takers = self._takers(job, prefix)
            reached = [
                self._calendar.finish_at(job.job_class, prefix, at, seconds, smsc)
                for smsc in takers
            ]
            known = [end for end in reached if end is not None]
            if takers and not known:
                return None
            ends += [min(known)] if known else []
        return max(ends, default=None)

    def _takers(self, job: Job, prefix: str) -> list[Smsc]:
        return [
            smsc
            for smsc in self._config.smsc
            if job.job_class in smsc.classes
            and (not smsc.prefixes or prefix.startswith(smsc.prefixes))
        ]


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
