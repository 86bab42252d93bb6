"""A year of promotional messages: what leaves, and when, held to clocks and calendars read apart.

Nothing here asks `campaign.hours`: hours, days and holidays of each zone are laid out once more,
and a moment is open if the recipient's wall clock says so.
"""

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from smppgw.account import Account
from smppgw.config import Config
from smppgw.ledger.claim import Demand
from smppgw.ledger.database import Locks, open_database
from smppgw.ledger.jobs import Addressee, Loading, Order, account_ids, route_ids
from smppgw.ledger.turn import Answered, Arrivals, turn
from smppgw.opening import CLOSING_MARGIN, LONGEST, Opening
from smppgw.smpp.status import Verdict

YEAR = 2027
MS = timedelta(milliseconds=1)
# Easter is on 28 March 2027.
NATIONAL = "01-01 03-29 05-01 05-06 05-08 05-17 07-14 08-15 11-01 11-11 12-25"


@dataclass(frozen=True)
class Place:
    """Where people are: the beginning of their numbers, their clock, their own holidays."""

    number: str
    clock: str
    holidays: str = ""


PLACES = {
    "metropole": Place("+3360000", "Europe/Paris"),
    "reunion": Place("+26269200", "Indian/Reunion", "12-20"),
    "mayotte": Place("+26263900", "Indian/Mayotte", "04-27"),
    "miquelon": Place("+50855", "America/Miquelon"),
    "guadeloupe": Place("+59069000", "America/Guadeloupe", "03-04 03-26 05-27 05-28 07-21 10-09"),
    "guyane": Place("+59469400", "America/Cayenne", "06-10"),
    "martinique": Place("+59669600", "America/Martinique", "05-22 07-21"),
    "wallis": Place("+68182", "Pacific/Wallis", "04-28 06-29 07-29"),
    "noumea": Place("+68775", "Pacific/Noumea", "09-24"),
    "tahiti": Place("+6898700", "Pacific/Tahiti", "03-05 03-26 11-20"),
}
PREFIXES = {
    "reunion": "+262", "mayotte": "+262639", "miquelon": "+508", "guadeloupe": "+590",
    "guyane": "+594", "martinique": "+596", "wallis": "+681", "noumea": "+687", "tahiti": "+689",
}  # fmt: skip
TENANTS = tuple(PLACES)


@dataclass(frozen=True)
class Hours:
    """Opening and closing, days of the week (Monday is 0), whether on holidays, and when valid."""

    opens: time
    closes: time
    days: frozenset[int]
    holidays: bool
    first: date = date.min
    last: date = date.max


STRICT = Hours(time(8), time(20), frozenset(range(6)), holidays=False)
SUMMER = Hours(
    time(9, 30), time(21, 45), frozenset(range(7)), True, date(YEAR, 6, 15), date(YEAR, 8, 31)
)
OFFICE = Hours(time(10), time(18), frozenset(range(5)), True, date(YEAR, 4, 1))


@dataclass(frozen=True)
class Case:
    """A configuration, and the same said apart: of each group the first valid hours count."""

    promotional: dict[str, Any]
    account: dict[str, list[str]]
    groups: tuple[tuple[Hours, ...], ...]


CASES = {
    "the strictest hours": Case({}, {}, ((STRICT,),)),
    "a profile of the class in summer": Case({"profiles": ["ete"]}, {}, ((SUMMER, STRICT),)),
    "a profile of the account from April on": Case(
        {}, {"promotional": ["bureau"]}, ((STRICT,), (OFFICE,))
    ),
}
PROFILES = {
    "ete": {
        "hours": ["09:30", "21:45"], "from": date(YEAR, 6, 15), "until": date(YEAR, 8, 31),
    },
    "bureau": {
        "hours": ["10:00", "18:00"], "days": ["mon", "tue", "wed", "thu", "fri"],
        "from": date(YEAR, 4, 1),
    },
}  # fmt: skip


def configure(case: Case, service: dict[str, Any] | None = None) -> Config:
    return Config.model_validate(
        {
            "smsc": [
                {
                    "name": "operator", "host": "127.0.0.1", "system_id": "x", "password": "x",
                    "profiles": case.account,
                }
            ],
            "tenant": [{"name": "mairie", "sender": "MAIRIE"}],
            "class": {"promotional": case.promotional, "service": service or {}},
            "profile": PROFILES,
        }
    )  # fmt: skip


def is_holiday(place: Place, day: date) -> bool:
    return day.year == YEAR and f"{day:%m-%d}" in f"{NATIONAL} {place.holidays}".split()


def valid(group: Sequence[Hours], day: date) -> Hours | None:
    return next((hours for hours in group if hours.first <= day <= hours.last), None)


def is_open(case: Case, place: Place, at: datetime) -> bool:
    """Say whether promotional messages may leave, by the recipient's clock on the wall."""
    wall = at.astimezone(ZoneInfo(place.clock))
    for group in case.groups:
        hours = valid(group, wall.date())
        if hours is None:
            continue
        if not hours.opens <= wall.time() < hours.closes or wall.weekday() not in hours.days:
            return False
        if is_holiday(place, wall.date()) and not hours.holidays:
            return False
    return True


