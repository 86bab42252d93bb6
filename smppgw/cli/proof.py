"""`proof`: one file that says who was warned, when, and how anybody can check it."""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from zoneinfo import ZoneInfo

import click

from smppgw import __version__
from smppgw.campaign.proof import NUMBERS, Chain, Facts, json_chunks, shown_as, survey
from smppgw.campaign.proof_page import page_chunks
from smppgw.campaign.proof_words import LANGUAGES
from smppgw.cli.ledger import open_ledger, require
from smppgw.cli.output import err, json_option, out, plural, show_json, told, whoami
from smppgw.config import Config, load
from smppgw.errors import InputError, OperationError
from smppgw.ledger import audit
from smppgw.ledger.database import Database
from smppgw.ledger.evidence import job_ordered, messages_sent, note_written, snapshot
from smppgw.ledger.hashing import Hasher


@click.command()
@click.argument("job", type=int)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file: .html is a page for people, .json a document for machines.",
)
@click.option(
    "--numbers",
    type=click.Choice(NUMBERS),
    default=NUMBERS[0],
    show_default=True,
    help="masked is +336****5678; hashed, a keyed hash; clear, the numbers themselves.",
)
@click.option(
    "--language",
    type=click.Choice(list(LANGUAGES)),
    default="fr",
    show_default=True,
    help="Of the page.",
)
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
@json_option
@click.pass_obj
def proof(
    config_path: Path | None,
    job: int,
    output: Path,
    numbers: str,
    language: str,
    force: bool,
    as_json: bool,
) -> None:
    """Write the proof of a job: who ordered what, when it left, and what became of it.

    It is written down in the audit with the file's SHA-256, which is printed: a file that somebody
    changed has another. docs/proof.md says what it holds.

    \b
    smppgw proof 12 --output preuve-12.html
    """
    form = output.suffix.lower().removeprefix(".")
    if form not in ("html", "json"):
        raise click.UsageError("Name the file .html, for people, or .json, for machines.")
    config = load(config_path, secrets=False)
    with open_ledger(config.gateway.database) as db:
        if require(db, job).state == "loading":
            raise InputError(f"Job {job} is still being submitted: there is nothing to prove yet.")
        with _replaced_whole(output, force=force) as file:
            with snapshot(db):
                facts, chunks = _proof(db, config, job, numbers, form, language)
                digest = _write(file, chunks, output)
            note_written(db, _now_ms(), whoami(), job, sha256=digest, form=form, numbers=numbers)
    if facts.chain.problems:
        err.print(
            "The audit is broken, and the proof says so: see `smppgw audit verify`.", style="red"
        )
    if as_json:
        show_json({"job": job, "file": str(output), "sha256": digest, "final": facts.job.settled})
        return
    out.print(f"The proof of job {job} is written to {told(output)}.")
    out.print(f"SHA-256  {digest}")
    if not facts.job.settled:
        moving = sum(facts.job.counts[state] for state in ("queued", "submitting", "accepted"))
        err.print(
            f"It is not final: {plural(moving, 'message')} may still change state. Write another "
            "one when nothing does."
        )


def _proof(
    db: Database, config: Config, job_id: int, numbers: str, form: str, language: str
) -> tuple[Facts, Iterator[str]]:
    """Return what a proof says, and the proof itself, to be read within the same snapshot."""
    found = job_ordered(db, job_id)
    assert found is not None  # a job is never removed once it was there
    job, ordered = found
    facts = Facts(
        job=job,
        ordered=ordered,
        survey=survey(messages_sent(db, job_id), job.starts_at),
        actions=audit.entries(db, job_id=job_id),
        chain=Chain(audit.head(db), list(audit.verify(db))),
        numbers=numbers,
        written_at=_now_ms(),
        written_by=whoami(),
        version=__version__,
        zone=ZoneInfo(config.gateway.timezone),
    )
    hashed = Hasher.open(config.retention.key_file).of if numbers == "hashed" else str
    shown = shown_as(numbers, hashed)
    messages = messages_sent(db, job_id)
    if form == "json":
        return facts, json_chunks(facts, messages, shown)
    return facts, page_chunks(facts, messages, shown, LANGUAGES[language])


def _write(file: IO[bytes], chunks: Iterator[str], output: Path) -> str:
    """Write a proof, and return its SHA-256."""
    digest = hashlib.sha256()
    for chunk in chunks:
        octets = chunk.encode("utf-8", "replace")  # what an SMSC wrote may be no text
        digest.update(octets)
        with _told(output):
            file.write(octets)
    with _told(output):
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


@contextmanager
def _replaced_whole(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """Open a file that takes its name when it is whole and on disk, for its owner alone.

    Raises:
        OperationError: there is one, and nobody said that it may be replaced; or it cannot be made.
    """
    taken = OperationError(f"{path} exists: name another file, or add --force to replace it.")
    if not force and path.exists():
        raise taken
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    with _told(path):
        descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with open(descriptor, "wb") as file:
            yield file
        with _told(path):
            if force:
                os.replace(unfinished, path)
            else:
                try:
                    os.link(unfinished, path)  # fails where somebody else was quicker
                except FileExistsError:
                    raise taken from None
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say of what the file system refuses which file it was."""
    try:
        yield
    except OSError as error:
        raise OperationError(
            f"The proof cannot be written to {path} ({error.strerror}): name another file with "
            "--output, or make room."
        ) from error


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
