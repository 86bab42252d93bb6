"""Which segments leave, on a real file: fair shares, hours, opt-outs, and nothing mixed up."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smppgw.ledger import steer
from smppgw.ledger.claim import (
    CLOCK_MARGIN_MS,
    CONFIRMATION,
    SUPPRESSED_AT_ONCE,
    Claim,
    Demand,
    Remainder,
)
from smppgw.ledger.database import Locks, open_database
from smppgw.ledger.hashing import Hasher
from smppgw.ledger.jobs import account_ids, route_ids
from smppgw.ledger.optouts import OptOut, add
from smppgw.ledger.turn import FIRST_RETRY_MS, Arrivals, Rules, Turned, turn
from smppgw.ledger.upkeep import verify
from smppgw.shares import Shares

from .conftest import ALL, START, Ledger

MARTIN, DENIS, AIX = "saint-martin", "saint-denis", "aix"
HASHER = Hasher(b"k" * 32)
NUMBER = "+336000{:05d}".format
HOUR_MS = 3_600_000
LONG = 5  # segments


def tenants_of(ledger: Ledger) -> dict[int, str]:
    return dict(ledger.db.execute("SELECT id, tenant FROM job").fetchall())


def accept(ledger: Ledger, claims: Sequence[Claim]) -> Arrivals:
    """Have every segment of these claims accepted."""
    return Arrivals(
        answered=[
            ledger.answer(claim, f"{claim.message_id}-{number}", number=number)
            for claim in claims
            for number in claim.numbers
        ]
    )


class Sending:
    """One link that writes whatever it claims, turn after turn, and has it accepted."""

    def __init__(self, ledger: Ledger, slots: int) -> None:
        self.ledger = ledger
        self.slots = slots
        self.shares = Shares()
        self.remainder: Remainder | None = None
        self.claims: list[Claim] = []
        self.segments: list[int] = []  # the job of each

    def turn(self) -> bool:
        """Take a turn; returns whether something left."""
        turned = self.ledger.turn(
            accept(self.ledger, self.claims),
            slots=self.slots,
            shares=self.shares,
            remainder=self.remainder,
        )
        self.claims = turned.claims.get(0, [])
        self.remainder = turned.remainders.get(0)
        for claim in self.claims:
            self.segments += [claim.job_id] * len(claim.numbers)
        return bool(self.claims)

    def until(self, segments: int) -> list[str]:
        """Send so many segments, or all there are; returns the tenant of each."""
        while len(self.segments) < segments and self.turn():
            pass
        tenants = tenants_of(self.ledger)
        return [tenants[job_id] for job_id in self.segments]


def last_of(tenant: str, served: Sequence[str]) -> int:
    return max(at for at, one in enumerate(served, 1) if one == tenant)


def opt_out(
    ledger: Ledger, number: str, *, tenant: str = MARTIN, purpose: str = "fetes", at: int = 0
) -> None:
    entry = OptOut(tenant, purpose, number, "command")
    add(ledger.db, HASHER, [entry], "secretary", at or ledger.now)


def silence(policy: str) -> Rules:
    return Rules({"service": policy})


def settle(ledger: Ledger) -> None:
    assert list(verify(ledger.db)) == []


# Shares


@pytest.mark.parametrize("slots", [1, 7, 100])
@pytest.mark.parametrize("first", [MARTIN, DENIS])
def test_a_job_of_50_is_through_after_100_segments_beside_one_of_50000(
    ledger: Ledger, slots: int, first: str
) -> None:
    for tenant in (first, DENIS if first == MARTIN else MARTIN):
        large = tenant == MARTIN
        numbers = [NUMBER(n) for n in range(50_000 if large else 50)]
        ledger.load(recipients_of=numbers, tenant=tenant)
    served = Sending(ledger, slots).until(150)
    assert served.count(DENIS) == 50
    assert last_of(DENIS, served) <= 100 + slots


@pytest.mark.parametrize("slots", [1, 7, 100])
def test_long_texts_count_by_their_segments(ledger: Ledger, slots: int) -> None:
    ledger.load(300, tenant=MARTIN, segments=LONG)
    ledger.load(300, tenant=DENIS)
    sending = Sending(ledger, slots)
    served = sending.until(400)
    assert abs(Counter(served[:400])[MARTIN] - 200) <= 2 * (slots + LONG)
    settle(ledger)


@pytest.mark.parametrize("slots", [1, 7, 100])
def test_three_tenants_have_a_third_each_and_one_that_comes_later_has_it_from_then_on(
    ledger: Ledger, slots: int
) -> None:
    for tenant in (MARTIN, DENIS):
        ledger.load(1000, tenant=tenant)
    sending = Sending(ledger, slots)
    begun = len(sending.until(200))
    ledger.load(1000, tenant=AIX)
    counts = Counter(sending.until(begun + 300)[begun : begun + 300])
    assert all(abs(counts[tenant] - 100) <= 2 * slots for tenant in (MARTIN, DENIS, AIX))


def test_a_tenant_that_was_idle_has_no_credit(ledger: Ledger) -> None:
    ledger.load(2000, tenant=MARTIN)
    sending = Sending(ledger, 10)
    begun = len(sending.until(1000))
    ledger.load(500, tenant=DENIS)
    served = sending.until(begun + 200)[begun:]
    assert abs(served.count(DENIS) - served.count(MARTIN)) <= 20


def test_a_share_that_others_leave_goes_to_whoever_wants_it(ledger: Ledger) -> None:
    ledger.load(1000, tenant=MARTIN)
    paused = ledger.load(1000, tenant=DENIS)
    steer.pause(ledger.db, paused, ledger.now, "garde")
    assert len(ledger.claim(100, shares=Shares())) == 100


def test_the_jobs_of_a_tenant_leave_one_after_the_other(ledger: Ledger) -> None:
    jobs = [ledger.load(20, tenant=MARTIN) for _ in range(40)]
    ledger.load(10, tenant=DENIS)
    sending = Sending(ledger, 7)
    sending.until(1000)
    assert list(dict.fromkeys(j for j in sending.segments if j in jobs)) == jobs
    assert [j for j in sending.segments if j in jobs] == sorted(
        j for j in sending.segments if j in jobs
    )


def test_alerts_of_every_tenant_leave_before_any_service(ledger: Ledger) -> None:
    ledger.load(500, tenant=AIX)
    ledger.load(500, tenant=AIX, job_class="promotional")
    alerts = [ledger.load(30, tenant=tenant, job_class="alert") for tenant in (MARTIN, DENIS, AIX)]
    sending = Sending(ledger, 7)
    sending.until(100)
    assert set(sending.segments[:90]) == set(alerts)
    assert not set(sending.segments[90:]) & set(alerts)


def test_a_message_that_came_back_goes_before_the_untouched_ones_of_its_tenant(
    ledger: Ledger,
) -> None:
    ledger.load(10)
    first, second = ledger.claim(2)
    throttled = Arrivals(answered=[ledger.answer(first, status=0x58)])
    assert ledger.turn(throttled, slots=2).claims[0][0].message_id == first.message_id
    assert second.message_id != first.message_id


# Links


class Links:
    """Several links with what each of them still has to write."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.shares = Shares()
        self.remainders: dict[int, Remainder] = {}
        self.written: dict[int, list[tuple[int, int]]] = {}  # by link, message and segment
        self.unanswered: list[Claim] = []

    def turn(self, slots: Sequence[int]) -> Turned:
        demands = [
            Demand(link, self.ledger.account, count, ALL, "every", None, self.remainders.get(link))
            for link, count in enumerate(slots)
        ]
        arrivals = accept(self.ledger, self.unanswered)
        turned = turn(self.ledger.db, arrivals, demands, self.ledger.now, shares=self.shares)
        self.remainders = dict(turned.remainders)
        self.unanswered = [claim for claims in turned.claims.values() for claim in claims]
        for link, claims in turned.claims.items():
            segments = [(claim.message_id, n) for claim in claims for n in claim.numbers]
            assert len(segments) <= slots[link]
            self.written.setdefault(link, []).extend(segments)
        return turned


