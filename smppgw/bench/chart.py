"""A bar chart of the result, as SVG written by hand: messages a second, the gateway and its peers.

It stands alone, needs no font and no script, and reads on light and dark paper.
"""

from typing import NamedTuple
from xml.sax.saxutils import escape  # nosec B406  # it only escapes, and parses nothing

from smppgw.bench.budgets import Result


class Bar(NamedTuple):
    """One bar: the row it shows, what it is called, and its colour."""

    row: str
    label: str
    colour: str


BARS = (
    Bar("messages_per_s", "smppgw: on disk, with receipts", "#0b6e4f"),
    Bar("smpp34_per_s", "smpp34: nothing stored", "#7a869a"),
    Bar("aiosmpplib_per_s", "aiosmpplib: nothing stored", "#7a869a"),
    Bar("smpplib_per_s", "smpplib: nothing stored", "#7a869a"),
)
WIDTH, LEFT, RIGHT, TOP, STEP, THICK = 720, 250, 90, 56, 36, 22
_TITLE = "Messages a second with their receipts, window 100"
_STYLE = (
    "text{font-family:sans-serif;font-size:14px;fill:#333}"
    ".title{font-size:16px;font-weight:bold}.small{font-size:12px}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}}"
)


def draw(result: Result) -> str:
    """Draw the bars whose rows were measured."""
    bars = [(bar, figure) for bar in BARS if (figure := result.figure(bar.row))]
    longest = max((figure for _, figure in bars), default=1.0)
    height = TOP + STEP * len(bars) + 34
    said = "; ".join(f"{bar.label}, {figure:,.0f} a second" for bar, figure in bars)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-labelledby="title desc">',
        f'<title id="title">{_TITLE}</title>',
        f'<desc id="desc">{escape(said)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="12" y="28">{_TITLE}</text>',
    ]
    for place, (bar, figure) in enumerate(bars):
        y = TOP + STEP * place
        length = max(1, round((WIDTH - LEFT - RIGHT) * figure / longest))
        middle = y + THICK // 2 + 5
        lines += [
            f'<text x="{LEFT - 10}" y="{middle}" text-anchor="end">{escape(bar.label)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{length}" height="{THICK}" fill="{bar.colour}"/>',
            f'<text x="{LEFT + length + 8}" y="{middle}">{figure:,.0f}</text>',
        ]
    lines += [f'<text class="small" x="12" y="{height - 12}">{escape(_machine(result))}</text>']
    return "\n".join([*lines, "</svg>", ""])


def _machine(result: Result) -> str:
    machine = result.machine
    return (
        f"{machine['cores']} cores, Python {machine['python']}, SQLite {machine['sqlite']}, "
        f"one fsync {machine['fsync_ms']:.2f} ms, SMSC {machine['smsc']}"
    )
