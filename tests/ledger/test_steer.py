"""Jobs steered: each motion takes effect between two turns."""

import pytest

from smppgw.errors import InputError
from smppgw.ledger.steer import RETRIED, RETRIED_AT_ONCE, cancel, pause, resume, retry
from smppgw.ledger.turn import CANCELLED_AT_ONCE, Arrivals
from tests.ledger.conftest import Ledger


def test_a_paused_job_is_not_claimed_and_a_resumed_one_goes_on_where_it_stopped(
    ledger: Ledger,
) -> None:
    job = ledger.load(5)
    first = ledger.claim(2)
    assert pause(ledger.db, job).state == "paused"
    assert ledger.claim(5) == []
    ledger.turn(Arrivals(answered=[ledger.answer(c, str(n)) for n, c in enumerate(first)]))
    assert ledger.counts(job) == {"queued": 3, "accepted": 2}
    assert resume(ledger.db, job).state == "sending"
    assert len(ledger.claim(5)) == 3


def test_a_job_that_was_paused_before_it_began_is_queued_again(ledger: Ledger) -> None:
    job = ledger.load(1)
    pause(ledger.db, job)
    assert resume(ledger.db, job).state == "queued"


def test_a_paused_job_of_which_nothing_waits_ends_with_its_last_answer(ledger: Ledger) -> None:
    job = ledger.load(1)
    (claim,) = ledger.claim(1)
    pause(ledger.db, job)
    ledger.turn(Arrivals(answered=[ledger.answer(claim)]))
    assert ledger.job(job).state == "done"


def test_the_validity_of_a_paused_job_runs_on(ledger: Ledger) -> None:
    job = ledger.load(2, expires_at=ledger.now + 1000)
    pause(ledger.db, job)
    ledger.now += 1000
    ledger.turn(housekeeping=True)
    assert ledger.counts(job) == {"expired": 2}
    assert ledger.job(job).state == "done"


def test_a_cancelled_job_sends_nothing_more_and_what_has_left_still_counts(
    ledger: Ledger,
) -> None:
    job = ledger.load(CANCELLED_AT_ONCE + 5)
    (claim,) = ledger.claim(1)
    cancelled = cancel(ledger.db, job, ledger.now)
    assert cancelled.state == "cancelled"
    assert ledger.counts(job) == {"cancelled": CANCELLED_AT_ONCE + 4, "submitting": 1}
    assert cancelled.finished_at is None
    assert ledger.claim(10) == []
    ledger.turn(Arrivals(answered=[ledger.answer(claim)]))
    ledger.turn(Arrivals(receipts=[ledger.receipt("1")]))
    assert ledger.counts(job) == {"cancelled": CANCELLED_AT_ONCE + 4, "delivered": 1}
    assert ledger.job(job).finished_at is not None
    assert ledger.job(job).state == "cancelled"


def test_a_message_that_comes_back_to_a_cancelled_job_is_cancelled_by_the_gateway(
    ledger: Ledger,
) -> None:
    job = ledger.load(1)
    (claim,) = ledger.claim(1)
    cancel(ledger.db, job, ledger.now)
    ledger.turn(Arrivals(answered=[ledger.answer(claim, status=0x58)]))
    assert ledger.claim(1) == []
    ledger.turn(housekeeping=True)
    assert ledger.counts(job) == {"cancelled": 1}


def test_a_cancelling_that_died_half_way_is_ended_by_the_gateway(ledger: Ledger) -> None:
    job = ledger.load(CANCELLED_AT_ONCE + 1)
    ledger.db.execute("UPDATE job SET state = 'cancelled' WHERE id = ?", (job,))
    ledger.turn(housekeeping=True)
    ledger.turn(housekeeping=True)
    assert ledger.counts(job) == {"cancelled": CANCELLED_AT_ONCE + 1}
    assert ledger.job(job).finished_at == ledger.now


