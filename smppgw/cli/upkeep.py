"""`backup` and `verify`: the ledger copied, and held to its own counts, while a gateway may run."""

from contextlib import closing
from pathlib import Path

import click

from smppgw.cli.output import err, json_option, out, plural, show_json, told
from smppgw.config import load
from smppgw.errors import DatabaseError
from smppgw.ledger import upkeep
from smppgw.ledger.database import explained, open_database


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@click.pass_obj
def backup(config_path: Path | None, file: Path, as_json: bool) -> None:
    """Copy the database into FILE, which must not exist, while the gateway goes on.

    The copy holds numbers and texts: it is readable by its owner alone. In it every job that could
    still send is paused, so that nobody is written to twice when it is put back.
    """
    config = load(config_path, secrets=False)
    with closing(open_database(config.gateway.database)) as db, explained(file):
        paused = upkeep.backup(db, file)
        octets = file.stat().st_size
    if as_json:
        show_json({"file": str(file), "bytes": octets, "paused_jobs": paused})
        return
    out.print(f"The database is copied to {told(file)}, {octets / 1e6:.1f} MB.")
    if paused:
        out.print(
            f"{plural(paused, 'job')} can still send; in the copy each is paused, until you have "
            "looked at what was sent since."
        )


@click.command()
@json_option
@click.pass_obj
def verify(config_path: Path | None, as_json: bool) -> int:
    """Recompute what the database counts, and say what is wrong with it.

    Exit status 1 where anything is. Reads all of it: minutes for tens of millions of messages; the
    gateway goes on meanwhile.
    """
    path = load(config_path, secrets=False).gateway.database
    problems = []
    with closing(open_database(path)) as db:
        try:
            with explained(path):
                for problem in upkeep.verify(db):
                    problems.append(problem)
                    if not as_json:
                        out.print(told(problem))
        except DatabaseError as error:  # so damaged that it cannot be read to its end
            problems.append(str(error))
            if not as_json:
                out.print(told(error))
    if as_json:
        show_json({"ok": not problems, "problems": problems})
    elif not problems:
        out.print(f"{told(path)} is sound.")
    if problems:
        err.print(
            f"{plural(len(problems), 'problem')} in {told(path)}. Keep the file as it is, and put "
            "back a backup that `verify` finds sound."
        )
    return 1 if problems else 0
