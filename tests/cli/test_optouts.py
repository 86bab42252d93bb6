"""`optouts`: lists kept from the command line, told without showing whole numbers."""

import json
import stat
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from smppgw.ledger import audit
from smppgw.ledger.database import open_database
from smppgw.ledger.hashing import Hasher
from smppgw.ledger.optouts import OptOut, blocked
from smppgw.ledger.optouts import add as put
from tests.cli.conftest import CONFIG, Ended, Smppgw
from tests.ledger.conftest import Ledger

A, B, C = "+33600000001", "+33600000002", "+33600000003"
TENANT = "saint-martin"


@pytest.fixture
def two_tenants(config_path: Path) -> None:
    config_path.write_text(
        CONFIG + '[[tenant]]\nname = "saint-denis"\nsender = "STDENIS"\n', "utf-8"
    )


def document(ended: Ended) -> Any:
    assert ended.status == 0, ended.err
    return json.loads(ended.out)


def listed(smppgw: Smppgw, *options: object) -> list[tuple[str, str, str]]:
    return [
        (row["tenant"], row["purpose"], row["number"])
        for row in document(smppgw("optouts", "list", "--clear", "--json", *options))
    ]


def add(smppgw: Smppgw, *numbers: str, **options: str) -> Ended:
    words = [word for number in numbers for word in ("--number", number)]
    words += [word for name, value in options.items() for word in (f"--{name}", value)]
    return smppgw("optouts", "add", *words)


# Added


def test_a_number_is_put_on_the_promotional_list_unless_another_is_named(smppgw: Smppgw) -> None:
    added = add(smppgw, "06 00 00 00 01", "0033600000002", "600000001")
    assert (added.status, added.err) == (0, "")
    assert added.out == "2 numbers put on the list “promotional” of saint-martin.\n"
    assert add(smppgw, A, purpose="all").status == 0
    assert sorted(listed(smppgw)) == [
        (TENANT, "all", A),
        (TENANT, "promotional", A),
        (TENANT, "promotional", B),
    ]


def test_adding_again_says_that_it_stood_there(smppgw: Smppgw) -> None:
    add(smppgw, A)
    again = add(smppgw, A, B)
    assert again.out == (
        "1 number put on the list “promotional” of saint-martin; 1 stood there already.\n"
    )
    told = smppgw("optouts", "add", "--number", A, "--json")
    assert document(told) == {"tenant": TENANT, "purpose": "promotional", "added": 0, "already": 1}


def test_what_is_added_silences_a_job_and_is_in_the_audit(
    smppgw: Smppgw, config_path: Path
) -> None:
    add(smppgw, A, purpose="fetes", reason="par téléphone")
    db = open_database(config_path.with_name("smppgw.db"))
    hasher = Hasher.open(config_path.with_name("smppgw.key"))
    assert A in blocked(db, hasher, TENANT, "fetes", "purpose")
    (told,) = audit.entries(db)
    assert (told.action, told.details["recipients"]) == ("optout.added", [hasher.of(A)])
    assert told.actor not in ("", "gateway")
    db.close()


def test_the_proof_is_kept_with_its_time_and_way(smppgw: Smppgw) -> None:
    add(smppgw, A, reason="Lettre du 12 mai")
    (row,) = document(smppgw("optouts", "list", "--json"))
    assert (row["channel"], row["text"]) == ("command", "Lettre du 12 mai")
    assert datetime.fromisoformat(row["added_at"]).utcoffset() is not None


def test_database_and_key_are_made_where_there_are_none(smppgw: Smppgw, config_path: Path) -> None:
    assert add(smppgw, A).status == 0
    key = config_path.with_name("smppgw.key")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 32


def test_where_one_number_cannot_be_read_nothing_is_added(smppgw: Smppgw) -> None:
    refused = add(smppgw, A, "01 00 00 00 99")
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.startswith("Error: --number, 2: a fixed line")
    assert "99" not in refused.err
    assert add(smppgw, B).status == 0
    assert listed(smppgw) == [(TENANT, "promotional", B)]


def test_a_number_of_another_country_is_taken_if_it_is_written_in_full(smppgw: Smppgw) -> None:
    assert add(smppgw, "+32 470 00 00 01").status == 0
    assert listed(smppgw) == [(TENANT, "promotional", "+32470000001")]


@pytest.mark.parametrize("purpose", ["", "Fêtes", "FETES", "a b", "-fetes", "x" * 33])
@pytest.mark.parametrize("command", ["add", "remove", "import"])
def test_a_purpose_is_a_word_of_small_letters(smppgw: Smppgw, command: str, purpose: str) -> None:
    rest = ["liste.csv"] if command == "import" else ["--number", A]
    refused = smppgw("optouts", command, *rest, "--purpose", purpose)
    assert (refused.status, refused.out) == (2, "")
    assert "small letters" in refused.err


