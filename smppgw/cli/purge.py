"""`purge`: what has been kept long enough is taken away now."""

import time
from pathlib import Path

import click

from smppgw.cli.ledger import open_ledger
from smppgw.cli.output import err, json_option, out, show_json, table, whoami
from smppgw.config import Retention, load
from smppgw.ledger import retention
from smppgw.ledger.hashing import Hasher
from smppgw.ledger.retention import Periods

# What each kind is called, and by which key of [retention] it goes.
_NAMES = {
    "job_texts": ("texts of jobs", "text"),
    "personal_fields": ("personal fields of messages", "text"),
    "receipts": ("raw receipts", "text"),
    "inbound_texts": ("texts from phones", "text"),
    "job_numbers": ("jobs' numbers", "number"),
    "message_numbers": ("numbers of messages", "number"),
    "inbound_numbers": ("numbers of those who wrote", "number"),
    "optout_numbers": ("numbers of opt-outs", "number"),
    "audit_entries": ("entries of the audit", "audit"),
}


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count what would be taken away.")
@json_option
@click.pass_obj
def purge(config_path: Path | None, dry_run: bool, as_json: bool) -> None:
    """Apply the periods of [retention] now; the gateway does so every day.

    Texts and personal fields go first, then numbers, in whose place a keyed hash stays; counts and
    states are kept. The gateway goes on meanwhile.
    """
    config = load(config_path, secrets=False)
    path, now = config.gateway.database, time.time_ns() // 1_000_000
    periods = periods_of(config.retention)
    emptied = True
    with open_ledger(path) as db:
        if dry_run:
            counts = retention.due(db, periods, now)
        else:
            hasher = Hasher.open(config.retention.key_file)
            counts = retention.purge(db, hasher, periods, now, whoami())
            emptied = retention.checkpoint(db)
    if as_json:
        show_json({"dry_run": dry_run, "purged": counts, "log_emptied": emptied})
    elif any(counts.values()):
        verb = "Would go" if dry_run else "Gone"
        rows = [(count, *_NAMES[kind]) for kind, count in counts.items() if count]
        out.print(table(None, f">{verb}", "What", "Period", rows=rows))
    else:
        out.print("Nothing has been kept longer than \\[retention] says.")
    if not emptied:
        err.print(
            "The write-ahead log could not be emptied just now, and still holds what was taken "
            "away: it is overwritten as the gateway goes on. Run this again when nobody reads."
        )


def periods_of(section: Retention) -> Periods:
    """Return the periods of the configuration as the ledger counts them."""
    return Periods(
        text_ms=round(section.text_s * 1000),
        number_ms=round(section.number_s * 1000),
        audit_ms=round(section.audit_s * 1000),
    )
