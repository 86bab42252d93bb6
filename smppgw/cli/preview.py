"""The page that `preview` and `submit` show: the text, the bill, who is left out, and when it ends.

At a terminal costly characters are marked where they stand, and nothing is wider than WIDTH; where
nobody looks the same is said in plain lines, none of them cut.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from smppgw import sms
from smppgw.campaign.preview import costly, pieces
from smppgw.campaign.recipients import REASONS
from smppgw.campaign.submission import Plan
from smppgw.cli.output import duration, err, out, plural, table, told, visible

WIDTH = 100
_COSTLY = "black on yellow"
_LISTED = 12  # costly characters, before the rest is only counted
_OVER = "bold red"


def show_page(document: dict[str, Any], plan: Plan) -> None:
    """Print what a job comes to; warnings go to standard error.

    Args:
        document: as `Plan.document` made it.
        plan: after its walk.
    """
    job, state = document["job"], document["state"]
    head = f"Job {job} is {state}" if job else "This would be queued" if state else "Not queued"
    out.print(
        f"[bold]{head}[/bold]: {document['class']}, {document['tenant']}, "
        f"from {told(document['sender'])}\n"
    )
    _print_rows(_lines(document, plan))
    out.print()
    out.print(_prices(document, plan))
    if plan.personal:
        out.print()
        _print_rows(_examples(plan))
    show_warnings(document["warnings"])


def _print_rows(rows: Iterable[tuple[str, Text]]) -> None:
    """Print what has a title: side by side and folded at a terminal, else one line each."""
    rows = list(rows)
    if out.is_terminal:
        page = Table.grid(padding=(0, 2))
        page.add_column(no_wrap=True, style="bold")
        page.add_column(overflow="fold")
        for row in rows:
            page.add_row(*row)
        out.print(page, width=min(out.width, WIDTH))
        return
    indent = max(len(title) for title, _ in rows) + 2
    for title, words in rows:
        out.print(Text(f"{title:<{indent}}").append(words.plain.replace("\n", f"\n{' ' * indent}")))


def show_warnings(warnings: Iterable[str]) -> None:
    """Print warnings, to standard error; folded at a terminal, else one line each."""
    width = min(err.width, WIDTH) if err.is_terminal else None
    for warning in warnings:
        err.print(
            f"[yellow]Warning:[/yellow] {told(warning)}",
            width=width,
            soft_wrap=not err.is_terminal,
        )


def _lines(document: dict[str, Any], plan: Plan) -> Iterator[tuple[str, Text]]:
    recipients, text = document["recipients"], document["text"]
    yield "Text", marked(plan.order.text, template=True)
    for line in _costs(plan.order.text, plan.order.rewrite):
        yield "Costly", Text(line)
    in_values = [c for c in text["forces_ucs2"] if c not in plan.order.text]
    if in_values:
        named = " ".join(visible(character) for character in in_values)
        yield "Costly", Text(f"{named}  (from the list; these force UCS2 too)")
    sent = plan.constant
    if sent is not None and sent.text != plan.order.text:
        yield "As sent", marked(sent.text)
    yield "Length", Text(_length(document, plan))
    yield "Recipients", Text(f"{recipients['queued']} of {recipients['read']}")
    for reason, count in plan.recipients.reasons.most_common():
        yield "Left out", Text(f"{count} {reason}: {REASONS[reason]}")
    if document["left_out_file"]:
        yield "", Text(f"row by row in {document['left_out_file']}")
    yield "Segments", Text(f"{document['segments']}{_comma(document['price'])}")
    ends_at, starts_at = document["finish_at"], document["starts_at"]
    finish = "its hours never let it end" if ends_at is None else f"until {_moment(ends_at)}"
    begins = "" if starts_at is None else f"from {_moment(starts_at)}, "
    ahead = document["segments_ahead"]
    behind = f", behind {plural(ahead, 'segment')}" if ahead else ""
    yield "Time", Text(f"{begins}{duration(document['seconds'])}{behind}, {finish}")
    if document["budget"]:
        yield "Budget", _budget(document["budget"])


def _moment(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%d/%m/%Y %H:%M:%S")


def _budget(budget: dict[str, int]) -> Text:
    left = budget["limit"] - budget["after"]
    what = f"{left} left after it" if left >= 0 else f"{-left} too many"
    return Text(
        f"{budget['limit']} segments this month, {budget['used']} used before this, {what}",
        style="" if left >= 0 else _OVER,
    )


def _length(document: dict[str, Any], plan: Plan) -> str:
    text, encodings = document["text"], plan.tally.encodings
    shortest, longest = text["segments_min"], text["segments_max"]
    segments = plural(longest, "segment")
    if shortest != longest:
        segments = f"{shortest} to {segments}"
    line = f"{segments} each, alphabet {text['encoding']}"
    if len(encodings) > 1:
        line += f": {encodings['ucs2']} of {encodings.total()} texts need UCS2"
    return line


def _costs(text: str, used: str) -> Iterator[str]:
    """Name the characters that cost and what is cheaper, by what is to be done about them."""
    replaced: dict[str, list[str]] = {}
    doubled, kept = [], []
    for one in costly(text)[:_LISTED]:
        if one.doubles:
            doubled.append(one.name)
        elif one.rewrite is None:
            kept.append(one.name)
        else:
            cheaper = one.replacement if one.replacement.strip() else "a space"
            cheaper = cheaper if one.replacement else "nothing"
            replaced.setdefault(one.rewrite, []).append(f"{one.name} → {cheaper}")
    for rewrite, pairs in replaced.items():
        done = sms.REWRITES.index(used) >= sms.REWRITES.index(rewrite)
        yield f"{', '.join(pairs)}  ({'done by' if done else 'with'} --rewrite {rewrite})"
    if kept:
        yield f"{' '.join(kept)}  (nothing cheaper; a segment with one holds 70 characters)"
    if doubled:
        yield f"{' '.join(doubled)}  (each counts for two)"
    more = len(costly(text)) - _LISTED
    if more > 0:
        yield f"and {plural(more, 'other character')}"


def _prices(document: dict[str, Any], plan: Plan) -> Table:
    """Set the three rewrites side by side."""
    figures = document["rewrites"]
    names = [f"{name} (used)" if name == plan.order.rewrite else name for name in figures]
    prices = [figures[name]["price"] for name in figures]
    rows = [("Segments", *(figures[name]["segments"] for name in figures))]
    if any(prices):
        rows.append(("Price", *(_comma(price).removeprefix(", ") or "–" for price in prices)))
    return table(None, "Rewrite", *(f">{name}" for name in names), rows=rows)


def _examples(plan: Plan) -> Iterator[tuple[str, Text]]:
    """Show real texts, as they are sent."""
    for name, example in plan.tally.examples.named():
        size = f"row {example.row}, {plural(example.segments, 'segment')}"
        yield name.capitalize(), Text(f"{size}: ").append_text(marked(example.text))


def marked(text: str, *, template: bool = False) -> Text:
    """Mark the characters that cost; a control character is shown as a picture of it.

    Args:
        text: any text.
        template: it has {placeholders}, which cost nothing by themselves.
    """
    made = Text()
    for piece in pieces(text, template=template):
        made.append(visible(piece.text), _COSTLY if piece.costly else "")
    return made


def _comma(price: dict[str, str] | None) -> str:
    return f", {price['amount']} {price['currency']}" if price else ""
