"""The turn: one transaction that records what arrived and claims what may leave.

In: answers, lost requests, receipts and inbound texts since the last turn, and for each link how
many segments it may write now. Out: exactly those segments, committed as `submitting` (I3). There
is no other place that moves a message from state to state once its job is queued.

    queued → submitting → accepted → delivered | undelivered
                 ├→ rejected          refused for good, or attempts used up
                 ├→ unknown           no answer and none can come, policy hold
                 └→ queued            throttled, try later, or unknown under resend
    queued → cancelled                by whoever cancelled its job
    queued → expired                  its validity passed before it left
    unknown → accepted | delivered | undelivered      a late answer or receipt
    delivered → undelivered           of a long text, by the receipt of another segment

Nearly every message has one segment and its answer comes while it is `submitting`: those are
recorded in batches, without looking. Everything else (long texts, late answers, lost requests) is
looked at one by one.

Runs in the writer's thread on a plain sqlite3 connection; time is handed in, milliseconds since
1970.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from smppgw.errors import ContradictionError
from smppgw.ledger import inbound
from smppgw.ledger.claim import Claimed, Claiming, Demand, Moved
from smppgw.ledger.database import data_version, transaction
from smppgw.ledger.inbound import Inbound
from smppgw.ledger.keys import (
    JOB_BITS,
    MESSAGE_BITS,
    ROUTE_BITS,
    SEGMENT_BITS,
    messages_in,
    messages_of,
    segments_of,
    streams_of,
)
from smppgw.shares import Shares
from smppgw.smpp.receipt import SAME, Receipt, normal_forms
from smppgw.smpp.status import Verdict

AT_ONCE = 0  # whatever the clock says: it may be set back
# A message that is to be tried later waits this long, then twice as long each time, up to the
# longest.
FIRST_RETRY_MS = 10_000
LONGEST_RETRY_MS = 3_600_000
# A parked receipt whose response has not come by then is nobody's.
PARKED_LIMIT_MS = 3_600_000
# Messages that expire in one turn: an expired job of a million must not hold an alert.
EXPIRED_AT_ONCE = 1000
CANCELLED_AT_ONCE = 1000
# A parked receipt waits so long for its response before its recipient is looked for among the
# messages of unknown outcome.
UNTRIED_MS = 5_000
_UNTRIED_AT_ONCE = 1000
# A message of which one segment is delivered waits so long for what is told of the others.
PARTIAL_MS = 60_000
_PARTIAL_AT_ONCE = 1000
_RUN = 4  # messages that follow each other, for which a statement of their own is worth it
# The state that messages leave stands in the statement: SQLite compares a parameter with what the
# partial index on unknown messages holds, and prepares the statement anew for each, 18 µs.
_MOVE_RUN, _MOVE_ONE = (
    {
        before: f"UPDATE message SET state = ?, error = ? WHERE {which} AND state = '{before}'"  # nosec B608  # constants
        for before in ("submitting", "accepted")
    }
    for which in ("id BETWEEN ? AND ?", "id = ?")
)
_CONTRADICTED = (
    "The database contradicts the gateway: something else has changed messages that were being "
    "sent. Nothing was recorded; restart the gateway."
)
# What a final receipt makes of a segment. OTHER is not here: an unknown word is kept, not guessed
# at.
FINAL_STATES = {
    "DELIVRD": "delivered",
    "UNDELIV": "undelivered",
    "EXPIRED": "undelivered",
    "DELETED": "undelivered",
    "REJECTD": "undelivered",
    "UNKNOWN": "undelivered",
}


class Answered(NamedTuple):
    """What the SMSC answered to one submit_sm."""

    segment_id: int
    attempt: int
    total: int  # segments of its message
    account_id: int
    verdict: Verdict
    command_status: int
    smsc_message_id: str
    waited_ms: int  # since it was written


class Lost(NamedTuple):
    """A submit_sm whose outcome nobody tells: connection lost, or answer overdue."""

    segment_id: int
    attempt: int


class Received(NamedTuple):
    """A receipt, with the account that it came by and how that account writes its ids."""

    account_id: int
    dialect: str
    recipient: str  # digits: the deliver_sm's source
    sender: str  # the deliver_sm's destination
    receipt: Receipt


@dataclass(slots=True)
class Arrivals:
    """What arrived since the last turn.

    `late` are answers to requests that had been given up as `lost`; `abandoned` are messages of
    which a link that is gone had sent some segments and not the others.
    """

    answered: list[Answered] = field(default_factory=list)
    late: list[Answered] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    abandoned: list[int] = field(default_factory=list)
    receipts: list[Received] = field(default_factory=list)
    inbound: list[Inbound] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(
            self.answered
            or self.receipts
            or self.late
            or self.lost
            or self.abandoned
            or self.inbound
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says of opt-outs.

    Attributes:
        silences: by class, which opt-outs silence a job: any | purpose | all.
        optout_errors: by account, the receipts' errors that say that somebody opted out.
        optout_statuses: by account, the command_status that say so.
    """

    silences: Mapping[str, str] = field(default_factory=dict)
    optout_errors: Mapping[int, frozenset[str]] = field(default_factory=dict)
    optout_statuses: Mapping[int, frozenset[int]] = field(default_factory=dict)


