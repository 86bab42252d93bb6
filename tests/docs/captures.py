"""Pictures of what an operator sees, from a run of the programs: `python -m tests.docs.captures`.

A simulated SMSC and a gateway run on free ports of this machine, in a folder that goes away; the
commands run in a pseudo-terminal, and what they draw last becomes an SVG that needs nothing from
elsewhere. The list is that of the demo, seeds are fixed: another run has other times, and another
moment of what is under way.
"""

import fcntl
import io
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from smppgw.cli.demo import LIST, sample_list

ROOT: Final = Path(__file__).parent.parent.parent
FOLDER: Final = ROOT / "docs" / "captures"
COLUMNS: Final = 100
ROWS: Final = 40
LIMIT_S: Final = 60.0
SERVICE: Final = "/var/lib/smppgw"  # where the database of a service is

CONFIG: Final = """
[gateway]
database = "smppgw.db"
[metrics]
listen = ""
[[smsc]]
name = "operator"
host = "127.0.0.1"
port = {port}
system_id = "syndic"
password = "secret08"
window = 10
throughput = 40
price = 0.038
[[tenant]]
name = "saint-martin"
sender = "STMARTIN"
segments_a_month = 20000
[class.promotional]
days = ["{day}"]
[ready]
free_disk_mb = 1
"""
WATER: Final = "Bonjour {prénom}, l’eau sera coupée jeudi de 9 h à 12 h, {rue}. La mairie"
FETE: Final = "Saint-Martin : la fête a lieu samedi à 15 h place du marché. STOP au 36111"


class Capture(NamedTuple):
    """One picture; `after_s` is when watching ends, None where the command ends by itself."""

    name: str
    shows: str
    words: tuple[str, ...]
    after_s: float | None = None


LISTED: Final = ("--tenant", "saint-martin", "--recipients", LIST)
# In the order in which they are taken; job 1 is under way meanwhile, job 2 waits for its hours.
CAPTURES: Final = (
    Capture(
        "preview",
        "What a list would cost, before anything is queued: each costly character, who is left out "
        "and why, the three rewrites side by side.",
        ("preview", *LISTED, "--text", WATER),
    ),
    Capture(
        "status",
        "The gateway while a list leaves: whether an alert could leave now, the links, what waits "
        "and for what.",
        ("status", "--watch", "1"),
        4.0,
    ),
    Capture(
        "watch",
        "One job on its way, drawn again in place.",
        ("jobs", "watch", "1"),
        4.0,
    ),
    Capture("jobs", "The jobs, and what they wait for.", ("jobs", "list")),
    Capture("ready", "Whether an alert could leave now, condition by condition.", ("ready",)),
    Capture("show", "One job, and how many of its messages are in each state.", ("jobs", "show")),
)
PAGE: Final = """# How it looks

Each picture is what a command wrote in a run of the programs on a simulated SMSC, with invented
numbers; `make captures` takes them anew. [Commands](commands.md) says what each does.
"""


def main() -> None:
    """Take every picture, and write the page that shows them."""
    with tempfile.TemporaryDirectory(prefix="smppgw-captures-") as name:
        folder, port = Path(name), _free_port()
        day = "sat" if time.localtime().tm_wday != 5 else "mon"  # closed today
        (folder / "config.toml").write_text(CONFIG.format(port=port, day=day), "utf-8")
        (folder / LIST).write_bytes(sample_list())
        simulator = ("simulate", "--port", f"{port}", "--seed", "1", "--latency", "30ms")
        outcomes = ("--receipt-delay", "2s", "--outcomes", "DELIVRD=95,UNDELIV=5")
        with _running(folder, *simulator, *outcomes), _running(folder, "run"):
            _take(folder)


def _take(folder: Path) -> None:
    FOLDER.mkdir(exist_ok=True)
    pages = [PAGE]
    for capture in CAPTURES:
        if capture.name == "status":  # so that there is something to see
            _submit(folder, "--label", "Coupure d'eau", "--rewrite", "full", "--text", WATER)
            _submit(folder, "--class", "promotional", "--label", "Fête de l'été", "--text", FETE)
        words = capture.words
        if capture.name == "show":
            _call(folder, "jobs", "watch", "1", "--json")
            words = (*words, "1")
        drawn = _drawn(folder, words, capture.after_s)
        # What differs between two runs and tells nobody anything.
        drawn = re.sub(r"\(pid \d+\)", "(pid 812)", drawn.replace(str(folder), SERVICE))
        title = " ".join(("smppgw", *(_quoted(word) for word in words)))
        if len(title) > COLUMNS - 12:
            title = f"smppgw {words[0]} …"
        (FOLDER / f"{capture.name}.svg").write_text(svg(drawn, title, capture.name), "utf-8")
        picture = f"![smppgw {words[0]}](captures/{capture.name}.svg)"
        heading = " ".join(words[: 2 if words[0] == "jobs" else 1])
        pages.append(f"## `smppgw {heading}`\n\n{capture.shows}\n\n{picture}\n")
    (ROOT / "docs" / "captures.md").write_text("\n".join(pages), "utf-8")


def svg(drawn: str, title: str, name: str) -> str:
    """Turn what a terminal was sent into an SVG that asks for nothing from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(drawn.strip("\n")), no_wrap=True, overflow="crop")
    made = console.export_svg(title=title, theme=MONOKAI, unique_id=f"smppgw-{name}")
    made = re.sub(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", "", made, flags=re.DOTALL)
    return made.replace("Fira Code", "DejaVu Sans Mono")


def last_picture(octets: bytes) -> str:
    """Return what stays on the screen: all of it, or what was drawn after the last wiping."""
    text = octets.decode().replace("\r\n", "\n")
    text = text.rsplit("\x1b[2K", 1)[-1].replace("\r", "")
    return re.sub(r"\x1b\[\?25[hl]", "", text)


def _drawn(folder: Path, words: Sequence[str], after_s: float | None) -> str:
    """Run a command in a terminal, end it by Ctrl-C after a while, and return what is left."""
    ours, theirs = pty.openpty()
    size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    octets, began = b"", time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "smppgw", *words],
        cwd=folder,
        env=_environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        ending = False
        while time.monotonic() - began < LIMIT_S:
            readable, _, _ = select.select([ours], [], [], 0.1)
            if readable:
                try:
                    read = os.read(ours, 65536)
                except OSError:  # how Linux says that nobody holds the other end
                    break
                octets += read
            if after_s is not None and not ending and time.monotonic() - began > after_s:
                process.send_signal(signal.SIGINT)
                ending = True
    finally:
        os.close(ours)
    assert process.wait(LIMIT_S) == 0, last_picture(octets)
    return last_picture(octets)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _SHAPING}
    return kept | {"TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}


_SHAPING = ("COLUMNS", "LINES", "NO_COLOR", "COLORTERM", "SMPPGW_CONFIG", "SUDO_USER")


@contextmanager
def _running(folder: Path, *words: str) -> Iterator[None]:
    """Run a command that stays, until the context is left."""
    with (folder / f"{words[0]}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "smppgw", *words],
            cwd=folder,
            env=_environment(),
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(LIMIT_S)


def _submit(folder: Path, *words: str) -> None:
    _call(folder, "submit", *LISTED, "--yes", *words)


def _call(folder: Path, *words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "smppgw", *words],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        check=True,
        timeout=LIMIT_S,
    )


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
    return port


if __name__ == "__main__":
    main()
