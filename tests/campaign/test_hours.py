"""When messages may leave, held to a twin that walks minute by minute, and to dates known apart."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smppgw.campaign.hours import HORIZON, OVERSEAS, Allowed, Calendar, zone_of
from smppgw.config import DAYS, Config, Smsc
from smppgw.sms.numbers import FRENCH_CODES, normalise_number

PARIS = ZoneInfo("Europe/Paris")
MON_TO_FRI = list(DAYS[:5])


def calendar_of(
    *,
    promotional: dict[str, Any] | None = None,
    service: dict[str, Any] | None = None,
    account: dict[str, list[str]] | None = None,
    profile: dict[str, dict[str, Any]] | None = None,
    **gateway: Any,
) -> tuple[Calendar, Smsc]:
    """Make a calendar and its one account; what is not given has its default."""
    config = Config.model_validate(
        {
            "gateway": gateway,
            "smsc": [
                {
                    "name": "one",
                    "host": "127.0.0.1",
                    "system_id": "x",
                    "password": "x",
                    "profiles": account or {},
                }
            ],
            "tenant": [{"name": "mairie", "sender": "MAIRIE"}],
            "class": {"promotional": promotional or {}, "service": service or {}},
            "profile": profile or {},
        }
    )
    return Calendar(config), config.smsc[0]


def paris(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS, fold=fold)


def on_clock(moment: datetime | None, timezone: ZoneInfo = PARIS) -> str:
    """Write a moment as a clock shows it, with what tells the two hours of one name apart."""
    return "" if moment is None else moment.astimezone(timezone).isoformat(timespec="seconds")


# Holidays, computed apart


def easter(year: int) -> date:
    """Return Easter Sunday by the Gregorian algorithm in Meeus, Astronomical Algorithms."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    j = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * j) // 451
    month, day = divmod(h + j - 7 * m + 114, 31)
    return date(year, month, day + 1)


def days(year: int, *listed: str, after_easter: tuple[int, ...] = ()) -> set[date]:
    fixed = {date.fromisoformat(f"{year}-{day}") for day in listed}
    return fixed | {easter(year) + timedelta(ahead) for ahead in after_easter}


def national(year: int) -> set[date]:
    fixed = ("01-01", "05-01", "05-08", "07-14", "08-15", "11-01", "11-11", "12-25")
    return days(year, *fixed, after_easter=(1, 39, 50))


ALSACE_MOSELLE = (("12-26",), (-2,))
# By prefix, what there is more than the national ones: fixed days, and days after Easter.
MORE: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "+262": (("12-20",), ()),
    "+262639": (("04-27",), ()),
    "+2627093": (("04-27",), ()),
    "+508": ((), ()),
    # Abolition in Guadeloupe, Saint-Martin and Saint-Barthélemy, Schoelcher; Mi-Carême, Good Friday
    "+590": (("05-27", "05-28", "10-09", "07-21"), (-24, -2)),
    "+594": (("06-10",), ()),
    "+596": (("05-22", "07-21"), ()),
    "+681": (("04-28", "06-29", "07-29"), ()),
    "+687": (("09-24",), ()),
    "+689": (("03-05", "11-20"), (-2,)),
}


@cache
def holidays_of(prefix: str, alsace_moselle: bool, year: int) -> frozenset[date]:
    none: tuple[tuple[str, ...], tuple[int, ...]] = ((), ())
    fixed, after_easter = MORE[prefix] if prefix else ALSACE_MOSELLE if alsace_moselle else none
    return frozenset(national(year) | days(year, *fixed, after_easter=after_easter))


def test_easter_is_computed_as_almanacs_have_it() -> None:
    known = ["2024-03-31", "2025-04-20", "2026-04-05", "2027-03-28", "2035-03-25", "2038-04-25"]
    assert [easter(int(day[:4])).isoformat() for day in known] == known


@pytest.mark.parametrize("alsace_moselle", [False, True])
def test_the_eleven_national_holidays_count_and_two_more_in_alsace_moselle(
    alsace_moselle: bool,
) -> None:
    calendar, _ = calendar_of(alsace_moselle=alsace_moselle)
    for year in range(2024, 2045):
        counted = calendar.holidays_in("", year)
        assert counted == holidays_of("", alsace_moselle, year)
        # Ascension may fall on 1 or 8 May.
        assert len(counted) >= 10 + 2 * alsace_moselle


