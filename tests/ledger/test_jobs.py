"""Jobs on a real file: loaded whole or not at all, and told as they stand."""

import itertools
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smppgw.errors import InputError
from smppgw.ledger import audit, jobs
from smppgw.ledger.database import Locks
from smppgw.ledger.jobs import (
    LAST_JOB,
    MESSAGES_AT_ONCE,
    Addressee,
    LinkRow,
    Loading,
    Order,
    discard_abandoned,
    find_job,
    list_jobs,
    report_rows,
)
from smppgw.ledger.turn import MESSAGE_STATES, Arrivals
from tests.ledger.conftest import FAR, START, Ledger
from tests.ledger.process import Other

ORDER = Order(
    job_class="service",
    tenant="saint-martin",
    sender="STMARTIN",
    text="Essai",
    rewrite="keep",
    flash=False,
    label=None,
    key=None,
    attempts=5,
    unknown_policy="hold",
    created_at=START,
    expires_at=FAR,
)
KEYED = replace(ORDER, key="crue-1")


def numbers(count: int, *, fields: str | None = None) -> list[Addressee]:
    return [Addressee(f"+336000{number:05d}", 1, fields) for number in range(count)]


def begin(ledger: Ledger, order: Order = ORDER) -> Loading:
    return Loading(ledger.db, ledger.locks, order)


def load(ledger: Ledger, order: Order, *batches: list[Addressee]) -> int:
    loading = begin(ledger, order)
    for batch in batches:
        loading.add(batch)
    return loading.finish(ledger.now)


def messages(ledger: Ledger) -> int:
    count: int = ledger.db.execute("SELECT count(*) FROM message").fetchone()[0]
    return count


# Whole or absent


def test_a_job_that_is_loading_is_never_claimed_and_then_all_of_it_is(ledger: Ledger) -> None:
    loading = begin(ledger)
    loading.add(numbers(3))
    assert ledger.claim(10) == []
    assert ledger.job(loading.job_id).state == "loading"
    assert not ledger.job(loading.job_id).settled
    loading.finish(ledger.now)
    assert ledger.job(loading.job_id).state == "queued"
    assert len(ledger.claim(10)) == 3


def test_a_job_that_is_loading_counts_for_nothing(ledger: Ledger) -> None:
    loading = begin(ledger)
    loading.add(numbers(3))
    assert jobs.queued_by_class(ledger.db) == {}
    assert jobs.segments_ahead(ledger.db, "promotional") == 0
    loading.finish(ledger.now)
    assert jobs.queued_by_class(ledger.db) == {"service": (3, START)}
    assert jobs.segments_ahead(ledger.db, "promotional") == 3


def test_a_job_keeps_its_order_and_counts_its_segments(ledger: Ledger) -> None:
    order = replace(ORDER, job_class="alert", label="Crue", flash=True)
    job_id = load(ledger, order, [Addressee("+33600000001", 2, None)], numbers(3))
    job = ledger.job(job_id)
    assert (job.job_class, job.tenant, job.sender, job.label) == (
        "alert",
        "saint-martin",
        "STMARTIN",
        "Crue",
    )
    assert (job.created_at, job.total, job.segments) == (START, 4, 5)
    assert job.counts == {state: 4 if state == "queued" else 0 for state in MESSAGE_STATES}


def test_messages_keep_the_order_of_the_list_over_all_batches(ledger: Ledger) -> None:
    addressees = numbers(MESSAGES_AT_ONCE * 2 + 7)
    job_id = load(ledger, ORDER, addressees[:5], addressees[5:])
    rows = list(report_rows(ledger.db, job_id))
    assert [row.number for row in rows] == [a.recipient for a in addressees]


def test_what_is_personal_stays_with_its_message(ledger: Ledger) -> None:
    load(ledger, ORDER, numbers(1, fields='{"nom": "Été"}'), numbers(1))
    assert [claim.fields for claim in ledger.claim(2)] == ['{"nom": "Été"}', None]


