"""config.toml → frozen models: the only reader of TOML and of the environment.

All mistakes are told at once, in the order of the file, each with its place, what was given and
what is allowed; an unknown key names the nearest known one. The models are the one table of keys,
defaults and ranges. Keys keep their names from the file; where a key is a duration its attribute is
seconds and says so.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from smppgw.errors import ConfigError

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
JobClass = Literal["alert", "service", "promotional"]
CLASSES: tuple[JobClass, ...] = ("alert", "service", "promotional")
Rewrite = Literal["keep", "gentle", "full"]

_UNITS_S = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
    "y": 31_536_000.0,
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w|y)")


def parse_duration(text: str) -> float:
    """Read a duration such as "500ms", "30s", "15m", "6h", "2d", "4w" or "5y".

    Returns:
        Seconds; a year has 365 days.

    Raises:
        ValueError: it is none; the message says what is allowed.
    """
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError('a duration is a number and a unit: "500ms", "30s", "15m", "6h", "2d"')
    return float(match[1]) * _UNITS_S[match[2]]


def _seconds(value: object) -> float:
    try:
        return parse_duration(value)  # type: ignore[arg-type]  # what is no text is refused too
    except ValueError as error:
        raise PydanticCustomError("duration", "{allowed}", {"allowed": str(error)}) from None


def _refuse(allowed: str) -> PydanticCustomError:
    """Make a mistake whose message says what is allowed."""
    return PydanticCustomError("refused", "{allowed}", {"allowed": allowed})


Seconds = Annotated[float, BeforeValidator(_seconds)]
Octets = Annotated[str, Field(pattern=r"^[\x20-\x7e]*$")]


class Section(BaseModel):
    """A table of the file: frozen, strict, and with no other keys than these."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class GatewaySection(Section):
    """[gateway]: the ledger's file and the conventions of the country."""

    database: Path = Field(default=Path("smppgw.db"), strict=False)
    region: str = Field(default="FR", pattern=r"^[A-Z]{2}$")
    timezone: str = "Europe/Paris"
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise _refuse('a time zone such as "Europe/Paris" or "Indian/Reunion"') from None
        return value


class MetricsSection(Section):
    """[metrics]: where /metrics, /healthz and /readyz are; an empty `listen` turns them off."""

    listen: str = "127.0.0.1:9108"

    @field_validator("listen")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]\s]+):\d{1,5}", value):
            raise _refuse('host:port, such as "127.0.0.1:9108" or "[::1]:9108", or "" for none')
        if value and int(value.rpartition(":")[2]) > 65535:
            raise _refuse("a port from 0 to 65535")
        return value

    @property
    def host(self) -> str | None:
        """The address to listen on; None where there is no endpoint."""
        return self.listen.rpartition(":")[0].strip("[]") if self.listen else None

    @property
    def port(self) -> int:
        """The port to listen on; 0 takes a free one."""
        return int(self.listen.rpartition(":")[2]) if self.listen else 0


class Tls(Section):
    """tls = { … }: how an account's connection is encrypted; the certificate is always verified."""

    ca_file: Path | None = Field(default=None, strict=False)
    cert_file: Path | None = Field(default=None, strict=False)
    key_file: Path | None = Field(default=None, strict=False)
    server_name: str | None = None
    minimum: Literal["1.2", "1.3"] = "1.2"


Ton = Literal["auto", 0, 1, 2, 3, 4, 5, 6]
Npi = Literal["auto", 0, 1, 3, 4, 6, 8, 9, 10, 14, 18]  # SMPP 3.4 issue 1.2, 5.2.6


StatusMeaning = Literal["slow-down", "try-later", "refused", "stop-link"]


