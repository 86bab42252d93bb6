"""One person's data: all of it is told, and all of it goes."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from smppgw.errors import GatewayRunningError
from smppgw.ledger import audit
from smppgw.ledger.database import Database, Locks
from smppgw.ledger.inbound import Inbound
from smppgw.ledger.optouts import OptOut, add, blocked
from smppgw.ledger.person import Erased, Person, erase, export, rewrite_file, traces
from smppgw.ledger.retention import Periods, checkpoint, purge
from smppgw.ledger.turn import Arrivals
from smppgw.ledger.upkeep import verify
from tests.ledger.conftest import START, Ledger
from tests.ledger.test_retention import DAY, HASHER, failed

NUMBER, OTHER = "+33600000001", "+33600000002"
PERSONAL = "Bonjour {prenom}, l’eau sera coupée"


def load(ledger: Ledger, *numbers: str, text: str = PERSONAL) -> int:
    fields = '{"prenom": "Zoé"}' if "{" in text else None
    return ledger.load(recipients_of=numbers, fields=fields, text=text)


def deliver(ledger: Ledger) -> None:
    """Send what waits; its receipts tell of failure and quote the text."""
    while claims := ledger.claim(100):
        ledger.turn(Arrivals(answered=[ledger.answer(c, f"{c.message_id:x}") for c in claims]))
        ledger.turn(
            Arrivals(
                receipts=[
                    failed(ledger, c.recipient, f"{c.message_id:x}", "Bonjour Zoé") for c in claims
                ]
            )
        )


def write(ledger: Ledger, source: str, text: str, short_message: bytes | None = None) -> None:
    octets = text.encode() if short_message is None else short_message
    esm_class = 0 if short_message is None else 0x40
    inbound = Inbound(ledger.account, source, "STMARTIN", esm_class, 0, octets, {}, "gsm7")
    ledger.turn(Arrivals(inbound=[inbound]))


def object_to(ledger: Ledger, number: str) -> None:
    entry = OptOut("saint-martin", "all", number, "sms", "STOP, signed Zoe")
    add(ledger.db, HASHER, [entry], "gateway", START)


def told(ledger: Ledger, number: str = NUMBER, now: int = START) -> Person:
    return export(ledger.db, HASHER, number, "FR", now, "dpo")


def gone(ledger: Ledger, number: str = NUMBER, now: int = START) -> Erased:
    return erase(ledger.db, HASHER, number, "FR", now, "dpo")


def test_everything_about_a_number_is_told_with_the_text_as_it_was_read(ledger: Ledger) -> None:
    job = load(ledger, NUMBER, OTHER)
    deliver(ledger)
    write(ledger, "33600000001", "Merci")
    write(ledger, "33600000002", "Not this one")
    object_to(ledger, NUMBER)
    person = told(ledger)
    (message,), (text,), (optout,) = person.messages, person.texts, person.optouts
    assert (message.job_id, message.state, message.text) == (
        job,
        "undelivered",
        "Bonjour Zoé, l’eau sera coupée",
    )
    assert (message.created_at, message.submitted_at, message.done_at) == (START, START, START)
    assert (message.error, message.exercise, message.hashed) == ("UNDELIV err:005", False, False)
    assert (text.text, text.smsc, text.destination) == ("Merci", "operator", "STMARTIN")
    assert (optout.purpose, optout.channel, optout.text) == ("all", "sms", "STOP, signed Zoe")
    assert person.number_hash == HASHER.of(NUMBER)


def test_a_message_that_never_left_is_told_without_times(ledger: Ledger) -> None:
    load(ledger, NUMBER)
    (message,) = told(ledger).messages
    assert (message.state, message.submitted_at, message.done_at) == ("queued", None, None)


def test_what_is_kept_as_a_hash_alone_is_found_by_its_number(ledger: Ledger) -> None:
    load(ledger, NUMBER)
    deliver(ledger)
    write(ledger, NUMBER, "Merci")
    object_to(ledger, NUMBER)
    purge(ledger.db, HASHER, Periods(1, 1, 10**15), START + 1, "dpo")
    person = told(ledger)
    assert [(m.text, m.hashed) for m in person.messages] == [(None, True)]
    assert [(t.text, t.hashed) for t in person.texts] == [(None, True)]
    assert [(o.text, o.hashed) for o in person.optouts] == [("STOP, signed Zoe", True)]


def test_a_text_is_found_however_the_smsc_wrote_the_number(ledger: Ledger) -> None:
    for source in ("33600000001", "+33600000001", "0033600000001", "0600000001", "600000001"):
        write(ledger, source, source)
    write(ledger, "0700000001", "another line with the same last digits")
    write(ledger, "+262600000001", "and another country")
    assert len(told(ledger).texts) == 5
    assert gone(ledger).texts == 5
    left = ledger.db.execute("SELECT count(*) FROM inbound WHERE text <> ''").fetchone()
    assert left == (2,)


def test_nothing_is_told_of_a_number_that_is_not_there(ledger: Ledger) -> None:
    load(ledger, OTHER)
    person = told(ledger)
    assert (person.messages, person.texts, person.optouts, person.in_transit) == ([], [], [], 0)


def test_erasing_leaves_the_hash_and_the_states_and_nobody_else_loses_anything(
    ledger: Ledger,
) -> None:
    job = load(ledger, NUMBER, OTHER)
    deliver(ledger)
    counts, other = ledger.counts(job), told(ledger, OTHER)
    erased = gone(ledger)
    assert (erased.messages, erased.suppressed, erased.complete) == (1, 0, True)
    assert ledger.counts(job) == counts
    assert told(ledger, OTHER) == other
    (message,) = told(ledger).messages
    assert (message.state, message.text, message.hashed) == ("undelivered", None, True)


def test_what_waits_for_the_number_is_never_sent_and_its_job_counts_it_as_suppressed(
    ledger: Ledger,
) -> None:
    job, alone = load(ledger, NUMBER, OTHER), load(ledger, NUMBER)
    assert gone(ledger).suppressed == 2
    assert ledger.counts(job) == {"queued": 1, "suppressed": 1}
    assert ledger.counts(alone) == {"suppressed": 1}
    assert ledger.job(alone).state == "done"
    claimable = ledger.db.execute("SELECT id >> 6 FROM stream WHERE ready_at IS NOT NULL")
    assert claimable.fetchall() == [(job,)]
    assert [claim.recipient for claim in ledger.claim(10)] == [OTHER]
    assert list(verify(ledger.db)) == []


def test_a_text_for_this_person_alone_goes_too(ledger: Ledger) -> None:
    alone = load(ledger, NUMBER, text="Bonjour Zoé")
    shared = load(ledger, NUMBER, OTHER, text="Bonjour à tous")
    deliver(ledger)
    gone(ledger)
    rows = dict(ledger.db.execute("SELECT id, text FROM job").fetchall())
    assert rows == {alone: "", shared: "Bonjour à tous"}


def test_what_is_on_its_way_keeps_its_number_until_its_receipt_and_is_erased_then(
    ledger: Ledger,
) -> None:
    job = load(ledger, NUMBER)
    (claim,) = ledger.claim(1)
    object_to(ledger, NUMBER)
    submitting = gone(ledger)
    assert (submitting.moving, submitting.messages, submitting.optouts) == (1, 0, 0)
    ledger.turn(Arrivals(answered=[ledger.answer(claim, "a1")]))
    assert gone(ledger).moving == 1
    ledger.turn(Arrivals(receipts=[ledger.receipt("a1", recipient=NUMBER[1:])]))
    assert ledger.counts(job) == {"delivered": 1}
    erased = gone(ledger)
    assert (erased.moving, erased.messages, erased.optouts) == (0, 1, 1)


def test_a_receipt_is_waited_for_no_longer_than_operators_try_and_not_where_none_was_asked_for(
    ledger: Ledger,
) -> None:
    load(ledger, NUMBER)
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(answered=[ledger.answer(claim, "a1")]))
    assert gone(ledger, now=START + 7 * DAY - 1).moving == 1
    assert gone(ledger, now=START + 7 * DAY).complete
    load(ledger, OTHER)
    (claim,) = ledger.claim(1, receipts="none")
    ledger.turn(Arrivals(answered=[ledger.answer(claim, "a2")]))
    assert gone(ledger, OTHER).complete


def test_a_job_that_is_being_submitted_is_left_alone_and_told(ledger: Ledger) -> None:
    job = load(ledger, NUMBER)
    ledger.db.execute("UPDATE job SET state = 'loading'")
    assert gone(ledger).moving == 1
    ledger.db.execute("UPDATE job SET state = 'queued'")
    assert ledger.counts(job) == {"queued": 1}


def test_optouts_go_on_to_silence_by_their_hash_and_what_the_person_wrote_goes(
    ledger: Ledger,
) -> None:
    object_to(ledger, NUMBER)
    assert gone(ledger).optouts == 1
    row = ledger.db.execute("SELECT recipient, text, channel, added_at FROM optout").fetchone()
    assert row == (None, None, "sms", START)
    assert NUMBER in blocked(ledger.db, HASHER, "saint-martin", "service", "purpose")


def test_a_stop_that_the_gateway_has_not_read_yet_is_left_for_it(ledger: Ledger) -> None:
    write(ledger, NUMBER, "STOP")
    ledger.db.execute("UPDATE inbound SET asks = 'stop'")
    erased = gone(ledger)
    assert (erased.asking, erased.texts, erased.complete) == (1, 0, False)
    assert ledger.db.execute("SELECT source, text FROM inbound").fetchone() == (NUMBER, "STOP")


def test_parts_of_texts_go_and_receipts_that_wait_are_still_counted(ledger: Ledger) -> None:
    write(ledger, NUMBER, "", bytes((5, 0, 3, 7, 2, 1)) + b"half of a text")
    ledger.turn(Arrivals(receipts=[ledger.receipt("99", recipient=NUMBER[1:])]))
    assert told(ledger).in_transit == 2
    assert gone(ledger).in_transit == 2
    assert told(ledger).in_transit == 0
    parked = ledger.db.execute("SELECT recipient, receipt FROM parked").fetchall()
    assert parked == [(f"#{HASHER.of(NUMBER)}", "")]
    ledger.check()
    ledger.now += 2 * 3_600_000
    ledger.turn(housekeeping=True)
    ledger.check()


def test_erasing_again_finds_nothing_and_changes_nothing(ledger: Ledger) -> None:
    load(ledger, NUMBER, OTHER)
    deliver(ledger)
    write(ledger, NUMBER, "Merci")
    gone(ledger)
    again = gone(ledger)
    assert again == Erased(HASHER.of(NUMBER))


def test_both_are_in_the_audit_by_hash_and_without_a_number(ledger: Ledger) -> None:
    load(ledger, NUMBER)
    before = len(audit.entries(ledger.db))
    told(ledger)
    gone(ledger)
    entries = audit.entries(ledger.db)[before:]
    assert [(e.actor, e.action, e.details["person"]) for e in entries] == [
        ("dpo", "person.exported", HASHER.of(NUMBER)),
        ("dpo", "person.erased", HASHER.of(NUMBER)),
    ]
    assert "600000001" not in repr(entries)


def test_of_many_messages_each_transaction_takes_a_few_hundred(ledger: Ledger) -> None:
    for _ in range(3):
        load(ledger, *[NUMBER] * 150)
    assert gone(ledger).suppressed == 450
    assert list(verify(ledger.db)) == []


def test_no_octet_of_the_file_or_its_log_holds_the_number_afterwards(
    ledger: Ledger, opener: Callable[[Path], Database]
) -> None:
    numbers = [f"+336000{at:05d}" for at in range(500)]
    for _ in range(3):
        load(ledger, *numbers)
        deliver(ledger)
    load(ledger, *numbers)
    victims = numbers[3::50]
    for number in victims:
        write(ledger, number, f"Merci, {number}")
        write(ledger, number, "", bytes((5, 0, 3, 7, 2, 1)) + b"half")
        object_to(ledger, number)
        ledger.turn(Arrivals(receipts=[ledger.receipt("99", recipient=number[1:])]))
    eraser = opener(ledger.path)
    for number in victims:
        assert erase(eraser, HASHER, number, "FR", START, "dpo").complete
    assert checkpoint(ledger.db)
    assert {number: traces(ledger.path, number) for number in victims} == dict.fromkeys(victims, 0)
    log = ledger.path.with_name(ledger.path.name + "-wal").read_bytes()
    octets = ledger.path.read_bytes() + log
    assert not [number for number in victims if number[3:].encode() in octets]
    assert len(set(re.findall(rb"336000[0-9]{5}", octets))) == len(numbers) - len(victims)


def test_traces_are_found_in_the_file_and_in_the_log_and_across_blocks(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    path.write_bytes(bytes((1 << 20) - 5) + b"33600000001" + bytes(100) + b"33600000001")
    (tmp_path / "some.db-wal").write_bytes(b"33600000001")
    assert traces(path, NUMBER) == 3
    assert traces(path, OTHER) == 0


def test_a_file_written_anew_has_no_unused_space_left_and_a_gateway_is_never_disturbed(
    ledger: Ledger,
) -> None:
    ledger.db.execute("PRAGMA secure_delete = OFF")
    load(ledger, NUMBER)
    ledger.db.execute("DELETE FROM message")
    ledger.db.execute("DELETE FROM job")
    checkpoint(ledger.db)
    assert traces(ledger.path, NUMBER) == 1
    gateway, ours = Locks(ledger.path), Locks(ledger.path)
    gateway.take_gateway()
    with pytest.raises(GatewayRunningError):
        rewrite_file(ledger.db, ours)
    gateway.close()
    rewrite_file(ledger.db, ours)
    checkpoint(ledger.db)
    ours.close()
    assert traces(ledger.path, NUMBER) == 0