def test_a_gateway_can_write_while_a_job_is_loaded(
    ledger: Ledger, opener: Callable[..., sqlite3.Connection]
) -> None:
    gateway = opener(ledger.path)
    gateway.execute("PRAGMA busy_timeout = 0")  # to wait at all is to fail

    def recipients() -> Iterator[Addressee]:
        for position, addressee in enumerate(numbers(MESSAGES_AT_ONCE * 3 + 1)):
            if position % MESSAGES_AT_ONCE == 0:
                jobs.note_gateway(gateway, position, START)
            yield addressee

    loading = begin(ledger)
    loading.add(recipients())
    assert loading.finish(ledger.now)
    assert jobs.gateway_process(ledger.db) == (MESSAGES_AT_ONCE * 3, START)


@pytest.mark.parametrize("ending", ["finish", "discard"])
def test_no_transaction_is_larger_than_a_batch(ledger: Ledger, ending: str) -> None:
    sizes: list[int] = []
    began_at = ledger.db.total_changes

    def trace(statement: str) -> None:
        nonlocal began_at
        if statement.startswith("BEGIN"):
            began_at = ledger.db.total_changes
        elif statement == "COMMIT":
            sizes.append(ledger.db.total_changes - began_at)

    ledger.db.set_trace_callback(trace)
    loading = begin(ledger)
    loading.add(numbers(MESSAGES_AT_ONCE * 2 + 500))
    loading.finish(ledger.now) if ending == "finish" else loading.discard()
    ledger.db.set_trace_callback(None)
    assert max(sizes) <= MESSAGES_AT_ONCE + 1  # and the job's counts
    assert sum(sizes) > MESSAGES_AT_ONCE * (2 if ending == "finish" else 4)


def test_a_discarded_job_leaves_nothing_behind(ledger: Ledger) -> None:
    kept = ledger.load(2)
    loading = begin(ledger, KEYED)
    loading.add(numbers(MESSAGES_AT_ONCE + 1))
    loading.discard()
    assert [job.job_id for job in list_jobs(ledger.db)] == [kept]
    assert messages(ledger) == 2


def test_a_job_that_was_acknowledged_cannot_be_discarded(ledger: Ledger) -> None:
    loading = begin(ledger)
    loading.add(numbers(2))
    job_id = loading.finish(ledger.now)
    loading.discard()
    assert ledger.counts(job_id) == {"queued": 2}
    assert messages(ledger) == 2


# Keys


def test_the_same_key_with_the_same_content_is_the_same_job(ledger: Ledger) -> None:
    job_id = load(ledger, KEYED, numbers(2))
    assert load(ledger, KEYED, numbers(2)) == job_id
    assert ledger.counts(job_id) == {"queued": 2}
    assert messages(ledger) == 2


def test_the_same_key_finds_a_job_that_is_already_done(ledger: Ledger) -> None:
    job_id = load(ledger, KEYED, numbers(1))
    (claim,) = ledger.claim(1)
    ledger.turn(Arrivals(answered=[ledger.answer(claim)]))
    assert ledger.job(job_id).state == "done"
    assert load(ledger, KEYED, numbers(1)) == job_id


@pytest.mark.parametrize(
    "later", [{"label": "Crue"}, {"created_at": START + 9}, {"expires_at": FAR + 9}]
)
def test_when_and_by_what_name_it_was_ordered_is_no_part_of_the_content(
    ledger: Ledger, later: dict[str, object]
) -> None:
    job_id = load(ledger, KEYED, numbers(1))
    assert load(ledger, replace(KEYED, **later), numbers(1)) == job_id  # type: ignore[arg-type]  # any field


OTHERS: list[tuple[dict[str, object], list[Addressee]]] = [
    ({"text": "Autre"}, numbers(2)),
    ({"job_class": "alert"}, numbers(2)),
    ({"tenant": "val-fleuri"}, numbers(2)),
    ({"sender": "VALFLEURI"}, numbers(2)),
    ({"rewrite": "full"}, numbers(2)),
    ({"flash": True}, numbers(2)),
    ({}, numbers(1)),
    ({}, numbers(3)),
    ({}, []),
    ({}, numbers(2)[::-1]),
    ({}, numbers(2, fields='{"nom": "Été"}')),
]


