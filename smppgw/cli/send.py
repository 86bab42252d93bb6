"""`submit` and `preview`: an order in, a job or the picture of one out."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypedDict, TypeVar
from zoneinfo import ZoneInfo

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from smppgw import sms
from smppgw.campaign.budget import month_of
from smppgw.campaign.recipients import REASONS, Recipients, from_numbers, open_recipients
from smppgw.campaign.submission import Plan, Wish
from smppgw.cli.jobs import show_job
from smppgw.cli.ledger import open_ledger, require
from smppgw.cli.output import err, json_option, out, plural, show_json, told, whoami
from smppgw.cli.preview import show_page, show_warnings
from smppgw.cli.watch import follow
from smppgw.config import CLASSES, Config, load, parse_duration
from smppgw.errors import DatabaseError, InputError, OperationError
from smppgw.ledger.claim import CONFIRMATION, EVERY_PURPOSE
from smppgw.ledger.database import Database, Locks, explained, open_database
from smppgw.ledger.hashing import Hasher
from smppgw.ledger.jobs import Addressee, Loading, links, segments_ahead
from smppgw.ledger.optouts import blocked
from smppgw.ledger.spending import segments_between

F = TypeVar("F", bound=Callable[..., Any])

LONGEST_VALIDITY_S = 365 * 86_400.0
_HAS_KEY = "has this key."
_SEE_STATUS = "See `smppgw status`."
_NOT_RUNNING = "The gateway does not run: nothing leaves until `smppgw run` is started."


class Duration(click.ParamType[float]):
    """30s, 15m, 6h, 2d; with a longest, more than 0 and no more than that."""

    name = "duration"

    def __init__(self, longest_s: float | None = None) -> None:
        self._longest_s = longest_s

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        try:
            seconds = parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if self._longest_s is not None and not 0 < seconds <= self._longest_s:
            self.fail(f"{value} is none: give more than 0, and 1y at most.", param, ctx)
        return seconds


def _purpose(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch("[a-z0-9][a-z0-9-]{0,31}", value):
        raise click.BadParameter("small letters, digits and dashes, 32 at most: fetes, ecole.")
    if value in (EVERY_PURPOSE, CONFIRMATION):
        raise click.BadParameter(f"{value} has a meaning of its own: name what it is about.")
    return value


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
        click.option("--text", help="The text; {column} becomes the value of that column."),
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
        click.option("--from", "sender", help="What phones show as sender; else the tenant's."),
        click.option(
            "--rewrite",
            type=click.Choice(sms.REWRITES),
            help="How far the text may be changed to cost less; else the tenant's.",
        ),
        click.option(
            "--expires",
            type=Duration(longest_s=LONGEST_VALIDITY_S),
            help="What has not left by then is not sent: 30m, 6h, 2d; else the class's.",
        ),
        click.option(
            "--at", metavar="TIME", help="Not before: 2027-01-31T08:00, or 08:00 for the next one."
        ),
        click.option("--flash", is_flag=True, help="Show at once, without storing (class 0)."),
        click.option(
            "--key", help="A second submit with this key and the same content sends nothing more."
        ),
        click.option(
            "--purpose",
            metavar="WORD",
            callback=_purpose,
            help="What it is about, for opt-outs: fetes, ecole; else the class.",
        ),
        click.option(
            "--exercise", is_flag=True, help="An alert drill: the text and the report say so."
        ),
        click.option("--label", help="A name for the job, for people."),
        click.option("--strict", is_flag=True, help="Queue nothing if anybody is left out."),
        click.option("--yes", is_flag=True, help="Do not ask; preview never does."),
        click.option("--wait", is_flag=True, help="Follow the job until nothing can change."),
        click.option("--timeout", type=Duration(), help="With --wait: no longer than this."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@order_options
@click.option("--dry-run", is_flag=True, help="Only show what would happen, like preview.")
@json_option
@click.pass_obj
def submit(
    config_path: Path | None,
    /,
    dry_run: bool,
    as_json: bool,
    **order: Any,
) -> int:
    """Queue a job; it is on disk when this returns.

    \b
    smppgw submit --to "06 00 00 00 01" --text "Essai"
    smppgw submit --recipients habitants.xlsx --text "Bonjour {prenom}, l'eau sera coupée jeudi."
    smppgw submit --class alert --recipients riverains.xlsx --text-file crue.txt --yes
    """
    yes, wait, timeout = order["yes"], order["wait"], order["timeout"]
    if timeout is not None and not wait:
        raise click.UsageError("--timeout is how long --wait follows: add --wait.")
    config = load(config_path, secrets=False)
    if dry_run:
        return _preview(config, order, as_json)
    asked = not yes and not as_json and sys.stdin.isatty() and order["recipients_file"] != "-"
    if asked:
        _ask(config, order)
    path, now = config.gateway.database, _now(config)
    with _recipients(config, order) as recipients:
        plan = Plan(config, _wish(config, order), recipients, now)
        db, locks = open_database(path, create=True), Locks(path)
        try:
            with explained(path):
                standing = _standing(db, plan)
                _leave_objectors_out(db, plan)
                job_id = _load(db, locks, plan, strict=order["strict"], show=not as_json)
                if job_id is not None:
                    recipients.warnings += _standing_still(config, db, plan)
            document = plan.document(job=job_id, state=_first_state(plan), **standing)
            if job_id is None:
                return _refuse(document, plan, as_json, "was")
            seen = asked and not wait
            _acknowledge(db, config, document, plan, as_json, seen, wait=wait, timeout_s=timeout)
        finally:
            db.close()
            locks.close()
    return 0


@click.command()
@order_options
@json_option
@click.pass_obj
def preview(config_path: Path | None, /, as_json: bool, **order: Any) -> int:
    """Show whom submit would write to, and what it would cost. Queues nothing."""
    return _preview(load(config_path, secrets=False), order, as_json)


def _preview(config: Config, order: dict[str, Any], as_json: bool) -> int:
    document, plan = _picture(config, order, show=not as_json)
    if order["strict"] and _left_out(plan):
        return _refuse(document, plan, as_json, "would be")
    _show(document, plan, as_json)
    _require(document, plan)
    return 0


class _Standing(TypedDict):
    """What stands in the ledger before a job: see Plan.document."""

    segments_ahead: int
    spent: int


def _standing(db: Database, plan: Plan) -> _Standing:
    return {
        "segments_ahead": segments_ahead(db, plan.order.job_class),
        "spent": 0 if plan.tenant.segments_a_month is None else _spent(db, plan),
    }


def _spent(db: Database, plan: Plan) -> int:
    first, last = month_of(plan.now)
    return segments_between(
        db,
        plan.order.tenant,
        int(first.timestamp() * 1000),
        int(last.timestamp() * 1000),
        but=plan.order.key,
    )


def _standing_still(config: Config, db: Database, plan: Plan) -> list[str]:
    """Say why nothing of the job would leave just now; nothing where it would."""
    with closing(Locks(config.gateway.database)) as locks:
        if not locks.gateway_running():
            return [_NOT_RUNNING]
    takers = {account.name for account in plan.accounts}
    standing = [link for link in links(db) if link.smsc in takers]
    if not standing or any(link.state == "bound" for link in standing):
        return []
    how = dict.fromkeys(
        f"{link.smsc} is {link.state}" + (f": {link.reason}" if link.reason else "")
        for link in standing
    )
    return [f"No bind is up ({'; '.join(how)}): it leaves when one is. {_SEE_STATUS}"]


def _leave_objectors_out(db: Database, plan: Plan) -> None:
    """Have the walk leave out who asked not to be written to.

    Raises:
        DatabaseError: they cannot be told, and it is no alert.
    """
    order = plan.order
    policy = plan.config.classes[order.job_class].optouts
    try:
        hasher = Hasher.open(plan.config.retention.key_file)
        purpose = order.purpose or order.job_class
        plan.recipients.blocked = blocked(db, hasher, order.tenant, purpose, policy)
    except DatabaseError as error:
        if order.job_class != "alert":
            raise
        plan.recipients.warnings.append(f"The alert goes to those who opted out too: {error}")


def _picture(config: Config, order: dict[str, Any], *, show: bool) -> tuple[dict[str, Any], Plan]:
    """Walk over the recipients and write nothing down."""
    path, now = config.gateway.database, _now(config)
    standing: _Standing = {"segments_ahead": 0, "spent": 0}
    with _recipients(config, order) as recipients:
        plan = Plan(config, _wish(config, order), recipients, now)
        if path.exists():
            with open_ledger(path) as db:
                standing = _standing(db, plan)
                _leave_objectors_out(db, plan)
                recipients.warnings += _standing_still(config, db, plan)
        for _ in _shown(plan, show):
            pass
    return plan.document(job=None, state=_first_state(plan), **standing), plan


def _first_state(plan: Plan) -> str:
    return "queued" if plan.order.starts_at is None else "scheduled"


def _require(document: dict[str, Any], plan: Plan) -> None:
    """Refuse what submit would refuse, once it has been shown."""
    _require_recipients(plan)
    plan.require_sender()
    if document["budget"]:
        _require_budget(plan, document["budget"]["used"])


def _require_budget_now(db: Database, plan: Plan) -> None:
    """Refuse what others have left no budget for meanwhile; an alert does not wait for the sum."""
    if plan.order.job_class == "promotional" and plan.tenant.segments_a_month is not None:
        _require_budget(plan, _spent(db, plan))


def _require_budget(plan: Plan, spent: int) -> None:
    budget = plan.budget(spent)
    if budget is not None:
        budget.require(plan.order.job_class)


def _ask(config: Config, order: dict[str, Any]) -> None:
    """Show what would be sent, and go on only if somebody says so."""
    document, plan = _picture(config, order, show=True)
    if order["strict"] and _left_out(plan):
        return  # submit refuses it
    _show(document, plan, as_json=False)
    _require(document, plan)
    if not click.confirm("Send it?", err=True):
        raise OperationError("Nothing was queued.")
    if plan.recipients.left_out_file is not None:
        Path(plan.recipients.left_out_file).unlink(missing_ok=True)  # submit makes it again


def _load(db: Database, locks: Locks, plan: Plan, *, strict: bool, show: bool) -> int | None:
    """Write the job down; returns its number, or None where `strict` forbids it."""
    loading = Loading(db, locks, plan.order, plan.routes)
    try:
        if loading.job_id:  # else it is there already, whatever has become of its sender
            plan.require_sender()
        loading.add(_shown(plan, show))
        if strict and _left_out(plan):
            loading.discard()
            return None
        _require_recipients(plan)
        job_id = loading.finish(
            time.time_ns() // 1_000_000,
            lambda: _require_budget_now(db, plan),
        )
        if not loading.job_id:
            plan.recipients.warnings.append(f"Nothing new was queued: job {job_id} {_HAS_KEY}")
        return job_id
    except BaseException:
        loading.discard()
        raise


def _acknowledge(
    db: Database,
    config: Config,
    document: dict[str, Any],
    plan: Plan,
    as_json: bool,
    seen: bool,
    *,
    wait: bool,
    timeout_s: float | None,
) -> None:
    """Tell what was queued, to people at once; follow it if asked to, and tell what became of it.

    Raises:
        OperationError: the time is up first; the job goes on, and its number has been told.
    """
    job_id: int = document["job"]
    failure = None
    document["state"] = require(db, job_id).state
    if seen:  # the page has just been read
        out.print(f"[bold]Job {job_id} is {document['state']}.[/bold]")
        news = (_NOT_RUNNING, _SEE_STATUS, _HAS_KEY)
        show_warnings([one for one in plan.recipients.warnings if one.endswith(news)])
    elif not (wait and as_json):
        _show(document, plan, as_json)
    if not wait:
        return
    try:
        follow(db, config, job_id, timeout_s=timeout_s, show=not as_json)
    except OperationError as error:
        failure = error
    job = require(db, job_id)
    if as_json:
        _show(document | {"state": job.state}, plan, as_json)
    else:
        show_job(job, config)
    if failure is not None:
        raise failure


def _refuse(document: dict[str, Any], plan: Plan, as_json: bool, verb: str) -> int:
    """Say that --strict forbids it; returns the exit status."""
    _show(document | {"state": None}, plan, as_json)
    left_out = plural(_left_out(plan), "recipient")
    err.print(
        f"Nothing {verb} queued: --strict forbids it, since {left_out} would be left out. "
        "Correct the list, or leave out --strict."
    )
    return 3


def _left_out(plan: Plan) -> int:
    recipients = plan.recipients
    return recipients.invalid + recipients.duplicate + recipients.opted_out


def _recipients(config: Config, order: dict[str, Any]) -> Recipients:
    numbers, name = order["numbers"], order["recipients_file"]
    if bool(numbers) == bool(name):
        raise click.UsageError("Say to whom: either --to NUMBER or --recipients FILE.")
    if numbers and (order["column"] or order["sheet"]):
        raise click.UsageError("--column and --sheet belong to --recipients FILE, not to --to.")
    if numbers:
        return from_numbers(numbers, region=config.gateway.region)
    return open_recipients(
        name, column=order["column"], sheet=order["sheet"], region=config.gateway.region
    )


def _wish(config: Config, order: dict[str, Any]) -> Wish:
    text, text_file = order["text"], order["text_file"]
    if (text is None) == (text_file is None):
        raise click.UsageError("Say what: either --text TEXT or --text-file FILE.")
    if text is None:
        try:
            text = text_file.read_text("utf-8-sig").rstrip("\r\n")
        except OSError as error:
            raise InputError(
                f"{text_file} cannot be read ({error.strerror}): check its name and its mode."
            ) from error
        except UnicodeDecodeError as error:
            raise InputError(f"{text_file} is not UTF-8: save it as UTF-8 text.") from error
    for name, value in (("text", text), *((name, order[name]) for name in _WORDS)):
        if value is not None and not _is_unicode(value):
            raise click.UsageError(
                f"--{name} is not UTF-8: set the terminal to UTF-8, or give the text in a file."
            )
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
        purpose=order["purpose"],
        starts_at=None if order["at"] is None else _time(order["at"], config),
        exercise=order["exercise"],
        ordered_by=whoami(),
    )


# Options that hold what people write; the sender's is --from.
_WORDS = ("label", "key", "tenant")


def _time(text: str, config: Config) -> datetime:
    """Read a time: ISO 8601, or HH:MM for the next time that the clock shows it.

    Without an offset it is the gateway's local time.
    """
    zone = ZoneInfo(config.gateway.timezone)
    now = datetime.now(zone)
    try:
        if re.fullmatch("[0-9]{1,2}:[0-9]{2}", text):
            clock = datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007  # of no day yet
            naive = datetime.combine(now.date(), clock)
            if naive.replace(tzinfo=zone) <= now:
                naive += timedelta(days=1)
        else:
            naive = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(
            f"--at {text} is no time: write 2027-01-31T08:00, or 08:00 for the next time it is."
        ) from None
    if naive.tzinfo is not None:
        return naive
    moment = naive.replace(tzinfo=zone)
    if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != naive:
        raise click.UsageError(
            f"--at {text} does not exist in {zone.key}: the clock is put forward that night."
        )
    return moment


def _is_unicode(text: str) -> bool:
    """Whether a word of the command line was in the terminal's encoding."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _require_recipients(plan: Plan) -> None:
    if plan.tally.queued == 0:
        where = plan.recipients.left_out_file
        hint = f" See {where}." if where else ""
        why = ", ".join(
            f"{count} {reason} ({REASONS[reason]})"
            for reason, count in plan.recipients.reasons.most_common()
        )
        left_out = f" Left out: {why}." if why else ""
        raise InputError(
            f"{plan.recipients.name}: no recipient is left to send to.{left_out}{hint}"
        )


def _shown(plan: Plan, show: bool) -> Iterator[Addressee]:
    """Walk over the recipients, with a progress bar where there is a terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=err, transient=True, disable=not show or not err.is_terminal
    ) as progress:
        task = progress.add_task(f"Reading {told(plan.recipients.name)}", total=None)
        for count, addressee in enumerate(plan.addressees(), 1):
            if count % 1000 == 0:
                progress.update(task, completed=count)
            yield addressee


def _show(document: dict[str, Any], plan: Plan, as_json: bool) -> None:
    if as_json:
        show_json(document)
    else:
        show_page(document, plan)


def _now(config: Config) -> datetime:
    return datetime.now(ZoneInfo(config.gateway.timezone))
