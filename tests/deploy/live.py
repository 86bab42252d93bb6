"""A real Prometheus scrapes a real gateway, and is asked every query that is deployed.

    python -m tests.deploy.live      prints what each query returned; 1 where one returned nothing

The gateway sends messages of all classes through a simulated SMSC that refuses some, leaves some
without an answer and unbinds. Rules are asked for their proofs, since a healthy gateway makes them
return nothing; panels as Grafana would ask. Files and metrics are also held to promtool's own
checks. `promtool` and `prometheus` have to be there (Debian: prometheus).
"""

import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from rich.console import Console
from rich.table import Table

from tests.deploy.monitoring import (
    CASES,
    FOLDER,
    PROMETHEUS,
    RULES,
    panels,
    proofs,
    rules,
    substituted,
    variables,
)
from tests.e2e.processes import Site, free_port, wait_until

PATIENCE_S = 35.0  # for every query to return something
WAVE_S = 5.0  # between one wave of messages and the next
RECIPIENTS = 150  # of a wave's service job
FAULTS = "refuse:20,throttle:60,no-answer-lost:60,unbind:6,texts-udh-16:20"
# Beside what every site has: a tenant with a budget, and classes that keep to no hours.
ALSO_CONFIGURED = """
[[tenant]]
name = "val-fleuri"
sender = "VALFLEURI"
segments_a_month = 5000

[class.promotional]
hours = ["00:00", "23:59"]
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
holidays = true
"""
PROMTOOL_CHECKS = (
    ("check", "config", PROMETHEUS.name),
    ("check", "rules", RULES.name),
    ("test", "rules", CASES.name),
)


class Question(NamedTuple):
    """A query, with where it stands."""

    place: str
    name: str
    query: str


def questions() -> list[Question]:
    """Return what Prometheus is asked, rules first."""
    of_rules = [
        Question("alerts.yml", rule["alert"], proof)
        for rule in rules()
        for proof in proofs(rule["expr"])
    ]
    of_panels = [
        Question(panel.row, panel.title, substituted(query))
        for panel in panels()
        for query in panel.queries
    ]
    return of_rules + of_panels


