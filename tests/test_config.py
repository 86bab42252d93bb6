"""config.toml: what is accepted, and what is said about what is not."""

import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smppgw.config import (
    CLASSES,
    Classes,
    Config,
    GatewaySection,
    MetricsSection,
    Retention,
    Smsc,
    Tenant,
    Tls,
    load,
    parse_duration,
)
from smppgw.errors import ConfigError

EXAMPLE = (Path(__file__).parents[1] / "config.toml").read_text("utf-8")
SECRET = "secret08"
MINIMAL = f"""
[[smsc]]
name = "operator"
host = "127.0.0.1"
system_id = "syndic"
password = "{SECRET}"

[[tenant]]
name = "saint-martin"
sender = "STMARTIN"
"""
# Every key that the interface promises, with the values it is written with there.
CONTRACT = """
[gateway]
database = "smppgw.db"
region = "FR"
timezone = "Europe/Paris"
currency = "EUR"

[metrics]
listen = "127.0.0.1:9108"

[[smsc]]
name = "operator"
host = "127.0.0.1"
port = 2775
system_id = "syndic"
password = "secret08"
system_type = ""
tls = false
mode = "transceiver"
binds = 1
window = 10
throughput = 20
enquire_link = "30s"
response_timeout = "30s"
reconnect = ["1s", "60s"]
message_id = "auto"
receipts = "every"
long_text = "udh"
alphabet = "gsm7"
classes = ["alert", "service", "promotional"]
prefixes = []
price = 0.038
source_ton = "auto"
source_npi = "auto"
dest_ton = "auto"
dest_npi = "auto"

[[tenant]]
name = "saint-martin"
sender = "STMARTIN"
segments_a_month = 20000
rewrite = "gentle"

[class.promotional]
hours = ["08:00", "20:00"]
days = ["mon", "tue", "wed", "thu", "fri", "sat"]
holidays = false
unknown = "hold"
expires = "48h"
attempts = 5

[class.service]
hours = ["08:00", "20:00"]
days = ["mon", "tue", "wed", "thu", "fri", "sat"]
holidays = false
unknown = "hold"
expires = "48h"
attempts = 5

[class.alert]
hours = ["08:00", "20:00"]
days = ["mon", "tue", "wed", "thu", "fri", "sat"]
holidays = false
unknown = "hold"
expires = "48h"
attempts = 5

[retention]
text = "30d"
number = "180d"
audit = "5y"
"""