def edges(case: Case, place: Place, day: date) -> Iterator[datetime]:
    """Yield every opening and closing that may fall on a day, in UTC."""
    for group in case.groups:
        hours = valid(group, day)
        for at in () if hours is None else (hours.opens, hours.closes):
            local = datetime.combine(day, at, ZoneInfo(place.clock))
            yield local.astimezone(UTC)


# When things go wrong: the clocks change, profiles begin and end, holidays, the year's ends.
NOTABLE = [
    date(YEAR, month, day)
    for month, days in {
        1: (2, 4), 3: (4, 13, 14, 15, 26, 27, 28, 29, 30), 4: (1, 27), 5: (1, 6, 8, 17, 22, 27),
        6: (10, 14, 15, 16, 29), 7: (14, 21, 29), 8: (14, 15, 31), 9: (1, 24), 10: (9, 30, 31),
        11: (1, 6, 7, 8, 11, 20), 12: (20, 24, 25, 26),
    }.items()
    for day in days
]  # fmt: skip


def moments(case: Case, seed: int) -> list[datetime]:
    """Choose moments of the year: around what opens and closes, and any others, in order."""
    chance = random.Random(seed)
    year = [date(YEAR, 1, 3) + timedelta(day) for day in range(360)]
    chosen = set()
    for place in PLACES.values():
        for day in (*chance.sample(NOTABLE, 24), *chance.sample(year, 4)):
            for edge in edges(case, place, day):
                away = chance.choice((-MS, timedelta(), MS))
                chosen |= {edge + away, edge - CLOSING_MARGIN + chance.choice((-MS, MS))}
    for day in chance.sample(year, 4):  # every quarter of an hour
        midnight = datetime.combine(day, time(), UTC)
        chosen |= {midnight + timedelta(minutes=15 * n) for n in range(96)}
    begin = datetime.combine(year[0], time(), UTC)
    chosen |= {
        begin + timedelta(milliseconds=chance.randrange(359 * 86_400_000)) for _ in range(200)
    }
    return sorted(chosen)


def test_the_hours_are_laid_out_here_as_they_are_meant() -> None:
    case = CASES["the strictest hours"]
    paris, noumea = PLACES["metropole"], PLACES["noumea"]
    assert is_open(case, paris, datetime(YEAR, 3, 27, 7, 0, tzinfo=UTC))  # 8:00, a Saturday
    assert not is_open(case, paris, datetime(YEAR, 3, 30, 5, 59, 59, tzinfo=UTC))
    assert is_open(case, paris, datetime(YEAR, 3, 30, 6, 0, tzinfo=UTC))  # summer time
    assert is_open(case, noumea, datetime(YEAR, 3, 29, 22, 0, tzinfo=UTC))  # Tuesday there
    assert not is_open(case, noumea, datetime(YEAR, 3, 28, 22, 0, tzinfo=UTC))


class Town:
    """A gateway's claiming in miniature, without its links: one account, whatever it may write."""

    def __init__(self, db: sqlite3.Connection, locks: Locks, config: Config) -> None:
        self.db = db
        self.account = Account(config.smsc[0], account_ids(db, ["operator"])["operator"])
        self.opening = Opening(config, route_ids(db, PREFIXES.values()))
        self.arrivals = Arrivals()
        self.tenants: dict[int, str] = {}
        for tenant, place in PLACES.items():
            numbers = [f"{place.number}{n:04d}" for n in range(3 * len(PLACES))]
            self.tenants[self._load(locks, tenant, "promotional", numbers)] = tenant
        for job_class in ("service", "alert"):
            numbers = [f"{place.number}0000" for place in (PLACES["metropole"], PLACES["tahiti"])]
            self.tenants[self._load(locks, job_class, job_class, numbers)] = job_class

    def _load(self, locks: Locks, tenant: str, job_class: str, numbers: list[str]) -> int:
        order = Order(job_class, tenant, "MAIRIE", "Essai", "keep", False, None, None, 9, "hold",
                      0, 1 << 50)  # fmt: skip
        loading = Loading(self.db, locks, order, PREFIXES.values())
        loading.add(Addressee(number, 1, None) for number in numbers)
        return loading.finish(0)

    def claim(self, at: datetime) -> set[str]:
        """Return the tenants of which something leaves; all of it is refused for now."""
        now = round(at.timestamp() * 1000)
        self.opening.look([self.account], now)
        others = 4  # service messages and alerts
        demand = Demand(
            0, self.account.account_id, others + len(PLACES), self.account.classes, "none",
            closed=self.account.closed,
        )  # fmt: skip
        turned = turn(
            self.db, self.arrivals, [demand], now
        )  # shares begin anew: each tenant has one
        claims = turned.claims.get(0, [])
        self.arrivals = Arrivals(
            answered=[
                Answered(claim.message_id << 8 | 1, claim.attempt, 1, self.account.account_id,
                         Verdict.SLOW_DOWN, 0x58, "", 1)
                for claim in claims
            ]
        )  # fmt: skip
        for claim in claims:
            tenant = self.tenants[claim.job_id]
            assert claim.recipient.startswith(PLACES[tenant].number if tenant in PLACES else "+")
        lesser = [claim for claim in claims if self.tenants[claim.job_id] not in PLACES]
        assert len(lesser) == others, "alerts and service messages leave at any hour"
        return {self.tenants[claim.job_id] for claim in claims} & PLACES.keys()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[tuple[sqlite3.Connection, Locks]]:
    path = tmp_path / "ledger.db"
    with closing(open_database(path, create=True)) as db, closing(Locks(path)) as locks:
        db.execute("PRAGMA synchronous = OFF")
        yield db, locks


