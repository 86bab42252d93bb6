"""config.toml → frozen models: the only reader of TOML and of the environment.

All mistakes are told at once, in the order of the file, each with its place, what was given and
what is allowed; an unknown key names the nearest known one. No message holds a password. The models
are the one table of keys, defaults and ranges. Keys keep their names from the file; where a key is
a duration its attribute is seconds and says so.
"""

import difflib
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeGuard
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    SecretStr,
    Tag,
    ValidationError,
    field_validator,
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
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d|w|y)")
_LONGEST_Y = 100.0  # and so no time that comes of it is too far for a database or a clock


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
    seconds = float(match[1]) * _UNITS_S[match[2]]
    if seconds > _LONGEST_Y * _UNITS_S["y"]:
        raise ValueError(f"a duration is {_LONGEST_Y:g} years at most")
    return seconds


def _seconds(value: object) -> float:
    try:
        return parse_duration(value)  # type: ignore[arg-type]  # what is no text is refused too
    except ValueError as error:
        raise PydanticCustomError("duration", "{allowed}", {"allowed": str(error)}) from None


def _refuse(allowed: str) -> PydanticCustomError:
    """Make a mistake whose message says what is allowed."""
    return PydanticCustomError("refused", "{allowed}", {"allowed": allowed})


def _is_path(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value != "" and "\0" not in value


def _path(value: Any) -> Path:
    if not (isinstance(value, Path) or _is_path(value)):
        raise _refuse("a path")
    return Path(value)


def _host(value: str) -> str:
    try:
        value.encode("idna")
    except UnicodeError:
        raise _refuse("a host name or an IP address") from None
    if not re.fullmatch(r"[^\s\x00-\x20]+", value):
        raise _refuse("a host name or an IP address")
    return value


def _number_or_auto(value: object) -> object:
    if type(value) not in (int, str):  # true is 1 in Python, and not in TOML
        raise _refuse('"auto" or a whole number')
    return value


Seconds = Annotated[float, BeforeValidator(_seconds)]
FilePath = Annotated[Path, BeforeValidator(_path)]
Octets = Annotated[str, Field(pattern=r"^[\x20-\x7e]*$")]


class Section(BaseModel):
    """A table of the file: frozen, strict, and with no other keys than these."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class GatewaySection(Section):
    """[gateway]: the ledger's file and the conventions of the country."""

    database: FilePath = Path("smppgw.db")
    region: str = Field(default="FR", pattern=r"^[A-Z]{2}$")
    timezone: str = "Europe/Paris"
    alsace_moselle: bool = False  # its two holidays more are kept
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
        if not value:
            return value
        if not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]\s]+):[0-9]{1,5}", value):
            raise _refuse('host:port, such as "127.0.0.1:9108" or "[::1]:9108", or "" for none')
        host, _, port = value.rpartition(":")
        if int(port) > 65535:
            raise _refuse("a port from 0 to 65535")
        _host(host.strip("[]"))
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

    ca_file: FilePath | None = None
    cert_file: FilePath | None = None
    key_file: FilePath | None = None
    server_name: str | None = None
    minimum: Literal["1.2", "1.3"] = "1.2"


def _tls_kind(value: object) -> str:
    return "table" if isinstance(value, dict | Tls) else "flag"


TlsChoice = Annotated[
    Annotated[bool, Tag("flag")] | Annotated[Tls, Tag("table")], Discriminator(_tls_kind)
]
# SMPP 3.4 issue 1.2, 5.2.5 and 5.2.6
Ton = Annotated[Literal["auto", 0, 1, 2, 3, 4, 5, 6], BeforeValidator(_number_or_auto)]
Npi = Annotated[Literal["auto", 0, 1, 3, 4, 6, 8, 9, 10, 14, 18], BeforeValidator(_number_or_auto)]


StatusMeaning = Literal["slow-down", "try-later", "refused", "stop-link"]