@st.composite
def loads(draw: st.DrawFn) -> list[tuple[str, str, list[int]]]:
    """Draw jobs: tenant, class, and the segments of each message."""
    return draw(
        st.lists(
            st.tuples(
                st.sampled_from([MARTIN, DENIS, AIX]),
                st.sampled_from(sorted(ALL)),
                st.lists(st.sampled_from([1, 1, 1, 2, 3, 9]), min_size=1, max_size=12),
            ),
            min_size=1,
            max_size=6,
        )
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    jobs=loads(),
    turns=st.lists(st.lists(st.integers(0, 12), min_size=3, max_size=3), max_size=30),
    later=st.integers(0, 5),
)
def test_a_link_ends_a_message_before_the_next_and_no_segment_is_lost_or_sent_twice(
    jobs: list[tuple[str, str, list[int]]], turns: list[list[int]], later: int
) -> None:
    """I8, whatever the shares, the windows, and the moment at which jobs come."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        db, locks = open_database(path, create=True), Locks(path)
        db.execute("PRAGMA synchronous = OFF")
        ledger = Ledger(db, locks, path, account_ids(db, ["operator"])["operator"])
        try:
            expected: Counter[int] = Counter()
            links, waiting = Links(ledger), list(jobs)

            def load() -> None:
                tenant, job_class, lengths = waiting.pop(0)
                for length in lengths:  # one length for each job, as texts have
                    job = ledger.load(1, tenant=tenant, job_class=job_class, segments=length)
                    expected[job] += length

            for _ in range(max(1, len(jobs) - later)):
                load()
            for slots in turns:
                links.turn(slots)
                if waiting:
                    load()
            while waiting:
                load()
            while links.turn([5, 1, 7]).claims or links.remainders:
                pass
            written = [one for segments in links.written.values() for one in segments]
            assert len(set(written)) == len(written)
            assert Counter(message >> 32 for message, _ in written) == expected
            for segments in links.written.values():
                order = [message for message, _ in segments]
                assert [m for i, m in enumerate(order) if m != (order[i - 1] if i else 0)] == list(
                    dict.fromkeys(order)
                ), "a message was interleaved with another"
                numbers: dict[int, list[int]] = {}
                for message, number in segments:
                    numbers.setdefault(message, []).append(number)
                assert all(seen == sorted(seen) for seen in numbers.values())
            ledger.check()
            assert list(verify(db)) == []
        finally:
            db.close()
            locks.close()


def test_a_mixed_job_of_short_and_long_messages_is_not_interleaved_by_two_tenants(
    ledger: Ledger,
) -> None:
    for tenant in (MARTIN, DENIS):
        ledger.load(10, tenant=tenant, segments=3)
        ledger.load(10, tenant=tenant)
    links = Links(ledger)
    while links.turn([2, 1]).claims or links.remainders:
        pass
    for segments in links.written.values():
        order = [message for message, _ in segments]
        runs = [m for i, m in enumerate(order) if m != (order[i - 1] if i else 0)]
        assert len(runs) == len(set(runs))
    assert sum(map(len, links.written.values())) == 80


# Routes that rest


@pytest.fixture
def overseas(ledger: Ledger) -> int:
    """The bit of the route of numbers overseas."""
    return 1 << route_ids(ledger.db, ["+262"])["+262"]


def test_a_route_that_rests_is_passed_over_and_the_others_of_the_job_go_on(
    ledger: Ledger, overseas: int
) -> None:
    there = [f"+2626920000{n:02d}" for n in range(10)]
    here = [NUMBER(n) for n in range(10)]
    job = ledger.load(job_class="promotional", recipients_of=[*there, *here], prefixes=["+262"])
    claimed = ledger.claim(100, closed={"promotional": overseas})
    assert [claim.recipient for claim in claimed] == here
    assert ledger.claim(100, closed={"promotional": overseas}) == []
    assert [claim.recipient for claim in ledger.claim(100, closed={})] == there
    assert ledger.counts(job) == {"submitting": 20}
    settle(ledger)


def test_where_all_rests_nothing_leaves_and_the_other_classes_do(
    ledger: Ledger, overseas: int
) -> None:
    for job_class in ("promotional", "service", "alert"):
        ledger.load(5, job_class=job_class)
    everywhere = {"promotional": overseas | 1, "alert": 0}
    turned = ledger.turn(slots=100, closed=everywhere)
    classes = Counter(turned.jobs[claim.job_id].job_class for claim in turned.claims[0])
    assert classes == {"alert": 5, "service": 5}
    assert turned.exhausted == {0}


def test_an_account_of_some_numbers_alone_keeps_to_their_hours_too(
    ledger: Ledger, overseas: int
) -> None:
    there = "+262692000001"
    ledger.load(job_class="promotional", recipients_of=[NUMBER(1), there], prefixes=["+262"])
    mine = frozenset({overseas.bit_length() - 1})
    assert ledger.claim(9, routes=mine, closed={"promotional": overseas}) == []
    (claim,) = ledger.claim(9, routes=mine, closed={"promotional": 1})
    assert claim.recipient == there


def test_hours_of_one_class_close_no_other(ledger: Ledger) -> None:
    ledger.load(5)
    assert len(ledger.claim(100, closed={"promotional": 1})) == 5


def test_a_message_that_came_back_waits_while_its_route_rests(ledger: Ledger) -> None:
    ledger.load(1, job_class="promotional")
    (claim,) = ledger.claim(1)
    throttled = Arrivals(answered=[ledger.answer(claim, status=0x58)])
    assert not ledger.turn(throttled, slots=5, closed={"promotional": 1}).claims
    assert len(ledger.claim(5)) == 1


def test_a_message_half_sent_at_closing_time_is_ended(ledger: Ledger) -> None:
    ledger.load(1, job_class="promotional", segments=3)
    turned = ledger.turn(slots=1)
    (claim,) = ledger.claim(5, closed={"promotional": 1}, remainder=turned.remainders[0])
    assert claim.numbers == (2, 3)


def test_two_links_with_different_hours_take_what_each_may(ledger: Ledger, overseas: int) -> None:
    there = [f"+2626920000{n:02d}" for n in range(4)]
    here = [NUMBER(n) for n in range(4)]
    ledger.load(job_class="promotional", recipients_of=[*there, *here], prefixes=["+262"])
    demands = [
        Demand(0, ledger.account, 10, ALL, "every", closed={"promotional": overseas}),
        Demand(1, ledger.account, 10, ALL, "every", closed={"promotional": 1}),
    ]
    turned = turn(ledger.db, Arrivals(), demands, ledger.now)
    assert [claim.recipient for claim in turned.claims[0]] == here
    assert [claim.recipient for claim in turned.claims[1]] == there


# When


def test_a_scheduled_job_leaves_at_its_time_and_not_a_millisecond_before(ledger: Ledger) -> None:
    at = START + HOUR_MS
    job = ledger.load(3, starts_at=at)
    assert ledger.job(job).state == "scheduled"
    ledger.now = at - 1
    turned = ledger.turn(slots=10, housekeeping=True)
    assert not turned.claims
    assert turned.next_due_at == at
    assert ledger.job(job).state == "scheduled"
    ledger.now = at
    turned = ledger.turn(slots=10)
    assert len(turned.claims[0]) == 3
    assert turned.jobs[job].ready_at == at  # from when an alert's waiting counts
    assert ledger.job(job).state == "sending"
    settle(ledger)


def test_a_job_whose_time_has_come_is_queued_though_nobody_can_send(ledger: Ledger) -> None:
    job = ledger.load(3, starts_at=START + 1)
    ledger.now += 1
    ledger.turn(slots=0)
    assert ledger.job(job).state == "queued"


def test_a_scheduled_job_that_was_paused_stays_so_until_it_is_resumed(ledger: Ledger) -> None:
    at = START + HOUR_MS
    early, late = ledger.load(2, starts_at=at), ledger.load(2, starts_at=at)
    for job in (early, late):
        steer.pause(ledger.db, job, ledger.now, "garde")
    assert steer.resume(ledger.db, early, ledger.now, "garde").state == "scheduled"
    assert ledger.claim(10) == []
    ledger.now = at
    assert {claim.job_id for claim in ledger.claim(10)} == {early}
    assert ledger.job(late).state == "paused"
    assert steer.resume(ledger.db, late, ledger.now, "garde").state == "queued"
    assert {claim.job_id for claim in ledger.claim(10)} == {late}
    settle(ledger)


def test_a_scheduled_job_that_is_cancelled_never_leaves(ledger: Ledger) -> None:
    job = ledger.load(2, starts_at=START + HOUR_MS)
    steer.cancel(ledger.db, job, ledger.now, "garde")
    ledger.now += 2 * HOUR_MS
    assert ledger.claim(10) == []
    assert ledger.counts(job) == {"cancelled": 2}
    settle(ledger)


def test_a_scheduled_job_holds_no_later_one_of_its_tenant(ledger: Ledger) -> None:
    ledger.load(2, starts_at=START + HOUR_MS)
    now = ledger.load(2)
    assert {claim.job_id for claim in ledger.claim(10)} == {now}


def test_a_clock_set_back_after_the_time_came_sends_nothing_early(ledger: Ledger) -> None:
    at = START + HOUR_MS
    ledger.load(2, starts_at=at)
    ledger.now = at
    ledger.turn(slots=0)
    ledger.now = at - 1
    assert ledger.claim(10) == []
    ledger.now = at
    assert len(ledger.claim(10)) == 2


# Opt-outs


@pytest.mark.parametrize(
    ("policy", "purpose", "silenced"),
    [
        ("any", "fetes", True),
        ("any", "ecole", True),
        ("any", "all", True),
        ("purpose", "fetes", True),
        ("purpose", "ecole", False),
        ("purpose", "all", True),
        ("all", "fetes", False),
        ("all", "all", True),
    ],
)
def test_who_opted_out_since_the_submission_is_silenced_as_the_class_says(
    ledger: Ledger, policy: str, purpose: str, silenced: bool
) -> None:
    job = ledger.load(5, purpose="fetes")
    ledger.now += 1
    opt_out(ledger, NUMBER(2), purpose=purpose)
    claimed = [claim.recipient for claim in ledger.claim(10, rules=silence(policy))]
    assert (NUMBER(2) not in claimed) is silenced
    assert len(claimed) == 5 - silenced
    assert (
        ledger.counts(job) == {"submitting": 4, "suppressed": 1} if silenced else {"submitting": 5}
    )
    settle(ledger)


def test_a_job_without_a_purpose_has_that_of_its_class(ledger: Ledger) -> None:
    ledger.load(2)
    opt_out(ledger, NUMBER(0), purpose="service")
    opt_out(ledger, NUMBER(1), purpose="promotional")
    assert [claim.recipient for claim in ledger.claim(10)] == [NUMBER(1)]


def test_an_opt_out_of_another_tenant_silences_nothing(ledger: Ledger) -> None:
    ledger.load(2, purpose="fetes")
    opt_out(ledger, NUMBER(0), tenant=DENIS, purpose="all")
    opt_out(ledger, NUMBER(1), purpose="ecole")
    assert len(ledger.claim(10, rules=silence("purpose"))) == 2


def test_opt_outs_long_before_the_job_are_left_to_its_submission(ledger: Ledger) -> None:
    """Looking for them on each message that leaves would cost every turn."""
    opt_out(ledger, NUMBER(0), at=START - CLOCK_MARGIN_MS - 1)
    ledger.load(2, purpose="fetes")
    assert len(ledger.claim(10)) == 2


def test_an_opt_out_counts_though_the_clock_was_set_back_since_the_submission(
    ledger: Ledger,
) -> None:
    ledger.load(2, purpose="fetes")
    ledger.now -= CLOCK_MARGIN_MS
    opt_out(ledger, NUMBER(0))
    assert [claim.recipient for claim in ledger.claim(10)] == [NUMBER(1)]


def test_an_opt_out_while_a_job_is_scheduled_counts(ledger: Ledger) -> None:
    ledger.load(2, purpose="fetes", starts_at=START + 24 * HOUR_MS)
    ledger.now += HOUR_MS
    opt_out(ledger, NUMBER(1))
    ledger.now = START + 24 * HOUR_MS
    assert [claim.recipient for claim in ledger.claim(10)] == [NUMBER(0)]


def test_the_confirmation_of_a_stop_reaches_whoever_sent_it(ledger: Ledger) -> None:
    ledger.load(1, purpose=CONFIRMATION)
    opt_out(ledger, NUMBER(0), purpose="all")
    assert len(ledger.claim(10, rules=silence("any"))) == 1


def test_a_message_that_is_half_sent_is_ended(ledger: Ledger) -> None:
    ledger.load(2, purpose="fetes", segments=3)
    turned = ledger.turn(slots=1)
    opt_out(ledger, NUMBER(0))
    opt_out(ledger, NUMBER(1))
    (claim,) = ledger.claim(10, remainder=turned.remainders[0])
    assert (claim.recipient, claim.numbers) == (NUMBER(0), (2, 3))


def test_a_message_of_which_a_segment_arrived_is_ended_when_it_comes_back(ledger: Ledger) -> None:
    job = ledger.load(1, purpose="fetes", segments=2, job_class="alert", policy="resend")
    (claim,) = ledger.claim(2)
    opt_out(ledger, NUMBER(0))
    came_back = Arrivals(
        answered=[ledger.answer(claim, "1", number=1), ledger.answer(claim, "", 0x58, number=2)]
    )
    (again,) = ledger.turn(came_back, slots=5).claims[0]
    assert again.numbers == (2,)
    assert ledger.counts(job) == {"submitting": 1}


def test_a_message_that_came_back_unsent_is_silenced(ledger: Ledger) -> None:
    job = ledger.load(3, purpose="fetes")
    claims = ledger.claim(3)
    opt_out(ledger, NUMBER(1))
    throttled = Arrivals(answered=[ledger.answer(claim, status=0x58) for claim in claims])
    claimed = ledger.turn(throttled, slots=3).claims[0]
    assert [claim.recipient for claim in claimed] == [NUMBER(0), NUMBER(2)]
    assert ledger.counts(job) == {"submitting": 2, "suppressed": 1}
    settle(ledger)


def test_those_who_opted_out_do_not_hide_those_who_came_back_after_them(ledger: Ledger) -> None:
    """One slot, several that came back, the first of them silenced: the next one leaves now."""
    ledger.load(4, purpose="fetes")
    claims = ledger.claim(4)
    for claim in claims[:3]:
        opt_out(ledger, claim.recipient)
    throttled = Arrivals(answered=[ledger.answer(claim, status=0x58) for claim in claims])
    assert not ledger.turn(throttled).claims
    assert [claim.recipient for claim in ledger.claim(1)] == [NUMBER(3)]


def test_a_job_whose_last_messages_are_silenced_is_done(ledger: Ledger) -> None:
    job = ledger.load(3, purpose="fetes")
    for number in range(3):
        opt_out(ledger, NUMBER(number))
    turned = ledger.turn(slots=10)
    assert not turned.claims
    assert turned.finished == {("service", "suppressed"): 3}
    assert turned.exhausted == {0}
    found = ledger.job(job)
    assert (found.state, found.first_submit_at) == ("done", None)
    settle(ledger)


def test_short_and_long_messages_are_silenced_in_the_midst_of_others(ledger: Ledger) -> None:
    jobs = [ledger.load(9, purpose="fetes", segments=length) for length in (1, 2)]
    for number in (0, 4, 8):
        opt_out(ledger, NUMBER(number))
    sending = Sending(ledger, 3)
    sending.until(1000)
    assert Counter(sending.segments) == {jobs[0]: 6, jobs[1]: 12}
    for job in jobs:
        assert ledger.job(job).counts["suppressed"] == 3
    settle(ledger)


def test_a_long_list_of_opt_outs_holds_no_alert(ledger: Ledger) -> None:
    """So many are silenced in a turn and no more, and the next turn goes on at once."""
    count = 2 * SUPPRESSED_AT_ONCE + 7
    job = ledger.load(count + 1, purpose="fetes")
    add(
        ledger.db, HASHER, [OptOut(MARTIN, "fetes", NUMBER(n), "file") for n in range(count)],
        "secretary", ledger.now,
    )  # fmt: skip
    for turns in range(1, 10):
        turned = ledger.turn(slots=3)
        silenced = ledger.job(job).counts["suppressed"]
        assert silenced <= turns * (SUPPRESSED_AT_ONCE + 3)
        if turned.claims:
            break
        assert turned.exhausted == set(), "the gateway would take it that nothing is left"
        ledger.load(1, job_class="alert")
        assert len(ledger.turn(slots=1).claims[0]) == 1
    assert [claim.recipient for claim in turned.claims[0]] == [NUMBER(count)]
    settle(ledger)


def test_validity_and_expiry_of_an_unsent_job_count_from_its_time(ledger: Ledger) -> None:
    job = ledger.load(2, starts_at=START + HOUR_MS, expires_at=START + 2 * HOUR_MS)
    ledger.now = START + 2 * HOUR_MS
    turned = ledger.turn(slots=10, housekeeping=True)
    assert not turned.claims
    ledger.turn(slots=10, housekeeping=True)
    assert ledger.counts(job) == {"expired": 2}


def test_a_stream_that_is_taken_twice_and_drained_in_one_turn_is_not_set_back(
    ledger: Ledger,
) -> None:
    ledger.load(9, tenant="aix")
    ledger.load(1, tenant="brest")
    (back,) = ledger.claim(1)
    ledger.turn(Arrivals(answered=[ledger.answer(back, status=0x08)]))
    began = ledger.now
    ledger.now += 5_000
    claims = ledger.claim(10)  # five of aix, the one of brest, and what is left of aix
    assert len(claims) == 9
    late = claims[-1]
    answers = [ledger.answer(claim, str(n)) for n, claim in enumerate(claims[:-1])]
    ledger.turn(Arrivals(answered=[*answers, ledger.answer(late, status=0x08)]))
    ledger.now = began + FIRST_RETRY_MS
    assert [claim.message_id for claim in ledger.claim(10)] == [back.message_id]
    ledger.now += 5_000
    assert [claim.message_id for claim in ledger.claim(10)] == [late.message_id]
    ledger.check()
