"""Texts from phones: stored as they come, long ones joined from their parts.

    part ──→ waiting ──→ joined        all parts came: the text is complete
                └──────→ joined        time is up: the text shows a gap where a part is missing

Parts wait here, so that nothing is lost by a restart between two of them. Joined parts are
remembered for a day: an SMSC that did not see our answer sends a part again, which is then known by
its number and octets. A part that differs from the one that has its number belongs to another text
that was given the same reference. One that comes after the time is up waits for others like it,
then becomes a text of its own: late, but not lost.

Nothing that an SMSC can write makes these functions fail, because a turn that fails is tried again
for ever. They run inside the turn's transaction; time is handed in, milliseconds since 1970.
"""

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from smppgw.smpp.inbound import Part, international, parse_part
from smppgw.sms.inbound import UserData, decode_parts, decode_text
from smppgw.sms.stop import asked_to_stop

# Counted from a text's first part. A phone sends all parts within a minute or two; the rest is for
# an SMSC that tries again, or a bind that was down.
WAIT_MS = 15 * 60_000
# How long a part that comes again is known: SMSCs go on for hours with a deliver_sm that they think
# failed.
REMEMBERED_MS = 24 * 3_600_000
# Texts given up on, and parts forgotten, in one turn: an alert must not wait for more.
GIVEN_UP_AT_ONCE = 100
FORGOTTEN_AT_ONCE = 1000

# What is counted. Every deliver_sm that is no receipt is a text, a part or a duplicate; of parts
# come long texts, complete or not.
KINDS = ("text", "part", "duplicate", "complete", "incomplete")


class Inbound(NamedTuple):
    """A deliver_sm or data_sm that is no receipt, with what data_coding 0 means on its account."""

    account_id: int
    source: str
    destination: str
    esm_class: int
    data_coding: int
    short_message: bytes
    tlvs: Mapping[int, bytes]
    alphabet: str


class Text(NamedTuple):
    """A text that can be read, as the ledger keeps it: one row of `inbound`, in its order."""

    inbound_id: int
    account_id: int
    received_at: int
    source: str  # E.164 where the SMSC's digits say so
    destination: str
    text: str
    octets: bytes
    data_coding: int
    parts: int
    complete: bool
    asks: str | None  # what sms/stop.py reads in it


@dataclass(slots=True)
class Recorded:
    """What was recorded: texts that can be read now, and counts by kind (one of KINDS)."""

    texts: list[Text] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)


def record(db: sqlite3.Connection, arrived: Sequence[Inbound], now: int) -> Recorded:
    """Store texts, and parts of texts; join those that are whole.

    Args:
        db: the ledger, in a transaction.
        arrived: in the order in which they came.
        now: milliseconds since 1970.

    Raises:
        sqlite3.Error: nothing must be committed.
    """
    work = _Recording(db, now)
    for inbound in arrived:
        work.take(inbound)
    return work.finish()


def keep_house(db: sqlite3.Connection, now: int) -> Recorded:
    """Give up on parts that never came, and forget those that can hardly come again.

    Takes on so much at once; the next call goes on. 15 µs where there is nothing to do.

    Args:
        db: the ledger, in a transaction.
        now: milliseconds since 1970.

    Raises:
        sqlite3.Error: nothing must be committed.
    """
    work = _Recording(db, now)
    due = db.execute(
        "SELECT DISTINCT account_id, source, destination, reference, total FROM inbound_part"
        " WHERE joined = 0 AND received_at <= ? LIMIT ?",
        (now - WAIT_MS, GIVEN_UP_AT_ONCE),
    ).fetchall()
    for text in due:
        work.join(_LongText._make(text))
    db.execute(
        "DELETE FROM inbound_part WHERE id IN (SELECT id FROM inbound_part"
        " WHERE joined = 1 AND received_at <= ? LIMIT ?)",
        (now - REMEMBERED_MS, FORGOTTEN_AT_ONCE),
    )
    return work.finish()


class _LongText(NamedTuple):
    """What ties the parts of one text together."""

    account_id: int
    source: str
    destination: str
    reference: int
    total: int


_OF_TEXT = (
    " WHERE account_id = ? AND source = ? AND destination = ? AND reference = ? AND total = ?"
)