@pytest.mark.parametrize("name", CASES)
def test_of_a_year_nothing_promotional_leaves_outside_its_hours_and_nothing_is_held_inside(
    name: str, database: tuple[sqlite3.Connection, Locks]
) -> None:
    case = CASES[name]
    town = Town(*database, configure(case))
    seen = {False: 0, True: 0}
    for at in moments(case, seed=YEAR):
        left = town.claim(at)
        for tenant, place in PLACES.items():
            allowed = is_open(case, place, at)
            closing_soon = allowed and not is_open(case, place, at + CLOSING_MARGIN)
            seen[allowed] += 1
            if tenant in left:
                assert allowed, f"{tenant} was written to at {at}"
            else:
                assert not allowed or closing_soon, f"{tenant} was held at {at}"
    assert min(seen.values()) > 4000


def account_of(config: Config) -> Account:
    return Account(config.smsc[0], 1)


def test_every_quarter_of_an_hour_of_a_year_is_as_the_clock_on_the_wall_says() -> None:
    case = CASES["the strictest hours"]
    config = configure(case)
    account, routes = account_of(config), {p: n for n, p in enumerate(PREFIXES.values(), 1)}
    opening = Opening(config, routes)
    at, end = datetime(YEAR, 1, 2, tzinfo=UTC), datetime(YEAR, 12, 30, tzinfo=UTC)
    looked = 0
    while at < end:
        opening.look([account], round(at.timestamp() * 1000))
        for tenant in ("metropole", "reunion", "noumea", "tahiti"):
            route = routes[PREFIXES[tenant]] if tenant in PREFIXES else 0
            rests = bool(account.closed["promotional"] >> route & 1)
            assert rests is not is_open(case, PLACES[tenant], at), f"{tenant} at {at}"
        looked += 1
        at += timedelta(minutes=15)
    assert looked > 34_000


def test_nothing_is_asked_again_until_something_opens_or_closes() -> None:
    config = configure(CASES["the strictest hours"])
    account = account_of(config)
    opening = Opening(config, {})
    at = datetime(YEAR, 3, 2, 18, 59, 0, tzinfo=UTC)  # a minute before 20:00 in Paris
    told = []
    for ms in range(0, 61_000, 10):
        changed = opening.look([account], round((at + ms * MS).timestamp() * 1000))
        if changed:
            told.append((ms, account.closed["promotional"] & 1))
            assert changed == [account]
    assert told == [(0, 0), (59_000, 1)]


def test_a_clock_that_is_set_back_or_ahead_is_believed() -> None:
    config = configure(CASES["the strictest hours"])
    account = account_of(config)
    opening = Opening(config, {})
    noon = datetime(YEAR, 3, 2, 12, tzinfo=UTC)
    for hours, rests in ((0, 0), (12, 1), (0, 0), (-8, 1), (1, 0), (24 * 5, 1), (3, 0)):
        opening.look([account], round((noon + timedelta(hours=hours)).timestamp() * 1000))
        assert account.closed["promotional"] & 1 == rests, hours


def test_alerts_have_no_hours_and_service_has_those_it_is_given() -> None:
    config = configure(Case({}, {"service": ["bureau"]}, ()), service={"hours": ["07:00", "22:00"]})
    account = account_of(config)
    opening = Opening(config, {})
    for month, hour, rests in ((3, 8, 0), (3, 22, 1), (5, 7, 1), (5, 9, 0), (5, 17, 1)):
        at = datetime(YEAR, month, 4, hour, tzinfo=UTC)
        opening.look([account], round(at.timestamp() * 1000))
        assert account.closed["service"] & 1 == rests, at
        assert "alert" not in account.closed


def test_numbers_of_a_route_that_the_gateway_does_not_know_keep_to_its_own_hours() -> None:
    """Another process may have made the route from a configuration that is newer than ours."""
    config = configure(CASES["the strictest hours"])
    account = account_of(config)
    opening = Opening(config, {"+262": 1})
    for hour, rests in ((3, 1), (12, 0), (22, 1)):
        at = datetime(YEAR, 3, 2, hour, tzinfo=UTC)
        opening.look([account], round(at.timestamp() * 1000))
        assert account.closed["promotional"] >> 40 & 1 == rests
    assert LONGEST > CLOSING_MARGIN
