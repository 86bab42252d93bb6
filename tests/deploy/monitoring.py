"""The rules and the dashboard, read from their files, and what their queries look at.

PromQL is not parsed: its strings, selectors and ranges are set apart, and the words between them
are what is looked at. That is enough for queries without comments and without nested `or`, which
the tests hold them to.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from smppgw.metrics import HISTOGRAMS, TABLE

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "deploy" / "prometheus"
PROMETHEUS = FOLDER / "prometheus.yml"
RULES = FOLDER / "alerts.yml"
CASES = FOLDER / "alerts_test.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "smppgw.json"
RUNBOOK = ROOT / "deploy" / "RUNBOOK.md"

# What Grafana puts in place of its own variables, for a run of some seconds.
GRAFANA = {"$__rate_interval": "1m", "$__range": "5m", "$__interval": "15s"}
# What Prometheus itself says of each target.
OF_PROMETHEUS = {"up": {"instance", "job"}}
TARGET_LABELS = {"instance", "job"}

_APART = re.compile(r'(\{[^{}]*\}|\[[^\[\]]*\]|"[^"]*")')
_COMPARISON = re.compile(r"(==|!=|>=|<=|>|<)(?!\s*bool\b)")


class Panel(NamedTuple):
    """One panel of the dashboard: the row that it stands in, its title, its queries."""

    row: str
    title: str
    queries: tuple[str, ...]


def rules() -> list[dict[str, Any]]:
    """Return the alert rules, in their order."""
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def cases() -> list[dict[str, Any]]:
    """Return the cases of `promtool test rules`."""
    found: list[dict[str, Any]] = yaml.safe_load(CASES.read_text("utf-8"))["tests"]
    return found


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana reads it."""
    found: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
    return found


def panels() -> list[Panel]:
    """Return the panels of the dashboard that ask something, in their order."""
    found, row = [], ""
    for panel in dashboard()["panels"]:
        if panel["type"] == "row":
            row = panel["title"]
        else:
            queries = tuple(target["expr"] for target in panel["targets"])
            found.append(Panel(row, panel["title"], queries))
    return found


def variables() -> dict[str, str]:
    """Return the queries of the dashboard's variables, by name."""
    listed = dashboard()["templating"]["list"]
    return {one["name"]: one["query"]["query"] for one in listed if one["type"] == "query"}


def substituted(query: str) -> str:
    """Return a query of the dashboard as Grafana would send it with all chosen."""
    for name, value in GRAFANA.items():
        query = query.replace(name, value)
    return re.sub(r"\$(\w+)", ".*", query)


def proofs(expr: str) -> list[str]:
    """Return queries that return data exactly when every part of a rule's expression has data.

    A healthy gateway makes a rule return nothing, as a rule does whose metric is misspelt. So a
    comparison is made to return its 0 or 1 (`bool`) and filter nothing, `unless` becomes `and`, and
    `absent` becomes `count`: each of these has data only where both of its sides have and their
    labels match. What `or` joins is asked one by one.
    """
    parts = _APART.split(expr)
    for at in range(0, len(parts), 2):  # what is not set apart
        parts[at] = _COMPARISON.sub(r"\1 bool", parts[at])
        parts[at] = re.sub(r"\bunless\b", "and", parts[at])
        parts[at] = re.sub(r"\babsent\s*\(", "count(", parts[at])
        parts[at] = re.sub(r"\bor\b", "\0", parts[at])
    return [" ".join(side.split()) for side in "".join(parts).split("\0")]


def looked_at(query: str) -> Iterator[tuple[str, set[str]]]:
    """Give each metric that a query names, with the labels that its selector names."""
    pattern = r"\b((?:smppgw_\w+|up)\b)(?:\{([^{}]*)\})?"
    for name, selector in re.findall(pattern, query):
        yield name, set(re.findall(r"(\w+)\s*(?:=|!)", selector))


def grouped_by(query: str) -> set[str]:
    """Return the labels by which a query groups or joins."""
    named = re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^()]*)\)", query)
    return {label.strip() for labels in named for label in labels.split(",")}


def known_labels() -> dict[str, set[str]]:
    """Return the labels of each series that Prometheus would hold, by its name."""
    known = {f"smppgw_{name}": {*labels, *TARGET_LABELS} for name, (_, _, labels) in TABLE.items()}
    for name, (_, _, label) in HISTOGRAMS.items():
        labels = {label, *TARGET_LABELS} if label else TARGET_LABELS
        known |= {f"smppgw_{name}_{part}": {*labels} for part in ("sum", "count")}
        known[f"smppgw_{name}_bucket"] = {*labels, "le"}
    return known | OF_PROMETHEUS
