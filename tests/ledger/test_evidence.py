"""What the ledger says of a job to somebody who was not there."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from smppgw.ledger import audit
from smppgw.ledger.evidence import Sent, job_ordered, messages_sent, note_written, snapshot
from smppgw.ledger.jobs import MESSAGES_AT_ONCE
from smppgw.ledger.turn import Arrivals
from tests.ledger.conftest import FAR, START, Ledger


def numbers_and(ledger: Ledger, job: int, *fields: str) -> list[tuple[object, ...]]:
    return [
        tuple(getattr(message, field) for field in fields)
        for message in messages_sent(ledger.db, job)
    ]


def test_a_message_tells_its_times_its_operators_id_and_its_end(ledger: Ledger) -> None:
    job = ledger.load(1)
    (claim,) = ledger.claim(1)
    ledger.now += 10
    ledger.turn(Arrivals(answered=[ledger.answer(claim, "0E99")]))
    ledger.now += 100
    ledger.turn(Arrivals(receipts=[ledger.receipt("0E99", "UNDELIV")]))
    assert list(messages_sent(ledger.db, job)) == [
        Sent(
            "+33600000000", "undelivered", START, START + 10, START + 110, 1, "operator",
            ("0E99",), "UNDELIV err:000",
        )
    ]  # fmt: skip


def test_what_has_not_happened_yet_is_none(ledger: Ledger) -> None:
    job = ledger.load(2)
    ledger.claim(1)
    assert numbers_and(ledger, job, "state", "submitted_at", "accepted_at", "done_at", "smsc") == [
        ("submitting", START, None, None, "operator"),
        ("queued", None, None, None, None),
    ]


def test_a_long_text_is_accepted_with_its_last_segment_and_has_the_ids_of_all_in_order(
    ledger: Ledger,
) -> None:
    job = ledger.load(1, segments=3)
    (claim,) = ledger.claim(3)
    # Answered backwards, with ids whose own order is none.
    for ident, number in (("c,1", 3), ("a 2", 1)):
        ledger.now += 1
        ledger.turn(Arrivals(answered=[ledger.answer(claim, ident, number=number)]))
    assert numbers_and(ledger, job, "accepted_at", "smsc_message_ids") == [(None, ("a 2", "c,1"))]
    ledger.now += 1
    ledger.turn(Arrivals(answered=[ledger.answer(claim, "b;3", number=2)]))
    ledger.turn(Arrivals(receipts=[ledger.receipt("a 2")]))
    assert numbers_and(ledger, job, "accepted_at", "smsc_message_ids", "done_at") == [
        (START + 3, ("a 2", "b;3", "c,1"), None)
    ]


def test_what_the_operator_refused_has_an_end_and_was_never_accepted(ledger: Ledger) -> None:
    job = ledger.load(1)
    (claim,) = ledger.claim(1)
    ledger.now += 5
    ledger.turn(Arrivals(answered=[ledger.answer(claim, status=0x0B)]))
    assert numbers_and(ledger, job, "state", "accepted_at", "done_at") == [
        ("rejected", None, START + 5)
    ]


def test_messages_come_in_the_order_of_the_list_however_many_there_are(ledger: Ledger) -> None:
    count = 2 * MESSAGES_AT_ONCE + 1
    job = ledger.load(count)
    ledger.load(1)  # of which nothing is told
    assert [number for (number,) in numbers_and(ledger, job, "number")] == [
        f"+336000{number:05d}" for number in range(count)
    ]
    empty = ledger.load(MESSAGES_AT_ONCE)
    assert len(list(messages_sent(ledger.db, empty))) == MESSAGES_AT_ONCE


def test_a_job_is_told_as_it_was_ordered(ledger: Ledger) -> None:
    job_id = ledger.load(1, text="Essai", expires_at=FAR)
    found = job_ordered(ledger.db, job_id)
    assert found is not None
    job, ordered = found
    assert job == ledger.job(job_id)
    assert ordered[:5] == ("Essai", None, None, "keep", False)
    assert ordered.expires_at == FAR
    assert ordered.content is not None
    assert job_ordered(ledger.db, 99) is None


def test_a_text_that_retention_took_is_none_whatever_stands_in_its_place(ledger: Ledger) -> None:
    job_id = ledger.load(1)
    ledger.db.execute("UPDATE job SET text_purged_at = 7, numbers_purged_at = 8")
    found = job_ordered(ledger.db, job_id)
    assert found is not None
    assert found[1][:3] == (None, 7, 8)


def test_within_a_snapshot_nothing_changes_while_the_gateway_goes_on(
    ledger: Ledger, opener: Callable[[Path], sqlite3.Connection]
) -> None:
    job = ledger.load(2)
    reader = opener(ledger.path)
    with snapshot(reader):
        before = list(messages_sent(reader, job))
        ledger.claim(2)
        assert list(messages_sent(reader, job)) == before
    assert [message.state for message in messages_sent(reader, job)] == ["submitting"] * 2


def test_a_snapshot_ends_also_where_something_goes_wrong_inside(ledger: Ledger) -> None:
    with pytest.raises(KeyError), snapshot(ledger.db):
        raise KeyError
    assert not ledger.db.in_transaction


def test_that_a_proof_was_written_stands_in_the_audit_with_its_hash(ledger: Ledger) -> None:
    job = ledger.load(1)
    note_written(ledger.db, START + 3, "garde", job, sha256="ab" * 32, form="html", numbers="clear")
    entry = audit.entries(ledger.db, job_id=job)[-1]
    assert entry[1:5] == (START + 3, "garde", "proof.written", job)
    assert entry.details == {"sha256": "ab" * 32, "format": "html", "numbers": "clear"}