@pytest.mark.parametrize("prefix", OVERSEAS)
def test_overseas_the_national_holidays_count_and_the_territory_s_own(prefix: str) -> None:
    calendar, _ = calendar_of(alsace_moselle=True)  # which is nowhere overseas
    for year in range(2026, 2040):
        assert calendar.holidays_in(prefix, year) == holidays_of(prefix, True, year)


@pytest.mark.parametrize(
    ("prefix", "day"),
    [
        ("+262639", "04-27"),  # Mayotte
        ("+2627093", "04-27"),
        ("+596", "05-22"),  # Martinique
        ("+590", "05-27"),  # Guadeloupe
        ("+590", "05-28"),  # Saint-Martin
        ("+594", "06-10"),  # Guiana
        ("+590", "10-09"),  # Saint-Barthélemy
        ("+262", "12-20"),  # Réunion
    ],
)
def test_the_day_of_the_abolition_of_slavery_is_closed_in_its_territory_alone(
    prefix: str, day: str
) -> None:
    calendar, _ = calendar_of(promotional={"days": list(DAYS)})
    for year in range(2026, 2040):
        noon = datetime.fromisoformat(f"{year}-{day}T12:00")
        for other in ("", *OVERSEAS):
            at = noon.replace(tzinfo=calendar.timezone_of(other))
            closed = other == prefix or noon.date() in holidays_of(other, False, year)
            assert calendar.is_open("promotional", other, at) != closed


# Zones


def test_every_calling_code_that_numbers_have_is_a_zone_but_the_metropolitan_one() -> None:
    assert {int(prefix[1:4]) for prefix in OVERSEAS} == set(FRENCH_CODES) - {33}
    assert Calendar.prefixes == tuple(OVERSEAS)
    assert "" not in Calendar.prefixes


@pytest.mark.parametrize(
    ("region", "timezone"),
    [
        ("FR", "Europe/Paris"),
        ("RE", "Indian/Reunion"),
        ("YT", "Indian/Mayotte"),
        ("GP", "America/Guadeloupe"),
        ("MF", "America/Guadeloupe"),
        ("BL", "America/Guadeloupe"),
        ("GF", "America/Cayenne"),
        ("MQ", "America/Martinique"),
        ("PM", "America/Miquelon"),
        ("WF", "Pacific/Wallis"),
        ("NC", "Pacific/Noumea"),
        ("PF", "Pacific/Tahiti"),
    ],
)
def test_a_mobile_number_has_the_time_of_where_it_is_from(region: str, timezone: str) -> None:
    line = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    assert line is not None
    number = normalise_number(f"+{line.country_code}{line.national_number}")
    assert calendar_of()[0].timezone_of(number).key == timezone


def test_no_range_of_mobile_numbers_of_mayotte_is_taken_for_one_of_reunion_nor_the_reverse() -> (
    None
):
    calendar, _ = calendar_of()
    found = set()
    for lead in range(60_000, 80_000):
        line = phonenumbers.PhoneNumber(262, lead * 10_000)
        region = phonenumbers.region_code_for_number(line)
        if region is not None:
            number = normalise_number(f"+262{lead}0000")
            assert (
                calendar.timezone_of(number).key
                == {
                    "RE": "Indian/Reunion",
                    "YT": "Indian/Mayotte",
                }[region]
            )
            found.add(region)
    assert found == {"RE", "YT"}


@pytest.mark.parametrize(
    ("prefix", "zone"),
    [
        ("", ""),
        ("+33", ""),
        ("+336", ""),
        ("+26", ""),
        ("+262", "+262"),
        ("+2626", "+262"),
        ("+262639", "+262639"),
        ("+2626390", "+262639"),
        ("+262700", "+262"),
        ("+5906", "+590"),
        ("+269", ""),
    ],
)
def test_the_longest_zone_that_a_route_s_prefix_begins_with_decides(prefix: str, zone: str) -> None:
    assert zone_of(prefix) == zone


def test_the_metropolitan_zone_has_the_gateway_s_time() -> None:
    calendar, _ = calendar_of(timezone="Indian/Reunion")
    at = datetime(2026, 11, 24, 5, tzinfo=UTC)  # 06:00 in Paris, 09:00 in Saint-Denis
    assert calendar.is_open("promotional", "", at)
    assert not calendar_of()[0].is_open("promotional", "", at)