_RECONNECT = 'the first and the longest delay: ["1s", "60s"]'
_PRICE_LIMIT = 1_000_000
_DATED_PRICES = (
    "a price, a table of prices by prefix, or a list of such tables with the day each begins: "
    "[{ default = 0.038 }, { from = 2027-01-01, default = 0.041 }]"
)


class Smsc(Section):
    """[[smsc]]: one operator account."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    host: Annotated[str, AfterValidator(_host)]
    port: int = Field(default=2775, ge=1, le=65535)
    system_id: Octets = Field(min_length=1, max_length=15)
    password: SecretStr = SecretStr("")
    password_file: FilePath | None = None
    password_env: str | None = None
    system_type: Octets = Field(default="", max_length=12)
    tls: TlsChoice = False
    mode: Literal["transceiver", "transmitter+receiver"] = "transceiver"
    binds: int = Field(default=1, ge=1, le=64)
    window: int = Field(default=10, ge=1, le=10_000)
    throughput: int = Field(default=20, ge=1, le=1_000_000)
    enquire_link_s: Seconds = Field(default=30.0, alias="enquire_link", gt=0)
    response_timeout_s: Seconds = Field(default=30.0, alias="response_timeout", gt=0)
    reconnect_s: tuple[Seconds, Seconds] = Field(default=(1.0, 60.0), alias="reconnect")
    message_id: Literal["auto", "text", "decimal", "hex", "hex-then-decimal"] = "auto"
    receipts: Literal["every", "first", "last", "none"] = "every"
    long_text: Literal["udh", "sar", "payload"] = "udh"
    alphabet: Literal["gsm7", "gsm7-packed", "latin1"] = "gsm7"
    classes: tuple[JobClass, ...] = Field(default=CLASSES, min_length=1, strict=False)
    prefixes: tuple[Annotated[str, Field(pattern=r"^\+[1-9][0-9]*$")], ...] = Field(
        default=(), strict=False
    )
    price: Decimal | dict[str, Decimal] | tuple[tuple[date, dict[str, Decimal]], ...] | None = None
    senders: Literal["any", "approved"] = "any"
    validity_period: bool = True
    receipts_as_texts: bool = False
    optout_errors: tuple[Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,8}$")], ...] = Field(
        default=(), strict=False
    )
    optout_statuses: tuple[Annotated[str, Field(pattern=r"^0x[0-9A-Fa-f]{1,8}$")], ...] = Field(
        default=(), strict=False
    )
    profiles: dict[
        Literal["service", "promotional"], Annotated[tuple[str, ...], Field(strict=False)]
    ] = Field(default_factory=dict)
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
        if isinstance(value, list | tuple):
            return _dated_prices(value)
        if isinstance(value, dict):
            return _exact_prices(value)
        return _exact_prices({"default": value})["default"]

    @field_validator("reconnect_s", mode="before")
    @classmethod
    def _two(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise _refuse(_RECONNECT)
        return tuple(value)

    @field_validator("reconnect_s")
    @classmethod
    def _rising(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise _refuse(_RECONNECT)
        return value

    @property
    def bind_kinds(self) -> tuple[str, ...]:
        """The kind of each bind: one or, as transmitter and receiver, two for each session."""
        kinds = {
            "transceiver": ("transceiver",),
            "transmitter+receiver": ("transmitter", "receiver"),
        }
        return kinds[self.mode] * self.binds

    @property
    def tls_settings(self) -> Tls | None:
        """How the connection is encrypted; None for plain TCP."""
        if isinstance(self.tls, Tls):
            return self.tls
        return Tls() if self.tls else None

    def prices_on(self, day: date) -> dict[str, Decimal]:
        """Return the prices of one segment on a day, by prefix and `default`; empty if none."""
        if isinstance(self.price, tuple):
            begun = [prices for start, prices in self.price if start <= day]
            return begun[-1] if begun else {}
        if isinstance(self.price, dict):
            return self.price
        return {} if self.price is None else {"default": self.price}

    def price_for(self, recipient: str, day: date = date.max) -> Decimal | None:
        """Return the price of one segment to a number (E.164); the longest prefix decides.

        Args:
            recipient: the number.
            day: when it is sent; without one, the prices announced last.
        """
        prices = self.prices_on(day)
        return prices.get(prefix_of(recipient, prices))


def prefix_of(recipient: str, prefixes: Iterable[str]) -> str:
    """Return the longest of these that a number (E.164) begins with, else `default`."""
    return max(filter(recipient.startswith, prefixes), key=len, default="default")


def _exact_prices(table: Mapping[Any, Any]) -> dict[str, Decimal]:
    for prefix, price in table.items():
        if prefix != "default" and not re.fullmatch(r"\+[1-9][0-9]*", str(prefix)):
            raise _refuse('a price, or a table of prices by prefix: "+262", and default')
        if type(price) not in (int, float, Decimal) or not 0 <= price < _PRICE_LIMIT:
            which = "" if list(table) == ["default"] else f" to {prefix}"
            raise _refuse(f"a price of one segment{which}, 0 or more")
    return {prefix: Decimal(str(price)) for prefix, price in table.items()}


def _dated_prices(entries: Sequence[Any]) -> tuple[tuple[date, dict[str, Decimal]], ...]:
    """Read prices that change: each entry holds from its day until the next one's."""
    dated = []
    for entry in entries:
        if isinstance(entry, tuple):  # read already
            entry = {"from": entry[0], **entry[1]}
        if not isinstance(entry, dict) or type(entry.get("from", date.min)) is not date:
            raise _refuse(_DATED_PRICES)
        prices = {key: price for key, price in entry.items() if key != "from"}
        dated.append((entry.get("from", date.min), _exact_prices(prices)))
    dated.sort(key=lambda entry: entry[0])
    if not dated or any(not prices for _, prices in dated):
        raise _refuse(_DATED_PRICES)
    if len({start for start, _ in dated}) < len(dated):
        raise _refuse("prices that do not begin on the same day")
    return tuple(dated)


