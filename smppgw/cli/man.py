"""The manual page smppgw(1), made from the help of the commands: `python -m smppgw.cli.man`.

One page for all commands, so that `man smppgw` can be searched; click-man makes a page for each,
dated by the day it ran. It holds ASCII alone, so that no locale can spoil it: other characters are
written as groff names them (groff_char(7)).
"""

import inspect
import re
import sys
from collections.abc import Iterator

import click

from smppgw import __version__
from smppgw.cli import commands

_EXIT_STATUS = {
    "0": "Done.",
    "1": "It could not be done; standard error says why and what to do next.",
    "2": "Wrong usage, configuration or input.",
    "3": "Nothing was queued, because submit --strict found recipients to leave out.",
    "130": "Interrupted by Ctrl-C.",
}


def page() -> str:
    """Return the whole page."""
    context = click.Context(commands, info_name="smppgw", **commands.context_settings)
    about, _, first_steps = inspect.cleandoc(commands.help or "").partition("\b")
    lines = [
        f'.TH SMPPGW 1 "" "smppgw {__version__}" "User Commands"',
        ".SH NAME",
        rf"smppgw \- {_text('send SMS over an SMPP account, alerts first')}",
        ".SH SYNOPSIS",
        r"\fBsmppgw\fR [\fIOPTIONS\fR] \fICOMMAND\fR [\fIARGUMENTS\fR]",
        ".SH DESCRIPTION",
        *_paragraphs(about),
        ".SH OPTIONS",
        *_options(commands, context),
        ".SH COMMANDS",
    ]
    for path, command, below in _leaves(commands, context, "smppgw"):
        usage = " ".join(command.collect_usage_pieces(below))
        lines += [f".SS {_text(path)}", rf"\fB{_text(path)}\fR {_text(usage)}"]
        about = inspect.cleandoc(command.help or "")
        lines += [".PP", *_paragraphs(about), *_options(command, below)]
        if command.epilog:
            lines += [".PP", *_paragraphs(command.epilog)]
    lines += [".SH EXIT STATUS"]
    for status, means in _EXIT_STATUS.items():
        lines += [".TP", rf"\fB{status}\fR", _text(means)]
    lines += [
        ".SH ENVIRONMENT",
        ".TP",
        r"\fBSMPPGW_CONFIG\fR",
        "The configuration, where no --config names it.",
        ".TP",
        r"\fBNO_COLOR\fR",
        "No colours, if it is not empty.",
        ".SH EXAMPLES",
        *_paragraphs(f"\b{first_steps}"),
    ]
    return "\n".join(lines) + "\n"


def _leaves(
    group: click.Group, context: click.Context, words: str
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Give each command that does something, as a person types it."""
    for name, command in group.commands.items():
        below = click.Context(command, parent=context, info_name=name)
        if isinstance(command, click.Group):
            yield from _leaves(command, below, f"{words} {name}")
        elif not command.hidden:
            yield f"{words} {name}", command, below


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    # That --help is an option of every command stands once, among those of all.
    parameters = command.get_params(context) if command is commands else command.params
    for parameter in parameters:
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record is not None:
            names, means = record
            yield from (".TP", rf"\fB{_text(names)}\fR", _text(means))


def _paragraphs(help_text: str) -> Iterator[str]:
    """Write paragraphs as click does: one that begins with \\b keeps its lines."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", help_text.strip("\n "))):
        lines = [line.strip("\n") for line in paragraph.strip("\n").split("\n")]
        if number:
            yield ".PP"
        if lines[0].strip() == "\b":
            yield from (".nf", *(_text(line) for line in lines[1:]), ".fi")
        elif paragraph.strip():
            yield _text(" ".join(line.strip() for line in lines))


def _text(text: str) -> str:
    """Write text in which nothing is a command of groff; a dash is one that can be copied."""
    written = text.replace("\\", r"\e").replace("-", r"\-").replace("`", r"\(ga")
    written = written.replace("'", r"\(aq").replace("^", r"\(ha").replace("~", r"\(ti")
    written = "".join(c if c.isascii() else rf"\[u{ord(c):04X}]" for c in written)
    return rf"\&{written}" if written.startswith(".") else written


if __name__ == "__main__":
    sys.stdout.write(page())
