"""The calendar month of a budget, and what is left of it."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from smppgw.campaign.budget import Budget, month_of

PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("moment", "first", "next_first"),
    [
        ("2026-11-24T15:00", "2026-11-01", "2026-12-01"),
        ("2026-12-31T23:59:59.999", "2026-12-01", "2027-01-01"),
        ("2027-01-01T00:00", "2027-01-01", "2027-02-01"),
        ("2028-02-29T12:00", "2028-02-01", "2028-03-01"),
    ],
)
def test_a_month_begins_and_ends_at_midnight_of_its_first_days(
    moment: str, first: str, next_first: str
) -> None:
    begins, ends = month_of(datetime.fromisoformat(moment).replace(tzinfo=PARIS))
    assert begins == datetime.fromisoformat(first).replace(tzinfo=PARIS)
    assert ends == datetime.fromisoformat(next_first).replace(tzinfo=PARIS)


def test_a_month_in_which_the_clocks_change_is_an_hour_shorter_or_longer() -> None:
    for month, hours in ((3, 31 * 24 - 1), (10, 31 * 24 + 1)):
        # The second 02:30 of the last Sunday of October, where there is one.
        begins, ends = month_of(datetime(2026, month, 25, 2, 30, fold=1, tzinfo=PARIS))
        assert (ends.timestamp() - begins.timestamp()) / 3600 == hours


def test_a_budget_overdrawn_already_has_nothing_left_rather_than_less() -> None:
    budget = Budget(limit=10, used=15, asked=1)
    assert (budget.left, budget.after) == (0, 16)
    assert budget.warning() == "Of this month's 10 segments 0 are left, and this takes 1."
    assert Budget(limit=10, used=9, asked=1).warning() is None
