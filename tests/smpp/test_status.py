"""What is done about each command_status, against the codes that another codec knows."""

import pytest
from smpplib import consts

from smppgw.smpp.status import BIND_HOPELESS, TABLE, Verdict, status_of

KNOWN_ELSEWHERE = {
    name.removeprefix("SMPP_"): code
    for name, code in vars(consts).items()
    if name.startswith("SMPP_ESME_R")
}


def codes(verdict: Verdict) -> set[int]:
    return {code for code, status in TABLE.items() if status.verdict is verdict}


@pytest.mark.parametrize("code", TABLE, ids=hex)
def test_each_code_has_the_name_that_others_know_it_by(code: int) -> None:
    assert KNOWN_ELSEWHERE[TABLE[code].name] == code


def test_no_code_that_others_know_is_missing() -> None:
    assert set(TABLE) == set(KNOWN_ELSEWHERE.values())


def test_only_zero_means_that_the_smsc_has_it() -> None:
    assert codes(Verdict.ACCEPTED) == {0}


def test_throttling_and_a_full_queue_slow_the_account() -> None:
    assert codes(Verdict.SLOW_DOWN) == {0x58, 0x14}


def test_what_may_pass_by_itself_is_tried_later() -> None:
    assert codes(Verdict.TRY_LATER) == {0x08, 0x45, 0x64, 0xFE, 0xFF}


def test_what_no_message_of_this_bind_can_overcome_stops_the_link() -> None:
    assert codes(Verdict.STOP_LINK) == {0x04, 0x05, 0x0D, 0x0E, 0x0F, 0x53}


def test_all_else_is_refused_for_good() -> None:
    judged = set().union(*(codes(v) for v in Verdict if v is not Verdict.REFUSED))
    assert codes(Verdict.REFUSED) == set(TABLE) - judged


@pytest.mark.parametrize("code", [0x09, 0x10, 0x100, 0x400, 0x401, 0x4FF, 0x500, 0xFFFFFFFF])
def test_a_code_that_is_not_in_the_table_keeps_its_number_and_refuses(code: int) -> None:
    assert status_of(code) == (f"0x{code:08X}", Verdict.REFUSED)


@pytest.mark.parametrize("code", TABLE, ids=hex)
def test_a_code_in_the_table_is_found(code: int) -> None:
    assert status_of(code) is TABLE[code]


def test_a_bind_is_hopeless_where_a_person_has_to_correct_what_it_says() -> None:
    assert {status_of(code).name for code in BIND_HOPELESS} == {
        "ESME_RINVPASWD",
        "ESME_RINVSYSID",
        "ESME_RINVSYSTYP",
    }


def test_a_bind_that_another_session_stands_in_the_way_of_is_tried_again() -> None:
    assert not {0x05, 0x0D} & BIND_HOPELESS


def test_each_verdict_has_a_word_that_a_configuration_can_hold() -> None:
    words = {verdict.value for verdict in Verdict}
    assert words == {"accepted", "slow-down", "try-later", "refused", "stop-link"}