# A year


@pytest.mark.parametrize("prefix", ["", *OVERSEAS])
def test_in_a_whole_year_promotional_messages_leave_in_the_hours_of_the_recipient_alone(
    prefix: str,
) -> None:
    calendar, smsc = calendar_of(alsace_moselle=True)
    timezone = calendar.timezone_of(prefix)
    feasts = holidays_of(prefix, True, 2026) | holidays_of(prefix, True, 2027)
    at, quarter, opened = datetime(2026, 1, 5, tzinfo=UTC), timedelta(minutes=15), 0
    for _ in range(365 * 96):
        local = at.astimezone(timezone)
        expected = 8 <= local.hour < 20 and local.weekday() != 6 and local.date() not in feasts
        assert calendar.is_open("promotional", prefix, at, smsc) == expected, local
        opened += expected
        at += quarter
    assert opened > 290 * 48


def test_alerts_always_leave_whatever_their_hours_say() -> None:
    calendar, smsc = calendar_of()
    at = paris("2026-12-25T03:00")
    for prefix in ("", *OVERSEAS):
        assert calendar.is_open("alert", prefix, at, smsc)
        assert calendar.next_opening("alert", prefix, at, smsc) is at
        assert calendar.closes_at("alert", prefix, at, smsc) is None
        later = at.astimezone(UTC) + timedelta(days=3)
        assert calendar.finish_at("alert", prefix, at, 3 * 86_400, smsc) == later


def test_one_class_that_is_closed_closes_no_other() -> None:
    calendar, _ = calendar_of()
    at = paris("2026-11-24T23:00")
    found = [calendar.is_open(name, "", at) for name in ("promotional", "service", "alert")]
    assert found == [False, True, True]


# Edges of one opening


def test_an_opening_begins_at_its_first_moment_and_has_ended_at_its_last() -> None:
    calendar, _ = calendar_of()
    tick = timedelta(microseconds=1)
    opens, closes = paris("2026-11-24T08:00"), paris("2026-11-24T20:00")
    found = [
        calendar.is_open("promotional", "", at)
        for at in (opens - tick, opens, closes - tick, closes)
    ]
    assert found == [False, True, True, False]
    assert calendar.next_opening("promotional", "", opens - tick) == opens
    assert calendar.next_opening("promotional", "", closes - tick) == closes - tick
    assert calendar.closes_at("promotional", "", closes - tick) == closes
    assert calendar.closes_at("promotional", "", closes) is closes


def test_work_that_just_fits_ends_at_closing_time_and_a_moment_more_goes_on_at_the_next() -> None:
    calendar, _ = calendar_of()
    at = paris("2026-11-28T19:00")  # a Saturday

    def ends(seconds: float) -> datetime | None:
        return calendar.finish_at("promotional", "", at, seconds)

    assert ends(0) is at
    assert on_clock(ends(3600)) == "2026-11-28T20:00:00+01:00"
    assert ends(3600.5) == paris("2026-11-30T08:00") + timedelta(seconds=0.5)
    assert on_clock(ends(3600 + 12 * 3600)) == "2026-11-30T20:00:00+01:00"
    assert on_clock(ends(3600 + 12 * 3600 + 60)) == "2026-12-01T08:01:00+01:00"


def test_no_work_ends_at_once_even_while_nothing_may_leave() -> None:
    calendar, _ = calendar_of()
    at = paris("2026-11-29T12:00")
    assert calendar.finish_at("promotional", "", at, 0) is at
    assert on_clock(calendar.finish_at("promotional", "", at, 1)) == "2026-11-30T08:00:01+01:00"


def test_days_without_hours_are_open_over_midnight_and_close_with_the_last_of_them() -> None:
    calendar, _ = calendar_of(service={"days": MON_TO_FRI})
    at = paris("2026-11-24T23:00")
    assert on_clock(calendar.closes_at("service", "", at)) == "2026-11-28T00:00:00+01:00"
    saturday = paris("2026-11-28T00:00")
    assert on_clock(calendar.next_opening("service", "", saturday)) == "2026-11-30T00:00:00+01:00"


