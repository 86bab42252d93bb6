"""The permitted rate by plain numbers: no clock, no waiting."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw.pace import HEADROOM, SLACK_S, Pace

throughputs = st.integers(1, 5000)
START = 1000.0


def sent_by(pace: Pace, begin: float, end: float) -> int:
    """Spend every permit as soon as it falls due; returns how many."""
    segments, now = 0, begin
    while now < end:
        allowed = pace.allowance(now)
        pace.spend(allowed, now)
        segments += allowed
        now = max(now, pace.due_at())
    return segments


@given(throughputs)
def test_the_permitted_rate_begins_at_the_ceiling(throughput: int) -> None:
    assert Pace(throughput).permitted(START) == throughput


@given(st.integers(1, 500))
def test_permits_fall_due_at_the_permitted_rate_less_the_headroom(throughput: int) -> None:
    pace = Pace(throughput)
    seconds = max(10, 200 // throughput)
    due = seconds * throughput / (1 + HEADROOM)
    slack = 1 + SLACK_S * throughput
    assert due - 1 <= sent_by(pace, START, START + seconds) <= due + slack + 1


@pytest.mark.parametrize("throughput", [20, 100, 1000])
def test_permits_fall_due_one_by_one_and_evenly(throughput: int) -> None:
    pace = Pace(throughput)
    sent_by(pace, START, START + 1)
    for _ in range(5):
        now = pace.due_at()
        assert pace.allowance(math.nextafter(now, 0)) == 0
        assert pace.allowance(now) == 1
        pace.spend(1, now)
        assert pace.due_at() - now == pytest.approx((1 + HEADROOM) / throughput)


@given(throughputs, st.floats(0, 1e6))
def test_what_falls_due_while_nobody_asks_is_not_saved_up_beyond_the_slack(
    throughput: int, idle_s: float
) -> None:
    pace = Pace(throughput)
    pace.spend(pace.allowance(START), START)
    assert pace.allowance(START + idle_s) <= 1 + SLACK_S * throughput


@given(throughputs)
def test_the_slack_itself_can_be_used(throughput: int) -> None:
    pace, segments = Pace(throughput), 0
    while allowed := pace.allowance(START):
        pace.spend(allowed, START)
        segments += allowed
    assert segments == pytest.approx(1 + SLACK_S * throughput / (1 + HEADROOM), abs=1)


@given(st.integers(2, 2000), st.floats(0, SLACK_S * 0.9))
def test_a_turn_that_is_slow_each_time_costs_nothing_of_the_rate(
    throughput: int, turn_s: float
) -> None:
    pace = Pace(throughput)
    now, segments, seconds = START, 0, max(10, 100 // throughput)
    while now < START + seconds:
        allowed = pace.allowance(now)
        if allowed:
            now += turn_s
            pace.spend(allowed, now)
            segments += allowed
        now = max(now, pace.due_at())
    assert segments >= seconds * throughput / (1 + HEADROOM) - 2 - 2 * turn_s * throughput


@given(throughputs, st.integers(2, 255))
def test_many_segments_at_once_push_the_next_permit_as_far_as_one_by_one(
    throughput: int, segments: int
) -> None:
    together, apart = Pace(throughput), Pace(throughput)
    assert together.allowance(START) == apart.allowance(START)
    together.spend(segments, START)
    for _ in range(segments):
        apart.spend(1, START)
    assert together.due_at() == pytest.approx(apart.due_at())
    began = START - SLACK_S
    assert together.due_at() == pytest.approx(began + segments * (1 + HEADROOM) / throughput)


@given(st.integers(1, 2000), st.data())
def test_it_is_foretold_when_so_many_permits_are_due_and_nothing_is_forfeited_by_asking(
    throughput: int, data: st.DataObject
) -> None:
    pace = Pace(throughput)
    pace.spend(pace.allowance(START), START)
    permits = data.draw(st.integers(1, 1 + int(throughput * SLACK_S * 0.9)))
    due_at = pace.due_at(permits, START)
    assert pace.due_at() <= due_at
    assert pace.allowance(due_at - 1e-6) < permits <= pace.allowance(due_at + 1e-6)


def test_an_allowance_that_is_not_spent_stays() -> None:
    pace = Pace(20)
    offered = pace.allowance(START)
    assert offered == pace.allowance(START) == 1 + int(20 * SLACK_S)
    assert pace.due_at() <= START


@given(throughputs)
def test_a_throttling_answer_halves_the_permitted_rate_and_never_below_one_a_second(
    throughput: int,
) -> None:
    pace = Pace(throughput)
    pace.throttled(START)
    assert pace.permitted(START) == max(1.0, throughput / 2)


def test_a_halved_rate_is_what_permits_fall_due_at() -> None:
    pace = Pace(100)
    sent_by(pace, START, START + 5)
    pace.throttled(START + 5)
    # It climbs from 50 to 55 meanwhile.
    assert 50 / (1 + HEADROOM) <= sent_by(pace, START + 5, START + 6) <= 56


def test_all_the_throttling_answers_of_one_second_halve_the_rate_once() -> None:
    pace = Pace(100)
    for answer in range(100):
        pace.throttled(START + answer / 101, sent=START + answer / 101 - 0.005)
    assert pace.permitted(START) == 50


def test_throttling_answers_that_come_late_to_what_was_sent_before_halve_nothing_again() -> None:
    pace = Pace(100)
    pace.throttled(START, sent=START - 3)
    for late_s in (0.5, 1.5, 3.0):
        pace.throttled(START + late_s, sent=START)
    assert pace.permitted(START + 3) == 65


def test_throttling_answers_to_what_was_sent_at_the_halved_rate_halve_it_again() -> None:
    pace = Pace(100)
    pace.throttled(START)
    pace.throttled(START + 1, sent=START + 0.5)
    assert pace.permitted(START + 1) == 27.5


def test_the_rate_climbs_by_a_twentieth_of_the_ceiling_each_second_up_to_it() -> None:
    pace = Pace(200)
    pace.throttled(START)
    assert [pace.permitted(START + s) for s in (0, 1, 2, 9, 10, 11, 1e6)] == [
        100, 110, 120, 190, 200, 200, 200,
    ]  # fmt: skip


events = st.lists(
    st.tuples(st.floats(0, 20), st.sampled_from(["throttled", "send", "idle"])), max_size=60
)


@given(throughputs, events)
def test_the_permitted_rate_is_never_above_the_ceiling_nor_below_one(
    throughput: int, steps: list[tuple[float, str]]
) -> None:
    pace, now = Pace(throughput), START
    for wait_s, event in steps:
        now += wait_s
        if event == "throttled":
            pace.throttled(now)
        elif event == "send":
            pace.spend(pace.allowance(now), now)
        assert 1 <= pace.permitted(now) <= throughput
        assert 0 <= pace.allowance(now) <= 1 + SLACK_S * throughput


def test_a_new_ceiling_holds_at_once_for_an_account_that_is_not_slowed() -> None:
    pace = Pace(20)
    pace.set_throughput(40)
    assert (pace.throughput, pace.permitted(START)) == (40, 40)
    pace.set_throughput(10)
    assert (pace.throughput, pace.permitted(START)) == (10, 10)


def test_a_new_ceiling_does_not_undo_what_throttling_did() -> None:
    pace = Pace(100)
    pace.throttled(START)
    pace.set_throughput(200)
    assert pace.permitted(START) == 100
    assert pace.permitted(START + 10) == 200
