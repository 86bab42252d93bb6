"""Jobs steered from the command line: each takes effect, says so, and shows the job."""

import json
from typing import Any

import pytest

from smppgw.ledger.turn import Arrivals
from tests.cli.conftest import Ended, Smppgw
from tests.ledger.conftest import Ledger


def document(ended: Ended) -> dict[str, Any]:
    """Return the one document on standard output of a command that did what it was asked."""
    assert ended.status == 0, ended.err
    shown: dict[str, Any] = json.loads(ended.out)
    return shown


def in_each_state(ledger: Ledger) -> int:
    """Bring one message each to rejected, expired, unknown and undelivered; returns the job."""
    job = ledger.load(4, expires_at=ledger.now + 10_000)
    refused, lost, failed = ledger.claim(3)
    ledger.turn(
        Arrivals(
            answered=[ledger.answer(refused, status=0x0B), ledger.answer(failed, "7")],
            lost=[ledger.lost(lost)],
        )
    )
    ledger.turn(Arrivals(receipts=[ledger.receipt("7", "UNDELIV")]))
    ledger.now += 10_000
    ledger.turn(housekeeping=True)
    assert ledger.counts(job) == {"rejected": 1, "expired": 1, "unknown": 1, "undelivered": 1}
    return job


def test_pause_and_resume_take_effect_and_show_the_job_as_jobs_show_does(
    ledger: Ledger, smppgw: Smppgw
) -> None:
    job = ledger.load(3)
    paused = smppgw("jobs", "pause", job)
    assert paused == smppgw("jobs", "show", job)
    assert f"Job {job} is paused" in paused.out
    assert ledger.claim(3) == []
    resumed = smppgw("jobs", "resume", job)
    assert resumed == smppgw("jobs", "show", job)
    assert f"Job {job} is queued" in resumed.out
    assert len(ledger.claim(3)) == 3


@pytest.mark.parametrize("words", [("pause",), ("resume",), ("cancel",), ("retry", "--unknown")])
def test_json_is_the_document_of_jobs_show(
    ledger: Ledger, smppgw: Smppgw, words: tuple[str, ...]
) -> None:
    job = ledger.load(3)
    if words == ("resume",):
        smppgw("jobs", "pause", job)
    motion, *options = words
    shown = document(smppgw("jobs", motion, job, *options, "--json"))
    assert shown == document(smppgw("jobs", "show", job, "--json"))
    assert shown["job"] == job


def test_cancel_asks_nothing_where_there_is_no_terminal(ledger: Ledger, smppgw: Smppgw) -> None:
    job = ledger.load(3)
    assert f"Job {job} is cancelled" in smppgw("jobs", "cancel", job).out
    assert ledger.counts(job) == {"cancelled": 3}


def test_cancel_asks_at_a_terminal_and_tells_how_many_will_not_be_sent(
    ledger: Ledger, at_a_terminal: Smppgw
) -> None:
    job = ledger.load(3)
    refused = at_a_terminal("n", "jobs", "cancel", job)
    assert "3 messages will never be sent?" in refused.err
    assert "Nothing was cancelled." in refused.err
    assert refused.status == 1
    assert ledger.counts(job) == {"queued": 3}
    assert at_a_terminal("y", "jobs", "cancel", job).status == 0
    assert ledger.counts(job) == {"cancelled": 3}


