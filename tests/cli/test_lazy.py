"""Commands are there by name, and bring no more than they need."""

import subprocess
import sys

import click
import pytest

from smppgw.cli import commands


def test_each_command_that_is_listed_can_be_had_under_its_name() -> None:
    jobs = commands.commands["jobs"]
    assert isinstance(jobs, click.Group)
    for group in (commands, jobs):
        assert len(group.commands) == len(list(group.commands)) > 6
        for name, command in group.commands.items():
            assert command.name == name
        assert "no-such-command" not in group.commands


@pytest.mark.parametrize("name", ["submit", "jobs", "status", "ready"])
def test_who_submits_or_looks_does_not_wait_for_the_gateway_to_be_imported(name: str) -> None:
    heavy = {"structlog", "xlsxwriter", "prometheus_client", "aiosqlite", "smppgw.gateway"}
    looks = (
        "import sys; from smppgw.cli import commands;"
        f"assert commands.commands[{name!r}];"
        f"print(sorted({heavy!r} & sys.modules.keys()))"
    )
    imported = subprocess.run([sys.executable, "-c", looks], capture_output=True, text=True)
    assert imported.stdout == "[]\n", imported.stderr
