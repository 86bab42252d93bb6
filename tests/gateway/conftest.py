"""What every trial has: a log that is caught, and waits that are short."""

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from smppgw import gateway, link
from smppgw.ledger import turn
from smppgw.smpp import session

# Numbers alone: what happens after them stays as it is.
SHORT_WAITS = (
    (turn, "FIRST_RETRY_MS", 50),
    (turn, "UNTRIED_MS", 100),
    (turn, "PARTIAL_MS", 200),
    (gateway, "HOUSEKEEPING_S", 0.1),
    (link, "_TICK_S", 0.05),
    (session, "LEAVE_S", 0.3),
)


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """Catch what the gateway logs, instead of showing it; no number and no text is in it (I11)."""
    configured = structlog.is_configured()
    with capture_logs() as entries:
        yield entries
    if not configured:
        structlog.reset_defaults()
    shown = str([entry for entry in entries if entry["event"] != "pdu"])
    assert "Essai" not in shown
    assert "336000" not in shown


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten what takes seconds and minutes in service."""
    for module, name, wait in SHORT_WAITS:
        monkeypatch.setattr(module, name, wait)