_NO_RULES = Rules()


@dataclass(slots=True)
class Turned(Claimed):
    """What one turn did.

    Attributes:
        finished: how many messages reached a final state, by (class, state).
        version: of the database, which changes when another process writes.
        came_back: whether messages wait again that had left.
        delivery_ms: time from submit to final receipt, one for each segment, by account.
        inbound: deliver_sm that are no receipts, by kind (ledger.inbound.KINDS).
        optouts: messages whose refusal says that their recipient opted out with the operator, each
            with the channel: receipt | response.
    """

    finished: Counter[tuple[str, str]] = field(default_factory=Counter)
    version: int = 0
    came_back: bool = False
    delivery_ms: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    inbound: Counter[str] = field(default_factory=Counter)
    optouts: list[tuple[int, str]] = field(default_factory=list)


def turn(
    db: sqlite3.Connection,
    arrivals: Arrivals,
    demands: Sequence[Demand],
    now: int,
    *,
    housekeeping: bool = False,
    shares: Shares | None = None,
    rules: Rules = _NO_RULES,
    foretell: Callable[[Claimed], None] = lambda _: None,
) -> Turned:
    """Record what arrived and claim what may leave, in one transaction.

    Args:
        db: the ledger.
        arrivals: what the links brought.
        demands: what each link may write now; every link that holds a remainder is named, even
            with no slot.
        now: milliseconds since 1970.
        housekeeping: also expire what waited too long, and give up on parked receipts; wanted
            every second or so.
        shares: what the tenants have had so far; without it they begin anew.
        rules: of opt-outs.
        foretell: told of what is claimed right before it is committed, in this thread: what is to
            be sent can be prepared meanwhile, and is not sent if the commit fails.

    Raises:
        sqlite3.Error: nothing was recorded and nothing claimed.
        ContradictionError: the ledger contradicts what the gateway knows; nothing was recorded.
    """
    work = _Turn(db, now, {d.remainder.message_id for d in demands if d.remainder}, rules)
    with transaction(db):
        work.turned.version = data_version(db)  # 2 µs; outside a transaction it takes 8
        work.record(arrivals)
        if housekeeping:
            work.keep_house()
        work.claim(demands, shares or Shares())
        work.count()
        foretell(work.turned)
    return work.turned


def recover(db: sqlite3.Connection, now: int) -> int:
    """Settle what a gateway that died left as submitting, by each job's policy.

    Args:
        db: the ledger, which no gateway is using.
        now: milliseconds since 1970.

    Returns:
        How many segments have an outcome that nobody knows.
    """
    work = _Turn(db, now, set())
    unknown = 0
    with transaction(db):
        for (job_id,) in db.execute("SELECT id FROM job WHERE submitting > 0").fetchall():
            messages = db.execute(
                "SELECT id FROM message WHERE id > ? AND id < ? AND state = 'submitting'",
                messages_of(job_id),
            ).fetchall()
            for (message_id,) in messages:
                sent = db.execute(
                    "SELECT id, attempt FROM segment"
                    " WHERE id > ? AND id < ? AND state = 'submitting'",
                    segments_of(message_id),
                ).fetchall()
                unknown += len(sent)
                work.record(Arrivals(lost=[Lost(*row) for row in sent], abandoned=[message_id]))
        work.count()
    return unknown


