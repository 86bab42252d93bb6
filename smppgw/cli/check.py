"""`check`: the configuration by itself, and whether the SMSCs take its credentials."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from smppgw.campaign.sender import lacks, lint
from smppgw.cli.output import err, json_option, out, plural, show_json, table, told
from smppgw.config import Config, load
from smppgw.errors import ConfigError
from smppgw.link import try_bind


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
