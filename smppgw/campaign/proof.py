"""What proves that people were warned: who ordered what, when it left, and what became of it.

A proof is made of what the ledger holds and nothing else: times and outcomes as they were recorded,
the operator's own message ids, and the head of the audit, which ties it to all that was done.
`Facts` are what its first page says; its rows are read a second time for the list of messages, so
that a hundred thousand of them are never held at once. As JSON here, as a page in `proof_page`.

Pure: rows and times come in, text goes out in chunks.
"""

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from smppgw import sms
from smppgw.ledger.audit import Entry, Head
from smppgw.ledger.evidence import Ordered, Sent
from smppgw.ledger.hashing import HASH_MARK
from smppgw.ledger.jobs import Job

FORMAT = 1  # of the JSON document: raised when something in it changes its meaning
NUMBERS = ("masked", "hashed", "clear")
SHARES = (50, 95, 99)  # percent
_MASKED_HASH_DIGITS = 8
_MASKABLE = 11  # characters: of fewer, what is shown would leave too few to guess
_ROWS_AT_ONCE = 500


class Delays:
    """How long after its start a job's messages came to a point, in whole milliseconds."""

    def __init__(self) -> None:
        self._after_ms = array("q")
        self._sorted = True

    def add(self, after_ms: int) -> None:
        """Count one; a clock that was put back makes none negative."""
        self._after_ms.append(max(0, after_ms))
        self._sorted = False

    def __len__(self) -> int:
        return len(self._after_ms)

    def ordered_ms(self) -> "array[int]":
        """Return all of them, shortest first."""
        if not self._sorted:
            self._after_ms, self._sorted = array("q", sorted(self._after_ms)), True
        return self._after_ms

    def within_s(self, percent: int) -> float | None:
        """Return within how many seconds so many percent of them had come: the nearest rank."""
        after_ms = self.ordered_ms()
        return after_ms[-(-percent * len(after_ms) // 100) - 1] / 1000 if after_ms else None


@dataclass(slots=True)
class Survey:
    """What a walk over a job's messages finds out before the first of them is written."""

    accepted: Delays = field(default_factory=Delays)
    delivered: Delays = field(default_factory=Delays)
    last_submit_at: int | None = None
    errors: Counter[str] = field(default_factory=Counter)


def survey(messages: Iterable[Sent], since: int) -> Survey:
    """Walk over a job's messages once.

    Args:
        messages: all of them.
        since: what delays are counted from: when the job was to start, milliseconds since 1970.
    """
    found = Survey()
    for message in messages:
        if message.submitted_at is not None:
            found.last_submit_at = max(found.last_submit_at or 0, message.submitted_at)
        if message.accepted_at is not None:
            found.accepted.add(message.accepted_at - since)
        if message.state == "delivered" and message.done_at is not None:
            found.delivered.add(message.done_at - since)
        elif message.error is not None:
            found.errors[message.error] += 1
    return found


class Chain(NamedTuple):
    """The audit when the proof was made: its head, and what is wrong with it."""

    head: Head
    problems: Sequence[str]


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a proof says beside its list of messages."""

    job: Job
    ordered: Ordered
    survey: Survey
    actions: Sequence[Entry]
    chain: Chain
    numbers: str  # one of NUMBERS
    written_at: int
    written_by: str
    version: str
    zone: tzinfo

    @property
    def personal(self) -> bool:
        """Whether each recipient had a text of their own."""
        return self.ordered.text is not None and bool(sms.Template(self.ordered.text).names)

    def composed(self) -> sms.Composed | None:
        """Return the text as it was sent, where it was one for all and is still there."""
        if self.ordered.text is None or self.personal:
            return None
        return sms.compose(sms.Template(self.ordered.text).fill({}), self.ordered.rewrite)

    def iso(self, at: int | None) -> str | None:
        """Write a time as ISO 8601 with offset."""
        return None if at is None else self.local(at).isoformat(timespec="milliseconds")

    def local(self, at: int) -> datetime:
        """Return a time in the zone of whoever reads."""
        return datetime.fromtimestamp(at / 1000, self.zone)


def mask(number: str) -> str:
    """Hide the middle of a number, +336****5678, and most of a hash."""
    if number.startswith(HASH_MARK):
        return f"{number[: 1 + _MASKED_HASH_DIGITS]}…"
    if len(number) < _MASKABLE:
        return "****"
    return f"{number[:4]}****{number[-4:]}"


def shown_as(numbers: str, hashed: Callable[[str], str]) -> Callable[[str], str]:
    """Return what writes a number as a proof has it.

    Args:
        numbers: one of NUMBERS. A number of which only the hash is left stays a hash.
        hashed: returns the keyed hash of a number in E.164.
    """
    if numbers == "masked":
        return mask
    if numbers == "clear":
        return str
    return lambda number: number if number.startswith(HASH_MARK) else f"{HASH_MARK}{hashed(number)}"


def json_chunks(
    facts: Facts, messages: Iterable[Sent], shown: Callable[[str], str]
) -> Iterator[str]:
    """Yield a proof as one JSON document, a message a line; docs/proof.md says what it holds."""
    head = json.dumps(document(facts), ensure_ascii=False, indent=1)
    yield f'{head[:-2]},\n "messages": ['
    separator = "\n"
    for chunk in _in_chunks(
        json.dumps(_row(facts, message, shown), ensure_ascii=False) for message in messages
    ):
        yield separator + ",\n".join(chunk)
        separator = ",\n"
    yield "\n ]\n}\n"


def _in_chunks(lines: Iterable[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == _ROWS_AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def document(facts: Facts) -> dict[str, Any]:
    """Return a proof as JSON, without its messages."""
    job, ordered, found = facts.job, facts.ordered, facts.survey
    composed = facts.composed()
    return {
        "proof": FORMAT,
        "written_at": facts.iso(facts.written_at),
        "written_by": facts.written_by,
        "software": f"smppgw {facts.version}",
        "final": job.settled,
        "exercise": job.exercise,
        "job": {
            "job": job.job_id,
            "state": job.state,
            "class": job.job_class,
            "purpose": job.purpose,
            "tenant": job.tenant,
            "sender": job.sender,
            "label": job.label,
            "ordered_by": job.ordered_by or None,
            "created_at": facts.iso(job.created_at),
            "starts_at": facts.iso(job.starts_at),
            "expires_at": facts.iso(ordered.expires_at),
            "first_submit_at": facts.iso(job.first_submit_at),
            "last_submit_at": facts.iso(found.last_submit_at),
            "finished_at": facts.iso(job.finished_at),
            "content": ordered.content,
        },
        "text": {
            "ordered": ordered.text,
            "sent": None if composed is None else composed.text,
            "personal": facts.personal,
            "rewrite": ordered.rewrite,
            "encoding": None if composed is None else composed.encoding,
            "segments": None if composed is None else len(composed.segments),
            "flash": ordered.flash,
            "purged_at": facts.iso(ordered.text_purged_at),
        },
        "numbers": {"form": facts.numbers, "purged_at": facts.iso(ordered.numbers_purged_at)},
        "counts": {"total": job.total, **job.counts},
        "segments": job.segments,
        "delays": {"accepted": _delays(found.accepted), "delivered": _delays(found.delivered)},
        "errors": dict(found.errors.most_common()),
        "actions": [
            {
                "entry": entry.id,
                "at": facts.iso(entry.at),
                "actor": entry.actor,
                "action": entry.action,
                "details": entry.details,
                "hash": entry.hash,
            }
            for entry in facts.actions
        ],
        "audit": {
            "sound": not facts.chain.problems,
            "problems": list(facts.chain.problems),
            "entries": facts.chain.head.entries,
            "last_entry": facts.chain.head.last_id,
            "last_hash": facts.chain.head.hash,
        },
    }


def _delays(delays: Delays) -> dict[str, int | float | None]:
    return {
        "messages": len(delays),
        **{f"p{share}_s": delays.within_s(share) for share in SHARES},
        "last_s": delays.within_s(100),
    }


def _row(facts: Facts, message: Sent, shown: Callable[[str], str]) -> dict[str, Any]:
    return {
        "number": shown(message.number),
        "state": message.state,
        "submitted_at": facts.iso(message.submitted_at),
        "accepted_at": facts.iso(message.accepted_at),
        "done_at": facts.iso(message.done_at),
        "segments": message.segments,
        "smsc": message.smsc,
        "smsc_message_ids": message.smsc_message_ids,
        "error": message.error,
    }