class _Turn:
    """One turn at work: its clock, and how the counts of jobs and accounts change by it."""

    def __init__(
        self, db: sqlite3.Connection, now: int, held: set[int], rules: Rules = _NO_RULES
    ) -> None:
        self.db = db
        self.now = now
        self.turned = Turned()
        self._rules = rules
        self._held = held  # messages of which a link still has segments to send
        self._moved: Moved = defaultdict(int)
        self._receipt_counts: Counter[tuple[int, str]] = Counter()  # (account, kind)
        self._limits_of: dict[int, tuple[int, str]] = {}
        self._id_forms: dict[int, str] = {}

    # Record

    def record(self, arrivals: Arrivals) -> None:
        """Write down what the links brought."""
        receipts = arrivals.receipts
        if arrivals.answered:
            receipts = self._answers(arrivals.answered, receipts)
        for answer in arrivals.late:
            self._late_answer(answer)
        if arrivals.lost or arrivals.abandoned:
            self._losses(arrivals.lost, arrivals.abandoned)
        for account_id, count in Counter(r.account_id for r in arrivals.receipts).items():
            self._receipt_counts[account_id, "received"] += count
        if receipts:
            self._receipts(receipts)
        if arrivals.inbound:
            self._note(inbound.record(self.db, arrivals.inbound, self.now))

    def _note(self, recorded: inbound.Recorded) -> None:
        """Tell what became of texts from phones."""
        self.turned.inbound += recorded.kinds

    def _answers(self, answered: list[Answered], receipts: list[Received]) -> list[Received]:
        """Record the answers; a receipt that came with its answer is recorded in the same breath.

        Returns:
            The receipts that are still to be recorded.
        """
        now, accepted = self.now, Verdict.ACCEPTED
        accounts = {received.account_id for received in receipts}
        same = {account_id for account_id in accounts if self._id_form(account_id) == SAME}
        early = {
            (account_id, receipt.message_id): position
            for position, (account_id, dialect, _, _, receipt) in enumerate(receipts)
            if account_id in same
            and dialect != "hex-then-decimal"
            and receipt.state in FINAL_STATES
            and not receipt.notification  # else `_final` has to say, which takes 0.5 µs
        }
        segments: list[tuple[object, ...]] = []
        messages: list[tuple[str, str | None, int]] = []
        failed: list[tuple[str, str, int]] = []
        others: list[Answered] = []
        taken: set[int] = set()
        delivery_ms = self.turned.delivery_ms
        for answer in answered:
            segment_id, attempt, total, account_id, verdict, status, smsc_id, waited_ms = answer
            if verdict is not accepted or total > 1:
                others.append(answer)
                continue
            state, done_at, error = "accepted", None, None
            position = early.pop((account_id, smsc_id), None) if early and smsc_id else None
            if position is not None:
                receipt = receipts[position].receipt
                taken.add(position)
                state, done_at = FINAL_STATES[receipt.state], now
                if state != "delivered":
                    error = _error_of(receipt)
                    failed.append((error, receipt.raw, segment_id))
                    self._note_objection(account_id, segment_id, receipt)
                delivery_ms[account_id].append(waited_ms)
            segments.append((state, smsc_id, status, now, done_at, segment_id, attempt))
            messages.append((state, error, segment_id >> SEGMENT_BITS))
        for position in taken:
            self._receipt_counts[receipts[position].account_id, "matched"] += 1
        self._update_all(
            "UPDATE segment SET state = ?, smsc_message_id = ?, command_status = ?,"
            " accepted_at = ?, done_at = ?"
            " WHERE id = ? AND attempt = ? AND state = 'submitting'",
            segments,
            len(segments),
        )
        self._say_why(failed)
        self._move_all("submitting", messages)
        for answer in others:
            self._answer(answer)
        if self.db.execute("SELECT EXISTS (SELECT 1 FROM parked)").fetchone()[0]:
            for answer in answered:
                self._unpark(answer)
        return [receipt for position, receipt in enumerate(receipts) if position not in taken]

    def _answer(self, answer: Answered) -> None:
        """Record an answer that is not plain: refused, throttled, or to one segment of several."""
        message_id = answer.segment_id >> SEGMENT_BITS
        match answer.verdict:
            case Verdict.ACCEPTED:
                self._accept(answer)
            case Verdict.SLOW_DOWN | Verdict.STOP_LINK:
                self._forget(answer)
            case Verdict.TRY_LATER if self._use_attempt(message_id):
                self._forget(answer)
            case Verdict.REFUSED | Verdict.TRY_LATER:
                self._reject(answer)
        self._roll_up(message_id)

    def _accept(self, answer: Answered) -> None:
        self.db.execute(
            "UPDATE segment SET state = 'accepted', smsc_message_id = ?, command_status = ?,"
            " accepted_at = ? WHERE id = ? AND attempt = ?",
            (
                answer.smsc_message_id,
                answer.command_status,
                self.now,
                answer.segment_id,
                answer.attempt,
            ),
        )

    def _reject(self, answer: Answered) -> None:
        if answer.command_status in self._rules.optout_statuses.get(answer.account_id, ()):
            self.turned.optouts.append((answer.segment_id >> SEGMENT_BITS, "response"))
        self.db.execute(
            "UPDATE segment SET state = 'rejected', command_status = ?, done_at = ?"
            " WHERE id = ? AND attempt = ?",
            (answer.command_status, self.now, answer.segment_id, answer.attempt),
        )

    def _forget(self, answer: Answered) -> None:
        """Drop a segment that the SMSC did not take: it is missing from its message again."""
        self.db.execute(
            "DELETE FROM segment WHERE id = ? AND attempt = ?",
            (answer.segment_id, answer.attempt),
        )

    def _use_attempt(self, message_id: int) -> bool:
        """Count an attempt; False where it was the last."""
        limit, _ = self._limits(message_id >> JOB_BITS)
        (used,) = self.db.execute(
            "UPDATE message SET attempts = attempts + 1 WHERE id = ? RETURNING attempts - forgiven",
            (message_id,),
        ).fetchone()
        return bool(used < limit)

    def _late_answer(self, answer: Answered) -> None:
        """Settle an unknown segment by the answer that came after all.

        Where it has been sent again meanwhile, the attempt differs and nothing changes.
        """
        row = self.db.execute(
            "SELECT state FROM segment WHERE id = ? AND attempt = ?",
            (answer.segment_id, answer.attempt),
        ).fetchone()
        if row == ("unknown",):
            self._answer(answer)
            self._unpark(answer)

    def _losses(self, lost: list[Lost], abandoned: list[int]) -> None:
        messages = dict.fromkeys(abandoned)
        for segment_id, attempt in lost:
            self.db.execute(
                "UPDATE segment SET state = 'unknown'"
                " WHERE id = ? AND attempt = ? AND state = 'submitting'",
                (segment_id, attempt),
            )
            messages[segment_id >> SEGMENT_BITS] = None
        for message_id in messages:
            self._roll_up(message_id)

    def _roll_up(self, message_id: int) -> None:
        """Make a message's state from its segments': the one place where arrows meet."""
        state, total, attempts, forgiven, erased = self.db.execute(
            "SELECT state, segments, attempts, forgiven, recipient LIKE '#%' FROM message"
            " WHERE id = ?",
            (message_id,),
        ).fetchone()
        rows = self.db.execute(
            "SELECT state, error, command_status, asks_receipt FROM segment"
            " WHERE id > ? AND id < ?",
            segments_of(message_id),
        ).fetchall()
        states = Counter(row[0] for row in rows)
        if states["submitting"] or state in _CLOSED:
            return
        if states["rejected"]:
            status = next(row[2] for row in rows if row[0] == "rejected")
            self._move(message_id, state, "rejected", f"command_status 0x{status:08X}")
        elif message_id in self._held:
            return  # its link goes on with it
        elif states["unknown"]:
            limit, policy = self._limits(message_id >> JOB_BITS)
            if policy == "resend" and attempts - forgiven + 1 < limit and not erased:
                if state != "queued":
                    self._requeue(message_id, state, AT_ONCE, attempts + 1)
            else:
                self._move(message_id, state, "unknown", "no answer")
                self.db.execute(
                    "UPDATE parked SET tried = 0 WHERE recipient ="
                    " (SELECT ltrim(recipient, '+') FROM message WHERE id = ?)",
                    (message_id,),
                )
        elif len(rows) < total and erased:
            self._move(message_id, state, "unknown", "its number was erased")
        elif len(rows) < total:
            tried = attempts - forgiven
            due_at = AT_ONCE
            if tried:
                due_at = self.now + min(FIRST_RETRY_MS << (tried - 1), LONGEST_RETRY_MS)
            self._requeue(message_id, state, due_at, attempts)
        elif states["undelivered"]:
            error = next(row[1] for row in rows if row[0] == "undelivered")
            self._move(message_id, state, "undelivered", error)
        elif states["delivered"] and any(row[0] == "accepted" and row[3] for row in rows):
            if state != "delivered":  # else it has waited long enough
                self._move(message_id, state, "accepted")
                self.db.execute(
                    "UPDATE message SET partial_at = ? WHERE id = ?", (self.now, message_id)
                )
        elif states["delivered"]:
            self._move(message_id, state, "delivered")
        else:
            self._move(message_id, state, "accepted")

    def _move(self, message_id: int, state: str, to: str, error: str | None = None) -> None:
        if state != to:
            self.db.execute(
                "UPDATE message SET state = ?, error = ?, due_at = NULL, partial_at = NULL"
                " WHERE id = ?",
                (to, error, message_id),
            )
            self._moved[message_id >> JOB_BITS, state, to] += 1

    def _requeue(self, message_id: int, state: str, due_at: int, attempts: int) -> None:
        job_id = message_id >> JOB_BITS
        self.turned.came_back = True
        self.db.execute(
            "UPDATE message SET state = 'queued', error = NULL, due_at = ?, attempts = ?"
            " WHERE id = ?",
            (due_at, attempts, message_id),
        )
        self.db.execute(
            "UPDATE stream SET ready_at = min(coalesce(ready_at, ?1), ?1) WHERE id = ?2",
            (due_at, message_id >> MESSAGE_BITS),
        )
        # A late answer may show that a message which ended in doubt has segments still to be sent.
        self.db.execute(
            "UPDATE job SET state = iif(state = 'done', 'sending', state), finished_at = NULL"
            " WHERE id = ? AND finished_at IS NOT NULL",
            (job_id,),
        )
        if state != "queued":
            self._moved[job_id, state, "queued"] += 1

    def _limits(self, job_id: int) -> tuple[int, str]:
        """Return a job's limit of attempts and its policy for unknown outcomes."""
        rules = self._limits_of.get(job_id)
        if rules is None:
            rules = self._limits_of[job_id] = self.db.execute(
                "SELECT attempts, unknown_policy FROM job WHERE id = ?", (job_id,)
            ).fetchone()
        return rules

    def _move_all(self, before: str, messages: list[tuple[str, str | None, int]]) -> None:
        """Move messages of one segment that are in one state, or stop.

        Messages that follow each other and end alike are moved by one statement: 100 of them in
        35 µs, where one by one they take 110.

        Args:
            before: the state that they are in.
            messages: to which state, the error and the message, for each.
        """
        singles: list[tuple[str, str | None, int]] = []
        runs: list[tuple[str, str | None, int, int]] = []
        at = 0
        while at < len(messages):
            state, error, first = messages[at]
            end = at + 1
            while end < len(messages) and messages[end] == (state, error, first + end - at):
                end += 1
            if end - at < _RUN:
                singles += messages[at:end]
            else:
                runs.append((state, error, first, first + end - at - 1))
            self._moved[first >> JOB_BITS, before, state] += end - at
            at = end
        self._update_all(_MOVE_ONE[before], singles, len(singles))
        self._update_all(_MOVE_RUN[before], runs, len(messages) - len(singles))

    def _update_all(self, sql: str, values: Sequence[tuple[object, ...]], rows: int) -> None:
        """Update so many rows, or stop: the ledger is not what we take it for."""
        if values and self.db.executemany(sql, values).rowcount != rows:
            raise ContradictionError(_CONTRADICTED)

    # Receipts

    def _receipts(self, receipts: list[Received]) -> None:
        """Settle segments by receipts; park those whose response has not come."""
        now = self.now
        segments: list[tuple[object, ...]] = []
        messages: list[tuple[str, str | None, int]] = []
        failed: list[tuple[str, str, int]] = []
        settled: set[int] = set()
        for account_id, dialect, recipient, sender, receipt in receipts:
            row = self._find(account_id, dialect, recipient, receipt.message_id)
            if row is None:
                self._park(account_id, recipient, sender, receipt)
                continue
            segment_id, state, submitted_at, total, message_state = row
            if state != "accepted" or segment_id in settled:
                self._receipt_counts[account_id, "duplicate"] += 1
                continue
            self._receipt_counts[account_id, "matched"] += 1
            final = _final(receipt)
            if final is None:
                self._note_receipt(segment_id, receipt)
                continue
            settled.add(segment_id)
            self.turned.delivery_ms[account_id].append(now - submitted_at)
            if total > 1 or message_state != "accepted":
                self._settle(account_id, segment_id, final, receipt)
                continue
            error = None
            if final != "delivered":
                error = _error_of(receipt)
                failed.append((error, receipt.raw, segment_id))
                self._note_objection(account_id, segment_id, receipt)
            segments.append((final, now, segment_id))
            messages.append((final, error, segment_id >> SEGMENT_BITS))
        self._update_all(
            "UPDATE segment SET state = ?, done_at = ?, error = NULL, receipt = NULL"
            " WHERE id = ? AND state = 'accepted'",
            segments,
            len(segments),
        )
        self._say_why(failed)
        self._move_all("accepted", messages)

    def _say_why(self, failed: list[tuple[str, str, int]]) -> None:
        """Keep the error and the receipt of segments that failed.

        In a statement of its own: an answered segment has neither yet, and to set both to NULL with
        all else would cost each answer 0.9 µs.
        """
        if failed:
            self.db.executemany("UPDATE segment SET error = ?, receipt = ? WHERE id = ?", failed)

    def _find(
        self, account_id: int, dialect: str, recipient: str, message_id: str | None
    ) -> tuple[int, str, int, int, str] | None:
        """Find the newest segment that a receipt's id may name.

        What the account's receipts have done so far is tried first. An id must come from the number
        that the message went to; one that fits as it is, on an account that never converted any, is
        taken even where the SMSC writes the number otherwise, unless the message is settled: an
        SMSC that uses its ids again means one whose response is still to come.
        """
        if not message_id:
            return None
        forms = normal_forms(message_id, dialect)
        learned = self._id_form(account_id)
        if learned in forms:
            forms = {learned: forms[learned]} | forms
        elsewhere = None
        for name, form in forms.items():
            row: tuple[int, str, int, int, str, str] | None = self.db.execute(
                "SELECT s.id, s.state, s.submitted_at, m.segments, m.state, m.recipient"
                " FROM segment AS s JOIN message AS m ON m.id = s.id >> 8"
                " WHERE s.account_id = ? AND ltrim(lower(s.smsc_message_id), '0') = ?"
                " AND s.smsc_message_id IS NOT NULL"
                " ORDER BY s.accepted_at DESC, s.id DESC LIMIT 1",
                (account_id, form),
            ).fetchone()
            if row is None:
                continue
            if _digits(row[5]) == _digits(recipient):
                if name != learned:
                    self._learn(account_id, name)
                return row[:5]
            if name == learned == SAME and row[1] == "accepted":
                elsewhere = row[:5]
        return elsewhere

    def _id_form(self, account_id: int) -> str:
        """Return how the account's receipts write ids, as far as that is known."""
        form = self._id_forms.get(account_id)
        if form is None:
            (known,) = self.db.execute(
                "SELECT id_form FROM account WHERE id = ?", (account_id,)
            ).fetchone()
            form = self._id_forms[account_id] = known or SAME
        return form

    def _learn(self, account_id: int, form: str) -> None:
        """Remember how the account's receipts write ids: the number they came from agreed."""
        self._id_forms[account_id] = form
        self.db.execute("UPDATE account SET id_form = ? WHERE id = ?", (form, account_id))

    def _settle(self, account_id: int, segment_id: int, final: str, receipt: Receipt) -> None:
        error = None if final == "delivered" else _error_of(receipt)
        if error is not None:
            self._note_objection(account_id, segment_id, receipt)
        self.db.execute(
            "UPDATE segment SET state = ?, done_at = ?, error = ?, receipt = ? WHERE id = ?",
            (final, self.now, error, None if error is None else receipt.raw, segment_id),
        )
        self._roll_up(segment_id >> SEGMENT_BITS)

    def _note_objection(self, account_id: int, segment_id: int, receipt: Receipt) -> None:
        """Note a recipient who opted out with the operator, as its receipt says."""
        if receipt.error in self._rules.optout_errors.get(account_id, ()):
            self.turned.optouts.append((segment_id >> SEGMENT_BITS, "receipt"))

    def _note_receipt(self, segment_id: int, receipt: Receipt) -> None:
        """Keep what an intermediate receipt, or one of an unknown state, says."""
        self.db.execute(
            "UPDATE segment SET error = ?, receipt = ? WHERE id = ?",
            (_error_of(receipt), receipt.raw, segment_id),
        )

    def _park(self, account_id: int, recipient: str, sender: str, receipt: Receipt) -> None:
        if not receipt.message_id:
            self._receipt_counts[account_id, "orphan"] += 1
            return
        self.db.execute(
            "INSERT INTO parked (account_id, smsc_message_id, recipient, sender, state, raw_state,"
            " error, receipt, notification, received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                account_id,
                receipt.message_id,
                recipient,
                sender,
                receipt.state,
                receipt.raw_state,
                receipt.error,
                receipt.raw,
                receipt.notification,
                self.now,
            ),
        )
        self._receipt_counts[account_id, "parked"] += 1

    def _unpark(self, answer: Answered) -> None:
        """Settle a segment, now that it has an id, by the receipts that came before."""
        if answer.verdict is not Verdict.ACCEPTED:
            return
        message_id = answer.segment_id >> SEGMENT_BITS
        for name, form in normal_forms(answer.smsc_message_id).items():
            rows = self.db.execute(
                f"SELECT id, recipient, {_PARKED} FROM parked WHERE account_id = ?"  # nosec B608  # constants
                " AND ltrim(lower(smsc_message_id), '0') = ? ORDER BY id",
                (answer.account_id, form),
            ).fetchall()
            for parked_id, recipient, *parked in rows:
                if name != SAME and not self._went_to(message_id, recipient):
                    continue
                self._take_parked(parked_id, answer.account_id)
                self._match(
                    answer.account_id, answer.segment_id, _unparked(parked), answer.waited_ms
                )

    def _match(self, account_id: int, segment_id: int, receipt: Receipt, took_ms: int) -> None:
        """Settle a segment by a receipt that was parked, unless one has before."""
        (state,) = self.db.execute(
            "SELECT state FROM segment WHERE id = ?", (segment_id,)
        ).fetchone()
        if state != "accepted":
            self._receipt_counts[account_id, "duplicate"] += 1
            return
        self._receipt_counts[account_id, "matched"] += 1
        final = _final(receipt)
        if final is None:
            self._note_receipt(segment_id, receipt)
        else:
            self.turned.delivery_ms[account_id].append(took_ms)
            self._settle(account_id, segment_id, final, receipt)

    def _take_parked(self, parked_id: int, account_id: int) -> None:
        self.db.execute("DELETE FROM parked WHERE id = ?", (parked_id,))
        self._receipt_counts[account_id, "parked"] -= 1

    def _try_parked(self) -> None:
        """Look among the messages of unknown outcome for those that parked receipts tell of.

        The response that would have told the id is lost with its connection, so they are told by
        where they went and from whom, if one alone can be meant.
        """
        untried = self.db.execute(
            f"SELECT id, account_id, recipient, sender, {_PARKED}"  # nosec B608  # constants
            " FROM parked INDEXED BY parked_untried"
            " WHERE NOT tried AND received_at <= ? ORDER BY received_at LIMIT ?",
            (self.now - UNTRIED_MS, _UNTRIED_AT_ONCE),
        ).fetchall()
        for parked_id, account_id, recipient, sender, *parked in untried:
            receipt = _unparked(parked)
            row = self._find(account_id, "auto", recipient, receipt.message_id)
            if row is not None:  # another copy of it has told the id meanwhile
                self._take_parked(parked_id, account_id)
                self._match(account_id, row[0], receipt, self.now - row[2])
                continue
            final = _final(receipt)
            candidates = self.db.execute(
                "SELECT segment.id, submitted_at, message.id"
                " FROM message INDEXED BY message_unknown JOIN job ON job.id = message.id >> 32"
                " JOIN segment ON segment.id > message.id << 8"
                " AND segment.id < (message.id + 1) << 8"
                " WHERE message.state = 'unknown' AND recipient = ? AND sender = ?"
                " AND segment.state = 'unknown' AND account_id = ?"
                " ORDER BY asks_receipt DESC, segment.id",
                (f"+{recipient}", sender, account_id),
            ).fetchall()
            if len({candidate[2] for candidate in candidates}) != 1 or final is None:
                self.db.execute("UPDATE parked SET tried = 1 WHERE id = ?", (parked_id,))
                continue
            # Of the segments of one text the first is meant: they were written in their order.
            segment_id, submitted_at, _ = candidates[0]
            self._take_parked(parked_id, account_id)
            self.db.execute(
                "UPDATE segment SET smsc_message_id = ?, accepted_at = ? WHERE id = ?",
                (receipt.message_id, self.now, segment_id),
            )
            self._receipt_counts[account_id, "matched"] += 1
            self.turned.delivery_ms[account_id].append(self.now - submitted_at)
            self._settle(account_id, segment_id, final, receipt)
            # Its id is known now: what else was told of it need not wait to be nobody's.
            self.db.execute("UPDATE parked SET tried = 0 WHERE recipient = ?", (recipient,))

    def _went_to(self, message_id: int, recipient: str) -> bool:
        (ours,) = self.db.execute(
            "SELECT recipient FROM message WHERE id = ?", (message_id,)
        ).fetchone()
        return _digits(ours) == _digits(recipient)

    # Keep house

    def keep_house(self) -> None:
        """Expire what waited too long, and give up on receipts whose response never came."""
        streams = self.db.execute(
            "SELECT stream.id, cursor FROM stream JOIN job ON job.id = stream.id >> 6"
            " WHERE ready_at IS NOT NULL"
            " AND (state = 'queued' OR state = 'sending' OR state = 'paused')"
            " AND expires_at <= ? ORDER BY stream.lane, stream.id",
            (self.now,),
        ).fetchall()
        room = EXPIRED_AT_ONCE
        for stream_id, cursor in streams:
            if room > 0:
                room -= self._expire(stream_id, cursor, room)
        self._cancel()
        self._end_partial()
        self._try_parked()
        self._note(inbound.keep_house(self.db, self.now))
        orphans = self.db.execute(
            "DELETE FROM parked WHERE id IN (SELECT id FROM parked WHERE received_at <= ? LIMIT ?)"
            " RETURNING account_id",
            (self.now - PARKED_LIMIT_MS, _UNTRIED_AT_ONCE),
        ).fetchall()
        for (account_id,) in orphans:
            self._receipt_counts[account_id, "parked"] -= 1
            self._receipt_counts[account_id, "orphan"] += 1

    def _cancel(self) -> None:
        """Go on with jobs whose cancelling was not ended, or to which messages came back."""
        jobs = self.db.execute(
            "SELECT id FROM job INDEXED BY job_waiting WHERE queued > 0 AND state = 'cancelled'"
        ).fetchall()
        for (job_id,) in jobs:
            cancelled = cancel_some(self.db, job_id)
            self._moved[job_id, "queued", "cancelled"] += cancelled

    def _end_partial(self) -> None:
        """Take messages as delivered of which some SMSCs tell the first or last segment alone.

        Should one of the others be told as undelivered after all, its message becomes that.
        """
        rows = self.db.execute(
            "SELECT id FROM message INDEXED BY message_partial"
            " WHERE partial_at <= ? ORDER BY partial_at LIMIT ?",
            (self.now - PARTIAL_MS, _PARTIAL_AT_ONCE),
        ).fetchall()
        for (message_id,) in rows:
            self._move(message_id, "accepted", "delivered")

    def _expire(self, stream_id: int, cursor: int, limit: int) -> int:
        """Expire messages of a stream, at most so many; returns how many. The next turn goes on."""
        expired, cursor = _waiting(self.db, stream_id, cursor, limit)
        self._update_all(
            "UPDATE message SET state = 'expired', due_at = NULL WHERE id = ? AND state = 'queued'",
            expired,
            len(expired),
        )
        self._moved[stream_id >> ROUTE_BITS, "queued", "expired"] += len(expired)
        self.db.execute(
            "UPDATE stream SET cursor = ?, ready_at = iif(?, ready_at, NULL) WHERE id = ?",
            (cursor, len(expired) == limit, stream_id),
        )
        return len(expired)

    # Claim

    def claim(self, demands: Sequence[Demand], shares: Shares) -> None:
        """Give each link the segments that it may write now."""
        Claiming(self.db, self.now, self.turned, self._moved, shares, self._rules.silences).claim(
            demands
        )

    # Count

    def count(self) -> None:
        """Bring the counts of jobs and accounts up to date, and end the jobs that are done."""
        changes: defaultdict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        for (job_id, before, after), messages in self._moved.items():
            change = changes[job_id]
            change[before] -= messages
            change[after] += messages
        statements: defaultdict[str, list[tuple[int, ...]]] = defaultdict(list)
        for job_id, change in changes.items():
            begun_at = self.now if job_id in self.turned.begun else None
            claimed = (job_id, "queued", "submitting") in self._moved
            statement, values = _adding(job_id, change, self.now, begun_at, may_end=not claimed)
            statements[statement].append(values)
        for statement, rows in statements.items():
            self.db.executemany(statement, rows)
        self._finish()
        accounts: dict[int, Counter[str]] = {}
        for (account_id, kind), count in self._receipt_counts.items():
            accounts.setdefault(account_id, Counter())[kind] += count
        for account_id, counts in accounts.items():
            self.db.execute(
                _ADD_TO_RECEIPTS, (*(counts[kind] for kind in RECEIPT_KINDS), account_id)
            )

    def _finish(self) -> None:
        """Count the messages that reached a final state, by class.

        The class is looked up in 2 µs for each; all at once through json_each it takes 18 for one.
        """
        for (job_id, _, after), messages in self._moved.items():
            if after in ENDINGS:
                (job_class,) = self.db.execute(
                    "SELECT class FROM job WHERE id = ?", (job_id,)
                ).fetchone()
                self.turned.finished[job_class, after] += messages


