"""When an account rests, and how it comes back: plain numbers, no waiting."""

from smppgw.health import (
    ANSWERS_MEASURED,
    ANSWERS_WHEN_TRIED,
    FIRST_REST_S,
    LONGEST_REST_S,
    RECEIPTS_MEASURED,
    Health,
)


def test_an_account_that_refuses_most_rests_and_says_why() -> None:
    health = Health()
    assert health.note_answers(0, ANSWERS_MEASURED - 1, 0.0) is None
    assert not health.resting(0.0)
    assert health.note_answers(0, 1, 1.0) is not None
    assert health.resting(1.0 + FIRST_REST_S - 0.1)
    assert not health.resting(1.0 + FIRST_REST_S)


def test_a_list_with_some_bad_numbers_is_no_reason_to_rest() -> None:
    health = Health()
    for second in range(100):
        assert health.note_answers(11, 9, float(second)) is None
    assert not health.resting(100.0)


def test_good_answers_of_long_ago_do_not_hide_a_failure_of_today() -> None:
    health = Health()
    health.note_answers(1_000_000, 0, 0.0)
    reasons = [health.note_answers(0, 10, 1.0) for _ in range(40)]
    assert any(reasons)


def test_an_account_that_is_tried_and_still_refuses_rests_twice_as_long_but_not_for_ever() -> None:
    health = Health()
    now, rests = 0.0, []
    health.note_answers(0, ANSWERS_MEASURED, now)
    for _ in range(8):
        began = now
        while health.resting(now):
            now += 1.0
        rests.append(now - began)
        assert health.note_answers(0, ANSWERS_WHEN_TRIED, now) is not None
    assert rests[:3] == [FIRST_REST_S, 2 * FIRST_REST_S, 4 * FIRST_REST_S]
    assert rests[-1] == LONGEST_REST_S


def test_an_account_that_does_better_after_a_rest_is_judged_as_before() -> None:
    health = Health()
    health.note_answers(0, ANSWERS_MEASURED, 0.0)
    now = FIRST_REST_S
    assert health.note_answers(ANSWERS_WHEN_TRIED, 0, now) is None
    assert health.note_answers(0, ANSWERS_WHEN_TRIED, now) is None
    assert health.note_answers(0, 2 * ANSWERS_MEASURED, now) is not None
    assert not health.resting(now + FIRST_REST_S)


def test_an_account_whose_receipts_collapse_rests() -> None:
    health = Health()
    assert health.note_receipts(RECEIPTS_MEASURED // 2, RECEIPTS_MEASURED // 2, 0.0) is None
    assert health.note_receipts(0, 10 * RECEIPTS_MEASURED, 1.0) is not None
    assert health.resting(2.0)


def test_what_comes_while_it_rests_changes_nothing() -> None:
    health = Health()
    health.note_answers(0, ANSWERS_MEASURED, 0.0)
    assert health.note_answers(0, 1000, 1.0) is None
    assert health.note_receipts(0, 1000, 1.0) is None
    assert not health.resting(FIRST_REST_S)