def test_a_class_without_hours_never_closes_but_for_what_has_a_date_within_400_days() -> None:
    at = paris("2026-01-01T12:00")
    assert calendar_of()[0].closes_at("service", "", at) is None
    for ahead, known in ((399, True), (401, False)):
        end = at.date() + timedelta(ahead)
        shut = {"days": ["mon"], "hours": ["08:00", "08:01"], "from": end}
        calendar, _ = calendar_of(service={"profiles": ["shut"]}, profile={"shut": shut})
        expected = datetime.combine(end, time(), PARIS) if known else None
        assert calendar.closes_at("service", "", at) == expected


def test_what_opens_after_400_days_or_never_has_no_opening_and_no_end() -> None:
    at = paris("2026-01-01T12:00")
    narrow = {"hours": ["08:00", "09:00"]}
    other = {"hours": ["09:00", "10:00"]}
    for ahead, known in ((399, True), (401, False), (None, False)):
        until = {} if ahead is None else {"until": at.date() + timedelta(ahead - 1)}
        calendar, smsc = calendar_of(
            service={"profiles": ["narrow"]},
            account={"service": ["other"]},
            profile={"narrow": narrow, "other": {**other, **until}},
        )
        opening = calendar.next_opening("service", "", at, smsc)
        ending = calendar.finish_at("service", "", at, 60, smsc)
        if known:
            assert ahead is not None
            expected = datetime.combine(at.date() + timedelta(ahead), time(8), PARIS)
            assert (opening, ending) == (expected, expected + timedelta(minutes=1))
        else:
            assert (opening, ending) == (None, None)
        assert calendar.is_open("service", "", paris("2026-01-02T08:30"))  # without the account


def test_work_without_end_has_none() -> None:
    calendar, _ = calendar_of()
    at = paris("2026-01-01T12:00")
    assert calendar.finish_at("alert", "", at, HORIZON.total_seconds()) == at + HORIZON
    assert calendar.finish_at("alert", "", at, HORIZON.total_seconds() + 1) is None
    assert calendar.finish_at("alert", "", at, float("inf")) is None


def test_a_moment_without_a_zone_is_refused() -> None:
    calendar, _ = calendar_of()
    naive = datetime(2026, 11, 24, 12)  # noqa: DTZ001  # it is what must be refused
    calls: tuple[Callable[[], object], ...] = (
        lambda: calendar.is_open("service", "", naive),
        lambda: calendar.next_opening("service", "", naive),
        lambda: calendar.closes_at("service", "", naive),
        lambda: calendar.finish_at("service", "", naive, 1),
    )
    for call in calls:
        with pytest.raises(TypeError, match="naive"):
            call()


# Daylight saving


@pytest.mark.parametrize("day", ["2026-03-29", "2027-03-28"])
def test_an_opening_time_that_the_clock_skips_is_when_it_has_jumped(day: str) -> None:
    calendar, _ = calendar_of(service={"hours": ["02:30", "12:00"]})
    before = paris(f"{day}T01:00")
    opens = calendar.next_opening("service", "", before)
    assert on_clock(opens) == f"{day}T03:00:00+02:00"
    assert opens == before.astimezone(UTC) + timedelta(hours=1)
    ends = calendar.finish_at("service", "", before, 9 * 3600)
    assert on_clock(ends) == f"{day}T12:00:00+02:00"


@pytest.mark.parametrize("day", ["2026-03-29", "2027-03-28"])
def test_a_closing_time_that_the_clock_skips_is_when_it_jumps(day: str) -> None:
    calendar, _ = calendar_of(service={"hours": ["00:00", "02:30"]})
    at = paris(f"{day}T00:00")
    closes = calendar.closes_at("service", "", at)
    assert closes == at.astimezone(UTC) + timedelta(hours=2)
    assert on_clock(closes) == f"{day}T03:00:00+02:00"


@pytest.mark.parametrize("day", ["2026-03-29", "2027-03-28"])
def test_hours_that_the_clock_skips_altogether_do_not_open_that_day(day: str) -> None:
    calendar, _ = calendar_of(service={"hours": ["02:00", "03:00"]})
    at = paris(f"{day}T00:00")
    after = date.fromisoformat(day) + timedelta(days=1)
    assert on_clock(calendar.next_opening("service", "", at)) == f"{after}T02:00:00+02:00"


