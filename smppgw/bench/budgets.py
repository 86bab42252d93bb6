"""The budgets as a table, and the arithmetic that turns runs into a figure, a ratio and a verdict.

A figure is the median of its runs unless its measure says otherwise. The ratio is the median of the
ratios run by run, because what it is set against ran in the same minute. Pure: nothing is measured
here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple


class Budget(NamedTuple):
    """One row of the table before it is measured; {names} in its texts are sizes of the run."""

    name: str
    measure: str  # a key of MEASURES: the rows of one measure are taken together
    title: str
    unit: str
    bound: str  # ">= 25000", "<= 0.04", or nothing where the figure is only there to compare with
    ratio_to: str = ""

    @property
    def limit(self) -> float | None:
        """The number of the bound."""
        return float(self.bound[2:]) if self.bound else None

    @property
    def at_least(self) -> bool:
        """Whether more is better."""
        return self.bound.startswith(">=")


MEASURES = {
    "speed": "messages a second with their receipts, window 100, beside peers that store nothing",
    "window-10": "the same with a window of 10",
    "share": "what the gateway costs at 200 a second, and idle",
    "contract": "use of the contract at 20, 100 and 1,000 a second, and its ceiling",
    "import": "a list of a million rows through submit",
    "backlog": "speed and memory with a million queued",
    "alert": "alerts of up to 1,000 in front of a million queued, and while a list is imported",
    "restart": "after kill -9 with a million queued",
    "jobs": "many small jobs against a large one of as many messages",
    "read": "`report` and `jobs show` of a million messages without slowing the gateway",
    "huge": "speed and memory with ten million queued; only if asked for by name",
}
ON_REQUEST = frozenset(("huge",))  # these take long, and much room on the disk

_SMPPLIB, _LITTLE = "smpplib", "{small_backlog:,}"

BUDGETS = (
    Budget("messages_per_s", "speed", "Gateway, window 100", "msg/s", ">= 25000", _SMPPLIB),
    Budget("times_smpplib", "speed", "The same, in times smpplib", "times", ">= 10"),
    Budget("cpu_s_per_1000", "speed", "Gateway, processor", "s/1,000", "<= 0.04", _SMPPLIB),
    Budget("personal_per_s", "speed", "Gateway, personal texts", "msg/s", "", "one text"),
    Budget("smpplib_per_s", "speed", "smpplib, nothing stored", "msg/s", ""),
    Budget("smpplib_cpu", "speed", "smpplib, processor", "s/1,000", ""),
    Budget("aiosmpplib_per_s", "speed", "aiosmpplib, nothing stored", "msg/s", "", _SMPPLIB),
    Budget("aiosmpplib_cpu", "speed", "aiosmpplib, processor", "s/1,000", "", _SMPPLIB),
    Budget("smpp34_per_s", "speed", "smpp34 (Rust), nothing stored", "msg/s", "", _SMPPLIB),
    Budget("smpp34_cpu", "speed", "smpp34 (Rust), processor", "s/1,000", "", _SMPPLIB),
    Budget("smsc_alone", "speed", "SMSC alone, driven by a socket", "msg/s", "", "gateway"),
    Budget("window_10", "window-10", "Gateway, window 10", "msg/s", ">= 5000", _SMPPLIB),
    Budget("window_10_cpu", "window-10", "Gateway, window 10, processor", "s/1,000", ""),
    Budget("share_200", "share", "Processor at 200/s", "% of a core", "<= 3", "idle"),
    Budget("use_20", "contract", "Use of 20/s", "%", ">= 98"),
    Budget("worst_20", "contract", "Most in a second at 20/s", "submit_sm", "<= 20", "rate"),
    Budget("use_100", "contract", "Use of 100/s", "%", ">= 98"),
    Budget("worst_100", "contract", "Most in a second at 100/s", "submit_sm", "<= 100", "rate"),
    Budget("use_1000", "contract", "Use of 1,000/s", "%", ">= 98"),
    Budget("worst_1000", "contract", "Most in a second at 1,000/s", "submit_sm", "<= 1000", "rate"),
    Budget("import_s", "import", "Import of {import_rows:,} rows", "s", "<= 60", "a tenth"),
    Budget("import_memory", "import", "Import, most memory", "MB", "<= 150", "a tenth"),
    Budget("import_personal", "import", "Import of {tenth:,} personal", "s", "", "plain"),
    Budget("backlog_speed", "backlog", "Speed, {backlog:,} queued", "ratio", ">= 0.95", _LITTLE),
    Budget("backlog_memory", "backlog", "Memory, {backlog:,} queued", "MB", "<= 120", _LITTLE),
    Budget("alert_p99", "alert", "Alert, {backlog:,} queued, 99 %", "ms", "<= 250", _LITTLE),
    Budget("alert_p50", "alert", "Alert, {backlog:,} queued, 50 %", "ms", "", _LITTLE),
    Budget("alert_import_p99", "alert", "Alert during an import, 99 %", "ms", "<= 250", "without"),
    Budget("alert_import_p50", "alert", "Alert during an import, 50 %", "ms", "", "without"),
    Budget("restart_s", "restart", "Restart, bind to submit_sm", "s", "<= 1", _LITTLE),
    Budget("small_jobs", "jobs", "{jobs:,} jobs of {job_messages}", "ratio", ">= 0.95", "one job"),
    Budget("report_s", "read", "Report of {backlog:,}, at 100/s", "s", ""),
    Budget("report_memory", "read", "The same, most memory", "MB", ""),
    Budget("show_ms", "read", "jobs show of {backlog:,}", "ms", "", _LITTLE),
    Budget("use_reading", "read", "Use of 100/s while it is read", "%", ">= 98", "unread"),
    Budget("wal_mb", "read", "Write-ahead log meanwhile", "MB", ""),
    Budget("read_speed", "read", "Speed while it is read", "ratio", "", "unread"),
    Budget("huge_speed", "huge", "Speed, {huge_backlog:,} queued", "ratio", ">= 0.95", _LITTLE),
    Budget("huge_memory", "huge", "Memory, {huge_backlog:,} queued", "MB", "<= 120", _LITTLE),
)
_BY_NAME = {budget.name: budget for budget in BUDGETS}


@dataclass(frozen=True)
class Row:
    """One row of the table, measured.

    Attributes:
        name: of its budget.
        runs: the figure of each run; empty where it could not be measured.
        figure: their median, unless another one was given.
        ratio: to `Budget.ratio_to`.
        note: what a reader should know beside the figure.
        sizes: what stands for the {names} of its budget.
    """

    name: str
    runs: tuple[float, ...] = ()
    figure: float | None = None
    ratio: float | None = None
    note: str = ""
    sizes: Mapping[str, float] = field(default_factory=dict)

    @property
    def budget(self) -> Budget:
        """The row before it was measured."""
        return _BY_NAME[self.name]

    @property
    def title(self) -> str:
        """What it is the figure of."""
        return self.budget.title.format_map(self.sizes)

    @property
    def ratio_to(self) -> str:
        """What the ratio is to."""
        return self.budget.ratio_to.format_map(self.sizes)

    @property
    def met(self) -> bool | None:
        """Whether the budget is met; None where there is none, or no figure."""
        limit = self.budget.limit
        if limit is None or self.figure is None:
            return None
        return self.figure >= limit if self.budget.at_least else self.figure <= limit

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        budget = self.budget
        return {
            "name": self.name,
            "title": self.title,
            "figure": _rounded(self.figure),
            "unit": budget.unit,
            "ratio": _rounded(self.ratio),
            "ratio_to": self.ratio_to or None,
            "budget": budget.limit,
            "at_least": budget.at_least,
            "met": self.met,
            "runs": [_rounded(run) for run in self.runs],
            "note": self.note,
        }


@dataclass
class Result:
    """All that a benchmark found: the machine it ran on, and its rows in the table's order."""

    machine: dict[str, Any]
    rows: list[Row] = field(default_factory=list)

    def figure(self, name: str) -> float | None:
        """Return the figure of a row; None where it was not measured."""
        return next((row.figure for row in self.rows if row.name == name), None)

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"machine": self.machine, "rows": [row.document() for row in self.rows]}


