"""The confirmation of a STOP, as it is counted here and as it leaves."""

import re
from pathlib import Path

import pytest

from smppgw import sms
from smppgw.campaign.hours import Calendar
from smppgw.campaign.optouts import confirmations
from smppgw.config import Config, load

CONFIG = """
[gateway]
region = "FR"
[[smsc]]
name = "alerts"
host = "127.0.0.1"
system_id = "syndic"
password = "secret08"
classes = ["alert"]
long_text = "{other}"
[[smsc]]
name = "operator"
host = "127.0.0.1"
system_id = "syndic"
password = "secret08"
classes = ["service", "promotional"]
prefixes = ["+262"]
long_text = "{long_text}"
[[smsc]]
name = "others"
host = "127.0.0.1"
system_id = "syndic"
password = "secret08"
classes = ["service", "promotional"]
long_text = "{long_text}"
[[tenant]]
name = "saint-martin"
sender = "STMARTIN"
[[tenant]]
name = "saint-denis"
sender = "36222"
rewrite = "keep"
[class.service]
expires = "6h"
[optouts]
confirmation = "{text}"
"""


@pytest.fixture
def config(tmp_path: Path, request: pytest.FixtureRequest) -> Config:
    text, long_text = request.param
    path = tmp_path / "config.toml"
    other = {"udh": "payload", "payload": "udh"}[long_text]
    values = {"text": text, "long_text": long_text, "other": other}
    written = re.sub(r"\{(\w+)\}", lambda match: values[match[1]], CONFIG)
    path.write_text(written, "utf-8")
    return load(path)


@pytest.mark.parametrize("config", [("C'est fait : plus de SMS.", "udh")], indirect=True)
def test_every_tenant_confirms_from_its_own_sender(config: Config) -> None:
    made = confirmations(config)
    assert {name: (one.sender, one.rewrite) for name, one in made.items()} == {
        "saint-martin": ("STMARTIN", "gentle"),
        "saint-denis": ("36222", "keep"),
    }
    one = made["saint-martin"]
    assert (one.text, one.segments, one.validity_ms) == (
        "C'est fait : plus de SMS.", 1, 6 * 3_600_000,
    )  # fmt: skip
    assert {"+262", *Calendar.prefixes} <= set(one.prefixes)


@pytest.mark.parametrize("config", [("", "udh"), ("  ", "udh")], indirect=True)
def test_where_no_text_is_given_nothing_is_confirmed(config: Config) -> None:
    assert confirmations(config) == {}


@pytest.mark.parametrize("config", [("’" + "a" * 150, "udh")], indirect=True)
def test_its_segments_are_those_of_the_text_as_each_tenant_rewrites_it(config: Config) -> None:
    made = confirmations(config)
    assert {name: one.segments for name, one in made.items()} == {
        "saint-martin": 1,
        "saint-denis": 3,
    }


@pytest.mark.parametrize("config", [("a" * 200, "payload")], indirect=True)
def test_as_payload_it_is_one_segment_however_long(config: Config) -> None:
    assert {one.segments for one in confirmations(config).values()} == {1}


@pytest.mark.parametrize("config", [("Fini {ou pas} } {{ }}", "udh")], indirect=True)
def test_a_brace_is_a_brace(config: Config) -> None:
    one = confirmations(config)["saint-martin"]
    template = sms.Template(one.text)
    assert template.names == ()
    assert template.fill({}) == "Fini {ou pas} } {{ }}"
