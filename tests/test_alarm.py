"""Waiting for what may happen, or not within a time; on a clock that passes by itself."""

import asyncio
from collections.abc import Iterator

import pytest

from smppgw.alarm import Alarm
from tests.simulation.world import VirtualLoop


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    made = VirtualLoop()
    yield made
    made.close()


def test_nothing_happens_and_the_time_is_waited_for(loop: VirtualLoop) -> None:
    alarm, began = Alarm(), loop.time()
    assert loop.run_until_complete(alarm.wait(5.0)) is False
    assert loop.time() - began == pytest.approx(5.0)


def test_what_happens_ends_the_wait_and_is_told_until_it_is_cleared(loop: VirtualLoop) -> None:
    alarm, began = Alarm(), loop.time()
    loop.call_later(2.0, alarm.set)
    assert loop.run_until_complete(alarm.wait(5.0)) is True
    assert loop.run_until_complete(alarm.wait(5.0)) is True
    assert loop.time() - began == pytest.approx(2.0)
    alarm.clear()
    assert loop.run_until_complete(alarm.wait(1.0)) is False


def test_what_happened_before_the_wait_is_not_slept_through(loop: VirtualLoop) -> None:
    alarm, began = Alarm(), loop.time()
    alarm.set()
    assert loop.run_until_complete(alarm.wait(5.0)) is True
    assert loop.time() == began


def test_a_wait_that_ended_leaves_no_timer_that_rings_into_the_next(loop: VirtualLoop) -> None:
    alarm = Alarm()

    async def twice() -> float:
        loop.call_later(1.0, alarm.set)
        await alarm.wait(2.0)
        alarm.clear()
        began = loop.time()
        await alarm.wait(5.0)
        return loop.time() - began

    assert loop.run_until_complete(twice()) == pytest.approx(5.0)


def test_a_task_that_is_cancelled_meanwhile_leaves_nothing_behind(loop: VirtualLoop) -> None:
    alarm = Alarm()

    async def cancelled() -> bool:
        task = asyncio.create_task(alarm.wait(5.0))
        loop.call_later(1.0, task.cancel)
        await asyncio.wait({task})
        alarm.set()
        return task.cancelled()

    assert loop.run_until_complete(cancelled())
    assert loop.run_until_complete(alarm.wait(1.0)) is True
