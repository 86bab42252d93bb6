"""`optouts`: who does not want to be written to, by tenant and purpose."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

from smppgw import sms
from smppgw.campaign.recipients import REASONS, Recipients, open_recipients
from smppgw.campaign.submission import find_tenant
from smppgw.cli.ledger import open_ledger
from smppgw.cli.output import (
    clock,
    err,
    iso,
    json_option,
    out,
    plural,
    show_json,
    table,
    told,
    visible,
    whoami,
)
from smppgw.config import Config, load
from smppgw.errors import InputError, NumberError, OperationError
from smppgw.ledger import optouts as ledger
from smppgw.ledger.database import Database
from smppgw.ledger.hashing import Hasher
from smppgw.ledger.optouts import OptOut, OptOutRow

F = TypeVar("F", bound=Callable[..., Any])

_CONSENT = (
    "Whoever opted out may be written to again only if the person has agreed anew: keep the proof."
)
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def _purpose(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch("[a-z0-9][a-z0-9-]{0,31}", value):
        raise click.BadParameter("small letters, digits and dashes, 32 at most: fetes, ecole, all.")
    return value


def _written(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        raise click.BadParameter("it is not UTF-8: set the terminal to UTF-8.") from None
    return value


_tenant_option = click.option(
    "--tenant", help="Whose list; may be left out if there is but one tenant."
)
_purpose_option = click.option(
    "--purpose",
    metavar="WORD",
    default="promotional",
    show_default=True,
    callback=_purpose,
    help="What they do not want to be written to about; all is everything.",
)
_reason_option = click.option(
    "--reason", callback=_written, help="How they asked for it: kept as the proof."
)


def _numbers_option(command: F) -> F:
    return click.option(
        "--number", "numbers", multiple=True, required=True, help="A number; may be repeated."
    )(command)


@click.group()
def optouts() -> None:
    """Keep the lists of those who do not want to be written to."""


@optouts.command("list")
@click.option("--tenant", help="Only those of this tenant.")
@click.option("--purpose", metavar="WORD", callback=_purpose, help="Only those of this purpose.")
@click.option("--limit", type=click.IntRange(1, 2**63 - 1), help="Only the newest so many.")
@click.option("--clear", is_flag=True, help="Show whole numbers.")
@json_option
@click.pass_obj
def list_(
    config_path: Path | None,
    tenant: str | None,
    purpose: str | None,
    limit: int | None,
    clear: bool,
    as_json: bool,
) -> None:
    """List opt-outs, newest first.

    Numbers are masked, and shown as the beginning of a hash once retention has taken them.
    """
    config = load(config_path, secrets=False)
    path, zone = config.gateway.database, ZoneInfo(config.gateway.timezone)
    with open_ledger(path) as db:
        found = ledger.list_optouts(db, tenant, purpose, limit)
    if as_json:
        show_json([_document(row, zone, clear=clear) for row in found])
        return
    if not found:
        out.print("Nobody has opted out.")
        return
    rows = [
        (
            clock(row.added_at, zone),
            row.tenant,
            row.purpose,
            _shown(row, clear=clear),
            row.channel,
            visible(" ".join((row.text or "").split())),
        )
        for row in found
    ]
    out.print(table(None, "Since", "Tenant", "Purpose", "Number", "By", "Proof", rows=rows))


@optouts.command()
@_tenant_option
@_purpose_option
@_numbers_option
@_reason_option
@json_option
@click.pass_obj
def add(
    config_path: Path | None,
    tenant: str | None,
    purpose: str,
    numbers: tuple[str, ...],
    reason: str | None,
    as_json: bool,
) -> None:
    """Put numbers on a list.

    What waits for them is not sent either. One that is there already stays as it is.
    """
    config = load(config_path, secrets=False)
    whose = find_tenant(config, tenant).name
    asked = _read(config, numbers)
    entries = [OptOut(whose, purpose, number, "command", reason) for number in asked]
    with _ledger(config, create=True) as (db, hasher):
        added = ledger.add(db, hasher, entries, whoami(), _now_ms())
    already = len(asked) - added
    if as_json:
        show_json({"tenant": whose, "purpose": purpose, "added": added, "already": already})
        return
    there = f"; {already} stood there already" if already else ""
    out.print(f"{plural(added, 'number')} put on the list “{purpose}” of {whose}{there}.")


@optouts.command()
@_tenant_option
@_purpose_option
@_numbers_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def remove(
    config_path: Path | None,
    tenant: str | None,
    purpose: str,
    numbers: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """Take numbers off a list.

    Only where the person has agreed anew to be written to. Asks at a terminal.
    """
    config = load(config_path, secrets=False)
    whose = find_tenant(config, tenant).name
    asked = _read(config, numbers)
    err.print(_CONSENT)
    if not yes and not as_json and sys.stdin.isatty():
        question = f"Take {plural(len(asked), 'number')} off the list “{purpose}” of {whose}?"
        if not click.confirm(question, err=True):
            raise OperationError("Nothing was removed.")
    with _ledger(config) as (db, hasher):
        removed = ledger.remove(db, hasher, whose, purpose, asked, whoami(), _now_ms())
        left = [ledger.purposes_of(db, hasher, whose, number) for number in asked]
    still = {word: sum(word in one for one in left) for one in left for word in one}
    if as_json:
        show_json(
            {
                "tenant": whose,
                "purpose": purpose,
                "removed": removed,
                "not_listed": len(asked) - removed,
                "still": still,
            }
        )
        return
    missing = len(asked) - removed
    there = f"; {missing} did not stand there" if missing else ""
    out.print(f"{plural(removed, 'number')} taken off the list “{purpose}” of {whose}{there}.")
    for word, count in sorted(still.items()):
        stand = "stands" if count == 1 else "stand"
        err.print(f"{plural(count, 'number')} still {stand} on the list “{word}”.")


@optouts.command("import")
@click.argument("file", type=click.Path(path_type=str, allow_dash=True))
@_tenant_option
@_purpose_option
@click.option("--column", help="The column of the numbers, if it is not found by itself.")
@click.option("--sheet", help="The sheet of the list; else the first.")
@_reason_option
@json_option
@click.pass_obj
def import_(
    config_path: Path | None,
    file: str,
    tenant: str | None,
    purpose: str,
    column: str | None,
    sheet: str | None,
    reason: str | None,
    as_json: bool,
) -> None:
    """Put all numbers of FILE on a list.

    FILE is XLSX, XLS, ODS or CSV; - is CSV on standard input. Rows without a usable number are
    written to a file, as submit does.
    """
    config = load(config_path, secrets=False)
    whose = find_tenant(config, tenant).name
    with open_recipients(
        file, column=column, sheet=sheet, region=config.gateway.region
    ) as recipients:
        entries = (
            OptOut(whose, purpose, row.number, "file", reason or Path(recipients.name).name)
            for row in recipients
        )
        with _ledger(config, create=True) as (db, hasher):
            added = ledger.add(db, hasher, entries, whoami(), _now_ms())
    for warning in recipients.warnings:
        err.print(f"[yellow]Warning:[/yellow] {told(warning)}")
    if not recipients.kept:
        where = f" See {recipients.left_out_file}." if recipients.left_out_file else ""
        raise InputError(
            f"{recipients.name}: no row has a number that can be put on a list.{where}"
        )
    if as_json:
        show_json(
            {
                "tenant": whose,
                "purpose": purpose,
                "read": recipients.read,
                "added": added,
                "already": recipients.kept - added,
                "invalid": recipients.invalid,
                "duplicate": recipients.duplicate,
                "left_out_file": recipients.left_out_file,
                "warnings": recipients.warnings,
            }
        )
        return
    already = recipients.kept - added
    there = f"; {already} stood there already" if already else ""
    out.print(f"{plural(added, 'number')} put on the list “{purpose}” of {whose}{there}.")
    _show_left_out(recipients)


def _show_left_out(recipients: Recipients) -> None:
    for reason, count in recipients.reasons.most_common():
        err.print(f"Left out: {count} {reason}: {REASONS[reason]}")
    if recipients.left_out_file:
        err.print(f"Row by row in {told(recipients.left_out_file)}.")


@contextmanager
def _ledger(config: Config, *, create: bool = False) -> Iterator[tuple[Database, Hasher]]:
    path = config.gateway.database
    with open_ledger(path, create=create) as db:
        yield db, Hasher.open(config.retention.key_file)


def _read(config: Config, numbers: tuple[str, ...]) -> list[str]:
    """Read the numbers, each once; one written out with its + may be of any country and kind."""
    read: dict[str, None] = {}
    for at, number in enumerate(numbers, 1):
        try:
            read[sms.normalise_number(number, config.gateway.region)] = None
        except NumberError as error:
            plain = re.sub(r"[\s.()-]", "", number)
            if not _E164.fullmatch(plain):
                raise InputError(
                    f"--number, {at}: {REASONS[error.reason]}. Nothing was changed; write it in "
                    "full, with + and the country, if it is right."
                ) from None
            read[plain] = None
    return list(read)


def _document(row: OptOutRow, zone: ZoneInfo, *, clear: bool) -> dict[str, Any]:
    return {
        "tenant": row.tenant,
        "purpose": row.purpose,
        "number": None if row.number is None else _shown(row, clear=clear),
        "hash": row.number_hash,
        "added_at": iso(row.added_at, zone),
        "channel": row.channel,
        "text": row.text,
    }


def _shown(row: OptOutRow, *, clear: bool) -> str:
    """Write a number: masked, in clear, or as its hash begins where there is no more."""
    if row.number is None:
        return f"#{row.number_hash[:8]}"
    if clear or len(row.number) < 10:  # a short code is nobody's
        return visible(row.number)
    return f"{row.number[:4]}****{row.number[-4:]}"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
