"""`inbound`: the texts that phones sent."""

import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from smppgw.cli.ledger import open_ledger
from smppgw.cli.output import clock, iso, json_option, out, show_json, table, visible
from smppgw.cli.send import Duration
from smppgw.config import load
from smppgw.ledger.inbound import InboundRow, list_inbound


@click.group()
def inbound() -> None:
    """Read the texts that phones sent."""


@inbound.command("list")
@click.option("--since", type=Duration(), help="Only what came so long ago at most: 30m, 6h, 2d.")
@click.option("--limit", type=click.IntRange(1, 2**63 - 1), help="Only the newest so many.")
@json_option
@click.pass_obj
def list_(config_path: Path | None, since: float | None, limit: int | None, as_json: bool) -> None:
    """List the texts that phones sent, newest first.

    A long text is here once all its parts came; where some did not come in time, it is here with
    […] in their place.
    """
    config = load(config_path, secrets=False)
    path, zone = config.gateway.database, ZoneInfo(config.gateway.timezone)
    from_ms = 0 if since is None else int((time.time() - since) * 1000)
    with open_ledger(path) as db:
        found = list_inbound(db, since=from_ms, limit=limit)
    if as_json:
        show_json([_document(text, zone) for text in found])
        return
    if not found:
        out.print("No text has come yet." if since is None else "No text has come since then.")
        return
    rows = [
        (
            clock(text.received_at, zone),
            visible(text.source),
            visible(text.destination),
            text.smsc,
            f"{text.parts}" if text.complete else f"{text.parts}, some missing",
            visible(text.text.replace("\r\n", "\n")),
        )
        for text in found
    ]
    out.print(table(None, "Received", "From", "To", "SMSC", ">Parts", "Text", rows=rows))


def _document(text: InboundRow, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "inbound": text.inbound_id,
        "received_at": iso(text.received_at, zone),
        "smsc": text.smsc,
        "from": text.source,
        "to": text.destination,
        "text": text.text,
        "parts": text.parts,
        "complete": text.complete,
    }
