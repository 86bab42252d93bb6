"""A configuration and its ledger, and commands as a script runs them."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from smppgw.cli import main
from smppgw.ledger.database import Locks, open_database
from smppgw.ledger.jobs import account_ids
from tests.ledger.conftest import Ledger

CONFIG = """
[[smsc]]
name = "operator"
host = "127.0.0.1"
system_id = "syndic"
password = "secret08"
[[tenant]]
name = "saint-martin"
sender = "STMARTIN"
"""


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


Smppgw = Callable[..., Ended]


@pytest.fixture
def config_path(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG, "utf-8")
    return path


@pytest.fixture
def ledger(config_path: Path) -> Iterator[Ledger]:
    """The ledger that the configuration names, and the gateway's side of it in miniature."""
    path = config_path.with_name("smppgw.db")
    db, locks = open_database(path, create=True), Locks(path)
    yield Ledger(db, locks, path, account_ids(db, ["operator"])["operator"])
    db.close()
    locks.close()


@pytest.fixture
def smppgw(
    config_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Smppgw:
    """Run a command as the entry point does, without a terminal."""

    def run(*arguments: object) -> Ended:
        words = ["smppgw", "--config", str(config_path), *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as left:
            main()
        assert isinstance(left.value.code, int)
        return Ended(left.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def at_a_terminal(config_path: Path) -> Smppgw:
    """Run a command whose standard input is a terminal, with a line typed into it."""

    def run(typed: str, *arguments: object) -> Ended:
        ours, theirs = pty.openpty()
        try:
            os.write(ours, f"{typed}\n".encode())
            ended = subprocess.run(
                [sys.executable, "-m", "smppgw", "--config", config_path, *map(str, arguments)],
                stdin=theirs,
                capture_output=True,
                encoding="utf-8",
                timeout=30,
            )
        finally:
            os.close(ours)
            os.close(theirs)
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run
