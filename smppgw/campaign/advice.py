"""What a text, and the hour, should make somebody think twice about before sending.

Nothing here refuses: each function yields sentences. Looks are judged by tables; a doubt costs a
sentence, and a text that was cut costs a second sending to everybody.

Sources: OVHcloud, "Tout savoir sur les expéditeurs SMS" (links); CNIL, "La prospection commerciale
par SMS-MMS" (STOP); AF2M, charter Business Messaging (hours).
"""

import re
from calendar import day_name
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from smppgw.campaign.hours import HORIZON, Allowed, Calendar, zone_of
from smppgw.campaign.sender import is_short_code
from smppgw.config import DAYS, Day, Smsc

MANY_SEGMENTS = 3  # more than that is told; OVHcloud takes 6 at most

_LINK = re.compile(r"https?://|\bwww\.|\b[a-z0-9-]{2,}\.(?:com|eu|fr|gouv|info|net|org)\b/", re.I)
_STOP = re.compile(r"\bSTOP\b", re.I)
_SMILEY = re.compile(r"[:;=8]['’]?-?[()\[\]]+")
_BRACKETS = {"(": ")", "[": "]", "«": "»", "“": "”"}
# No French sentence ends in one of these.
# fmt: off
_OPEN_WORDS = frozenset((
    "à", "au", "aux", "avec", "car", "ce", "ces", "cet", "cette", "chez", "d", "dans", "de",
    "des", "du", "en", "entre", "et", "l", "la", "le", "les", "leur", "leurs", "mais", "mes",
    "mon", "ni", "nos", "notre", "ou", "où", "par", "pour", "qu", "que", "qui", "sa", "sans",
    "sauf", "se", "ses", "si", "son", "sous", "sur", "un", "une", "vers", "vos", "votre",
))
# fmt: on
_LAST_WORD = re.compile(r"(\w+)['’]?$")
_FORM_LIMIT = 160  # where forms and spreadsheets cut


def on_text(text: str, *, job_class: str, sender: str) -> Iterator[str]:
    """Say what is doubtful about a text.

    Args:
        text: as it was written, with its {placeholders}.
        job_class: the job's class.
        sender: what phones will show.
    """
    if is_short_code(sender) and _LINK.search(text):
        yield (
            f"The text has a link and the sender is the short code {sender}: operators stop such "
            "texts. Use a name as sender, or leave the link out."
        )
    cut = _cut(text)
    if cut:
        yield f"The text looks cut: {cut}. Read its end once more."
    if job_class == "promotional" and not _STOP.search(text):
        yield (
            "The text does not say how to be left alone, and a promotional one must: "
            "add “STOP au 36xxx” with the operator's number."
        )


def _cut(text: str) -> str | None:
    plain = _SMILEY.sub("", text)
    end = plain.rstrip()
    last = _LAST_WORD.search(end)
    if end.endswith(("…", "...")):
        return "it ends in “…”"
    if end.endswith((",", "-", "–", "(", "«", "“", "/", "&")):
        return f"it ends in “{end[-1]}”"
    if last and last[1].casefold() in _OPEN_WORDS:
        return f"it ends in “{last[1]}”"
    if len(text) == _FORM_LIMIT:
        return f"it has exactly {_FORM_LIMIT} characters"
    for opening, closing in _BRACKETS.items():
        if plain.count(opening) != plain.count(closing):
            return f"“{opening}” and “{closing}” are not as many"
    return None


def on_length(segments: int) -> Iterator[str]:
    """Say that the longest text is long."""
    if segments > MANY_SEGMENTS:
        yield (
            f"The longest text takes {segments} segments: it costs as many times, and takes as "
            "many times as long to reach everybody."
        )


def on_hours(
    calendar: Calendar,
    job_class: str,
    begin: datetime,
    seconds: float,
    takers: Mapping[str, Sequence[Smsc]],
) -> Iterator[str]:
    """Say that sending waits for the hours of its class, or pauses for them.

    Each sentence has the time of those it is about. Recipients of all prefixes take turns, so each
    prefix is told as if its messages lasted as long as all of them.

    Args:
        calendar: the hours.
        job_class: the job's class.
        begin: when the first segment could leave.
        seconds: how long sending takes, while it goes on.
        takers: by prefix of the recipients, the accounts that may send to it; a message leaves by
            any of them.
    """
    told = {}
    for prefix, accounts in takers.items():
        if accounts:
            about = _Hours(calendar, job_class, prefix, accounts)
            told.update(dict.fromkeys(about.sentences(begin, seconds)))
    yield from told


