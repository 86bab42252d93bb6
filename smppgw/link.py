"""What keeps one configured bind alive: connects, binds, serves, reconnects.

The only file with a transport. A link has no rule of its own: the session says what octets mean,
the gateway says what to send, the ledger says what is on disk. What arrives is kept here until the
gateway collects it for a turn, and its slots and deliver_sm_resp are held back until that turn is
committed (I4).

A link's task ends only when it is told to stop, or when the SMSC says that the credentials are
wrong, which a person has to mend.
"""

import asyncio
import os
import random
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from smppgw.account import Account
from smppgw.config import Smsc
from smppgw.ledger.claim import Claim, Demand, JobText, Remainder
from smppgw.ledger.inbound import Inbound
from smppgw.ledger.keys import SEGMENT_BITS
from smppgw.ledger.turn import (
    Answered,
    Arrivals,
    Lost,
)
from smppgw.ledger.turn import Received as ReceivedReceipt
from smppgw.metrics import Metrics
from smppgw.render import Renderer
from smppgw.smpp import pdu
from smppgw.smpp.pdu import Delivery
from smppgw.smpp.receipt import parse_receipt
from smppgw.smpp.session import Answer, Bind, Encoded, Received, Session, State, Submit, Timers
from smppgw.smpp.status import BIND_HOPELESS, Verdict, status_of
from smppgw.smpp.trace import describe
from smppgw.sms.inbound import decode_text

log = structlog.get_logger()

CONNECT_TIMEOUT_S = 10.0
_NEXT_ADDRESS_S = 0.25  # then the name's next address is tried beside the first (RFC 8305, 5)
CLOSE_TIMEOUT_S = 2.0
_SUM_S = 60.0  # so often at most the log tells of what may happen to every message
_TICK_S = 0.5
_INVALID_MESSAGE_LENGTH = 0x01  # ESME_RINVMSGLEN
_FAILURES = ("UNDELIV", "EXPIRED", "REJECTD", "DELETED", "UNKNOWN")  # of a receipt
# What may wait for a turn before the socket is read no further: so many deliver_sm, or octets read
# (one deliver_sm may have 64 KiB). At full speed a turn brings a hundredth of it.
_BACKLOG_LIMIT = 10_000
_BACKLOG_OCTETS = 4 * 1024 * 1024
# Of what the SMSC asks us to answer and does not read: then nothing more is read from it either.
_UNREAD_OCTETS = 1024 * 1024


@dataclass(slots=True)
class Trace:
    """Whether PDUs are written to the log, and whether numbers and texts in them are hidden."""

    on: bool = False
    masked: bool = True