MESSAGE_STATES = (
    "queued",
    "submitting",
    "accepted",
    "delivered",
    "undelivered",
    "rejected",
    "expired",
    "cancelled",
    "suppressed",
    "unknown",
)
_CLOSED = frozenset(("rejected", "expired", "cancelled", "suppressed"))  # by us, whatever comes
ENDINGS = frozenset(MESSAGE_STATES) - {"queued", "submitting", "accepted"}
RECEIPT_KINDS = ("received", "matched", "parked", "orphan", "duplicate")


def add_to_counts(db: sqlite3.Connection, job_id: int, change: Mapping[str, int], now: int) -> None:
    """Change how many messages of a job are in which state, and end it if nothing is left to send.

    One that is cancelled stays that.

    Args:
        db: the ledger, in the transaction that moves the messages.
        job_id: the job.
        change: by state, what is added; the sum is 0.
        now: milliseconds since 1970.
    """
    db.execute(*_adding(job_id, change, now, None, may_end=True))


def _adding(
    job_id: int, change: Mapping[str, int], now: int, begun_at: int | None, *, may_end: bool
) -> tuple[str, tuple[int, ...]]:
    """Return the statement that changes a job's counts, and its values.

    Args:
        job_id: the job.
        change: by state, what is added.
        now: milliseconds since 1970.
        begun_at: when its first message is claimed, if that is now.
        may_end: False where something of it has just been claimed, so that it cannot have ended;
            not to ask then saves a third of the statement.
    """
    changed = tuple(state for state in sorted(change) if change[state])
    values = [change[state] for state in changed]
    if begun_at is not None:
        values.append(begun_at)
    if may_end:
        unsent = change.get("queued", 0) + change.get("submitting", 0)
        values += [unsent, unsent, now]
    statement = _add_statement(changed, begins=begun_at is not None, may_end=may_end)
    return statement, (*values, job_id)