def test_of_several_tenants_one_must_be_named(smppgw: Smppgw, two_tenants: None) -> None:
    for command in ("add", "remove"):
        refused = smppgw("optouts", command, "--number", A)
        assert refused.status == 2
        assert "--tenant: saint-martin, saint-denis" in refused.err
    unknown = add(smppgw, A, tenant="saint-deni")
    assert unknown.status == 2
    assert "did you mean 'saint-denis'" in unknown.err
    assert add(smppgw, A, tenant="saint-denis").status == 0
    assert listed(smppgw) == [("saint-denis", "promotional", A)]


def test_a_damaged_key_is_told_with_what_to_do_and_nothing_is_added(
    smppgw: Smppgw, config_path: Path
) -> None:
    add(smppgw, A)
    config_path.with_name("smppgw.key").write_bytes(b"short")
    refused = add(smppgw, B)
    assert refused.status == 1
    assert "smppgw.key is damaged" in refused.err
    assert "backup" in refused.err
    assert [number for *_, number in listed(smppgw)] == [A]


def test_another_key_is_refused_before_the_list_is_mixed_up(
    smppgw: Smppgw, config_path: Path
) -> None:
    add(smppgw, A)
    config_path.with_name("smppgw.key").write_bytes(b"x" * 32)
    refused = add(smppgw, B)
    assert refused.status == 1
    assert "another key" in refused.err


# Listed


def test_numbers_are_masked_unless_they_are_asked_for(smppgw: Smppgw) -> None:
    add(smppgw, A)
    for shown in (smppgw("optouts", "list").out, smppgw("optouts", "list", "--json").out):
        assert "+336****0001" in shown
        assert A not in shown
    for options in (("--clear",), ("--clear", "--json")):
        assert A in smppgw("optouts", "list", *options).out


def test_people_see_a_table_with_the_proof(smppgw: Smppgw) -> None:
    add(smppgw, A, purpose="fetes", reason="[bold]Lettre\x1b[31m\ndu 12 mai")
    heading, _, row = smppgw("optouts", "list").out.splitlines()[:3]
    assert heading.split() == ["Since", "Tenant", "Purpose", "Number", "By", "Proof"]
    assert f"{TENANT}" in row
    assert "[bold]Lettre␛[31m du 12 mai" in row
    assert "\x1b" not in row


def test_a_number_that_retention_took_is_shown_by_its_hash(
    smppgw: Smppgw, config_path: Path
) -> None:
    add(smppgw, A)
    db = open_database(config_path.with_name("smppgw.db"))
    db.execute("UPDATE optout SET recipient = NULL")
    db.close()
    digits = Hasher.open(config_path.with_name("smppgw.key")).of(A)
    assert f"#{digits[:8]}" in smppgw("optouts", "list", "--clear").out
    (row,) = document(smppgw("optouts", "list", "--json"))
    assert (row["number"], row["hash"]) == (None, digits)


def test_only_what_is_asked_for_is_listed_newest_first(smppgw: Smppgw, two_tenants: None) -> None:
    for tenant in (TENANT, "saint-denis"):
        for purpose in ("fetes", "all"):
            add(smppgw, A, tenant=tenant, purpose=purpose)
    assert len(listed(smppgw)) == 4
    assert listed(smppgw, "--tenant", TENANT, "--purpose", "all") == [(TENANT, "all", A)]
    assert listed(smppgw, "--limit", 1) == [("saint-denis", "all", A)]


def test_an_empty_list_is_said_to_be_empty(smppgw: Smppgw, ledger: Ledger) -> None:
    assert smppgw("optouts", "list").out == "Nobody has opted out.\n"
    assert document(smppgw("optouts", "list", "--json")) == []


def test_without_a_database_list_and_remove_say_what_makes_one(smppgw: Smppgw) -> None:
    for words in (("list",), ("remove", "--number", A)):
        refused = smppgw("optouts", *words)
        assert refused.status == 1
        assert "There is no database" in refused.err


# Removed


def test_what_is_removed_is_off_one_list_and_the_others_are_told(smppgw: Smppgw) -> None:
    add(smppgw, A, B)
    add(smppgw, A, purpose="all")
    removed = smppgw("optouts", "remove", "--number", A, "--number", C)
    assert removed.status == 0
    assert removed.out == (
        "1 number taken off the list “promotional” of saint-martin; 1 did not stand there.\n"
    )
    assert "agreed anew" in removed.err
    assert "1 number still stands on the list “all”." in removed.err
    assert sorted(listed(smppgw)) == [(TENANT, "all", A), (TENANT, "promotional", B)]


def test_json_of_remove_counts_what_happened(smppgw: Smppgw) -> None:
    add(smppgw, A)
    add(smppgw, A, B, purpose="all")
    told = smppgw("optouts", "remove", "--number", A, "--number", B, "--json")
    assert document(told) == {
        "tenant": TENANT,
        "purpose": "promotional",
        "removed": 1,
        "not_listed": 1,
        "still": {"all": 2},
    }
    assert "agreed anew" in told.err