class _Hours:
    """What accounts together allow to a prefix."""

    def __init__(
        self, calendar: Calendar, job_class: str, prefix: str, accounts: Sequence[Smsc]
    ) -> None:
        self._calendar, self._class, self._prefix = calendar, job_class, prefix
        self._accounts = accounts
        self._timezone = calendar.timezone_of(prefix)
        zone = zone_of(prefix)
        self._to, self._there = (
            (f" to numbers under {zone}", ", by their time") if zone else ("", "")
        )

    def sentences(self, begin: datetime, seconds: float) -> Iterator[str]:
        """Say what somebody who submits now may not expect."""
        begin = begin.astimezone(UTC)
        name = self._class.capitalize()
        opening = self._next_opening(begin)
        if opening is None:
            yield (
                f"{name} messages{self._to} would not leave within {HORIZON.days} days: the hours "
                "of the class and of the accounts leave no moment open."
            )
            return
        first, account = opening
        if first != begin:
            there = first.astimezone(self._timezone)
            hours = _shown(self._calendar.allowed_on(self._class, there.date(), account))
            yield (
                f"{name} messages{self._to} leave {hours}{self._there}: the first leaves on "
                f"{there:%A} {there.day} {there:%B} at {there:%H:%M}."
            )
        closing = self._closing(first)
        if closing is None or first + timedelta(seconds=seconds) <= closing:
            return
        today, end = begin.astimezone(self._timezone), closing.astimezone(self._timezone)
        sentence = (
            f"Sending{self._to} would not end before "
            f"{'' if end.date() == today.date() else _day(end, today) + ' at '}{end:%H:%M}"
            f"{self._there}: it pauses then and "
        )
        again = self._next_opening(closing)
        if again is None:
            yield f"{sentence}does not go on within {HORIZON.days} days."
        else:
            there = again[0].astimezone(self._timezone)
            yield f"{sentence}goes on {_day(there, today)} at {there:%H:%M}."

    def _next_opening(self, at: datetime) -> tuple[datetime, Smsc] | None:
        found = [
            (opening, account)
            for account in self._accounts
            if (opening := self._calendar.next_opening(self._class, self._prefix, at, account))
        ]
        return min(found, key=lambda one: one[0], default=None)

    def _closing(self, at: datetime) -> datetime | None:
        """Return when all accounts are closed; None where that is not within the horizon."""
        limit = at + HORIZON
        while at <= limit:
            ends = [
                self._calendar.closes_at(self._class, self._prefix, at, account)
                for account in self._accounts
            ]
            known = [end for end in ends if end is not None]
            if len(known) < len(ends):
                return None
            if max(known) == at:
                return at
            at = max(known)
        return None


def _day(moment: datetime, today: datetime) -> str:
    """Name a day by its weekday, and also by its date where that leaves a doubt."""
    if (moment.date() - today.date()).days < len(DAYS):
        return f"{moment:%A}"
    return f"{moment:%A} {moment.day} {moment:%B}"


def _shown(allowed: Allowed) -> str:
    """Write hours as people do: from 08:00 to 20:00, Monday to Saturday, holidays excepted."""
    days = _days(allowed.days)
    if (allowed.opens_s, allowed.closes_s) != (0, 86_400):
        shown = f"from {_time(allowed.opens_s)} to {_time(allowed.closes_s)}, {days}"
    elif " to " in days or len(allowed.days) == len(DAYS):
        shown = days
    else:
        shown = f"on {days}"
    return shown if allowed.holidays else f"{shown}, holidays excepted"


def _time(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds % 3600 // 60:02}"


def _days(days: Sequence[Day]) -> str:
    at = sorted(DAYS.index(day) for day in days)
    names = [day_name[one] for one in at]
    if len(names) == len(DAYS):
        return "every day"
    if len(names) > 2 and at[-1] - at[0] == len(at) - 1:
        return f"{names[0]} to {names[-1]}"
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