def _day(value: object) -> object:
    if type(value) is not date:  # a datetime is a date too
        raise _refuse("a day, without quotation marks: 2027-01-31")
    return value


class Approval(Section):
    """approvals = { ACCOUNT = { … } }: what an operator has said to a tenant's sender."""

    state: Literal["requested", "approved", "refused"]
    until: Annotated[date, BeforeValidator(_day)] | None = None  # its last day; absent is no end

    def holds_on(self, day: date) -> bool:
        """Whether the sender may be used on a day."""
        return self.state == "approved" and (self.until is None or day <= self.until)


# What operators let phones show: a name, a short code of France, a long number. af2m.org,
# "Protection des OADC sensibles"; names of digits alone are refused there too.
_SENDER = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]{1,11}|3[68][0-9]{3}|\+[1-9][0-9]{6,14}")


def sender_fault(sender: str) -> str | None:
    """Say what a sender must be; None where it is good.

    The one rule for a tenant's `sender` and for what a command is given.
    """
    if _SENDER.fullmatch(sender):
        return None
    return (
        "a name of 1 to 11 letters and digits, a short code 36xxx or 38xxx, "
        "or a number that begins with +"
    )


class Tenant(Section):
    """[[tenant]]: whoever jobs are sent for."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    sender: str
    segments_a_month: int | None = Field(default=None, ge=0)
    rewrite: Rewrite | None = None
    approvals: dict[str, Approval] = Field(default_factory=dict)  # by account

    @field_validator("sender")
    @classmethod
    def _sender(cls, value: str) -> str:
        fault = sender_fault(value)
        if fault:
            raise _refuse(fault)
        return value


class OpenHours(Section):
    """When messages may leave: opening and closing, days of the week, whether on holidays too.

    Times are those of the recipient's zone.
    """

    hours: tuple[time, time] | None = None
    days: tuple[Day, ...] = Field(default=DAYS, min_length=1, strict=False)
    holidays: bool = True

    @field_validator("hours", mode="before")
    @classmethod
    def _hours(cls, value: Any) -> Any:
        allowed = 'opening and closing: ["08:00", "20:00"]'
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise _refuse(allowed)
        if not all(
            isinstance(one, str) and re.fullmatch("[0-9]{2}:[0-9]{2}", one) for one in value
        ):
            raise _refuse(allowed)
        try:
            opening, closing = (time.fromisoformat(one) for one in value)
        except ValueError:
            raise _refuse(allowed) from None
        if opening >= closing:
            raise _refuse("a closing time after the opening time")
        return opening, closing


class Profile(OpenHours):
    """[profile.NAME]: hours that a class or an account keeps to from a day on, or until one."""

    from_day: Annotated[date, BeforeValidator(_day)] | None = Field(default=None, alias="from")
    until: Annotated[date, BeforeValidator(_day)] | None = None  # its last day

    def holds_on(self, day: date) -> bool:
        """Whether it is valid on a day."""
        return (self.from_day or date.min) <= day <= (self.until or date.max)


_MON_TO_SAT: tuple[Day, ...] = DAYS[:6]
# The charters of AF2M (af2m.org, "Charte Business Messaging"): the first, and that of 2026, which
# tolerates Sundays and holidays but advises against them.
PROFILES = {
    "af2m-2024": Profile.model_validate(
        {
            "hours": ["08:00", "22:00"],
            "days": _MON_TO_SAT,
            "holidays": False,
            "from": date(2024, 9, 1),
            "until": date(2026, 2, 16),
        }
    ),
    "af2m-2026": Profile.model_validate(
        {
            "hours": ["08:00", "21:30"],
            "days": _MON_TO_SAT,
            "holidays": False,
            "from": date(2026, 2, 17),
        }
    ),
}


class ClassRules(OpenHours):
    """[class.NAME]: what messages of a class must respect.

    Of its `profiles` the first that is valid on a day decides on hours, days and holidays; where
    none is, its own do.
    """

    profiles: tuple[str, ...] = Field(default=(), strict=False)
    # Which opt-outs silence it: any of the tenant's, those of its purpose and "all", "all" alone.
    optouts: Literal["any", "purpose", "all"] = "purpose"
    users: tuple[str, ...] = Field(default=(), strict=False)  # who may send it; none named: all
    unknown: Literal["hold", "resend"] = "hold"
    expires_s: Seconds = Field(default=172_800.0, alias="expires", gt=0)
    attempts: int = Field(default=5, ge=1, le=100)


class AlertRules(ClassRules):
    """[class.alert]: at any hour, whatever hours are given, and better twice than never."""

    unknown: Literal["hold", "resend"] = "resend"
    expires_s: Seconds = Field(default=86_400.0, alias="expires", gt=0)


class PromotionalRules(ClassRules):
    """[class.promotional]: the strictest hours that French routers ask for."""

    hours: tuple[time, time] | None = (time(8), time(20))
    days: tuple[Day, ...] = Field(default=_MON_TO_SAT, min_length=1, strict=False)
    holidays: bool = False


class Classes(Section):
    """[class]: the rules of the three classes."""

    alert: AlertRules = AlertRules()
    service: ClassRules = ClassRules()
    promotional: PromotionalRules = PromotionalRules()

    def __getitem__(self, name: str) -> ClassRules:
        rules: ClassRules = getattr(self, name)
        return rules


class OptOuts(Section):
    """[optouts]: what is done when a phone asks for it."""

    # The text that answers STOP, of two segments or so; none is sent where it is empty.
    confirmation: str = Field(default="", max_length=300)


class Ready(Section):
    """[ready]: what must be so for an alert to be able to leave."""

    free_disk_mb: int = Field(default=500, ge=0)
    drill_every_s: Seconds | None = Field(default=None, alias="drill_every", gt=0)


class Retention(Section):
    """[retention]: how long things are kept.

    `key_file` holds the key of the hashes that stand in place of numbers; made where there is none.
    """

    text_s: Seconds = Field(default=2_592_000.0, alias="text", gt=0)
    number_s: Seconds = Field(default=15_552_000.0, alias="number", gt=0)
    audit_s: Seconds = Field(default=157_680_000.0, alias="audit", gt=0)
    key_file: FilePath = Path("smppgw.key")


class Config(Section):
    """The whole file."""

    gateway: GatewaySection = GatewaySection()
    metrics: MetricsSection = MetricsSection()
    smsc: tuple[Smsc, ...] = Field(min_length=1, strict=False)
    tenant: tuple[Tenant, ...] = Field(min_length=1, strict=False)
    classes: Classes = Field(default=Classes(), alias="class")
    profile: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")], Profile] = Field(
        default_factory=dict
    )
    optouts: OptOuts = OptOuts()
    ready: Ready = Ready()
    retention: Retention = Retention()
    _source: Path = PrivateAttr(default=Path("config.toml"))

    @property
    def source(self) -> Path:
        """The file that it was read from."""
        return self._source

    def hours_on(self, job_class: str, day: date, smsc: Smsc | None = None) -> list[OpenHours]:
        """Return the hours that a class keeps to on a day; all of them must be open.

        Args:
            job_class: the class; alerts keep to none.
            day: the day, where the recipient is.
            smsc: also what this account asks of the class.
        """
        if job_class == "alert":
            return []
        rules = self.classes[job_class]
        kept: list[OpenHours] = [self._valid(rules.profiles, day) or rules]
        asked = {} if smsc is None else smsc.profiles
        account = self._valid(
            (name for limited, names in asked.items() if limited == job_class for name in names),
            day,
        )
        return kept if account is None else [*kept, account]

    def _valid(self, names: Iterable[str], day: date) -> Profile | None:
        known = PROFILES | self.profile
        # An account that a reload took away goes on until the restart, with names of then.
        profiles = (known[name] for name in names if name in known)
        return next((profile for profile in profiles if profile.holds_on(day)), None)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The prefixes of numbers by which some account is chosen."""
        return tuple(sorted({prefix for smsc in self.smsc for prefix in smsc.prefixes}))

    def rewrite_for(self, tenant: Tenant, job_class: str) -> str:
        """Return how far a text may be changed: the tenant's say, else full for alerts."""
        return tenant.rewrite or ("full" if job_class == "alert" else "gentle")