class Smsc(Section):
    """[[smsc]]: one operator account."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    host: str = Field(min_length=1)
    port: int = Field(default=2775, ge=1, le=65535)
    system_id: Octets = Field(min_length=1, max_length=15)
    password: SecretStr = SecretStr("")
    password_file: Path | None = Field(default=None, strict=False)
    password_env: str | None = None
    system_type: Octets = Field(default="", max_length=12)
    tls: bool | Tls = False
    mode: Literal["transceiver", "transmitter+receiver"] = "transceiver"
    binds: int = Field(default=1, ge=1, le=64)
    window: int = Field(default=10, ge=1, le=10_000)
    throughput: int = Field(default=20, ge=1, le=1_000_000)
    enquire_link_s: Seconds = Field(default=30.0, alias="enquire_link", gt=0)
    response_timeout_s: Seconds = Field(default=30.0, alias="response_timeout", gt=0)
    reconnect_s: tuple[Seconds, Seconds] = Field(
        default=(1.0, 60.0), alias="reconnect", strict=False
    )
    message_id: Literal["auto", "text", "decimal", "hex", "hex-then-decimal"] = "auto"
    receipts: Literal["every", "first", "last", "none"] = "every"
    long_text: Literal["udh", "sar", "payload"] = "udh"
    alphabet: Literal["gsm7", "gsm7-packed", "latin1"] = "gsm7"
    classes: tuple[JobClass, ...] = Field(default=CLASSES, min_length=1, strict=False)
    prefixes: tuple[Annotated[str, Field(pattern=r"^\+[1-9][0-9]*$")], ...] = Field(
        default=(), strict=False
    )
    price: Decimal | dict[str, Decimal] | None = None
    validity_period: bool = True
    receipts_as_texts: bool = False
    statuses: dict[str, StatusMeaning] = Field(default_factory=dict)
    source_ton: Ton = "auto"
    source_npi: Npi = "auto"
    dest_ton: Ton = "auto"
    dest_npi: Npi = "auto"

    @field_validator("password")
    @classmethod
    def _password(cls, value: SecretStr) -> SecretStr:
        secret = value.get_secret_value()
        if len(secret) > 64 or not secret.isascii() or not secret.isprintable():
            raise _refuse("1 to 64 ASCII characters")
        return value

    @field_validator("statuses")
    @classmethod
    def _statuses(cls, value: dict[str, StatusMeaning]) -> dict[str, StatusMeaning]:
        if any(not re.fullmatch(r"0x[0-9A-Fa-f]{1,8}", code) for code in value):
            raise _refuse('codes in hexadecimal and what they mean: { "0x0401" = "try-later" }')
        return value

    @field_validator("price", mode="before")
    @classmethod
    def _price(cls, value: Any) -> Any:
        """Keep the digits of the file: 0.038 is not a binary fraction."""
        table = value if isinstance(value, dict) else {"default": value}
        for prefix, price in table.items():
            if prefix != "default" and not re.fullmatch(r"\+[1-9][0-9]*", prefix):
                raise _refuse('a price, or a table of prices by prefix: "+262", and default')
            if isinstance(price, bool) or not isinstance(price, int | float | Decimal) or price < 0:
                raise _refuse("a price of one segment, 0 or more")
        exact = {prefix: Decimal(str(price)) for prefix, price in table.items()}
        return exact if isinstance(value, dict) else exact["default"]

    @field_validator("reconnect_s")
    @classmethod
    def _rising(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise _refuse('the first and the longest delay: ["1s", "60s"]')
        return value

    @property
    def tls_settings(self) -> Tls | None:
        """How the connection is encrypted; None for plain TCP."""
        if isinstance(self.tls, Tls):
            return self.tls
        return Tls() if self.tls else None

    def price_for(self, recipient: str) -> Decimal | None:
        """Return the price of one segment to a number (E.164); the longest prefix decides."""
        if not isinstance(self.price, dict):
            return self.price
        prefixes = [prefix for prefix in self.price if recipient.startswith(prefix)]
        return self.price.get(max(prefixes, key=len, default="default"))


class Tenant(Section):
    """[[tenant]]: whoever jobs are sent for."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    sender: str
    segments_a_month: int | None = Field(default=None, ge=0)
    rewrite: Rewrite | None = None

    @field_validator("sender")
    @classmethod
    def _sender(cls, value: str) -> str:
        named = re.fullmatch(r"(?=.*[A-Za-z])[A-Za-z0-9]{1,11}", value)
        if not (named or re.fullmatch(r"3[68]\d{3}|\+[1-9]\d{6,14}", value)):
            raise _refuse(
                "a name of 1 to 11 letters and digits, a short code 36xxx or 38xxx, "
                "or a number that begins with +"
            )
        return value


class ClassRules(Section):
    """[class.NAME]: what messages of a class must respect."""

    hours: tuple[time, time] | None = None
    days: tuple[Day, ...] = Field(default=DAYS, min_length=1, strict=False)
    holidays: bool = True
    unknown: Literal["hold", "resend"] = "hold"
    expires_s: Seconds = Field(default=172_800.0, alias="expires", gt=0)
    attempts: int = Field(default=5, ge=1, le=100)

    @field_validator("hours", mode="before")
    @classmethod
    def _hours(cls, value: Any) -> Any:
        allowed = 'opening and closing: ["08:00", "20:00"]'
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise _refuse(allowed)
        try:
            opening, closing = (time.fromisoformat(one) for one in value)
        except (TypeError, ValueError):
            raise _refuse(allowed) from None
        if opening >= closing:
            raise _refuse("a closing time after the opening time")
        return opening, closing


class AlertRules(ClassRules):
    """[class.alert]: better twice than never."""

    unknown: Literal["hold", "resend"] = "resend"
    expires_s: Seconds = Field(default=86_400.0, alias="expires", gt=0)


