"""`audit`: who did what, when, and whether anybody has touched what was written about it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from smppgw.cli.ledger import open_ledger, require
from smppgw.cli.output import clock, err, iso, json_option, out, plural, show_json, table, told
from smppgw.config import load
from smppgw.ledger.audit import Entry, entries, head, holds, verify
from smppgw.ledger.evidence import snapshot

_WIDE = 100  # columns at which a time has room for its seconds


@click.group()
def audit() -> None:
    """See who did what, and check that nobody has changed what was written about it."""


@audit.command("list")
@click.option("--job", type=int, help="Only what was done to this job.")
@click.option("--limit", type=click.IntRange(1, 2**63 - 1), help="Only the newest so many.")
@json_option
@click.pass_obj
def list_(config_path: Path | None, job: int | None, limit: int | None, as_json: bool) -> None:
    """List who did what, newest first."""
    config = load(config_path, secrets=False)
    zone = ZoneInfo(config.gateway.timezone)
    with open_ledger(config.gateway.database) as db:
        if job is not None:
            require(db, job)
        found = entries(db, job_id=job, limit=limit)[::-1]
    if as_json:
        show_json([_document(entry, zone) for entry in found])
        return
    narrow = out.is_terminal and out.width < _WIDE
    rows = [
        (
            entry.id,
            clock(entry.at, zone, "%d/%m/%y %H:%M" if narrow else "%d/%m/%Y %H:%M:%S"),
            entry.actor or "–",
            entry.action,
            "–" if entry.job_id is None else entry.job_id,
            _details(entry.details, zone),
        )
        for entry in found
    ]
    columns = (">Entry", "At", "Who", "Action", ">Job", "Details")
    out.print(table(None, *columns, rows=rows) if rows else "Nothing is written down yet.")


@audit.command("verify")
@click.option("--expect", metavar="HASH", help="A hash that was written down: is it still there?")
@json_option
@click.pass_obj
def verify_(config_path: Path | None, expect: str | None, as_json: bool) -> int:
    """Check every entry against the one before it, and say which were touched.

    Exit status 1 where any was. Write the last hash down somewhere else, now and then: with
    --expect it shows even that the whole of it was written anew.
    """
    config = load(config_path, secrets=False)
    path = config.gateway.database
    with open_ledger(path) as db, snapshot(db):
        problems, end = list(verify(db)), head(db)
        if expect is not None and not holds(db, expect.strip().lower()):
            problems.append("No entry has the hash that was expected.")
    if as_json:
        show_json(
            {
                "ok": not problems,
                "problems": problems,
                "entries": end.entries,
                "last_entry": end.last_id,
                "last_hash": end.hash,
            }
        )
    else:
        for problem in problems:
            out.print(told(problem))
        sound = "" if problems else ", and none was touched"
        many = "1 entry" if end.entries == 1 else f"{end.entries} entries"
        out.print(f"The audit has {many}{sound}.")
        out.print(f"Last entry  {end.last_id}")
        out.print(f"Last hash   {end.hash}")
    if problems:
        err.print(
            f"{plural(len(problems), 'problem')} in the audit of {told(path)}: somebody changed "
            "the file, or it is damaged. Keep it as it is, and look into your backups."
        )
    return 1 if problems else 0


def _document(entry: Entry, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "entry": entry.id,
        "at": iso(entry.at, zone),
        "actor": entry.actor,
        "action": entry.action,
        "job": entry.job_id,
        "details": entry.details,
        "hash": entry.hash,
    }


def _details(details: Any, zone: ZoneInfo) -> str:
    if not isinstance(details, Mapping):
        return str(details)
    return ", ".join(
        f"{key}: {clock(value, zone)}"
        if key.endswith("_at") and isinstance(value, int)
        else f"{key}: {_plain(value)}"
        for key, value in details.items()
    )


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else str(value)
