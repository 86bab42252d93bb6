"""What kill -9, SIGTERM and a second gateway do: nothing is lost, nobody is left in doubt."""

import os
import signal

import pytest

from tests.e2e.processes import (
    Site,
    duplicates,
    national,
    number,
    recipients,
    shown,
    wait_until,
)

pytestmark = pytest.mark.timeout(90)

ROWS = 800
WINDOW = 10


def test_kill_9_loses_nothing_and_leaves_at_most_a_window_unknown(site: Site) -> None:
    smsc = site.smsc("--latency", "20ms")
    site.configure(port=smsc.port, window=WINDOW)
    gateway = site.gateway()
    job = site.submit("--recipients", site.write_csv(ROWS))["job"]
    for kills, submits in enumerate((150, 400), 1):
        smsc.wait_for("submit_sm", submits)
        gateway.end(signal.SIGKILL)
        counts = site.job(job)["counts"]
        assert counts["submitting"] <= WINDOW
        shown(counts)
        gateway = site.gateway()
        (started,) = gateway.events("gateway.started")
        assert started["unknown_segments"] <= WINDOW
        assert site.job(job)["counts"]["unknown"] <= WINDOW * kills
    site.watch(job)
    states = site.states(job)
    assert states.keys() == recipients(ROWS)
    assert set(states.values()) <= {"delivered", "unknown"}
    submitted = smsc.final_submits()
    assert set(submitted.values()) == {1}  # held: nobody is written to twice
    # Who is not on record was claimed and never written, and is called unknown, not lost.
    assert {states[one] for one in recipients(ROWS) - submitted.keys()} <= {"unknown"}


def test_kill_9_under_resend_reaches_everybody_and_repeats_at_most_a_window(site: Site) -> None:
    smsc = site.smsc("--latency", "20ms")
    site.configure(port=smsc.port, window=WINDOW)
    gateway = site.gateway()
    job = site.submit("--recipients", site.write_csv(ROWS), "--class", "alert")["job"]
    smsc.wait_for("submit_sm", 300)
    gateway.end(signal.SIGKILL)
    site.gateway()
    assert shown(site.watch(job)["counts"]) == {"delivered": ROWS}
    submitted = smsc.final_submits()
    assert submitted.keys() == recipients(ROWS)
    assert duplicates(submitted.values()) <= WINDOW


def test_sigterm_drains_the_window_unbinds_and_ends_with_0(site: Site) -> None:
    smsc = site.smsc("--latency", "300ms")
    site.configure(port=smsc.port, window=WINDOW)
    gateway = site.gateway()
    job = site.submit("--recipients", site.write_csv(80))["job"]
    smsc.wait_for("submit_sm", 25)
    assert gateway.end(signal.SIGTERM) == 0
    counts = site.job(job)["counts"]
    assert counts["submitting"] == counts["unknown"] == 0
    assert counts["queued"] > 0
    smsc.wait_for("unbind")
    taken = smsc.record("submit_sm")
    answered = smsc.record("submit_sm_resp", "sent")
    assert len(answered) == len(taken) == 80 - counts["queued"]
    status = site.read("status")
    assert status["gateway"] == {"running": False, "pid": None, "since": None}
    assert [link["state"] for link in status["links"]] == ["stopped"]
    site.gateway()
    assert shown(site.watch(job)["counts"]) == {"delivered": 80}
    assert set(smsc.final_submits().values()) == {1}


def test_a_second_gateway_on_one_database_is_refused_in_a_sentence(site: Site) -> None:
    smsc = site.smsc()
    site.configure(port=smsc.port)
    first = site.gateway()
    second = site.start("run")
    assert second.wait() == 1
    (line,) = second.err.lines
    assert line.startswith("Error: A gateway is already running on this database")
    assert not second.out.lines
    assert site.read("status")["gateway"]["pid"] == first.pid
    assert first.popen.poll() is None


def kill_a_submit_in_the_middle(site: Site, *args: str) -> int:
    """Kill the submit of a list that goes on; returns the number of its job."""
    theirs, ours = os.pipe()
    loader = site.start("submit", "--recipients", "-", *args, stdin=theirs)
    os.close(theirs)
    with open(ours, "wb", buffering=0) as pipe:
        rows = (national(at) for at in range(45_000))  # of 50,000, and the pipe stays open
        pipe.write("\n".join(["Portable", *rows]).encode())
        (half,) = wait_until(
            lambda: [job for job in site.jobs() if job["counts"]["total"] > 10_000],
            "the middle of the list",
        )
        assert half["state"] == "loading"
        loader.end(signal.SIGKILL)
    job: int = half["job"]
    return job


def test_a_submit_killed_in_the_middle_leaves_no_job_and_its_key_free(site: Site) -> None:
    half = kill_a_submit_in_the_middle(site, "--key", "fete", "--text", "Essai")
    submitted = site.submit("--to", national(1), "--key", "fete", text="Un autre texte")
    (job,) = site.jobs()
    assert job["job"] == submitted["job"] != half
    assert job["counts"]["total"] == 1


def test_a_gateway_removes_what_a_killed_submit_left_and_sends_none_of_it(site: Site) -> None:
    smsc = site.smsc()
    site.configure(port=smsc.port)
    kill_a_submit_in_the_middle(site, "--text", "Essai")
    gateway = site.gateway()
    (started,) = gateway.events("gateway.started")
    assert started["unfinished_jobs_removed"] == 1
    sent = site.submit("--to", national(77))
    site.watch(sent["job"])
    assert smsc.final_submits() == {number(77): 1}
