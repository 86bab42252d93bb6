"""`submit` and `preview`: an order in, a job or the picture of one out."""

import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from smppgw import sms
from smppgw.campaign.recipients import Recipients, from_numbers, open_recipients
from smppgw.campaign.submission import Plan, Wish
from smppgw.cli.jobs import follow
from smppgw.cli.output import duration, err, json_option, out, show_json, table
from smppgw.config import Config, load, parse_duration
from smppgw.errors import InputError
from smppgw.ledger.database import Locks, open_database
from smppgw.ledger.jobs import Addressee, Loading, find_job, segments_ahead

F = TypeVar("F", bound=Callable[..., Any])

CLASSES = ("alert", "service", "promotional")


class Duration(click.ParamType):
    """30s, 15m, 6h, 2d."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def order_options(command: F) -> F:
    """Give a command the options that say what to send to whom."""
    options = [
        click.option("--to", "numbers", multiple=True, help="A number; may be repeated."),
        click.option(
            "--recipients",
            "recipients_file",
            type=click.Path(allow_dash=True, path_type=str),
            help="A list: XLSX, XLS, ODS or CSV; - is CSV on standard input.",
        ),
        click.option("--column", help="The column of the numbers, if it is not found by itself."),
        click.option("--sheet", help="The sheet of the list; else the first."),
        click.option("--text", help="The text; {column} takes the value of a column."),
        click.option(
            "--text-file",
            type=click.Path(path_type=Path),
            help="A file that holds the text, in UTF-8.",
        ),
        click.option(
            "--class",
            "job_class",
            type=click.Choice(CLASSES),
            default="service",
            show_default=True,
            help="An alert goes in front of everything.",
        ),
        click.option("--tenant", help="Whom it is sent for; may be left out if there is but one."),
        click.option("--from", "sender", help="The sender; else the tenant's."),
        click.option(
            "--rewrite",
            type=click.Choice(sms.REWRITES),
            help="How far the text may be changed to cost less; else the tenant's.",
        ),
        click.option(
            "--expires", type=Duration(), help="Not later than this from now: 30m, 6h, 2d."
        ),
        click.option("--flash", is_flag=True, help="Show at once, without storing (class 0)."),
        click.option("--key", help="A second submit with this key finds the first job."),
        click.option("--label", help="A name for the job, for people."),
        click.option("--strict", is_flag=True, help="Queue nothing if anybody is left out."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@order_options
@click.option("--dry-run", is_flag=True, help="Only show what would happen, like preview.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", is_flag=True, help="Follow the job until nothing can change any more.")
@click.option("--timeout", type=Duration(), help="With --wait: no longer than this.")
@json_option
@click.pass_obj
def submit(
    config_path: Path | None,
    dry_run: bool,
    yes: bool,
    wait: bool,
    timeout: float | None,
    as_json: bool,
    **order: Any,
) -> int:
    """Queue a job; it is on disk when this returns.

    \b
    smppgw submit --to "06 00 00 00 01" --text "Essai"
    smppgw submit --recipients habitants.xlsx --text "Bonjour {prenom}, l'eau sera coupée jeudi."
    smppgw submit --class alert --recipients riverains.xlsx --text-file crue.txt --yes
    """
    config = load(config_path)
    if dry_run:
        return _preview(config, order, as_json)
    if not yes and not as_json and sys.stdin.isatty() and order["recipients_file"] != "-":
        _preview(config, order, as_json=False)
        click.confirm("Send it?", abort=True, err=True)
    now = _now(config)
    with _recipients(config, order) as recipients:
        plan = Plan(config, _wish(order), recipients, now)
        db = open_database(config.gateway.database, create=True)
        locks = Locks(config.gateway.database)
        try:
            ahead = segments_ahead(db, plan.order.job_class)
            loading = Loading(db, locks, plan.order)
            try:
                loading.add(_shown(plan, as_json))
                left_out = recipients.invalid + recipients.duplicate
                if order["strict"] and left_out:
                    loading.discard()
                    document = plan.document(
                        job=None, state="rejected", segments_ahead=ahead, now=now
                    )
                    _show(document, plan, as_json)
                    err.print(
                        f"Nothing was queued: {left_out} recipients would be left out and --strict "
                        "forbids it. Correct the list, or submit without --strict."
                    )
                    return 3
                _require_recipients(plan)
                job_id = loading.finish(time.time_ns() // 1_000_000)
            except BaseException:
                loading.discard()
                raise
            job = find_job(db, job_id)
            state = job.state if job else "queued"
            document = plan.document(job=job_id, state=state, segments_ahead=ahead, now=now)
            if wait:
                follow(db, config, job_id, timeout_s=timeout, show=not as_json)
                job = find_job(db, job_id)
                document["state"] = job.state if job else state
            _show(document, plan, as_json)
        finally:
            db.close()
            locks.close()
    return 0


@click.command()
@order_options
@json_option
@click.pass_obj
def preview(config_path: Path | None, as_json: bool, **order: Any) -> int:
    """Show what submit would do: who, how many segments, how much, how long. Queues nothing."""
    return _preview(load(config_path), order, as_json)


def _preview(config: Config, order: dict[str, Any], as_json: bool) -> int:
    now = _now(config)
    with _recipients(config, order) as recipients:
        plan = Plan(config, _wish(order), recipients, now)
        for _ in _shown(plan, as_json):
            pass
        ahead = 0
        if config.gateway.database.exists():
            db = open_database(config.gateway.database)
            ahead = segments_ahead(db, plan.order.job_class)
            db.close()
        left_out = recipients.invalid + recipients.duplicate
        document = plan.document(job=None, state="preview", segments_ahead=ahead, now=now)
        _show(document, plan, as_json)
        _require_recipients(plan)
        if order["strict"] and left_out:
            err.print(f"With --strict nothing would be queued: {left_out} would be left out.")
            return 3
    return 0


def _recipients(config: Config, order: dict[str, Any]) -> Recipients:
    numbers, name = order["numbers"], order["recipients_file"]
    if bool(numbers) == bool(name):
        raise click.UsageError("Say to whom: either --to NUMBER or --recipients FILE.")
    if numbers:
        return from_numbers(numbers, region=config.gateway.region)
    return open_recipients(
        name, column=order["column"], sheet=order["sheet"], region=config.gateway.region
    )


def _wish(order: dict[str, Any]) -> Wish:
    text, text_file = order["text"], order["text_file"]
    if (text is None) == (text_file is None):
        raise click.UsageError("Say what: either --text TEXT or --text-file FILE.")
    if text is None:
        try:
            text = text_file.read_text("utf-8").rstrip("\r\n")
        except OSError as error:
            raise InputError(f"{text_file}: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{text_file} is not UTF-8: save it as UTF-8 text.") from error
    return Wish(
        text=text,
        job_class=order["job_class"],
        tenant=order["tenant"],
        sender=order["sender"],
        rewrite=order["rewrite"],
        flash=order["flash"],
        label=order["label"],
        key=order["key"],
        expires_s=order["expires"],
    )


def _require_recipients(plan: Plan) -> None:
    if plan.tally.queued == 0:
        where = plan.recipients.left_out_file
        hint = f" See {where}." if where else ""
        raise InputError(f"{plan.recipients.name}: no recipient is left to send to.{hint}")


def _shown(plan: Plan, as_json: bool) -> Iterator[Addressee]:
    """Walk over the recipients, with a progress bar where there is a terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=err, transient=True, disable=as_json or not err.is_terminal
    ) as progress:
        task = progress.add_task(f"Reading {plan.recipients.name}", total=None)
        for count, addressee in enumerate(plan.addressees(), 1):
            if count % 1000 == 0:
                progress.update(task, completed=count)
            yield addressee