class PromotionalRules(ClassRules):
    """[class.promotional]: the strictest hours that French routers ask for."""

    hours: tuple[time, time] | None = (time(8), time(20))
    days: tuple[Day, ...] = Field(
        default=("mon", "tue", "wed", "thu", "fri", "sat"), min_length=1, strict=False
    )
    holidays: bool = False


class Classes(Section):
    """[class]: the rules of the three classes."""

    alert: AlertRules = AlertRules()
    service: ClassRules = ClassRules()
    promotional: PromotionalRules = PromotionalRules()

    def __getitem__(self, name: str) -> ClassRules:
        rules: ClassRules = getattr(self, name)
        return rules


class Retention(Section):
    """[retention]: how long things are kept."""

    text_s: Seconds = Field(default=2_592_000.0, alias="text", gt=0)
    number_s: Seconds = Field(default=15_552_000.0, alias="number", gt=0)
    audit_s: Seconds = Field(default=157_680_000.0, alias="audit", gt=0)


class Config(Section):
    """The whole file."""

    gateway: GatewaySection = GatewaySection()
    metrics: MetricsSection = MetricsSection()
    smsc: tuple[Smsc, ...] = Field(min_length=1, strict=False)
    tenant: tuple[Tenant, ...] = Field(min_length=1, strict=False)
    classes: Classes = Field(default=Classes(), alias="class")
    retention: Retention = Retention()
    source: Path = Field(default=Path("config.toml"), exclude=True)

    @model_validator(mode="after")
    def _together(self) -> Self:
        """Check what no table can know by itself."""
        for tables, kind in ((self.smsc, "smsc"), (self.tenant, "tenant")):
            names = [table.name for table in tables]
            double = sorted({name for name in names if names.count(name) > 1})
            if double:
                raise _refuse(f"[[{kind}]] name: {double[0]!r} is given twice; each needs its own")
        for job_class in CLASSES:
            takers = [smsc for smsc in self.smsc if job_class in smsc.classes]
            if not takers:
                raise _refuse(f"[[smsc]] classes: no account takes the class {job_class!r}")
            # The number of segments is counted once, at submission.
            if len({smsc.alphabet == "latin1" for smsc in takers}) > 1:
                raise _refuse(
                    f"[[smsc]] alphabet: of the accounts that take the class {job_class!r} all or "
                    'none must have "latin1"'
                )
            if len({smsc.long_text == "payload" for smsc in takers}) > 1:
                raise _refuse(
                    f"[[smsc]] long_text: of the accounts that take the class {job_class!r} all or "
                    'none must have "payload"'
                )
        return self

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The prefixes of numbers by which some account is chosen."""
        return tuple(sorted({prefix for smsc in self.smsc for prefix in smsc.prefixes}))

    def rewrite_for(self, tenant: Tenant, job_class: str) -> str:
        """Return how far a text may be changed: the tenant's say, else full for alerts."""
        return tenant.rewrite or ("full" if job_class == "alert" else "gentle")


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Read the configuration.

    Args:
        path: the file; else $SMPPGW_CONFIG, else ./config.toml.
        environ: the environment; else the process's own.

    Raises:
        ConfigError: it cannot be used, with every reason why.
    """
    environ = os.environ if environ is None else environ
    path = path or Path(environ.get("SMPPGW_CONFIG") or "config.toml")
    document = _read(path)
    problems = _resolve(document, path.absolute().parent, environ)
    try:
        config = Config.model_validate({**document, "source": path})
    except ValidationError as error:
        problems += [_explain(one, document) for one in error.errors()]
    if problems:
        raise ConfigError(str(path), problems)
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        problem = "there is no such file: name one with --config FILE or $SMPPGW_CONFIG"
    except OSError as error:
        problem = f"it cannot be read ({error.strerror}): check its owner and mode"
    except UnicodeDecodeError as error:
        problem = f"octet {error.start} is not UTF-8: save the file as UTF-8"
    except tomllib.TOMLDecodeError as error:
        problem = f"it is not TOML: {error}"
    raise ConfigError(str(path), [problem])


def _resolve(document: dict[str, Any], folder: Path, environ: Mapping[str, str]) -> list[str]:
    """Put paths beside the file and secrets in their place; returns what is wrong with the secrets.

    What has the wrong type is left for the models to refuse.
    """
    problems = []
    gateway = document.setdefault("gateway", {})
    if isinstance(gateway, dict):
        database = gateway.setdefault("database", "smppgw.db")
        if isinstance(database, str):
            gateway["database"] = str(folder / database)
    accounts = document.get("smsc")
    for number, smsc in enumerate(accounts if isinstance(accounts, list) else [], 1):
        if not isinstance(smsc, dict):
            continue
        for table, keys in ((smsc, ("password_file",)), (smsc.get("tls"), _TLS_FILES)):
            for key in keys:
                if isinstance(table, dict) and isinstance(table.get(key), str):
                    table[key] = str(folder / table[key])
        problem = _find_password(smsc, environ)
        if problem:
            problems.append(f"{_table_name('smsc', number - 1, document)} {problem}")
    return problems


_TLS_FILES = ("ca_file", "cert_file", "key_file")
_PASSWORDS = ("password", "password_file", "password_env")


def _find_password(smsc: dict[str, Any], environ: Mapping[str, str]) -> str | None:
    """Put an account's password in its place; returns what is wrong with it."""
    given = [key for key in _PASSWORDS if key in smsc]
    if len(given) != 1:
        return f"password: give exactly one of {', '.join(_PASSWORDS)}"
    key, value = given[0], smsc[given[0]]
    if not isinstance(value, str):
        return f"{key}: must be text" if key == "password" else None
    if key == "password":
        secret, hint = value, "password: it is empty"
    elif key == "password_env":
        secret, hint = environ.get(value, ""), f"password_env: ${value} is not set, or empty"
    else:
        hint = f"password_file: {value} is empty"
        try:
            secret = Path(value).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            secret, hint = "", f"password_file: {value} cannot be read"
    if not secret:
        return hint
    smsc["password"] = SecretStr(secret)
    return None


