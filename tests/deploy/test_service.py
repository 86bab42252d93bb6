"""The unit, the image and the guide fit the gateway and each other."""

import json
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from smppgw.config import Smsc, parse_duration
from smppgw.gateway import DRAIN_MARGIN_S, STALLED_S
from smppgw.metrics import Endpoint, Metrics

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture
def unit() -> ConfigParser:
    made = ConfigParser(strict=False, interpolation=None, comment_prefixes=("#",))
    made.optionxform = str  # type: ignore[method-assign,assignment]  # names keep their capitals
    made.read(DEPLOY / "systemd" / "smppgw.service", "utf-8")
    return made


def seconds(unit: ConfigParser, key: str) -> float:
    return parse_duration(unit["Service"][key].replace("min", "m"))


def test_a_stop_waits_longer_than_the_longest_drain(unit: ConfigParser) -> None:
    response_timeout_s = Smsc.model_fields["response_timeout_s"].default
    assert seconds(unit, "TimeoutStopSec") > response_timeout_s + DRAIN_MARGIN_S


def test_what_stalls_is_seen_before_the_watchdog_bites(unit: ConfigParser) -> None:
    assert unit["Service"]["Type"] == "notify"
    assert seconds(unit, "WatchdogSec") > 2 * STALLED_S


def test_the_guide_names_the_paths_of_the_unit(unit: ConfigParser) -> None:
    guide = (DEPLOY / "README.md").read_text("utf-8")
    name, _, source = unit["Service"]["LoadCredential"].partition(":")
    assert f'password_file = "/run/credentials/smppgw.service/{name}"' in guide
    assert f"install -m 0600 /dev/null {source}\n" in guide
    assert f'database = "/var/lib/{unit["Service"]["StateDirectory"]}/smppgw.db"' in guide
    _, _, config = unit["Service"]["Environment"].partition("=")
    assert f"config init {config}\n" in guide
    program = unit["Service"]["ExecStart"].removesuffix(" run")
    assert f"exec sudo -u {unit['Service']['User']} {program} --config {config} " in guide


@pytest.mark.parametrize(("problem", "healthy"), [(None, True), ("no turn for 11 s", False)])
def test_a_container_is_healthy_as_long_as_turns_move(problem: str | None, healthy: bool) -> None:
    dockerfile = (DEPLOY / "docker" / "Dockerfile").read_text("utf-8")
    check = re.search(r"HEALTHCHECK .*\\\n\s+CMD (\[.*\])", dockerfile)
    assert check is not None
    python, option, code = json.loads(check[1])
    assert (python, option) == ("python", "-c")
    endpoint = Endpoint(
        Metrics(), "127.0.0.1", 0, healthy=lambda: problem, ready=lambda: "no bind stands"
    )
    with endpoint:
        here = code.replace("127.0.0.1:9108", f"127.0.0.1:{endpoint.port}")
        assert here != code
        ended = subprocess.run([sys.executable, option, here], capture_output=True, timeout=30)
    assert (ended.returncode == 0) == healthy
