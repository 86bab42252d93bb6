"""`preview` and `submit`: the bill before sending, and what is refused because of it."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from smppgw.campaign.submission import Plan
from smppgw.cli import send
from smppgw.ledger.database import open_database
from smppgw.ledger.jobs import LinkRow, list_jobs, note_links
from tests.cli.conftest import Smppgw
from tests.ledger.conftest import Ledger

CONFIG = """
[[smsc]]
name = "operator"
host = "127.0.0.1"
system_id = "syndic"
password = "secret08"
price = 0.038
{account}
[[tenant]]
name = "saint-martin"
sender = "STMARTIN"
segments_a_month = 10
rewrite = "gentle"
{tenant}
[class.promotional]
hours = ["00:00", "23:59"]
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
"""
TO = ("--to", "06 00 00 00 01")
FETE = ("--text", "Fête samedi. STOP au 36111", "--class", "promotional")


@pytest.fixture(autouse=True)
def configured(config_path: Path) -> Path:
    config_path.write_text(CONFIG.format(account="", tenant=""), "utf-8")
    return config_path


def numbers(count: int) -> list[str]:
    return [word for at in range(count) for word in ("--to", f"06 00 00 00 {at:02d}")]


def jobs(config_path: Path) -> int:
    path = config_path.with_name("smppgw.db")
    if not path.exists():
        return 0
    db = open_database(path)
    try:
        return len(list_jobs(db))
    finally:
        db.close()


def picture(smppgw: Smppgw, *order: str) -> dict[str, Any]:
    ended = smppgw("preview", *order, "--json")
    assert ended.status == 0, ended.err
    document: dict[str, Any] = json.loads(ended.out)
    return document


# The page


@pytest.fixture
def listed(tmp_path: Path) -> str:
    path = tmp_path / "habitants.csv"
    path.write_text(
        "Portable;Prénom\n0600000001;Noël\n0600000002;\n0600000003;Marie\n0600000003;Zoé\n"
        "0100000001;x\n",
        "utf-8",
    )
    return str(path)


def test_the_page_says_all_that_the_bill_depends_on(smppgw: Smppgw, listed: str) -> None:
    ended = smppgw(
        "preview", "--recipients", listed,
        "--text", "{prenom|Vous}, l’eau sera coupée 3 h, bientôt. 2 €\nMairie",
    )  # fmt: skip
    assert ended.status == 0
    lines = [re.sub(" {2,}", "  ", line) for line in ended.out.splitlines()]
    assert lines[:6] == [
        "This would be queued: service, saint-martin, from STMARTIN",
        "",
        "Text  {prenom|Vous}, l’eau sera coupée 3 h, bientôt. 2 €",
        "  Mairie",
        "Costly  ’ → '  (done by --rewrite gentle)",
        "Costly  ô → o  (with --rewrite full)",
    ]
    for line in (
        "Costly  €  (each counts for two)",
        "Costly  ë  (from the list; these force UCS2 too)",
        "Length  1 segment each, alphabet ucs2",
        "Recipients  3 of 5",
        "Left out  1 duplicate: the same number stands in an earlier row",
        "Left out  1 landline: a fixed line, SMS needs a mobile",
        "Segments  3, 0.11 EUR",
        "Budget  10 segments this month, 0 used before this, 7 left after it",
        "Rewrite  keep  gentle (used)  full",
        "Segments  3  3  3",
        "Price  0.11 EUR  0.11 EUR  0.11 EUR",
        "Longest  row 4, 1 segment: Marie, l'eau sera coupée 3 h, bientôt. 2 €",
        "Shortest  row 2, 1 segment: Noël, l'eau sera coupée 3 h, bientôt. 2 €",
        "Example  row 3, 1 segment: Vous, l'eau sera coupée 3 h, bientôt. 2 €",
    ):
        assert line in lines
    assert any(re.fullmatch(r"Time  \d s, until .*", line) for line in lines)
    assert "Warning: {prenom} is blank for 1 of 3: they get its default." in ended.err
    assert "\x1b" not in ended.out + ended.err
    assert all(line == line.rstrip() for line in ended.out.splitlines() if "Rewrite" not in line)


def test_a_text_that_would_command_a_terminal_is_shown_as_pictures(smppgw: Smppgw) -> None:
    ended = smppgw("preview", *TO, "--text", "a\x1b[31mb\u202ec\x07[bold]", "--rewrite", "keep")
    assert "Text        a␛[31mb�c␇[bold]" in ended.out
    assert "\x1b" not in ended.out
    assert "\u202e" not in ended.out


def test_three_prices_stand_side_by_side(smppgw: Smppgw) -> None:
    text = f"{'a' * 150} ’ ê"
    document = picture(smppgw, *TO, "--text", text)
    segments = {name: figures["segments"] for name, figures in document["rewrites"].items()}
    assert segments == {"keep": 3, "gentle": 3, "full": 1}
    page = smppgw("preview", *TO, "--text", text).out
    assert re.search(r"^Segments +3 +3 +1 *$", page, re.MULTILINE)
    assert re.search(r"^As sent +a+ ' ê$", page, re.MULTILINE)


def test_time_counts_what_is_queued_already(smppgw: Smppgw, ledger: Ledger) -> None:
    ledger.load(400)
    document = picture(smppgw, *TO, "--text", "Essai")
    assert (document["segments_ahead"], document["seconds"]) == (400, 20)
    assert "Time        20 s, behind 400 segments, until " in smppgw(
        "preview", *TO, "--text", "Essai"
    ).out  # fmt: skip


# The budget


def test_promotional_beyond_the_months_budget_is_refused_with_what_is_left(
    smppgw: Smppgw, configured: Path
) -> None:
    assert smppgw("submit", *numbers(8), *FETE).status == 0
    for command in ("preview", "submit"):
        ended = smppgw(command, *numbers(3), *FETE)
        assert ended.status == 2
        assert "Of this month's 10 segments 2 are left, and this takes 3." in ended.err
        assert ("1 too many" in ended.out) == (command == "preview")
    assert jobs(configured) == 1
    assert smppgw("submit", *numbers(2), *FETE).status == 0


@pytest.mark.parametrize("job_class", ["service", "alert"])
def test_service_and_alerts_go_beyond_it_with_a_warning(
    job_class: str, smppgw: Smppgw, configured: Path
) -> None:
    ended = smppgw("submit", *numbers(11), "--text", "Essai", "--class", job_class, "--json")
    assert ended.status == 0
    document = json.loads(ended.out)
    assert document["budget"] == {"limit": 10, "used": 0, "after": 11}
    assert any("0 are left" in one or "10 are left" in one for one in document["warnings"])
    assert jobs(configured) == 1


def test_what_was_queued_last_month_is_not_counted(smppgw: Smppgw, ledger: Ledger) -> None:
    zone = ZoneInfo("Europe/Paris")
    first = datetime.now(zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    ledger.now = int(first.timestamp() * 1000) - 1
    ledger.load(9)
    assert picture(smppgw, *TO, *FETE)["budget"]["used"] == 0
    ledger.now += 1
    ledger.load(9)
    assert picture(smppgw, *TO, *FETE)["budget"] == {"limit": 10, "used": 9, "after": 10}


def test_a_second_submit_with_the_same_key_is_no_second_expense(
    smppgw: Smppgw, configured: Path
) -> None:
    order = (*numbers(9), *FETE, "--key", "fete")
    first = smppgw("submit", *order, "--json")
    assert smppgw("submit", *numbers(5), "--text", "Essai").status == 0  # service: only warned
    again = smppgw("submit", *order, "--json")
    assert (first.status, again.status) == (0, 0), again.err
    assert json.loads(again.out)["job"] == json.loads(first.out)["job"]
    assert jobs(configured) == 2


def test_two_that_fit_only_one_at_a_time_do_not_both_pass(
    smppgw: Smppgw, ledger: Ledger, configured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The budget is asked in the transaction that makes the job visible, not before it."""
    asked = []

    def require(plan: Plan, spent: int) -> None:
        asked.append(spent)
        if len(asked) == 1:  # between the last look and the commit nobody else can write
            with (
                closing(sqlite3.connect(ledger.path, timeout=0)) as other,
                pytest.raises(sqlite3.OperationalError, match="locked"),
            ):
                other.execute("BEGIN IMMEDIATE")

    monkeypatch.setattr(send, "_require_budget", require)
    assert smppgw("submit", *numbers(3), *FETE).status == 0
    assert asked == [0]


