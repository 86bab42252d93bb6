"""A proof as a page for the mayor, the prefect and the file: HTML that prints on A4.

One file with nothing around it: no script, no picture or font from elsewhere, and a policy that
forbids both, so that it looks in ten years as it looks today. What people or operators wrote is
escaped where it is put in; the words and their markup are our own. The list of messages is written
as it is read.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib import resources
from itertools import islice

from smppgw.campaign.proof import SHARES, Delays, Facts
from smppgw.campaign.proof_words import Language
from smppgw.ledger.audit import Entry
from smppgw.ledger.evidence import Sent

_ROWS_AT_ONCE = 500
_FAILED = ("undelivered", "rejected", "expired", "unknown")
_MOVING = ("queued", "submitting", "accepted")
_TAKEN = ("accepted", "delivered", "undelivered")  # states in which the operator has had it
_ERRORS_LISTED = 8

# The chart, in units of its own.
_WIDTH, _HEIGHT = 700, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 44, 30, 40
_POINTS = 320
_TICKS_AT_MOST = 8
_TAIL = 3  # times the 99 % that a last message may take before the chart leaves it out
_STEPS_S = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400),
)


def page_chunks(
    facts: Facts, messages: Iterable[Sent], shown: Callable[[str], str], language: Language
) -> Iterator[str]:
    """Yield a proof as an HTML page, row by row; 100,000 messages are 10 MB in 2 s.

    Args:
        facts: what it says.
        messages: the job's messages; read once.
        shown: writes a number as the proof has it.
        language: of its words.
    """
    page = _Page(facts, language)
    yield page.head()
    yield page.first_sheet()
    yield page.list_head()
    numbered = enumerate(messages, 1)
    while rows := list(islice(numbered, _ROWS_AT_ONCE)):
        yield "".join(page.row(number, message, shown) for number, message in rows)
    yield "</tbody></table></section>\n</body></html>\n"


class _Page:
    """The parts of the page, from top to bottom."""

    def __init__(self, facts: Facts, language: Language) -> None:
        self._facts = facts
        self._language = language
        self._words = language.words
        self._day = facts.local(facts.job.starts_at).date()
        self._states = {state: names[0] for state, names in language.states.items()}

    # Numbers, times and words

    def _number(self, value: int) -> str:
        return f"{value:,}".replace(",", self._language.thousands)

    def _share(self, part: int, whole: int) -> str:
        share = 100 * part / whole if whole else 0.0
        # Never 100 % where something is missing, nor 0 % where something is there.
        shown = min(share, 99.9) if part < whole else share
        shown = max(shown, 0.1) if part else shown
        return f"{shown:.1f}".replace(".", self._language.decimal) + self._language.percent

    def _count(self, value: int, noun: str, nouns: str) -> str:
        return self._words[noun if value == 1 else nouns].format(n=self._number(value))

    def _messages(self, value: int) -> str:
        return self._count(value, "message", "messages")

    def _at(self, at: int | None) -> str:
        """Write a date and time, to the second."""
        if at is None:
            return self._words["never"]
        return self._facts.local(at).strftime(f"{self._language.date} %H:%M:%S")

    def _clock(self, at: int | None) -> str:
        """Write a time, and its day where it is not the day of the start."""
        if at is None:
            return "–"
        local = self._facts.local(at)
        clock = f"{local:%H:%M:%S}"
        return (
            clock if local.date() == self._day else f"{local:{self._language.short_date}} {clock}"
        )

    def _duration(self, seconds: float | None) -> str:
        if seconds is None:
            return "–"
        if seconds < 60:
            return f"{seconds:.1f}\u00a0s".replace(".", self._language.decimal)
        whole = round(seconds)
        if whole < 3600:
            return f"{whole // 60}\u00a0min\u00a0{whole % 60:02d}\u00a0s"
        return f"{whole // 3600}\u00a0h\u00a0{whole % 3600 // 60:02d}\u00a0min"

    def _who(self, actor: str) -> str:
        return escape(actor) if actor else self._words["somebody"]

    # The first sheet

    def head(self) -> str:
        facts, words = self._facts, self._words
        footer = words["page"].format(job=facts.job.job_id)
        if facts.job.exercise:
            footer = f"{words['exercise']} – {footer}"
        style = resources.files(__package__).joinpath("proof.css").read_text("utf-8")
        return (
            f'<!DOCTYPE html>\n<html lang="{self._language.code}">\n<head>\n'
            '<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy"'
            " content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{footer}</title>\n<style>\n{style.replace('FOOTER', footer)}</style>\n"
            "</head>\n<body>\n"
        )

    def first_sheet(self) -> str:
        return "\n".join(
            part
            for part in (
                self._header(),
                self._lead(),
                self._figures(),
                self._order(),
                self._text(),
                self._outcome(),
                self._delays(),
                self._chart(),
                self._errors(),
                self._actions(),
                self._check(),
            )
            if part
        )

    def _header(self) -> str:
        facts, words = self._facts, self._words
        job = words["job"].format(job=facts.job.job_id)
        label = f" – {escape(facts.job.label)}" if facts.job.label else ""
        written = words["written"].format(
            at=self._at(facts.written_at), by=self._who(facts.written_by)
        )
        parts = [
            f"<header><div><p>{escape(facts.job.tenant)}</p><h1>{words['title']}</h1>"
            f'<p>{job}{label}</p></div><p class="when">{written}</p></header>'
        ]
        if facts.job.exercise:
            parts.append(f'<div class="stamp" aria-hidden="true">{words["exercise"]}</div>')
            parts.append(
                f'<p class="drill"><strong>{words["exercise"]}</strong>{words["exercise_note"]}</p>'
            )
        if not facts.job.settled:
            moving = self._messages(sum(facts.job.counts[state] for state in _MOVING))
            parts.append(f'<p class="open">{words["open"].format(moving=moving)}</p>')
        return "\n".join(parts)

    def _lead(self) -> str:
        facts, words, job = self._facts, self._words, self._facts.job
        delivered = job.counts["delivered"]
        said = {0: "none_delivered", 1: "one_delivered"}.get(delivered, "delivered")
        within = facts.survey.delivered.within_s(95)
        drill = job.exercise and job.job_class == "alert"
        sentence = words["lead"].format(
            at=self._at(job.created_at),
            by=self._who(job.ordered_by),
            what=words["alert_drill" if drill else job.job_class],
            tenant=escape(job.tenant),
            people=self._count(job.total, "person", "people"),
            delivered=words[said].format(n=self._number(delivered)),
            share=f" ({self._share(delivered, job.total)})" if delivered else "",
            soon=""
            if delivered < 2 or within is None
            else words["soon"].format(time=self._duration(within)),
        )
        return f'<p class="lead">{sentence}</p>'

    def _figures(self) -> str:
        words, job = self._words, self._facts.job
        taken = sum(job.counts[state] for state in _TAKEN)
        failed = sum(job.counts[state] for state in _FAILED)
        figures = (
            ("", job.total, words["figure_total"], False),
            ("", taken, words["figure_accepted"], True),
            ("", job.counts["delivered"], words["figure_delivered"], True),
            (' class="bad"' if failed else "", failed, words["figure_failed"], True),
        )
        tiles = "".join(
            f"<div{kind}><b>{self._number(count)}"
            f"{f' <i>{self._share(count, job.total)}</i>' if shares else ''}</b>"
            f"<span>{title}</span></div>"
            for kind, count, title, shares in figures
        )
        return f'<div class="figures">{tiles}</div>'

    def _order(self) -> str:
        facts, words, job = self._facts, self._words, self._facts.job
        rows = [
            (words["ordered_by"], self._who(job.ordered_by)),
            (words["tenant"], escape(job.tenant)),
            (words["class"], words[f"class_{job.job_class}"]),
            (words["purpose"], escape(job.purpose) if job.purpose != job.job_class else ""),
            (words["label"], escape(job.label or "")),
            (words["sender"], escape(job.sender)),
            (words["created_at"], self._at(job.created_at)),
            (words["starts_at"], self._at(job.starts_at) if job.starts_at > job.created_at else ""),
            (words["first_submit"], self._at(job.first_submit_at)),
            (words["last_submit"], self._at(facts.survey.last_submit_at)),
            (words["expires_at"], self._at(facts.ordered.expires_at)),
        ]
        return f"<h2>{words['order']}</h2>\n{_definitions(rows, 'two')}"

    def _text(self) -> str:
        facts, words, ordered = self._facts, self._words, self._facts.ordered
        title = f"<h2>{words['text']}</h2>\n"
        if ordered.text is None:
            return (
                f"{title}<p>{words['text_purged'].format(at=self._at(ordered.text_purged_at))}</p>"
            )
        composed = facts.composed()
        if composed is None:
            personal = words["personal"].format(segments=self._number(facts.job.segments))
            return (
                f'{title}<blockquote>{escape(ordered.text)}</blockquote><p class="note">{personal}'
                "</p>"
            )
        count = len(composed.segments)
        takes = words["segments_one" if count == 1 else "segments"].format(
            encoding={"gsm7": "GSM 03.38", "ucs2": "UCS2"}[composed.encoding], n=count
        )
        if composed.text == ordered.text:
            return (
                f'{title}<p class="note">{words["as_ordered_and_sent"]} – {takes}</p>'
                f"<blockquote>{escape(ordered.text)}</blockquote>"
            )
        return (
            f'{title}<p class="note">{words["as_ordered"]}</p>'
            f"<blockquote>{escape(ordered.text)}</blockquote>"
            f'<p class="note">{words["as_sent"]} – {takes}</p>'
            f"<blockquote>{escape(composed.text)}</blockquote>"
        )

    def _outcome(self) -> str:
        words, job = self._words, self._facts.job
        rows = [
            (
                f'<span class="bad">{title}</span>' if state in _FAILED else title,
                meaning,
                self._number(job.counts[state]),
                self._share(job.counts[state], job.total),
            )
            for state, (title, meaning) in self._language.states.items()
            if job.counts[state]
        ]
        columns = (words["state"], words["meaning"], f">{words['count']}", f">{words['share']}")
        total = (words["total"], "", self._number(job.total), "")
        return (
            f"<h2>{words['outcome']}</h2>\n{_table(columns, rows, total)}"
            f'<p class="note">{words["delivered_note"]}</p>'
        )

    def _delays(self) -> str:
        words, found = self._words, self._facts.survey
        rows = [
            (
                self._states[state],
                self._number(len(delays)),
                *(self._duration(delays.within_s(share)) for share in (*SHARES, 100)),
            )
            for state, delays in (("accepted", found.accepted), ("delivered", found.delivered))
        ]
        within = (f">{words['within'].format(share=share)}" for share in SHARES)
        columns = (words["point"], f">{words['of_messages']}", *within, f">{words['all_within']}")
        since = words["since"].format(at=self._at(self._facts.job.starts_at))
        return f"<h2>{words['delays']} <small>{since}</small></h2>\n{_table(columns, rows)}"

    def _errors(self) -> str:
        words = self._words
        errors = self._facts.survey.errors.most_common(_ERRORS_LISTED)
        if not errors:
            return ""
        rows = [(self._reason(error), self._number(count)) for error, count in errors]
        columns = (words["error"], f">{words['count']}")
        return f"<h2>{words['errors']}</h2>\n{_table(columns, rows)}"

    def _actions(self) -> str:
        words = self._words
        rows = [
            (
                str(entry.id),
                self._at(entry.at),
                self._who(entry.actor),
                escape(self._language.actions.get(entry.action, entry.action)),
                self._details(entry),
            )
            for entry in self._facts.actions
        ]
        title = f"<h2>{words['did']} <small>{words['did_note']}</small></h2>\n"
        if not rows:
            return f"{title}<p>{words['no_entry']}</p>"
        columns = (words["entry"], words["at"], words["actor"], words["action"], words["details"])
        return title + _table(columns, rows, narrow=(0, 1, 3))

    def _details(self, entry: Entry) -> str:
        if not isinstance(entry.details, Mapping):
            return escape(str(entry.details))
        told = []
        for key, value in entry.details.items():
            if key not in self._language.details:
                continue
            if key == "states" and isinstance(value, list):
                value = ", ".join(self._states.get(str(state), str(state)) for state in value)
            elif isinstance(value, int):
                value = self._messages(value) if key == "messages" else self._number(value)
            shown = escape(str(value))
            shown = f'<code class="hash">{shown}</code>' if key == "sha256" else shown
            told.append(self._language.details[key].format(shown))
        return ", ".join(told)

    def _reason(self, error: str) -> str:
        return escape(self._language.reasons.get(error, error))

    def _check(self) -> str:
        facts, words = self._facts, self._words
        head, problems = facts.chain
        entries = self._count(head.entries, "entry_count_one", "entry_count")
        audit = words["sound"].format(n=entries)
        if problems:
            broken = words["broken"].format(problem=escape(" ".join(problems[:3])))
            audit = f'<strong class="bad">{broken}</strong>'
        rows = [
            (words["audit_sound"], audit),
            (words["audit_head"], f"<code>{escape(head.hash)}</code> ({head.last_id})"),
            (words["content"], f"<code>{escape(facts.ordered.content or '–')}</code>"),
            (words["software"], f"smppgw {escape(facts.version)}"),
        ]
        note = words["check_note"].format(job=facts.job.job_id)
        return (
            f'<section class="together"><h2>{words["check"]}</h2>\n{_definitions(rows)}'
            f'<p class="note">{note}</p>{self._signatures()}</section>'
        )

    def _signatures(self) -> str:
        boxes = (self._words["sign_date"], self._words["sign_name"])
        return f'<div class="sign">{"".join(f"<div>{box}</div>" for box in boxes)}</div>'

    # The chart

    def _chart(self) -> str:
        facts, words = self._facts, self._words
        accepted, delivered = facts.survey.accepted, facts.survey.delivered
        if not accepted and not delivered:
            return ""
        end_s, step_s = _extent(accepted, delivered)
        total = facts.job.total
        width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

        def across(seconds: float) -> float:
            return _LEFT + width * seconds / end_s

        def up(count: float) -> float:
            return _TOP + height * (1 - count / total)

        parts = [
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{words["curve"]}"'
            ' xmlns="http://www.w3.org/2000/svg">'
        ]
        for quarter in range(5):
            y = up(total * quarter / 4)
            kind = "grid" if quarter else "axis"
            parts.append(f'<path class="{kind}" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
            percent = f"{25 * quarter}{self._language.percent}"
            parts.append(
                f'<text class="soft" x="{_WIDTH - _RIGHT + 6}" y="{y + 3.5:.1f}">{percent}</text>'
            )
            if total * quarter % 4 == 0:
                parts.append(
                    f'<text x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">'
                    f"{self._number(total * quarter // 4)}</text>"
                )
        foot = _TOP + height
        for tick in range(round(end_s / step_s) + 1):
            x = across(tick * step_s)
            parts.append(
                f'<path class="axis" d="M{x:.1f} {foot}v4"/><text x="{x:.1f}" y="{foot + 16}"'
                f' text-anchor="middle">{self._tick(tick * step_s, step_s)}</text>'
            )
        parts.append(
            f'<text class="soft" x="{_LEFT + width / 2:.1f}" y="{_HEIGHT - 6}"'
            f' text-anchor="middle">{words["curve_axis"]}</text>'
        )
        within = delivered.within_s(95)
        if within is not None and within <= end_s:
            x, left = across(within), within < end_s * 0.6
            parts.append(f'<path class="mark" d="M{x:.1f} {_TOP}V{foot}"/>')
            parts.append(
                f'<text x="{x + (5 if left else -5):.1f}" y="{foot - 8}" text-anchor="'
                f'{"start" if left else "end"}">'
                f"{words['curve_mark'].format(time=self._duration(within))}</text>"
            )
        line = _line(delivered, end_s, across, up)
        parts.append(f'<path class="area" d="{line}V{foot}H{_LEFT}Z"/>')
        parts.append(f'<path class="accepted" d="{_line(accepted, end_s, across, up)}"/>')
        parts.append(f'<path class="delivered" d="{line}"/>')
        for x, kind in ((_LEFT, "accepted"), (_LEFT + 220, "delivered")):
            parts.append(
                f'<path class="{kind}" d="M{x} 12h26"/>'
                f'<text x="{x + 32}" y="15.5">{words[f"curve_{kind}"]}</text>'
            )
        parts.append("</svg>")
        late = sum(_beyond(delays, end_s) for delays in (accepted, delivered))
        note = ""
        if late:
            last = max(delays.within_s(100) or 0.0 for delays in (accepted, delivered))
            beyond = words["curve_beyond"].format(
                n=self._messages(max(_beyond(accepted, end_s), _beyond(delivered, end_s))),
                time=self._duration(last),
            )
            note = f'<p class="note">{beyond}</p>'
        return f"<h2>{words['curve']}</h2>\n<figure>{''.join(parts)}{note}</figure>"

    def _tick(self, seconds: float, step_s: float) -> str:
        if step_s < 1:
            return f"{seconds:.1f}\u00a0s".replace(".", self._language.decimal)
        if step_s < 60:
            return f"{seconds:.0f}\u00a0s"
        if step_s < 3600:
            return f"{seconds / 60:.0f}\u00a0min"
        return f"{seconds / 3600:.0f}\u00a0h"

    # The list

    def list_head(self) -> str:
        facts, words = self._facts, self._words
        note = words["list_note"].format(
            zone=escape(str(facts.zone)), day=self._day.strftime(self._language.date)
        )
        purged = facts.ordered.numbers_purged_at
        numbers = words[f"numbers_{facts.numbers}"]
        if purged is not None:
            numbers = words["numbers_purged"].format(at=self._at(purged))
        columns = ("", "number", "state", "submitted", "accepted", "done", "parts", "ids", "why")
        heads = "".join(f"<th>{words[name] if name else ''}</th>" for name in columns)
        hashed = facts.numbers == "hashed" or purged is not None
        return (
            f'\n<section class="list"><h2>{words["list"]}</h2>\n<p class="note">{note} {numbers}'
            f'</p>\n<table class="all{" hashed" if hashed else ""}"><thead><tr>{heads}</tr>'
            "</thead><tbody>\n"
        )

    def row(self, number: int, message: Sent, shown: Callable[[str], str]) -> str:
        """Return one message's row; its end tags, which HTML does not need, are left out."""
        failed = ' class="bad"' if message.state in _FAILED else ""
        return (
            f"<tr><td>{number}<td>{escape(shown(message.number))}"
            f"<td{failed}>{self._states[message.state]}<td>{self._clock(message.submitted_at)}"
            f"<td>{self._clock(message.accepted_at)}<td>{self._clock(message.done_at)}"
            f"<td>{message.segments}<td>{escape(', '.join(message.smsc_message_ids))}"
            f"<td>{self._reason(message.error or '')}\n"
        )