class File:
    """A config.toml in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "config.toml"

    def load(self, text: str, **environ: str) -> Config:
        self.path.write_text(text, "utf-8")
        return load(self.path, environ)

    def problems(self, text: str, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as raised:
            self.load(text, **environ)
        assert raised.value.source == str(self.path)
        lines = str(raised.value).splitlines()
        assert lines == [f"{self.path}: {problem}" for problem in raised.value.problems]
        return list(raised.value.problems)

    def problem(self, text: str, **environ: str) -> str:
        (only,) = self.problems(text, **environ)
        return only


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path)


def smsc(lines: str, *, without: str = "") -> str:
    """The least file, with more lines in its account, or without one of them."""
    kept = [line for line in MINIMAL.splitlines() if not (without and line.startswith(without))]
    return "\n".join(kept).replace("[[tenant]]", f"{lines}\n\n[[tenant]]")


def first(config: Config) -> Smsc:
    return config.smsc[0]


# What is accepted


def test_the_example_loads_and_its_values_are_the_documented_defaults(file: File) -> None:
    example, least = file.load(EXAMPLE), file.load(MINIMAL)
    assert example.gateway == least.gateway
    assert example.metrics == least.metrics
    assert example.classes == least.classes
    assert example.retention == least.retention
    assert example.smsc == (first(least).model_copy(update={"price": Decimal("0.038")}),)
    assert example.tenant[0].model_copy(
        update={"segments_a_month": None, "rewrite": None}
    ) == least.tenant[0]  # fmt: skip


def test_the_defaults_are_those_of_the_interface(file: File) -> None:
    config = file.load(MINIMAL)
    assert config.gateway == GatewaySection(database=file.path.parent / "smppgw.db")
    assert (config.gateway.region, config.gateway.timezone) == ("FR", "Europe/Paris")
    assert config.gateway.currency == "EUR"
    assert (config.metrics.host, config.metrics.port) == ("127.0.0.1", 9108)
    one = first(config)
    assert (one.port, one.window, one.throughput, one.binds) == (2775, 10, 20, 1)
    assert (one.enquire_link_s, one.response_timeout_s, one.reconnect_s) == (30, 30, (1, 60))
    assert (one.mode, one.message_id, one.receipts) == ("transceiver", "auto", "every")
    assert (one.long_text, one.alphabet, one.classes) == ("udh", "gsm7", CLASSES)
    assert (one.tls_settings, one.price, one.prefixes) == (None, None, ())
    promotional = config.classes.promotional
    assert promotional.hours == (time(8), time(20))
    assert promotional.days == ("mon", "tue", "wed", "thu", "fri", "sat")
    assert (promotional.holidays, promotional.unknown) == (False, "hold")
    assert (promotional.expires_s, promotional.attempts) == (48 * 3600, 5)
    assert (config.classes.alert.unknown, config.classes.service.unknown) == ("resend", "hold")
    assert (config.classes.alert.hours, config.classes.service.hours) == (None, None)
    kept = config.retention
    assert (kept.text_s, kept.number_s, kept.audit_s) == (30 * 86400, 180 * 86400, 5 * 365 * 86400)


def contract_keys() -> Iterator[tuple[str, ...]]:
    for name, section in tomllib.loads(CONTRACT).items():
        if name == "class":
            yield from (
                ("class", job_class, key) for job_class in section for key in section[job_class]
            )
        else:
            yield from (
                (name, key) for key in (section[0] if isinstance(section, list) else section)
            )


def toml(document: Mapping[str, Any]) -> str:
    """Write a document of any shape; tables stand inline."""
    return "".join(f"{quoted(key)} = {toml_value(value)}\n" for key, value in document.items())


def quoted(text: str) -> str:
    plain = "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08X}" for c in text)
    return f'"{plain}"'


def toml_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{quoted(k)} = {toml_value(v)}' for k, v in value.items())}}}"
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


@pytest.mark.parametrize("keys", list(contract_keys()), ids=".".join)
def test_each_key_of_the_interface_is_accepted_by_itself(keys: tuple[str, ...], file: File) -> None:
    document, value = tomllib.loads(MINIMAL), tomllib.loads(CONTRACT)
    into: Any = document
    for key in keys[:-1]:
        value, into = value[key], into.setdefault(key, {})
        value = value[0] if isinstance(value, list) else value
        into = into[0] if isinstance(into, list) else into
    into[keys[-1]] = value[keys[-1]]
    assert isinstance(file.load(toml(document)), Config)


def test_all_keys_of_the_interface_are_accepted_together(file: File) -> None:
    assert file.load(CONTRACT).classes["alert"].unknown == "hold"


def test_a_file_that_an_editor_began_with_a_byte_order_mark_is_read(file: File) -> None:
    assert file.load("\ufeff" + MINIMAL).tenant[0].name == "saint-martin"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("1.5m", 90),
        ("6h", 21600),
        ("2d", 172800),
        ("4w", 2419200),
        ("5y", 157680000),
        (" 30 s ", 30),
        ("0s", 0),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "30", "s", "-1s", "1h30m", "30 sec", "1e3s", ".5s", "∞s", "30S", "101y", "9" * 999 + "s"],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a duration is"):
        parse_duration(text)


def test_a_price_keeps_the_digits_of_the_file(file: File) -> None:
    assert first(file.load(smsc("price = 0.038"))).price == Decimal("0.038")
    assert first(file.load(smsc("price = 1"))).price == 1
    assert first(file.load(smsc("price = 0.1"))).price_for("+33600000001") == Decimal("0.1")


def test_the_longest_prefix_decides_the_price(file: File) -> None:
    one = first(
        file.load(smsc('price = { default = 0.04, "+262" = 0.06, "+262693" = 0.07, "+33" = 0.03 }'))
    )
    prices = [
        str(one.price_for(number))
        for number in ("+33600000001", "+262692000001", "+262693000001", "+590690000001")
    ]
    assert prices == ["0.03", "0.06", "0.07", "0.04"]


def test_a_number_under_no_prefix_and_no_default_has_no_price(file: File) -> None:
    assert first(file.load(smsc('price = { "+33" = 0.03 }'))).price_for("+262692000001") is None


@pytest.mark.parametrize(
    ("tls", "settings"),
    [
        ("false", None),
        ("true", Tls()),
        ("{}", Tls()),
        (
            '{ server_name = "smsc.example", minimum = "1.3" }',
            Tls(server_name="smsc.example", minimum="1.3"),
        ),
    ],
)
def test_tls_is_a_switch_or_a_table(tls: str, settings: Tls | None, file: File) -> None:
    assert first(file.load(smsc(f"tls = {tls}"))).tls_settings == settings


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:9108", ("127.0.0.1", 9108)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:65535", ("localhost", 65535)),
        ("", (None, 0)),
    ],
)
def test_metrics_listen_where_they_are_told_to(
    listen: str, address: tuple[str | None, int], file: File
) -> None:
    metrics = file.load(f'[metrics]\nlisten = "{listen}"\n{MINIMAL}').metrics
    assert (metrics.host, metrics.port) == address


def test_relative_paths_stand_beside_the_file_and_absolute_ones_stay(file: File) -> None:
    folder = file.path.parent
    files = 'tls = { ca_file = "ca.pem", cert_file = "tls/cert.pem", key_file = "/etc/key.pem" }'
    config = file.load(f'[gateway]\ndatabase = "data/x.db"\n{smsc(files)}')
    assert config.gateway.database == folder / "data/x.db"
    tls = first(config).tls_settings
    assert tls is not None
    assert (tls.ca_file, tls.cert_file) == (folder / "ca.pem", folder / "tls/cert.pem")
    assert tls.key_file == Path("/etc/key.pem")
    assert file.load('[gateway]\ndatabase = "/x.db"\n' + MINIMAL).gateway.database == Path("/x.db")


def test_a_relative_name_of_the_file_itself_is_made_absolute(
    file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.load(MINIMAL)
    monkeypatch.chdir(file.path.parent)
    for config in (load(Path("config.toml"), {}), load(None, {})):
        assert config.gateway.database == file.path.parent / "smppgw.db"
        assert config.source == Path("config.toml")


def test_the_environment_names_the_file_where_no_option_does(file: File, tmp_path: Path) -> None:
    file.load(MINIMAL)
    environ = {"SMPPGW_CONFIG": str(file.path)}
    assert load(None, environ).source == file.path
    other = tmp_path / "other.toml"
    with pytest.raises(ConfigError, match=r"other\.toml: there is no such file"):
        load(other, environ)


def test_a_class_is_found_by_its_name(file: File) -> None:
    config = file.load(MINIMAL + "\n[class.service]\nattempts = 9\n")
    assert [config.classes[name].attempts for name in CLASSES] == [5, 9, 5]


def test_alerts_may_be_rewritten_in_full_and_a_tenant_decides_for_itself(file: File) -> None:
    config = file.load(EXAMPLE)
    decided, free = config.tenant
    assert [config.rewrite_for(free, name) for name in CLASSES] == ["full", "gentle", "gentle"]
    assert [config.rewrite_for(decided, name) for name in CLASSES] == ["gentle"] * 3


def test_the_prefixes_of_all_accounts_are_known_once(file: File) -> None:
    second = MINIMAL.split("[[tenant]]")[0].replace('"operator"', '"other"')
    config = file.load(smsc('prefixes = ["+590", "+262"]') + second + 'prefixes = ["+262"]\n')
    assert config.prefixes == ("+262", "+590")


def test_a_configuration_cannot_be_changed(file: File) -> None:
    config = file.load(MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        config.gateway.region = "DE"


# Secrets


def test_a_password_comes_from_the_file_from_another_or_from_the_environment(
    file: File, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    for line, environ in (
        (f'password = "{SECRET}"', {}),
        ('password_file = "secret"', {}),
        (f'password_file = "{tmp_path}/secret"', {}),
        ('password_env = "SMSC_SECRET"', {"SMSC_SECRET": SECRET}),
    ):
        config = file.load(smsc(line, without="password"), **environ)
        assert first(config).password.get_secret_value() == SECRET
        assert SECRET not in f"{config!r}{config}{first(config)!r}{config.model_dump()}"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "password: give exactly one of password, password_file, password_env"),
        (
            f'password = "{SECRET}"\npassword_env = "SMSC_SECRET"',
            "password: give exactly one of password, password_file, password_env",
        ),
        ('password = ""', "password: it is empty"),
        ('password_env = "NOT_SET"', "password_env: $NOT_SET is not set, or empty"),
        ('password_env = "EMPTY"', "password_env: $EMPTY is not set, or empty"),
        (
            'password_env = "hunter2!"',
            "password_env: must be the name of an environment variable, in capitals",
        ),
        ('password_file = ""', "password_file: must be a path, not ''"),
        ('password_file = "a\\u0000b"', "password_file: must be a path, not 'a\\x00b'"),
        ("password_file = 5", "password_file: must be a path, not 5"),
        ("password_env = 5", "password_env: must be text, not 5"),
        (f'password = ["{SECRET}"]', "password: must be text"),
        (f'password = {{ is = "{SECRET}" }}', "password: must be text"),
        (f'password.is = "{SECRET}"', "password: must be text"),
        (f'password = "{SECRET * 9}"', "password: must be 1 to 64 ASCII characters"),
        (f'password = "{SECRET}é"', "password: must be 1 to 64 ASCII characters"),
        (f'password = "{SECRET}\\n"', "password: must be 1 to 64 ASCII characters"),
    ],
)
def test_what_is_wrong_with_a_password_is_told_once_and_without_it(
    lines: str, said: str, file: File
) -> None:
    text = smsc(lines, without="password")
    problem = file.problem(text, SMSC_SECRET=SECRET, EMPTY="")
    assert problem == f'[[smsc]] "operator" {said}'
    assert SECRET not in problem


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_password_file_without_a_password_is_told(
    content: bytes | None, said: str, file: File, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    problem = file.problem(smsc('password_file = "secret"', without="password"))
    assert problem == f'[[smsc]] "operator" password_file: {tmp_path}/secret {said}'


def test_a_password_in_a_file_is_not_shown_with_other_mistakes(file: File, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    lines = 'password_file = "secret"\nport = "x"\nprefixes = [1]\nreconnect = []\nsystem = 1'
    problems = file.problems(smsc(lines, without="password"))
    assert len(problems) == 4
    assert not any(SECRET in problem for problem in problems)


@pytest.mark.parametrize(
    "text",
    [
        f'smsc = [[{{ password = "{SECRET}" }}]]',
        f'smsc = {{ password = "{SECRET}" }}',
        f'tenant = [{{ name = [{{ password = "{SECRET}" }}] }}]',
        f'gateway = [{{ password = "{SECRET}" }}]',
        f'password = "{SECRET}"',
        f'[gateway]\npassword = "{SECRET}"',
        f'[[smsc]]\npasword = "{SECRET}"',
        f'[[smsc]]\npassword = "{SECRET}',
        f'[[smsc]]\npassword = "{SECRET}"\npassword = "{SECRET}"',
    ],
)
def test_a_password_in_the_wrong_place_is_not_repeated(text: str, file: File) -> None:
    assert not any(SECRET in problem for problem in file.problems(text))


# What is refused


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(file: File) -> None:
    text = (
        EXAMPLE.replace('"FR"', '"France"')
        .replace("port = 2775", "prt = 2775")
        .replace('"secret08"', '""')
        .replace("window = 10 ", "window = 0 ")
        .replace('"STMARTIN"', '"Saint-Martin"')
        .replace('"val-fleuri"', '"saint-martin"')
        .replace('["08:00", "20:00"]', '["20:00", "08:00"]')
        .replace('text = "30d"', 'text = "30 days"')
    )
    assert file.problems(text) == [
        "[gateway] region: must be a country in two capitals, such as \"FR\", not 'France'",
        "[[smsc]] \"operator\" prt: unknown key; did you mean 'port'?",
        '[[smsc]] "operator" password: it is empty',
        '[[smsc]] "operator" window: must be 1 or more, not 0',
        '[[tenant]] "saint-martin" sender: must be a name of 1 to 11 letters and digits, a short '
        "code 36xxx or 38xxx, or a number that begins with +, not 'Saint-Martin'",
        "[[tenant]] name: 'saint-martin' is given twice; each needs its own",
        "[class.promotional] hours: must be a closing time after the opening time, "
        "not ['20:00', '08:00']",
        '[retention] text: a duration is a number and a unit: "500ms", "30s", "15m", "6h", "2d", '
        "not '30 days'",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gatway = {}\n" + MINIMAL, "gatway: unknown key; did you mean 'gateway'?"),
        ("source = 1\n" + MINIMAL, "source: unknown key; known here are gateway, metrics, "),
        ("classes = {}\n" + MINIMAL, "classes: unknown key; did you mean 'class'?"),
        (
            "[gateway]\ndatabse = 1\n" + MINIMAL,
            "[gateway] databse: unknown key; did you mean 'database'?",
        ),
        (
            "[metrics]\nlistn = 1\n" + MINIMAL,
            "[metrics] listn: unknown key; did you mean 'listen'?",
        ),
        (smsc("throughputs = 1"), "throughputs: unknown key; did you mean 'throughput'?"),
        (smsc("enquire_link_s = 1"), "enquire_link_s: unknown key; did you mean 'enquire_link'?"),
        (smsc("tls = { ca_fil = 1 }"), "tls ca_fil: unknown key; did you mean 'ca_file'?"),
        (
            MINIMAL + "sendr = 1",
            "[[tenant]] \"saint-martin\" sendr: unknown key; did you mean 'sender'?",
        ),
        (MINIMAL + "[class.promo]", "[class.promo]: unknown key; did you mean 'promotional'?"),
        (
            MINIMAL + "[class.alert]\nhour = 1",
            "[class.alert] hour: unknown key; did you mean 'hours'?",
        ),
        (
            MINIMAL + "[class.service]\nexpire = 1",
            "[class.service] expire: unknown key; did you mean 'expires'?",
        ),
        (
            MINIMAL + "[class.promotional]\nday = 1",
            "[class.promotional] day: unknown key; did you mean 'days'?",
        ),
        (
            MINIMAL + "[retention]\nnumbers = 1",
            "[retention] numbers: unknown key; did you mean 'number'?",
        ),
        (
            MINIMAL + "[retention]\nzzz = 1",
            "[retention] zzz: unknown key; known here are text, number, audit",
        ),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(text: str, said: str, file: File) -> None:
    assert said in file.problem(text)


DURATION = 'a duration is a number and a unit: "500ms", "30s", "15m", "6h", "2d"'
DELAYS = 'must be the first and the longest delay: ["1s", "60s"]'
HOURS = 'must be opening and closing: ["08:00", "20:00"]'
PRICE = "must be a price of one segment"
SMSC = '[[smsc]] "operator" '
TENANT = '[[tenant]] "saint-martin" '


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("port = 0", "port: must be 1 or more, not 0"),
        ("port = 65536", "port: must be 65535 or less, not 65536"),
        (f"port = {'9' * 30}", f"port: must be 65535 or less, not {'9' * 30}"),
        ("port = 2775.0", "port: must be a whole number, not 2775.0"),
        ("port = true", "port: must be a whole number, not true"),
        ('port = "2775"', "port: must be a whole number, not '2775'"),
        ("system_type = 1979-05-27", "system_type: must be text, not 1979-05-27"),
        ('system_type = "é"', "system_type: must be printable ASCII, not 'é'"),
        (
            f'system_type = "{"x" * 13}"',
            f"system_type: must have 12 characters or fewer, not '{'x' * 13}'",
        ),
        ("tls = 1", "tls: must be true, false or a table, not 1"),
        ('tls = { minimum = "1.1" }', "tls minimum: must be one of '1.2' or '1.3', not '1.1'"),
        ("tls = { ca_file = true }", "tls ca_file: must be a path, not true"),
        (
            'mode = "both"',
            "mode: must be one of 'transceiver' or 'transmitter+receiver', not 'both'",
        ),
        ("binds = 65", "binds: must be 64 or less, not 65"),
        ("throughput = 0", "throughput: must be 1 or more, not 0"),
        ('enquire_link = "0s"', "enquire_link: must be more than 0, not '0s'"),
        ("enquire_link = 30", f"enquire_link: {DURATION}, not 30"),
        (
            'response_timeout = "101y"',
            "response_timeout: a duration is 100 years at most, not '101y'",
        ),
        ('reconnect = "1s"', f"reconnect: {DELAYS}, not '1s'"),
        ('reconnect = ["1s"]', f"reconnect: {DELAYS}, not ['1s']"),
        ('reconnect = ["9s", "1s"]', f"reconnect: {DELAYS}, not ['9s', '1s']"),
        ('reconnect = ["1s", "x"]', f"reconnect entry 2: {DURATION}, not 'x'"),
        (
            'receipts = "all"',
            "receipts: must be one of 'every', 'first', 'last' or 'none', not 'all'",
        ),
        ("classes = []", "classes: must have 1 or more entries, not []"),
        (
            'classes = ["alerts"]',
            "classes entry 1: must be one of 'alert', 'service' or 'promotional', not 'alerts'",
        ),
        ('classes = "alert"', "classes: must be a list, not 'alert'"),
        ('prefixes = ["0262"]', "prefixes entry 1: must be prefixes such as \"+262\", not '0262'"),
        ("price = -0.01", "price: must be a price of one segment, 0 or more, not -0.01"),
        ("price = inf", "price: must be a price of one segment, 0 or more, not inf"),
        ("price = nan", "price: must be a price of one segment, 0 or more, not nan"),
        ("price = true", "price: must be a price of one segment, 0 or more, not true"),
        ('price = "0.038"', "price: must be a price of one segment, 0 or more, not '0.038'"),
        ('price = { "+262" = nan }', "price: must be a price of one segment to +262, 0 or more"),
        (
            'price = { "262" = 1 }',
            'price: must be a price, or a table of prices by prefix: "+262", and default',
        ),
        ("source_ton = 7", "source_ton: must be one of 'auto', 0, 1, 2, 3, 4, 5 or 6, not 7"),
        ("source_ton = true", 'source_ton: must be "auto" or a whole number, not true'),
        ("dest_npi = 1.0", 'dest_npi: must be "auto" or a whole number, not 1.0'),
        (
            "dest_npi = 2",
            "dest_npi: must be one of 'auto', 0, 1, 3, 4, 6, 8, 9, 10, 14 or 18, not 2",
        ),
        ("validity_period = 1", "validity_period: must be true or false, not 1"),
        (
            'statuses = { "0x401" = "later" }',
            "statuses 0x401: must be one of 'slow-down', 'try-later', 'refused' or "
            "'stop-link', not 'later'",
        ),
        (
            'statuses = { "1025" = "refused" }',
            'statuses: must be codes in hexadecimal and what they mean: { "0x0401" = "try-later" }',
        ),
    ],
)
def test_a_mistake_in_an_account_says_where_what_and_what_is_allowed(
    line: str, said: str, file: File
) -> None:
    assert file.problem(smsc(line)) == SMSC + said


@pytest.mark.parametrize("host", ["", "a b", "a..b", "x" * 64, "a\tb", "a\\u0000b", "\\n"])
def test_a_host_that_no_host_can_be_called_is_refused(host: str, file: File) -> None:
    said = file.problem(smsc(f'host = "{host}"', without="host"))
    assert said.startswith(SMSC + "host: must be a host name or an IP address, not ")


@pytest.mark.parametrize(
    "host", ["smsc.example", "192.0.2.1", "2001:db8::1", "fe80::1%eth0", "é.example"]
)
def test_a_host_is_a_name_or_an_address(host: str, file: File) -> None:
    assert first(file.load(smsc(f'host = "{host}"', without="host"))).host == host


@pytest.mark.parametrize("missing", ["host", "system_id"])
def test_what_an_account_cannot_do_without_must_be_given(missing: str, file: File) -> None:
    assert file.problem(smsc("", without=missing)) == f"{SMSC}{missing}: must be given"


def test_an_account_without_a_name_is_called_by_its_place(file: File) -> None:
    assert file.problems(smsc("port = 0", without='name = "operator"')) == [
        "[[smsc]] 1 port: must be 1 or more, not 0",
        "[[smsc]] 1 name: must be given",
    ]
    assert file.problem(smsc('name = "a\\nb"', without='name = "operator"')) == (
        "[[smsc]] 1 name: must be small letters, digits and dashes, not 'a\\nb'"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('sender = "ÉTÉ"', "sender: must be a name of 1 to 11 letters and digits"),
        ('sender = "LONGERTHAN11"', "sender: must be a name of 1 to 11 letters and digits"),
        ('sender = "12345"', "sender: must be a name of 1 to 11 letters and digits"),
        ("sender = 36111", "sender: must be text, not 36111"),
        ("segments_a_month = -1", "segments_a_month: must be 0 or more, not -1"),
        ('rewrite = "soft"', "rewrite: must be one of 'keep', 'gentle' or 'full', not 'soft'"),
    ],
)
def test_a_mistake_in_a_tenant_says_where_what_and_what_is_allowed(
    line: str, said: str, file: File
) -> None:
    key = line.split(" ")[0]
    text = "\n".join(one for one in MINIMAL.splitlines() if not one.startswith(key))
    assert file.problem(f"{text}\n{line}").startswith(TENANT + said)


@pytest.mark.parametrize(
    "sender", ["A", "STMARTIN", "Mairie36", "ABCDEFGHIJK", "36111", "38200", "+33600000001"]
)
def test_a_sender_is_a_name_a_short_code_or_a_number(sender: str, file: File) -> None:
    assert file.load(MINIMAL.replace("STMARTIN", sender)).tenant[0].sender == sender


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (
            '[gateway]\ntimezone = "Europe/Pari"',
            '[gateway] timezone: must be a time zone such as "Europe/Paris" or '
            "\"Indian/Reunion\", not 'Europe/Pari'",
        ),
        ('[gateway]\ntimezone = "../etc"', "[gateway] timezone: must be a time zone"),
        ('[gateway]\ntimezone = "Europe"', "[gateway] timezone: must be a time zone"),
        ('[gateway]\ntimezone = ""', "[gateway] timezone: must be a time zone"),
        ('[gateway]\ntimezone = "a\\u0000b"', "[gateway] timezone: must be a time zone"),
        (
            '[gateway]\ncurrency = "€"',
            "[gateway] currency: must be a currency in three capitals, such as \"EUR\", not '€'",
        ),
        ('[gateway]\ndatabase = ""', "[gateway] database: must be a path, not ''"),
        ("[gateway]\ndatabase = 5", "[gateway] database: must be a path, not 5"),
        ('[gateway]\ndatabase = "a\\u0000b"', "[gateway] database: must be a path, not 'a\\x00b'"),
        ("gateway = 3", "[gateway]: must be a table, not 3"),
        ("[[gateway]]", "[gateway]: must be a table"),
        ('[metrics]\nlisten = "9108"', "[metrics] listen: must be host:port, such as"),
        ('[metrics]\nlisten = "::1:9108"', "[metrics] listen: must be host:port, such as"),
        (
            '[metrics]\nlisten = "localhost:65536"',
            "[metrics] listen: must be a port from 0 to 65535, not 'localhost:65536'",
        ),
        (
            '[metrics]\nlisten = "a..b:1"',
            "[metrics] listen: must be a host name or an IP address, not 'a..b:1'",
        ),
        ("metrics = false", "[metrics]: must be a table, not false"),
        ("class = 1", "[class]: must be a table, not 1"),
        ("class.alert = 1", "[class.alert]: must be a table, not 1"),
        (
            '[class.alert]\nhours = ["08:00Z", "20:00"]',
            f"[class.alert] hours: {HOURS}, not ['08:00Z', '20:00']",
        ),
        (
            "[class.alert]\nhours = [08:00:00, 20:00:00]",
            f"[class.alert] hours: {HOURS}, not [08:00:00, 20:00:00]",
        ),
        (
            '[class.service]\nhours = ["08:00"]',
            "[class.service] hours: must be opening and closing",
        ),
        (
            '[class.service]\nhours = ["08:00", "24:00"]',
            "[class.service] hours: must be opening and closing",
        ),
        (
            '[class.service]\nhours = ["08:00", "08:00"]',
            "[class.service] hours: must be a closing time after the opening time",
        ),
        (
            '[class.service]\ndays = ["lun"]',
            "[class.service] days entry 1: must be one of 'mon', 'tue'",
        ),
        ("[class.service]\ndays = []", "[class.service] days: must have 1 or more entries, not []"),
        (
            '[class.promotional]\nholidays = "no"',
            "[class.promotional] holidays: must be true or false, not 'no'",
        ),
        (
            '[class.promotional]\nunknown = "drop"',
            "[class.promotional] unknown: must be one of 'hold' or 'resend', not 'drop'",
        ),
        (
            "[class.promotional]\nattempts = 0",
            "[class.promotional] attempts: must be 1 or more, not 0",
        ),
        ('[retention]\naudit = "0d"', "[retention] audit: must be more than 0, not '0d'"),
        ("[retention]\ntext = 30", "[retention] text: a duration is a number and a unit"),
    ],
)
def test_a_mistake_in_any_other_section_says_where_what_and_what_is_allowed(
    section: str, said: str, file: File
) -> None:
    head, _, _ = section.partition("\n")
    before = head.startswith(("gateway", "metrics", "class"))
    text = f"{section}\n{MINIMAL}" if before else f"{MINIMAL}\n{section}\n"
    assert file.problem(text).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["[[smsc]]: must be given", "[[tenant]]: must be given"]),
        (
            "smsc = [[{ name = 1 }]]\ntenant = [[1], [[2]]]",
            [
                "[[smsc]] 1: must be a table",
                "[[tenant]] 1: must be a table, not [1]",
                "[[tenant]] 2: must be a table",
            ],
        ),
        (
            "smsc = []\ntenant = []",
            [
                "[[smsc]]: must have 1 or more entries, not []",
                "[[tenant]]: must have 1 or more entries, not []",
            ],
        ),
        (
            "[smsc]\n[tenant]",
            [
                "[[smsc]]: must be written with two brackets: [[smsc]]",
                "[[tenant]]: must be written with two brackets: [[tenant]]",
            ],
        ),
        (
            "smsc = [1]\ntenant = ['x']",
            ["[[smsc]] 1: must be a table, not 1", "[[tenant]] 1: must be a table, not 'x'"],
        ),
    ],
)
def test_accounts_and_tenants_must_be_there(text: str, said: list[str], file: File) -> None:
    assert file.problems(text) == said


def test_names_that_are_given_twice_are_told_for_each_kind(file: File) -> None:
    account, tenant = MINIMAL.split("[[tenant]]")
    text = account * 3 + f"[[tenant]]{tenant}" * 2
    assert file.problems(text) == [
        "[[smsc]] name: 'operator' is given twice; each needs its own",
        "[[tenant]] name: 'saint-martin' is given twice; each needs its own",
    ]


def test_a_class_that_no_account_takes_is_a_mistake(file: File) -> None:
    assert file.problems(smsc('classes = ["alert"]')) == [
        "[[smsc]] classes: no account takes the class 'service'",
        "[[smsc]] classes: no account takes the class 'promotional'",
    ]


@pytest.mark.parametrize(("key", "value"), [("alphabet", "latin1"), ("long_text", "payload")])
def test_accounts_that_share_a_class_must_count_segments_alike(
    key: str, value: str, file: File
) -> None:
    line = f'{key} = "{value}"'
    other = MINIMAL.split("[[tenant]]")[0].replace('"operator"', '"other"')
    problems = file.problems(smsc(line) + other + 'classes = ["alert"]\n')
    assert problems == [
        f"[[smsc]] {key}: of the accounts that take the class 'alert' all or none must have "
        f'"{value}"'
    ]
    both = smsc(line) + other + f'classes = ["alert"]\n{line}\n'
    assert len(file.load(both).smsc) == 2
    apart = smsc(f'{line}\nclasses = ["service", "promotional"]') + other + 'classes = ["alert"]\n'
    assert len(file.load(apart).smsc) == 2


# Files that are none


def test_what_is_not_toml_is_told_with_its_line(file: File) -> None:
    assert file.problem("[gateway]\nregion = FR\n").startswith("it is not TOML: ")
    assert "line 2" in file.problem("[gateway]\nregion = FR\n")


@pytest.mark.parametrize("text", [f"a = {'9' * 5000}", "a = " + "[" * 5000, "a = " + "{a=" * 5000])
def test_toml_beyond_all_measure_is_refused_in_a_sentence(text: str, file: File) -> None:
    assert file.problem(text).startswith("it is not TOML")


def test_what_is_not_utf_8_is_told_with_its_place(file: File) -> None:
    file.path.write_bytes(b'[gateway]\n# \xe9t\xe9\nregion = "FR"\n')
    with pytest.raises(ConfigError) as raised:
        load(file.path, {})
    assert raised.value.problems == ("octet 12 is not UTF-8: save the file as UTF-8",)


def test_a_file_that_is_missing_says_how_to_name_one(file: File) -> None:
    with pytest.raises(ConfigError) as raised:
        load(file.path, {})
    assert raised.value.problems == (
        "there is no such file: name one with --config FILE or $SMPPGW_CONFIG",
    )
    assert raised.value.exit_status == 2


def test_a_file_that_cannot_be_read_says_why(file: File) -> None:
    file.path.mkdir()
    for path, reason in ((file.path, "Is a directory"), (Path("/dev/null/x"), "Not a directory")):
        with pytest.raises(ConfigError) as raised:
            load(path, {})
        assert raised.value.problems == (f"it cannot be read ({reason}): check its owner and mode",)


# Any mistake at all

scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["", "auto", "1s", "0s", "\0", "[class]", "{x}", "08:00", "+33", "alert"]),
    st.dates(),
    st.times(),
    st.datetimes(),
)
values: st.SearchStrategy[object] = st.recursive(
    scalars | st.sampled_from([[], {}]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["password", "name", "default", "+33", "bool", "Tls"]), inner
        )
    ),
    max_leaves=5,
)


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place of a document that holds a value, tables and lists too."""
    if path:
        yield path
    entries: Any = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    for key, inner in entries:
        yield from places(inner, (*path, key))