class _Recording:
    """One call at work: texts are gathered, so that all are inserted at once."""

    def __init__(self, db: sqlite3.Connection, now: int) -> None:
        self._db = db
        self._now = now
        self._rows: list[tuple[int, int, str, str, str, bytes, int, int, bool, str | None]] = []
        self._kinds: Counter[str] = Counter()

    def take(self, inbound: Inbound) -> None:
        """Store a text of one part, or keep a part of a longer one."""
        part = parse_part(inbound.short_message, inbound.esm_class, inbound.tlvs)
        source, destination = international(inbound.source), international(inbound.destination)
        data_coding, alphabet = inbound.data_coding, inbound.alphabet
        reference, total, _ = part.numbering
        if total == 1:
            text = decode_text(part.octets, data_coding, alphabet, part.header_octets)
            self._rows.append(
                (inbound.account_id, self._now, source, destination, text, part.octets, data_coding,
                 1, True, asked_to_stop(text))
            )  # fmt: skip
            self._kinds["text"] += 1
        else:
            long_text = _LongText(inbound.account_id, source, destination, reference, total)
            self._keep(long_text, part, data_coding, alphabet)

    def _keep(self, text: _LongText, part: Part, data_coding: int, alphabet: str) -> None:
        """Let a part wait, unless it is here already; join the text where it was the last."""
        number = part.numbering.number
        there: dict[int, bytes] = dict(
            self._db.execute(
                "SELECT joined, octets FROM inbound_part" + _OF_TEXT + " AND number = ?",  # nosec B608  # only constants
                (*text, number),
            ).fetchall()
        )
        if part.octets in there.values():
            self._kinds["duplicate"] += 1
            return
        if 0 in there:  # another text under the same reference: the first will not become whole
            self.join(text)
        self._db.execute(
            "INSERT INTO inbound_part (account_id, source, destination, reference, total, number,"
            " joined, received_at, octets, data_coding, alphabet, header_octets)"
            " VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)",
            (*text, number, self._now, part.octets, data_coding, alphabet, part.header_octets),
        )
        self._kinds["part"] += 1
        (waiting,) = self._db.execute(
            "SELECT count(*) FROM inbound_part" + _OF_TEXT + " AND joined = 0",  # nosec B608  # only constants
            text,
        ).fetchone()
        if waiting == text.total:
            self.join(text)

    def join(self, text: _LongText) -> None:
        """Make a text of the parts that wait, whether all came or not."""
        rows = self._db.execute(
            "SELECT number, octets, data_coding, alphabet, header_octets FROM inbound_part"  # nosec B608  # only constants
            + _OF_TEXT
            + " AND joined = 0 ORDER BY number",
            text,
        ).fetchall()
        parts: list[UserData | None] = [None] * text.total
        for number, *user_data in rows:
            parts[number - 1] = UserData._make(user_data)
        complete = len(rows) == text.total
        octets = b"".join([row[1] for row in rows])
        whole = decode_parts(parts)
        self._rows.append(
            (text.account_id, self._now, text.source, text.destination, whole, octets,
             rows[0][2], text.total, complete, asked_to_stop(whole))
        )  # fmt: skip
        self._kinds["complete" if complete else "incomplete"] += 1
        # Replaces what is remembered of an earlier text under the same reference.
        self._db.execute(
            "UPDATE OR REPLACE inbound_part SET joined = 1" + _OF_TEXT + " AND joined = 0",  # nosec B608  # only constants
            text,
        )

    def finish(self) -> Recorded:
        """Insert the texts."""
        if not self._rows:
            return Recorded([], self._kinds)
        (last,) = self._db.execute("SELECT coalesce(max(id), 0) FROM inbound").fetchone()
        texts = [Text(inbound_id, *row) for inbound_id, row in enumerate(self._rows, last + 1)]
        self._db.executemany(
            "INSERT INTO inbound (id, account_id, received_at, source, destination, text, octets,"
            " data_coding, parts, complete, asks) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            texts,
        )
        return Recorded(texts, self._kinds)


class InboundRow(NamedTuple):
    """One text for a listing; `smsc` is the account's name."""

    inbound_id: int
    received_at: int
    smsc: str
    source: str
    destination: str
    text: str
    parts: int
    complete: bool


def list_inbound(
    db: sqlite3.Connection, *, since: int = 0, limit: int | None = None
) -> list[InboundRow]:
    """Return the texts that could be read from a time on, newest first.

    Args:
        db: the ledger.
        since: milliseconds since 1970.
        limit: how many at most.
    """
    rows = db.execute(
        "SELECT inbound.id, received_at, name, source, destination, text, parts, complete"
        " FROM inbound JOIN account ON account.id = account_id"
        " WHERE received_at >= ? ORDER BY inbound.id DESC LIMIT ?",
        (since, -1 if limit is None else limit),
    )
    return [InboundRow._make((*row[:-1], bool(row[-1]))) for row in rows]
