"""Sender names: which ones phones can show, which ones operators stop, and which are approved.

What a sender must be is one rule, `config.sender_fault`; here stands what else is known about
names. A tenant's `approvals` say what each operator answered about its own sender; they count
where an account has `senders = "approved"`.

Sources: AF2M, "Protection des OADC sensibles" and its lists, which are not public; what routers
tell of the rules of 10 March 2025.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from smppgw.config import Config, Smsc, Tenant, sender_fault
from smppgw.errors import InputError

LONGEST_NAME = 11
RENEW_DAYS = 30  # an approval that ends sooner is told; OVHcloud takes about 72 hours for a new one

_ROUTER = "smsmode.com, modification des règles Sender ID en France, 2025"
_LIKE_THOSE = "the same in French, or as little a name; the operators' list is not public"
# Words that name nobody: the word, and who says that operators stop it.
GENERIC: tuple[tuple[str, str], ...] = (
    ("ALERT", _ROUTER),
    ("BANK", _ROUTER),
    ("PARCEL", _ROUTER),
    ("PAYMENT", _ROUTER),
    ("RDV", _ROUTER),
    ("ALERTE", _LIKE_THOSE),
    ("ALERTES", _LIKE_THOSE),
    ("BANQUE", _LIKE_THOSE),
    ("COLIS", _LIKE_THOSE),
    ("COMMUNE", _LIKE_THOSE),
    ("INFO", _LIKE_THOSE),
    ("INFOS", _LIKE_THOSE),
    ("LIVRAISON", _LIKE_THOSE),
    ("MAIRIE", _LIKE_THOSE),
    ("MESSAGE", _LIKE_THOSE),
    ("PAIEMENT", _LIKE_THOSE),
    ("RAPPEL", _LIKE_THOSE),
    ("SERVICE", _LIKE_THOSE),
    ("SMS", _LIKE_THOSE),
    ("URGENCE", _LIKE_THOSE),
    ("URGENT", _LIKE_THOSE),
    ("VILLE", _LIKE_THOSE),
)
# Nothing but such words and digits: MAIRIEINFO is no better than either.
_GENERIC = re.compile(
    f"(?:{'|'.join(sorted((word for word, _ in GENERIC), key=len, reverse=True))}|[0-9])+"
)


def check_sender(sender: str) -> None:
    """Hold a sender to the rule of the configuration.

    Raises:
        InputError: phones cannot show it; a name near it is suggested.
    """
    fault = sender_fault(sender)
    if fault:
        near = clean_name(sender)
        hint = f"; {near} would do" if near else ""
        raise InputError(f"The sender must be {fault}, not {sender!r}{hint}.")


def clean_name(sender: str) -> str:
    """Make a name that phones can show: no accents, blanks or signs.

    Returns:
        The name; empty where none is left, or one that `lint` has something against.
    """
    ligatures = sender.replace("œ", "oe").replace("Œ", "OE").replace("ß", "ss")
    plain = unicodedata.normalize("NFKD", ligatures)
    name = "".join(c for c in plain if c.isascii() and c.isalnum())[:LONGEST_NAME]
    return "" if sender_fault(name) or any(lint(name)) else name


def is_short_code(sender: str) -> bool:
    """Tell 36xxx and 38xxx from names and long numbers."""
    return len(sender) == 5 and sender.isdecimal()


def lint(sender: str) -> Iterator[str]:
    """Say what operators will hold against a sender that phones can show."""
    if sender.startswith("+"):
        yield (
            f"The sender {sender} is a long number: since 2023 French operators let no platform "
            "write from 06 or 07 unless they have confirmed it in writing."
        )
    elif not is_short_code(sender) and _GENERIC.fullmatch(sender.upper()):
        yield (
            f"The sender {sender} names nobody, and operators block or replace such words: "
            "use the name of the commune or service."
        )


class Lack(NamedTuple):
    """A tenant whose sender an operator has not approved, and why."""

    tenant: str
    account: str
    sender: str
    why: str

    @property
    def sentence(self) -> str:
        """Say it."""
        return (
            f"The account {self.account} takes approved senders alone, and {self.sender} of "
            f"{self.tenant} is none: {self.why}."
        )


def why_not(tenant: Tenant, sender: str, account: Smsc, day: date) -> str | None:
    """Say why a sender is not approved at an account on a day; None where it is."""
    approval = tenant.approvals.get(account.name)
    if sender != tenant.sender:
        return f"approvals are written down for {tenant.sender} alone"
    if approval is None:
        return "no approval is written down"
    if approval.holds_on(day):
        return None
    if approval.state == "approved":
        return f"the approval ended on {approval.until}"
    return {"requested": "the approval was requested, and not given yet", "refused": "refused"}[
        approval.state
    ]


def lacks(config: Config, day: date, *, tenants: Iterable[Tenant] | None = None) -> Iterator[Lack]:
    """List the tenants without an approved sender, account by account that asks for one.

    Args:
        config: the configuration.
        day: on which day.
        tenants: of which tenants; None is all.
    """
    for account in config.smsc:
        if account.senders != "approved":
            continue
        for tenant in config.tenant if tenants is None else tenants:
            why = why_not(tenant, tenant.sender, account, day)
            if why:
                yield Lack(tenant.name, account.name, tenant.sender, why)


def on_approvals(
    tenant: Tenant, sender: str, accounts: Iterable[Smsc], day: date
) -> Iterator[tuple[bool, str]]:
    """Say what stands against a sender at the accounts that a job may leave by.

    Yields:
        Whether an account demands better, and the sentence.
    """
    for account in accounts:
        why = why_not(tenant, sender, account, day)
        approval = tenant.approvals.get(account.name)
        if why and account.senders == "approved":
            yield True, Lack(tenant.name, account.name, sender, why).sentence
        elif approval is None or sender != tenant.sender:
            continue
        elif approval.state == "refused":
            yield False, f"The operator of {account.name} has refused the sender {sender}."
        elif why and approval.state == "approved":
            yield False, f"For the sender {sender} at {account.name} {why}: ask for it again."
        elif approval.until and not why and (approval.until - day).days < RENEW_DAYS:
            yield (
                False,
                f"The approval of {sender} at {account.name} ends on {approval.until}: renew it.",
            )
