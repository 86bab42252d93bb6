"""From an order and its recipients to a job in the ledger, or to a preview of one.

Both walk the same way: each recipient is read, its text filled and composed, its segments counted
and priced; `submit` also writes it down, so that what the preview says is what is sent. Recipients
stream through: memory does not grow with the list, but for what tells duplicates.
"""

import difflib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from smppgw import sms
from smppgw.campaign.recipients import Recipients, Row
from smppgw.config import Config, Tenant
from smppgw.errors import InputError
from smppgw.ledger.jobs import Addressee, Order

NUMBERS = "numbers"  # in place of a file's name, where recipients are given one by one


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


@dataclass(slots=True)
class Tally:
    """What the recipients come to.

    Attributes:
        queued: recipients kept.
        segments: by rewrite, of all of them together.
        prices: by rewrite, then by the price of a segment: how many segments.
        encodings: the alphabets of the texts as they are sent.
        shortest: segments of the shortest text; 0 before there is one.
        longest: segments of the longest text.
        forces_ucs2: characters that force UCS2, in order of appearance.
    """

    queued: int = 0
    segments: Counter[str] = field(default_factory=Counter)
    prices: dict[str, Counter[Decimal]] = field(default_factory=dict)
    encodings: set[str] = field(default_factory=set)
    shortest: int = 0
    longest: int = 0
    forces_ucs2: dict[str, None] = field(default_factory=dict)

    def price(self, rewrite: str) -> Decimal | None:
        """Return what all segments cost, or None where some have no price."""
        by_price = self.prices.get(rewrite)
        if by_price is None:
            return None
        return sum((price * segments for price, segments in by_price.items()), Decimal(0))


class Plan:
    """An order that has been checked, and the walk over its recipients."""

    def __init__(self, config: Config, wish: Wish, recipients: Recipients, now: datetime) -> None:
        """Check an order against the configuration.

        Raises:
            InputError: the tenant, the sender or the text cannot be used.
            TemplateError: the text has a {placeholder} that the file cannot fill.
        """
        self.config = config
        self.recipients = recipients
        self.tally = Tally()
        self.accounts = [s for s in config.smsc if wish.job_class in s.classes]
        # The configuration sees to it that they agree on what changes the count of segments.
        self._latin1 = self.accounts[0].alphabet == "latin1"
        self._as_payload = self.accounts[0].long_text == "payload"
        tenant = _tenant(config, wish.tenant)
        rules = config.classes[wish.job_class]
        if not wish.text.strip():
            raise InputError("The text is empty: give one with --text or --text-file.")
        self._template = sms.Template(wish.text)
        bound = self._template.bind(recipients.headers)
        self._columns = {name: recipients.headers.index(header) for name, header in bound.items()}
        expires_s = wish.expires_s if wish.expires_s is not None else rules.expires_s
        self.order = Order(
            job_class=wish.job_class,
            tenant=tenant.name,
            sender=wish.sender or tenant.sender,
            text=wish.text,
            rewrite=wish.rewrite or config.rewrite_for(tenant, wish.job_class),
            flash=wish.flash,
            label=wish.label,
            key=wish.key,
            attempts=rules.attempts,
            unknown_policy=rules.unknown,
            created_at=_ms(now),
            expires_at=_ms(now + timedelta(seconds=expires_s)),
        )
        self._constant = None if self._columns else self._measure(self._template.fill({}))

    def addressees(self) -> Iterator[Addressee]:
        """Walk over the recipients, once; `tally` is complete when this ends."""
        for row in self.recipients:
            fields, measured = None, self._constant
            if measured is None:
                values = {name: row.values[at] for name, at in self._columns.items()}
                fields = json.dumps(values, ensure_ascii=False)
                measured = self._measure(self._fill(row, values))
            self._count(row, measured)
            # As payload a text is one submit_sm, however many segments the operator bills.
            segments = 1 if self._as_payload else measured[self.order.rewrite]
            yield Addressee(row.number, segments, fields)

    def _fill(self, row: Row, values: dict[str, str]) -> str:
        try:
            return self._template.fill(values)
        except InputError as error:
            raise InputError(f"{self.recipients.name}, row {row.row}: {error}") from error

    def _measure(self, text: str) -> dict[str, int]:
        """Return the segments of a text under each rewrite, and note its alphabet."""
        segments = {}
        composed = sms.compose(text, "keep", latin1=self._latin1)
        plain = composed.encoding == "gsm7"  # which no rewrite touches
        for rewrite in sms.REWRITES:
            if not plain:
                composed = sms.compose(text, rewrite, latin1=self._latin1)
            segments[rewrite] = len(composed.segments)
            if rewrite == self.order.rewrite:
                self.tally.encodings.add(composed.encoding)
                self.tally.forces_ucs2.update(dict.fromkeys(composed.forces_ucs2))
        return segments

    def _count(self, row: Row, segments: dict[str, int]) -> None:
        tally = self.tally
        mine = segments[self.order.rewrite]
        tally.queued += 1
        tally.longest = max(tally.longest, mine)
        tally.shortest = min(tally.shortest or mine, mine)
        price = self.accounts[0].price_for(row.number)
        for rewrite, count in segments.items():
            tally.segments[rewrite] += count
            if price is not None:
                tally.prices.setdefault(rewrite, Counter())[price] += count

    def document(
        self, *, job: int | None, state: str, segments_ahead: int, now: datetime
    ) -> dict[str, object]:
        """Say what the walk came to, as the JSON of `submit` and `preview`."""
        tally, recipients = self.tally, self.recipients
        rate = sum(account.throughput for account in self.accounts)
        seconds = round((segments_ahead + tally.segments[self.order.rewrite]) / rate)
        finish_at = now + timedelta(seconds=seconds)
        warnings = list(recipients.warnings)
        if _ms(finish_at) > self.order.expires_at:
            warnings.append(
                "Sending would end after the messages expire: allow more time with --expires, "
                "or send fewer."
            )
        encoding = "mixed" if len(tally.encodings) > 1 else next(iter(tally.encodings), "gsm7")
        return {
            "job": job,
            "state": state,
            "class": self.order.job_class,
            "tenant": self.order.tenant,
            "sender": self.order.sender,
            "recipients": {
                "read": recipients.read,
                "queued": tally.queued,
                "invalid": recipients.invalid,
                "duplicate": recipients.duplicate,
                "opted_out": 0,
            },
            "left_out_file": recipients.left_out_file,
            "text": {
                "encoding": encoding,
                "segments_min": tally.shortest,
                "segments_max": tally.longest,
                "forces_ucs2": list(tally.forces_ucs2),
            },
            "segments": tally.segments[self.order.rewrite],
            "price": self._money(self.order.rewrite),
            "rewrites": {
                rewrite: {"segments": tally.segments[rewrite], "price": self._money(rewrite)}
                for rewrite in sms.REWRITES
            },
            "seconds": seconds,
            "finish_at": finish_at.isoformat(timespec="seconds"),
            "warnings": warnings,
        }

    def _money(self, rewrite: str) -> dict[str, str] | None:
        amount = self.tally.price(rewrite)
        if amount is None:
            return None
        return {"amount": f"{amount:.2f}", "currency": self.config.gateway.currency}


def _tenant(config: Config, name: str | None) -> Tenant:
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


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
