"""Jobs steered: each motion takes effect between two turns."""

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import pytest

from smppgw.errors import InputError
from smppgw.ledger import audit
from smppgw.ledger.database import open_database, transaction
from smppgw.ledger.steer import RETRIED, RETRIED_AT_ONCE, cancel, pause, resume, retry
from smppgw.ledger.turn import CANCELLED_AT_ONCE, Arrivals, add_to_counts, cancel_some
from tests.ledger.conftest import START, Ledger

WHO = "garde"


def test_a_paused_job_is_not_claimed_and_a_resumed_one_goes_on_where_it_stopped(
    ledger: Ledger,
) -> None:
    job = ledger.load(5)
    first = ledger.claim(2)
    assert pause(ledger.db, job, ledger.now, WHO).state == "paused"
    assert ledger.claim(5) == []
    ledger.turn(Arrivals(answered=[ledger.answer(c, str(n)) for n, c in enumerate(first)]))
    assert ledger.counts(job) == {"queued": 3, "accepted": 2}
    assert resume(ledger.db, job, ledger.now, WHO).state == "sending"
    assert len(ledger.claim(5)) == 3


def test_a_job_that_was_paused_before_it_began_is_queued_again(ledger: Ledger) -> None:
    job = ledger.load(1)
    pause(ledger.db, job, ledger.now, WHO)
    assert resume(ledger.db, job, ledger.now, WHO).state == "queued"


def test_a_job_that_was_paused_before_its_time_waits_for_it_again(ledger: Ledger) -> None:
    job = ledger.load(1)
    ledger.db.execute(
        "UPDATE job SET state = 'scheduled', starts_at = ? WHERE id = ?", (ledger.now + 1, job)
    )
    pause(ledger.db, job, ledger.now, WHO)
    assert resume(ledger.db, job, ledger.now, WHO).state == "scheduled"
    pause(ledger.db, job, ledger.now, WHO)
    assert resume(ledger.db, job, ledger.now + 1, WHO).state == "queued"


def test_a_paused_job_of_which_nothing_waits_ends_with_its_last_answer(ledger: Ledger) -> None:
    job = ledger.load(1)
    (claim,) = ledger.claim(1)
    pause(ledger.db, job, ledger.now, WHO)
    ledger.turn(Arrivals(answered=[ledger.answer(claim)]))
    assert ledger.job(job).state == "done"


def test_the_validity_of_a_paused_job_runs_on(ledger: Ledger) -> None:
    job = ledger.load(2, expires_at=ledger.now + 1000)
    pause(ledger.db, job, ledger.now, WHO)
    ledger.now += 1000
    ledger.turn(housekeeping=True)
    assert ledger.counts(job) == {"expired": 2}
    assert ledger.job(job).state == "done"


def test_a_cancelled_job_sends_nothing_more_and_what_has_left_still_counts(
    ledger: Ledger,
) -> None:
    job = ledger.load(CANCELLED_AT_ONCE + 5)
    (claim,) = ledger.claim(1)
    cancelled = cancel(ledger.db, job, ledger.now, WHO)
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
    cancel(ledger.db, job, ledger.now, WHO)
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
    assert retry(ledger.db, job, others, ledger.now, WHO) == 0
    assert ledger.job(job).state == "done"
    assert retry(ledger.db, job, {state}, ledger.now, WHO) == RETRIED_AT_ONCE + 1
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
    retry(ledger.db, job, {"unknown"}, ledger.now, WHO)
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
    retry(ledger.db, job, {"rejected"}, ledger.now, WHO)
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
    retry(ledger.db, job, {"unknown"}, ledger.now, WHO)
    (again,) = ledger.claim(5)
    assert again.numbers == (2,)


def test_what_cannot_be_is_refused_in_a_sentence_and_changes_nothing(ledger: Ledger) -> None:
    done = end(ledger, "rejected")
    waiting = ledger.load(1)
    with pytest.raises(InputError, match="nothing to pause"):
        pause(ledger.db, done, ledger.now, WHO)
    with pytest.raises(InputError, match="not paused"):
        resume(ledger.db, waiting, ledger.now, WHO)
    with pytest.raises(InputError, match="nothing to cancel"):
        cancel(ledger.db, done, ledger.now, WHO)
    cancel(ledger.db, waiting, ledger.now, WHO)
    with pytest.raises(InputError, match="sent again"):
        retry(ledger.db, waiting, {"unknown"}, ledger.now, WHO)
    with pytest.raises(InputError, match="no job 99"):
        pause(ledger.db, 99, ledger.now, WHO)


# The audit


