"""Jobs of which something is queued, and the routes that are left of them."""

from smppgw.ledger.waiting import prefixes_ahead, waiting_jobs
from tests.ledger.conftest import Ledger


def test_jobs_with_something_queued_are_told_alerts_first_and_others_not(ledger: Ledger) -> None:
    promotional, service = ledger.load(2, job_class="promotional"), ledger.load(2)
    alert, sent = ledger.load(1, job_class="alert"), ledger.load(1, job_class="alert")
    ledger.now += 1
    later = ledger.load(1)
    ledger.claim(2)
    assert [job.job_id for job in waiting_jobs(ledger.db)] == [service, later, promotional]
    assert {alert, sent}.isdisjoint(job.job_id for job in waiting_jobs(ledger.db))


def test_the_prefixes_ahead_are_those_of_what_is_left(ledger: Ledger) -> None:
    numbers = ["+33600000001", "+262692000001", "+590690000001"]
    job = ledger.load(recipients_of=numbers, prefixes=["+262", "+590"])
    plain = ledger.load(1)
    ahead = prefixes_ahead(ledger.db, [job, plain])
    assert {job: sorted(ahead[job]), plain: ahead[plain]} == {
        job: ["", "+262", "+590"],
        plain: ("",),
    }
    ledger.claim(3)
    ledger.claim(3)  # finds them empty
    assert prefixes_ahead(ledger.db, [job, plain]) == {job: (), plain: ()}


def test_a_job_of_another_number_has_no_part_in_it(ledger: Ledger) -> None:
    assert prefixes_ahead(ledger.db, [77]) == {77: ()}