@cache
def _add_statement(changed: tuple[str, ...], *, begins: bool, may_end: bool) -> str:
    """Write the statement that changes these counts alone, and so touches no index of others.

    Where the job may end its state is set too, which the index of scheduled jobs looks at.

    What is changed is not read back in it: RETURNING would double what it takes, 3.6 µs.
    """
    sets = [f"{state} = {state} + ?" for state in changed] or ["queued = queued"]
    if begins:
        sets += ["state = 'sending'", "first_submit_at = coalesce(first_submit_at, ?)"]
    if may_end:
        sets += [
            "state = iif(queued + submitting + ? = 0 AND state <> 'loading'"
            " AND state <> 'cancelled', 'done', state)",
            "finished_at = iif(queued + submitting + ? = 0 AND state <> 'loading'"
            " AND finished_at IS NULL, ?, finished_at)",
        ]
    return f"UPDATE job SET {', '.join(sets)} WHERE id = ?"  # nosec B608  # constants


def cancel_some(db: sqlite3.Connection, job_id: int) -> int:
    """Cancel messages of a job that wait, CANCELLED_AT_ONCE at most; returns how many."""
    cancelled = 0
    streams = db.execute(
        "SELECT id, cursor FROM stream WHERE id >= ? AND id < ?", streams_of(job_id)
    ).fetchall()
    for stream_id, cursor in streams:
        room = CANCELLED_AT_ONCE - cancelled
        if room > 0:
            waiting, cursor = _waiting(db, stream_id, cursor, room)
            db.executemany(
                "UPDATE message SET state = 'cancelled', due_at = NULL WHERE id = ?", waiting
            )
            db.execute(
                "UPDATE stream SET cursor = ?, ready_at = iif(?, ready_at, NULL) WHERE id = ?",
                (cursor, len(waiting) == room, stream_id),
            )
            cancelled += len(waiting)
    return cancelled


