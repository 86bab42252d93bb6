"""The main job, end to end: a list leaves through the gateway, and every receipt comes home."""

import json
import time
from collections import Counter

import pytest

from tests.e2e.processes import Site, national, number, recipients, shown, wait_until

pytestmark = pytest.mark.timeout(60)

ROWS = 3000


@pytest.mark.parametrize(("kind", "window"), [("csv", 10), ("xlsx", 100)])
def test_a_list_of_thousands_leaves_and_every_receipt_comes_home(
    site: Site, kind: str, window: int
) -> None:
    smsc = site.smsc(
        "--window", str(window), "--outcomes", "DELIVRD=95,UNDELIV=5", "--latency", "2ms"
    )
    site.configure(port=smsc.port, window=window)
    site.gateway()
    listed = site.write_csv(ROWS) if kind == "csv" else site.write_xlsx(ROWS)
    submitted = site.submit("--recipients", listed, text="{Prénom}, pas d'eau jeudi.")
    assert submitted["recipients"]["queued"] == submitted["segments"] == ROWS
    job = site.watch(submitted["job"])
    assert job["state"] == "done"
    counts = shown(job["counts"])
    assert counts.keys() == {"delivered", "undelivered"}
    recorded = site.read("status")["receipts"]
    assert smsc.final_submits() == Counter(recipients(ROWS))
    receipts = smsc.record("deliver_sm", "sent")
    assert (
        sum(b"stat:UNDELIV" in bytes.fromhex(pdu["short_message"]) for pdu in receipts)
        == (counts["undelivered"])
    )
    assert {pdu["status"] for pdu in smsc.record("submit_sm_resp", "sent")} == {0}
    assert recorded == {
        "received": ROWS, "matched": ROWS, "parked": 0, "orphan": 0, "duplicate": 0,
    }  # fmt: skip
    assert Counter(site.states(job["job"]).values()) == counts


def test_a_job_submitted_while_the_gateway_runs_leaves_at_once(site: Site) -> None:
    smsc = site.smsc()
    site.configure(port=smsc.port)
    site.gateway()
    site.submit("--to", national(1))
    returned = time.monotonic()
    smsc.wait_for("submit_sm")
    waited_s = smsc.record("submit_sm")[0]["at"] - returned  # one clock for all processes
    print(f"submit_sm on the wire {waited_s * 1000:.0f} ms after submit had returned")
    assert waited_s < 1.0


def test_an_alert_leaves_before_what_was_queued_earlier(site: Site) -> None:
    smsc = site.smsc("--latency", "20ms")
    site.configure(port=smsc.port, throughput=40)
    site.gateway()
    backlog = site.submit("--recipients", site.write_csv(1000))
    smsc.wait_for("submit_sm", 20)
    alert = site.submit("--to", national(5000), "--class", "alert", text="La Lys monte, partez.")
    returned = time.monotonic()
    assert site.watch(alert["job"])["counts"]["delivered"] == 1
    there = f'"destination": "{number(5000)[1:]}"'
    line = smsc.out.wait_for(lambda lines: next((one for one in lines if there in one), None))
    left_at = json.loads(line)["at"]
    assert left_at < returned + 1.0  # the backlog takes 25 s
    left = site.job(backlog["job"])["counts"]["queued"]
    assert left > 500


def test_recipients_come_on_standard_input_too(site: Site) -> None:
    rows = "\n".join(["Portable", *(national(at) for at in range(5)), national(3), "néant"])
    submitted = site.submit("--recipients", "-", given=rows)
    assert submitted["recipients"] == {
        "read": 7, "queued": 5, "invalid": 1, "duplicate": 1, "opted_out": 0,
    }  # fmt: skip
    assert list(site.states(submitted["job"])) == [number(at) for at in range(5)]


def test_submit_waits_until_the_last_receipt(site: Site) -> None:
    smsc = site.smsc("--receipt-delay", "700ms")
    site.configure(port=smsc.port)
    site.gateway()
    submitted = site.submit("--to", national(1), "--wait", "--timeout", "30s")
    assert submitted["state"] == "done"
    assert shown(site.job(submitted["job"])["counts"]) == {"delivered": 1}


def test_submit_waits_for_no_receipt_where_none_is_asked_for(site: Site) -> None:
    smsc = site.smsc()
    site.configure(port=smsc.port, receipts="none")
    site.gateway()
    submitted = site.submit("--to", national(1), "--wait", "--timeout", "30s")
    assert submitted["state"] == "done"
    assert shown(site.job(submitted["job"])["counts"]) == {"accepted": 1}
    smsc.wait_for("submit_sm")
    assert smsc.record("submit_sm")[0]["registered_delivery"] == 0


def test_waiting_ends_in_time_and_the_job_goes_on(site: Site) -> None:
    ended = site.run("submit", "--to", national(1), "--text", "x", "--wait", "--timeout", "300ms",
                     "--json")  # fmt: skip
    assert ended.returncode == 1
    job = json.loads(ended.stdout)["job"]
    assert f"smppgw jobs show {job}" in ended.stderr
    assert site.job(job)["state"] == "queued"


def test_the_same_key_sends_once_and_another_content_under_it_is_refused(site: Site) -> None:
    first = site.submit("--to", national(1), "--key", "crue-1")
    again = site.submit("--to", national(1), "--key", "crue-1")
    assert again["job"] == first["job"]
    other = site.run("submit", "--to", national(2), "--key", "crue-1", "--text", "Autre")
    assert other.returncode == 2
    assert "crue-1" in other.stderr
    assert len(site.jobs()) == 1


def test_an_smsc_that_was_killed_is_found_again_and_the_job_ends(site: Site) -> None:
    smsc = site.smsc("--latency", "20ms")
    site.configure(port=smsc.port, window=10, throughput=400)
    gateway = site.gateway()
    job = site.submit("--recipients", site.write_csv(600))["job"]
    smsc.wait_for("submit_sm", 100)
    smsc.popen.kill()
    smsc.wait()
    gateway.err.wait_for(lambda lines: any('"event": "link.down"' in line for line in lines))
    again = site.smsc("--latency", "20ms", "--seed", "7", port=smsc.port)
    wait_until(lambda: site.job(job)["state"] == "done", "the end of the job")
    counts = site.job(job)["counts"]
    assert counts["unknown"] <= 10
    assert shown(counts).keys() <= {"delivered", "accepted", "unknown"}
    assert sum(again.final_submits().values()) >= 400