def test_remove_asks_at_a_terminal_and_reminds_of_the_consent(
    smppgw: Smppgw, at_a_terminal: Smppgw
) -> None:
    add(smppgw, A)
    refused = at_a_terminal("n", "optouts", "remove", "--number", A)
    assert refused.status == 1
    assert "agreed anew" in refused.err
    assert "Take 1 number off the list “promotional” of saint-martin?" in refused.err
    assert "Nothing was removed." in refused.err
    assert len(listed(smppgw)) == 1
    assert at_a_terminal("y", "optouts", "remove", "--number", A).status == 0
    assert listed(smppgw) == []


@pytest.mark.parametrize("option", ["--yes", "--json"])
def test_remove_does_not_ask_who_has_said_yes_or_is_a_machine(
    smppgw: Smppgw, at_a_terminal: Smppgw, option: str
) -> None:
    add(smppgw, A)
    assert at_a_terminal("n", "optouts", "remove", "--number", A, option).status == 0
    assert listed(smppgw) == []


# Imported


@pytest.fixture
def liste(tmp_path: Path) -> Path:
    path = tmp_path / "desinscrits.csv"
    rows = ["Nom;Portable", "Zoé;06 00 00 00 01", "Noël;0600000002", "Léa;01 00 00 00 01",
            "Zoé;600000001"]  # fmt: skip
    path.write_text("\n".join(rows), "utf-8")
    return path


def test_a_list_is_imported_and_what_is_left_out_is_told_row_by_row(
    smppgw: Smppgw, liste: Path
) -> None:
    add(smppgw, B, purpose="fetes")
    imported = smppgw("optouts", "import", liste, "--purpose", "fetes")
    assert imported.status == 0
    assert imported.out == (
        "1 number put on the list “fetes” of saint-martin; 1 stood there already.\n"
    )
    left_out = liste.with_name("desinscrits.left-out.csv")
    assert "Left out: 1 landline: a fixed line, SMS needs a mobile\n" in imported.err
    assert "Left out: 1 duplicate" in imported.err
    assert f"Row by row in {left_out}." in imported.err
    assert len(left_out.read_text("utf-8-sig").splitlines()) == 3
    (row,) = [
        row for row in document(smppgw("optouts", "list", "--json")) if row["channel"] == "file"
    ]
    assert (row["number"], row["text"]) == ("+336****0001", "desinscrits.csv")


def test_json_of_an_import_counts_everything(smppgw: Smppgw, liste: Path) -> None:
    told = smppgw("optouts", "import", liste, "--json", "--reason", "registre papier")
    assert document(told) == {
        "tenant": TENANT,
        "purpose": "promotional",
        "read": 4,
        "added": 2,
        "already": 0,
        "invalid": 1,
        "duplicate": 1,
        "left_out_file": str(liste.with_name("desinscrits.left-out.csv")),
        "warnings": [],
    }
    assert document(smppgw("optouts", "list", "--json"))[0]["text"] == "registre papier"


def test_an_excel_list_is_imported_from_the_sheet_and_column_that_are_named(
    smppgw: Smppgw, tmp_path: Path
) -> None:
    path = tmp_path / "liste.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("Autres").write_column(0, 0, ["Portable", "0600000009"])
        sheet = book.add_worksheet("Stop")
        sheet.write_row(0, 0, ["Portable", "Second portable"])
        sheet.write_row(1, 0, ["0600000001", "0600000002"])
    words = ("--sheet", "stop", "--column", "second portable")
    assert smppgw("optouts", "import", path, *words).status == 0
    assert [number for *_, number in listed(smppgw)] == [B]


def test_a_list_without_any_number_is_an_error(smppgw: Smppgw, tmp_path: Path) -> None:
    path = tmp_path / "liste.csv"
    path.write_text("Nom;Portable\nZoé;néant\n", "utf-8")
    refused = smppgw("optouts", "import", path)
    assert (refused.status, refused.out) == (2, "")
    assert "no row has a number" in refused.err
    assert "liste.left-out.csv" in refused.err


def test_a_list_that_cannot_be_read_is_an_error(smppgw: Smppgw, tmp_path: Path) -> None:
    refused = smppgw("optouts", "import", tmp_path / "none.csv")
    assert refused.status == 2
    assert "none.csv" in refused.err


def test_an_import_is_in_the_audit_as_one(smppgw: Smppgw, liste: Path, config_path: Path) -> None:
    smppgw("optouts", "import", liste)
    db = open_database(config_path.with_name("smppgw.db"))
    (told,) = audit.entries(db)
    assert (told.action, len(told.details["recipients"])) == ("optout.imported", 2)
    db.close()


def test_an_opt_out_of_a_foreign_phone_can_be_removed(
    smppgw: Smppgw, ledger: Ledger, config_path: Path
) -> None:
    hasher = Hasher.open(config_path.with_name("smppgw.key"))
    put(ledger.db, hasher, [OptOut(TENANT, "fetes", "+32470000001", "sms", "STOP")], "gateway", 1)
    words = ("--number", "+32 (470) 00.00.01", "--purpose", "fetes")
    assert "1 number taken off" in smppgw("optouts", "remove", *words).out