@pytest.mark.parametrize("option", ["--yes", "--json"])
def test_cancel_does_not_ask_who_has_said_yes_or_is_a_machine(
    ledger: Ledger, at_a_terminal: Smppgw, option: str
) -> None:
    job = ledger.load(3)
    cancelled = at_a_terminal("n", "jobs", "cancel", job, option)
    assert cancelled.status == 0
    assert "?" not in cancelled.err
    assert ledger.counts(job) == {"cancelled": 3}


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ((), {"unknown": 1, "undelivered": 1}),
        (("--unknown",), {"rejected": 1, "expired": 1, "undelivered": 1}),
        (("--undelivered",), {"rejected": 1, "expired": 1, "unknown": 1}),
        (("--unknown", "--undelivered"), {"rejected": 1, "expired": 1}),
    ],
)
def test_retry_sends_again_what_it_is_asked_for_and_says_how_many(
    ledger: Ledger, smppgw: Smppgw, options: tuple[str, ...], left: dict[str, int]
) -> None:
    job = in_each_state(ledger)
    retried = smppgw("jobs", "retry", job, *options)
    count = 4 - sum(left.values())
    noun = "message" if count == 1 else "messages"
    assert retried.err == f"{count} {noun} of job {job} will be sent again.\n"
    assert f"Job {job} is sending" in retried.out
    assert ledger.counts(job) == {"queued": count, **left}


@pytest.mark.parametrize(
    ("options", "states"),
    [
        ((), "rejected or expired"),
        (("--unknown",), "unknown"),
        (("--undelivered", "--unknown"), "unknown or undelivered"),
    ],
)
def test_retry_says_where_nothing_was_in_those_states(
    ledger: Ledger, smppgw: Smppgw, options: tuple[str, ...], states: str
) -> None:
    job = ledger.load(1)
    retried = smppgw("jobs", "retry", job, *options)
    assert retried.status == 0
    assert retried.err == f"Nothing is sent again: no message of job {job} is {states}.\n"


def test_help_says_what_retry_takes_up_without_an_option(smppgw: Smppgw) -> None:
    told = " ".join(smppgw("jobs", "retry", "--help").out.split())
    assert "Send again what was rejected or expired; with an option, what that names" in told
    assert "--unknown somebody may be written to twice" in told


def test_what_cannot_be_done_is_said_in_a_sentence_with_status_2(
    ledger: Ledger, smppgw: Smppgw
) -> None:
    job = ledger.load(1)
    smppgw("jobs", "cancel", job)
    for motion in ("pause", "resume", "retry"):
        refused = smppgw("jobs", motion, job)
        assert refused.status == 2
        assert refused.out == ""
        assert refused.err.startswith(f"Error: Job {job} is cancelled")
    for motion in ("pause", "resume", "cancel", "retry"):
        nobody = smppgw("jobs", motion, 99)
        assert nobody.status == 2
        assert nobody.err.startswith("Error: There is no job 99")


# The unknown state


def test_jobs_show_says_how_messages_of_unknown_outcome_are_settled(
    ledger: Ledger, smppgw: Smppgw
) -> None:
    job = in_each_state(ledger)
    shown = smppgw("jobs", "show", job)
    assert (
        f"1 message got no answer, and may have arrived: `smppgw jobs retry {job} --" in shown.out
    )
    smppgw("jobs", "retry", job, "--unknown")
    assert "no answer" not in smppgw("jobs", "show", job).out


def test_status_tells_how_many_messages_have_an_outcome_that_nobody_knows(
    ledger: Ledger, smppgw: Smppgw
) -> None:
    assert "Unknown   0 messages\n" in smppgw("status").out
    in_each_state(ledger)
    in_each_state(ledger)
    assert "Unknown   2 messages: `smppgw jobs retry JOB --unknown`" in smppgw("status").out
    assert document(smppgw("status", "--json"))["unknown"] == 2


def test_the_report_says_no_answer_where_none_came(ledger: Ledger, smppgw: Smppgw) -> None:
    job = in_each_state(ledger)
    rows = json.loads(smppgw("report", job, "--format", "json").out)
    assert [row["error"] for row in rows if row["state"] == "unknown"] == ["no answer"]


def test_a_job_that_was_cancelled_before_is_said_to_be_so(ledger: Ledger, smppgw: Smppgw) -> None:
    job = ledger.load(2)
    assert smppgw("jobs", "cancel", job).err == ""
    again = smppgw("jobs", "cancel", job)
    assert (again.status, again.err) == (
        0,
        f"Job {job} was cancelled before; nothing has changed.\n",
    )