# pydantic's error types → what is allowed, in plain words; its own context fills the braces.
_ALLOWED = {
    "missing": "must be given",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "literal_error": "must be one of {expected}",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "string_too_short": "must have {min_length} characters or more",
    "string_too_long": "must have {max_length} characters or fewer",
    "too_short": "must have {min_length} or more entries",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "path_type": "must be a path",
}
_PATTERNS = {
    "name": "must be small letters, digits and dashes",
    "region": 'must be a country in two capitals, such as "FR"',
    "currency": 'must be a currency in three capitals, such as "EUR"',
    "system_id": "must be printable ASCII",
    "system_type": "must be printable ASCII",
    "prefixes": 'must be prefixes such as "+262"',
}


def _explain(error: ErrorDetails, document: dict[str, Any]) -> str:
    """Say one mistake: its place, what was given, what is allowed."""
    place, key, section = _place(error["loc"], document)
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{place}: unknown key; {_nearest(key, section)}"
    if kind == "string_pattern_mismatch":
        allowed = _PATTERNS.get(key, "must look different")
    elif kind in ("refused", "duration"):
        allowed = f"must be {error['msg']}" if place else error["msg"]
    else:
        allowed = _ALLOWED.get(kind, error["msg"]).format(**context)
    given = error["input"]
    shown = kind != "missing" and key != "password" and not isinstance(given, dict | BaseModel)
    return f"{place}: {allowed}{f', not {_show(given)}' if shown else ''}" if place else allowed


def _show(given: object) -> str:
    if isinstance(given, bool):
        return str(given).lower()
    return repr(given)


def _place(
    location: tuple[int | str, ...], document: dict[str, Any]
) -> tuple[str, str, type[Section] | None]:
    """Say where a mistake is: the words of the file, its key, and the model it belongs to."""
    words: list[str] = []
    key = ""
    section: type[Section] | None = Config
    at, path = 0, [part for part in location if part not in ("Tls", "bool")]
    if len(path) >= 2 and path[0] in ("smsc", "tenant") and isinstance(path[1], int):
        words.append(_table_name(str(path[0]), path[1], document))
        section = Smsc if path[0] == "smsc" else Tenant
        at = 2
    elif path and path[0] == "class":
        words.append(f"[class.{path[1]}]" if len(path) > 1 else "[class]")
        section, at = (ClassRules, 2) if len(path) > 2 else (Classes, len(path))
        key = str(path[1]) if len(path) == 2 else ""
    elif path and path[0] in _SECTIONS:
        words.append(f"[{path[0]}]")
        section, at = _SECTIONS[str(path[0])], 1
    for part in path[at:]:
        if isinstance(part, int):
            words.append(f"entry {part + 1}")
        else:
            if key == "tls":
                section = Tls
            key = part
            words.append(part)
    return " ".join(words), key, section


_SECTIONS: dict[str, type[Section]] = {
    "gateway": GatewaySection,
    "metrics": MetricsSection,
    "retention": Retention,
}


def _table_name(kind: str, number: int, document: dict[str, Any]) -> str:
    """Name one of several tables by its name, or by its number where it has none."""
    table = document[kind][number]
    name = table.get("name") if isinstance(table, dict) else None
    return f'[[{kind}]] "{name}"' if isinstance(name, str) else f"[[{kind}]] {number + 1}"


def _nearest(key: str, section: type[Section] | None) -> str:
    if section is None:
        return "it is not known here"
    known = [
        field.alias or name for name, field in section.model_fields.items() if name != "source"
    ]
    near = difflib.get_close_matches(key, known, 1, 0.6)
    return f"did you mean {near[0]!r}?" if near else f"known here are {', '.join(known)}"
