"""Pictures that are drawn again in place: no wider and no higher than the terminal.

The last one stays when the watching ends. Where nobody looks, or a terminal cannot move its cursor,
nothing is drawn: `can_draw` says so beforehand.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

WIDTH = 100  # no wider, however wide the terminal
_MEASURED_S = 10.0  # the rate is that of the last seconds


def can_draw(console: Console) -> bool:
    """Whether a picture can be drawn again in place."""
    return console.is_terminal and not console.is_dumb_terminal


class Picture:
    """Parts one below the other; what does not fit the terminal's height is left off below."""

    def __init__(self, *parts: RenderableType) -> None:
        self._parts = parts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render what fits; the line below is the cursor's."""
        fitting = options.update(
            width=min(options.max_width, WIDTH), no_wrap=False, overflow="fold"
        )
        lines = console.render_lines(Group(*self._parts), fitting, pad=False)
        shown = lines[: max(1, options.size.height - 1)]
        for at, line in enumerate(shown, 1):
            yield Segments(line)
            if at < len(shown):
                yield Segment.line()


def watch(
    console: Console,
    look: Callable[[], tuple[RenderableType, bool]],
    every_s: float,
    *,
    keep: bool = True,
) -> None:
    """Draw what `look` returns every so often, until it says that this is the last.

    Args:
        console: where; `can_draw` says whether it can.
        look: returns what there is to see, and whether nothing more can come.
        every_s: seconds between two looks.
        keep: leave the last picture where it is.

    Raises:
        KeyboardInterrupt: somebody has seen enough; the last picture stays.
    """
    with Live(console=console, auto_refresh=False, transient=not keep) as live:
        while True:
            picture, last = look()
            live.update(picture, refresh=True)
            if last:
                return
            time.sleep(every_s)


class Meter:
    """How fast something grows, over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, count: int, now: float) -> None:
        """Take note of how much there is at a time (monotonic seconds)."""
        self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _MEASURED_S:
            self._seen.popleft()

    @property
    def per_s(self) -> float | None:
        """How many came each second, 0 where there are fewer now; None where too little is seen."""
        if len(self._seen) < 2:
            return None
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        return max(0.0, (last - first) / (ended - began)) if ended > began else None


def bars(rows: Iterable[tuple[str, int, int, str]]) -> Table:
    """Set counts beside bars.

    Args:
        rows: what it is, how many of how many, and the colour.
    """
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    for name, count, total, style in rows:
        share = count / total if total else 0.0
        grid.add_row(name, bar(count, total, style), Text(f"{count}", style="bold"), f"{share:.1%}")
    return grid


def bar(count: int, total: int, style: str = "green") -> ProgressBar:
    """Draw how much of a total is there."""
    return ProgressBar(
        total=max(total, 1), completed=count, complete_style=style, finished_style=style
    )
