"""From an order and its recipients to a job in the ledger, or to a preview of one.

Both walk the same way: each recipient is read, its text filled and composed, its segments counted
and priced; `submit` also writes it down, so that what the preview says is what is sent. Recipients
stream through: memory does not grow with the list, but for what tells duplicates.

A walk counts how often each number of segments occurs under each prefix that has a price or an
account of its own; sums and prices follow from that at the end. Where several accounts may send a
message, it has the price of the dearest.
"""

import difflib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from smppgw import sms
from smppgw.campaign import advice
from smppgw.campaign.budget import Budget
from smppgw.campaign.hours import Calendar, routes_of
from smppgw.campaign.preview import Example, Examples
from smppgw.campaign.recipients import Recipients, Row
from smppgw.campaign.sender import check_sender, lint, on_approvals
from smppgw.config import ClassRules, Config, Smsc, Tenant, prefix_of
from smppgw.errors import InputError
from smppgw.ledger.jobs import Addressee, Order

_as_json = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps makes one each time: 4 µs


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for, before anything of it is checked."""

    text: str
    job_class: str
    tenant: str | None = None
    sender: str | None = None
    rewrite: str | None = None
    flash: bool = False
    label: str | None = None
    key: str | None = None
    expires_s: float | None = None
    purpose: str | None = None
    starts_at: datetime | None = None
    exercise: bool = False
    ordered_by: str = ""


class _Measured(NamedTuple):
    """A text: its segments under each of REWRITES, and as it is sent."""

    segments: tuple[int, ...]
    sent: sms.Composed


@dataclass(slots=True)
class Tally:
    """What the recipients come to.

    Attributes:
        counts: how many messages have these segments (by rewrite, in the order of REWRITES) and
            go to a number of this zone.
        prices: of one segment, by zone; None where there is none.
        used: the rewrite that is used, as a place in REWRITES.
        encodings: how many texts are sent in each alphabet.
        forces_ucs2: characters that force UCS2 on what is sent, in order of appearance.
        defaults: how often a blank value was replaced by its default, by name.
        examples: of personal texts.
    """

    prices: dict[str, Decimal | None]
    used: int
    counts: Counter[tuple[tuple[int, ...], str]] = field(default_factory=Counter)
    encodings: Counter[str] = field(default_factory=Counter)
    forces_ucs2: dict[str, None] = field(default_factory=dict)
    defaults: Counter[str] = field(default_factory=Counter)
    examples: Examples = field(default_factory=Examples)

    @property
    def queued(self) -> int:
        """Recipients kept."""
        return self.counts.total()

    @property
    def shortest(self) -> int:
        """Segments of the shortest text; 0 where there is none."""
        return min((segments[self.used] for segments, _ in self.counts), default=0)

    @property
    def longest(self) -> int:
        """Segments of the longest text; 0 where there is none."""
        return max((segments[self.used] for segments, _ in self.counts), default=0)

    @property
    def segments(self) -> dict[str, int]:
        """Segments of all of them together, by rewrite."""
        return {
            rewrite: sum(count * segments[at] for (segments, _), count in self.counts.items())
            for at, rewrite in enumerate(sms.REWRITES)
        }

    @property
    def zones(self) -> Counter[str]:
        """Recipients by zone."""
        zones: Counter[str] = Counter()
        for (_, zone), count in self.counts.items():
            zones[zone] += count
        return zones

    def price(self, rewrite: str) -> Decimal | None:
        """Return what all segments cost, or None where some have no price."""
        at, amount = sms.REWRITES.index(rewrite), Decimal(0)
        for (segments, zone), count in self.counts.items():
            price = self.prices[zone]
            if price is None:
                return None
            amount += price * (count * segments[at])
        return amount


class Plan:
    """An order that has been checked, and the walk over its recipients."""

    def __init__(self, config: Config, wish: Wish, recipients: Recipients, now: datetime) -> None:
        """Check an order against the configuration.

        Raises:
            InputError: the tenant, the sender or the text cannot be used, or whoever orders it may
                not.
            TemplateError: the text has a {placeholder} that the file cannot fill.
        """
        self.config = config
        self.recipients = recipients
        self.accounts = [s for s in config.smsc if wish.job_class in s.classes]
        # The configuration sees to it that they agree on what changes the count of segments.
        self._latin1 = self.accounts[0].alphabet == "latin1"
        self._as_payload = self.accounts[0].long_text == "payload"
        self.tenant = find_tenant(config, wish.tenant)
        rules = config.classes[wish.job_class]
        _require_right(rules, wish)
        if wish.sender is not None:
            check_sender(wish.sender)
        if not wish.text.strip():
            raise InputError("The text is empty: give one with --text or --text-file.")
        text = _as_drill(wish.text) if wish.exercise else wish.text
        self._template = sms.Template(text)
        bound = self._template.bind(recipients.headers)
        self._columns = {name: recipients.headers.index(header) for name, header in bound.items()}
        self.zone = ZoneInfo(config.gateway.timezone)
        self.now = now.astimezone(self.zone)
        self.calendar = Calendar(config)
        self.begins = self.now if wish.starts_at is None else wish.starts_at.astimezone(self.zone)
        if wish.starts_at is not None:
            _require_time(self.now, self.begins)
        expires_s = wish.expires_s if wish.expires_s is not None else rules.expires_s
        self.order = Order(
            job_class=wish.job_class,
            tenant=self.tenant.name,
            sender=wish.sender or self.tenant.sender,
            text=text,
            rewrite=wish.rewrite or config.rewrite_for(self.tenant, wish.job_class),
            flash=wish.flash,
            label=wish.label,
            key=wish.key,
            attempts=rules.attempts,
            unknown_policy=rules.unknown,
            created_at=_ms(now),
            expires_at=_ms(self.begins + timedelta(seconds=expires_s)),
            purpose=wish.purpose or wish.job_class,
            starts_at=None if wish.starts_at is None else _ms(self.begins),
            exercise=wish.exercise,
            ordered_by=wish.ordered_by,
        )
        # A zone is a prefix with a price, an account or hours of its own; "" is every other number.
        tables = [account.prices_on(self.now.date()) for account in self.accounts]
        prefixes = {prefix for table in tables for prefix in table} - {"default"}
        prefixes.update(prefix for account in self.accounts for prefix in account.prefixes)
        prefixes.update(Calendar.prefixes)
        self._zones = sorted(prefixes, key=len, reverse=True)
        self.tally = Tally(
            prices={zone: self._price_of(zone) for zone in ("", *self._zones)},
            used=sms.REWRITES.index(self.order.rewrite),
        )
        self._constant = None if self._columns else self._measure(self._template.fill({}))

    @property
    def personal(self) -> bool:
        """Whether recipients get texts of their own."""
        return self._constant is None

    @property
    def constant(self) -> sms.Composed | None:
        """The text as it is sent, where it is the same for all."""
        return None if self._constant is None else self._constant.sent

    @property
    def routes(self) -> tuple[str, ...]:
        """Prefixes of numbers that have an account or hours of their own."""
        return routes_of(self.config)

    def _takers(self, zone: str) -> list[Smsc]:
        return [a for a in self.accounts if not a.prefixes or zone.startswith(a.prefixes)]

    def _price_of(self, zone: str) -> Decimal | None:
        """Return the dearest price of a segment among the accounts that may send it."""
        dearest = None
        for account in self._takers(zone):
            prices = account.prices_on(self.now.date())
            price = prices.get(prefix_of(zone, prices))
            if price is None:
                return None
            dearest = price if dearest is None else max(dearest, price)
        return dearest

    def addressees(self) -> Iterator[Addressee]:
        """Walk over the recipients, once; `tally` is complete when this ends."""
        tally, zones, used, columns = self.tally, self._zones, self.tally.used, self._columns
        counts, zone, fields, measured = tally.counts, "", None, self._constant
        if measured is not None:
            self._note(measured)
        for row in self.recipients:
            if self._constant is None:
                values = {name: row.values[at] for name, at in columns.items()}
                fields = _as_json(values)
                measured = self._measure(self._fill(row, values))
                self._note(measured)
                sent = measured.sent
                tally.examples.add(
                    Example(row.row, sent.text, sent.encoding, measured.segments[used], sent.units)
                )
            assert measured is not None
            if zones:
                zone = next(filter(row.number.startswith, zones), "")
            segments = measured.segments
            counts[segments, zone] += 1
            # As payload a text is one submit_sm, however many segments the operator bills.
            yield Addressee(row.number, 1 if self._as_payload else segments[used], fields)

    def _fill(self, row: Row, values: dict[str, str]) -> str:
        try:
            text = self._template.fill(values)
        except InputError as error:
            raise InputError(f"{self.recipients.name}, row {row.row}: {error}") from error
        for name, value in values.items():
            if not value or value.isspace():
                self.tally.defaults[name] += 1  # else it would not have been filled
        return text

    def _measure(self, text: str) -> _Measured:
        """Compose a text as it is sent, and count its segments under each rewrite.

        Once a rewrite has brought it into GSM 03.38, those that go further change no count.
        """
        sent = composed = sms.compose(text, "keep", latin1=self._latin1)
        counts = [len(composed.segments)]
        for at, rewrite in enumerate(sms.REWRITES[1:], 1):
            if composed.encoding == "ucs2":
                composed = sms.compose(text, rewrite, latin1=self._latin1)
            counts.append(len(composed.segments))
            if at == self.tally.used:
                sent = composed
        return _Measured(tuple(counts), sent)

    def _note(self, measured: _Measured) -> None:
        sent = measured.sent
        self.tally.encodings[sent.encoding] += 1
        if sent.forces_ucs2:
            self.tally.forces_ucs2.update(dict.fromkeys(sent.forces_ucs2))

    # What the walk came to

    def seconds(self, segments_ahead: int) -> int:
        """Return how long sending takes, with what leaves before it, at the contract's rate.

        Accounts send side by side; numbers that only some of them take may need them longer than
        all together need for everything.
        """
        by_takers: Counter[tuple[str, ...]] = Counter()
        for (segments, zone), count in self.tally.counts.items():
            names = tuple(account.name for account in self._takers(zone))
            by_takers[names] += count * segments[self.tally.used]
        rates = {account.name: account.throughput for account in self.accounts}
        whole = (segments_ahead + by_takers.total()) / sum(rates.values())
        parts = [
            segments / sum(rates[name] for name in names)
            for names, segments in by_takers.items()
            if names
        ]
        return round(max([whole, *parts]))

    def finish_at(self, seconds: int) -> datetime | None:
        """Return when sending ends, hours respected; None where it never does."""
        ends = []
        seconds = max(seconds, 1)  # even one segment waits for the hours
        for zone in self.tally.zones or [""]:
            takers = self._takers(zone)
            reached = [
                self.calendar.finish_at(self.order.job_class, zone, self.begins, seconds, taker)
                for taker in takers
            ]
            known = [end for end in reached if end is not None]
            if takers and not known:
                return None
            ends += [min(known)] if known else []
        return max(ends, default=self.begins).astimezone(self.zone)

    def budget(self, spent: int) -> Budget | None:
        """Return the tenant's budget; None where it has none.

        Args:
            spent: segments of this month, without the job.
        """
        limit = self.tenant.segments_a_month
        if limit is None:
            return None
        return Budget(limit, spent, self.tally.segments[self.order.rewrite])

    def require_sender(self) -> None:
        """Hold the sender to what the accounts demand.

        An alert is not refused for the sake of a paper: its warning says the same.

        Raises:
            InputError: an account wants an approved sender, and this one is not; it says which
                tenants lack one.
        """
        if self.order.job_class == "alert":
            return
        standing = self._approvals()
        if any(refused for refused, _ in standing):
            raise InputError(
                " ".join(sentence for refused, sentence in standing if refused)
                + " Nothing was queued; `smppgw check` lists every tenant that lacks one."
            )

    def _approvals(self) -> list[tuple[bool, str]]:
        day = self.now.date()
        return list(on_approvals(self.tenant, self.order.sender, self.accounts, day))

    def document(
        self, *, job: int | None, state: str, segments_ahead: int, spent: int
    ) -> dict[str, object]:
        """Say what the walk came to, as the JSON of `submit` and `preview`.

        Args:
            job: its number, if it has one.
            state: its state.
            segments_ahead: what leaves before it.
            spent: segments of the tenant's month, without the job.
        """
        tally, recipients, rewrite = self.tally, self.recipients, self.order.rewrite
        seconds = self.seconds(segments_ahead)
        finish_at = self.finish_at(seconds)
        budget = self.budget(spent)
        encoding = "mixed" if len(tally.encodings) > 1 else next(iter(tally.encodings), "gsm7")
        return {
            "job": job,
            "state": state,
            "class": self.order.job_class,
            "purpose": self.order.purpose,
            "exercise": self.order.exercise,
            "tenant": self.order.tenant,
            "sender": self.order.sender,
            "recipients": {
                "read": recipients.read,
                "queued": tally.queued,
                "invalid": recipients.invalid,
                "duplicate": recipients.duplicate,
                "opted_out": recipients.opted_out,
            },
            "left_out_file": recipients.left_out_file,
            "text": {
                "encoding": encoding,
                "segments_min": tally.shortest,
                "segments_max": tally.longest,
                "forces_ucs2": list(tally.forces_ucs2),
            },
            "segments": tally.segments[rewrite],
            "price": self._money(rewrite),
            "rewrites": {
                name: {"segments": segments, "price": self._money(name)}
                for name, segments in tally.segments.items()
            },
            "segments_ahead": segments_ahead,
            "seconds": seconds,
            "starts_at": None
            if self.order.starts_at is None
            else self.begins.isoformat(timespec="seconds"),
            "finish_at": None if finish_at is None else finish_at.isoformat(timespec="seconds"),
            "budget": None if budget is None else budget.document(),
            "warnings": [
                *recipients.warnings,
                *self._warnings(finish_at, seconds, budget),
            ],
        }

    def _warnings(
        self, finish_at: datetime | None, seconds: int, budget: Budget | None
    ) -> Iterator[str]:
        order, tally = self.order, self.tally
        yield from lint(order.sender)
        yield from (sentence for _, sentence in self._approvals())
        yield from advice.on_text(order.text, job_class=order.job_class, sender=order.sender)
        yield from advice.on_length(tally.longest)
        for name, count in tally.defaults.items():
            yield f"{{{name}}} is blank for {count} of {tally.queued}: they get its default."
        for zone, count in tally.zones.items():
            numbers = f"numbers under {zone}" if zone else "numbers under no prefix of their own"
            if not self._takers(zone):
                messages = "message" if count == 1 else "messages"
                yield f"No account takes {numbers}: {count} {messages} would never leave."
            elif tally.prices[zone] is None and any(
                price is not None for price in tally.prices.values()
            ):
                messages = "message costs" if count == 1 else "messages cost"
                yield f"There is no price for {numbers}: what {count} {messages} is not known."
        if finish_at is None or _ms(finish_at) > order.expires_at:
            yield (
                "Sending would end after the messages expire: allow more time with --expires, "
                "or send fewer."
            )
        takers = {zone: self._takers(zone) for zone in tally.zones}
        yield from advice.on_hours(self.calendar, order.job_class, self.begins, seconds, takers)
        over = None if budget is None else budget.warning()
        if over:
            yield over

    def _money(self, rewrite: str) -> dict[str, str] | None:
        amount = self.tally.price(rewrite)
        if amount is None:
            return None
        return {"amount": f"{amount:.2f}", "currency": self.config.gateway.currency}


def find_tenant(config: Config, name: str | None) -> Tenant:
    """Find the tenant that a job is for; one that is alone need not be named."""
    tenants = {tenant.name: tenant for tenant in config.tenant}
    if name is None and len(tenants) == 1:
        return next(iter(tenants.values()))
    if name is None:
        known = ", ".join(tenants)
        raise InputError(f"Say for whom with --tenant: {known}.")
    if name not in tenants:
        near = difflib.get_close_matches(name, tenants, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(tenants)}."
        raise InputError(f"There is no tenant {name!r} in {config.source}; {hint}")
    return tenants[name]


_DRILL = "EXERCICE EXERCICE"
_FURTHEST = timedelta(days=365)


def _as_drill(text: str) -> str:
    """Mark a text as a drill, in its first words: they alone may be read."""
    return text if text.lstrip().upper().startswith(_DRILL) else f"{_DRILL} {text}"


def _require_right(rules: ClassRules, wish: Wish) -> None:
    """Hold an order to what its class allows.

    Raises:
        InputError: whoever orders it may not, or a drill is no alert.
    """
    if rules.users and wish.ordered_by not in rules.users:
        raise InputError(
            f"{wish.ordered_by or 'Nobody'} may not send the class {wish.job_class}: "
            f"[class.{wish.job_class}] users names who may."
        )
    if wish.exercise and wish.job_class != "alert":
        raise InputError("A drill is an alert that says so: add --class alert to --exercise.")


def _require_time(now: datetime, begins: datetime) -> None:
    if begins <= now:
        raise InputError(
            f"--at {begins:%d/%m/%Y %H:%M} is past: leave it out to send now, or give a later time."
        )
    if begins - now > _FURTHEST:
        raise InputError("--at is more than a year ahead: give an earlier time.")


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
