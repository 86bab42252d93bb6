"""What a proof says, and its JSON."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw.campaign.proof import (
    SHARES,
    Chain,
    Delays,
    Facts,
    json_chunks,
    mask,
    shown_as,
    survey,
)
from smppgw.ledger.audit import Head
from smppgw.ledger.evidence import Sent
from tests.campaign.proofs import HEAD, START, facts, sent


def written(made: Facts, messages: list[Sent]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads("".join(json_chunks(made, messages, mask)))
    return document


# Delays


@given(
    after_ms=st.lists(st.integers(0, 10**6), min_size=1, max_size=300), percent=st.integers(1, 100)
)
def test_a_share_is_reached_at_the_nearest_rank(after_ms: list[int], percent: int) -> None:
    delays = Delays()
    for one in after_ms:
        delays.add(one)
    within_s = delays.within_s(percent)
    assert within_s is not None
    # By its definition: the first of them within which so many percent had come.
    needed = next(
        one
        for one in sorted(after_ms)
        if 100 * sum(other <= one for other in after_ms) >= percent * len(after_ms)
    )
    assert within_s == needed / 1000


def test_a_hundred_delays_have_their_shares_at_their_ranks() -> None:
    delays = Delays()
    for second in range(100, 0, -1):
        delays.add(1000 * second)
    assert [delays.within_s(share) for share in SHARES] == [50.0, 95.0, 99.0]
    assert delays.within_s(100) == 100.0
    delays.add(500)
    assert delays.within_s(1) == 1.0  # the second of 101


def test_no_delay_has_no_share_and_none_is_negative() -> None:
    delays = Delays()
    assert delays.within_s(50) is None
    delays.add(-7)
    assert delays.within_s(50) == 0.0


# The survey


def test_delays_are_counted_from_the_start_to_what_arrived() -> None:
    found = survey(
        [
            sent(0),
            sent(1, submitted_at=START + 4000, accepted_at=START + 7000, done_at=START + 9000),
            sent(2, "undelivered", error="UNDELIV err:003", done_at=START + 99_000),
            sent(3, "accepted", done_at=None),
            sent(4, "queued", submitted_at=None, accepted_at=None, done_at=None),
            sent(5, "rejected", accepted_at=None, error="ESME_RINVDSTADR"),
        ],
        START,
    )
    assert list(found.accepted.ordered_ms()) == [2000, 2000, 2000, 7000]
    assert list(found.delivered.ordered_ms()) == [5000, 9000]
    assert found.last_submit_at == START + 4000
    assert found.errors == {"UNDELIV err:003": 1, "ESME_RINVDSTADR": 1}


# Numbers


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("+33600005678", "+336****5678"),
        ("+590690000012", "+590****0012"),
        ("#" + "0123456789abcdef" * 4, "#01234567…"),
        ("+33612", "****"),
    ],
)
def test_a_masked_number_lets_nobody_ring(number: str, masked: str) -> None:
    assert mask(number) == masked


def test_numbers_are_shown_in_the_form_that_was_chosen() -> None:
    number, left = "+33600005678", "#" + "ab" * 32
    assert shown_as("clear", str)(number) == number
    assert shown_as("masked", str)(number) == "+336****5678"
    hashed = shown_as("hashed", lambda one: f"of {one}")
    assert hashed(number) == f"#of {number}"
    assert hashed(left) == left  # what retention has hashed is hashed once


# The document


def test_json_says_who_ordered_what_and_what_became_of_it() -> None:
    messages = [sent(1), sent(2, "undelivered", error="UNDELIV err:003")]
    document = written(facts(messages), messages)
    assert document["proof"] == 1
    assert document["software"] == "smppgw 1.2.3"
    assert document["written_by"] == "maire"
    assert document["written_at"] == "2026-11-25T03:33:05.000+01:00"
    assert (document["final"], document["exercise"]) == (True, False)
    job = document["job"]
    assert (job["job"], job["ordered_by"], job["class"]) == (12, "garde", "alert")
    assert job["created_at"] == "2026-11-25T02:33:05.000+01:00"
    assert job["last_submit_at"] == "2026-11-25T02:33:06.000+01:00"
    assert document["counts"]["total"] == 2
    assert document["counts"]["undelivered"] == 1
    assert document["delays"]["accepted"] == {
        "messages": 2, "p50_s": 2.0, "p95_s": 2.0, "p99_s": 2.0, "last_s": 2.0,
    }  # fmt: skip
    assert document["delays"]["delivered"]["messages"] == 1
    assert document["errors"] == {"UNDELIV err:003": 1}
    assert document["actions"] == [
        {
            "entry": 3,
            "at": "2026-11-25T02:33:05.000+01:00",
            "actor": "garde",
            "action": "job.submitted",
            "details": {"messages": 2},
            "hash": "aa" * 32,
        }
    ]
    assert document["audit"] == {
        "sound": True, "problems": [], "entries": 4, "last_entry": 4, "last_hash": HEAD,
    }  # fmt: skip
    assert document["messages"][0] == {
        "number": "+336****0001",
        "state": "delivered",
        "submitted_at": "2026-11-25T02:33:06.000+01:00",
        "accepted_at": "2026-11-25T02:33:07.000+01:00",
        "done_at": "2026-11-25T02:33:10.000+01:00",
        "segments": 1,
        "smsc": "operator",
        "smsc_message_ids": ["7e0001"],
        "error": None,
    }


def test_a_text_that_is_the_same_for_all_is_told_as_ordered_and_as_sent() -> None:
    document = written(facts([sent()]), [sent()])
    assert document["text"]["ordered"] == "Crue : montez à l’étage."
    assert document["text"]["sent"] == "Crue : montez à l'étage."
    assert (document["text"]["encoding"], document["text"]["segments"]) == ("gsm7", 1)
    braces = written(facts(ordered={"text": "a {{b}} ê", "rewrite": "keep"}), [])["text"]
    assert (braces["sent"], braces["encoding"], braces["personal"]) == ("a {b} ê", "ucs2", False)


def test_of_a_personal_text_nobodys_own_is_told() -> None:
    text = written(facts(ordered={"text": "Bonjour {prenom}"}), [])["text"]
    assert text["personal"]
    assert (text["ordered"], text["sent"], text["segments"]) == ("Bonjour {prenom}", None, None)


def test_a_text_that_is_gone_is_null_and_says_when_it_went() -> None:
    text = written(facts(ordered={"text": None, "text_purged_at": START}), [])["text"]
    assert (text["ordered"], text["sent"]) == (None, None)
    assert text["purged_at"] == "2026-11-25T02:33:05.000+01:00"


def test_a_job_of_which_something_can_still_change_is_not_final() -> None:
    messages = [sent(0), sent(1, "accepted", done_at=None)]
    assert not written(facts(messages), messages)["final"]


def test_a_broken_audit_is_told() -> None:
    made = facts([sent()], chain=Chain(Head(4, 4, HEAD), ["Entry 2 is missing."]))
    assert written(made, [])["audit"]["sound"] is False
    assert written(made, [])["audit"]["problems"] == ["Entry 2 is missing."]


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1000])
def test_json_is_whole_however_many_messages_there_are(count: int) -> None:
    messages = [sent(number) for number in range(count)]
    made = facts(messages)
    assert len(written(made, messages)["messages"]) == count


def test_messages_are_read_as_they_are_written() -> None:
    read = 0

    def reading() -> Any:
        nonlocal read
        for number in range(10_000):
            read += 1
            yield sent(number)

    chunks = json_chunks(facts([sent()]), reading(), mask)
    next(chunks)
    assert read == 0
    next(chunks)
    assert 0 < read < 1000
    assert math.isclose(sum(chunk.count("+336****") for chunk in chunks), 10_000, abs_tol=1000)