def told(ledger: Ledger) -> list[tuple[str, str, int | None, object]]:
    """Return what the audit says was done since the jobs were submitted."""
    assert list(audit.verify(ledger.db)) == []
    return [
        (entry.actor, entry.action, entry.job_id, entry.details)
        for entry in audit.entries(ledger.db)
        if entry.action != "job.submitted"
    ]


def test_the_audit_tells_who_did_what_to_a_job_and_to_how_much_of_it(ledger: Ledger) -> None:
    job = end(ledger, "rejected", RETRIED_AT_ONCE + 1)
    at = ledger.now = ledger.now + 5
    retry(ledger.db, job, {"rejected", "unknown"}, at, WHO)
    pause(ledger.db, job, at, WHO)
    resume(ledger.db, job, at, "autre")
    cancel(ledger.db, job, at, WHO)
    count = RETRIED_AT_ONCE + 1
    assert told(ledger) == [
        (WHO, "job.retried", job, {"states": ["rejected", "unknown"], "messages": count}),
        (WHO, "job.paused", job, {"queued": count}),
        ("autre", "job.resumed", job, {"queued": count}),
        (WHO, "job.cancelled", job, {"queued": count}),
    ]
    assert {entry.at for entry in audit.entries(ledger.db)[1:]} == {at}


def test_what_changes_nothing_is_not_written_to_the_audit(ledger: Ledger) -> None:
    job = ledger.load(2)
    pause(ledger.db, job, ledger.now, WHO)
    pause(ledger.db, job, ledger.now, "autre")
    retry(ledger.db, job, {"rejected"}, ledger.now, WHO)
    with pytest.raises(InputError):
        resume(ledger.db, 99, ledger.now, WHO)
    cancel(ledger.db, job, ledger.now, WHO)
    cancel(ledger.db, job, ledger.now, "autre")
    with pytest.raises(InputError):
        resume(ledger.db, job, ledger.now, WHO)
    assert [entry[:2] for entry in told(ledger)] == [(WHO, "job.paused"), (WHO, "job.cancelled")]


def test_what_is_done_and_what_says_so_are_committed_together(ledger: Ledger) -> None:
    job = ledger.load(1)
    ledger.db.execute(
        "CREATE TEMP TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    for motion in (pause, cancel):
        with pytest.raises(sqlite3.IntegrityError, match="full"):
            motion(ledger.db, job, ledger.now, WHO)
        assert ledger.job(job).state == "queued"


# Long work and the gateway's turns


def turns_during(ledger: Ledger, work: Callable[[], object]) -> int:
    """Count the transactions that another connection gets in while this one works."""
    ended = threading.Event()

    def turn_after_turn() -> int:
        turns = 0
        with closing(open_database(ledger.path)) as db:
            while not ended.is_set():
                with transaction(db):
                    db.execute("UPDATE account SET claimed_at = claimed_at + 1")
                turns += 1
        return turns

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(turn_after_turn)
        try:
            work()
        finally:
            ended.set()
        return other.result()


LONG = 30_000  # messages: dozens of slices


def test_the_gateway_has_its_turns_while_a_long_list_is_cancelled(ledger: Ledger) -> None:
    job = ledger.load(LONG)
    slices = LONG // CANCELLED_AT_ONCE
    assert turns_during(ledger, lambda: cancel(ledger.db, job, ledger.now, WHO)) >= slices
    assert ledger.counts(job) == {"cancelled": LONG}


def test_the_gateway_has_its_turns_while_a_long_list_is_retried(ledger: Ledger) -> None:
    job = ledger.load(6_000, expires_at=START)
    while ledger.counts(job) != {"expired": 6_000}:
        ledger.turn(housekeeping=True)
    again = partial(retry, ledger.db, job, {"expired"}, ledger.now, WHO)
    assert turns_during(ledger, again) >= 6_000 // RETRIED_AT_ONCE
    assert ledger.counts(job) == {"queued": 6_000}


def work_of_a_slice(ledger: Ledger, job: int) -> int:
    """Cancel some of a job; returns what SQLite had to do for it, in hundreds of instructions."""
    steps: list[int] = []

    def step() -> int:
        steps.append(1)
        return 0

    ledger.db.set_progress_handler(step, 100)
    with transaction(ledger.db):
        cancelled = cancel_some(ledger.db, job)
        change = {"queued": -cancelled, "cancelled": cancelled}
        add_to_counts(ledger.db, job, change, ledger.now)
    ledger.db.set_progress_handler(None, 0)
    assert cancelled == CANCELLED_AT_ONCE
    return len(steps)


def test_cancelling_reads_no_message_before_those_that_wait(ledger: Ledger) -> None:
    job = ledger.load(3 * CANCELLED_AT_ONCE + 1)
    first = work_of_a_slice(ledger, job)
    work_of_a_slice(ledger, job)
    assert work_of_a_slice(ledger, job) <= 1.1 * first