BROAD = EXAMPLE.replace("tls = false", 'tls = { ca_file = "a", minimum = "1.2" }').replace(
    "price = 0.038", 'price = { default = 0.038, "+262" = 0.06 }'
)
PLACES = list(places(tomllib.loads(BROAD)))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    wrong=st.lists(
        st.tuples(st.sampled_from(PLACES), values, st.booleans()), min_size=1, max_size=3
    )
)
def test_any_value_in_any_place_gives_a_configuration_or_sentences_without_the_password(
    wrong: list[tuple[tuple[str | int, ...], object, bool]], file: File
) -> None:
    document: Any = tomllib.loads(BROAD)
    for path, value, as_new_key in wrong:
        into = document
        key: Any
        for key in path[:-1]:
            into = into[key] if isinstance(into, dict | list) and has(into, key) else {}
        key = path[-1]
        if isinstance(into, dict):
            into[f"{key}x" if as_new_key else str(key)] = value
        elif has(into, key):
            into[key] = value
    file.path.write_text(toml(document), "utf-8")
    problems: tuple[str, ...] = ()
    try:
        config = load(file.path, {})
        told = repr(config) + str(config)
    except ConfigError as error:
        problems = error.problems
        told = str(error) + repr(error)
    assert len(set(problems)) == len(problems)
    assert all(problem and problem == problem.strip() for problem in problems)
    assert SECRET not in told
    assert "pydantic" not in told
    assert "Input should" not in told


