"""Retention: what is taken away when, what stays, and that nobody has to wait for it."""

import re
import sqlite3
from pathlib import Path

import pytest

from smppgw.errors import DatabaseError
from smppgw.ledger import audit
from smppgw.ledger.database import open_database
from smppgw.ledger.hashing import Hasher
from smppgw.ledger.inbound import Inbound
from smppgw.ledger.jobs import report_rows
from smppgw.ledger.optouts import OptOut, add, blocked
from smppgw.ledger.retention import (
    BEGINNING,
    KINDS,
    MESSAGES_AT_ONCE,
    Periods,
    Purged,
    checkpoint,
    due,
    purge,
    purge_some,
)
from smppgw.ledger.turn import Arrivals, Received
from smppgw.smpp import parse_receipt
from tests.ledger.conftest import START, Ledger

DAY = 86_400_000
PERIODS = Periods(text_ms=30 * DAY, number_ms=180 * DAY, audit_ms=1825 * DAY)
HASHER = Hasher(bytes(range(32)))
NUMBER = "+33600000000"
FIELDS = '{"prenom": "Zoé"}'


def send(
    ledger: Ledger, recipients: int = 1, *, fields: str | None = FIELDS, text: str = "Bonjour"
) -> int:
    """Send a job to its end: every receipt tells of failure, and begins to quote the text."""
    job = ledger.load(recipients, fields=fields, text=text)
    while claims := ledger.claim(500):
        answers = [ledger.answer(claim, f"{claim.message_id:x}") for claim in claims]
        ledger.turn(Arrivals(answered=answers))
        receipts = [failed(ledger, c.recipient, f"{c.message_id:x}", text) for c in claims]
        ledger.turn(Arrivals(receipts=receipts))
    assert ledger.job(job).state == "done"
    return job


def failed(ledger: Ledger, number: str, smsc_id: str, text: str) -> Received:
    """Make a receipt of failure that quotes the text, as some SMSCs do."""
    receipt = parse_receipt(f"id:{smsc_id} stat:UNDELIV err:005 text:{text}".encode())
    assert receipt is not None
    return Received(ledger.account, "auto", number[1:], "STMARTIN", receipt)


def write(ledger: Ledger, text: str = "Merci", source: str = NUMBER) -> None:
    """Have a phone write."""
    inbound = Inbound(ledger.account, source, "STMARTIN", 0, 0, text.encode(), {}, "gsm7")
    ledger.turn(Arrivals(inbound=[inbound]))


def texts(ledger: Ledger, job: int) -> tuple[object, ...]:
    row: tuple[object, ...] = ledger.db.execute(
        "SELECT text, (SELECT count(fields) FROM message WHERE id >> 32 = ?1),"
        " (SELECT count(receipt) FROM segment WHERE id >> 40 = ?1) FROM job WHERE id = ?1",
        (job,),
    ).fetchone()
    return row


def numbers(ledger: Ledger, job: int) -> list[str]:
    return [row.number for row in report_rows(ledger.db, job)]


def round_of(ledger: Ledger, now: int, periods: Periods = PERIODS) -> dict[str, int]:
    done = purge(ledger.db, HASHER, periods, now, "dpo")
    return {kind: count for kind, count in done.items() if count}


def test_texts_fields_and_raw_receipts_go_when_the_text_period_is_over_and_numbers_stay(
    ledger: Ledger,
) -> None:
    job = send(ledger, 3)
    assert texts(ledger, job) == ("Bonjour", 3, 3)
    assert round_of(ledger, START + 30 * DAY) == {
        "job_texts": 1,
        "personal_fields": 3,
        "receipts": 3,
    }
    assert texts(ledger, job) == ("", 0, 0)
    assert numbers(ledger, job) == ["+33600000000", "+33600000001", "+33600000002"]


def test_nothing_goes_before_its_period_is_over(ledger: Ledger) -> None:
    job = send(ledger, 3)
    write(ledger)
    assert round_of(ledger, START + 30 * DAY - 1) == {}
    assert texts(ledger, job) == ("Bonjour", 3, 3)


def test_a_job_that_has_not_ended_keeps_everything(ledger: Ledger) -> None:
    job = ledger.load(2, fields=FIELDS)
    assert round_of(ledger, START + 400 * DAY) == {}
    assert texts(ledger, job)[:2] == ("Essai", 2)


def test_numbers_become_the_hash_of_each_and_counts_states_and_errors_stay(
    ledger: Ledger,
) -> None:
    job = send(ledger, 2)
    counts, rows = ledger.counts(job), list(report_rows(ledger.db, job))
    assert round_of(ledger, START + 180 * DAY)["message_numbers"] == 2
    assert list(report_rows(ledger.db, job)) == [
        row._replace(number=f"#{HASHER.of(row.number)}") for row in rows
    ]
    assert ledger.counts(job) == counts
    assert ledger.db.execute("SELECT content FROM job").fetchone() == (None,)


