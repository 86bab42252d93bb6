"""The command line: parse, call, print. It holds no rule of the gateway; nothing imports it."""

import gc
import io
import sys
import traceback
from pathlib import Path

import click

from smppgw import __version__
from smppgw.cli.lazy import LazyCommands
from smppgw.cli.output import err, told
from smppgw.errors import SmppgwError

# Made between two looks of the garbage collector. Most commands are over before the first: looks
# took 28 ms of each, the longest of them between an alert's commit and saying so.
_OBJECTS = 100_000
_MODULES = {
    "run": "run",
    "submit": "send",
    "preview": "send",
    "jobs": "jobs",
    "report": "report",
    "proof": "proof",
    "inbound": "inbound",
    "optouts": "optouts",
    "status": "status",
    "ready": "ready",
    "check": "check",
    "backup": "upkeep",
    "verify": "upkeep",
    "audit": "audit",
    "purge": "purge",
    "person": "person",
    "simulate": "run",
    "demo": "demo",
    "bench": "bench",
    "config": "config",
    "completion": "completion",
}


@click.group(
    commands=LazyCommands(_MODULES),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="smppgw")
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="The configuration; else $SMPPGW_CONFIG, else ./config.toml.",
)
@click.pass_context
def commands(context: click.Context, config_path: Path | None) -> None:
    """Send SMS for communes over an operator's SMPP account: alerts first, nothing lost.

    \b
    First steps, with no operator at all:
      smppgw demo                                 see a list leave and its receipts come home
      smppgw simulate                             an SMSC for trials, in a terminal of its own
      smppgw run                                  the gateway, in another one
      smppgw submit --recipients list.xlsx --text "Bonjour {prenom}"
    """
    context.obj = config_path


def main() -> None:
    """Run a command; what goes wrong ends in a sentence and an exit status, not in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # not every locale can write “é” or “–”
    gc.set_threshold(_OBJECTS)
    try:
        status_code = commands.main(prog_name="smppgw", standalone_mode=False)
    except click.exceptions.Abort:
        err.print("Interrupted.")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except SmppgwError as error:
        err.print(f"[red]Error:[/red] {told(error)}")
        sys.exit(error.exit_status)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has gone: nothing is left to say
        sys.exit(1)
    except OSError as error:  # what the machine refuses, of no file that somebody named
        where = f"{error.filename}: " if isinstance(error.filename, str) else ""
        err.print(f"[red]Error:[/red] {told(f'{where}{error.strerror or type(error).__name__}.')}")
        sys.exit(1)
    except Exception as error:  # the top of the process: a fault of ours ends it in a line
        err.print(f"[red]Error:[/red] {told(_fault(error))}")
        sys.exit(1)
    sys.exit(status_code if isinstance(status_code, int) else 0)


def _fault(error: Exception) -> str:
    """Say where our own code failed; not the error's text, which may hold a number (I11)."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{Path(__file__).parent.parent}" in frame.filename]
    at = (ours or frames)[-1]
    return (
        f"a fault of smppgw itself, {type(error).__name__} in {Path(at.filename).name}, "
        f"line {at.lineno}. What was acknowledged is on disk; please report this line."
    )