def test_a_second_submit_with_the_same_key_says_that_nothing_new_was_queued(
    smppgw: Smppgw, configured: Path
) -> None:
    order = (*numbers(1), "--tenant", "saint-martin", "--text", "Essai", "--key", "essai")
    assert "Nothing new" not in smppgw("submit", *order).err
    assert "Nothing new was queued: job 1 has this key." in smppgw("submit", *order).err


# Senders


def test_a_sender_that_phones_cannot_show_is_refused_before_anything_is_read(
    smppgw: Smppgw, configured: Path
) -> None:
    ended = smppgw("submit", *TO, "--text", "Essai", "--from", "Mairie d'Évreux")
    assert ended.status == 2
    assert "MairiedEvre would do" in ended.err
    assert jobs(configured) == 0


def test_where_an_account_demands_it_nothing_is_queued_with_an_unapproved_sender(
    smppgw: Smppgw, configured: Path
) -> None:
    configured.write_text(CONFIG.format(account='senders = "approved"', tenant=""), "utf-8")
    for command in ("submit", "preview"):
        ended = smppgw(command, *TO, "--text", "Essai")
        assert ended.status == 2
        assert "STMARTIN of saint-martin is none: no approval is written down." in ended.err
    assert jobs(configured) == 0
    ended = smppgw("submit", *TO, "--text", "La Lys monte.", "--class", "alert")
    assert ended.status == 0
    assert "STMARTIN of saint-martin is none" in ended.err
    approved = 'approvals = { operator = { state = "approved" } }'
    configured.write_text(CONFIG.format(account='senders = "approved"', tenant=approved), "utf-8")
    assert smppgw("submit", *TO, "--text", "Essai").status == 0
    assert smppgw("submit", *TO, "--text", "Essai", "--from", "AUTRE").status == 2
    keyed = (*TO, "--text", "Essai", "--key", "eau")
    assert smppgw("submit", *keyed).status == 0
    configured.write_text(CONFIG.format(account='senders = "approved"', tenant=""), "utf-8")
    assert smppgw("submit", *keyed).status == 0  # it is there, whatever became of its sender