def test_texts_from_phones_go_first_and_their_numbers_later(ledger: Ledger) -> None:
    write(ledger, "Merci beaucoup")
    assert round_of(ledger, START + 30 * DAY) == {"inbound_texts": 1}
    row = ledger.db.execute("SELECT source, text, octets FROM inbound").fetchone()
    assert row == (NUMBER, "", b"")
    assert round_of(ledger, START + 180 * DAY) == {"inbound_numbers": 1}
    row = ledger.db.execute("SELECT source FROM inbound").fetchone()
    assert row == (f"#{HASHER.of(NUMBER)}",)


def test_a_stop_that_nobody_has_read_yet_keeps_its_number_and_text(ledger: Ledger) -> None:
    write(ledger, "STOP")
    ledger.db.execute("UPDATE inbound SET asks = 'stop'")
    assert round_of(ledger, START + 400 * DAY) == {}


def test_of_an_optout_the_hash_and_the_proof_stay_and_go_on_to_silence(ledger: Ledger) -> None:
    add(ledger.db, HASHER, [OptOut("saint-martin", "all", NUMBER, "sms", "STOP")], "gateway", START)
    assert round_of(ledger, START + 180 * DAY) == {"optout_numbers": 1}
    row = ledger.db.execute("SELECT recipient, recipient_hash, text FROM optout").fetchone()
    assert row == (None, HASHER.of(NUMBER), "STOP")
    assert NUMBER in blocked(ledger.db, HASHER, "saint-martin", "service", "purpose")


def test_an_optout_keeps_its_number_while_a_job_from_before_it_may_still_send(
    ledger: Ledger,
) -> None:
    ledger.load(1)
    add(ledger.db, HASHER, [OptOut("saint-martin", "all", NUMBER, "sms", "STOP")], "gateway", START)
    assert round_of(ledger, START + 180 * DAY) == {}
    ledger.claim(1)
    assert ledger.counts(1) == {"suppressed": 1}
    ledger.now = START + DAY
    assert round_of(ledger, START + 180 * DAY)["optout_numbers"] == 1


def test_a_round_that_is_cut_short_after_any_slice_is_finished_by_the_next(
    ledger: Ledger, tmp_path: Path
) -> None:
    send(ledger, 2 * MESSAGES_AT_ONCE + 5)
    write(ledger)
    now = START + 180 * DAY
    begun = tmp_path / "begun.db"

    def state(db: sqlite3.Connection) -> list[object]:
        tables = "job", "message", "segment", "inbound"
        return [db.execute(f"SELECT * FROM {table}").fetchall() for table in tables]

    whole = []
    for cut in range(12):
        begun.unlink(missing_ok=True)
        with sqlite3.connect(begun) as copy:
            ledger.db.backup(copy)
        copy.close()
        db = open_database(begun)
        purged = BEGINNING
        for _ in range(cut):
            if purged.more:
                purged = purge_some(db, HASHER, PERIODS, now, "dpo", purged)
        purge(db, HASHER, PERIODS, now, "dpo")
        whole.append(state(db))
        db.close()
    assert all(one == whole[0] for one in whole)
    assert "+336" not in repr(whole[0])
    assert "Zo" not in repr(whole[0])


def test_a_slice_changes_a_thousand_messages_at_most_and_turns_go_on_between(
    ledger: Ledger,
) -> None:
    send(ledger, 2 * MESSAGES_AT_ONCE + 5)
    purged, slices = BEGINNING, 0
    while purged.more:
        before = ledger.db.total_changes
        purged = purge_some(ledger.db, HASHER, PERIODS, START + 180 * DAY, "dpo", purged)
        assert ledger.db.total_changes - before <= 2 * MESSAGES_AT_ONCE + 3  # with their receipts
        assert not ledger.db.in_transaction
        slices += 1
        alert = ledger.load(1, job_class="alert")
        assert [claim.job_id for claim in ledger.claim(1)] == [alert]
    assert slices >= 6


def test_long_messages_make_smaller_slices(ledger: Ledger) -> None:
    ledger.load(300, segments=10)
    ledger.db.execute("UPDATE message SET state = 'rejected'")
    ledger.db.execute(
        "UPDATE job SET state = 'done', queued = 0, rejected = 300, finished_at = ?", (START,)
    )
    purged = purge_some(ledger.db, HASHER, PERIODS, START + 30 * DAY, "dpo")
    assert purged.after & 0xFFFF == 200
    assert round_of(ledger, START + 180 * DAY)["message_numbers"] == 300


def test_what_is_counted_beforehand_is_what_is_then_done(ledger: Ledger) -> None:
    send(ledger, 7)
    write(ledger)
    add(ledger.db, HASHER, [OptOut("saint-martin", "all", NUMBER, "sms", "STOP")], "gateway", START)
    for days in (1, 29, 30, 179, 180, 181, 1824, 1826, 1826):
        counted = due(ledger.db, PERIODS, START + days * DAY)
        assert tuple(counted) == KINDS
        assert counted == purge(ledger.db, HASHER, PERIODS, START + days * DAY, "dpo")
    assert not any(due(ledger.db, PERIODS, START + 1826 * DAY).values())


