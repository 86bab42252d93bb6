"""Opt-outs on a real file: whom they silence, what proves them, and STOPs answered exactly once."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smppgw.errors import DatabaseError
from smppgw.ledger import audit
from smppgw.ledger.claim import CONFIRMATION, POLICIES
from smppgw.ledger.database import transaction
from smppgw.ledger.hashing import Hasher
from smppgw.ledger.inbound import Inbound, record
from smppgw.ledger.jobs import Addressee, Loading, Order, list_jobs, route_ids
from smppgw.ledger.optouts import (
    ENTRIES_AT_ONCE,
    Applied,
    Confirmation,
    OptOut,
    add,
    add_learned,
    apply_stops,
    blocked,
    find_senders,
    list_optouts,
    purposes_of,
    remove,
    require_key,
)
from smppgw.ledger.turn import Arrivals
from smppgw.ledger.upkeep import verify

from .conftest import FAR, Ledger

HASHER = Hasher(b"k" * 32)
A, B, C = "+33600000001", "+33600000002", "+33600000003"
MARTIN, DENIS = "saint-martin", "saint-denis"
SENDERS = {MARTIN: "STMARTIN", DENIS: "36222"}
CONFIRMED = Confirmation("STMARTIN", "C'est fait.", "gentle", 1, 3_600_000)


def entry(
    number: str = A, *, tenant: str = MARTIN, purpose: str = "fetes", channel: str = "command"
) -> OptOut:
    return OptOut(tenant, purpose, number, channel, "demande par téléphone")


def put(ledger: Ledger, *entries: OptOut) -> int:
    return add(ledger.db, HASHER, entries, "secretary", ledger.now)


def forget(ledger: Ledger, number: str) -> None:
    """What retention does."""
    ledger.db.execute("UPDATE optout SET recipient = NULL WHERE recipient = ?", (number,))


def send(
    ledger: Ledger,
    *recipients: str,
    purpose: str = "fetes",
    tenant: str = MARTIN,
    sender: str = "STMARTIN",
    leave: bool = True,
) -> int:
    """Make a job; returns its number."""
    order = Order(
        "service", tenant, sender, "Essai", "keep", False, None, None, 5, "hold", ledger.now, FAR,
        purpose,
    )  # fmt: skip
    loading = Loading(ledger.db, ledger.locks, order)
    loading.add(Addressee(number, 1, None) for number in recipients)
    job_id = loading.finish(ledger.now)
    if leave:
        assert len(ledger.claim(len(recipients))) == len(recipients)
    return job_id


def receive(
    ledger: Ledger, text: str = "STOP", *, source: str = A[1:], destination: str = "36222"
) -> None:
    came = Inbound(ledger.account, source, destination, 0, 3, text.encode("latin-1"), {}, "gsm7")
    with transaction(ledger.db):
        record(ledger.db, [came], ledger.now)


def stop(ledger: Ledger, confirmations: dict[str, Confirmation] | None = None) -> Applied:
    """Look up what the texts that ask answer to, and apply it."""
    found = find_senders(ledger.db, SENDERS)
    return apply_stops(ledger.db, HASHER, found, ledger.now, confirmations=confirmations)


def lists(ledger: Ledger) -> set[tuple[str, str, str | None]]:
    return {(row.tenant, row.purpose, row.number) for row in list_optouts(ledger.db)}


def asking(ledger: Ledger) -> int:
    count: int = ledger.db.execute(
        "SELECT count(*) FROM inbound WHERE asks IS NOT NULL"
    ).fetchone()[0]
    return count


# Added and removed


def test_an_opt_out_is_kept_with_when_and_how_it_came_and_what_was_written(ledger: Ledger) -> None:
    assert put(ledger, entry()) == 1
    (row,) = list_optouts(ledger.db)
    assert row == (
        MARTIN, "fetes", A, HASHER.of(A), ledger.now, "command", "demande par téléphone",
    )  # fmt: skip


def test_one_that_is_there_already_changes_nothing(ledger: Ledger) -> None:
    put(ledger, entry())
    before = list_optouts(ledger.db), audit.entries(ledger.db)
    ledger.now += 1000
    assert put(ledger, entry()._replace(text="encore", channel="file")) == 0
    assert (list_optouts(ledger.db), audit.entries(ledger.db)) == before


def test_one_that_is_known_by_its_hash_alone_is_there_already(ledger: Ledger) -> None:
    put(ledger, entry())
    forget(ledger, A)
    assert put(ledger, entry()) == 0
    assert [row.number for row in list_optouts(ledger.db)] == [None]


def test_a_list_twice_as_long_as_a_transaction_is_added_whole(ledger: Ledger) -> None:
    count = 2 * ENTRIES_AT_ONCE + 1
    numbers = [f"+336000{number:05d}" for number in range(count)]
    assert put(ledger, *map(entry, [*numbers, *numbers])) == count
    assert len(list_optouts(ledger.db)) == count
    told = [len(one.details["recipients"]) for one in audit.entries(ledger.db)]
    assert told == [ENTRIES_AT_ONCE, ENTRIES_AT_ONCE, 1]


def test_a_list_that_ends_in_a_fault_is_added_as_far_as_its_whole_transactions(
    ledger: Ledger,
) -> None:
    good = [entry(f"+336000{number:05d}") for number in range(ENTRIES_AT_ONCE)]
    with pytest.raises(Exception, match="CHECK constraint"):
        put(ledger, *good, entry(B), entry(A, channel="nowhere"))
    assert len(list_optouts(ledger.db)) == ENTRIES_AT_ONCE
    assert len(audit.entries(ledger.db)) == 1


@pytest.mark.parametrize(
    ("channel", "action"),
    [
        ("command", "optout.added"),
        ("sms", "optout.added"),
        ("receipt", "optout.added"),
        ("response", "optout.added"),
        ("file", "optout.imported"),
    ],
)
def test_the_audit_tells_who_added_what_by_its_hash_and_never_by_its_number(
    ledger: Ledger, channel: str, action: str
) -> None:
    put(ledger, entry(channel=channel))
    (told,) = audit.entries(ledger.db)
    assert (told.at, told.actor, told.action, told.job_id) == (
        ledger.now, "secretary", action, None,
    )  # fmt: skip
    assert told.details == {
        "tenant": MARTIN,
        "purpose": "fetes",
        "channel": channel,
        "recipients": [HASHER.of(A)],
    }
    written = json.dumps(told.details)
    assert A[1:] not in written
    assert "demande" not in written


def test_what_is_removed_is_off_that_list_alone_and_in_the_audit(ledger: Ledger) -> None:
    put(
        ledger, entry(), entry(B), entry(purpose="all"), entry(purpose="ecole"),
        entry(tenant=DENIS),
    )  # fmt: skip
    assert remove(ledger.db, HASHER, MARTIN, "fetes", [A, C, A], "secretary", ledger.now) == 1
    assert lists(ledger) == {
        (MARTIN, "fetes", B),
        (MARTIN, "all", A),
        (MARTIN, "ecole", A),
        (DENIS, "fetes", A),
    }
    told = audit.entries(ledger.db)[-1]
    assert (told.action, told.details) == (
        "optout.removed",
        {"tenant": MARTIN, "purpose": "fetes", "recipients": [HASHER.of(A)]},
    )


def test_one_that_is_known_by_its_hash_alone_can_be_removed(ledger: Ledger) -> None:
    put(ledger, entry())
    forget(ledger, A)
    assert remove(ledger.db, HASHER, MARTIN, "fetes", [A], "secretary", ledger.now) == 1
    assert list_optouts(ledger.db) == []


def test_removing_what_is_not_there_changes_nothing(ledger: Ledger) -> None:
    put(ledger, entry())
    assert remove(ledger.db, HASHER, MARTIN, "fetes", [B], "secretary", ledger.now) == 0
    assert len(audit.entries(ledger.db)) == 1


def test_they_are_listed_newest_first_by_tenant_and_purpose(ledger: Ledger) -> None:
    for number in (A, B, C):
        put(ledger, entry(number), entry(number, purpose="all"), entry(number, tenant=DENIS))
        ledger.now += 1
    found = list_optouts(ledger.db, tenant=MARTIN, purpose="fetes")
    assert [row.number for row in found] == [C, B, A]
    assert {row.tenant for row in found} == {MARTIN}
    assert len(list_optouts(ledger.db)) == 9
    assert len(list_optouts(ledger.db, tenant=MARTIN)) == 6
    assert [row.number for row in list_optouts(ledger.db, MARTIN, "all", 2)] == [C, B]


def test_the_purposes_of_a_number_are_told_whether_it_is_in_clear_or_not(ledger: Ledger) -> None:
    put(ledger, entry(), entry(purpose="all"), entry(B), entry(tenant=DENIS))
    forget(ledger, A)
    assert purposes_of(ledger.db, HASHER, MARTIN, A) == ["all", "fetes"]
    assert purposes_of(ledger.db, HASHER, MARTIN, C) == []


def test_a_ledger_with_opt_outs_is_sound(ledger: Ledger) -> None:
    put(ledger, entry(), entry(B))
    remove(ledger.db, HASHER, MARTIN, "fetes", [B], "secretary", ledger.now)
    assert list(verify(ledger.db)) == []
    assert list(audit.verify(ledger.db)) == []


# Whom a job may not be sent to


@pytest.mark.parametrize(
    ("policy", "silenced"),
    [
        ("any", {("fetes", MARTIN), ("ecole", MARTIN), ("all", MARTIN)}),
        ("purpose", {("fetes", MARTIN), ("all", MARTIN)}),
        ("all", {("all", MARTIN)}),
    ],
)
@pytest.mark.parametrize("hashed", [False, True])
def test_each_policy_silences_what_it_says(
    ledger: Ledger, policy: str, silenced: set[tuple[str, str]], hashed: bool
) -> None:
    number = {}
    for at, one in enumerate((p, t) for p in ("fetes", "ecole", "all") for t in (MARTIN, DENIS)):
        number[one] = f"+3360000001{at}"
        put(ledger, entry(number[one], purpose=one[0], tenant=one[1]))
        if hashed:
            forget(ledger, number[one])
    found = blocked(ledger.db, HASHER, MARTIN, "fetes", policy)
    assert {one for one in number if number[one] in found} == silenced
    assert len(found) == len(silenced)
    assert A not in found


def test_there_is_a_policy_for_every_word_of_the_configuration(ledger: Ledger) -> None:
    assert set(POLICIES) == {"any", "purpose", "all"}
    assert [A in blocked(ledger.db, HASHER, MARTIN, "x", policy) for policy in POLICIES] == [
        False
    ] * 3


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=30),
    st.lists(st.integers(0, 40), max_size=10),
)
def test_a_number_is_blocked_exactly_if_it_is_on_the_list(
    ledger: Ledger, listed: list[tuple[int, bool]], asked: list[int]
) -> None:
    ledger.db.execute("DELETE FROM optout")
    for number, hashed in listed:
        put(ledger, entry(f"+336000000{number:02d}"))
        if hashed:
            forget(ledger, f"+336000000{number:02d}")
    found = blocked(ledger.db, HASHER, MARTIN, "fetes", "purpose")
    on_it = {number for number, _ in listed}
    for number in asked:
        assert (f"+336000000{number:02d}" in found) == (number in on_it)


def test_another_key_is_noticed_before_it_does_harm(ledger: Ledger) -> None:
    put(ledger, entry(), entry(B))
    other = Hasher(b"o" * 32)
    with pytest.raises(DatabaseError, match=r"another key.*key_file.*backup"):
        require_key(ledger.db, other)
    with pytest.raises(DatabaseError):
        add(ledger.db, other, [entry(C)], "secretary", ledger.now)
    with pytest.raises(DatabaseError):
        remove(ledger.db, other, MARTIN, "fetes", [A], "secretary", ledger.now)
    assert A in blocked(ledger.db, other, MARTIN, "fetes", "purpose")  # it is there in clear
    forget(ledger, A)
    with pytest.raises(DatabaseError):
        blocked(ledger.db, other, MARTIN, "fetes", "purpose")
    assert lists(ledger) == {(MARTIN, "fetes", None), (MARTIN, "fetes", B)}
    require_key(ledger.db, HASHER)


# STOPs of phones


def test_a_stop_names_the_purpose_of_what_it_answers_to(ledger: Ledger) -> None:
    send(ledger, A, B, purpose="ecole")
    send(ledger, A, B, purpose="fetes")
    send(ledger, B, purpose="voirie")
    receive(ledger, "Stop svp")
    applied = stop(ledger)
    assert lists(ledger) == {(MARTIN, "fetes", A)}
    assert applied == ([OptOut(MARTIN, "fetes", A, "sms", "Stop svp")], 0)
    (row,) = list_optouts(ledger.db)
    assert (row.channel, row.text, row.added_at) == ("sms", "Stop svp", ledger.now)
    assert asking(ledger) == 0


def test_it_answers_to_the_sender_that_it_was_written_to_where_there_is_one(
    ledger: Ledger,
) -> None:
    send(ledger, A, tenant=DENIS, sender="36222", purpose="ecole")
    send(ledger, A, tenant=DENIS, sender="36222", purpose="voirie")
    send(ledger, A, tenant=MARTIN, sender="STMARTIN", purpose="fetes")
    receive(ledger, destination="36222")
    receive(ledger, destination="36999")
    found = find_senders(ledger.db, SENDERS)
    assert [one.lists for one in found] == [((DENIS, "voirie"),), ((MARTIN, "fetes"),)]


def test_where_that_sender_never_wrote_to_the_phone_the_newest_message_counts(
    ledger: Ledger,
) -> None:
    send(ledger, B, tenant=DENIS, sender="36222", purpose="ecole")
    send(ledger, A, purpose="fetes")
    receive(ledger, destination="36222")
    assert [one.lists for one in find_senders(ledger.db, SENDERS)] == [((MARTIN, "fetes"),)]


def test_what_never_left_is_not_what_a_stop_answers_to(ledger: Ledger) -> None:
    send(ledger, A, purpose="ecole")
    send(ledger, A, purpose="fetes", leave=False)
    receive(ledger)
    stop(ledger)
    assert lists(ledger) == {(MARTIN, "ecole", A)}


def test_what_the_smsc_refused_is_not_what_a_stop_answers_to(ledger: Ledger) -> None:
    send(ledger, A, purpose="ecole")
    send(ledger, A, purpose="fetes", leave=False)
    (claim,) = ledger.claim(1)
    refused = ledger.answer(claim, status=0x0B)  # ESME_RINVDSTADR
    ledger.turn(Arrivals(answered=[refused]))
    receive(ledger)
    stop(ledger)
    assert lists(ledger) == {(MARTIN, "ecole", A)}


def test_the_confirmation_of_a_stop_is_not_what_another_stop_answers_to(ledger: Ledger) -> None:
    send(ledger, A, purpose="fetes")
    receive(ledger)
    assert stop(ledger, {MARTIN: CONFIRMED}).confirmations == 1
    assert len(ledger.claim(1)) == 1
    remove(ledger.db, HASHER, MARTIN, "fetes", [A], "secretary", ledger.now)
    receive(ledger)
    stop(ledger)
    assert lists(ledger) == {(MARTIN, "fetes", A)}


def test_a_stop_from_nobody_known_is_kept_for_the_tenants_of_that_sender(ledger: Ledger) -> None:
    receive(ledger, destination="36222")
    stop(ledger)
    assert lists(ledger) == {(DENIS, "promotional", A)}


def test_a_stop_to_nobody_known_is_kept_for_every_tenant(ledger: Ledger) -> None:
    receive(ledger, destination="36999")
    stop(ledger)
    assert lists(ledger) == {(MARTIN, "promotional", A), (DENIS, "promotional", A)}


def test_stop_all_silences_every_purpose_of_the_tenant_that_it_answers_to(ledger: Ledger) -> None:
    send(ledger, A)
    receive(ledger, "STOP TOUT")
    stop(ledger)
    assert lists(ledger) == {(MARTIN, "all", A)}


def test_stop_all_from_nobody_known_silences_every_tenant(ledger: Ledger) -> None:
    receive(ledger, "Stop tout", destination="36999")
    stop(ledger)
    assert lists(ledger) == {(MARTIN, "all", A), (DENIS, "all", A)}


@pytest.mark.parametrize("source", ["33600000001", "0600000001", "+33600000001", "0033600000001"])
def test_the_number_of_the_phone_is_known_however_the_smsc_writes_it(
    ledger: Ledger, source: str
) -> None:
    send(ledger, A)
    receive(ledger, source=source)
    stop(ledger)
    assert lists(ledger) == {(MARTIN, "fetes", A)}


def test_a_text_that_asks_for_nothing_changes_nothing(ledger: Ledger) -> None:
    send(ledger, A)
    receive(ledger, "Merci")
    receive(ledger, "Je m'arrête au stop de la place")
    assert find_senders(ledger.db, SENDERS) == []
    assert stop(ledger) == ([], 0)


def test_finding_changes_nothing_and_reads_beside_an_open_turn(
    ledger: Ledger, opener: Callable[[Path], sqlite3.Connection]
) -> None:
    send(ledger, A)
    receive(ledger)
    reader = opener(ledger.path)
    reader.execute("PRAGMA query_only = ON")
    with transaction(ledger.db):
        found = find_senders(reader, SENDERS)
    assert [one.lists for one in found] == [((MARTIN, "fetes"),)]
    assert asking(ledger) == 1


def test_many_stops_are_found_in_the_order_in_which_they_came_and_so_many_at_once(
    ledger: Ledger,
) -> None:
    numbers = [f"+336000001{number:02d}" for number in range(30)]
    send(ledger, *numbers, purpose="fetes")
    send(ledger, *numbers[::2], purpose="ecole")
    for number in numbers:
        receive(ledger, source=number[1:])
    found = find_senders(ledger.db, SENDERS, limit=20)
    assert [one.number for one in found] == numbers[:20]
    assert [one.lists[0][1] for one in found] == ["ecole", "fetes"] * 10
    stop(ledger)
    assert asking(ledger) == 0
    assert len(list_optouts(ledger.db)) == 30


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["36222", "STMARTIN", "36333"])), max_size=12
    ),
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from(["36222", "36333", "36999"])), max_size=6
    ),
)
def test_one_walk_finds_what_a_plain_search_for_each_finds(
    ledger: Ledger, sent: list[tuple[int, str]], written: list[tuple[int, str]]
) -> None:
    for table in ("inbound", "segment", "message", "stream", "job"):
        ledger.db.execute(f"DELETE FROM {table}")
    jobs = [
        (send(ledger, f"+3360000000{phone}", sender=sender, purpose=f"p{at}"), phone, sender)
        for at, (phone, sender) in enumerate(sent)
    ]
    for phone, destination in written:
        receive(ledger, source=f"3360000000{phone}", destination=destination)
    found = find_senders(ledger.db, SENDERS)
    for (phone, destination), answer in zip(written, found, strict=True):
        mine = [(sender == destination, job) for job, to, sender in jobs if to == phone]
        if mine:
            purpose = ledger.db.execute(
                "SELECT purpose FROM job WHERE id = ?", (max(mine)[1],)
            ).fetchone()[0]
            assert answer.lists == ((MARTIN, purpose),)
        else:
            assert {purpose for _, purpose in answer.lists} == {"promotional"}


def test_applied_twice_a_stop_does_nothing_the_second_time(ledger: Ledger) -> None:
    send(ledger, A)
    receive(ledger)
    found = find_senders(ledger.db, SENDERS)
    confirmations = {MARTIN: CONFIRMED}
    first = apply_stops(ledger.db, HASHER, found, ledger.now, confirmations=confirmations)
    remove(ledger.db, HASHER, MARTIN, "fetes", [A], "secretary", ledger.now)
    again = apply_stops(ledger.db, HASHER, found, ledger.now, confirmations=confirmations)
    assert (len(first.added), first.confirmations) == (1, 1)
    assert again == ([], 0)
    assert lists(ledger) == set()
    assert len(list_jobs(ledger.db)) == 2


def test_stops_are_applied_whole_or_not_at_all(ledger: Ledger) -> None:
    send(ledger, A)
    receive(ledger)
    found = find_senders(ledger.db, SENDERS)
    faulty = CONFIRMED._replace(segments=0)  # which the ledger's rules forbid
    with pytest.raises(Exception, match="CHECK constraint"):
        apply_stops(ledger.db, HASHER, found, ledger.now, confirmations={MARTIN: faulty})
    assert asking(ledger) == 1
    assert lists(ledger) == set()
    assert [one.action for one in audit.entries(ledger.db)] == ["job.submitted"]


def test_the_gateway_stands_in_the_audit_for_what_phones_asked(ledger: Ledger) -> None:
    send(ledger, A)
    receive(ledger)
    stop(ledger)
    told = audit.entries(ledger.db)[-1]
    assert (told.actor, told.action) == ("gateway", "optout.added")
    assert told.details["channel"] == "sms"


# Confirmations


def test_a_stop_is_confirmed_once_by_one_message_of_its_tenant(ledger: Ledger) -> None:
    campaign = send(ledger, A, B)
    for _ in range(3):
        receive(ledger)
    receive(ledger, source=B[1:])
    applied = stop(ledger, {MARTIN: CONFIRMED})
    assert (len(applied.added), applied.confirmations) == (2, 2)
    job, before = list_jobs(ledger.db)
    assert before.job_id == campaign
    assert (job.job_class, job.tenant, job.sender, job.total, job.segments) == (
        "service", MARTIN, "STMARTIN", 2, 2,
    )  # fmt: skip
    assert stop(ledger, {MARTIN: CONFIRMED}) == ([], 0)
    assert [claim.recipient for claim in ledger.claim(10)] == [A, B]
    assert list(verify(ledger.db)) == []


def test_a_confirmation_leaves_although_its_recipient_opted_out_of_everything(
    ledger: Ledger,
) -> None:
    send(ledger, A)
    receive(ledger, "STOP TOUT")
    stop(ledger, {MARTIN: CONFIRMED})
    turned = ledger.turn(slots=1)
    (claim,) = turned.claims[0]
    assert claim.recipient == A
    text = turned.jobs[claim.job_id]
    assert (text.text, text.sender, text.expires_at) == (
        "C'est fait.", "STMARTIN", ledger.now + 3_600_000,
    )  # fmt: skip


def test_a_confirmation_is_attempted_once_and_never_sent_again(ledger: Ledger) -> None:
    send(ledger, A)
    receive(ledger)
    stop(ledger, {MARTIN: CONFIRMED})
    (claim,) = ledger.claim(1)
    job = list_jobs(ledger.db)[0].job_id
    ledger.turn(Arrivals(lost=[ledger.lost(claim)]))
    assert ledger.counts(job) == {"unknown": 1}
    assert ledger.claim(1) == []


def test_the_purpose_of_a_confirmation_is_its_own_and_in_the_audit(ledger: Ledger) -> None:
    send(ledger, A)
    receive(ledger)
    stop(ledger, {MARTIN: CONFIRMED})
    job = list_jobs(ledger.db)[0].job_id
    (told,) = audit.entries(ledger.db, job_id=job)
    assert (told.actor, told.action) == ("gateway", "job.submitted")
    assert told.details["purpose"] == CONFIRMATION
    assert told.details["messages"] == 1
    row = ledger.db.execute(
        "SELECT purpose, attempts, unknown_policy, ordered_by FROM job WHERE id = ?", (job,)
    ).fetchone()
    assert row == (CONFIRMATION, 1, "hold", "gateway")


def test_whoever_is_put_on_several_lists_is_told_once(ledger: Ledger) -> None:
    receive(ledger, destination="36999")
    confirmations = {MARTIN: CONFIRMED, DENIS: CONFIRMED._replace(sender="36222")}
    applied = stop(ledger, confirmations)
    assert (len(applied.added), applied.confirmations) == (2, 1)
    (job,) = list_jobs(ledger.db)
    assert (job.tenant, job.sender) == (MARTIN, "STMARTIN")


def test_a_tenant_without_a_confirmation_sends_none(ledger: Ledger) -> None:
    send(ledger, A)
    receive(ledger)
    assert stop(ledger, {DENIS: CONFIRMED}).confirmations == 0
    assert len(list_jobs(ledger.db)) == 1


def test_what_is_no_phone_number_is_put_on_the_list_and_not_written_to(ledger: Ledger) -> None:
    for source in ("36555", "MAIRIE", ""):
        receive(ledger, source=source)
    applied = stop(ledger, {DENIS: CONFIRMED})
    assert (len(applied.added), applied.confirmations) == (3, 0)
    assert list_jobs(ledger.db) == []
    assert asking(ledger) == 0


def test_a_confirmation_goes_the_route_of_its_number(ledger: Ledger) -> None:
    routes = route_ids(ledger.db, ["+262", "+2626", "+590"])
    island, other = "+262692000001", "+590690000001"
    for number in (island, A, other):
        receive(ledger, source=number[1:])
    stop(ledger, {DENIS: CONFIRMED._replace(prefixes=("+262", "+2626", "+596"))})
    claims = ledger.claim(5, routes=frozenset({routes["+2626"]}))
    assert [claim.recipient for claim in claims] == [island]
    claims = ledger.claim(5, routes=frozenset({0}))
    assert [claim.recipient for claim in claims] == [A, other]


# What operators tell


def test_what_an_operator_tells_is_put_on_the_list_of_the_job(ledger: Ledger) -> None:
    send(ledger, A, B, purpose="ecole")
    rows = ledger.db.execute("SELECT id FROM message ORDER BY id").fetchall()
    (first,), (second,) = rows
    ledger.db.execute("UPDATE message SET error = 'UNDELIV err:053' WHERE id = ?", (first,))
    refused = [(first, "receipt"), (second, "response"), (first, "receipt"), (99, "receipt")]
    assert add_learned(ledger.db, HASHER, refused, ledger.now) == 2
    assert add_learned(ledger.db, HASHER, refused, ledger.now) == 0
    newest, oldest = list_optouts(ledger.db)
    assert oldest[:3] + oldest[4:] == (
        MARTIN, "ecole", A, ledger.now, "receipt", "UNDELIV err:053",
    )  # fmt: skip
    assert (newest.number, newest.channel, newest.text) == (B, "response", None)
    assert audit.entries(ledger.db)[-1].actor == "gateway"


def test_what_an_operator_tells_of_a_confirmation_or_a_forgotten_number_is_nothing_new(
    ledger: Ledger,
) -> None:
    send(ledger, A)
    receive(ledger)
    stop(ledger, {MARTIN: CONFIRMED})
    message_ids = [row[0] for row in ledger.db.execute("SELECT id FROM message ORDER BY id")]
    ledger.db.execute(
        "UPDATE message SET recipient = '#' || recipient WHERE id = ?", message_ids[:1]
    )
    before = lists(ledger)
    refused = [(message_id, "receipt") for message_id in message_ids]
    assert add_learned(ledger.db, HASHER, refused, ledger.now) == 0
    assert lists(ledger) == before
