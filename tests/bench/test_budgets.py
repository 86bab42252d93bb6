"""The arithmetic of the benchmark, and its table."""

import itertools
import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw.bench.budgets import (
    BUDGETS,
    MEASURES,
    ON_REQUEST,
    Result,
    Row,
    latencies_ms,
    most_in_a_second,
    percentile,
    ratio,
    row,
    unmeasured,
    use_percent,
)
from smppgw.bench.measures import _TAKE

TIMES = st.lists(st.integers(0, 5000), min_size=1, max_size=60).map(sorted)  # milliseconds
FIGURES = st.lists(st.floats(0, 1e6), min_size=1, max_size=200)


def test_every_budget_has_a_name_of_its_own_and_a_measure_that_takes_it() -> None:
    names = [budget.name for budget in BUDGETS]
    assert len(set(names)) == len(names)
    assert {budget.measure for budget in BUDGETS} == set(MEASURES) == set(_TAKE)
    assert set(MEASURES) > ON_REQUEST


@pytest.mark.parametrize(
    ("name", "limit", "better"),
    [
        ("messages_per_s", 25_000, +1),
        ("times_smpplib", 10, +1),
        ("window_10", 5_000, +1),
        ("cpu_s_per_1000", 0.04, -1),
        ("share_200", 3, -1),
        ("alert_p99", 250, -1),
        ("backlog_speed", 0.95, +1),
        ("backlog_memory", 120, -1),
        ("import_s", 60, -1),
        ("import_memory", 150, -1),
        ("use_20", 98, +1),
        ("use_100", 98, +1),
        ("use_1000", 98, +1),
        ("use_reading", 98, +1),
        ("worst_1000", 1000, -1),
        ("restart_s", 1, -1),
    ],
)
def test_a_budget_is_met_up_to_its_limit_and_not_beyond(
    name: str, limit: float, better: int
) -> None:
    assert Row(name, figure=limit).met is True
    assert Row(name, figure=limit * (1 + better / 1000)).met is True
    assert Row(name, figure=limit * (1 - better / 1000)).met is False


def test_what_was_not_measured_or_has_no_budget_is_neither_met_nor_missed() -> None:
    assert Row("messages_per_s", note="no SMSC").met is None
    assert Row("smpplib_per_s", figure=1.0).met is None


def test_a_row_has_the_median_figure_and_the_median_ratio_to_what_ran_beside_it() -> None:
    made = row("messages_per_s", [10.0, 30.0, 50.0], [2.0, 3.0, 1.0], note="why")
    assert (made.figure, made.ratio, made.runs) == (30.0, 10.0, (10.0, 30.0, 50.0))
    assert made.note == "why"


def test_a_ratio_to_nothing_is_no_ratio() -> None:
    assert ratio([1.0, 2.0], []) is None
    assert ratio([1.0], [0.0]) is None


def test_a_figure_is_written_with_what_its_table_says_of_it() -> None:
    made = Row("import_s", (9.0, 12.3456), 12.3456, 1.25, sizes={"import_rows": 1_000_000})
    assert made.document() == {
        "name": "import_s",
        "title": "Import of 1,000,000 rows",
        "figure": 12.35,
        "unit": "s",
        "ratio": 1.25,
        "ratio_to": "a tenth",
        "budget": 60.0,
        "at_least": False,
        "met": True,
        "runs": [9.0, 12.35],
        "note": "",
    }


def test_a_result_is_one_json_document_in_the_order_of_its_rows() -> None:
    missing = [replace(one, sizes={"small_backlog": 5}) for one in unmeasured("restart", "why")]
    result = Result({"cores": 2}, [row("times_smpplib", [11.0]), *missing])
    document = json.loads(json.dumps(result.document()))
    assert document["machine"] == {"cores": 2}
    assert [one["name"] for one in document["rows"]] == ["times_smpplib", "restart_s"]
    assert document["rows"][1]["figure"] is None
    assert document["rows"][1]["note"] == "why"
    assert (result.figure("times_smpplib"), result.figure("restart_s")) == (11.0, None)


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (1, 1), (50, 50), (50.5, 51), (95, 95), (99, 99), (100, 100)]
)
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], percent) == expected


@given(FIGURES, st.integers(1, 100))
def test_a_percentile_is_not_exceeded_by_its_share_of_the_values(
    values: list[float], percent: int
) -> None:
    found = percentile(values, percent)
    assert sum(value <= found for value in values) >= len(values) * percent / 100
    below = [value for value in values if value < found]
    assert len(below) < math.ceil(len(values) * percent / 100)


def test_times_a_second_apart_are_not_in_the_same_second() -> None:
    assert most_in_a_second([0.0, 1.0, 2.0]) == 1
    assert most_in_a_second([0.0, 0.999, 1.0, 1.5]) == 3
    assert most_in_a_second([]) == 0


@given(TIMES)
def test_the_fullest_second_is_found_wherever_it_begins(times_ms: list[int]) -> None:
    times = [ms / 1000 for ms in times_ms]
    slow = max(sum(0 <= at - begin < 1.0 for at in times) for begin in times)
    assert most_in_a_second(times) == slow


@given(st.integers(1, 1000), st.integers(2, 200))
def test_an_even_stream_at_the_contracts_rate_makes_full_use_of_it(rate: int, sent: int) -> None:
    times = list(itertools.accumulate([1 / rate] * sent))
    assert use_percent(times, rate) == pytest.approx(100)
    assert use_percent([2 * at for at in times], rate) == pytest.approx(50)


def test_a_wait_runs_from_being_told_to_being_seen_and_is_never_below_nothing() -> None:
    told, seen = {"a": 10.0, "b": 20.0}, {"a": 10.25, "b": 19.99, "c": 1.0}
    assert latencies_ms(told, seen) == pytest.approx([250.0, 0.0])
    with pytest.raises(KeyError):
        latencies_ms({"lost": 1.0}, seen)
