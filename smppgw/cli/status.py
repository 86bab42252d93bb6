"""`status` and `check`: the gateway from outside, and the configuration by itself."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from smppgw.campaign.sender import lacks, lint
from smppgw.cli.output import clock, err, iso, json_option, out, plural, show_json, table, told
from smppgw.config import Config, load
from smppgw.errors import ConfigError
from smppgw.ledger import jobs
from smppgw.ledger.database import Locks, explained, open_database
from smppgw.ledger.turn import RECEIPT_KINDS
from smppgw.link import try_bind


@dataclass
class _Seen:
    """What the database says; as it stands here, where there is none yet."""

    running: bool = False
    process: tuple[int, int] | None = None
    links: list[jobs.LinkRow] = field(default_factory=list)
    queued: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    receipts: dict[str, dict[str, int]] = field(default_factory=dict)
    unknown: int = 0
    octets: int = 0


def _look(path: Path) -> _Seen:
    if not path.exists():
        return _Seen()
    db, locks = open_database(path), Locks(path)
    try:
        with explained(path):
            return _Seen(
                locks.gateway_running(),
                jobs.gateway_process(db),
                jobs.links(db),
                jobs.queued_by_class(db),
                jobs.receipt_counts(db),
                jobs.unknown_messages(db),
                jobs.database_octets(db),
            )
    finally:
        db.close()
        locks.close()


@click.command()
@json_option
@click.pass_obj
def status(config_path: Path | None, as_json: bool) -> None:
    """Show the gateway, its links, its queue and its receipts."""
    config = load(config_path, secrets=False)
    path, zone = config.gateway.database, ZoneInfo(config.gateway.timezone)
    seen = _look(path)
    running, receipts = seen.running, seen.receipts.values()
    pid, since = seen.process if running and seen.process else (None, None)
    document: dict[str, Any] = {
        "gateway": {"running": running, "pid": pid, "since": iso(since, zone)},
        "database": {"path": str(path), "bytes": seen.octets},
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
            for link in seen.links
        ],
        "queue": {
            job_class: seen.queued.get(job_class, (0, None))[0]
            for job_class in ("alert", "service", "promotional")
        },
        "unknown": seen.unknown,
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
    size = f"{seen.octets / 1e6:.1f} MB" if seen.octets else "not made yet"
    out.print(f"Database  {told(path)}, {size}")
    rows = [
        (
            link["smsc"],
            link["bind"],
            link["state"],
            f"{link['outstanding']} of {link['window']}",
            f"{link['permitted']:.3g} of {link['throughput']} a second",
            link["reason"],
        )
        for link in document["links"]
    ]
    if rows:
        out.print(table(None, "SMSC", ">Bind", "State", ">Window", ">Rate", "Why", rows=rows))
    waiting = ", ".join(f"{count} {name}" for name, count in document["queue"].items())
    out.print(f"Queue     {waiting}")
    hint = ": `smppgw jobs retry JOB --unknown` sends those of a job again" if seen.unknown else ""
    out.print(f"Unknown   {plural(seen.unknown, 'message')}{hint}")
    kinds = ", ".join(f"{count} {kind}" for kind, count in document["receipts"].items())
    out.print(f"Receipts  {kinds}")


@click.command()
@click.option("--connect", is_flag=True, help="Also bind to each SMSC, and unbind.")
@json_option
@click.pass_obj
def check(config_path: Path | None, connect: bool, as_json: bool) -> int:
    """Read the configuration and say everything that is wrong with it.

    Tenants whose sender an account does not take yet are listed too; that is no mistake.

    With --connect each account is tried too: an account that allows one session alone refuses while
    the gateway holds it.
    """
    try:
        config = load(config_path)
    except ConfigError as error:
        if not as_json:
            raise
        show_json({"ok": False, "source": error.source, "problems": list(error.problems)})
        err.print(f"{plural(len(error.problems), 'mistake')} in {told(error.source)}.")
        return error.exit_status
    binds = asyncio.run(_try_binds(config)) if connect else []
    failed = [bind for bind in binds if not bind["ok"]]
    today = datetime.now(ZoneInfo(config.gateway.timezone)).date()
    lacking = [lack._asdict() for lack in lacks(config, today)]
    if as_json:
        document = {"ok": not failed, "source": str(config.source), "problems": []}
        document |= {"unapproved_senders": lacking} if lacking else {}
        show_json(document | ({"binds": binds} if connect else {}))
    else:
        out.print(
            f"{told(config.source)} is good: {plural(len(config.smsc), 'account')}, "
            f"{plural(len(config.tenant), 'tenant')}, database {told(config.gateway.database)}."
        )
        rows = [(b["smsc"], b["kind"], "bound" if b["ok"] else "failed", b["why"]) for b in binds]
        if rows:
            out.print(table(None, "SMSC", "Bind", "Outcome", "Why", rows=rows))
        if lacking:
            title = "Tenants without an approved sender"
            columns = ("Tenant", "SMSC", "Sender", "Why")
            out.print(table(title, *columns, rows=[lack.values() for lack in lacking]))
    for tenant in config.tenant:
        for sentence in lint(tenant.sender):
            err.print(f"[yellow]Warning:[/yellow] {told(sentence)}")
    if failed:
        names = ", ".join(sorted({bind["smsc"] for bind in failed}))
        err.print(
            f"Could not bind to {told(names)}. Check host, port, credentials and whether the "
            "operator allows this machine's address."
        )
    return 1 if failed else 0


async def _try_binds(config: Config) -> list[dict[str, Any]]:
    """Bind to each account once in each kind that it is configured for."""
    binds = []
    for smsc in config.smsc:
        for kind in dict.fromkeys(smsc.bind_kinds):
            why = await try_bind(smsc, kind)
            binds.append({"smsc": smsc.name, "kind": kind, "ok": why is None, "why": why})
    return binds
