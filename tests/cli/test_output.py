"""What is printed where nobody can be sure of the terminal; who gave an order."""

import io
import json
import os
import pwd
import sys

import pytest

from smppgw.cli.output import show_json, visible, whoami


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


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_json_can_be_read_in_every_locale_and_says_the_same(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    document = {"label": "Fête de l’été – 5 €", "emoji": "🎆"}
    written = io.BytesIO()
    # As main() sets it up: what an encoding lacks is written as \\xe9, which is no JSON.
    out = io.TextIOWrapper(written, encoding=encoding, errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", out)
    show_json(document)
    out.flush()
    assert json.loads(written.getvalue().decode(encoding)) == document
    assert (b"\\u" in written.getvalue()) is (encoding != "utf-8")


def test_what_a_terminal_would_obey_is_replaced_and_lines_stay() -> None:
    assert visible("a\x1b[31m\nb\x9b2J\u202ec") == "a\u241b[31m\nb\ufffd2J\ufffdc"
