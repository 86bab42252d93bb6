"""docs/logs.md names every event that is logged, its level and its fields, and none besides."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import smppgw

PACKAGE = Path(smppgw.__file__).parent
PAGE = PACKAGE.parent / "docs" / "logs.md"
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


def logged(source: str) -> Iterator[tuple[str, str, frozenset[str] | None]]:
    """Give each event with its level and its fields; None for fields that are not written out."""
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner, level = node.func.value, node.func.attr
        name = getattr(owner, "id", getattr(owner, "attr", ""))
        if level not in LEVELS or name not in ("log", "_log"):
            continue
        fields = frozenset(keyword.arg for keyword in node.keywords if keyword.arg is not None)
        # `traffic.minute` spreads the sums, `retention.applied` the kinds.
        spread = any(keyword.arg is None for keyword in node.keywords)
        events = [n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant)]
        assert events, f"an event without a constant name: {ast.unparse(node)}"
        yield from ((str(event), level, None if spread else fields) for event in events)


def there() -> dict[str, tuple[str, frozenset[str] | None]]:
    found: dict[str, tuple[str, frozenset[str] | None]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for event, level, fields in logged(path.read_text("utf-8")):
            assert event not in found, f"{event} is logged in two places"
            found[event] = (level, fields)
    return found


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 4 and cells[0].startswith("`"):
            for event in re.findall("`([^`]+)`", cells[0]):
                assert event not in found, f"{event} stands there twice"
                found[event] = (cells[1], frozenset(re.findall("`([^`]+)`", cells[2])))
                assert cells[3], event
    return found


def test_every_event_of_the_log_is_documented_and_every_documented_event_exists() -> None:
    assert sorted(documented()) == sorted(there())


def test_levels_and_fields_are_those_of_the_program() -> None:
    page = documented()
    for event, (level, fields) in there().items():
        assert page[event][0] == level, event
        assert fields is None or page[event][1] == fields, event


def test_an_event_that_is_chosen_between_two_names_is_found_under_both() -> None:
    source = 'log.info("a.on" if on else "a.off", x=1)\nself._log.error("b", **more)\nout.info("c")'
    assert sorted(logged(source), key=lambda found: found[0]) == [
        ("a.off", "info", frozenset({"x"})),
        ("a.on", "info", frozenset({"x"})),
        ("b", "error", None),
    ]
