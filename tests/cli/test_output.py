"""Who gave an order, as the audit is told."""

import os
import pwd

import pytest

from smppgw.cli.output import whoami


def test_who_called_sudo_is_who_gave_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "garde")
    assert whoami() == "garde"


@pytest.mark.parametrize("nothing", [None, ""])
def test_without_sudo_it_is_the_name_of_our_own_account(
    monkeypatch: pytest.MonkeyPatch, nothing: str | None
) -> None:
    if nothing is None:
        monkeypatch.delenv("SUDO_USER", raising=False)
    else:
        monkeypatch.setenv("SUDO_USER", nothing)
    assert whoami() == pwd.getpwuid(os.getuid()).pw_name


def test_an_account_without_a_name_is_called_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_123)
    assert whoami() == "uid 4000000123"


def test_a_name_that_is_no_text_can_still_be_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", os.fsdecode(b"g\xe9rard"))
    assert whoami() == r"g\udce9rard"
    whoami().encode()
