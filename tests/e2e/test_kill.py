"""kill -9 at random moments under full-speed load; `make kills` does the same for longer."""

import pytest

from tests.e2e.kills import kill_gateways, kill_submits
from tests.e2e.processes import Site

KILLS = 4  # under each policy
ROWS = 8_000


def test_killed_again_and_again_under_hold_nothing_is_lost_and_nobody_is_written_to_twice(
    site: Site,
) -> None:
    figures = kill_gateways(site, "hold", KILLS, ROWS, seed=1)
    assert figures.violations() == []


def test_killed_again_and_again_under_resend_everybody_is_reached_and_a_window_is_repeated_at_most(
    site: Site,
) -> None:
    figures = kill_gateways(site, "resend", KILLS, ROWS, seed=2)
    assert figures.violations() == []


@pytest.mark.timeout(180)
def test_a_submit_killed_at_any_moment_leaves_the_whole_job_or_none_and_its_key_can_be_used_again(
    site: Site,
) -> None:
    outcomes = kill_submits(site, kills=4, rows=50_000, seed=3)
    assert outcomes["whole"] + outcomes["absent"] == 4
