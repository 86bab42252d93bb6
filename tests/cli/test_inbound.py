"""`inbound list`: what phones sent, for people and for machines."""

import json
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from smppgw.cli.inbound import inbound
from smppgw.errors import DatabaseError
from smppgw.ledger.database import open_database, transaction
from smppgw.ledger.inbound import WAIT_MS, Inbound, keep_house, record
from smppgw.ledger.jobs import account_ids

Run = Callable[..., Result]
HOUR_MS = 3_600_000


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(
        '[[smsc]]\nname = "operator"\nhost = "127.0.0.1"\nsystem_id = "syndic"\n'
        'password = "secret08"\n[[tenant]]\nname = "saint-martin"\nsender = "STMARTIN"\n',
        "utf-8",
    )
    return path


@pytest.fixture
def run(config: Path) -> Run:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(inbound, ["list", *arguments], obj=config, catch_exceptions=False)

    return invoke


@pytest.fixture
def receive(config: Path) -> Callable[..., None]:
    def store(*octets: bytes, ago_ms: int = 0, esm_class: int = 0) -> None:
        db = open_database(config.with_name("smppgw.db"), create=True)
        account = account_ids(db, ["operator"])["operator"]
        now = time.time_ns() // 1_000_000 - ago_ms
        with transaction(db):
            record(
                db,
                [
                    Inbound(account, "33600000001", "36111", esm_class, 3, each, {}, "gsm7")
                    for each in octets
                ],
                now,
            )
            keep_house(db, now + WAIT_MS)
        db.close()

    return store


def test_json_names_everything_of_a_text_newest_first(
    run: Run, receive: Callable[..., None]
) -> None:
    receive(b"Merci", "Où ?".encode("latin-1"))
    newest, oldest = json.loads(run("--json").stdout)
    received_at = datetime.fromisoformat(newest.pop("received_at"))
    assert received_at.utcoffset() is not None
    assert abs(received_at.timestamp() - time.time()) < 60
    assert newest == {
        "inbound": 2,
        "smsc": "operator",
        "from": "+33600000001",
        "to": "36111",
        "text": "Où ?",
        "parts": 1,
        "complete": True,
    }
    assert oldest["text"] == "Merci"


def test_only_what_is_asked_for_is_listed(run: Run, receive: Callable[..., None]) -> None:
    receive(b"hier", ago_ms=25 * HOUR_MS)
    receive(b"tantot", ago_ms=2 * HOUR_MS)
    receive(b"maintenant")
    assert [text["text"] for text in json.loads(run("--json", "--since", "1d").stdout)] == [
        "maintenant",
        "tantot",
    ]
    assert [text["text"] for text in json.loads(run("--json", "--limit", "1").stdout)] == [
        "maintenant"
    ]
    assert json.loads(run("--json", "--since", "1ms").stdout) == []


def test_people_see_a_table_that_says_what_is_missing(
    run: Run, receive: Callable[..., None]
) -> None:
    receive(bytes((5, 0, 3, 7, 2, 1)) + b"Bonjour ", esm_class=0x40)
    shown = run().stdout
    assert "+33600000001" in shown
    assert "Bonjour […]" in shown
    assert "2, some missing" in " ".join(shown.split())


def test_a_text_can_neither_colour_the_table_nor_steer_the_terminal(
    run: Run, receive: Callable[..., None]
) -> None:
    receive(b"[/b] :tada: \x1b[31m\x9b2J")
    shown = run().stdout
    assert "[/b] :tada: ␛[31m\ufffd2J" in " ".join(shown.split())
    assert "\x1b" not in shown


def test_where_nothing_came_it_says_so(run: Run, receive: Callable[..., None]) -> None:
    receive()
    assert run().stdout == "No text has come yet.\n"
    assert run("--since", "1h").stdout == "No text has come since then.\n"
    assert json.loads(run("--json").stdout) == []


def test_where_there_is_no_database_it_says_what_makes_one(run: Run) -> None:
    with pytest.raises(DatabaseError, match="smppgw run"):
        run()
