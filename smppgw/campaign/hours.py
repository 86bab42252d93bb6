"""When messages of a class may leave: a moment → open or not, until when, and when next.

Hides time zones, daylight saving, holidays and the dates of profiles. The recipient's wall clock
decides: a moment is open if the date and time which that clock shows lie in all hours that the
class and the account keep to on that date. So where the clock skips an opening time, the opening
begins when it has jumped; and an hour that it shows twice is open, or closed, both times.

Nothing is asked about more than 400 days ahead. Moments are handed in, aware; those handed back are
in UTC, where arithmetic is right, unless they are the one handed in. What is open is worked out for
each day of UTC once and kept, so that the answers agree among themselves and cost next to nothing.

Sources: the holidays package, after Code du travail L3133-1 (national), L3134-13 (Alsace-Moselle)
and L3422-2 (overseas); the tz database; ARCEP decision 2022-1583 (prefixes).
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import holidays

from smppgw.config import DAYS, Config, Day, Smsc

HORIZON: Final = timedelta(days=400)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY: Final = _EPOCH.date()
_DAY_S: Final = 86_400
_KEPT_DAYS: Final = 32_768  # 7 MB, and more than is asked for while nothing opens for 400 days


class Zone(NamedTuple):
    """Where numbers of a prefix are: the time there, and whose holidays count.

    Attributes:
        timezone: its name in the tz database.
        subdivisions: of France, as the holidays package calls them; None is no one's in particular.
    """

    timezone: str
    subdivisions: tuple[str | None, ...]


# The longest prefix decides. A number does not say which island it is on: +590 is that of
# Guadeloupe, Saint-Martin and Saint-Barthélemy, so the holidays of all three count; all of +689
# has the time of Tahiti, which the Marquesas are 30 minutes ahead of and the Gambier an hour.
OVERSEAS: Final[dict[str, Zone]] = {
    "+262": Zone("Indian/Reunion", ("974",)),
    "+262639": Zone("Indian/Mayotte", ("976",)),
    "+2627093": Zone("Indian/Mayotte", ("976",)),  # Réunion's of 0709 are 07092
    "+508": Zone("America/Miquelon", ("PM",)),
    "+590": Zone("America/Guadeloupe", ("971", "BL", "MF")),
    "+594": Zone("America/Cayenne", ("973",)),
    "+596": Zone("America/Martinique", ("972",)),
    "+681": Zone("Pacific/Wallis", ("WF",)),
    "+687": Zone("Pacific/Noumea", ("NC",)),
    "+689": Zone("Pacific/Tahiti", ("PF",)),
}
_NATIONAL: Final = (None,)
_ALSACE_MOSELLE: Final = ("57", "6AE")


class Allowed(NamedTuple):
    """What all hours of a day leave together; nothing where they contradict each other.

    Attributes:
        opens_s: seconds after midnight on the recipient's clock.
        closes_s: the same; 86,400 is the end of the day.
        days: of the week.
        holidays: whether on holidays too.
    """

    opens_s: int
    closes_s: int
    days: tuple[Day, ...]
    holidays: bool


class Calendar:
    """The hours of a configuration.

    `prefix` is that of a route everywhere: the longest prefix of a zone that it begins with
    decides, and "" or any other prefix is metropolitan. `smsc` adds what an account asks for.

    Attributes:
        prefixes: of the zones overseas; jobs need a route of its own for each.
    """

    prefixes: Final = tuple(OVERSEAS)

    def __init__(self, config: Config) -> None:
        """Lay out the zones; "" is where the gateway is."""
        home = _ALSACE_MOSELLE if config.gateway.alsace_moselle else _NATIONAL
        self._config = config
        self._zones = {"": Zone(config.gateway.timezone, home), **OVERSEAS}
        self._timezones = {name: ZoneInfo(zone.timezone) for name, zone in self._zones.items()}
        self._known: dict[tuple[str, str, tuple[str, ...], int], tuple[tuple[int, int], ...]] = {}

    def is_open(self, job_class: str, prefix: str, at: datetime, smsc: Smsc | None = None) -> bool:
        """Tell whether messages may leave; alerts always may."""
        since = at - _EPOCH
        second = since.seconds
        for start, end in self._day(job_class, prefix, since.days, smsc):
            if start <= second < end:
                return True
        return False

    def next_opening(
        self, job_class: str, prefix: str, at: datetime, smsc: Smsc | None = None
    ) -> datetime | None:
        """Return the first moment from this one on when messages may leave.

        Returns:
            `at` itself where they may; None where they never may within 400 days.
        """
        since = at - _EPOCH
        start, _ = next(self._openings(job_class, prefix, since, smsc), (None, None))
        return None if start is None else _moment(at, since, start)

    def closes_at(
        self,
        job_class: str,
        prefix: str,
        at: datetime,
        smsc: Smsc | None = None,
        horizon: timedelta = HORIZON,
    ) -> datetime | None:
        """Return the end of the present opening: the first moment when messages may not leave.

        Args:
            job_class: the class.
            prefix: the route's.
            at: the moment.
            smsc: the account.
            horizon: how far ahead it is looked for; 400 days at most.

        Returns:
            `at` itself where they may not; None where they may as far as is looked.
        """
        since = end = at - _EPOCH
        for start, stop in self._openings(job_class, prefix, since, smsc):
            if start != end or end - since > horizon:
                break
            end = stop
        return _moment(at, since, end, horizon)

    def finish_at(
        self,
        job_class: str,
        prefix: str,
        at: datetime,
        seconds: float,
        smsc: Smsc | None = None,
    ) -> datetime | None:
        """Return when work ends that goes on only while messages may leave.

        Args:
            job_class: the class.
            prefix: the route's.
            at: when it is taken up, open or not.
            seconds: of open time that it takes.
            smsc: the account.

        Returns:
            The end; a closing time where the work just fits, and `at` itself where there is none.
            None where it does not end within 400 days.
        """
        if seconds > HORIZON.total_seconds():
            return None
        since, left = at - _EPOCH, timedelta(seconds=seconds)
        if left <= timedelta():
            return at
        for start, end in self._openings(job_class, prefix, since, smsc):
            if left <= end - start:
                return _moment(at, since, start + left)
            left -= end - start
        return None

    def allowed_on(self, job_class: str, day: date, smsc: Smsc | None = None) -> Allowed:
        """Return what the hours of a day leave, whatever day of the week it is."""
        opens_s, closes_s, days, on_holidays = 0, _DAY_S, DAYS, True
        for kept in self._config.hours_on(job_class, day, smsc):
            if kept.hours is not None:
                opening, closing = kept.hours
                opens_s = max(opens_s, opening.hour * 3600 + opening.minute * 60)
                closes_s = min(closes_s, closing.hour * 3600 + closing.minute * 60)
            days = tuple(one for one in days if one in kept.days)
            on_holidays = on_holidays and kept.holidays
        return Allowed(opens_s, closes_s, days, on_holidays)

    def holidays_in(self, prefix: str, year: int) -> frozenset[date]:
        """Return the holidays of a year that count for a prefix."""
        return _holidays(self._zones[zone_of(prefix)].subdivisions, year)

    def timezone_of(self, prefix: str) -> ZoneInfo:
        """Return the time zone of a prefix."""
        return self._timezones[zone_of(prefix)]

    def _openings(
        self, job_class: str, prefix: str, since: timedelta, smsc: Smsc | None
    ) -> Iterator[tuple[timedelta, timedelta]]:
        """Yield what is open from a moment on, cut at midnights of UTC, after the epoch."""
        for day in range(since.days, since.days + HORIZON.days + 1):
            for start, end in self._day(job_class, prefix, day, smsc):
                opening, closing = timedelta(day, start), timedelta(day, end)
                if since < closing:
                    yield max(since, opening), closing

    def _day(
        self, job_class: str, prefix: str, day: int, smsc: Smsc | None
    ) -> tuple[tuple[int, int], ...]:
        """Return what is open on a day of UTC, counted from the epoch, in its seconds."""
        asked = () if smsc is None else smsc.profiles.get(job_class, ())  # type: ignore[call-overload]  # a name of no class has none
        key = (job_class, zone_of(prefix), asked, day)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _KEPT_DAYS:
                self._known.clear()
            known = self._known[key] = tuple(self._open_on(job_class, prefix, day, smsc))
        return known

    def _open_on(
        self, job_class: str, prefix: str, day: int, smsc: Smsc | None
    ) -> Iterator[tuple[int, int]]:
        """Work out what is open on a day of UTC; the recipient's clock shows two dates in it."""
        for begin, end, offset in _offsets(self.timezone_of(prefix), day):
            for ahead in range((begin + offset) // _DAY_S, (end - 1 + offset) // _DAY_S + 1):
                local = _FIRST_DAY + timedelta(day + ahead)
                allowed = self.allowed_on(job_class, local, smsc)
                if DAYS[local.weekday()] not in allowed.days:
                    continue
                if not allowed.holidays and local in self.holidays_in(prefix, local.year):
                    continue
                midnight = ahead * _DAY_S - offset
                start = max(begin, midnight + allowed.opens_s)
                stop = min(end, midnight + allowed.closes_s)
                if start < stop:
                    yield start, stop


def _moment(
    at: datetime, since: timedelta, then: timedelta, horizon: timedelta = HORIZON
) -> datetime | None:
    """Return a moment after the epoch, which `at` is `since` after; None beyond the horizon."""
    if then == since:
        return at
    return _EPOCH + then if then - since <= horizon else None


def routes_of(config: Config) -> tuple[str, ...]:
    """Return the prefixes of numbers that have an account or hours of their own."""
    return (*config.prefixes, *OVERSEAS)


@lru_cache(maxsize=1024)
def zone_of(prefix: str) -> str:
    """Return the prefix of the zone that decides for a route's; "" is metropolitan."""
    return max(filter(prefix.startswith, OVERSEAS), key=len, default="")


@lru_cache(maxsize=1024)
def _holidays(subdivisions: tuple[str | None, ...], year: int) -> frozenset[date]:
    """Return the holidays of a year, of any of these."""
    return frozenset(
        day
        for subdivision in subdivisions
        for day in holidays.country_holidays("FR", subdiv=subdivision, years=year)
    )


@lru_cache(maxsize=4096)
def _offsets(timezone: ZoneInfo, day: int) -> tuple[tuple[int, int, int], ...]:
    """Cut a day of UTC where the offset of a zone changes, which is once at most.

    Returns:
        First second, the one after the last, and how far the zone is ahead of UTC, in seconds.
    """

    def offset_at(second: int) -> int:
        offset = (_EPOCH + timedelta(day, second)).astimezone(timezone).utcoffset()
        assert offset is not None
        return round(offset.total_seconds())

    before, after = offset_at(0), offset_at(_DAY_S - 1)
    if before == after:
        return ((0, _DAY_S, before),)
    old, new = 0, _DAY_S - 1
    while new - old > 1:
        middle = (old + new) // 2
        old, new = (middle, new) if offset_at(middle) == before else (old, middle)
    return (0, new, before), (new, _DAY_S, after)