def has(container: Any, key: object) -> bool:
    if isinstance(container, list):
        return isinstance(key, int) and key < len(container)
    return isinstance(container, dict) and key in container


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(octets=st.binary(max_size=200))
def test_any_octets_at_all_give_sentences(octets: bytes, file: File) -> None:
    file.path.write_bytes(octets)
    with pytest.raises(ConfigError):
        load(file.path, {})


def test_models_that_are_made_in_code_hide_what_they_refuse() -> None:
    with pytest.raises(ValueError, match="password") as raised:
        Smsc.model_validate({"name": "x", "host": "h", "system_id": "s", "password": [SECRET]})
    assert SECRET not in str(raised.value)


def test_sections_made_in_code_have_the_defaults_of_the_file() -> None:
    assert MetricsSection().port == 9108
    assert Tenant(name="x", sender="X").rewrite is None
    assert Classes()["promotional"].days == ("mon", "tue", "wed", "thu", "fri", "sat")
    assert Retention().text_s == 30 * 86400


def test_an_account_of_before_a_reload_may_name_a_profile_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    night = '[profile.nuit]\nhours = ["20:00", "22:00"]\n'
    account = '[[smsc]]\nname = "a"\nhost = "127.0.0.1"\nsystem_id = "s"\npassword = "secret08"\n'
    tenant = '[[tenant]]\nname = "t"\nsender = "TTT"\n'
    path.write_text(f'{account}profiles = {{ promotional = ["nuit"] }}\n{tenant}{night}', "utf-8")
    before = load(path).smsc[0]
    path.write_text(account + tenant, "utf-8")
    assert len(load(path).hours_on("promotional", date(2026, 11, 24), before)) == 1
