"""Whose turn it is: nobody waits for others' backlogs, and nobody saves up a right."""

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppgw.shares import Shares

LANE = 2
MARTIN, DENIS, AIX = "saint-martin", "saint-denis", "aix"


def serve(shares: Shares, waiting: dict[str, int], segments: int, piece: int = 1) -> list[str]:
    """Serve tenants that have so many segments waiting; returns who was served each of them."""
    served: list[str] = []
    while len(served) < segments and any(waiting.values()):
        tenant = shares.next_of(LANE, [name for name, left in waiting.items() if left])
        taken = min(piece, waiting[tenant], segments - len(served))
        shares.charge(LANE, tenant, taken)
        waiting[tenant] -= taken
        served += [tenant] * taken
    return served


@pytest.mark.parametrize("piece", [1, 4, 25])
def test_a_tenant_with_50_is_through_after_100_however_many_another_has(piece: int) -> None:
    waiting = {MARTIN: 50_000, DENIS: 50}
    served = serve(Shares(), waiting, 100 + piece, piece)
    assert not waiting[DENIS]
    last = max(at for at, tenant in enumerate(served) if tenant == DENIS)
    assert last < 100 + piece


def test_three_tenants_have_a_third_each() -> None:
    served = serve(Shares(), {MARTIN: 1000, DENIS: 1000, AIX: 1000}, 300)
    assert Counter(served) == {MARTIN: 100, DENIS: 100, AIX: 100}


def test_a_tenant_that_was_idle_has_saved_up_nothing() -> None:
    shares = Shares()
    serve(shares, {MARTIN: 10_000, DENIS: 1}, 10_001)
    served = serve(shares, {MARTIN: 1000, DENIS: 1000}, 100)
    assert abs(Counter(served)[DENIS] - 50) <= 1


def test_a_tenant_that_comes_in_the_middle_has_its_share_from_then_on() -> None:
    shares = Shares()
    waiting = {MARTIN: 10_000, DENIS: 10_000}
    serve(shares, waiting, 5000)
    served = serve(shares, waiting | {AIX: 1000}, 300)
    assert all(abs(count - 100) <= 1 for count in Counter(served).values())


def test_what_is_long_is_charged_for_its_length() -> None:
    shares, served = Shares(), Counter[str]()
    lengths = {MARTIN: 10, DENIS: 1}
    while served.total() < 2000:
        tenant = shares.next_of(LANE, lengths)
        shares.charge(LANE, tenant, lengths[tenant])
        served[tenant] += lengths[tenant]
    assert abs(served[MARTIN] - served[DENIS]) <= 10


def test_what_a_tenant_had_in_one_lane_does_not_count_in_another() -> None:
    shares = Shares()
    shares.charge(0, AIX, 1000)
    shares.charge(1, MARTIN, 1)
    assert shares.next_of(1, [AIX, MARTIN]) == AIX


def test_of_equals_the_first_by_name_is_next_whatever_the_order_they_are_given_in() -> None:
    assert Shares().next_of(LANE, [MARTIN, DENIS, AIX]) == AIX
    assert Shares().next_of(LANE, [AIX, MARTIN, DENIS]) == AIX


@settings(max_examples=200, deadline=None)
@given(
    pieces=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 255), min_size=2),
    idle=st.lists(st.sampled_from("abcdef"), max_size=200),
)
def test_two_that_wait_are_never_apart_by_more_than_a_piece_of_each(
    pieces: Mapping[str, int], idle: list[str]
) -> None:
    """The bound of start-time fair queueing, after any history."""
    shares, before = Shares(), 7
    for tenant in idle:
        shares.charge(LANE, tenant, before)
    had = dict.fromkeys(pieces, 0)
    for _ in range(300):
        tenant = shares.next_of(LANE, pieces)
        shares.charge(LANE, tenant, pieces[tenant])
        had[tenant] += pieces[tenant]
        for one, piece in pieces.items():
            for other, other_piece in pieces.items():
                assert had[one] - had[other] <= max(piece, before) + max(other_piece, before)