class _Connection(asyncio.Protocol):
    """One TCP connection and its session, from connect to the last octet."""

    def __init__(
        self,
        session: Session,
        take: Callable[["_Connection", Received], None],
        trace: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self.session = session
        self.transport: asyncio.Transport | None = None
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.settling = 0  # answers that wait for the turn which records them
        self.acknowledgements: list[tuple[int, int]] = []  # deliver_sm that wait for theirs
        self.reading = True
        self.octets = 0  # read since they were last asked for
        self._most_unacknowledged = 0  # deliver_sm that were ever unanswered at once
        self._full = False  # what arrived waits for a turn
        self._clogged = False  # what was written waits for the SMSC to read it
        self.reason: str | None = None  # why it is being ended, where that is ours to say
        self._loop = asyncio.get_running_loop()
        self._take = take
        self._trace = trace

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=_UNREAD_OCTETS)
        self.write(self.session.bind(self._loop.time()))

    def data_received(self, data: bytes) -> None:
        if self._trace is not None:
            self._trace("received", self.session.pending + data)
        self.octets += len(data)
        self._take(self, self.session.receive(data, self._loop.time()))

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self.ended.set_result(
            self.reason or (_reason(error) if error else "the SMSC closed the connection")
        )

    @property
    def open(self) -> bool:
        """Whether there is still somebody to write to."""
        return self.transport is not None and not self.transport.is_closing()

    def tick(self) -> None:
        """Let the session look at the clock."""
        self._take(self, self.session.tick(self._loop.time()))

    def write(self, octets: bytes) -> None:
        """Write, where there is still somebody to write to."""
        if octets and self.transport is not None:
            if self._trace is not None:
                self._trace("sent", octets)
            self.transport.write(octets)

    def close(self, reason: str) -> None:
        """Close after what is written, and soon even if the SMSC does not read it."""
        self.reason = self.reason or reason
        if self.transport is not None:
            self.transport.close()
            self._loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    def notice_held(self) -> bool:
        """Notice whether the SMSC may wait for a deliver_sm_resp before the next deliver_sm.

        As many as now have never been unanswered at once, or never more: it may hold to a window of
        its own, of one at some operators.
        """
        waiting = self.session.unacknowledged
        if waiting < self._most_unacknowledged:
            return False
        self._most_unacknowledged = waiting
        return True

    def pause(self) -> None:
        """Read no further until `resume`."""
        self._full = True
        self._read_or_not()

    def resume(self) -> None:
        """Read on."""
        self._full = False
        self._read_or_not()

    def pause_writing(self) -> None:
        """Read no further from an SMSC that reads no answers: each would lie in our memory."""
        self._clogged = True
        self._read_or_not()

    def resume_writing(self) -> None:
        """Read on: it has read what was written."""
        self._clogged = False
        self._read_or_not()

    def _read_or_not(self) -> None:
        reading = not (self._full or self._clogged)
        if reading is not self.reading and self.transport is not None:
            self.reading = reading
            if reading:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()


class _Sum:
    """What may happen to every message of a list: told at once, and then by the minute."""

    def __init__(self) -> None:
        self._untold = 0
        self._next_at = 0.0

    def add(self, count: int, now: float) -> int:
        """Return how many there are to tell of now; 0 where it is too early for another line."""
        self._untold += count
        if now < self._next_at:
            return 0
        told, self._untold, self._next_at = self._untold, 0, now + _SUM_S
        return told


@dataclass(slots=True)
class _Prepared:
    """What became of claims before their commit.

    Attributes:
        claims: those that it is of.
        batch: their segments, in order.
        refused: those that cannot be sent as they were counted.
        session: which the octets are for; None without a connection.
        encoded: the batch in octets.
    """

    claims: list[Claim]
    batch: list[Submit] = field(default_factory=list)
    refused: list[Claim] = field(default_factory=list)
    session: Session | None = None
    encoded: Encoded | None = None


