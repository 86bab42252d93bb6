"""The turn on a real file: what is recorded, what is claimed, in one transaction."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smppgw.errors import DatabaseError
from smppgw.ledger.claim import Claim, Demand, Remainder
from smppgw.ledger.jobs import receipt_counts, report_rows, route_ids
from smppgw.ledger.turn import (
    FIRST_RETRY_MS,
    PARKED_LIMIT_MS,
    PARTIAL_MS,
    UNTRIED_MS,
    Arrivals,
    Received,
    recover,
    turn,
)
from smppgw.smpp import parse_receipt
from tests.ledger.conftest import ALL, Ledger


def receipts(ledger: Ledger) -> dict[str, int]:
    return {k: n for k, n in receipt_counts(ledger.db)["operator"].items() if n}


def test_a_turn_claims_exactly_as_many_segments_as_may_be_written(ledger: Ledger) -> None:
    job = ledger.load(10)
    assert len(ledger.claim(3)) == 3
    assert ledger.counts(job) == {"queued": 7, "submitting": 3}
    assert ledger.claim(0) == []


def test_messages_leave_in_the_order_of_the_list(ledger: Ledger) -> None:
    ledger.load(5)
    numbers = [claim.recipient for _ in range(3) for claim in ledger.claim(2)]
    assert numbers == [f"+336000{n:05d}" for n in range(5)]


def test_no_message_is_claimed_twice(ledger: Ledger) -> None:
    ledger.load(7)
    seen = [claim.message_id for _ in range(5) for claim in ledger.claim(3)]
    assert len(seen) == len(set(seen)) == 7


def test_an_alert_goes_in_front_of_every_backlog(ledger: Ledger) -> None:
    ledger.load(5, job_class="promotional")
    ledger.load(5, job_class="service")
    ledger.claim(2)
    alert = ledger.load(2, job_class="alert")
    claims = ledger.claim(4)
    assert [claim.job_id for claim in claims[:2]] == [alert, alert]
    assert len(claims) == 4


def test_a_link_gets_only_the_classes_that_its_account_takes(ledger: Ledger) -> None:
    ledger.load(2, job_class="promotional")
    assert ledger.claim(5, classes=frozenset({"alert"})) == []
    assert len(ledger.claim(5)) == 2


def test_a_job_that_is_still_loading_is_never_claimed(ledger: Ledger) -> None:
    job = ledger.load(2)
    ledger.db.execute("UPDATE job SET state = 'loading' WHERE id = ?", (job,))
    assert ledger.claim(5) == []


def test_answers_and_receipts_bring_a_message_to_its_end(ledger: Ledger) -> None:
    job = ledger.load(2)
    first, second = ledger.claim(2)
    ledger.turn(Arrivals(answered=[ledger.answer(first, "a1"), ledger.answer(second, "a2")]))
    assert ledger.counts(job) == {"accepted": 2}
    assert ledger.job(job).state == "done"
    ledger.turn(Arrivals(receipts=[ledger.receipt("a1"), ledger.receipt("a2", "UNDELIV")]))
    assert ledger.counts(job) == {"delivered": 1, "undelivered": 1}
    assert receipts(ledger) == {"received": 2, "matched": 2}


def test_a_receipt_in_the_same_turn_as_its_answer_is_matched(ledger: Ledger) -> None:
    job = ledger.load(2)
    first, second = ledger.claim(2)
    turned = ledger.turn(
        Arrivals(
            answered=[ledger.answer(first, "0A1"), ledger.answer(second, "a2")],
            receipts=[ledger.receipt("a1"), ledger.receipt("A2", "EXPIRED")],
        )
    )
    assert ledger.counts(job) == {"delivered": 1, "undelivered": 1}
    assert receipts(ledger) == {"received": 2, "matched": 2}
    assert turned.finished == {("service", "delivered"): 1, ("service", "undelivered"): 1}


def test_a_receipt_before_its_response_is_matched_when_the_response_arrives(
    ledger: Ledger,
) -> None:
    job = ledger.load(1)
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(receipts=[ledger.receipt("77")]))
    assert receipts(ledger) == {"received": 1, "parked": 1}
    ledger.turn(Arrivals(answered=[ledger.answer(claim, "77")]))
    assert ledger.counts(job) == {"delivered": 1}
    assert receipts(ledger) == {"received": 1, "matched": 1}


def test_a_parked_receipt_whose_response_never_comes_becomes_an_orphan(ledger: Ledger) -> None:
    ledger.turn(Arrivals(receipts=[ledger.receipt("77")]))
    ledger.now += PARKED_LIMIT_MS
    ledger.turn(housekeeping=True)
    assert receipts(ledger) == {"received": 1, "orphan": 1}


def test_a_receipt_that_comes_twice_counts_as_a_duplicate_and_changes_nothing(
    ledger: Ledger,
) -> None:
    job = ledger.load(1)
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(answered=[ledger.answer(claim, "5")]))
    ledger.turn(Arrivals(receipts=[ledger.receipt("5"), ledger.receipt("5", "UNDELIV")]))
    ledger.turn(Arrivals(receipts=[ledger.receipt("5", "ENROUTE")]))
    assert ledger.counts(job) == {"delivered": 1}
    assert receipts(ledger) == {"received": 3, "matched": 1, "duplicate": 2}


def test_an_intermediate_receipt_or_an_unknown_word_leaves_the_message_accepted(
    ledger: Ledger,
) -> None:
    job = ledger.load(1)
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(answered=[ledger.answer(claim, "5")]))
    ledger.turn(Arrivals(receipts=[ledger.receipt("5", "ENROUTE"), ledger.receipt("5", "WHAT")]))
    assert ledger.counts(job) == {"accepted": 1}
    assert ledger.db.execute("SELECT error FROM segment").fetchone() == ("WHAT err:000",)
    ledger.turn(Arrivals(receipts=[ledger.receipt("5")]))
    assert ledger.counts(job) == {"delivered": 1}


def test_ids_in_hexadecimal_and_decimal_meet_only_at_the_number_they_went_to(
    ledger: Ledger,
) -> None:
    job = ledger.load(2)
    first, second = ledger.claim(2)
    ledger.turn(Arrivals(answered=[ledger.answer(first, "ff"), ledger.answer(second, "300")]))
    ledger.turn(Arrivals(receipts=[ledger.receipt("255", recipient="33600000000")]))
    assert ledger.counts(job) == {"delivered": 1, "accepted": 1}
    # 768 is 0x300 in decimal, but this receipt speaks of another phone.
    ledger.turn(Arrivals(receipts=[ledger.receipt("768", recipient="33600009999")]))
    assert ledger.counts(job) == {"delivered": 1, "accepted": 1}
    assert receipts(ledger) == {"received": 2, "matched": 1, "parked": 1}


def test_ids_that_an_smsc_uses_again_settle_the_newest(ledger: Ledger) -> None:
    old, new = ledger.load(1), ledger.load(1)
    (first,) = ledger.claim(1)
    ledger.turn(Arrivals(answered=[ledger.answer(first, "1")]))
    ledger.now += 1000
    (second,) = ledger.claim(1)
    ledger.turn(Arrivals(answered=[ledger.answer(second, "1")]))
    ledger.turn(Arrivals(receipts=[ledger.receipt("1")]))
    assert (ledger.counts(old), ledger.counts(new)) == ({"accepted": 1}, {"delivered": 1})


def test_a_throttled_segment_goes_back_to_the_front_and_costs_no_attempt(ledger: Ledger) -> None:
    job = ledger.load(3, attempts=1)
    (claim,) = ledger.claim(1)
    turned = ledger.turn(Arrivals(answered=[ledger.answer(claim, status=0x58)]), slots=1)
    (again,) = turned.claims[0]
    assert (again.message_id, again.attempt) == (claim.message_id, 0)
    assert ledger.counts(job) == {"queued": 2, "submitting": 1}


def test_a_refusal_for_good_ends_the_message_with_its_status(ledger: Ledger) -> None:
    job = ledger.load(1)
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(answered=[ledger.answer(claim, status=0x0B)]))
    assert ledger.counts(job) == {"rejected": 1}
    assert ledger.job(job).state == "done"
    assert ledger.db.execute("SELECT error FROM message").fetchone() == (
        "command_status 0x0000000B",
    )


def test_a_vendor_status_keeps_its_number(ledger: Ledger) -> None:
    ledger.load(1)
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(answered=[ledger.answer(claim, status=0x401)]))
    assert ledger.db.execute("SELECT command_status FROM segment").fetchone() == (0x401,)


def test_trying_later_waits_longer_each_time_and_ends_with_the_attempts(ledger: Ledger) -> None:
    job = ledger.load(1, attempts=3)
    waits = []
    for _ in range(2):
        (claim,) = ledger.claim(1)
        turned = ledger.turn(Arrivals(answered=[ledger.answer(claim, status=0x08)]), slots=1)
        assert turned.claims == {}
        assert turned.exhausted == {0}
        assert turned.next_due_at is not None
        waits.append(turned.next_due_at - ledger.now)
        ledger.now = turned.next_due_at
    assert waits == [FIRST_RETRY_MS, 2 * FIRST_RETRY_MS]
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(answered=[ledger.answer(claim, status=0x08)]))
    assert ledger.counts(job) == {"rejected": 1}


def test_a_lost_request_is_unknown_under_hold_and_leaves_again_under_resend(
    ledger: Ledger,
) -> None:
    held, resent = ledger.load(1), ledger.load(1, policy="resend")
    first, second = ledger.claim(2)
    ledger.turn(Arrivals(lost=[ledger.lost(first), ledger.lost(second)]))
    assert ledger.counts(held) == {"unknown": 1}
    assert ledger.counts(resent) == {"queued": 1}
    (again,) = ledger.claim(5)
    assert (again.job_id, again.attempt) == (resent, 1)


def test_a_message_is_not_resent_for_ever(ledger: Ledger) -> None:
    job = ledger.load(1, policy="resend", attempts=2)
    for _ in range(2):
        (claim,) = ledger.claim(1)
        ledger.turn(Arrivals(lost=[ledger.lost(claim)]))
    assert ledger.counts(job) == {"unknown": 1}


def test_a_late_answer_settles_an_unknown_message(ledger: Ledger) -> None:
    job = ledger.load(1)
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(lost=[ledger.lost(claim)]))
    ledger.turn(Arrivals(late=[ledger.answer(claim, "9")], receipts=[ledger.receipt("9")]))
    assert ledger.counts(job) == {"delivered": 1}


def test_a_late_answer_saves_a_message_from_being_sent_twice(ledger: Ledger) -> None:
    job = ledger.load(1, policy="resend")
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(lost=[ledger.lost(claim)]))
    ledger.turn(Arrivals(late=[ledger.answer(claim, "9")]), slots=1)
    assert ledger.counts(job) == {"accepted": 1}


def test_a_late_answer_to_an_earlier_attempt_changes_nothing(ledger: Ledger) -> None:
    job = ledger.load(1, policy="resend")
    (first,) = ledger.claim(1)
    ledger.turn(Arrivals(lost=[ledger.lost(first)]))
    (second,) = ledger.claim(1)
    ledger.turn(Arrivals(late=[ledger.answer(first, "old", status=0x0B)]))
    assert ledger.counts(job) == {"submitting": 1}
    ledger.turn(Arrivals(answered=[ledger.answer(second, "new")]))
    assert ledger.counts(job) == {"accepted": 1}


def test_after_a_crash_what_was_submitting_follows_its_policy_and_the_rest_is_untouched(
    ledger: Ledger,
) -> None:
    held, resent = ledger.load(3), ledger.load(3, policy="resend")
    ledger.claim(4)
    assert recover(ledger.db, ledger.now) == 4
    assert ledger.counts(held) == {"unknown": 3}
    assert ledger.counts(resent) == {"queued": 3}
    assert recover(ledger.db, ledger.now) == 0


def test_a_long_text_fills_the_window_and_goes_on_where_it_stopped(ledger: Ledger) -> None:
    job = ledger.load(2, segments=5)
    turned = ledger.turn(slots=3)
    (claim,) = turned.claims[0]
    assert claim.numbers == (1, 2, 3)
    remainder = turned.remainders[0]
    assert remainder == Remainder(claim.message_id, (4, 5))
    answers = [ledger.answer(claim, f"s{n}", number=n) for n in (1, 2, 3)]
    turned = ledger.turn(Arrivals(answered=answers), slots=3, remainder=remainder)
    rest, following = turned.claims[0]
    assert (rest.message_id, rest.numbers) == (claim.message_id, (4, 5))
    assert following.numbers == (1,)
    assert ledger.counts(job) == {"submitting": 2}


def accept_all(ledger: Ledger, claim: Claim) -> None:
    answers = [ledger.answer(claim, f"{claim.message_id}-{n}", number=n) for n in claim.numbers]
    ledger.turn(Arrivals(answered=answers))


def test_a_long_text_is_delivered_when_each_segment_is(ledger: Ledger) -> None:
    job = ledger.load(1, segments=3)
    (claim,) = ledger.claim(3)
    accept_all(ledger, claim)
    for number in (3, 1):
        ledger.turn(Arrivals(receipts=[ledger.receipt(f"{claim.message_id}-{number}")]))
        assert ledger.counts(job) == {"accepted": 1}
    ledger.turn(Arrivals(receipts=[ledger.receipt(f"{claim.message_id}-2")]))
    assert ledger.counts(job) == {"delivered": 1}


def test_a_long_text_is_undelivered_when_one_segment_is(ledger: Ledger) -> None:
    job = ledger.load(1, segments=2)
    (claim,) = ledger.claim(2)
    accept_all(ledger, claim)
    ledger.turn(Arrivals(receipts=[ledger.receipt(f"{claim.message_id}-1")]))
    ledger.turn(Arrivals(receipts=[ledger.receipt(f"{claim.message_id}-2", "UNDELIV")]))
    assert ledger.counts(job) == {"undelivered": 1}


@pytest.mark.parametrize(("policy", "number"), [("first", 1), ("last", 3)])
def test_one_receipt_is_enough_where_one_segment_asked_for_it(
    ledger: Ledger, policy: str, number: int
) -> None:
    job = ledger.load(1, segments=3)
    (claim,) = ledger.claim(3, receipts=policy)
    accept_all(ledger, claim)
    ledger.turn(Arrivals(receipts=[ledger.receipt(f"{claim.message_id}-{number}")]))
    assert ledger.counts(job) == {"delivered": 1}


def test_a_refused_segment_ends_its_message_and_the_rest_is_not_sent(ledger: Ledger) -> None:
    job = ledger.load(1, segments=5)
    turned = ledger.turn(slots=2)
    (claim,) = turned.claims[0]
    answers = [ledger.answer(claim, "x", number=1), ledger.answer(claim, status=0x0B, number=2)]
    turned = ledger.turn(Arrivals(answered=answers), slots=5, remainder=turned.remainders[0])
    assert turned.claims == {}
    assert turned.remainders == {}
    assert ledger.counts(job) == {"rejected": 1}


def test_a_throttled_segment_of_a_long_text_is_sent_again_alone(ledger: Ledger) -> None:
    job = ledger.load(1, segments=3)
    (claim,) = ledger.claim(3)
    answers = [
        ledger.answer(claim, "a", number=1),
        ledger.answer(claim, status=0x58, number=2),
        ledger.answer(claim, "c", number=3),
    ]
    turned = ledger.turn(Arrivals(answered=answers), slots=3)
    (again,) = turned.claims[0]
    assert again.numbers == (2,)
    ledger.turn(Arrivals(answered=[ledger.answer(again, "b", number=2)]))
    assert ledger.counts(job) == {"accepted": 1}


def test_a_long_text_whose_link_went_down_half_way_sends_only_what_is_missing(
    ledger: Ledger,
) -> None:
    job = ledger.load(1, segments=4)
    turned = ledger.turn(slots=2)
    (claim,) = turned.claims[0]
    accept = [ledger.answer(claim, f"s{n}", number=n) for n in (1, 2)]
    ledger.turn(Arrivals(answered=accept), remainder=turned.remainders[0])
    assert ledger.counts(job) == {"submitting": 1}
    turned = ledger.turn(Arrivals(abandoned=[claim.message_id]), slots=9)
    assert turned.claims[0][0].numbers == (3, 4)


def test_what_waits_too_long_expires_and_is_never_sent(ledger: Ledger) -> None:
    job = ledger.load(3, expires_at=ledger.now + 1000)
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(answered=[ledger.answer(claim, status=0x08)]))
    ledger.now += 1000
    assert ledger.claim(5) == []
    ledger.turn(housekeeping=True)
    assert ledger.counts(job) == {"expired": 3}
    assert ledger.job(job).state == "done"


def test_a_turn_that_fails_records_nothing_and_claims_nothing(ledger: Ledger) -> None:
    job = ledger.load(2)
    (claim,) = ledger.claim(1)
    ledger.db.execute(
        "CREATE TRIGGER full BEFORE UPDATE ON job BEGIN SELECT raise(ABORT, 'disk full'); END"
    )
    with pytest.raises(sqlite3.Error):
        ledger.turn(Arrivals(answered=[ledger.answer(claim)]), slots=1)
    ledger.db.execute("DROP TRIGGER full")
    assert ledger.counts(job) == {"queued": 1, "submitting": 1}
    assert not ledger.db.in_transaction
    ledger.turn(Arrivals(answered=[ledger.answer(claim)]), slots=1)
    assert ledger.counts(job) == {"accepted": 1, "submitting": 1}


def test_a_ledger_that_something_else_has_changed_stops_the_turn(ledger: Ledger) -> None:
    ledger.load(1)
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(answered=[ledger.answer(claim, "1")]))
    with pytest.raises(DatabaseError):
        ledger.turn(Arrivals(answered=[ledger.answer(claim, "1")]))


def test_the_same_job_may_leave_by_several_links_at_once(ledger: Ledger) -> None:
    ledger.load(10)
    demands = [Demand(link, ledger.account, 3, ALL, "every") for link in range(4)]
    turned = turn(ledger.db, Arrivals(), demands, ledger.now)
    ids = [claim.message_id for claims in turned.claims.values() for claim in claims]
    assert [len(turned.claims[link]) for link in range(4)] == [3, 3, 3, 1]
    assert len(set(ids)) == 10
    assert turned.exhausted == {3}


def test_a_thousand_small_jobs_are_claimed_across_in_one_turn(ledger: Ledger) -> None:
    jobs = [ledger.load(1) for _ in range(100)]
    assert [claim.job_id for claim in ledger.claim(100)] == jobs


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "accept", "throttle", "later", "refuse", "lose", "receipt"]),
        st.integers(0, 9),
    ),
    max_size=60,
)


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(STEPS, st.integers(1, 3), st.sampled_from(["hold", "resend"]))
def test_whatever_happens_in_whatever_order_the_counts_stay_true(
    tmp_path_factory: pytest.TempPathFactory,
    ledger: Ledger,
    steps: list[tuple[str, int]],
    segments: int,
    policy: str,
) -> None:
    ledger.load(6, segments=segments, policy=policy, attempts=3)
    flying: list[tuple[Claim, int]] = []
    accepted: list[str] = []
    remainder = None
    for name, pick in steps:
        arrivals = Arrivals()
        if name == "claim":
            turned = ledger.turn(slots=pick, remainder=remainder)
            remainder = turned.remainders.get(0)
            flying += [(c, n) for c in turned.claims.get(0, []) for n in c.numbers]
            ledger.now += FIRST_RETRY_MS
        elif name == "receipt" and accepted:
            arrivals.receipts.append(ledger.receipt(accepted[pick % len(accepted)]))
        elif flying:
            claim, number = flying.pop(pick % len(flying))
            smsc_id = f"{claim.message_id}.{number}.{claim.attempt}"
            if name == "lose":
                arrivals.lost.append(ledger.lost(claim, number))
            else:
                status = {"throttle": 0x58, "later": 0x08, "refuse": 0x0B}.get(name, 0)
                arrivals.answered.append(ledger.answer(claim, smsc_id, status, number))
                if status == 0:
                    accepted.append(smsc_id)
        if arrivals:
            turned = ledger.turn(arrivals, remainder=remainder)
            remainder = turned.remainders.get(0)
        ledger.check()


def test_no_statement_of_the_hot_path_walks_a_whole_table(ledger: Ledger) -> None:
    ledger.load(3)
    statements: list[str] = []
    ledger.db.set_trace_callback(statements.append)
    claims = ledger.claim(1)
    ledger.turn(
        Arrivals(answered=[ledger.answer(claims[0], "7")], receipts=[ledger.receipt("6")]), slots=1
    )
    ledger.db.set_trace_callback(None)
    plans = [
        step
        for sql in set(statements)
        if sql.startswith(("SELECT", "UPDATE", "INSERT", "DELETE"))
        for *_, step in ledger.db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
    ]
    walks = [step for step in plans if step.startswith("SCAN") and "CONSTANT ROW" not in step]
    allowed = ("SCAN parked",)  # only asked whether there is any
    assert [step for step in walks if not step.startswith(allowed)] == []


def test_the_file_is_readable_by_its_owner_alone(ledger: Ledger) -> None:
    for suffix in ("", "-wal", "-shm", "-lock"):
        path = Path(f"{ledger.path}{suffix}")
        assert path.stat().st_mode & 0o077 == 0, path.name


MIXED = ["+33600000001", "+262692000001", "+590690000001", "+33600000002", "+262692000002"]


def test_an_account_is_given_only_the_numbers_of_its_prefixes_and_in_their_order(
    ledger: Ledger,
) -> None:
    ledger.load(recipients_of=MIXED, prefixes=["+262", "+590"])
    (reunion,) = route_ids(ledger.db, ["+262"]).values()
    claims = ledger.claim(10, routes=frozenset({reunion}))
    assert [claim.recipient for claim in claims] == ["+262692000001", "+262692000002"]
    rest = ledger.claim(10)
    assert sorted(claim.recipient for claim in rest) == sorted(set(MIXED) - {MIXED[1], MIXED[4]})


def test_the_longest_prefix_decides_the_route(ledger: Ledger) -> None:
    ledger.load(recipients_of=MIXED, prefixes=["+2", "+262"])
    (reunion,) = route_ids(ledger.db, ["+262"]).values()
    assert len(ledger.claim(10, routes=frozenset({reunion}))) == 2


def test_a_report_holds_every_route_of_a_job(ledger: Ledger) -> None:
    job = ledger.load(recipients_of=MIXED, prefixes=["+262", "+590"])
    assert sorted(row.number for row in report_rows(ledger.db, job)) == sorted(MIXED)


def test_messages_of_every_route_expire(ledger: Ledger) -> None:
    job = ledger.load(recipients_of=MIXED, prefixes=["+262"], expires_at=ledger.now + 1000)
    ledger.now += 1000
    ledger.turn(housekeeping=True)
    assert ledger.counts(job) == {"expired": 5}
    assert ledger.job(job).state == "done"


def test_a_receipt_settles_an_unknown_message_by_where_it_went_when_one_alone_can_be_meant(
    ledger: Ledger,
) -> None:
    job = ledger.load(2)
    first, _ = ledger.claim(2)
    ledger.turn(Arrivals(lost=[ledger.lost(first)]))
    ledger.turn(Arrivals(receipts=[ledger.receipt("77", recipient=first.recipient[1:])]))
    assert ledger.counts(job) == {"unknown": 1, "submitting": 1}
    ledger.now += UNTRIED_MS
    ledger.turn(housekeeping=True)
    assert ledger.counts(job) == {"delivered": 1, "submitting": 1}
    assert receipt_counts(ledger.db)["operator"]["matched"] == 1


def test_a_receipt_that_may_mean_either_of_two_unknown_messages_settles_none(
    ledger: Ledger,
) -> None:
    jobs = [ledger.load(1), ledger.load(1)]
    claims = ledger.claim(2)
    ledger.turn(Arrivals(lost=[ledger.lost(claim) for claim in claims]))
    ledger.turn(Arrivals(receipts=[ledger.receipt("77", recipient=claims[0].recipient[1:])]))
    ledger.now += UNTRIED_MS
    ledger.turn(housekeeping=True)
    assert [ledger.counts(job) for job in jobs] == [{"unknown": 1}] * 2


def test_a_receipt_that_came_before_its_message_became_unknown_settles_it_too(
    ledger: Ledger,
) -> None:
    job = ledger.load(1)
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(receipts=[ledger.receipt("77", recipient=claim.recipient[1:])]))
    ledger.now += UNTRIED_MS
    ledger.turn(housekeeping=True)
    assert ledger.counts(job) == {"submitting": 1}
    ledger.turn(Arrivals(lost=[ledger.lost(claim)]))
    ledger.turn(housekeeping=True)
    assert ledger.counts(job) == {"delivered": 1}


def test_a_notification_of_an_attempt_that_failed_is_not_the_end(ledger: Ledger) -> None:
    job = ledger.load(1)
    (claim,) = ledger.claim(1)
    notification = parse_receipt(b"id:1 stat:UNDELIV err:000", esm_class=0x20)
    assert notification is not None
    early = Received(ledger.account, "auto", claim.recipient[1:], "STMARTIN", notification)
    ledger.turn(Arrivals(receipts=[early]))
    ledger.turn(Arrivals(answered=[ledger.answer(claim)]))
    assert ledger.counts(job) == {"accepted": 1}
    ledger.turn(Arrivals(receipts=[ledger.receipt("1")]))
    assert ledger.counts(job) == {"delivered": 1}


def delivered_in_part(ledger: Ledger) -> tuple[int, Claim]:
    job = ledger.load(1, segments=3)
    (claim,) = ledger.claim(3)
    answers = [ledger.answer(claim, str(number), number=number) for number in (1, 2, 3)]
    ledger.turn(Arrivals(answered=answers))
    ledger.turn(Arrivals(receipts=[ledger.receipt("1")]))
    assert ledger.counts(job) == {"accepted": 1}
    return job, claim


def test_a_long_text_of_which_one_segment_alone_is_told_is_delivered_after_a_while(
    ledger: Ledger,
) -> None:
    job, _ = delivered_in_part(ledger)
    ledger.now += PARTIAL_MS - 1
    ledger.turn(housekeeping=True)
    assert ledger.counts(job) == {"accepted": 1}
    ledger.now += 1
    ledger.turn(housekeeping=True)
    assert ledger.counts(job) == {"delivered": 1}
    ledger.turn(Arrivals(receipts=[ledger.receipt("2")]))
    assert ledger.counts(job) == {"delivered": 1}


def test_a_segment_told_as_undelivered_after_all_makes_its_message_undelivered(
    ledger: Ledger,
) -> None:
    job, _ = delivered_in_part(ledger)
    ledger.now += PARTIAL_MS
    ledger.turn(housekeeping=True)
    ledger.turn(Arrivals(receipts=[ledger.receipt("3", "UNDELIV")]))
    assert ledger.counts(job) == {"undelivered": 1}


def test_what_an_account_does_to_ids_is_learned_and_remembered(ledger: Ledger) -> None:
    job = ledger.load(3)
    claims = ledger.claim(3)
    ids = ("2710", "10", "a")  # 10000, 16 and 10
    ledger.turn(Arrivals(answered=[ledger.answer(c, i) for c, i in zip(claims, ids, strict=True)]))
    ledger.turn(Arrivals(receipts=[ledger.receipt("10000", recipient=claims[0].recipient[1:])]))
    assert ledger.counts(job) == {"delivered": 1, "accepted": 2}
    # As it is this would name the second message; the account has shown that it converts.
    ledger.turn(Arrivals(receipts=[ledger.receipt("10", recipient="hidden")]))
    assert ledger.counts(job) == {"delivered": 1, "accepted": 2}
    ledger.turn(Arrivals(receipts=[ledger.receipt("16", recipient=claims[1].recipient[1:])]))
    assert ledger.counts(job) == {"delivered": 2, "accepted": 1}


def test_an_id_that_fits_as_it_is_is_taken_where_the_smsc_writes_the_number_otherwise(
    ledger: Ledger,
) -> None:
    job = ledger.load(1)
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(answered=[ledger.answer(claim, "0E99")]))
    ledger.turn(Arrivals(receipts=[ledger.receipt("e99", recipient="hidden")]))
    assert ledger.counts(job) == {"delivered": 1}


def test_receipts_settle_the_segments_of_one_unknown_text_in_their_order(ledger: Ledger) -> None:
    job = ledger.load(1, segments=2)
    (claim,) = ledger.claim(2)
    ledger.turn(Arrivals(lost=[ledger.lost(claim, 1), ledger.lost(claim, 2)]))
    ledger.turn(Arrivals(receipts=[ledger.receipt("77"), ledger.receipt("78")]))
    ledger.now += UNTRIED_MS
    ledger.turn(housekeeping=True)
    ledger.turn(housekeeping=True)
    assert ledger.counts(job) == {"delivered": 1}
    ids = ledger.db.execute("SELECT smsc_message_id FROM segment ORDER BY id").fetchall()
    assert ids == [("77",), ("78",)]


def test_what_else_was_told_of_a_settled_unknown_message_counts_as_duplicate(
    ledger: Ledger,
) -> None:
    job = ledger.load(1)
    (claim,) = ledger.claim(1)
    told = [ledger.receipt("77", state) for state in ("ENROUTE", "DELIVRD", "DELIVRD", "ENROUTE")]
    ledger.turn(Arrivals(lost=[ledger.lost(claim)], receipts=told))
    ledger.now += UNTRIED_MS
    ledger.turn(housekeeping=True)
    ledger.turn(housekeeping=True)
    assert ledger.counts(job) == {"delivered": 1}
    assert receipts(ledger) == {"received": 4, "matched": 1, "duplicate": 3}


def test_a_receipt_with_an_id_used_again_waits_for_the_response_of_its_own_message(
    ledger: Ledger,
) -> None:
    job = ledger.load(2)
    first, second = ledger.claim(2)
    ledger.turn(Arrivals(answered=[ledger.answer(first, "9")]))
    ledger.turn(Arrivals(receipts=[ledger.receipt("9", recipient=first.recipient[1:])]))
    early = ledger.receipt("9", "UNDELIV", recipient=second.recipient[1:])
    ledger.turn(Arrivals(receipts=[early]))
    ledger.turn(Arrivals(answered=[ledger.answer(second, "9")]))
    assert ledger.counts(job) == {"delivered": 1, "undelivered": 1}
    assert receipts(ledger) == {"received": 2, "matched": 2}


def test_a_state_that_nobody_knows_stands_in_the_report_until_a_known_one_comes(
    ledger: Ledger,
) -> None:
    job = ledger.load(1)
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(answered=[ledger.answer(claim, "1")]))
    ledger.turn(Arrivals(receipts=[ledger.receipt("1", "SEEN")]))
    assert [row.error for row in report_rows(ledger.db, job)] == ["SEEN err:000"]
    ledger.turn(Arrivals(receipts=[ledger.receipt("1")]))
    assert [row.error for row in report_rows(ledger.db, job)] == [None]
