"""Every fault of the simulator, and 2,000 messages through each.

Each trial ends when every message stands in the ledger as it truly is, by the SMSC's own record:
receipts that were told, answers that were given. One in ten is not delivered, so that a receipt
that settles another message than its own is found out.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from smppgw.ledger.inbound import InboundRow, list_inbound
from smppgw.simulator import Behaviour, Simulator
from smppgw.simulator.behaviour import ID_DIALECTS
from smppgw.simulator.faults import FAULTS
from smppgw.simulator.witness import Accepted, Witness
from tests.gateway.trial import (
    LONG,
    LONG_SEGMENTS,
    SHORT,
    Trial,
    account,
    configure,
    hold_the_invariants,
    numbers,
    running,
    submit,
    true_state,
)

MESSAGES = 2000
LATER_S = 0.03  # from the answer to the receipt, so that a turn parts them
OUTCOMES = {"DELIVRD": 90.0, "UNDELIV": 10.0}
ANY = None  # how many depends on when connections end

Judge = Callable[[Sequence[Accepted]], str]


def told_or_held(copies: Sequence[Accepted]) -> str:
    """Judge where submit_sm were lost unread: what nobody accepted, nobody refused either."""
    return true_state(copies) if copies else "unknown"


def answered_alone(copies: Sequence[Accepted]) -> str:
    """Judge where receipts say nothing that can be understood."""
    return "accepted" if copies else "rejected"


def whole_or_held(copies: Sequence[Accepted]) -> str:
    """Judge long texts of which segments were lost unread."""
    return true_state(copies) if len(copies) == LONG_SEGMENTS else "unknown"


def last_told(copies: Sequence[Accepted]) -> str:
    """Judge where a message was sent again: the answered copy is the one that counts."""
    return true_state(copies[-1:])


@dataclass(frozen=True, kw_only=True)
class Case:
    """What goes wrong, how the account is configured for it, and what comes of it.

    Attributes:
        faults: as `simulate --faults` takes them.
        keys: of the account.
        beside: how many messages end other than delivered or undelivered, by state.
        receipts: how many the ledger counts, by kind; a kind that is not named has none.
        binds: how many are accepted, at least.
        truth: says what a message must be.
        text: what is sent.
        job_class: and its policy for unknown outcomes.
        texts: how many texts from phones become whole.
        resent: whether the policy sends again what was not answered.
        behaviour: other settings of the SMSC.
    """

    faults: str = ""
    keys: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, int] = field(default_factory=dict)
    receipts: Mapping[str, int] | None = field(default_factory=lambda: {"matched": MESSAGES})
    binds: int = 1
    truth: Judge = true_state
    text: str = SHORT
    messages: int = MESSAGES
    job_class: str = "service"
    texts: int | None = 0
    resent: bool = False
    behaviour: Mapping[str, Any] = field(default_factory=lambda: {"receipt_delay_s": LATER_S})


SLOWLY = {"throughput": 1000}  # so that a run outlives what happens by the clock
IMPATIENT = {"response_timeout": "300ms"}
SEGMENTS = LONG_SEGMENTS * MESSAGES

CASES: dict[str, Case] = {
    # Message ids
    "ids-leading-zeros": Case(faults="ids-leading-zeros"),
    "ids-upper": Case(faults="ids-upper"),
    "ids-long": Case(faults="ids-long"),
    "ids-reused": Case(faults="ids-reused,unbind:0.5", keys=SLOWLY, binds=3, receipts=ANY),
    # Answers to submit_sm
    "no-answer": Case(faults="no-answer:50", keys=IMPATIENT),
    "no-answer-lost": Case(
        faults="no-answer-lost:50",
        keys=IMPATIENT,
        beside={"unknown": 40},
        receipts={"matched": 1960},
    ),
    "slow-answers": Case(
        faults="slow-answers:0.002", keys={"response_timeout": "100ms"}, job_class="alert"
    ),
    "answers-out-of-order": Case(faults="answers-out-of-order"),
    "stray-answers": Case(faults="stray-answers:10"),
    "throttle": Case(faults="throttle:20"),
    "queue-full": Case(faults="queue-full:20"),
    "system-error": Case(faults="system-error:20"),
    "refuse": Case(faults="refuse:20", beside={"rejected": 100}, receipts={"matched": 1900}),
    "vendor-status": Case(
        faults="vendor-status:20", beside={"rejected": 100}, receipts={"matched": 1900}
    ),
    "nack": Case(faults="nack:50", beside={"rejected": 40}, receipts={"matched": 1960}),
    "nack-0": Case(faults="nack-0:20"),
    "negative-with-body": Case(
        faults="negative-with-body,refuse:20",
        beside={"rejected": 100},
        receipts={"matched": 1900},
    ),
    # When receipts come, and how many
    "receipt-first": Case(faults="receipt-first"),
    "receipt-early-other-bind": Case(faults="receipt-early-other-bind:0.02", keys={"binds": 2}),
    "receipt-other-bind": Case(faults="receipt-other-bind", keys={"binds": 2}),
    "receipt-late": Case(faults="receipt-late,unbind:1", binds=2, receipts=ANY),
    "receipt-lost": Case(
        faults="receipt-lost:20", beside={"accepted": 100}, receipts={"matched": 1900}
    ),
    "receipt-twice": Case(
        faults="receipt-twice", receipts={"matched": MESSAGES, "duplicate": MESSAGES}
    ),
    "receipt-intermediate": Case(faults="receipt-intermediate", receipts=ANY),
    "enroute-after-final": Case(
        faults="enroute-after-final", receipts={"matched": MESSAGES, "duplicate": MESSAGES}
    ),
    "receipt-first-segment-only": Case(faults="receipt-first-segment-only", text=LONG),
    "receipt-last-segment-only": Case(faults="receipt-last-segment-only", text=LONG),
    "receipts-undelivered": Case(faults="receipts-undelivered:1000"),
    # What receipts look like
    "receipt-tlvs": Case(faults="receipt-tlvs"),
    "receipt-tlvs-only": Case(faults="receipt-tlvs-only"),
    "receipt-text-only": Case(faults="receipt-text-only"),
    "receipt-data-sm": Case(faults="receipt-data-sm"),
    "receipt-esm-0": Case(faults="receipt-esm-0", keys={"receipts_as_texts": True}),
    "receipt-ucs2": Case(faults="receipt-ucs2"),
    "receipt-missing-fields": Case(faults="receipt-missing-fields"),
    "receipt-unknown-word": Case(
        faults="receipt-unknown-word", beside={"accepted": MESSAGES}, truth=answered_alone
    ),
    "receipt-cut": Case(faults="receipt-cut"),
    # Sessions
    "bind-refused": Case(faults="bind-refused:3"),
    "bind-throttled": Case(faults="bind-throttled:3"),
    "no-bind-answer": Case(faults="no-bind-answer:1", keys=IMPATIENT),
    "already-bound": Case(
        faults="already-bound:0.2,drop:700", binds=3, truth=told_or_held, receipts=ANY
    ),
    "unbind": Case(faults="unbind:0.3", keys=SLOWLY, binds=4, receipts=ANY),
    "no-unbind-answer": Case(faults="no-unbind-answer"),
    "drop": Case(faults="drop:130", binds=10, truth=told_or_held, receipts=ANY),
    "no-enquire-answer": Case(
        faults="no-enquire-answer", keys=IMPATIENT | {"enquire_link": "100ms"}, binds=2
    ),
    "enquire-often": Case(faults="enquire-often:0.05", keys=SLOWLY),
    # Octets
    "cut-anywhere": Case(faults="cut-anywhere"),
    "glue": Case(faults="glue", texts=1),
    "command-length-0": Case(
        faults="command-length-0:20", binds=2, truth=told_or_held, receipts=ANY
    ),
    "command-length-4g": Case(
        faults="command-length-4g:20", binds=2, truth=told_or_held, receipts=ANY
    ),
    "unknown-command": Case(faults="unknown-command:10"),
    "unknown-tlvs": Case(faults="unknown-tlvs"),
    "sequence-extremes": Case(faults="sequence-extremes"),
    # Texts from phones
    "phone-text-like-receipt": Case(faults="phone-text-like-receipt:10", texts=200),
    "texts-udh-8": Case(faults="texts-udh-8:10", texts=200),
    "texts-udh-16": Case(faults="texts-udh-16:10", texts=200),
    "texts-sar": Case(faults="texts-sar:10", texts=200),
    "texts-out-of-order": Case(faults="texts-out-of-order:10", texts=200),
}


@dataclass
class Outcome:
    """What a trial came to."""

    states: dict[str, str]
    errors: Mapping[str | None, int]
    inbound: list[InboundRow]
    witness: Witness
    smsc: Simulator


async def go_through(folder: Path, case: Case) -> Outcome:
    """Send one job through the fault of a case, until all is as it must be."""
    witness = Witness()
    kinds = {"matched", "duplicate"}
    if case.resent:  # receipts of copies whose answer never came may find no message
        kinds.add("parked")
    behaviour = Behaviour(
        faults=[fault for fault in case.faults.split(",") if fault],
        **{"seed": 1, "outcomes": OUTCOMES, **case.behaviour},
    )
    async with Simulator(behaviour, witness=witness) as smsc:
        config = configure(folder, account(smsc.port, **case.keys))
        job_id = submit(config, numbers(case.messages), case.text, case.job_class)
        async with running(config) as trial:

            def settled() -> bool:
                ends = trial.counts(job_id)
                ends.pop("delivered", None)
                ends.pop("undelivered", None)
                if case.truth in (told_or_held, whole_or_held):
                    ends.pop("unknown", None)
                receipts = {kind: count for kind, count in trial.receipts().items() if count}
                receipts.pop("received", None)
                return (
                    ends == case.beside
                    and smsc.counts.binds >= case.binds
                    and smsc.counts.texts_acknowledged >= (case.texts or smsc.counts.texts_sent)
                    and (
                        receipts == case.receipts
                        or (case.receipts is ANY and receipts.keys() <= kinds)
                    )
                )

            states = await trial.until_true(job_id, witness, truth=case.truth, settled=settled)
            hold_the_invariants(trial, {"operator": witness})
            inbound = list_inbound(trial.db)
            counted = await trial.metric("smppgw_inbound_total", kind="text") + await trial.metric(
                "smppgw_inbound_total", kind="complete"
            )
            errors = trial.errors(job_id)
    assert all(case.resent or copies == 1 for copies in witness.copies().values())
    assert len(inbound) == counted
    assert case.texts in (ANY, len(inbound))
    assert all(text.complete for text in inbound)
    return Outcome(states, errors, inbound, witness, smsc)


def run(folder: Path, case: Case) -> Outcome:
    return asyncio.run(go_through(folder, case))


Through = Callable[[str], Outcome]


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory) -> Through:
    """Return what sends through a fault of the table; what several tests ask for is sent once."""

    @cache
    def send_through(fault: str) -> Outcome:
        return run(tmp_path_factory.mktemp(fault), CASES[fault])

    return send_through


def test_the_table_holds_every_fault() -> None:
    assert set(CASES) == set(FAULTS)
    for fault, case in CASES.items():
        assert fault in {item.partition(":")[0] for item in case.faults.split(",")}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_message_ends_as_it_truly_did_and_none_is_sent_twice(
    through: Through, fault: str
) -> None:
    through(fault)


# What a fault leaves behind beside states


def test_a_refused_message_is_reported_with_its_status_whoever_made_it_up(through: Through) -> None:
    outcome = through("vendor-status")
    refused = {
        error: n for error, n in outcome.errors.items() if error and "command_status" in error
    }
    assert sum(refused.values()) == 100
    assert len(refused) > 10
    for error in refused:
        assert error is not None
        assert 0x400 <= int(error.removeprefix("command_status "), 16) <= 0x4FF


def test_a_generic_nack_refuses_the_message_that_its_sequence_names(through: Through) -> None:
    assert through("nack").errors["command_status 0x00000003"] == 40


def test_a_state_word_that_nobody_knows_stands_in_the_report_as_it_came(through: Through) -> None:
    outcome = through("receipt-unknown-word")
    words = {str(error).split()[0] for error in outcome.errors}
    assert words == {"DELIVERED_OK", "SEEN", "GIVEN_UP", "NO_ROUTE"}


def test_an_error_of_a_receipt_stands_in_the_report(tmp_path: Path) -> None:
    outcome = run(tmp_path, Case(messages=200, receipts={"matched": 200}))
    undelivered = sum(state == "undelivered" for state in outcome.states.values())
    assert outcome.errors == {None: 200 - undelivered, "UNDELIV err:005": undelivered}


def test_what_became_of_every_receipt_is_exported(tmp_path: Path) -> None:
    """I9, as Prometheus sees it: nothing is received that is not accounted for."""

    async def scenario() -> None:
        behaviour = Behaviour(faults=["receipt-twice", "no-answer:20"], seed=1)
        async with Simulator(behaviour, witness=Witness()) as smsc:
            config = configure(tmp_path, account(smsc.port, **IMPATIENT))
            job_id = submit(config, numbers(200))
            async with running(config) as trial:
                await trial.until_counts(job_id, {"delivered": 200})
                expected = {"received": 400, "matched": 200, "duplicate": 200}
                shown: dict[str, float] = {}
                async with asyncio.timeout(10):
                    while shown != expected:
                        shown = {
                            kind: count
                            for kind in trial.receipts()
                            if (count := await receipts_shown(trial, kind))
                        }

    asyncio.run(scenario())


async def receipts_shown(trial: Trial, kind: str) -> float:
    return await trial.metric("smppgw_receipts_recorded", smsc="operator", kind=kind)


def test_a_text_from_a_phone_that_looks_like_a_receipt_is_kept_as_a_text(through: Through) -> None:
    outcome = through("phone-text-like-receipt")
    assert all("stat:UNDELIV" in text.text for text in outcome.inbound)
    assert {text.source[1:] for text in outcome.inbound} <= set(outcome.states)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.startswith("texts-")])
def test_a_long_text_from_a_phone_is_whole_however_its_parts_come(
    through: Through, fault: str
) -> None:
    texts = through(fault).inbound
    assert {(text.complete, text.parts, text.destination) for text in texts} == {
        (True, 3, "STMARTIN")
    }
    (text,) = {text.text for text in texts}
    assert text.startswith("Bonjour, un arbre est couche en travers")
    assert text.endswith("merci de me rappeler a ce numero.")
    assert len({text.source for text in texts}) == 200


def test_every_enquire_link_of_the_smsc_is_answered(through: Through) -> None:
    counts = through("enquire-often").smsc.counts
    in_flight = counts.enquire_links_sent - counts.enquire_links_answered
    assert 0 <= in_flight <= 1
    assert counts.enquire_links_sent > 10


def test_every_request_that_nobody_knows_gets_a_generic_nack_and_the_bind_lives(
    through: Through,
) -> None:
    counts = through("unknown-command").smsc.counts
    assert (counts.nacks_received, counts.binds) == (200, 1)


def test_the_unbind_of_an_operator_leaves_nothing_in_doubt(through: Through) -> None:
    outcome = through("unbind")
    assert all(accepted.answered_at is not None for accepted in outcome.witness.accepted)


# Resending


@pytest.mark.parametrize("fault", ["no-answer-lost", "drop"])
def test_under_resend_a_message_leaves_again_only_where_its_answer_never_came(
    tmp_path: Path, fault: str
) -> None:
    faults = {"no-answer-lost": "no-answer-lost:50", "drop": "drop:130"}[fault]
    outcome = run(
        tmp_path,
        Case(
            faults=faults,
            keys=IMPATIENT,
            job_class="alert",
            truth=last_told,
            receipts=ANY,
            resent=True,
        ),
    )
    again = 0
    for copies in outcome.witness.by_destination().values():
        *unanswered, answered = copies
        assert all(copy.answered_at is None for copy in unanswered)
        assert answered.answered_at is not None
        again += len(unanswered)
    assert again >= 40 if fault == "no-answer-lost" else True
    assert set(outcome.states.values()) == {"delivered", "undelivered"}


def test_answers_slower_than_the_time_out_make_nobody_send_again(through: Through) -> None:
    """The time-out follows the latency: of an alert, a second copy would leave at once."""
    witness = through("slow-answers").witness
    latencies_s = [(copy.answered_at or 0) - copy.received_at for copy in witness.accepted]
    assert max(latencies_s) > 0.15
    assert max(witness.copies().values()) == 1


def test_answers_after_the_time_out_settle_what_was_unknown(tmp_path: Path) -> None:
    outcome = run(
        tmp_path,
        Case(
            keys={"response_timeout": "400ms", "receipts": "none"},
            behaviour={"latency_s": 0.5},
            messages=150,
            beside={"accepted": 150},
            receipts={},
        ),
    )
    assert len(outcome.witness.accepted) == 150


# Ids and receipts, by the account's keys

WHEN: dict[str, dict[str, Any]] = {
    "before the answer": {"early_receipts": True},
    "with the answer": {"receipt_delay_s": 0.0},
    "after it": {"receipt_delay_s": LATER_S},
}


@pytest.mark.parametrize(
    ("ids", "message_id", "when"),
    [
        *((ids, "auto", when) for ids in ID_DIALECTS for when in WHEN),
        ("decimal", "decimal", "after it"),
        ("decimal", "text", "after it"),
        ("hex", "hex", "after it"),
        ("hex", "text", "before the answer"),
        ("hex-then-decimal", "hex-then-decimal", "after it"),
        ("hex-then-decimal", "hex-then-decimal", "before the answer"),
        ("uuid", "text", "after it"),
    ],
)
def test_receipts_find_their_messages_whatever_ids_look_like(
    tmp_path: Path, ids: str, message_id: str, when: str
) -> None:
    run(
        tmp_path,
        Case(
            keys={"message_id": message_id},
            behaviour={"ids": ids} | WHEN[when],
            messages=300,
            receipts={"matched": 300},
        ),
    )


@pytest.mark.parametrize(
    "faults", ["ids-upper", "ids-leading-zeros", "ids-upper,ids-leading-zeros"]
)
@pytest.mark.parametrize("message_id", ["auto", "text"])
def test_case_and_leading_zeros_part_no_receipt_from_its_message(
    tmp_path: Path, faults: str, message_id: str
) -> None:
    run(
        tmp_path,
        Case(
            faults=faults,
            keys={"message_id": message_id},
            behaviour={"ids": "hex", "receipt_delay_s": LATER_S},
            messages=300,
            receipts={"matched": 300},
        ),
    )


@pytest.mark.parametrize(
    ("receipts", "told"), [("every", 2), ("first", 1), ("last", 1), ("none", 0)]
)
def test_as_many_segments_of_a_text_ask_for_a_receipt_as_the_account_says(
    tmp_path: Path, receipts: str, told: int
) -> None:
    messages = 300
    outcome = run(
        tmp_path,
        Case(
            text=LONG,
            keys={"receipts": receipts},
            messages=messages,
            receipts={"matched": told * messages} if told else {},
            beside={} if told else {"accepted": messages},
        ),
    )
    for accepted in outcome.witness.accepted:
        assert accepted.part is not None
        asks = {"every": (1, 2), "first": (1,), "last": (2,), "none": ()}[receipts]
        assert len(accepted.receipts) == (accepted.part.number in asks)


@pytest.mark.parametrize("long_text", ["udh", "sar", "payload"])
def test_a_long_text_arrives_whole_and_in_order_on_one_bind(tmp_path: Path, long_text: str) -> None:
    messages = 300
    segments = 1 if long_text == "payload" else LONG_SEGMENTS
    outcome = run(
        tmp_path,
        Case(
            text=LONG,
            keys={"long_text": long_text, "window": 7, "binds": 2},
            messages=messages,
            receipts={"matched": segments * messages},
        ),
    )
    for copies in outcome.witness.by_destination().values():
        assert len({copy.session for copy in copies}) == 1
        parts = [copy.part for copy in copies]
        if long_text == "payload":
            assert parts == [None]
            continue
        assert [(part.number, part.total) for part in parts if part] == [(1, 2), (2, 2)]
    sessions: dict[int, list[str]] = {}
    for accepted in outcome.witness.accepted:
        sessions.setdefault(accepted.session, []).append(accepted.destination)
    for destinations in sessions.values():  # no other message between the two of one
        assert destinations[::segments] == destinations[segments - 1 :: segments]


# Faults together


AT_ONCE: dict[str, Any] = {"receipt_delay_s": 0.0}  # in the write of the answer
TOGETHER: dict[str, Case] = {
    "throttle, unbind and no answer": Case(
        faults="throttle:600,unbind:0.4,no-answer:100",
        keys=SLOWLY | IMPATIENT,
        binds=2,
        receipts=ANY,
        behaviour=AT_ONCE,
        messages=1000,
    ),
    "cut anywhere, and much else": Case(
        faults="cut-anywhere,glue,answers-out-of-order:0.02,stray-answers:10,nack-0:20,"
        "system-error:40,throttle:400,negative-with-body,receipt-tlvs,receipt-twice,"
        "receipt-intermediate,enroute-after-final,receipt-other-bind,unknown-command:10,"
        "unknown-tlvs,sequence-extremes,enquire-often:0.1,ids-upper,ids-leading-zeros,"
        "phone-text-like-receipt:20,texts-udh-16:20,texts-sar:20,texts-out-of-order:20",
        keys={"binds": 2},
        receipts=ANY,
        behaviour=AT_ONCE,
        texts=ANY,
    ),
    "dropped connections, other binds, early receipts, no answers": Case(
        faults="drop:300,no-answer:100,receipt-early-other-bind:0.01,cut-anywhere,already-bound:0.1",
        keys=IMPATIENT | {"binds": 2},
        truth=told_or_held,
        binds=4,
        receipts=ANY,
        behaviour=AT_ONCE,
    ),
    "an unbind amid long texts with segments refused for now": Case(
        faults="unbind:0.4,system-error:50,throttle:1500,answers-out-of-order:0.02",
        text=LONG,
        keys={"throughput": 3000},
        binds=3,
        receipts=ANY,
        behaviour=AT_ONCE,
    ),
    "dropped connections amid long texts": Case(
        faults="drop:333,cut-anywhere",
        text=LONG,
        keys={"window": 7},
        truth=whole_or_held,
        binds=4,
        receipts=ANY,
        behaviour=AT_ONCE,
    ),
    "ids used again, and receipts before their answers": Case(
        faults="ids-reused,receipt-first:0.01,unbind:0.4",
        keys=SLOWLY,
        binds=3,
        receipts=ANY,
        behaviour=AT_ONCE,
    ),
    "no answers, and receipts twice": Case(
        faults="no-answer:50,receipt-twice,receipt-intermediate,enroute-after-final",
        keys=IMPATIENT,
        receipts=ANY,
        behaviour=AT_ONCE,
    ),
}


@pytest.mark.parametrize("together", TOGETHER)
def test_faults_together_lose_nothing_and_send_nothing_twice(tmp_path: Path, together: str) -> None:
    outcome = run(tmp_path, TOGETHER[together])
    assert (len(outcome.inbound) > 0) == (TOGETHER[together].texts is ANY)