class Prometheus:
    """A Prometheus that scrapes one gateway every second, asked over HTTP."""

    def __init__(self, folder: Path, target: str) -> None:
        """Write the deployed configuration for this target; nothing is started."""
        configured = yaml.safe_load(PROMETHEUS.read_text("utf-8"))
        configured["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
        configured["rule_files"] = [str(FOLDER / name) for name in configured["rule_files"]]
        (job,) = configured["scrape_configs"]
        job["static_configs"] = [{"targets": [target]}]
        self._folder = folder
        self._file = folder / "prometheus.yml"
        self._file.write_text(yaml.safe_dump(configured), "utf-8")
        self._port = free_port()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it; what it had to complain about is shown where it did not start."""
        log = self._folder / "prometheus.log"
        with log.open("wb") as written:
            process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={self._file}",
                    f"--storage.tsdb.path={self._folder / 'series'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                    "--log.level=warn",
                ],
                stdout=written,
                stderr=subprocess.STDOUT,
            )
            try:
                wait_until(lambda: self._stands(process, log), "Prometheus", 15)
                yield
            finally:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _stands(self, process: subprocess.Popen[bytes], log: Path) -> bool:
        assert process.poll() is None, log.read_text("utf-8")
        try:
            self._get("query", query="vector(1)")
        except OSError:
            return False
        return True

    def _get(self, path: str, **arguments: str) -> Any:
        address = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        with urllib.request.urlopen(address, timeout=5) as answer:
            return json.load(answer)["data"]

    def values(self, query: str) -> list[float]:
        """Return the values of a query now, those that are numbers."""
        data = self._get("query", query=query)
        found = [data] if data["resultType"] == "scalar" else data["result"]
        values = (float(one["value"][1]) for one in found)
        return [value for value in values if not math.isnan(value)]

    def wait_for_scrape(self, before: list[float]) -> list[float]:
        """Wait until the count of scrapes is another than before; returns it."""

        def counted() -> list[float] | None:
            counts = self.values("count_over_time(up[1h])")
            return counts if counts not in ([], before) else None

        return wait_until(counted, "the next scrape")

    def label_values(self, variable: str) -> list[str]:
        """Return what Grafana would offer for a variable, by its label_values(metric, label)."""
        metric, label = variable.removeprefix("label_values(").removesuffix(")").split(", ")
        offered: list[str] = self._get(f"label/{label}/values", **{"match[]": metric})
        return offered

    def rule_states(self) -> dict[str, tuple[str, str]]:
        """Return by rule its state, and the error of its last evaluation or nothing."""
        return {
            rule["name"]: (rule["state"], rule.get("lastError", ""))
            for group in self._get("rules")["groups"]
            for rule in group["rules"]
        }


def submit_wave(site: Site) -> None:
    """Submit a job of each class."""
    site.submit("--recipients", "habitants.csv", "--tenant", "val-fleuri")
    site.submit("--recipients", "fete.csv", "--tenant", "saint-martin", "--class", "promotional")
    site.submit("--recipients", "riverains.csv", "--tenant", "saint-martin", "--class", "alert")


def ask(
    prometheus: Prometheus, asked: Sequence[Question], next_wave: Callable[[], None]
) -> dict[Question, list[float]]:
    """Ask until every query returned something, or for as long as the patience lasts."""
    began = time.monotonic()
    wave_at, scrapes = began, [0.0]
    while True:
        if time.monotonic() >= wave_at:
            next_wave()
            wave_at = time.monotonic() + WAVE_S
        scrapes = prometheus.wait_for_scrape(scrapes)
        answers = {question: prometheus.values(question.query) for question in asked}
        if all(answers.values()) or time.monotonic() > began + PATIENCE_S:
            return answers


def promtool(*arguments: str, given: str | None = None) -> str | None:
    """Run promtool; returns what it has against it, or None."""
    ended = subprocess.run(
        ["promtool", *arguments],
        cwd=FOLDER,
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    return None if ended.returncode == 0 else ended.stdout + ended.stderr


def show(answers: dict[Question, list[float]], states: dict[str, tuple[str, str]]) -> None:
    """Print what each query returned."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("Where", "Name", "Series", "A value", "State"):
        table.add_column(heading, justify="right" if heading in ("Series", "A value") else "left")
    for question, values in answers.items():
        state, error = states.get(question.name, ("", ""))
        value = f"{values[0]:.4g}" if values else "no data"
        table.add_row(question.place, question.name, str(len(values)), value, error or state)
    Console(width=140, highlight=False).print(table)


def run(folder: Path) -> list[str]:
    """Run everything once; returns what is wrong."""
    wrong = []
    site = Site(folder)
    site.write_csv(RECIPIENTS)
    site.write_csv(RECIPIENTS // 3, "fete.csv")
    site.write_csv(RECIPIENTS // 5, "riverains.csv")
    prometheus = Prometheus(folder, f"127.0.0.1:{site.metrics_port}")
    try:
        smsc = site.smsc(
            "--latency", "20ms", "--receipt-delay", "200ms", "--outcomes", "DELIVRD=92,UNDELIV=8",
            "--faults", FAULTS,
        )  # fmt: skip
        config = site.configure(port=smsc.port, throughput=60, response_timeout="2s")
        config.write_text(config.read_text("utf-8") + ALSO_CONFIGURED, "utf-8")
        gateway = site.gateway()
        with prometheus.running():
            answers = ask(prometheus, questions(), lambda: submit_wave(site))
            states = prometheus.rule_states()
            show(answers, states)
            wrong += [f"{q.name}: no data for {q.query}" for q, v in answers.items() if not v]
            wrong += [f"{name}: {error}" for name, (_, error) in states.items() if error]
            wrong += [
                f"variable {name}: {query} offers nothing"
                for name, query in variables().items()
                if not prometheus.label_values(query)
            ]
            lint = promtool("check", "metrics", given=site.get("/metrics")[1])
            wrong += [lint] if lint else []
            gateway.end()
            gone = next(rule["expr"] for rule in rules() if rule["alert"] == "SmppgwGatewayGone")
            wait_until(lambda: prometheus.values(gone), "SmppgwGatewayGone of a stopped gateway")
    finally:
        site.stop()
    return wrong


def main() -> int:
    """Check the files, then run; returns the exit status."""
    missing = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    if missing:
        print(f"{' and '.join(missing)} cannot be found: install Debian's prometheus package.")
        return 1
    began = time.monotonic()
    wrong = [found for arguments in PROMTOOL_CHECKS if (found := promtool(*arguments))]
    with tempfile.TemporaryDirectory() as folder:
        wrong += run(Path(folder))
    for sentence in wrong:
        print(f"WRONG  {sentence}")
    asked = len(questions())
    print(
        f"{asked} queries of {len(rules())} rules and {len(panels())} panels asked, "
        f"{len(wrong)} faults, {time.monotonic() - began:.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
