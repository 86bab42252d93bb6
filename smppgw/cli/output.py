"""How commands speak: JSON for machines on standard output, tables and progress for people.

Results go to standard output, everything else to standard error. Without a terminal there are no
colours, no progress bars, no prompts, and no line is cut to a width. What people wrote is printed
as they wrote it, but for what a terminal would obey: it is escaped, or it is a cell of a table,
where nothing is markup.
"""

import codecs
import json
import os
import pwd
import sys
from collections.abc import Callable, Iterable
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, TypeVar

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

F = TypeVar("F", bound=Callable[..., Any])

_WIDE = 1000  # columns where nobody looks: a program that reads a table wants whole cells


def _console(*, stderr: bool) -> Console:
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(
        stderr=stderr,
        highlight=False,
        soft_wrap=True,
        emoji=False,
        width=None if terminal else _WIDE,
    )


out = _console(stderr=False)
err = _console(stderr=True)


def json_option(command: F) -> F:
    """Give a command its --json."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
    )(command)


def show_json(document: object) -> None:
    """Print one JSON document on standard output."""
    click.echo(json.dumps(document, ensure_ascii=not unicode_out()))


def unicode_out() -> bool:
    """Whether standard output can write every character: JSON is escaped where it cannot."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        return False


def table(title: str | None, *columns: str, rows: Iterable[Iterable[object]] = ()) -> Table:
    """Make a table for people; a column whose name begins with > is aligned to the right."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        collapse_padding=True,
        pad_edge=False,
    )
    for at, column in enumerate(columns, 1):
        right = column.startswith(">")
        made.add_column(
            column.removeprefix(">"),
            justify="right" if right else "left",
            no_wrap=at < len(columns),
            min_width=12 if at == len(columns) else None,  # the last is the longest, and wraps
            overflow="fold" if at == len(columns) else "ellipsis",
        )
    for row in rows:
        made.add_row(*(Text("" if cell is None else visible(str(cell))) for cell in row))
    return made


def told(text: object) -> str:
    """Return what somebody wrote, to be printed among our own words."""
    return escape(visible(str(text)))


def visible(text: str) -> str:
    """Replace what a terminal would obey, except line ends: a text may hold anything."""
    return "".join(
        chr(0x2400 + ord(c)) if c < " " and c != "\n" else "\ufffd" if _invisible(c) else c
        for c in text
    )


def _invisible(character: str) -> bool:
    """Whether a character is neither shown nor a blank: it may turn a line around, or worse."""
    return not character.isprintable() and not character.isspace()


def private(path: str | Path, flags: int) -> int:
    """Open a file that holds numbers, as `opener`: a new one is for its owner alone.

    A link is refused: in a folder of many, somebody may have laid it there to have another file
    overwritten.
    """
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def plural(count: int, noun: str) -> str:
    """Write a count and its noun: 1 segment, 2 segments."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def iso(milliseconds: int | None, zone: tzinfo) -> str | None:
    """Write a time of the ledger as ISO 8601 with offset."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, zone).isoformat(timespec="milliseconds")


def clock(milliseconds: int | None, zone: tzinfo, form: str = "%d/%m/%Y %H:%M:%S") -> str:
    """Write a time of the ledger for people."""
    if milliseconds is None:
        return "–"
    return datetime.fromtimestamp(milliseconds / 1000, zone).strftime(form)


def duration(seconds: float) -> str:
    """Write a duration for people: the two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def whoami() -> str:
    """Return who gives the order, for the audit: the name that sudo was called with, else our own.

    Who may run commands as this account can say anything here: it is a name, not a proof.
    """
    behind_sudo = os.environ.get("SUDO_USER")
    if behind_sudo:
        return behind_sudo.encode("utf-8", "backslashreplace").decode()
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # in a container a process may have a number and no name
        return f"uid {uid}"