@pytest.mark.parametrize(("changes", "recipients"), OTHERS)
def test_the_same_key_with_other_content_is_refused_and_queues_nothing(
    ledger: Ledger, changes: dict[str, object], recipients: list[Addressee]
) -> None:
    job_id = load(ledger, KEYED, numbers(2))
    other = begin(ledger, replace(KEYED, **changes))  # type: ignore[arg-type]  # any field
    other.add(recipients)
    with pytest.raises(InputError, match=f"belongs to job {job_id}, which has another text"):
        other.finish(ledger.now)
    other.discard()
    assert [job.job_id for job in list_jobs(ledger.db)] == [job_id]
    assert ledger.counts(job_id) == {"queued": 2}


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 30), max_size=5).map(sorted))
def test_it_does_not_matter_to_a_key_how_the_list_is_cut(ledger: Ledger, cuts: list[int]) -> None:
    whole = numbers(30, fields='{"nom": "Été"}')
    edges = [0, *cuts, 30]
    pieces = [whole[start:end] for start, end in itertools.pairwise(edges)]
    assert load(ledger, KEYED, whole) == load(ledger, KEYED, *pieces)


def test_a_discarded_job_gives_its_key_back(ledger: Ledger) -> None:
    loading = begin(ledger, KEYED)
    loading.add(numbers(1))
    loading.discard()
    job_id = load(ledger, replace(KEYED, text="Autre"), numbers(2))
    assert ledger.counts(job_id) == {"queued": 2}


def test_a_key_that_another_process_is_loading_says_to_wait(ledger: Ledger) -> None:
    with closing(Locks(ledger.path)) as others:
        other = Loading(ledger.db, others, KEYED)
        other.add(numbers(1))
        with pytest.raises(InputError, match="is being submitted by another process: wait for it"):
            begin(ledger, KEYED)
        assert other.finish(ledger.now) == load(ledger, KEYED, numbers(1))


def test_jobs_without_a_key_are_never_the_same(ledger: Ledger) -> None:
    assert load(ledger, ORDER, numbers(1)) != load(ledger, ORDER, numbers(1))


# Loaders that die

LOAD = """
import sys, pathlib
from smppgw.ledger.database import Locks, open_database
from smppgw.ledger.jobs import Addressee, Loading, Order
path = pathlib.Path(sys.argv[1])
loading = Loading(open_database(path), Locks(path), Order(
    "service", "saint-martin", "STMARTIN", "Essai", "keep", False, None, "crue-1", 5, "hold",
    1_700_000_000_000, 1_800_000_000_000))
loading.add(Addressee(f"+336000{n:05d}", 1, None) for n in range(int(sys.argv[2])))
print(loading.job_id, flush=True)
sys.stdin.readline()
"""


def test_a_job_whose_loader_was_killed_is_removed_and_one_whose_loader_lives_is_not(
    ledger: Ledger,
) -> None:
    with Other(LOAD, ledger.path, str(MESSAGES_AT_ONCE + 500)) as other:
        job_id = int(other.line())
        assert discard_abandoned(ledger.db, ledger.locks) == 0
        assert ledger.job(job_id).total == MESSAGES_AT_ONCE + 500
        other.kill()
    assert discard_abandoned(ledger.db, ledger.locks) == 1
    assert find_job(ledger.db, job_id) is None
    assert messages(ledger) == 0


def test_the_next_loader_removes_what_a_dead_one_left_and_may_use_its_key(ledger: Ledger) -> None:
    with Other(LOAD, ledger.path, "5") as other:
        assert other.line()
        other.kill()
    job_id = load(ledger, KEYED, numbers(2))
    assert [job.job_id for job in list_jobs(ledger.db)] == [job_id]
    assert messages(ledger) == 2


def test_a_number_of_a_removed_job_is_not_given_again(ledger: Ledger) -> None:
    loading = begin(ledger)
    loading.discard()
    assert load(ledger, ORDER, numbers(1)) > loading.job_id


def test_two_jobs_that_one_process_loads_at_once_leave_each_other_alone(ledger: Ledger) -> None:
    one, other = begin(ledger), begin(ledger)
    for loading in (one, other):
        loading.add(numbers(2))
    assert discard_abandoned(ledger.db, ledger.locks) == 0
    for loading in (one, other):
        assert ledger.counts(loading.finish(ledger.now)) == {"queued": 2}


