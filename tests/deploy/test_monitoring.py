"""Rules, their cases, the runbook and the dashboard say the same things, of metrics that exist."""

import re
from collections import defaultdict

import pytest
import yaml

from tests.deploy.monitoring import (
    CASES,
    PROMETHEUS,
    ROOT,
    RULES,
    RUNBOOK,
    cases,
    dashboard,
    grouped_by,
    known_labels,
    looked_at,
    panels,
    proofs,
    rules,
    substituted,
    variables,
)

RULE_NAMES = [rule["alert"] for rule in rules()]
QUERIES = {
    **{rule["alert"]: [rule["expr"]] for rule in rules()},
    **{panel.title: list(panel.queries) for panel in panels()},
}
ROWS = (
    "Could an alert leave now?",
    "How fast are we, against the contract?",
    "What happens to our messages?",
    "What does it cost?",
)

# Rules


def test_no_two_rules_have_one_name() -> None:
    assert len(set(RULE_NAMES)) == len(RULE_NAMES)


@pytest.mark.parametrize("rule", rules(), ids=RULE_NAMES)
def test_a_rule_says_how_urgent_it_is_what_is_wrong_and_where_to_read_on(
    rule: dict[str, dict[str, str]],
) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith(".")


def test_every_rule_has_a_case_that_fires_it_and_one_that_does_not() -> None:
    fired: set[str] = set()
    silent: set[str] = set()
    for case in cases():
        seen = case["alert_rule_test"]
        names = {check["alertname"] for check in seen}
        assert len(names) == 1, case["name"]
        fires = any(check["exp_alerts"] for check in seen)
        (fired if fires else silent).update(names)
    assert fired == silent == set(RULE_NAMES)


def test_what_fires_after_a_while_has_a_moment_before() -> None:
    moments: dict[str, set[bool]] = defaultdict(set)
    for case in cases():
        for check in case["alert_rule_test"]:
            fires = any(check["exp_alerts"] for check in case["alert_rule_test"])
            if fires:
                moments[check["alertname"]].add(bool(check["exp_alerts"]))
    waiting = {rule["alert"] for rule in rules() if "for" in rule}
    assert {name for name, seen in moments.items() if seen == {True, False}} >= waiting


def test_a_case_is_named_after_its_rule_and_no_two_have_one_name() -> None:
    names = [case["name"] for case in cases()]
    assert len(set(names)) == len(names)
    for case in cases():
        (rule,) = {check["alertname"] for check in case["alert_rule_test"]}
        assert case["name"].startswith(f"{rule}, ")


def test_the_cases_are_those_of_the_rules_that_prometheus_reads() -> None:
    configured = yaml.safe_load(PROMETHEUS.read_text("utf-8"))
    assert [RULES.parent / name for name in configured["rule_files"]] == [RULES]
    cases_of = yaml.safe_load(CASES.read_text("utf-8"))["rule_files"]
    assert [CASES.parent / name for name in cases_of] == [RULES]


def test_the_job_that_the_rules_name_is_the_job_that_is_scraped() -> None:
    (job,) = yaml.safe_load(PROMETHEUS.read_text("utf-8"))["scrape_configs"]
    named = re.findall(r'job="([^"]*)"', " ".join(query for of in QUERIES.values() for query in of))
    assert set(named) == {job["job_name"]}


# The runbook