@pytest.mark.parametrize("day", ["2026-10-25", "2027-10-31"])
def test_an_hour_that_the_clock_shows_twice_is_open_both_times(day: str) -> None:
    calendar, _ = calendar_of(service={"hours": ["02:15", "02:45"]})
    first = calendar.next_opening("service", "", paris(f"{day}T00:00"))
    assert on_clock(first) == f"{day}T02:15:00+02:00"
    assert first is not None
    closes = calendar.closes_at("service", "", first)
    assert on_clock(closes) == f"{day}T02:45:00+02:00"
    assert closes is not None
    assert on_clock(calendar.next_opening("service", "", closes)) == f"{day}T02:15:00+01:00"
    assert on_clock(calendar.finish_at("service", "", first, 3600)) == f"{day}T02:45:00+01:00"


@pytest.mark.parametrize("day", ["2026-10-25", "2027-10-31"])
def test_an_opening_across_the_hour_that_comes_twice_lasts_an_hour_longer(day: str) -> None:
    calendar, _ = calendar_of(service={"hours": ["01:00", "04:00"]})
    at = paris(f"{day}T01:00")
    closes = calendar.closes_at("service", "", at)
    assert closes == at.astimezone(UTC) + timedelta(hours=4)
    assert calendar.finish_at("service", "", at, 4 * 3600) == closes


@pytest.mark.parametrize("fold", [0, 1])
def test_the_two_hours_of_one_name_are_told_apart(fold: int) -> None:
    calendar, _ = calendar_of(service={"hours": ["01:00", "02:30"]})
    at = paris("2026-10-25T02:20", fold)
    assert calendar.is_open("service", "", at)
    closes = calendar.closes_at("service", "", at)
    assert on_clock(closes) == f"2026-10-25T02:30:00+0{2 - fold}:00"


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25", "2027-03-28", "2027-10-31"])
def test_the_day_after_the_clock_has_changed_opens_at_eight_by_the_new_one(day: str) -> None:
    calendar, _ = calendar_of(promotional={"holidays": True})
    monday = date.fromisoformat(day) + timedelta(days=1)
    opens = calendar.next_opening("promotional", "", paris(f"{day}T00:30"))
    assert opens == datetime.combine(monday, time(8), PARIS)


# Profiles


def test_a_profile_begins_and_ends_at_midnight_of_the_recipient() -> None:
    calendar, _ = calendar_of(
        service={"profiles": ["fair"], "hours": ["08:00", "12:00"]},
        profile={"fair": {"from": date(2026, 6, 10), "until": date(2026, 6, 11)}},
    )
    for prefix in ("", "+262", "+594", "+689"):  # of which +594 has a holiday then: it is no matter
        timezone = calendar.timezone_of(prefix)
        at = datetime(2026, 6, 9, 12, tzinfo=timezone)
        opens = calendar.next_opening("service", prefix, at)
        assert on_clock(opens, timezone)[:16] == "2026-06-10T00:00"
        assert opens is not None
        closes = calendar.closes_at("service", prefix, opens)
        assert on_clock(closes, timezone)[:16] == "2026-06-12T00:00"


def test_the_charters_follow_each_other_without_a_gap() -> None:
    calendar, _ = calendar_of(promotional={"profiles": ["af2m-2026", "af2m-2024"]})
    closings = {
        day: on_clock(calendar.closes_at("promotional", "", paris(f"{day}T12:00")))[11:16]
        for day in ("2024-08-31", "2024-09-02", "2026-02-16", "2026-02-17")
    }
    assert list(closings.values()) == ["20:00", "22:00", "22:00", "21:30"]


def test_an_account_narrows_the_hours_of_its_class_and_never_widens_them() -> None:
    calendar, smsc = calendar_of(
        account={"promotional": ["late"]},
        profile={"late": {"hours": ["10:00", "23:00"], "days": ["tue", "sun"]}},
    )
    at = paris("2026-11-23T12:00")  # a Monday
    assert calendar.is_open("promotional", "", at)
    assert not calendar.is_open("promotional", "", at, smsc)
    opens = calendar.next_opening("promotional", "", at, smsc)
    assert on_clock(opens) == "2026-11-24T10:00:00+01:00"
    assert opens is not None
    closes = calendar.closes_at("promotional", "", opens, smsc)
    assert on_clock(closes) == "2026-11-24T20:00:00+01:00"
    assert calendar.is_open("service", "", at, smsc)
    assert calendar.allowed_on("promotional", at.date(), smsc) == Allowed(
        10 * 3600, 20 * 3600, ("tue",), False
    )


# The twin: minute after minute of what a clock shows