class Link:
    """One bind of an account."""

    def __init__(
        self,
        index: int,
        account: Account,
        bind_number: int,
        kind: str,
        metrics: Metrics,
        trace: Trace,
        wake: Callable[[], None],
        hurry: Callable[[], None],
    ) -> None:
        """Make a link that is not connected.

        Args:
            index: what the gateway calls it.
            account: the account whose rate it shares.
            bind_number: counts from 1 within the account.
            kind: transceiver, transmitter or receiver.
            metrics: where its counts go.
            trace: whether its PDUs are logged; may change at any time.
            wake: called when something arrived that wants a turn.
            hurry: called when that turn had better be now.
        """
        self.index = index
        self.account = account
        self.bind_number = bind_number
        self.kind = kind
        self.state = "connecting"
        self.reason: str | None = None
        self.remainder: Remainder | None = None  # segments of the last message still to be sent
        self._metrics = metrics
        self._trace = trace
        self._wake = wake
        self._hurry = hurry
        self._renderer = Renderer(account.smsc)
        self._log = log.bind(smsc=account.smsc.name, bind=bind_number)
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._connection: _Connection | None = None
        self._arrived = Arrivals()
        self._arrived_octets = 0  # read for it, on whichever connection
        self._collected: list[tuple[_Connection, list[tuple[int, int]]]] = []
        self._prepared = _Prepared([])
        self._bind_status: int | None = None
        self._overdue, self._refused = _Sum(), _Sum()
        self._proved = False  # whether the SMSC has accepted something since it was bound

    # Life

    async def run(self) -> None:
        """Hold the bind until `stop`."""
        delay_s = 0.0
        while not self._stopping.is_set():
            first_s, longest_s = self.account.smsc.reconnect_s
            delay_s = min(max(delay_s, first_s), longest_s)
            self._become("connecting")
            self._bind_status, self._proved = None, False
            began = self._loop.time()
            reason = await self._serve()
            if self._stopping.is_set():
                break
            if self._bind_status is not None and self._bind_status in BIND_HOPELESS:
                name = status_of(self._bind_status).name
                self._become("stopped", f"the SMSC refuses the credentials ({name})")
                self._log.error(
                    "link.stopped",
                    reason=self.reason,
                    hint="correct system_id, password or system_type, then restart the gateway",
                )
                return
            if self._proved or self._loop.time() - began >= longest_s:
                delay_s = first_s
            wait_s = delay_s * random.uniform(0.5, 1.0)  # so that links do not come back in step  # nosec B311  # no secret
            delay_s *= 2
            self._become("backoff", reason)
            self._log.warning("link.down", reason=reason, again_in_s=round(wait_s, 1))
            self._metrics.link_reconnects_total.labels(self.account.smsc.name).inc()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._stopping.wait()
        self._become("stopped")

    async def _serve(self) -> str:
        """Connect, bind and serve until the connection ends; returns why it did.

        With a full backlog there is nothing to connect for: an SMSC that hangs up again and again
        while the database fails would add to it each time.
        """
        if self._full:
            return "what arrived before cannot be recorded yet"
        session = _session(self.account.smsc, self.kind)
        connection = await _connect(self.account.smsc, session, self._take, self._log_pdus)
        if isinstance(connection, str):
            return connection
        self._connection = connection
        if self._stopping.is_set():
            connection.close("stopping")
        while not connection.ended.done():
            await asyncio.wait({connection.ended}, timeout=_TICK_S)
            connection.tick()
        self._connection = None
        self._lose(session)
        if self._bind_status:
            return f"the SMSC refuses the bind ({status_of(self._bind_status).name})"
        return connection.ended.result()

    async def stop(self) -> None:
        """Unbind and disconnect; returns when the connection is closed, or its time is up."""
        self._stopping.set()
        connection = self._connection
        if connection is None:
            return
        connection.write(connection.session.unbind(self._loop.time()))
        if connection.session.state is not State.UNBINDING:
            connection.close("stopping")
        limit_s = self.account.smsc.response_timeout_s + CLOSE_TIMEOUT_S + _TICK_S
        await asyncio.wait({connection.ended}, timeout=limit_s)

    def _become(self, state: str, reason: str | None = None) -> None:
        self.state, self.reason = state, reason
        labels = (self.account.smsc.name, str(self.bind_number))
        self._metrics.link_up.labels(*labels).set(int(state == "bound"))
        self._wake()

    def _lose(self, session: Session) -> None:
        """Tell the ledger what nobody will answer any more."""
        in_time = session.outstanding - session.overdue  # the others count as failed already
        requests = session.lose()
        self._note_answers(0, in_time)
        self._arrived.lost += [Lost(r.segment_id, r.attempt) for r in requests]
        self._drop_remainder()
        self._wake()

    def _drop_remainder(self) -> None:
        if self.remainder is not None:
            self._arrived.abandoned.append(self.remainder.message_id)
            self.remainder = None

    def _log_pdus(self, direction: str, octets: bytes) -> None:
        """Write a line for each whole PDU to the log, while somebody wants it."""
        if not self._trace.on:
            return
        walk = pdu.walk(octets)
        whole = octets if walk.broken is not None else octets[: walk.consumed]
        alphabet = self.account.smsc.alphabet
        for line in describe(
            direction,
            whole,
            masked=self._trace.masked,
            decode_text=lambda text, data_coding: decode_text(text, data_coding, alphabet),
        ):
            self._log.info("pdu", pdu=line)

    # What the session says

    def _take(self, connection: _Connection, received: Received) -> None:
        """Act on what octets or time brought."""
        self._arrived_octets += connection.octets
        connection.octets = 0
        connection.write(received.write)
        if received.bind_status is not None:
            self._bind_status = received.bind_status
            if received.bind_status == 0:
                self._become("bound")
                self._log.info("link.bound")
        if received.answers:
            connection.settling += len(received.answers)
            self._arrived.answered += self._judge(received.answers)
        if received.late:
            connection.settling += len(received.late)
            self._arrived.late += self._judge(received.late)
        if received.overdue:
            self._note_answers(0, len(received.overdue))
            self._arrived.lost += [Lost(r.segment_id, r.attempt) for r in received.overdue]
            overdue = self._overdue.add(len(received.overdue), self._loop.time())
            if overdue:
                self._log.warning("submit.overdue", segments=overdue)
        if received.deliveries:
            self._sort(received.deliveries)
            connection.acknowledgements += [(d.sequence, 0) for d in received.deliveries]
            if self._full:
                connection.pause()
            held = connection.notice_held()
            if held and (self.account.receipts_owed or self._arrived.inbound):
                self._hurry()
        if received.unreadable:
            self._metrics.inbound_total.labels("unreadable").inc(received.unreadable)
        if received.closed is not None:
            connection.close(received.closed)
        if self._arrived:
            self._wake()

    @property
    def _full(self) -> bool:
        """Whether so much waits for a turn that nothing more may be read."""
        waiting = len(self._arrived.receipts) + len(self._arrived.inbound)
        return waiting > _BACKLOG_LIMIT or self._arrived_octets > _BACKLOG_OCTETS

    def _judge(self, answers: Sequence[Answer]) -> list[Answered]:
        """Look up what each answer means, and count."""
        account, now = self.account, self._loop.time()
        waits = [now - answer.request.sent for answer in answers]
        self._metrics.submit_response_seconds.observe(waits, account.smsc.name)
        account_id, accepted = account.account_id, Verdict.ACCEPTED
        judged = []
        refused: list[tuple[int, Verdict]] = []
        for (request, status, message_id), waited_s in zip(answers, waits, strict=True):
            verdict = accepted
            if status:
                verdict = account.verdict_on(status)
                refused.append((status, verdict))
                if verdict is Verdict.SLOW_DOWN:
                    account.pace.throttled(now, request.sent)
            segment_id, attempt, total, _ = request
            waited_ms = int(waited_s * 1000)
            judged.append(
                Answered(
                    segment_id, attempt, total, account_id, verdict, status, message_id, waited_ms
                )
            )
        self._count_answers(len(answers) - len(refused), refused)
        return judged

    def _count_answers(self, accepted: int, refused: Sequence[tuple[int, Verdict]]) -> None:
        """Count answers by status, and act on what refusals say of the link and the account."""
        counts = Counter(status for status, _ in refused)
        counts[0] = accepted
        for status, count in counts.items():
            name = status_of(status).name
            self._metrics.submit_sm_resp_total.labels(self.account.smsc.name, name).inc(count)
        self._proved = self._proved or accepted > 0
        if self.account.smsc.receipts != "none":
            self.account.receipts_owed += accepted
        verdicts = Counter(verdict for _, verdict in refused)
        self._note_answers(accepted, len(refused) - verdicts[Verdict.SLOW_DOWN])
        if verdicts[Verdict.STOP_LINK] and self._connection is not None:
            status = next(s for s, verdict in refused if verdict is Verdict.STOP_LINK)
            name = status_of(status).name
            self._connection.reason = f"the SMSC refuses every submit_sm of this bind ({name})"
            self._connection.write(self._connection.session.unbind(self._loop.time()))

    def _note_answers(self, accepted: int, failed: int) -> None:
        self._note_health(self.account.health.note_answers(accepted, failed, self._loop.time()))

    def _note_health(self, reason: str | None) -> None:
        if reason is not None:
            self._log.warning("account.unwell", reason=reason)

    def _sort(self, deliveries: Sequence[Delivery]) -> None:
        """Tell receipts from texts; both are answered after their turn."""
        account_id, smsc = self.account.account_id, self.account.smsc
        dialect, as_texts = smsc.message_id, smsc.receipts_as_texts
        receipts, inbound = self._arrived.receipts, self._arrived.inbound
        counts: Counter[str] = Counter()
        for _, source, destination, esm_class, data_coding, octets, tlvs in deliveries:
            receipt = parse_receipt(
                octets,
                esm_class=esm_class,
                data_coding=data_coding,
                tlvs=tlvs,
                any_esm_class=as_texts,
            )
            if receipt is None:
                inbound.append(
                    Inbound(
                        account_id,
                        source,
                        destination,
                        esm_class,
                        data_coding,
                        octets,
                        tlvs,
                        smsc.alphabet,
                    )
                )
            else:
                receipts.append(ReceivedReceipt(account_id, dialect, source, destination, receipt))
                counts[receipt.state] += 1
        for state, count in counts.items():
            self._metrics.receipts_total.labels(smsc.name, state).inc(count)
        self.account.receipts_owed = max(0, self.account.receipts_owed - counts.total())
        delivered, failed = counts["DELIVRD"], sum(counts[state] for state in _FAILURES)
        health = self.account.health
        self._note_health(health.note_receipts(delivered, failed, self._loop.time()))

    # What the gateway asks

    @property
    def window(self) -> int:
        """How much of the window is used; all of it unless answers come late."""
        if self._connection is None:
            return self.account.smsc.window
        return self._connection.session.window

    @property
    def sends(self) -> bool:
        """Whether it may submit: a receiver may not."""
        return self.kind != "receiver"

    @property
    def free_slots(self) -> int:
        """How many segments the window leaves."""
        connection = self._connection
        return connection.session.free_slots if connection is not None and connection.open else 0

    def expected_slots(self, per_s: float, seconds: float) -> float:
        """Return how many segments the window will leave once answers come as fast as they do.

        Args:
            per_s: segments a second that are sent.
            seconds: from now.
        """
        connection = self._connection
        if connection is None or not connection.open:
            return 0.0
        session = connection.session
        unanswered = 0.0 if seconds > 2 * session.latency_s else per_s * session.latency_s
        return session.free_slots + max(0.0, session.outstanding - unanswered)

    @property
    def outstanding(self) -> int:
        """How many requests are unanswered."""
        return 0 if self._connection is None else self._connection.session.outstanding

    @property
    def quiet(self) -> bool:
        """Whether nothing is unanswered, half sent, or waiting for a turn."""
        if self._arrived or self._collected or self.remainder is not None:
            return False
        return self._connection is None or self._connection.session.idle

    def demand(self, slots: int, classes: frozenset[str]) -> Demand:
        """Say what this link may write now, `slots` segments of these classes at most."""
        account = self.account
        return Demand(
            self.index,
            account.account_id,
            min(slots, self.free_slots),
            classes,
            account.smsc.receipts,
            account.routes,
            self.remainder,
            account.closed,
        )

    def collect(self, arrivals: Arrivals) -> None:
        """Hand over what arrived; `go_on` follows once it is on disk.

        The slots of the answers are free for the claims of the same transaction, which commits both
        or neither: a crash finds no more than a window in doubt (I5).
        """
        mine, self._arrived, self._arrived_octets = self._arrived, Arrivals(), 0
        arrivals.answered += mine.answered
        arrivals.late += mine.late
        arrivals.lost += mine.lost
        arrivals.abandoned += mine.abandoned
        arrivals.receipts += mine.receipts
        arrivals.inbound += mine.inbound
        connection = self._connection
        if connection is not None and (connection.settling or connection.acknowledgements):
            connection.session.settle(connection.settling)
            self._collected.append((connection, connection.acknowledgements))
            connection.settling, connection.acknowledgements = 0, []

    def prepare(self, claims: list[Claim], jobs: dict[int, JobText]) -> None:
        """Make what `go_on` will need of these claims, if they are committed.

        It is done while the disk is at work on them, so that of a turn of 100 they wait 0.2 ms
        less.

        Args:
            claims: what the turn claims for this link.
            jobs: the texts, by job.
        """
        prepared = _Prepared(claims)
        for claim in claims:
            submits = self._renderer.submits(claim, jobs[claim.job_id])
            if not submits:
                prepared.refused.append(claim)
            prepared.batch += submits
        if self._connection is not None:
            prepared.session = self._connection.session
            prepared.encoded = prepared.session.encode(prepared.batch)
        self._prepared = prepared  # at last: where it fails, `go_on` fails too, and says why

    async def go_on(
        self, claims: list[Claim], remainder: Remainder | None, jobs: dict[int, JobText]
    ) -> None:
        """Act on a turn that is on disk, in one write, since each write costs 0.1 ms.

        The deliver_sm that it recorded are answered, the segments that it claimed are sent. Where
        the link went down since, the claims are given back, as none was sent; what cannot be
        answered any more the SMSC will send again.

        Args:
            claims: what the turn claimed for this link.
            remainder: what is left of the last message claimed.
            jobs: the texts, by job.
        """
        if claims and self._prepared.claims is not claims:  # or nothing came of what is prepared
            self.prepare(claims, jobs)
        prepared, self._prepared = self._prepared, _Prepared([])
        batch: list[Submit] = []
        if claims:
            self.remainder, batch = remainder, prepared.batch
            for claim in prepared.refused:
                self._refuse(claim)
        if batch:
            await self.account.spend(len(batch), self._loop.time())
        connection, octets = self._connection, b""
        for told, acknowledgements in self._collected:
            answers = told.session.acknowledge(acknowledgements) if acknowledgements else b""
            if told is connection:
                octets += answers
            else:
                told.write(answers)
        if batch:
            slots = self.free_slots
            if connection is not None and slots >= len(batch):
                session, now = connection.session, self._loop.time()
                octets += session.submit(
                    batch, now, prepared.encoded if session is prepared.session else None
                )
                self._metrics.submit_sm_total.labels(self.account.smsc.name).inc(len(batch))
            else:
                self._give_back(batch)
        if connection is not None:
            connection.write(octets)
        for told, _ in self._collected:
            told.resume()
            if told.session.state is State.LEAVING:  # the SMSC's unbind may have waited for this
                told.tick()
        self._collected.clear()

    def forget(self, remainder: Remainder | None) -> None:
        """Hold no longer what is left of a message, unless it is another one meanwhile."""
        if remainder is not None and self.remainder == remainder:
            self.remainder = None

    def _refuse(self, claim: Claim) -> None:
        """End a message that cannot be sent as it was counted and priced."""
        refused = self._refused.add(1, self._loop.time())
        if refused:
            self._log.error(
                "message.refused",
                messages=refused,
                reason="its text has another number of segments than when it was submitted",
                hint="give long_text and alphabet back their values, or submit the job anew",
            )
        self._arrived.answered += [
            Answered(
                claim.message_id << SEGMENT_BITS | number,
                claim.attempt,
                claim.total,
                self.account.account_id,
                Verdict.REFUSED,
                _INVALID_MESSAGE_LENGTH,
                "",
                0,
            )
            for number in claim.numbers
        ]
        if self.remainder is not None and self.remainder.message_id == claim.message_id:
            self._drop_remainder()
        self._wake()

    def _give_back(self, batch: Sequence[Submit]) -> None:
        account_id = self.account.account_id
        self._arrived.answered += [
            Answered(
                submit.segment_id,
                submit.attempt,
                submit.total,
                account_id,
                Verdict.STOP_LINK,
                0,
                "",
                0,
            )
            for submit in batch
        ]
        self._drop_remainder()
        self._wake()