def load(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    secrets: bool = True,
) -> Config:
    """Read the configuration.

    Args:
        path: the file; else $SMPPGW_CONFIG, else ./config.toml.
        environ: the environment; else the process's own.
        secrets: also find the passwords; who does not bind may do without those that stand
            elsewhere.

    Raises:
        ConfigError: it cannot be used, with every reason why.
    """
    environ = os.environ if environ is None else environ
    path = path or Path(environ.get("SMPPGW_CONFIG") or "config.toml")
    document = _read(path)
    problems = [
        *_resolve(document, path.absolute().parent, environ, secrets=secrets),
        *_contradictions(document),
    ]
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        problems += _explain_all(error, document)
    if problems:
        problems.sort(key=lambda problem: _position(problem.location, document))
        raise ConfigError(str(path), [problem.sentence for problem in problems])
    config._source = path
    return config


class _Problem(NamedTuple):
    """One mistake: the keys and list positions that lead to it, and what to tell."""

    location: tuple[int | str, ...]
    sentence: str


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        problem = "there is no such file: name one with --config FILE or $SMPPGW_CONFIG"
    except OSError as error:
        problem = f"it cannot be read ({error.strerror}): check its owner and mode"
    except UnicodeDecodeError as error:
        problem = f"octet {error.start} is not UTF-8: save the file as UTF-8"
    except tomllib.TOMLDecodeError as error:
        problem = f"it is not TOML: {error}"
    except (ValueError, RecursionError):  # of tomllib, which leaves Python's own limits to us
        problem = "it is not TOML of a sensible size: a number is too long, or too much is nested"
    raise ConfigError(str(path), [problem])


