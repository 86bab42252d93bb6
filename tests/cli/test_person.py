"""`person export` and `person erase`: what is asked, told, written and refused."""

import json
import stat
import time
from pathlib import Path

import pytest

from smppgw.ledger.turn import Arrivals
from tests.cli.conftest import Smppgw
from tests.ledger.conftest import Ledger
from tests.ledger.test_retention import send, write

NUMBER = "+33600000000"


@pytest.mark.parametrize("written", ["06 00 00 00 00", "+33600000000", "0033 6 00 00 00 00"])
def test_a_number_may_be_written_as_people_write_it(
    ledger: Ledger, smppgw: Smppgw, written: str
) -> None:
    send(ledger, 2, text="Bonjour {prenom}")
    write(ledger, "Merci")
    told = json.loads(smppgw("person", "export", written, "--json").out)
    assert told["number"] == NUMBER
    (message,), (text,) = told["messages"], told["texts"]
    assert message["job"] == 1
    assert message["text"] == "Bonjour Zoé"
    assert message["state"] == "undelivered"
    assert message["submitted_at"] == "2023-11-14T23:13:20.000+01:00"
    assert (text["text"], text["to"], text["smsc"]) == ("Merci", "STMARTIN", "operator")
    assert told["optouts"] == []


def test_a_number_of_another_country_is_taken_when_it_is_written_in_full(
    ledger: Ledger, smppgw: Smppgw
) -> None:
    write(ledger, "Hello", "441632960001")
    told = json.loads(smppgw("person", "export", "+44 1632 960001", "--json").out)
    assert [text["text"] for text in told["texts"]] == ["Hello"]


def test_what_is_no_number_is_refused_and_not_repeated(ledger: Ledger, smppgw: Smppgw) -> None:
    for command in ("export", "erase"):
        refused = smppgw("person", command, "06 00 00")
        assert refused.status == 2
        assert "06 00 00" not in refused.err
        assert "write it in full" in refused.err


def test_an_export_for_people_shows_texts_and_says_what_is_not_kept(
    ledger: Ledger, smppgw: Smppgw
) -> None:
    send(ledger, 1, text="Bonjour {prenom}")
    ledger.db.execute("UPDATE job SET text = ''")
    write(ledger, "Merci")
    shown = smppgw("person", "export", NUMBER).out
    assert "1 message, 1 text received, 0 opt-outs." in shown
    assert "(not kept any more)" in shown
    assert "Merci" in shown


def test_an_export_goes_to_a_new_file_for_its_owner_alone(
    ledger: Ledger, smppgw: Smppgw, tmp_path: Path
) -> None:
    send(ledger, 1)
    target = tmp_path / "person.json"
    done = smppgw("person", "export", NUMBER, "--output", target)
    assert (done.status, done.out) == (0, "")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert json.loads(target.read_text("utf-8"))["number"] == NUMBER
    again = smppgw("person", "export", NUMBER, "--output", target)
    assert again.status == 1
    assert "nothing is ever replaced" in again.err
    nowhere = smppgw("person", "export", NUMBER, "--output", tmp_path / "none" / "person.json")
    assert nowhere.status == 1
    assert "No such file or directory" in nowhere.err


def test_an_erased_person_is_nowhere_in_the_files_and_nothing_waits_for_it(
    ledger: Ledger, smppgw: Smppgw
) -> None:
    send(ledger, 5)
    ledger.load(5)
    write(ledger, "Merci")
    done = smppgw("person", "erase", NUMBER, "--yes", "--json")
    assert (done.status, done.err) == (0, "")
    told = json.loads(done.out)
    assert told.pop("hash")
    assert told == {
        "complete": True,
        "messages": 2,
        "suppressed": 1,
        "texts": 1,
        "optouts": 0,
        "in_transit": 0,
        "on_their_way": 0,
        "unread": 0,
        "traces": 0,
    }
    log = ledger.path.with_name(ledger.path.name + "-wal")
    octets = ledger.path.read_bytes() + (log.read_bytes() if log.exists() else b"")
    assert b"33600000000" not in octets
    assert b"33600000001" in octets
    assert "Erased: 0 messages" in smppgw("person", "erase", NUMBER).out


def test_digits_that_others_wrote_are_told_and_left(ledger: Ledger, smppgw: Smppgw) -> None:
    ledger.load(2, text="Appelez le +33600000000")
    done = smppgw("person", "erase", NUMBER, "--yes")
    assert done.status == 0
    assert "1 of which waited and will not be sent" in done.out
    assert "1 place of the database file" in done.err
    assert "33600000000" not in done.out + done.err


def test_while_a_message_is_on_its_way_the_status_is_1_and_the_rest_is_erased(
    ledger: Ledger, smppgw: Smppgw
) -> None:
    send(ledger, 1)
    ledger.now = time.time_ns() // 1_000_000
    ledger.load(1)
    (claim,) = ledger.claim(1)
    submitting = smppgw("person", "erase", NUMBER, "--json")
    ledger.turn(Arrivals(answered=[ledger.answer(claim, "a1")]))
    accepted = smppgw("person", "erase", NUMBER, "--json")
    assert [json.loads(one.out)["messages"] for one in (submitting, accepted)] == [1, 0]
    for later in (submitting, accepted):
        assert later.status == 1
        assert "1 message to this number is on the way" in later.err
        assert json.loads(later.out)["complete"] is False
    ledger.turn(Arrivals(receipts=[ledger.receipt("a1")]))
    assert smppgw("person", "erase", NUMBER).status == 0


def test_a_stop_that_was_not_read_yet_is_told(ledger: Ledger, smppgw: Smppgw) -> None:
    write(ledger, "STOP")
    ledger.db.execute("UPDATE inbound SET asks = 'stop'")
    later = smppgw("person", "erase", NUMBER)
    assert later.status == 1
    assert "let it run" in later.err


def test_at_a_terminal_it_asks_and_no_is_no(ledger: Ledger, at_a_terminal: Smppgw) -> None:
    send(ledger, 1)
    refused = at_a_terminal("n", "person", "erase", NUMBER)
    assert refused.status == 1
    assert "Nothing was erased." in refused.err
    assert ledger.db.execute("SELECT recipient FROM message").fetchone() == (NUMBER,)
    assert at_a_terminal("y", "person", "erase", NUMBER).status == 0
    assert ledger.db.execute("SELECT recipient FROM message").fetchone() != (NUMBER,)
