"""What a text, and the hour, should make somebody think twice about before sending.

Nothing here refuses: each function yields sentences. Looks are judged by tables; a doubt costs a
sentence, and a text that was cut costs a second sending to everybody.

Sources: OVHcloud, "Tout savoir sur les expéditeurs SMS" (links); CNIL, "La prospection commerciale
par SMS-MMS" (STOP); AF2M, charter Business Messaging (hours).
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from smppgw.campaign.sender import is_short_code
from smppgw.config import DAYS, ClassRules

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


def on_hours(rules: ClassRules, job_class: str, begin: datetime, seconds: float) -> Iterator[str]:
    """Say that sending does not fit into the hours of its class.

    Args:
        rules: the class's.
        job_class: its name.
        begin: when the first segment can leave, in the time zone of the hours.
        seconds: how long sending takes.
    """
    if rules.hours is None and len(rules.days) == len(DAYS):
        return
    closing = _closing(rules, begin)
    if closing is None:
        yield (
            f"{job_class.capitalize()} messages are sent {_shown(rules)}, and now it is "
            f"{begin:%H:%M} on a {begin:%A}."
        )
    elif begin + timedelta(seconds=seconds) > closing:
        share = round(100 * (1 - (closing - begin).total_seconds() / seconds))
        yield (
            f"Sending cannot end before {job_class} messages must stop at {closing:%H:%M}: about "
            f"{share} % of the segments would be left. Submit earlier, or send to fewer."
        )


def _closing(rules: ClassRules, moment: datetime) -> datetime | None:
    """Return when the hours end that a moment lies in; None where it lies in none."""
    if DAYS[moment.weekday()] not in rules.days:
        return None
    if rules.hours is None:
        return moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    opening, closing = rules.hours
    if not opening <= moment.time() < closing:
        return None
    return moment.replace(hour=closing.hour, minute=closing.minute, second=0, microsecond=0)


def _shown(rules: ClassRules) -> str:
    days = f"on {', '.join(rules.days)}" if len(rules.days) < len(DAYS) else "every day"
    if rules.hours is None:
        return days
    return f"{days} from {rules.hours[0]:%H:%M} to {rules.hours[1]:%H:%M}"