def _tables(document: dict[str, Any], kind: str) -> list[tuple[int, dict[str, Any]]]:
    """Return those of [[kind]] that are tables, with their positions in the list."""
    there = document.get(kind)
    tables = enumerate(there if isinstance(there, list) else [])
    return [(number, table) for number, table in tables if isinstance(table, dict)]


def _resolve(
    document: dict[str, Any], folder: Path, environ: Mapping[str, str], *, secrets: bool
) -> Iterator[_Problem]:
    """Put paths beside the file and secrets in their place; yields what is wrong with the secrets.

    What has the wrong type is left for the models to refuse, except a password: none but a secret
    gets as far as there.
    """
    gateway = document.setdefault("gateway", {})
    if isinstance(gateway, dict):
        gateway.setdefault("database", "smppgw.db")
        _put_beside(folder, gateway, ("database",))
    retention = document.setdefault("retention", {})
    if isinstance(retention, dict):
        retention.setdefault("key_file", "smppgw.key")
        _put_beside(folder, retention, ("key_file",))
    for number, smsc in _tables(document, "smsc"):
        _put_beside(folder, smsc, ("password_file",))
        if isinstance(smsc.get("tls"), dict):
            _put_beside(folder, smsc["tls"], _TLS_FILES)
        key, problem = _find_password(smsc, environ)
        if problem and (secrets or key == "password"):
            place = _table_name("smsc", number, document)
            yield _Problem(("smsc", number, key), f"{place} {key}: {problem}")