def runbook() -> dict[str, str]:
    """Return the text under each heading of the second level."""
    parts = re.split(r"^## (.+)$", RUNBOOK.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_rule_has_its_heading_in_the_runbook_and_every_heading_its_rule() -> None:
    assert [heading for heading in runbook() if heading.startswith("Smppgw")] == RULE_NAMES


@pytest.mark.parametrize("name", RULE_NAMES)
def test_a_heading_of_the_runbook_has_a_meaning_a_check_and_an_action(name: str) -> None:
    assert re.findall(r"^\*\*(\w+)\.\*\*", runbook()[name], re.MULTILINE) == [
        "Meaning",
        "Check",
        "Action",
    ]


@pytest.mark.parametrize("rule", rules(), ids=RULE_NAMES)
def test_a_rule_leads_to_its_heading(rule: dict[str, dict[str, str]]) -> None:
    file, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert ROOT / file == RUNBOOK
    assert anchor == str(rule["alert"]).lower()  # as the forges make anchors


# The dashboard


def test_the_dashboard_answers_four_questions() -> None:
    rows = [panel["title"] for panel in dashboard()["panels"] if panel["type"] == "row"]
    assert tuple(rows) == ROWS
    assert {panel.row for panel in panels()} == set(ROWS)


def test_no_two_panels_have_one_title_or_one_id() -> None:
    shown = dashboard()["panels"]
    for key in ("title", "id"):
        assert len({panel[key] for panel in shown}) == len(shown)


def test_no_two_panels_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_panel_says_what_it_shows_and_asks_the_data_source_that_was_chosen() -> None:
    for panel in dashboard()["panels"]:
        if panel["type"] == "row":
            continue
        assert panel["description"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"], panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references), panel["title"]


def test_every_variable_that_is_used_exists_and_the_reverse() -> None:
    listed = {one["name"] for one in dashboard()["templating"]["list"]}
    used = {
        name
        for panel in panels()
        for query in panel.queries
        for name in re.findall(r"\$([a-z]+)", query)
    }
    assert used == listed - {"datasource"} == set(variables())


def test_every_panel_heeds_the_gateway_that_was_chosen() -> None:
    for panel in panels():
        for query in panel.queries:
            for _, labels in looked_at(query):
                assert "instance" in labels, (panel.title, query)


# Queries


@pytest.mark.parametrize("name", QUERIES)
def test_every_metric_and_label_that_is_asked_for_exists(name: str) -> None:
    known = known_labels()
    for query in QUERIES[name]:
        seen = list(looked_at(query))
        assert seen, query
        for metric, labels in seen:
            assert metric in known, query
            assert labels <= known[metric], (metric, query)
        assert grouped_by(query) <= set().union(*(known[metric] for metric, _ in seen)), query


def test_a_variable_of_the_dashboard_lists_a_label_of_a_metric_that_exists() -> None:
    for query in variables().values():
        match = re.fullmatch(r"label_values\((\w+), (\w+)\)", query)
        assert match is not None, query
        assert match[2] in known_labels()[match[1]], query


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_is_one_that_can_be_read_without_parsing_it(name: str) -> None:
    for query in QUERIES[name]:
        assert "#" not in query
        assert "'" not in query
        for proof in proofs(query):
            assert proof.count("(") == proof.count(")"), "an or that is nested"


def test_a_rule_is_proved_by_every_vector_that_it_compares_or_excludes() -> None:
    assert proofs('up{job="a or b > 1"} == 0 or absent(up{job="a"})') == [
        'up{job="a or b > 1"} == bool 0',
        'count(up{job="a"})',
    ]
    assert proofs("rate(a[5m]) / b >= 0.5\nunless on (c)\nd != 2") == [
        "rate(a[5m]) / b >= bool 0.5 and on (c) d != bool 2"
    ]
    assert proofs('a{b!="c", d=~"e|f"} < bool 3') == ['a{b!="c", d=~"e|f"} < bool 3']


def test_a_query_of_the_dashboard_is_asked_for_all() -> None:
    asked = substituted('rate(a{instance=~"$instance"}[$__rate_interval]) / b{smsc=~"$smsc"}')
    assert asked == 'rate(a{instance=~".*"}[1m]) / b{smsc=~".*"}'


def test_what_a_query_looks_at_is_found() -> None:
    query = 'sum by (smsc, le) (rate(smppgw_x_bucket{le="0.25", a!~"b"}[5m])) and on (c) up'
    assert list(looked_at(query)) == [("smppgw_x_bucket", {"le", "a"}), ("up", set())]
    assert grouped_by(query) == {"smsc", "le", "c"}
