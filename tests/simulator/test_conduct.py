"""What sessions do, as numbers; `test_faults` shows it on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw.simulator import Behaviour
from smppgw.simulator.conduct import Conduct


def conduct(*faults: str, **behaviour: float) -> Conduct:
    return Conduct(Behaviour(faults=faults, seed=7, **behaviour))  # type: ignore[arg-type]  # names are not checked by mypy through **


def test_without_faults_nothing_is_refused_late_or_beside() -> None:
    plain = conduct(latency_s=0.5)
    assert plain.on_bind("syndic", "secret08", 0.0) == 0
    assert plain.answer_delay_s(100) == 0.5
    assert (plain.drop_after, plain.unbind_after_s, plain.enquire_every_s) == (None, None, None)
    assert plain.extreme_sequence({}) is None
    assert plain.glued_to_bind() == []
    assert plain.answers_in_order


def test_an_answer_takes_its_latency_and_more_for_each_that_waits() -> None:
    slow = conduct("slow-answers:0.25", latency_s=0.5)
    assert [slow.answer_delay_s(n) for n in (1, 2, 10)] == [0.75, 1.0, 3.0]


def test_an_answer_out_of_order_is_late_by_the_seconds_given_at_most() -> None:
    late = conduct("answers-out-of-order:0.25", latency_s=0.5)
    delays = [late.answer_delay_s(1) for _ in range(100)]
    assert 0.5 <= min(delays) < 0.51
    assert 0.74 < max(delays) <= 0.75
    assert not late.answers_in_order


def test_a_held_bind_is_free_when_its_time_has_passed() -> None:
    held = conduct("already-bound:5")
    held.on_lost("syndic", 10.0)
    assert [held.on_bind("syndic", "", at) for at in (10.0, 14.9, 15.0)] == [5, 5, 0]
    assert held.on_bind("other", "", 10.0) == 0


def test_a_wrong_password_is_told_before_a_held_bind() -> None:
    held = Conduct(Behaviour(faults={"already-bound"}, password="secret08"))
    held.on_lost("syndic", 10.0)
    assert held.on_bind("syndic", "wrong", 10.0) == 0x0E


@pytest.mark.parametrize(
    ("taken", "expected"),
    [((), {0, 0xFFFFFFFF}), ((0,), {0xFFFFFFFF}), ((0, 0xFFFFFFFF), {None})],
)
def test_extremes_take_turns_and_none_is_used_twice(
    taken: tuple[int, ...], expected: set[int | None]
) -> None:
    extreme = conduct("sequence-extremes")
    unacknowledged = dict.fromkeys(taken, b"")
    assert {extreme.extreme_sequence(unacknowledged) for _ in range(2)} == expected


@given(st.binary(min_size=1, max_size=200))
def test_pieces_are_the_write_and_none_is_empty(octets: bytes) -> None:
    pieces = conduct("cut-anywhere").cut(octets)
    assert b"".join(pieces) == octets
    assert all(pieces)
    assert min(2, len(octets)) <= len(pieces) <= 5