def _put_beside(folder: Path, table: dict[str, Any], keys: tuple[str, ...]) -> None:
    for key in keys:
        path = table.get(key)
        if _is_path(path):
            table[key] = str(folder / path)


_TLS_FILES = ("ca_file", "cert_file", "key_file")
_PASSWORDS = ("password", "password_file", "password_env")
_NO_PASSWORD = SecretStr("?")


def _find_password(smsc: dict[str, Any], environ: Mapping[str, str]) -> tuple[str, str | None]:
    """Put an account's password in its place.

    Returns:
        The key that gave it, and what is wrong with it.
    """
    given = [key for key in _PASSWORDS if key in smsc]
    key = given[0] if given else "password"
    value = smsc.get(key)
    smsc["password"] = _NO_PASSWORD
    if len(given) != 1:
        return "password", f"give exactly one of {', '.join(_PASSWORDS)}"
    if not isinstance(value, str) or (key == "password_file" and not _is_path(value)):
        return key, "must be text" if key == "password" else None
    if key == "password":
        secret, hint = value, "it is empty"
    elif key == "password_env":
        if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", value):  # it may be the password itself
            return key, "must be the name of an environment variable, in capitals"
        secret, hint = environ.get(value, ""), f"${value} is not set, or empty"
    else:
        hint = f"{value} is empty"
        try:
            secret = Path(value).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            secret, hint = "", f"{value} cannot be read"
    if secret:
        smsc["password"] = SecretStr(secret)
    return key, None if secret else hint


def _contradictions(document: dict[str, Any]) -> Iterator[_Problem]:
    """Find what no table can know by itself; the tables may have mistakes of their own."""
    for kind in ("smsc", "tenant"):
        names: Counter[str] = Counter()
        for number, table in _tables(document, kind):
            name = table.get("name")
            if isinstance(name, str):
                names[name] += 1
                if names[name] == 2:
                    yield _Problem(
                        (kind, number, "name"),
                        f"[[{kind}]] name: {name!r} is given twice; each needs its own",
                    )
    accounts = [table for _, table in _tables(document, "smsc")]
    known = {table["name"] for table in accounts if isinstance(table.get("name"), str)}
    for number, table in _tables(document, "tenant"):
        approvals = table.get("approvals")
        for name in approvals if isinstance(approvals, dict) else ():
            if known and name not in known:
                place = _table_name("tenant", number, document)
                yield _Problem(
                    ("tenant", number, "approvals", name),
                    f"{place} approvals: there is no [[smsc]] {name!r}; "
                    f"known are {', '.join(sorted(known))}",
                )
    yield from _unknown_profiles(document, accounts)
    for job_class in CLASSES:
        takers = [table for table in accounts if _takes(table, job_class)]
        if accounts and not takers:
            yield _Problem(("smsc",), f"[[smsc]] classes: no account takes the class {job_class!r}")
        for key, value in _COUNTED_ONCE:
            if len({table.get(key) == value for table in takers}) > 1:
                yield _Problem(
                    ("smsc",),
                    f"[[smsc]] {key}: of the accounts that take the class {job_class!r} all or "
                    f'none must have "{value}"',
                )