def test_a_round_is_one_entry_of_the_audit_and_one_that_does_nothing_is_none(
    ledger: Ledger,
) -> None:
    send(ledger, 3)
    before = len(audit.entries(ledger.db))
    done = round_of(ledger, START + 30 * DAY)
    round_of(ledger, START + 30 * DAY)
    entries = audit.entries(ledger.db)[before:]
    assert [(e.at, e.actor, e.action, e.details) for e in entries] == [
        (START + 30 * DAY, "dpo", "purge.done", done)
    ]


def test_the_audit_goes_by_its_own_period_in_slices_and_its_chain_stays_sound(
    ledger: Ledger,
) -> None:
    ledger.db.execute("BEGIN IMMEDIATE")
    for entry in range(2 * MESSAGES_AT_ONCE + 10):
        audit.note(ledger.db, START + entry, "dpo", "config.changed")
    ledger.db.execute("COMMIT")
    now = START + PERIODS.audit_ms + 2 * MESSAGES_AT_ONCE
    purged, taken = BEGINNING, 0
    while purged.more:
        purged = purge_some(ledger.db, HASHER, PERIODS, now, "dpo", purged)
        so_far = purged.counts.get("audit_entries", 0)
        assert so_far - taken <= MESSAGES_AT_ONCE
        taken = so_far
    assert taken == 2 * MESSAGES_AT_ONCE
    assert [entry.action for entry in audit.entries(ledger.db)][-2:] == [
        "config.changed",
        "purge.done",
    ]
    assert list(audit.verify(ledger.db)) == []


def test_with_another_key_nothing_is_taken_away(ledger: Ledger) -> None:
    job = send(ledger)
    add(ledger.db, HASHER, [OptOut("saint-martin", "all", NUMBER, "sms", "STOP")], "gateway", START)
    with pytest.raises(DatabaseError):
        purge(ledger.db, Hasher(bytes(32)), PERIODS, START + 400 * DAY, "dpo")
    assert texts(ledger, job) == ("Bonjour", 1, 1)
    assert numbers(ledger, job) == [NUMBER]


def test_a_receipt_that_comes_after_all_is_recorded_for_a_number_that_is_a_hash(
    ledger: Ledger,
) -> None:
    job = ledger.load(1)
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(answered=[ledger.answer(claim, "77")]))
    round_of(ledger, START + 180 * DAY)
    assert numbers(ledger, job) == [f"#{HASHER.of(NUMBER)}"]
    ledger.turn(Arrivals(receipts=[ledger.receipt("77")]), housekeeping=True)
    assert ledger.counts(job) == {"delivered": 1}


def test_raw_receipts_that_came_after_the_text_was_taken_go_with_the_number(
    ledger: Ledger,
) -> None:
    job = ledger.load(1)
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(answered=[ledger.answer(claim, "77")]))
    round_of(ledger, START + 30 * DAY)
    ledger.turn(Arrivals(receipts=[ledger.receipt("77", "UNDELIV")]))
    assert texts(ledger, job) == ("", 0, 1)
    assert round_of(ledger, START + 180 * DAY)["receipts"] == 1
    assert texts(ledger, job) == ("", 0, 0)


def test_what_is_taken_away_is_nowhere_in_the_file_once_the_log_is_emptied(
    ledger: Ledger,
) -> None:
    send(ledger, 3000, text="Coupure d'eau à Saint-Martin")
    write(ledger, "Merci beaucoup")
    round_of(ledger, START + 180 * DAY)
    assert checkpoint(ledger.db)
    log = ledger.path.with_name(ledger.path.name + "-wal")
    octets = ledger.path.read_bytes() + log.read_bytes()
    assert re.findall(rb"336000[0-9]{5}", octets) == []
    for secret in ("Zoé", "Coupure d'eau", "Merci"):
        assert secret.encode() not in octets, secret


def test_emptying_the_log_waits_for_nobody_and_says_when_it_could_not(ledger: Ledger) -> None:
    send(ledger)
    reader = open_database(ledger.path)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM job").fetchall()
    ledger.load(1)
    assert not checkpoint(ledger.db)
    reader.execute("COMMIT")
    reader.close()
    assert checkpoint(ledger.db)
    assert ledger.db.execute("PRAGMA busy_timeout").fetchone() == (30_000,)


def test_a_round_ends_with_what_it_did_and_nothing_more_to_do(ledger: Ledger) -> None:
    purged = BEGINNING
    while purged.more:
        purged = purge_some(ledger.db, HASHER, PERIODS, START, "dpo", purged)
    assert purged == Purged({}, False, purged.step, 0)