def _show(document: dict[str, Any], plan: Plan, as_json: bool) -> None:
    if as_json:
        show_json(document)
        return
    job, state = document["job"], document["state"]
    recipients, text = document["recipients"], document["text"]
    head = f"Job {job} is {state}" if job else "Nothing is queued by this"
    out.print(
        f"[bold]{head}[/bold]: {document['class']}, {document['tenant']}, from {document['sender']}"
    )
    left_out = recipients["invalid"] + recipients["duplicate"] + recipients["opted_out"]
    out.print(
        f"  Recipients  {recipients['queued']} of {recipients['read']}"
        + (
            f"; left out: {recipients['invalid']} invalid, {recipients['duplicate']} duplicate, "
            f"{recipients['opted_out']} opted out"
            if left_out
            else ""
        )
    )
    if document["left_out_file"]:
        out.print(f"  Left out    written to {document['left_out_file']}")
    segments = f"{text['segments_min']} to {text['segments_max']}"
    if text["segments_min"] == text["segments_max"]:
        segments = f"{text['segments_max']}"
    out.print(f"  Text        {segments} segments each, alphabet {text['encoding']}")
    if text["forces_ucs2"]:
        out.print(f"  Costly      {' '.join(text['forces_ucs2'])}  (each forces 70 characters)")
    out.print(f"  Segments    {document['segments']}{_price(document['price'])}")
    out.print(f"  Time        {duration(document['seconds'])}, until {document['finish_at']}")
    out.print(
        table(
            None,
            "Rewrite",
            ">Segments",
            ">Price",
            rows=[
                (
                    f"{name} (used)" if name == plan.order.rewrite else name,
                    figures["segments"],
                    _price(figures["price"]).removeprefix(", ") or "–",
                )
                for name, figures in document["rewrites"].items()
            ],
        )
    )
    for warning in document["warnings"]:
        err.print(f"[yellow]Warning:[/yellow] {warning}")


def _price(price: dict[str, str] | None) -> str:
    return f", {price['amount']} {price['currency']}" if price else ""


def _now(config: Config) -> datetime:
    return datetime.now(ZoneInfo(config.gateway.timezone))