def _unknown_profiles(
    document: dict[str, Any], accounts: list[dict[str, Any]]
) -> Iterator[_Problem]:
    """Find names of hours that are nowhere."""
    own = document.get("profile")
    known = sorted(PROFILES) + (sorted(own) if isinstance(own, dict) else [])
    classes = document.get("class")
    asked: list[tuple[tuple[int | str, ...], str, object]] = [
        (("class", name, "profiles"), f"[class.{name}] profiles", rules.get("profiles"))
        for name, rules in (classes.items() if isinstance(classes, dict) else ())
        if isinstance(rules, dict)
    ]
    for number, table in enumerate(accounts):
        place = _table_name("smsc", number, document)
        profiles = table.get("profiles")
        asked += [
            (("smsc", number, "profiles", name), f"{place} profiles {name}", names)
            for name, names in (profiles.items() if isinstance(profiles, dict) else ())
        ]
    for location, place, names in asked:
        for name in names if isinstance(names, list) else ():
            if isinstance(name, str) and name not in known:
                yield _Problem(
                    location,
                    f"{place}: there is no [profile.{name}]; known are {', '.join(known)}",
                )


# What a text's number of segments follows from, and it is counted once, at submission.
_COUNTED_ONCE = (("alphabet", "latin1"), ("long_text", "payload"))


def _takes(smsc: dict[str, Any], job_class: str) -> bool:
    """Whether an account takes a class; one whose classes are a mistake may have meant to."""
    classes = smsc.get("classes", CLASSES)
    known = isinstance(classes, list) and classes and all(one in CLASSES for one in classes)
    return job_class in classes if known else True


def _position(location: tuple[int | str, ...], document: object) -> tuple[int, ...]:
    """Say where in the file a location is, to be compared; what is missing ends its table."""
    position = []
    for part in location:
        if isinstance(document, dict):
            keys = list(document)
            position.append(keys.index(part) if part in document else len(keys))
            document = document.get(part)
        elif isinstance(document, list) and isinstance(part, int):
            position.append(part)
            document = document[part] if part < len(document) else None
    return tuple(position)


# pydantic's error types → what is allowed, in plain words; its own context fills the braces.
_ALLOWED = {
    "duration": "{allowed}",
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
}
_PATTERNS = {
    "name": "must be small letters, digits and dashes",
    "region": 'must be a country in two capitals, such as "FR"',
    "currency": 'must be a currency in three capitals, such as "EUR"',
    "system_id": "must be printable ASCII",
    "system_type": "must be printable ASCII",
    "prefixes": 'must be prefixes such as "+262"',
    "optout_errors": 'must be codes of letters and digits, such as ["53"]',
    "optout_statuses": 'must be codes in hexadecimal, such as ["0x0401"]',
    "profile": "must be small letters, digits and dashes",
}


def _explain_all(errors: ValidationError, document: dict[str, Any]) -> Iterator[_Problem]:
    for error in errors.errors(include_url=False):
        location = tuple(
            part
            for part, before in zip(error["loc"], ("", *error["loc"]), strict=False)
            if before != "tls" or part not in ("flag", "table")  # pydantic's way, not the file's
        )
        if error["type"] == "too_short" and error["input"]:
            continue  # entries are missing only because each of them is a mistake told already
        yield _Problem(location, _explain(error, location, document))