def test_a_job_that_is_finished_while_it_is_being_found_abandoned_is_kept(ledger: Ledger) -> None:
    others = Locks(ledger.path)
    loader = Loading(ledger.db, others, ORDER)
    loader.add(numbers(3))
    others.close()

    def finish_just_before_the_removal(statement: str) -> None:
        if statement.startswith("BEGIN"):
            ledger.db.set_trace_callback(None)
            with closing(sqlite3.connect(ledger.path, isolation_level=None)) as process:
                loader._db = process
                loader.finish(ledger.now)

    ledger.db.set_trace_callback(finish_just_before_the_removal)
    discard_abandoned(ledger.db, ledger.locks)
    assert ledger.counts(loader.job_id) == {"queued": 3}
    assert len(ledger.claim(5)) == 3


# Routes


def test_a_number_goes_by_the_longest_prefix_that_it_begins_with(ledger: Ledger) -> None:
    ledger.load(
        recipients_of=["+33600000001", "+262692000001", "+262693000001", "+590690000001"],
        prefixes=["+262", "+262693", "+590"],
    )
    routes = jobs.route_ids(ledger.db, ["+262", "+262693", "+590"])
    for prefix, number in (
        ("+262", "+262692000001"),
        ("+262693", "+262693000001"),
        ("+590", "+590690000001"),
    ):
        claims = ledger.claim(9, routes=frozenset({routes[prefix]}))
        assert [claim.recipient for claim in claims] == [number]
    assert [claim.recipient for claim in ledger.claim(9)] == ["+33600000001"]


def test_a_prefix_keeps_its_number(ledger: Ledger) -> None:
    first = jobs.route_ids(ledger.db, ["+262", "+590"])
    again = jobs.route_ids(ledger.db, ["+596", "+590", "+262"])
    assert len(set(again.values())) == 3
    assert 0 not in again.values()  # which is every other number
    assert {prefix: again[prefix] for prefix in first} == first
    assert jobs.route_ids(ledger.db, []) == {}


def test_more_prefixes_than_there_is_room_for_are_refused_and_none_is_kept(ledger: Ledger) -> None:
    with pytest.raises(InputError, match="63 prefixes"):
        jobs.route_ids(ledger.db, [f"+3{number}" for number in range(100, 164)])
    prefixes = [f"+3{number}" for number in range(100, 163)]
    assert sorted(jobs.route_ids(ledger.db, prefixes).values()) == list(range(1, 64))


# What is told


def test_jobs_are_listed_newest_first_and_no_more_than_asked_for(ledger: Ledger) -> None:
    made = [ledger.load(1) for _ in range(4)]
    assert [job.job_id for job in list_jobs(ledger.db)] == made[::-1]
    assert [job.job_id for job in list_jobs(ledger.db, 2)] == made[:1:-1]
    assert list_jobs(ledger.db, 0) == []
    assert list_jobs(ledger.db)[0] == find_job(ledger.db, made[-1])


@pytest.mark.parametrize("job_id", [-(10**30), -1, 0, 2, LAST_JOB, LAST_JOB + 1, 2**63, 10**30])
def test_a_number_that_no_job_has_finds_none(ledger: Ledger, job_id: int) -> None:
    ledger.load(1)
    assert find_job(ledger.db, job_id) is None


def test_the_last_number_of_a_job_is_that_of_the_schema(ledger: Ledger) -> None:
    job_id = ledger.load(1)
    ledger.db.execute("DELETE FROM message")
    ledger.db.execute("DELETE FROM stream")
    ledger.db.execute("UPDATE job SET messages = 0, queued = 0")
    ledger.db.execute("UPDATE job SET id = ? WHERE id = ?", (LAST_JOB, job_id))
    assert ledger.job(LAST_JOB).job_id == LAST_JOB
    with pytest.raises(sqlite3.IntegrityError):
        ledger.db.execute("UPDATE job SET id = ?", (LAST_JOB + 1,))


def test_a_job_is_settled_when_no_message_can_still_change_by_itself(ledger: Ledger) -> None:
    job_id = ledger.load(2)
    settled = [ledger.job(job_id).settled]
    first, second = ledger.claim(2)
    settled.append(ledger.job(job_id).settled)
    ledger.turn(Arrivals(answered=[ledger.answer(first, "1")], lost=[ledger.lost(second)]))
    settled.append(ledger.job(job_id).settled)
    ledger.turn(Arrivals(receipts=[ledger.receipt("1")]))
    settled.append(ledger.job(job_id).settled)
    assert settled == [False, False, False, True]


