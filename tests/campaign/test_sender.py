"""Sender names: what operators stop, what would do instead, and who lacks an approval."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw.campaign.sender import (
    GENERIC,
    Lack,
    check_sender,
    clean_name,
    is_short_code,
    lacks,
    lint,
    on_approvals,
)
from smppgw.config import Config, load, sender_fault
from smppgw.errors import ConfigError, InputError

TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("given_name", "near"),
    [
        ("St-Denis", "StDenis"),
        ("MAIRIE INFO", ""),
        ("Alerte !", ""),
        ("Mairie-de-Saint-Martin", "MairiedeSai"),
        ("Évreux", "Evreux"),
        ("Œuilly", "OEuilly"),
        ("Saint-Martin-le-Vieux", "SaintMartin"),
        ("Ville\u00a0d’Ambert", "VilledAmber"),
        ("12345", ""),
        ("💧", ""),
        ("", ""),
    ],
)
def test_a_sender_that_phones_cannot_show_is_refused_with_one_near_it(
    given_name: str, near: str
) -> None:
    assert clean_name(given_name) == near
    with pytest.raises(InputError) as raised:
        check_sender(given_name)
    assert str(raised.value).endswith(f"; {near} would do." if near else f"not {given_name!r}.")


@given(st.text(max_size=30))
def test_a_suggested_name_is_always_one_that_the_rule_takes(text: str) -> None:
    near = clean_name(text)
    assert near == "" or sender_fault(near) is None


@given(
    st.lists(st.sampled_from([*(word for word, _ in GENERIC), " ", "-", "36", "é", "L"])).map(
        "".join
    )
)
def test_no_name_is_suggested_that_operators_stop(text: str) -> None:
    near = clean_name(text)
    assert near == "" or list(lint(near)) == []


@pytest.mark.parametrize("sender", ["STMARTIN", "36111", "38200", "+33600000001", "Mairie36"])
def test_a_sender_that_the_configuration_takes_is_taken(sender: str) -> None:
    check_sender(sender)


@pytest.mark.parametrize(
    "sender", [*(word for word, _ in GENERIC), "MairieInfo", "alerte36", "INFOSMS", "SMS2SMS"]
)
def test_words_that_name_nobody_are_told(sender: str) -> None:
    (said,) = lint(sender)
    assert said.startswith(f"The sender {sender} names nobody")


@pytest.mark.parametrize("sender", ["STMARTIN", "MAIRIESTM", "36111", "INFOSTM", "VILLERS"])
def test_names_and_short_codes_are_not(sender: str) -> None:
    assert list(lint(sender)) == []


def test_every_generic_word_has_a_source_and_could_be_a_sender() -> None:
    for word, source in GENERIC:
        assert source
        assert sender_fault(word) is None
        assert word == word.upper()


def test_a_long_number_needs_the_operators_word() -> None:
    (said,) = lint("+33600000001")
    assert "in writing" in said


def test_a_short_code_is_five_digits() -> None:
    assert [is_short_code(one) for one in ("36111", "STMAR", "+3361")] == [True, False, False]


# Approvals

CONFIG = """
[[smsc]]
name = "strict"
host = "127.0.0.1"
system_id = "syndic"
password = "secret08"
senders = "approved"
[[smsc]]
name = "free"
host = "127.0.0.1"
system_id = "syndic"
password = "secret08"
"""


def configured(folder: Path, **approvals: str) -> Config:
    tenants = "".join(
        f'[[tenant]]\nname = "{name}"\nsender = "{name.upper()}"\napprovals = {told}\n'
        for name, told in approvals.items()
    )
    path = folder / "config.toml"
    path.write_text(CONFIG + tenants, "utf-8")
    return load(path)


def test_tenants_without_an_approved_sender_are_listed_with_the_reason(tmp_path: Path) -> None:
    config = configured(
        tmp_path,
        good='{ strict = { state = "approved" } }',
        lasting='{ strict = { state = "approved", until = 2026-11-24 } }',
        lapsed='{ strict = { state = "approved", until = 2026-11-23 } }',
        asked='{ strict = { state = "requested" } }',
        turned='{ strict = { state = "refused" } }',
        elsewhere='{ free = { state = "approved" } }',
    )
    assert list(lacks(config, TODAY)) == [
        Lack("lapsed", "strict", "LAPSED", "the approval ended on 2026-11-23"),
        Lack("asked", "strict", "ASKED", "the approval was requested, and not given yet"),
        Lack("turned", "strict", "TURNED", "refused"),
        Lack("elsewhere", "strict", "ELSEWHERE", "no approval is written down"),
    ]


@pytest.mark.parametrize(
    ("approvals", "said"),
    [
        ('{ free = { state = "refused" } }', "The operator of free has refused the sender A."),
        ('{ free = { state = "approved", until = 2026-11-23 } }', "ended on 2026-11-23: ask"),
        ('{ free = { state = "approved", until = 2026-12-23 } }', "ends on 2026-12-23: renew"),
        ('{ free = { state = "approved", until = 2026-12-24 } }', None),
        ('{ free = { state = "requested" } }', None),
        ("{}", None),
    ],
)
def test_an_account_that_takes_any_sender_still_has_its_refusals_and_ends_told(
    approvals: str, said: str | None, tmp_path: Path
) -> None:
    config = configured(tmp_path, a=approvals)
    found = list(on_approvals(config.tenant[0], "A", config.smsc[1:], TODAY))
    assert [refused for refused, _ in found] == [False] * len(found)
    assert (said is None) == (found == [])
    assert said is None or said in found[0][1]


@pytest.mark.parametrize(
    ("approvals", "said"),
    [
        ('{ strikt = { state = "approved" } }', "there is no [[smsc]] 'strikt'; known are free,"),
        ('{ strict = { state = "ok" } }', "approvals strict state: must be one of 'requested', "),
        ('{ strict = { stat = "approved" } }', "stat: unknown key; did you mean 'state'?"),
        ('{ strict = { state = "approved", until = "2027" } }', "until: must be a day, without"),
        ("{ strict = 1 }", "approvals strict: must be a table"),
    ],
)
def test_a_mistake_in_an_approval_says_where_and_what_is_allowed(
    approvals: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as raised:
        configured(tmp_path, a=approvals)
    assert any(said in problem for problem in raised.value.problems)
    assert all(problem.startswith('[[tenant]] "a" ') for problem in raised.value.problems)
