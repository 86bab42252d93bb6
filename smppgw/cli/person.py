"""`person export` and `person erase`: what a person may ask for."""

import json
import re
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from smppgw import sms
from smppgw.cli.ledger import open_ledger
from smppgw.cli.output import (
    clock,
    err,
    iso,
    json_option,
    out,
    plural,
    private,
    show_json,
    table,
    told,
    whoami,
)
from smppgw.config import Config, load
from smppgw.errors import GatewayRunningError, InputError, NumberError, OperationError
from smppgw.ledger import person as persons
from smppgw.ledger.database import Locks, explained, open_database
from smppgw.ledger.hashing import Hasher
from smppgw.ledger.person import Erased, Person
from smppgw.ledger.retention import checkpoint


@click.group()
def person() -> None:
    """Tell what is kept about a number, or take it away."""


@person.command()
@click.argument("number")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write the JSON document to a new file, for its owner alone.",
)
@json_option
@click.pass_obj
def export(config_path: Path | None, number: str, output: Path | None, as_json: bool) -> None:
    """Give out everything that is kept about NUMBER.

    Messages with their texts and times, texts received, opt-outs; also what is kept under the hash
    of the number alone. The audit notes that it was given out.
    """
    config = load(config_path, secrets=False)
    e164 = _e164(config, number)
    path, zone = config.gateway.database, ZoneInfo(config.gateway.timezone)
    if output is not None and output.exists():
        raise OperationError(f"{output} exists: name another file, nothing is ever replaced.")
    hasher = Hasher.open(config.retention.key_file)
    with open_ledger(path) as db:
        found = persons.export(db, hasher, e164, config.gateway.region, _now_ms(), whoami())
    document = _document(found, e164, zone)
    if output is not None:
        with explained(output), open(output, "x", encoding="utf-8", opener=private) as file:
            json.dump(document, file, ensure_ascii=False, indent=1)
            file.write("\n")
    if as_json:
        show_json(document)
    elif output is not None:
        err.print(f"{_summary(found)} written to {told(output)}.")
    else:
        _show(found, zone)


@person.command()
@click.argument("number")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def erase(config_path: Path | None, number: str, yes: bool, as_json: bool) -> int:
    """Take NUMBER away wherever it stands, with all that was written to it or came from it.

    What still waits for it is not sent. Opt-outs stay, as a hash, so that nobody writes to the
    person again. Exit status 1 while messages to it are on their way: those are erased by another
    call, later. Asks at a terminal.
    """
    config = load(config_path, secrets=False)
    e164, path = _e164(config, number), config.gateway.database
    hasher = Hasher.open(config.retention.key_file)
    with open_ledger(path) as db:
        if (
            not yes
            and not as_json
            and sys.stdin.isatty()
            and not click.confirm("Take everything about this number away, for good?", err=True)
        ):
            raise OperationError("Nothing was erased.")
        erased = persons.erase(db, hasher, e164, config.gateway.region, _now_ms(), whoami())
        checkpoint(db)
    places = _clean(path, e164) if erased.complete else None
    if as_json:
        show_json(_erased_document(erased, places))
    else:
        out.print(_told(erased))
    if places:
        err.print(
            f"Its digits still stand at {plural(places, 'place')} of the database file: in texts "
            "that others wrote or were sent, or in space that is not used any more. Stop the "
            "gateway and run this again: it then writes the file anew, without that space."
        )
    if not erased.complete:
        err.print(_later(erased))
    return 0 if erased.complete else 1


def _clean(path: Path, number: str) -> int:
    """Write the file anew if the number's digits still stand in it and no gateway is at work.

    Returns:
        At how many places they stand then.
    """
    with explained(path):
        places = persons.traces(path, number)
        if not places:
            return 0
        locks = Locks(path)
        try:
            with closing(open_database(path)) as db:
                persons.rewrite_file(db, locks)
                checkpoint(db)
        except GatewayRunningError:
            return places
        finally:
            locks.close()
        return persons.traces(path, number)


def _e164(config: Config, number: str) -> str:
    """Read a number; one that is written out with its + need not be a mobile of ours."""
    try:
        return sms.normalise_number(number, config.gateway.region)
    except NumberError as error:
        plain = re.sub(r"[ .()-]", "", number)
        if re.fullmatch(r"\+[1-9][0-9]{6,14}", plain):
            return plain
        raise InputError(
            f"NUMBER cannot be read ({error.reason}): write it in full, with + and the country."
        ) from None


def _document(found: Person, number: str, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "number": number,
        "hash": found.number_hash,
        "messages": [_with_times(row._asdict(), zone) for row in found.messages],
        "texts": [_with_times(row._asdict(), zone) for row in found.texts],
        "optouts": [_with_times(row._asdict(), zone) for row in found.optouts],
        "in_transit": found.in_transit,
    }


_JSON_NAMES = {"job_id": "job", "job_class": "class", "destination": "to"}


def _with_times(row: dict[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    return {
        _JSON_NAMES.get(name, name): iso(value, zone) if name.endswith("_at") else value
        for name, value in row.items()
    }


def _summary(found: Person) -> str:
    return (
        f"{plural(len(found.messages), 'message')}, {plural(len(found.texts), 'text')} received, "
        f"{plural(len(found.optouts), 'opt-out')}"
    )


def _show(found: Person, zone: ZoneInfo) -> None:
    out.print(f"{_summary(found)}.")
    messages = [
        (m.job_id, m.tenant, m.job_class, m.state, clock(m.submitted_at, zone), _kept(m.text))
        for m in found.messages
    ]
    texts = [
        (clock(t.received_at, zone), t.smsc, t.destination, _kept(t.text)) for t in found.texts
    ]
    optouts = [
        (clock(o.added_at, zone), o.tenant, o.purpose, o.channel, o.text) for o in found.optouts
    ]
    for title, columns, rows in (
        ("Messages", (">Job", "Tenant", "Class", "State", "Submitted", "Text"), messages),
        ("Texts received", ("Received", "SMSC", "To", "Text"), texts),
        ("Opt-outs", ("Since", "Tenant", "Purpose", "By", "Text"), optouts),
    ):
        if rows:
            out.print(table(title, *columns, rows=rows))


def _kept(text: str | None) -> str:
    return "(not kept any more)" if text is None else text


def _erased_document(erased: Erased, places: int | None) -> dict[str, Any]:
    return {
        "hash": erased.number_hash,
        "complete": erased.complete,
        "messages": erased.messages,
        "suppressed": erased.suppressed,
        "texts": erased.texts,
        "optouts": erased.optouts,
        "in_transit": erased.in_transit,
        "on_their_way": erased.moving,
        "unread": erased.asking,
        "traces": places,
    }


def _told(erased: Erased) -> str:
    waited = (
        f", {erased.suppressed} of which waited and will not be sent" if erased.suppressed else ""
    )
    return (
        f"Erased: {plural(erased.messages, 'message')}{waited}; "
        f"{plural(erased.texts, 'text')} received; {plural(erased.optouts, 'opt-out')}, kept as a "
        "hash."
    )


def _later(erased: Erased) -> str:
    """Say what could not be erased yet, and when it can be."""
    if not erased.moving:
        return (
            f"{plural(erased.asking, 'text')} of this number asks to stop, and the gateway has not "
            "read it yet: let it run, then run this again."
        )
    are = "is" if erased.moving == 1 else "are"
    return (
        f"{plural(erased.moving, 'message')} to this number {are} on the way, so the number is "
        "needed to tell their outcome: run this again once they are delivered, in 7 days at the "
        "latest."
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
