"""`status` and `check`: the gateway from outside, and the configuration by itself."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from smppgw.cli.output import clock, err, iso, json_option, out, show_json, table
from smppgw.config import load
from smppgw.errors import ConfigError
from smppgw.ledger import jobs
from smppgw.ledger.database import Locks, explained, open_database
from smppgw.ledger.turn import RECEIPT_KINDS


@click.command()
@json_option
@click.pass_obj
def status(config_path: Path | None, as_json: bool) -> None:
    """Show the gateway as seen from outside: running or not, links, queue, receipts."""
    config = load(config_path)
    path, zone = config.gateway.database, ZoneInfo(config.gateway.timezone)
    db, locks = open_database(path), Locks(path)
    try:
        with explained(path):
            running = locks.gateway_running()
            process = jobs.gateway_process(db)
            links = jobs.links(db)
            queued = jobs.queued_by_class(db)
            receipts = jobs.receipt_counts(db).values()
            octets = jobs.database_octets(db)
    finally:
        db.close()
        locks.close()
    pid, since = process if running and process else (None, None)
    document: dict[str, Any] = {
        "gateway": {"running": running, "pid": pid, "since": iso(since, zone)},
        "database": {"path": str(path), "bytes": octets},
        "links": [
            {
                "smsc": link.smsc,
                "bind": link.bind,
                "state": link.state if running else "stopped",
                "reason": link.reason if running else None,
                "window": link.window,
                "outstanding": link.outstanding if running else 0,
                "throughput": link.throughput,
                "permitted": link.permitted,
            }
            for link in links
        ],
        "queue": {
            job_class: queued.get(job_class, (0, None))[0]
            for job_class in ("alert", "service", "promotional")
        },
        "receipts": {kind: sum(counts[kind] for counts in receipts) for kind in RECEIPT_KINDS},
    }
    if as_json:
        show_json(document)
        return
    if running:
        out.print(
            f"[bold green]The gateway runs[/bold green] (pid {pid}) since {clock(since, zone)}."
        )
    else:
        out.print("[bold red]The gateway does not run[/bold red]: start it with `smppgw run`.")
    out.print(f"Database {path}, {octets / 1e6:.1f} MB")
    rows = [
        (
            link["smsc"],
            link["bind"],
            link["state"],
            f"{link['outstanding']} of {link['window']}",
            f"{link['permitted']:g} of {link['throughput']} a second",
            link["reason"],
        )
        for link in document["links"]
    ]
    out.print(table("Links", "SMSC", ">Bind", "State", ">Window", ">Rate", "Why", rows=rows))
    waiting = ", ".join(f"{count} {name}" for name, count in document["queue"].items())
    out.print(f"Queue     {waiting}")
    kinds = ", ".join(f"{count} {kind}" for kind, count in document["receipts"].items())
    out.print(f"Receipts  {kinds}")


@click.command()
@json_option
@click.pass_obj
def check(config_path: Path | None, as_json: bool) -> int:
    """Read the configuration and say everything that is wrong with it."""
    try:
        config = load(config_path)
    except ConfigError as error:
        if not as_json:
            raise
        show_json({"ok": False, "source": error.source, "problems": list(error.problems)})
        err.print(f"{len(error.problems)} mistakes in {error.source}.")
        return error.exit_status
    if as_json:
        show_json({"ok": True, "source": str(config.source), "problems": []})
    else:
        out.print(
            f"{config.source} is good: {len(config.smsc)} accounts, {len(config.tenant)} tenants, "
            f"database {config.gateway.database}."
        )
    return 0