def test_a_report_tells_what_became_of_each_message_and_when(ledger: Ledger) -> None:
    job_id = ledger.load(4)
    first, second, third = ledger.claim(3)
    ledger.now += 1000
    ledger.turn(
        Arrivals(
            answered=[
                ledger.answer(first, "1"),
                ledger.answer(second, "2"),
                ledger.answer(third, "", 0x0B),
            ]
        )
    )
    ledger.now += 1000
    ledger.turn(Arrivals(receipts=[ledger.receipt("2", "UNDELIV", "33600000001")]))
    rows = [row[:6] for row in report_rows(ledger.db, job_id)]
    assert rows == [
        ("+33600000000", "accepted", START, START + 1000, None, 1),
        ("+33600000001", "undelivered", START, START + 1000, START + 2000, 1),
        ("+33600000002", "rejected", START, None, START + 1000, 1),
        ("+33600000003", "queued", None, None, None, 1),
    ]
    errors = [row.error for row in report_rows(ledger.db, job_id)]
    assert [error is None for error in errors] == [True, False, False, True]


def test_a_report_tells_of_a_long_message_by_its_first_and_last_segment(ledger: Ledger) -> None:
    job_id = ledger.load(1, segments=3)
    turned = ledger.turn(slots=2)
    (claim,) = turned.claims[0]
    ledger.now += 500
    ledger.turn(slots=1, remainder=turned.remainders[0])
    for number in (1, 2, 3):
        ledger.now += 1000
        answer = ledger.answer(claim, str(number), number=number)
        ledger.turn(Arrivals(answered=[answer]))
    (row,) = report_rows(ledger.db, job_id)
    assert (row.submitted_at, row.accepted_at, row.segments) == (START, START + 3500, 3)


@pytest.mark.parametrize(
    "size", [0, 1, MESSAGES_AT_ONCE - 1, MESSAGES_AT_ONCE, MESSAGES_AT_ONCE + 1]
)
def test_a_report_of_any_size_holds_every_message_once_and_no_other_jobs(
    ledger: Ledger, size: int
) -> None:
    ledger.load(3)
    job_id = load(ledger, ORDER, numbers(size))
    ledger.load(3)
    assert [row.number for row in report_rows(ledger.db, job_id)] == [
        addressee.recipient for addressee in numbers(size)
    ]


def test_what_waits_is_told_by_class_with_the_age_of_the_oldest_job(ledger: Ledger) -> None:
    ledger.load(2, job_class="promotional")
    ledger.now += 1000
    ledger.load(3, job_class="promotional")
    ledger.load(1, job_class="alert")
    assert jobs.queued_by_class(ledger.db) == {
        "promotional": (5, START),
        "alert": (1, START + 1000),
    }
    ledger.claim(3)
    assert jobs.queued_by_class(ledger.db) == {"promotional": (3, START + 1000)}


def test_before_a_job_go_the_segments_of_its_class_and_of_those_before_it(ledger: Ledger) -> None:
    ledger.load(1, job_class="alert", segments=2)
    ledger.load(2, job_class="service", segments=3)
    ledger.load(4, job_class="promotional", segments=5)
    ahead = {
        name: jobs.segments_ahead(ledger.db, name) for name in ("alert", "service", "promotional")
    }
    assert ahead == {"alert": 2, "service": 8, "promotional": 28}
    ledger.turn(slots=2)
    assert jobs.segments_ahead(ledger.db, "promotional") == 26


def test_nothing_goes_before_a_job_where_nothing_waits(ledger: Ledger) -> None:
    assert jobs.segments_ahead(ledger.db, "promotional") == 0
    assert jobs.queued_by_class(ledger.db) == {}
    assert jobs.unknown_messages(ledger.db) == 0


def test_messages_of_unknown_outcome_are_counted_over_all_jobs(ledger: Ledger) -> None:
    ledger.load(2)
    ledger.load(1, job_class="promotional")
    ledger.turn(Arrivals(lost=[ledger.lost(claim) for claim in ledger.claim(3)]))
    assert jobs.unknown_messages(ledger.db) == 3