def _waiting(
    db: sqlite3.Connection, stream_id: int, cursor: int, limit: int
) -> tuple[list[tuple[int]], int]:
    """Find messages of a stream that wait, at most so many, without reading those before them.

    Returns:
        Their ids, those that came back first, and the last of those that never left.
    """
    _, last = messages_in(stream_id)
    came_back = db.execute(
        "SELECT id FROM message WHERE id >> 26 = ? AND due_at IS NOT NULL LIMIT ?",
        (stream_id, limit),
    ).fetchall()
    fresh = db.execute(
        "SELECT id FROM message WHERE id > ? AND id < ? AND state = 'queued'"
        " AND due_at IS NULL ORDER BY id LIMIT ?",
        (cursor, last, limit - len(came_back)),
    ).fetchall()
    return came_back + fresh, fresh[-1][0] if fresh else cursor


_ADD_TO_RECEIPTS = "UPDATE account SET {} WHERE id = ?".format(  # nosec B608  # constants
    ", ".join(f"receipts_{kind} = receipts_{kind} + ?" for kind in RECEIPT_KINDS)
)


_PARKED = "smsc_message_id, state, raw_state, error, receipt, notification"


def _unparked(columns: Sequence[Any]) -> Receipt:
    """Make a receipt again of the columns _PARKED."""
    message_id, state, raw_state, error, raw, notification = columns
    return Receipt(message_id, state, raw_state, error, None, raw, None, None, bool(notification))


def _final(receipt: Receipt) -> str | None:
    """Return what a receipt makes of its segment; None where that is not the end of it."""
    return FINAL_STATES.get(receipt.state) if receipt.final else None


def _error_of(receipt: Receipt) -> str:
    """Say what a receipt says, in the SMSC's own words."""
    return f"{receipt.raw_state or receipt.state} err:{receipt.error or ''}".removesuffix(" err:")


def _digits(address: str) -> str:
    """Return what is the same of a number however it is written: with 33, with 0, with neither."""
    return address[-_SAME_DIGITS:]


_SAME_DIGITS = 8
