"""The page at a terminal: marked where it costs, and never wider than a hundred columns."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from smppgw.cli.output import visible
from smppgw.cli.preview import WIDTH, marked

STYLED = re.compile(r"\x1b\[([0-9;?]*)[A-Za-z]")


@pytest.fixture
def page(config_path: Path) -> Callable[..., str]:
    """Read what a command shows at a terminal of so many columns."""

    def read(columns: int, *arguments: object) -> str:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        with subprocess.Popen(
            [sys.executable, "-m", "smppgw", "--config", config_path, *map(str, arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"TERM": "xterm"},
        ) as process:
            os.close(theirs)
            octets = b""
            try:
                while piece := os.read(ours, 65536):
                    octets += piece
            except OSError:  # a terminal that nobody holds any more
                pass
            assert process.wait(30) == 0
        os.close(ours)
        return octets.decode()

    return read


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_at_a_terminal_nothing_is_wider_than_it_or_a_hundred_columns(
    columns: int, page: Callable[..., str], tmp_path: Path
) -> None:
    listed = tmp_path / "habitants.csv"
    rows = "".join(f"06000000{at:02d};{'Marie-Ève ' * 9}\n" for at in range(20))
    listed.write_text(f"Portable;Prénom\n{rows}0100000001;x\n", "utf-8")
    shown = page(
        columns, "preview", "--recipients", listed,
        "--text", "Bonjour {prenom}, l’eau sera coupée, « encore » et toujours… " * 4,
    )  # fmt: skip
    lines = [line.rstrip() for line in STYLED.sub("", shown).splitlines()]
    assert max(map(len, lines)) <= min(columns, WIDTH)
    assert max(map(len, lines)) > 60
    assert [line for line in lines if line.startswith("Longest")]


def test_at_a_terminal_costly_characters_stand_out(page: Callable[..., str]) -> None:
    shown = page(100, "preview", "--to", "06 00 00 00 01", "--text", "Coupure d’eau à 8 h")
    assert re.search(r"Coupure d\x1b\[30;43m’\x1b\[0meau à 8 h", shown)


def test_a_mark_covers_what_costs_and_nothing_else() -> None:
    text = marked("Noël {prénom ê} à 3 €", template=True)
    assert [text.plain[span.start : span.end] for span in text.spans] == ["ë", "€"]


def test_whatever_is_not_shown_has_a_picture_but_line_ends_and_blanks() -> None:
    assert visible("a\x00\x1b\n\u00a0\u202f\u202e\u200bé😀") == "a␀␛\n\u00a0\u202f��é😀"
