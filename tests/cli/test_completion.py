"""`completion`, and what the shells ask the program for; mistyped words get the near ones."""

import os
import subprocess
import sys

import pytest

from tests.cli.conftest import Smppgw


def asked(*words: str) -> list[str]:
    """Return what bash would be told to complete the last of some words with."""
    ended = subprocess.run(
        [sys.executable, "-m", "smppgw"],
        env={
            **os.environ,
            "_SMPPGW_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(("smppgw", *words)),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        encoding="utf-8",
        timeout=30,
    )
    return [line.partition(",")[2] for line in ended.stdout.splitlines()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_asks_the_program(smppgw: Smppgw, shell: str) -> None:
    printed = smppgw("completion", shell)
    assert (printed.status, printed.err) == (0, "")
    assert f"_SMPPGW_COMPLETE={shell}_complete" in printed.out


def test_commands_options_and_choices_are_completed() -> None:
    assert asked("sub") == ["submit"]
    assert asked("config", "") == ["init", "show"]
    assert asked("jobs", "retry", "--unk") == ["--unknown"]
    assert asked("submit", "--class", "a") == ["alert"]


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("sumbit",), "Did you mean 'submit'?"),
        (("jobs", "cancle"), "Did you mean 'cancel'?"),
        (("config", "shwo"), "Did you mean 'show'?"),
        (("status", "--jsno"), "Did you mean '--json'?"),
        (("submit", "--clas", "alert"), "'--class'"),
    ],
)
def test_a_mistyped_word_gets_the_near_one(
    smppgw: Smppgw, words: tuple[str, ...], near: str
) -> None:
    refused = smppgw(*words)
    assert refused.status == 2
    assert near in refused.err