class Clock(NamedTuple):
    """What a clock on a wall shows."""

    day: date
    weekday: str
    time: str


class Rules(NamedTuple):
    hours: tuple[str, str] | None
    days: list[str]
    holidays: bool
    begins: date | None = None
    until: date | None = None

    def table(self) -> dict[str, Any]:
        table: dict[str, Any] = {"days": self.days, "holidays": self.holidays}
        dates = {"hours": self.hours, "from": self.begins, "until": self.until}
        return table | {key: value for key, value in dates.items() if value is not None}

    def admit(self, clock: Clock, feasts: frozenset[date]) -> bool:
        if clock.weekday not in self.days:
            return False
        if clock.day in feasts and not self.holidays:
            return False
        return self.hours is None or self.hours[0] <= clock.time < self.hours[1]

    def valid(self, day: date) -> bool:
        begun = self.begins is None or self.begins <= day
        return begun and (self.until is None or day <= self.until)


class Span(NamedTuple):
    """Seven days of somewhere in which something happens."""

    first: str
    prefix: str = ""
    timezone: str = "Europe/Paris"
    alsace_moselle: bool = False


SPAN_DAYS = 7
SPANS = [
    Span("2026-03-25"),  # 29 March: forward
    Span("2026-04-01", alsace_moselle=True),  # Easter
    Span("2026-10-21"),  # 25 October: back
    Span("2027-03-24", alsace_moselle=True),  # forward between Good Friday and Easter Monday
    Span("2027-10-28"),  # back on the eve of a holiday
    Span("2026-05-23", "+590", alsace_moselle=True),
    Span("2026-12-18", "+262"),
    Span("2027-03-11", "+508"),  # forward on 14 March
    Span("2026-12-28", "+689"),
    Span("2009-10-29", timezone="America/St_Johns"),  # back at 00:01, to the day before
    Span("2026-03-26", timezone="Asia/Beirut"),  # forward at midnight
    Span("2011-12-26", timezone="Pacific/Apia"),  # without 30 December
    Span("2026-04-01", timezone="Australia/Lord_Howe"),  # back by half an hour
]


@cache
def clocks(timezone: str, first: str) -> dict[datetime, Clock]:
    """Return what a clock shows at each minute of a span, by its moment in UTC."""
    shown = {}
    zone, midnight = ZoneInfo(timezone), datetime.fromisoformat(first)
    for minute in range(SPAN_DAYS * 24 * 60):
        clock = midnight + timedelta(minutes=minute)
        shows = Clock(clock.date(), DAYS[clock.weekday()], f"{clock.hour:02}:{clock.minute:02}")
        for fold in (0, 1):
            moment = clock.replace(tzinfo=zone, fold=fold).astimezone(UTC)
            if moment.astimezone(zone).replace(tzinfo=None) == clock:  # else the clock skips it
                shown[moment] = shows
    return shown


MINUTE = timedelta(minutes=1)


class Twin:
    """Answers by walking; what lies behind its days it cannot see: None."""

    def __init__(
        self, span: Span, rules: Rules, of_class: list[Rules], of_account: list[Rules]
    ) -> None:
        timezone = OVERSEAS[span.prefix].timezone if span.prefix else span.timezone
        self.clocks = clocks(timezone, span.first)
        self.end = max(self.clocks) + MINUTE
        self.rules, self.of_class, self.of_account = rules, of_class, of_account
        self.known: dict[date, list[Rules]] = {}
        years = (int(span.first[:4]), int(span.first[:4]) + 1)
        self.feasts = frozenset[date]().union(
            *(holidays_of(span.prefix, span.alsace_moselle, year) for year in years)
        )

    def is_open(self, minute: datetime) -> bool:
        clock = self.clocks[minute]
        return all(rules.admit(clock, self.feasts) for rules in self.kept(clock.day))

    def kept(self, day: date) -> list[Rules]:
        if day not in self.known:
            kept = [rules for rules in self.of_class if rules.valid(day)][:1] or [self.rules]
            self.known[day] = kept + [rules for rules in self.of_account if rules.valid(day)][:1]
        return self.known[day]

    def walk(self, at: datetime, wanted: bool) -> datetime | None:
        """Return the first moment that is open, or closed."""
        minute = at.replace(second=0, microsecond=0)
        while minute < self.end:
            if self.is_open(minute) == wanted:
                return max(minute, at)
            minute += MINUTE
        return None

    def finish_at(self, at: datetime, left: timedelta) -> datetime | None:
        if not left:
            return at
        minute = at.replace(second=0, microsecond=0)
        while minute < self.end:
            if self.is_open(minute):
                begin = max(minute, at)
                if begin + left <= minute + MINUTE:
                    return begin + left
                left -= minute + MINUTE - begin
            minute += MINUTE
        return None


