"""What a tenant has spent in a period: what was sent or waits, to the segment."""

import pytest

from smppgw.ledger.database import transaction
from smppgw.ledger.jobs import Addressee, Loading, Order
from smppgw.ledger.spending import segments_between
from tests.ledger.conftest import START, Ledger

DAY_MS = 86_400_000


def spent(ledger: Ledger, tenant: str = "saint-martin", *, but: str | None = None) -> int:
    return segments_between(ledger.db, tenant, START, START + DAY_MS, but=but)


def test_segments_of_all_jobs_of_a_tenant_count_whether_sent_or_waiting(ledger: Ledger) -> None:
    assert spent(ledger) == 0
    ledger.load(3, segments=2)
    ledger.load(5, job_class="alert")
    assert spent(ledger) == 11
    (claim, *_) = ledger.claim(2)
    assert claim.total == 1
    assert spent(ledger) == 11
    assert spent(ledger, "val-fleuri") == 0


def test_the_first_instant_counts_and_the_one_behind_the_last_does_not(ledger: Ledger) -> None:
    for now in (START - 1, START, START + DAY_MS - 1, START + DAY_MS):
        ledger.now = now
        ledger.load(1)
    assert spent(ledger) == 2


@pytest.mark.parametrize("state", ["rejected", "expired", "cancelled", "suppressed"])
def test_what_was_never_sent_costs_nothing_to_the_segment(state: str, ledger: Ledger) -> None:
    order = Order(
        "service", "saint-martin", "STMARTIN", "Essai", "keep", False, None, None, 5, "hold",
        START, START + DAY_MS,
    )  # fmt: skip
    loading = Loading(ledger.db, ledger.locks, order)
    loading.add(Addressee(f"+3360000000{at}", at, None) for at in range(1, 5))
    job_id = loading.finish(START)
    with transaction(ledger.db):
        ledger.db.execute(f"UPDATE message SET state = '{state}' WHERE segments IN (2, 4)")
        ledger.db.execute(
            f"UPDATE job SET {state} = 2, queued = queued - 2 WHERE id = ?", (job_id,)
        )
    assert spent(ledger) == 1 + 3


def test_a_job_with_the_same_key_is_not_counted_against_itself(ledger: Ledger) -> None:
    ledger.load(2, key="fete")
    ledger.load(3, key="bal")
    ledger.load(4)
    assert spent(ledger) == 9
    assert spent(ledger, but="fete") == 7


def test_a_job_that_is_still_loading_is_not_counted(ledger: Ledger) -> None:
    order = Order(
        "service", "saint-martin", "STMARTIN", "Essai", "keep", False, None, None, 5, "hold",
        START, START + DAY_MS,
    )  # fmt: skip
    loading = Loading(ledger.db, ledger.locks, order)
    loading.add([Addressee("+33600000001", 1, None)])
    assert spent(ledger) == 0
    loading.discard()
