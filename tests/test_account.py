"""An account and its two guards: the contract is used in full, and never exceeded."""

import asyncio
from collections.abc import Callable
from random import Random

import pytest
from asyncio_throttle import throttler
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smppgw.account import Account
from smppgw.config import Smsc
from smppgw.pace import SLACK_S
from smppgw.smpp.status import Verdict


def account(throughput: int = 20, **settings: object) -> Account:
    return Account(
        Smsc.model_validate(
            {
                "name": "operator",
                "host": "127.0.0.1",
                "system_id": "syndic",
                "throughput": throughput,
                **settings,
            }
        ),
        1,
    )


def most_in_a_second(times: list[float]) -> int:
    most = first = 0
    for position, at in enumerate(times):
        while at - times[first] >= 1.0:
            first += 1
        most = max(most, position - first + 1)
    return most


class Clock:
    """What asyncio-throttle takes for the time; it stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stopped = Clock()
    monkeypatch.setattr(throttler, "time", stopped)
    return stopped


def spend_without_waiting(one: Account, segments: int, now: float) -> None:
    with pytest.raises(StopIteration):  # the end of a coroutine that gave the loop no turn
        one.spend(segments, now).send(None)


def written(
    clock: Clock, throughput: int, seconds: float, delays_s: Callable[[], float]
) -> list[float]:
    """Act like a gateway with a backlog: spend what is due; returns when each was written.

    Args:
        clock: moved on by `seconds`.
        throughput: of the account.
        seconds: how long.
        delays_s: what a timer is late by, and what passes between asking and writing.
    """
    one, times, end = account(throughput), [], clock.now + seconds
    while clock.now < end:
        allowed = one.allowance(clock.now)
        if allowed:
            clock.now += delays_s()
            spend_without_waiting(one, allowed, clock.now)
            times += [clock.now] * allowed
        else:
            clock.now = max(clock.now + 1e-6, one.due_at() + delays_s())
    return times


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    throughput=st.one_of(st.integers(1, 50), st.integers(50, 2000)),
    longest_s=st.sampled_from([0.0, 0.001, 0.01, 0.1, 1.0]),
    randomly=st.randoms(use_true_random=False),
)
def test_in_no_interval_of_one_second_do_more_leave_than_the_contract_allows(
    clock: Clock, throughput: int, longest_s: float, randomly: Random
) -> None:
    times = written(clock, throughput, 4, lambda: randomly.uniform(0, longest_s))
    assert most_in_a_second(times) <= throughput


@pytest.mark.parametrize("turn_s", [0.0, 0.001, 0.005])
@pytest.mark.parametrize("throughput", [1, 20, 100, 1000])
def test_at_least_98_percent_of_the_contract_is_used(
    clock: Clock, throughput: int, turn_s: float
) -> None:
    randomly = Random(20)
    times = written(clock, throughput, 30, lambda: randomly.uniform(0, turn_s))
    used = (len(times) - 1) / (times[-1] - times[0])
    assert used >= 0.98 * throughput


@given(throughput=st.integers(5, 500), segments=st.integers(1, 5), bursts=st.integers(1, 20))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_who_comes_when_so_much_is_due_gets_it_and_earlier_does_not(
    clock: Clock, throughput: int, segments: int, bursts: int
) -> None:
    one = account(throughput)
    for _ in range(bursts):
        clock.now = max(clock.now + 0.04, one.due_at())
        spend_without_waiting(one, one.allowance(clock.now), clock.now)
    segments = min(segments, 1 + int(SLACK_S * throughput / 2))
    due_at = one.due_at(segments, clock.now)
    if due_at > clock.now:
        clock.now = due_at - 1e-5
        assert one.allowance(clock.now) < segments
    clock.now = max(clock.now, due_at + 1e-6)
    assert one.allowance(clock.now) >= segments


@pytest.mark.parametrize(
    ("throughput", "most", "batch"),
    [
        (200, 10, 10),
        (200, 9, 8),
        (100, 5, 5),
        (97, 4, 1),
        (20, 1, 1),
        (20, 0, 0),
        (1_000_000, 10, 10),
    ],
)
def test_a_batch_is_as_large_as_the_sliding_second_takes_again_and_again(
    throughput: int, most: int, batch: int
) -> None:
    assert account(throughput).batch(most, 0.0) == batch


def held_up(clock: Clock, throughput: int, segments: int) -> int:
    """Write batches as they fall due for a minute; returns how many of the last second had to
    wait."""
    one, held, end = account(throughput), 0, clock.now + 60
    spend_without_waiting(one, one.allowance(clock.now), clock.now)
    while clock.now < end:
        due_at, free_at = one.pace.due_at(segments, clock.now), one.due_at(segments, clock.now)
        held += free_at > max(due_at, end - 1) + 1e-6
        clock.now = max(clock.now, free_at + 1e-6)
        spend_without_waiting(one, segments, clock.now)
    return held


@pytest.mark.parametrize("throughput", [2, 20, 30, 97, 100, 200, 1000])
def test_batches_that_fit_are_never_held_up(clock: Clock, throughput: int) -> None:
    segments = account(throughput).batch(min(10, 1 + throughput // 20), clock.now)
    assert not held_up(clock, throughput, segments)


@pytest.mark.parametrize(("throughput", "segments"), [(200, 9), (100, 7), (97, 4)])
def test_batches_that_do_not_fit_are_held_up(clock: Clock, throughput: int, segments: int) -> None:
    assert held_up(clock, throughput, segments)


def test_a_slow_turn_now_and_then_is_made_up_for(clock: Clock) -> None:
    randomly = Random(20)
    times = written(clock, 100, 30, lambda: 0.04 if randomly.random() < 0.01 else 0.0005)
    used = (len(times) - 1) / (times[-1] - times[0])
    assert used >= 98


def test_the_contract_holds_on_a_real_clock() -> None:
    async def write(throughput: int) -> tuple[int, list[float]]:
        loop, one, times = asyncio.get_running_loop(), account(throughput), list[float]()
        end = loop.time() + 2.2
        while (now := loop.time()) < end:
            allowed = one.allowance(now)
            if allowed:
                at = loop.time()  # before: being held up afterwards is no burst
                await one.spend(allowed, at)
                times += [at] * allowed
            else:
                await asyncio.sleep(max(0.0, one.due_at() - now))
        return throughput, times

    async def all_at_once() -> list[tuple[int, list[float]]]:
        return await asyncio.gather(*map(write, (20, 100, 1000)))

    for throughput, times in asyncio.run(all_at_once()):
        assert most_in_a_second(times) <= throughput < len(times)


def test_a_spent_contract_leaves_nothing_until_the_second_is_over(clock: Clock) -> None:
    one = account(20)
    spend_without_waiting(one, 20, clock.now)
    due_at = one.due_at()
    assert 1.0 < due_at - clock.now < 1.1
    clock.now = due_at - 0.001
    assert one.allowance(clock.now) == 0
    clock.now = due_at
    assert one.allowance(clock.now) > 0


def test_another_contract_holds_from_the_next_segment_on(clock: Clock) -> None:
    one, began = account(20), clock.now
    for _ in range(10):  # a tenth of a second apart
        spend_without_waiting(one, 1, clock.now)
        clock.now += 0.1
    one.set_throughput(5)
    assert one.allowance(clock.now) == 0
    assert one.due_at() == pytest.approx(began + 0.5 + 1.01)  # then 5 are less than a second old
    one.set_throughput(30)
    assert one.allowance(clock.now) > 0


def test_an_account_says_which_classes_it_takes() -> None:
    assert account(classes=["alert"]).classes == {"alert"}


@pytest.mark.parametrize(
    ("mine", "others", "covered"),
    [
        (None, None, True),
        (None, {1, 2}, True),
        ({1, 2}, {1}, True),
        ({1}, {1}, True),
        ({1}, {1, 2}, False),
        ({1}, None, False),
    ],
)
def test_an_account_covers_another_if_it_takes_all_of_its_numbers(
    mine: set[int] | None, others: set[int] | None, covered: bool
) -> None:
    smsc = account().smsc
    one, other = (
        Account(smsc, number, None if routes is None else frozenset(routes))
        for number, routes in enumerate((mine, others))
    )
    assert one.covers(other) is covered


def test_the_configuration_sorts_codes_before_the_table_does() -> None:
    one = account(statuses={"0x0401": "try-later", "0x58": "refused", "0x00000B": "stop-link"})
    assert [one.verdict_on(status) for status in (0x401, 0x58, 0x0B, 0x14, 0x402)] == [
        Verdict.TRY_LATER,
        Verdict.REFUSED,
        Verdict.STOP_LINK,
        Verdict.SLOW_DOWN,
        Verdict.REFUSED,
    ]


def test_an_account_begins_in_good_health() -> None:
    assert not account().health.resting(0.0)
