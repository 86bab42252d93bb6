"""`ready`: the conditions as seen from outside the gateway."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smppgw.ledger import standing
from smppgw.ledger.database import Locks, open_database
from smppgw.ledger.jobs import LinkRow, note_gateway, note_links
from tests.cli.conftest import CONFIG, Ended, Smppgw
from tests.ledger.conftest import Ledger

NAMES = ["link", "database", "disk", "sender", "budget", "clock", "drill"]


def link(state: str) -> LinkRow:
    return LinkRow("operator", 1, state, None, 10, 0, 20, 20.0)


@pytest.fixture
def gateway(ledger: Ledger, config_path: Path) -> Iterator[Locks]:
    """What a gateway that is bound writes down, and its lock; any free disk will do."""
    config_path.write_text(CONFIG + "[ready]\nfree_disk_mb = 0\n", "utf-8")
    note_gateway(ledger.db, os.getpid(), time.time_ns() // 1_000_000)
    note_links(ledger.db, [link("bound")])
    locks = Locks(ledger.path)
    locks.take_gateway()
    yield locks
    locks.close()


def failed(ended: Ended) -> list[str]:
    document: dict[str, Any] = json.loads(ended.out)
    assert [condition["name"] for condition in document["conditions"]] == NAMES
    assert document["ready"] == all(condition["ok"] for condition in document["conditions"])
    assert ended.status == (0 if document["ready"] else 1)
    return [c["name"] for c in document["conditions"] if not c["ok"]]


def test_with_a_gateway_that_is_bound_an_alert_can_leave(gateway: Locks, smppgw: Smppgw) -> None:
    assert failed(smppgw("ready", "--json")) == []
    shown = smppgw("ready")
    assert (shown.status, shown.err) == (0, "")
    assert [line.split()[:2] for line in shown.out.splitlines()[2:]] == [
        ["yes", name] for name in NAMES
    ]


def test_what_a_gateway_that_has_gone_wrote_down_is_not_believed(
    gateway: Locks, smppgw: Smppgw
) -> None:
    gateway.close()
    assert failed(smppgw("ready", "--json")) == ["link"]
    shown = smppgw("ready")
    assert "NO" in shown.out
    assert "start it with `smppgw run`" in shown.out
    assert "link" in shown.err


def test_a_link_that_is_not_bound_sends_nothing(
    gateway: Locks, ledger: Ledger, smppgw: Smppgw
) -> None:
    note_links(ledger.db, [link("backoff")])
    assert failed(smppgw("ready", "--json")) == ["link"]


def test_without_a_database_no_alert_can_leave_and_the_rest_is_told(smppgw: Smppgw) -> None:
    assert {"link", "database"} <= set(failed(smppgw("ready", "--json")))


def test_a_database_that_another_process_holds_is_told_within_a_second(
    gateway: Locks, ledger: Ledger, smppgw: Smppgw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "WRITABLE_TIMEOUT_S", 0.01)
    other = open_database(ledger.path)
    other.execute("BEGIN IMMEDIATE")
    assert failed(smppgw("ready", "--json")) == ["database"]
    other.execute("ROLLBACK")
    other.close()


def test_a_database_from_the_future_says_that_the_clock_is_wrong(
    gateway: Locks, ledger: Ledger, smppgw: Smppgw
) -> None:
    ledger.now = time.time_ns() // 1_000_000 + 3_600_000
    ledger.load(1)
    assert failed(smppgw("ready", "--json")) == ["clock"]


def test_a_budget_and_a_drill_are_looked_up_in_the_ledger(
    gateway: Locks, ledger: Ledger, config_path: Path, smppgw: Smppgw
) -> None:
    config_path.write_text(
        f'{CONFIG}segments_a_month = 2\n[ready]\nfree_disk_mb = 0\ndrill_every = "1d"\n', "utf-8"
    )
    assert failed(smppgw("ready", "--json")) == ["drill"]
    ledger.now = time.time_ns() // 1_000_000
    ledger.load(3, job_class="alert")
    ledger.claim(3)
    assert failed(smppgw("ready", "--json")) == ["budget"]