def end(ledger: Ledger, how: str, messages: int = 1) -> int:
    """Bring a job to its end: rejected, expired, unknown or undelivered."""
    job = ledger.load(messages, expires_at=ledger.now + 10_000)
    if how == "expired":
        ledger.now += 10_000
        ledger.turn(housekeeping=True)
        return job
    claims = ledger.claim(messages)
    if how == "unknown":
        ledger.turn(Arrivals(lost=[ledger.lost(claim) for claim in claims]))
    elif how == "rejected":
        ledger.turn(Arrivals(answered=[ledger.answer(claim, status=0x0B) for claim in claims]))
    else:
        ids = [f"a{number}z" for number in range(messages)]
        answers = [ledger.answer(claim, i) for claim, i in zip(claims, ids, strict=True)]
        ledger.turn(Arrivals(answered=answers))
        ledger.turn(Arrivals(receipts=[ledger.receipt(i, "UNDELIV") for i in ids]))
    return job


@pytest.mark.parametrize("state", RETRIED)
def test_messages_are_sent_again_when_somebody_asks_for_it(ledger: Ledger, state: str) -> None:
    job = end(ledger, state, RETRIED_AT_ONCE + 1)
    assert ledger.counts(job) == {state: RETRIED_AT_ONCE + 1}
    assert ledger.job(job).state == "done"
    others = set(RETRIED) - {state}
    assert retry(ledger.db, job, others, ledger.now) == 0
    assert ledger.job(job).state == "done"
    assert retry(ledger.db, job, {state}, ledger.now) == RETRIED_AT_ONCE + 1
    assert ledger.job(job).state == "sending"
    claims = ledger.claim(1000)
    assert len(claims) == RETRIED_AT_ONCE + 1
    ledger.turn(Arrivals(answered=[ledger.answer(c, f"b{n}z") for n, c in enumerate(claims)]))
    assert ledger.counts(job) == {"accepted": RETRIED_AT_ONCE + 1}


def test_a_late_answer_to_what_was_sent_before_changes_nothing_after_a_retry(
    ledger: Ledger,
) -> None:
    job = ledger.load(1)
    (first,) = ledger.claim(1)
    ledger.turn(Arrivals(lost=[ledger.lost(first)]))
    retry(ledger.db, job, {"unknown"}, ledger.now)
    (again,) = ledger.claim(1)
    ledger.turn(Arrivals(late=[ledger.answer(first, "1")]))
    assert ledger.counts(job) == {"submitting": 1}
    ledger.turn(Arrivals(answered=[ledger.answer(again, "2")]))
    assert ledger.counts(job) == {"accepted": 1}


def test_a_retried_message_has_all_its_attempts_again(ledger: Ledger) -> None:
    job = ledger.load(1, attempts=2)
    for _ in range(2):
        (claim,) = ledger.claim(1)
        ledger.turn(Arrivals(answered=[ledger.answer(claim, status=0x08)]))
        ledger.now += 10**6
    assert ledger.counts(job) == {"rejected": 1}
    retry(ledger.db, job, {"rejected"}, ledger.now)
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(answered=[ledger.answer(claim, status=0x08)]))
    assert ledger.counts(job) == {"queued": 1}


def test_of_a_long_text_only_what_did_not_arrive_is_sent_again(ledger: Ledger) -> None:
    job = ledger.load(1, segments=2)
    (claim,) = ledger.claim(2)
    ledger.turn(
        Arrivals(
            answered=[ledger.answer(claim, "1", number=1)], lost=[ledger.lost(claim, number=2)]
        )
    )
    assert ledger.counts(job) == {"unknown": 1}
    retry(ledger.db, job, {"unknown"}, ledger.now)
    (again,) = ledger.claim(5)
    assert again.numbers == (2,)


def test_what_cannot_be_is_refused_in_a_sentence_and_changes_nothing(ledger: Ledger) -> None:
    done = end(ledger, "rejected")
    waiting = ledger.load(1)
    with pytest.raises(InputError, match="nothing to pause"):
        pause(ledger.db, done)
    with pytest.raises(InputError, match="not paused"):
        resume(ledger.db, waiting)
    with pytest.raises(InputError, match="nothing to cancel"):
        cancel(ledger.db, done, ledger.now)
    cancel(ledger.db, waiting, ledger.now)
    with pytest.raises(InputError, match="sent again"):
        retry(ledger.db, waiting, {"unknown"}, ledger.now)
    with pytest.raises(InputError, match="no job 99"):
        pause(ledger.db, 99)