def _extent(accepted: Delays, delivered: Delays) -> tuple[float, float]:
    """Return how many seconds the chart shows, and from tick to tick.

    All of them, unless a few stragglers would press everything else against its left side.
    """
    last_s = max(delays.within_s(100) or 0.0 for delays in (accepted, delivered))
    most_s = max(delays.within_s(99) or 0.0 for delays in (accepted, delivered))
    if last_s > _TAIL * most_s > 0:
        last_s = most_s * 1.25
    days = (86_400.0 * days for days in range(1, 400))
    step_s = next(step for step in (*_STEPS_S, *days) if step * _TICKS_AT_MOST >= last_s)
    ticks = max(1, -(-last_s // step_s))
    return ticks * step_s, step_s


def _line(
    delays: Delays, end_s: float, across: Callable[[float], float], up: Callable[[float], float]
) -> str:
    """Draw how many had come by when."""
    after_ms = delays.ordered_ms()
    points = (end_s * point / _POINTS for point in range(_POINTS + 1))
    return "M" + "L".join(
        f"{across(at):.1f} {up(bisect_right(after_ms, at * 1000)):.1f}" for at in points
    )


def _beyond(delays: Delays, end_s: float) -> int:
    return len(delays) - bisect_right(delays.ordered_ms(), end_s * 1000)


def _definitions(rows: Iterable[tuple[str, str]], kind: str = "one") -> str:
    """Lay out names and what they are; what is empty is left out. All of it is HTML already."""
    pairs = (f"<div><dt>{name}</dt><dd>{what}</dd></div>" for name, what in rows if what)
    return f'<dl class="{kind}">{"".join(pairs)}</dl>'


def _table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    total: Sequence[str] | None = None,
    narrow: Sequence[int] = (),
) -> str:
    """Lay out a table; a column whose name begins with > is numbers. All of it is HTML already."""
    kinds = [
        ' class="n"' if name.startswith(">") else ' class="w"' if at in narrow else ""
        for at, name in enumerate(columns)
    ]

    def line(tag: str, cells: Iterable[str]) -> str:
        made = (f"<{tag}{kind}>{cell}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))
        return f"<tr>{''.join(made)}</tr>"

    head = line("th", (name.removeprefix(">") for name in columns))
    foot = "" if total is None else f"<tfoot>{line('td', total)}</tfoot>"
    body = "".join(line("td", row) for row in rows)
    return f"<table><thead>{head}</thead><tbody>{body}</tbody>{foot}</table>"
