"""What a job waits for, and when it will leave."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smppgw.campaign.waiting import Wait, Waiting
from smppgw.config import load
from smppgw.ledger.jobs import Job
from smppgw.ledger.turn import MESSAGE_STATES

PARIS = """
[[smsc]]
name = "a"
host = "127.0.0.1"
system_id = "a"
password = "a"
{extra}
[[tenant]]
name = "saint-martin"
sender = "STMARTIN"
[class.service]
hours = ["08:00", "20:00"]
holidays = true
"""
EVENING = datetime(2027, 1, 12, 20, 30, tzinfo=UTC)  # 21:30 in Paris, a Tuesday
MORNING = datetime(2027, 1, 13, 7, 0, tzinfo=UTC)  # 08:00 in Paris
Make = Callable[..., Waiting]


@pytest.fixture
def waiting(tmp_path: Path) -> Make:
    def make(extra: str = "") -> Waiting:
        path = tmp_path / "config.toml"
        path.write_text(PARIS.format(extra=extra), "utf-8")
        return Waiting(load(path))

    return make


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def job(state: str = "queued", queued: int = 5, **changes: object) -> Job:
    counts = dict.fromkeys(MESSAGE_STATES, 0) | {"queued": queued}
    made = Job(
        1, state, "service", "saint-martin", "STMARTIN", None, "service", False, "", 0, 0, None,
        None, 5, 5, counts,
    )  # fmt: skip
    return made._replace(**changes)  # type: ignore[arg-type]  # names and values of its fields


def test_outside_its_hours_a_job_waits_until_they_open(waiting: Make) -> None:
    assert waiting().wait(job(), [""], ms(EVENING)) == Wait("hours", MORNING)
    assert waiting().wait(job(), [""], ms(MORNING)) is None


def test_an_alert_waits_for_no_hours(waiting: Make) -> None:
    assert waiting().wait(job(job_class="alert"), [""], ms(EVENING)) is None


def test_the_first_route_to_open_is_when_something_leaves(waiting: Make) -> None:
    """Réunion is three hours ahead of Paris in winter."""
    there = datetime(2027, 1, 13, 4, 0, tzinfo=UTC)
    assert waiting().wait(job(), ["", "+262"], ms(EVENING)) == Wait("hours", there)


def test_a_scheduled_job_leaves_at_its_time_or_when_hours_open_after_it(waiting: Make) -> None:
    before = ms(datetime(2027, 1, 12, 10, 0, tzinfo=UTC))
    noon = datetime(2027, 1, 12, 11, 0, tzinfo=UTC)
    at_noon = job("scheduled", starts_at=ms(noon))
    at_night = job("scheduled", starts_at=ms(EVENING))
    assert waiting().wait(at_noon, [""], before) == Wait("scheduled", noon)
    assert waiting().wait(at_night, [""], before) == Wait("scheduled", MORNING)


def test_of_a_paused_job_nobody_knows_when_it_leaves(waiting: Make) -> None:
    assert waiting().wait(job("paused"), [""], ms(MORNING)) == Wait("paused", None)


@pytest.mark.parametrize("state", ["loading", "done", "cancelled"])
def test_what_has_ended_or_not_begun_waits_for_nothing(waiting: Make, state: str) -> None:
    assert waiting().wait(job(state), [""], ms(EVENING)) is None
    assert waiting().wait(job(queued=0), [""], ms(EVENING)) is None


def test_hours_that_no_account_keeps_are_not_waited_for(waiting: Make) -> None:
    assert waiting('prefixes = ["+262"]').wait(job(), [""], ms(EVENING)) is None


def test_sending_ends_when_the_last_route_has_had_its_open_seconds(waiting: Make) -> None:
    made = waiting()
    end = datetime(2027, 1, 13, 7, 1, tzinfo=UTC)
    assert made.finish_at(job(), ["", "+262"], ms(EVENING), 60) == end
    now = made.finish_at(job(job_class="alert"), [""], ms(EVENING), 60)
    assert now == datetime(2027, 1, 12, 20, 31, tzinfo=UTC)
