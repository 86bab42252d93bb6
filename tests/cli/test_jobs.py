"""Drills, and who ordered what, where jobs are shown and reported."""

import csv
import json
from pathlib import Path

import pytest
from python_calamine import CalamineWorkbook

from tests.cli.conftest import Smppgw
from tests.ledger.conftest import Ledger


@pytest.fixture
def drill(ledger: Ledger) -> int:
    job = ledger.load(2, job_class="alert")
    ledger.db.execute(
        "UPDATE job SET exercise = 1, ordered_by = 'garde', purpose = 'crue',"
        " starts_at = created_at + 60000 WHERE id = ?",
        (job,),
    )
    return job


def test_a_drill_is_told_from_an_alert_wherever_jobs_are_shown(
    ledger: Ledger, smppgw: Smppgw, drill: int
) -> None:
    real = ledger.load(1, job_class="alert")
    shown = smppgw("jobs", "show", drill).out
    assert shown.startswith(f"Job {drill} is queued: DRILL, alert (crue), saint-martin")
    assert "ordered by garde" in shown
    assert "Not before" in shown
    listed = smppgw("jobs", "list").out.splitlines()
    assert "DRILL" in next(line for line in listed if line.split()[0] == str(drill))
    for words in (("jobs", "show"), ("report",)):
        assert "DRILL" not in smppgw(*words, real).out
    assert "Not before" not in smppgw("jobs", "show", real).out


def test_json_has_the_purpose_the_drill_the_start_and_who_ordered_it(
    ledger: Ledger, smppgw: Smppgw, drill: int
) -> None:
    document = json.loads(smppgw("jobs", "show", drill, "--json").out)
    assert document["exercise"] is True
    assert document["purpose"] == "crue"
    assert document["ordered_by"] == "garde"
    assert document["starts_at"] == "2023-11-14T23:14:20.000+01:00"
    real = json.loads(smppgw("jobs", "show", ledger.load(1), "--json").out)
    assert (real["exercise"], real["purpose"], real["ordered_by"]) == (False, "service", None)
    assert real["starts_at"] == real["created_at"]


@pytest.mark.parametrize("real", [True, False])
def test_every_row_of_a_report_says_whether_it_was_a_drill(
    ledger: Ledger, smppgw: Smppgw, drill: int, tmp_path: Path, real: bool
) -> None:
    job, said = (ledger.load(2), "no") if real else (drill, "yes")
    rows = list(csv.reader(smppgw("report", job).out.splitlines()))
    assert [row[-1] for row in rows] == ["exercise", said, said]
    document = json.loads(smppgw("report", job, "--json").out)
    assert [row["exercise"] for row in document] == [said, said]
    book = tmp_path / "report.xlsx"
    smppgw("report", job, "--format", "xlsx", "--output", book)
    sheet = CalamineWorkbook.from_path(str(book)).get_sheet_by_index(0).to_python()
    assert [row[-1] for row in sheet] == ["exercise", said, said]