def test_receipts_are_counted_for_each_account_even_where_there_are_none(ledger: Ledger) -> None:
    jobs.account_ids(ledger.db, ["another"])
    ledger.turn(Arrivals(receipts=[ledger.receipt("77")]))
    none = dict.fromkeys(("received", "matched", "parked", "orphan", "duplicate"), 0)
    assert jobs.receipt_counts(ledger.db) == {
        "another": none,
        "operator": none | {"received": 1, "parked": 1},
    }


def test_an_account_keeps_its_id(ledger: Ledger) -> None:
    ids = jobs.account_ids(ledger.db, ["another", "operator"])
    assert ids["operator"] == ledger.account
    assert ids["another"] != ledger.account
    assert jobs.account_ids(ledger.db, ["another"]) == {"another": ids["another"]}


LINK = LinkRow("operator", 1, "bound", None, 10, 3, 20, 17.5)


def test_links_are_told_as_the_gateway_last_wrote_them_down(ledger: Ledger) -> None:
    other = LINK._replace(smsc="another", bind=2, state="backoff", reason="no answer")
    jobs.note_links(ledger.db, [LINK, other])
    assert jobs.links(ledger.db) == [other, LINK]
    changed = LINK._replace(outstanding=0)
    jobs.note_links(ledger.db, [changed])
    assert jobs.links(ledger.db) == [other, changed]


def test_links_are_written_down_all_or_none(ledger: Ledger) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        jobs.note_links(ledger.db, [LINK, LINK._replace(bind=2, state="asleep")])
    assert jobs.links(ledger.db) == []


def test_a_new_gateway_forgets_the_links_of_the_one_before(ledger: Ledger) -> None:
    assert jobs.gateway_process(ledger.db) is None
    jobs.note_gateway(ledger.db, 4711, START)
    jobs.note_links(ledger.db, [LINK])
    jobs.note_gateway(ledger.db, os.getpid(), START + 1)
    assert jobs.gateway_process(ledger.db) == (os.getpid(), START + 1)
    assert jobs.links(ledger.db) == []


def test_the_size_of_the_database_is_that_of_its_file(ledger: Ledger) -> None:
    ledger.load(2000)
    ledger.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert jobs.database_octets(ledger.db) == ledger.path.stat().st_size


# The audit


def test_who_ordered_what_is_in_the_audit_from_the_moment_the_job_is(ledger: Ledger) -> None:
    order = replace(KEYED, exercise=True, purpose="fetes", ordered_by="garde", starts_at=START + 9)
    loading = begin(ledger, order)
    loading.add(numbers(3))
    assert audit.entries(ledger.db) == []
    job_id = loading.finish(ledger.now + 1)
    (entry,) = audit.entries(ledger.db)
    assert entry[1:5] == (ledger.now + 1, "garde", "job.submitted", job_id)
    assert entry.details == {
        "class": "service",
        "tenant": "saint-martin",
        "purpose": "fetes",
        "sender": "STMARTIN",
        "messages": 3,
        "segments": 3,
        "exercise": True,
        "starts_at": START + 9,
    }
    assert load(ledger, order, numbers(3)) == job_id  # the key finds the job that is there
    assert len(audit.entries(ledger.db)) == 1


def test_an_order_of_which_nothing_was_said_is_of_its_class_and_of_now(ledger: Ledger) -> None:
    job = ledger.job(load(ledger, ORDER, numbers(1)))
    assert (job.purpose, job.exercise, job.ordered_by) == ("service", False, "")
    assert job.starts_at == job.created_at
    (entry,) = audit.entries(ledger.db)
    assert entry.details["purpose"] == "service"
    assert entry.details["starts_at"] == START


def test_receipts_are_awaited_for_what_is_accepted_and_not_told_of_yet(ledger: Ledger) -> None:
    assert jobs.receipts_awaited(ledger.db) == 0
    ledger.load(3)
    claims = ledger.claim(2)
    assert jobs.receipts_awaited(ledger.db) == 0
    ledger.turn(Arrivals(answered=[ledger.answer(one, f"{at}") for at, one in enumerate(claims)]))
    assert jobs.receipts_awaited(ledger.db) == 2
    ledger.turn(Arrivals(receipts=[ledger.receipt("1", recipient=claims[1].recipient[1:])]))
    assert jobs.receipts_awaited(ledger.db) == 1
