"""What waits for its time; `now` is a plain number."""

from hypothesis import given
from hypothesis import strategies as st

from smppgw.simulator.timing import Agenda, DelayLine


class TestDelayLine:
    """One constant delay."""

    def test_first_in_is_first_out_each_after_the_delay(self) -> None:
        line: DelayLine[str] = DelayLine(2.0)
        assert line.deadline is None
        line.push("a", 10.0)
        line.push("b", 10.5)
        assert line.deadline == 12.0
        assert line.take_due(11.9) == []
        assert line.take_due(12.0) == ["a"]
        assert line.deadline == 12.5
        assert line.take_due(99.0) == ["b"]


class TestAgenda:
    """Any delay."""

    @given(st.lists(st.integers(0, 5), max_size=20), st.integers(0, 5))
    def test_what_is_due_is_taken_in_order_of_time_and_then_of_noting(
        self, times: list[int], now: int
    ) -> None:
        agenda, done = Agenda(), list[tuple[int, int]]()
        for number, at in enumerate(times):
            agenda.note(at, lambda at=at, number=number: done.append((at, number)))  # type: ignore[misc]  # mypy cannot type defaults of a lambda
        for action in agenda.take_due(now):
            action()
        assert done == sorted((at, n) for n, at in enumerate(times) if at <= now)
        assert agenda.deadline == min((at for at in times if at > now), default=None)
