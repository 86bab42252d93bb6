"""docs/interoperability.md names every fault, and no test that does not exist."""

import ast
import re
from pathlib import Path

from smppgw.config import Smsc
from smppgw.simulator.faults import FAULTS

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/interoperability.md").read_text("utf-8")
QUOTED = re.findall(r"`([^`]+)`", PAGE)


def rows() -> list[list[str]]:
    """Return the cells of each row of the page's tables, without their headings."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if not row[0].startswith("What the SMSC ")]


def test_every_fault_has_a_row_of_its_own() -> None:
    named = [name for row in rows() for name in re.findall(r"`([^`]+)`", row[1])]
    faults = [name for name in named if name in FAULTS]
    assert sorted(faults) == sorted(FAULTS)


def test_every_row_says_who_does_it_and_which_test_shows_it() -> None:
    for row in rows():
        assert len(row) in (4, 5), row
        assert all(row[column] for column in (0, 2, -1)), row
        assert re.findall(r"`test_\w+`", row[-1]), row


def test_every_test_that_is_named_exists() -> None:
    named = {name for name in QUOTED if name.startswith("test_")}
    there = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert named - there == set()


def test_every_key_that_is_named_is_one_of_an_account() -> None:
    keys = {field.alias or name for name, field in Smsc.model_fields.items()}
    last = PAGE[PAGE.index("## What an account may ask of a submit_sm") :]
    named = {
        name
        for line in last.splitlines()
        if line.startswith("| ")
        for name in re.findall(r"`(\w+)`", line.split("|")[2])
    }
    assert named
    assert named <= keys