TIMES = st.sampled_from(
    ["00:00", "00:01", "01:59", "02:00", "02:30", "03:00", "23:59"]
) | st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
HOURS = st.lists(TIMES, min_size=2, max_size=2, unique=True).map(lambda two: (min(two), max(two)))


def rules_of(dates: st.SearchStrategy[date | None]) -> st.SearchStrategy[Rules]:
    return st.builds(
        Rules,
        st.none() | HOURS,
        st.lists(st.sampled_from(DAYS), min_size=1, unique=True) | st.just(list(DAYS)),
        st.booleans(),
        dates,
        dates,
    )


@st.composite
def cases(
    draw: st.DrawFn,
) -> tuple[Span, Rules, list[Rules], list[Rules], float, float]:
    span = draw(st.sampled_from(SPANS))
    first = date.fromisoformat(span.first)
    near = st.none() | st.integers(0, SPAN_DAYS).map(lambda ahead: first + timedelta(ahead))
    profiles = st.lists(rules_of(near), max_size=2)
    return (
        span,
        draw(rules_of(st.none())),
        draw(profiles),
        draw(profiles),
        draw(st.integers(0, 5 * 86_400_000).map(lambda ms: ms / 1000)),
        draw(st.just(0.0) | st.integers(0, 2 * 86_400).map(float) | st.floats(0, 7200)),
    )


EVERY_DAY = Rules(None, list(DAYS), True)


@example((Span("2026-03-25"), Rules(("02:30", "03:30"), list(DAYS), True), [], [], 0.0, 18_000.0))
@example((Span("2026-10-21"), Rules(("02:15", "02:45"), list(DAYS), True), [], [], 0.0, 9_000.0))
@example((SPANS[9], Rules(("00:00", "00:30"), list(DAYS), True), [], [], 216_000.0, 9_000.0))
@example((SPANS[11], EVERY_DAY, [], [], 216_000.0, 200_000.0))
@settings(max_examples=120, deadline=None)
@given(cases())
def test_every_answer_is_that_of_a_walk_from_minute_to_minute(
    case: tuple[Span, Rules, list[Rules], list[Rules], float, float],
) -> None:
    span, rules, of_class, of_account, after_s, seconds = case
    names = {f"c{n}": r for n, r in enumerate(of_class)}
    accounts = {f"a{n}": r for n, r in enumerate(of_account)}
    calendar, smsc = calendar_of(
        service=rules.table() | {"profiles": list(names)},
        account={"service": list(accounts)},
        profile={name: r.table() for name, r in (names | accounts).items()},
        timezone=span.timezone,
        alsace_moselle=span.alsace_moselle,
    )
    twin = Twin(span, rules, of_class, of_account)
    at = min(twin.clocks) + timedelta(seconds=after_s)
    asked = ("service", span.prefix, at)

    opens, closes = twin.walk(at, True), twin.walk(at, False)
    assert calendar.is_open(*asked, smsc) == (opens == at)
    ends = twin.finish_at(at, timedelta(seconds=seconds))
    for answer, expected in (
        (calendar.next_opening(*asked, smsc), opens),
        (calendar.closes_at(*asked, smsc), closes),
        (calendar.finish_at(*asked, seconds, smsc), ends),
    ):
        if expected is None:
            assert answer is None or answer >= twin.end
        else:
            assert answer == expected


@settings(max_examples=40, deadline=None)
@given(rules_of(st.none()), st.integers(0, 500 * 86_400), st.integers(0, 20 * 86_400))
def test_work_cut_in_two_ends_when_the_whole_does(rules: Rules, after_s: int, seconds: int) -> None:
    calendar, _ = calendar_of(service=rules.table())
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=after_s)
    whole = calendar.finish_at("service", "", at, seconds)
    half = calendar.finish_at("service", "", at, seconds // 3)
    if whole is not None:
        assert half is not None
        assert calendar.finish_at("service", "", half, seconds - seconds // 3) == whole
