"""Can an alert leave now? One condition for each thing that has to be so, and what to do about it.

Pure: whoever asks hands in what it sees, the gateway from its own state, the command from outside
the gateway's process. CONDITIONS is the one list of names, in the order in which they are told.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from smppgw.campaign.sender import why_not
from smppgw.config import Config, Smsc

CLOCK_AHEAD_S = 60.0  # what the ledger knows may be so much later than the clock
PLAUSIBLE_YEARS = range(2026, 2100)  # a machine without a battery begins at 1970
_NAMED = 5  # tenants that a detail names


class Bind(NamedTuple):
    """A bind as it stands; `number` counts from 1 within its account, as in `status`."""

    smsc: str
    number: int
    state: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What is so now.

    Attributes:
        running: whether a gateway runs on this database.
        binds: the gateway's binds.
        database: why the database cannot be written, None where it can.
        free_octets: on the disk of the database; None where that cannot be told.
        spent: by tenant, segments of this month.
        latest_at: the latest time that the database knows, milliseconds since 1970.
        drilled_at: when an alert or a drill left last, milliseconds since 1970.
        now: milliseconds since 1970.
    """

    running: bool
    binds: Sequence[Bind]
    database: str | None
    free_octets: int | None
    spent: Mapping[str, int]
    latest_at: int
    drilled_at: int | None
    now: int


class Condition(NamedTuple):
    """One thing that has to be so; `detail` says how it is, and where it is not, what to do."""

    name: str
    ok: bool
    detail: str


def evaluate(config: Config, seen: Seen) -> list[Condition]:
    """Judge each of CONDITIONS, in their order; an alert can leave where all of them hold."""
    return [Condition(name, *judge(config, seen)) for name, judge in CONDITIONS.items()]


def _takers(config: Config) -> list[Smsc]:
    return [smsc for smsc in config.smsc if "alert" in smsc.classes]


def _link(config: Config, seen: Seen) -> tuple[bool, str]:
    if not seen.running:
        return False, "The gateway does not run: start it with `smppgw run`."
    kinds = {smsc.name: smsc.bind_kinds for smsc in _takers(config)}
    senders = [
        bind
        for bind in seen.binds
        if bind.number <= len(kinds.get(bind.smsc, ()))
        and kinds[bind.smsc][bind.number - 1] != "receiver"
    ]
    bound = [bind for bind in senders if bind.state == "bound"]
    if bound:
        names = ", ".join(dict.fromkeys(bind.smsc for bind in bound))
        return True, f"{len(bound)} of {len(senders)} binds that take alerts: {names}."
    whys = dict.fromkeys(f"{b.smsc} is {b.state}" + _because(b.reason) for b in senders)
    return False, (
        f"No bind that takes alerts is bound ({', '.join(whys) or 'none has begun yet'}): "
        "see `smppgw status`, then try `smppgw check --connect`."
    )


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""


def _database(config: Config, seen: Seen) -> tuple[bool, str]:
    if seen.database is None:
        return True, "It can be written."
    return False, seen.database


def _disk(config: Config, seen: Seen) -> tuple[bool, str]:
    if seen.free_octets is None:
        return False, "The free space cannot be told: check the folder of [gateway] database."
    free, least = seen.free_octets // 1_000_000, config.ready.free_disk_mb
    if free >= least:
        return True, f"{free} MB are free, and {least} are asked for."
    return False, (
        f"{free} MB are free and [ready] free_disk_mb asks for {least}: make room on the disk of "
        "the database."
    )


def _sender(config: Config, seen: Seen) -> tuple[bool, str]:
    takers = _takers(config)
    if any(smsc.senders == "any" for smsc in takers):
        return True, "An account that takes alerts asks for no approval."
    day = _moment(config, seen.now).date()
    lacking = [
        tenant.name
        for tenant in config.tenant
        if all(why_not(tenant, tenant.sender, smsc, day) for smsc in takers)
    ]
    if not lacking:
        return True, f"Each of {len(config.tenant)} tenants has an approved sender."
    return False, (
        f"No approved sender for {_listed(lacking)}: ask the operator, and write the answer into "
        "the tenant's `approvals`; `smppgw check` says what each lacks."
    )


def _budget(config: Config, seen: Seen) -> tuple[bool, str]:
    beyond = [
        tenant.name
        for tenant in config.tenant
        if tenant.segments_a_month is not None
        and seen.spent.get(tenant.name, 0) > tenant.segments_a_month
    ]
    if not beyond:
        return True, "No tenant is beyond its month's budget."
    return False, (
        f"Beyond the month's budget: {_listed(beyond)}. An alert is never refused for that; look "
        "at what they sent, or raise segments_a_month."
    )


def _clock(config: Config, seen: Seen) -> tuple[bool, str]:
    now = _moment(config, seen.now)
    if now.year not in PLAUSIBLE_YEARS:
        return False, f"The clock says {now.year}: set it."
    ahead_s = (seen.latest_at - seen.now) / 1000
    if ahead_s > CLOCK_AHEAD_S:
        return False, (
            f"The database knows of {_moment(config, seen.latest_at):%d/%m/%Y %H:%M}, and the "
            f"clock says {now:%d/%m/%Y %H:%M}: one of them was wrong. Set the clock."
        )
    return True, f"It is {now:%d/%m/%Y %H:%M}."


def _drill(config: Config, seen: Seen) -> tuple[bool, str]:
    last = (
        "No alert and no drill has left yet"
        if seen.drilled_at is None
        else f"The last alert or drill left on {_moment(config, seen.drilled_at):%d/%m/%Y}"
    )
    every_s = config.ready.drill_every_s
    if every_s is None:
        return True, f"{last}; [ready] drill_every asks for none."
    if seen.drilled_at is not None and seen.now - seen.drilled_at <= every_s * 1000:
        return True, f"{last}."
    return False, (
        f"{last}, and [ready] drill_every asks for one every {every_s / 86_400:.3g} days: send a "
        "drill."
    )


CONDITIONS: dict[str, Callable[[Config, Seen], tuple[bool, str]]] = {
    "link": _link,
    "database": _database,
    "disk": _disk,
    "sender": _sender,
    "budget": _budget,
    "clock": _clock,
    "drill": _drill,
}


def _moment(config: Config, milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, ZoneInfo(config.gateway.timezone))


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown


def limited(config: Config) -> Iterator[str]:
    """Yield the names of the tenants that have a budget: those of which `spent` is asked."""
    for tenant in config.tenant:
        if tenant.segments_a_month is not None:
            yield tenant.name