def row(name: str, runs: Sequence[float], against: Sequence[float] = (), *, note: str = "") -> Row:
    """Make a row of its runs: the median, and the median ratio to what ran beside each.

    Args:
        name: of the budget.
        runs: one figure or more.
        against: what the ratio is to: a figure for each run, or none at all.
        note: what a reader should know.
    """
    return Row(name, tuple(runs), median(runs), ratio(runs, against), note)


def unmeasured(measure: str, note: str) -> list[Row]:
    """Make the rows of a measure that could not be taken, and say why."""
    return [Row(budget.name, note=note) for budget in BUDGETS if budget.measure == measure]


def ratio(runs: Sequence[float], against: Sequence[float]) -> float | None:
    """Return the median of the ratios run by run; None where there is nothing to divide by."""
    ratios = [one / other for one, other in zip(runs, against, strict=False) if other]
    return median(ratios) if ratios else None


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that is not exceeded by `percent` of them (nearest rank)."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)  # rounded up
    return ordered[max(0, int(rank) - 1)]


def most_in_a_second(times: Sequence[float]) -> int:
    """Return how many of these times, in order, lie in the fullest second [t, t + 1)."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def use_percent(times: Sequence[float], throughput: int) -> float:
    """Return how much of a contract of `throughput` a second these times, in order, make use of."""
    return 100 * (len(times) - 1) / (times[-1] - times[0]) / throughput


def latencies_ms(told_at: Mapping[str, float], seen_at: Mapping[str, float]) -> list[float]:
    """Return, for each key told of, how much later it was seen; seconds in, milliseconds out.

    What was seen before it was told of took no time.

    Raises:
        KeyError: something told of was never seen.
    """
    return [max(0.0, seen_at[key] - at) * 1000 for key, at in told_at.items()]


def _rounded(figure: float | None) -> float | None:
    """Keep four digits: more would be noise."""
    return None if figure is None else float(f"{figure:.4g}")
