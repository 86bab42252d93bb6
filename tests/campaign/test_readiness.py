"""Whether an alert can leave: each condition by itself, and what it tells to do."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from smppgw.campaign.readiness import CONDITIONS, Bind, Condition, Seen, evaluate, limited
from smppgw.config import Config

NOW = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp() * 1000)
DAY_MS = 86_400_000
GOOD = Seen(
    running=True,
    binds=[Bind("operator", 1, "bound")],
    database=None,
    free_octets=10**12,
    spent={},
    latest_at=NOW,
    drilled_at=None,
    now=NOW,
)


def config(
    *tenants: dict[str, Any], accounts: tuple[dict[str, Any], ...] = ({},), **sections: Any
) -> Config:
    smsc = [
        {"name": "operator", "host": "127.0.0.1", "system_id": "s", "password": "p"} | account
        for account in accounts
    ]
    tenant = [{"name": "saint-martin", "sender": "STMARTIN"} | one for one in tenants or ({},)]
    return Config.model_validate({"smsc": smsc, "tenant": tenant} | sections)


def condition(name: str, seen: Seen, configured: Config | None = None) -> Condition:
    (found,) = [one for one in evaluate(configured or config(), seen) if one.name == name]
    return found


def test_with_everything_in_order_every_condition_holds_in_the_order_of_the_list() -> None:
    conditions = evaluate(config(), GOOD)
    assert [one.name for one in conditions] == list(CONDITIONS)
    assert [one.name for one in conditions] == [
        "link",
        "database",
        "disk",
        "sender",
        "budget",
        "clock",
        "drill",
    ]
    assert all(one.ok for one in conditions)
    assert all(one.detail.endswith(".") for one in conditions)


@pytest.mark.parametrize(
    ("name", "change", "advice"),
    [
        ("link", {"running": False}, "smppgw run"),
        ("link", {"binds": []}, "none has begun"),
        ("link", {"binds": [Bind("operator", 1, "backoff", "ESME_RINVPASWD")]}, "ESME_RINVPASWD"),
        ("link", {"binds": [Bind("another", 1, "bound")]}, "check --connect"),
        ("link", {"binds": [Bind("operator", 2, "bound")]}, "check --connect"),
        ("database", {"database": "It hangs."}, "It hangs."),
        ("disk", {"free_octets": 499_999_999}, "make room"),
        ("disk", {"free_octets": None}, "folder"),
        ("clock", {"latest_at": NOW + 60_001}, "Set the clock"),
        ("clock", {"now": 0, "latest_at": 0}, "1970"),
    ],
)
def test_what_is_not_so_is_told_alone_with_what_to_do(
    name: str, change: dict[str, Any], advice: str
) -> None:
    failed = [one for one in evaluate(config(), replace(GOOD, **change)) if not one.ok]
    assert [one.name for one in failed] == [name]
    assert advice in failed[0].detail


def test_a_bind_that_receives_alone_does_not_send_an_alert() -> None:
    pair = config(accounts=({"mode": "transmitter+receiver"},))
    assert not condition("link", replace(GOOD, binds=[Bind("operator", 2, "bound")]), pair).ok
    assert condition("link", GOOD, pair).ok


def test_a_bind_of_an_account_that_takes_no_alerts_does_not_count() -> None:
    two = config(accounts=({"classes": ["service", "promotional"]}, {"name": "alerts"}))
    assert not condition("link", GOOD, two).ok
    assert condition("link", replace(GOOD, binds=[Bind("alerts", 1, "bound")]), two).ok


def test_exactly_what_is_asked_for_is_enough_room_and_a_minute_ahead_is_no_wrong_clock() -> None:
    assert condition("disk", replace(GOOD, free_octets=500_000_000)).ok
    assert condition("clock", replace(GOOD, latest_at=NOW + 60_000)).ok


APPROVED = {"operator": {"state": "approved", "until": date(2026, 11, 24)}}


def test_each_tenant_needs_a_sender_that_an_account_which_takes_alerts_has_approved() -> None:
    tenants = ({"approvals": APPROVED}, {"name": "pont-sur-loire", "sender": "PONTLOIRE"})
    strict = config(*tenants, accounts=({"senders": "approved"},))
    lacking = condition("sender", GOOD, strict)
    assert not lacking.ok
    assert "pont-sur-loire" in lacking.detail
    assert "saint-martin" not in lacking.detail
    assert condition("sender", GOOD, config(tenants[0], accounts=({"senders": "approved"},))).ok
    tomorrow = replace(GOOD, now=NOW + DAY_MS)
    assert not condition(
        "sender", tomorrow, config(tenants[0], accounts=({"senders": "approved"},))
    ).ok


def test_a_sender_that_one_of_two_strict_accounts_has_approved_is_enough() -> None:
    strict = ({"senders": "approved"}, {"name": "spare", "senders": "approved"})
    assert condition("sender", GOOD, config({"approvals": APPROVED}, accounts=strict)).ok


def test_one_account_for_alerts_that_asks_for_no_approval_is_enough() -> None:
    two = config(accounts=({"senders": "approved"}, {"name": "spare"}))
    assert condition("sender", GOOD, two).ok
    of_no_use = {"name": "spare", "classes": ["service"]}
    assert not condition("sender", GOOD, config(accounts=({"senders": "approved"}, of_no_use))).ok


def test_many_tenants_without_a_sender_are_told_in_one_short_sentence() -> None:
    tenants = [{"name": f"commune-{at}"} for at in range(40)]
    detail = condition("sender", GOOD, config(*tenants, accounts=({"senders": "approved"},))).detail
    assert "and 35 more" in detail


def test_a_tenant_beyond_its_budget_is_told_and_that_no_alert_is_refused_for_it() -> None:
    limit = config({"segments_a_month": 100}, {"name": "no-limit"})
    assert list(limited(limit)) == ["saint-martin"]
    assert condition("budget", replace(GOOD, spent={"saint-martin": 100}), limit).ok
    beyond = condition("budget", replace(GOOD, spent={"saint-martin": 101}), limit)
    assert not beyond.ok
    assert "never refused" in beyond.detail


def test_a_drill_is_asked_for_where_the_configuration_asks_for_one() -> None:
    yearly = config(ready={"drill_every": "365d"})
    old, recent = NOW - 365 * DAY_MS - 1, NOW - 365 * DAY_MS
    assert not condition("drill", GOOD, yearly).ok
    assert not condition("drill", replace(GOOD, drilled_at=old), yearly).ok
    assert condition("drill", replace(GOOD, drilled_at=recent), yearly).ok
    assert "24/11/2025" in condition("drill", replace(GOOD, drilled_at=old)).detail