def test_check_lists_the_tenants_without_an_approved_sender(
    smppgw: Smppgw, configured: Path
) -> None:
    assert "unapproved_senders" not in json.loads(smppgw("check", "--json").out)
    text = CONFIG.format(account='senders = "approved"', tenant="")
    configured.write_text(text + '[[tenant]]\nname = "val"\nsender = "MAIRIE"\n', "utf-8")
    ended = smppgw("check")
    assert ended.status == 0
    assert re.search(r"^saint-martin +operator +STMARTIN +no approval", ended.out, re.MULTILINE)
    assert "The sender MAIRIE names nobody" in ended.err
    listed = json.loads(smppgw("check", "--json").out)["unapproved_senders"]
    assert [(one["tenant"], one["account"]) for one in listed] == [
        ("saint-martin", "operator"), ("val", "operator"),
    ]  # fmt: skip


# At a terminal


def test_at_a_terminal_the_page_is_read_once_and_then_asked(
    at_a_terminal: Smppgw, configured: Path
) -> None:
    ended = at_a_terminal("y", "submit", *TO, "--text", "Coupure d’eau jeudi.")
    assert ended.status == 0
    assert ended.out.count("Coupure d’eau") == 1
    assert "Send it? [y/N]" in ended.err
    assert "Job 1 is queued." in ended.out
    assert ended.err.count("The gateway does not run") == 1
    assert at_a_terminal("n", "submit", *TO, "--text", "Essai").status == 1
    assert jobs(configured) == 1


def test_what_would_be_refused_is_not_asked_about(at_a_terminal: Smppgw, configured: Path) -> None:
    ended = at_a_terminal("y", "submit", *numbers(11), *FETE)
    assert ended.status == 2
    assert "1 too many" in ended.out
    assert "Send it?" not in ended.err
    assert jobs(configured) == 0


# Why nothing leaves


def test_a_number_that_cannot_be_written_to_is_refused_with_the_reason(smppgw: Smppgw) -> None:
    ended = smppgw("submit", "--to", "01 00 00 00 05", "--to", "06 00", "--text", "Essai")
    assert ended.status == 2
    assert "1 landline (a fixed line, SMS needs a mobile)" in ended.err
    assert "1 invalid (not a phone number that exists)" in ended.err


def test_before_sending_it_is_said_that_no_bind_is_up(smppgw: Smppgw, ledger: Ledger) -> None:
    ledger.locks.take_gateway()
    note_links(ledger.db, [LinkRow("operator", 1, "backoff", "Connection refused", 10, 0, 20, 20)])
    (warning,) = picture(smppgw, *TO, "--text", "Essai")["warnings"]
    assert warning.startswith("No bind is up (operator is backoff: Connection refused)")
    note_links(ledger.db, [LinkRow("operator", 1, "bound", None, 10, 0, 20, 20)])
    assert picture(smppgw, *TO, "--text", "Essai")["warnings"] == []


@pytest.mark.parametrize("own", ["smppgw.db", "smppgw.db-wal", "smppgw.key", "config.toml"])
def test_a_report_is_not_written_over_what_the_gateway_lives_by(
    own: str, smppgw: Smppgw, ledger: Ledger
) -> None:
    job = ledger.load(1)
    path = ledger.path.with_name(own)
    before = path.read_bytes() if path.exists() else None
    ended = smppgw("report", str(job), "--format", "csv", "--output", str(path))
    assert ended.status == 2
    assert "belongs to the gateway" in ended.err
    assert (path.read_bytes() if path.exists() else None) == before


def test_a_report_takes_the_place_of_an_earlier_one_with_modes_for_its_owner_alone(
    smppgw: Smppgw, ledger: Ledger
) -> None:
    path = ledger.path.with_name("report.csv")
    path.write_text("before", "utf-8")
    path.chmod(0o644)
    job = ledger.load(2)
    assert smppgw("report", str(job), "--format", "csv", "--output", str(path)).status == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_text("utf-8-sig").splitlines()) == 3
    assert [one.name for one in path.parent.iterdir() if "unfinished" in one.name] == []