async def try_bind(smsc: Smsc, kind: str) -> str | None:
    """Bind to an SMSC and unbind, as a link would.

    Args:
        smsc: the account.
        kind: transceiver, transmitter or receiver.

    Returns:
        Why it could not be done, or None.
    """
    session = _session(smsc, kind)
    answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def take(connection: _Connection, received: Received) -> None:
        connection.write(received.write)
        if received.bind_status is not None and not answered.done():
            answered.set_result(received.bind_status)
        if received.closed is not None:
            connection.close(received.closed)

    connection = await _connect(smsc, session, take)
    if isinstance(connection, str):
        return connection
    waits: set[asyncio.Future[Any]] = {answered, connection.ended}
    await asyncio.wait(waits, timeout=smsc.response_timeout_s, return_when=asyncio.FIRST_COMPLETED)
    connection.write(session.unbind(asyncio.get_running_loop().time()))
    if answered.done() and answered.result() == 0:
        await asyncio.wait({connection.ended}, timeout=CLOSE_TIMEOUT_S)
    connection.close("done")
    await connection.ended
    if not answered.done():
        return f"no answer to the bind ({connection.ended.result()})"
    status = answered.result()
    return f"the SMSC refuses the bind ({status_of(status).name})" if status else None


def _session(smsc: Smsc, kind: str) -> Session:
    password = smsc.password.get_secret_value()
    return Session(
        Bind(smsc.system_id, password, smsc.system_type, kind),
        Timers(smsc.enquire_link_s, smsc.response_timeout_s),
        smsc.window,
    )


