"""`config init` and `config show`: what is written, what is shown, and what never is."""

import json
import stat
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw.cli.config import MASK, _duration, _toml
from smppgw.config import load, parse_duration
from tests.cli.conftest import Smppgw

ROOT = Path(__file__).parents[2]
EVERYTHING = """
[gateway]
database = "a folder/\\"queue\\".db"
[metrics]
listen = ""
[[smsc]]
name = "operator"
host = "127.0.0.1"
system_id = "syndic"
password = "hidden08"
tls = { server_name = "smsc.example", minimum = "1.3" }
enquire_link = "1500ms"
reconnect = ["90s", "36h"]
prefixes = ["+262"]
classes = ["alert", "service"]
price = [{ default = 0.0380 }, { from = 2027-01-01, default = 0.041, "+262" = 0.06 }]
statuses = { "0x0401" = "try-later" }
dest_npi = 9
[[smsc]]
name = "second"
host = "::1"
system_id = "syndic"
password_file = "second.password"
price = { default = 0.0000001, "+262" = 1 }
[[smsc]]
name = "third"
host = "smsc.example"
system_id = "syndic"
password_env = "THIRD_PASSWORD"
tls = true
price = 12
[[tenant]]
name = "saint-martin"
sender = "STMARTIN"
approvals = { operator = { state = "approved", until = 2027-01-31 } }
[class.service]
hours = ["07:30", "21:45"]
expires = "1w"
[profile.summer]
hours = ["09:00", "19:00"]
from = 2027-06-21
until = 2027-09-21
[retention]
text = "12d"
"""


@pytest.fixture
def everything(config_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config_path.write_text(EVERYTHING, "utf-8")
    config_path.with_name("second.password").write_text("hidden-in-a-file\n")
    monkeypatch.setenv("THIRD_PASSWORD", "hidden-in-the-environment")
    return config_path


def test_the_example_is_that_of_the_repository_and_good(smppgw: Smppgw, tmp_path: Path) -> None:
    target = tmp_path / "made.toml"
    made = smppgw("config", "init", target)
    assert (made.status, made.err) == (0, "")
    assert target.read_bytes() == (ROOT / "config.toml").read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert load(target, {}).smsc[0].name == "operator"


def test_without_a_name_the_example_goes_where_it_is_looked_for(
    smppgw: Smppgw, config_path: Path
) -> None:
    config_path.unlink()
    assert smppgw("config", "init").status == 0
    assert smppgw("check").status == 0


def test_a_configuration_that_exists_is_never_replaced(smppgw: Smppgw, config_path: Path) -> None:
    before = config_path.read_text("utf-8")
    refused = smppgw("config", "init", config_path)
    assert refused.status == 1
    assert "nothing is ever replaced" in refused.err
    assert config_path.read_text("utf-8") == before
    dangling = config_path.with_name("link.toml")
    dangling.symlink_to(config_path.with_name("nowhere.toml"))
    assert smppgw("config", "init", dangling).status == 1


def test_a_folder_that_is_missing_is_named(smppgw: Smppgw, tmp_path: Path) -> None:
    refused = smppgw("config", "init", tmp_path / "none" / "config.toml")
    assert refused.status == 1
    assert f"{tmp_path / 'none' / 'config.toml'}: No such file or directory" in refused.err


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_no_password_is_shown_wherever_it_came_from(
    everything: Path, smppgw: Smppgw, options: tuple[str, ...]
) -> None:
    shown = smppgw("config", "show", *options)
    assert shown.status == 0
    assert "hidden" not in shown.out + shown.err
    assert shown.out.count(MASK) == 1  # of the one that stands in the file


def test_what_is_shown_means_the_same_when_it_is_read_again(
    everything: Path, smppgw: Smppgw
) -> None:
    shown = smppgw("config", "show").out
    again = everything.with_name("again.toml")
    again.write_text(shown.replace(MASK, "hidden08"), "utf-8")
    assert load(again).model_dump() == load(everything).model_dump()


def test_what_the_file_leaves_out_is_shown_with_its_default(smppgw: Smppgw) -> None:
    shown = tomllib.loads(smppgw("config", "show").out)
    assert shown["smsc"][0]["window"] == 10
    assert shown["class"]["promotional"]["hours"] == ["08:00", "20:00"]
    assert shown["metrics"] == {"listen": "127.0.0.1:9108"}


def test_json_shows_the_same_with_days_and_prices_as_text(everything: Path, smppgw: Smppgw) -> None:
    shown = json.loads(smppgw("config", "show", "--json").out)
    assert shown["smsc"][0]["price"] == [
        {"default": "0.038"},
        {"from": "2027-01-01", "default": "0.041", "+262": "0.06"},
    ]
    assert shown["smsc"][0]["enquire_link"] == "1500ms"
    toml = tomllib.loads(smppgw("config", "show").out)
    assert json.loads(json.dumps(toml, default=str)).keys() == shown.keys()
    assert [one.keys() for one in toml["smsc"]] == [one.keys() for one in shown["smsc"]]


def test_a_configuration_with_mistakes_is_not_shown(smppgw: Smppgw, config_path: Path) -> None:
    config_path.write_text("nothing = 1", "utf-8")
    refused = smppgw("config", "show")
    assert (refused.status, refused.out) == (2, "")


@given(st.integers(1, 5000), st.sampled_from(["ms", "s", "m", "h", "d", "w"]))
def test_a_duration_is_written_so_that_it_reads_the_same(count: int, unit: str) -> None:
    text = f"{count}{unit}"
    assert parse_duration(_duration(parse_duration(text))) == parse_duration(text)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_written_as_toml_reads_it(text: str) -> None:
    assert tomllib.loads(f"value = {_toml(text)}") == {"value": text}