def _explain(error: ErrorDetails, location: tuple[int | str, ...], document: dict[str, Any]) -> str:
    """Say one mistake: its place, what was given, what is allowed."""
    place, key, section = _place(location, document)
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"{place}: unknown key; {_nearest(key, section)}"
    if kind == "string_pattern_mismatch":
        allowed = _PATTERNS.get(key, "must look different")
    elif kind == "bool_type" and key == "tls":
        allowed = "must be true, false or a table"
    elif kind == "tuple_type" and location in (("smsc",), ("tenant",)):
        allowed = f"must be written with two brackets: [[{location[0]}]]"
    elif kind == "refused":
        allowed = f"must be {error['msg']}"
    elif kind in _ALLOWED:
        allowed = _ALLOWED[kind].format(**error.get("ctx", {}))
    else:
        allowed = error["msg"]
    given = _given(location, document)
    shown = "" if kind == "missing" else _show(given)
    return f"{place}: {allowed}{f', not {shown}' if shown else ''}"


def _given(location: tuple[int | str, ...], document: object) -> object:
    """Return what the file says at a location."""
    for part in location:
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and isinstance(part, int) and part < len(document):
            document = document[part]
    return document


_SHOWN_CHARACTERS = 80


def _show(given: object) -> str:
    """Write a value as the file does; nothing for a table, or what may hold one with a secret."""
    if isinstance(given, list):
        if any(isinstance(one, list | dict | SecretStr) for one in given):
            return ""
        text = f"[{', '.join(map(_show, given))}]"
    elif isinstance(given, bool):
        text = str(given).lower()
    elif isinstance(given, date | time):  # a datetime is a date
        text = given.isoformat()
    elif isinstance(given, str | int | float):
        text = repr(given)
    else:
        return ""
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _place(
    path: tuple[int | str, ...], document: dict[str, Any]
) -> tuple[str, str, type[Section] | None]:
    """Say where a mistake is: the words of the file, its key, and the model it belongs to."""
    words: list[str] = []
    key = ""
    section: type[Section] | None = Config
    at = 0
    if path[0] in ("smsc", "tenant"):
        kind = str(path[0])
        if len(path) == 1 or not isinstance(path[1], int):
            return f"[[{kind}]]", kind, None
        words.append(_table_name(kind, path[1], document))
        section = Smsc if kind == "smsc" else Tenant
        at = 2
    elif path[0] == "class":
        words.append(f"[class.{path[1]}]" if len(path) > 1 else "[class]")
        section, at = (ClassRules, 2) if len(path) > 2 else (Classes, len(path))
        key = str(path[1]) if len(path) == 2 else ""
    elif path[0] == "profile":
        words.append(f"[profile.{path[1]}]" if len(path) > 1 else "[profile]")
        section, at = Profile, 2
        key = str(path[1]) if len(path) == 2 else ""
    elif path[0] in _SECTIONS:
        words.append(f"[{path[0]}]")
        section, at = _SECTIONS[str(path[0])], 1
    for part in path[at:]:
        if isinstance(part, int):
            words.append(f"entry {part + 1}")
        else:
            if key == "tls":
                section = Tls
            elif key == "approvals":
                section = Approval
            key = part
            words.append(part)
    return " ".join(words), key, section


_SECTIONS: dict[str, type[Section]] = {
    "gateway": GatewaySection,
    "metrics": MetricsSection,
    "optouts": OptOuts,
    "ready": Ready,
    "retention": Retention,
}


def _table_name(kind: str, number: int, document: dict[str, Any]) -> str:
    """Name one of several tables by its name, or by its number where it has none."""
    name = dict(_tables(document, kind)).get(number, {}).get("name")
    named = isinstance(name, str) and name.isprintable()
    return f'[[{kind}]] "{name}"' if named else f"[[{kind}]] {number + 1}"


def _nearest(key: str, section: type[Section] | None) -> str:
    if section is None:
        return "it is not known here"
    known = [field.alias or name for name, field in section.model_fields.items()]
    near = difflib.get_close_matches(key, known, 1, 0.6)
    return f"did you mean {near[0]!r}?" if near else f"known here are {', '.join(known)}"