async def _connect(
    smsc: Smsc,
    session: Session,
    take: Callable[[_Connection, Received], None],
    trace: Callable[[str, bytes], None] | None = None,
) -> _Connection | str:
    """Connect, to whichever address of the host answers; returns why where none does."""
    try:
        context = tls_context(smsc)
    except OSError as error:
        return f"tls: {error}"
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(session, take, trace),
                smsc.host,
                smsc.port,
                ssl=context,
                server_hostname=_server_name(smsc) if context else None,
                happy_eyeballs_delay=_NEXT_ADDRESS_S,
            )
    except TimeoutError:
        return f"{smsc.host}:{smsc.port} does not answer within {CONNECT_TIMEOUT_S:g} s"
    except OSError as error:
        return f"{smsc.host}:{smsc.port}: {_reason(error)}"
    return connection


def _reason(error: Exception) -> str:
    """Say in plain words why a connection failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or error})"
    if isinstance(error, socket.gaierror):
        return f"the name is not known ({error.strerror})"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    # Of a name with several addresses, what each of them said; of an end without a word, nothing.
    return str(error) or "the SMSC closed the connection before TLS was agreed upon"


def _server_name(smsc: Smsc) -> str:
    settings = smsc.tls_settings
    return (settings.server_name if settings else None) or smsc.host


_MINIMUM = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def tls_context(smsc: Smsc) -> ssl.SSLContext | None:
    """Make the TLS context of an account, which verifies the SMSC's certificate; None for plain
    TCP.

    Raises:
        OSError: a file that the configuration names cannot be read, or holds no certificate; it
            says which.
    """
    settings = smsc.tls_settings
    if settings is None:
        return None
    with _naming(settings.ca_file):
        context = ssl.create_default_context(cafile=settings.ca_file)
    context.minimum_version = _MINIMUM[settings.minimum]
    if settings.cert_file is not None:
        with _naming(settings.cert_file, settings.key_file):
            context.load_cert_chain(settings.cert_file, settings.key_file)
    return context


@contextmanager
def _naming(*files: Path | None) -> Iterator[None]:
    """Name the files with what is wrong with them, which OpenSSL does not."""
    try:
        yield
    except OSError as error:
        names = " or ".join(str(file) for file in files if file is not None)
        raise OSError(f"{names} cannot be used ({_reason(error)})") from error
