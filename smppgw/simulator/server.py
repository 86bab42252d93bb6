"""The simulator's connections and its time: the asyncio shell around codec, decisions and receipts.

A `Session` is one connection. The `Simulator` owns the sessions and all that outlives them: the
tally, what waits for its time, and what is owed.

A receipt is owed until it is acknowledged. It goes to the session that submitted, if that may
receive, else to another of the same system_id, else it waits for the next bind; a session that ends
hands back what it had not acknowledged. Each delay is constant, so a queue for each and one timer
keep them all, however much waits.

With a fault or a witness, submit_sm go one by one along a second way, `_on_bent_submits`: slower,
and the same, but that each receipt follows its own answer and not those of the whole read.
`Decisions` and `Conduct` say what goes wrong; here it is only done.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self, TextIO

from smppgw.errors import OperationError
from smppgw.simulator import codec
from smppgw.simulator.behaviour import Behaviour, Decision, Decisions
from smppgw.simulator.codec import Submit
from smppgw.simulator.conduct import Conduct
from smppgw.simulator.counts import Counts
from smppgw.simulator.receipts import VENDOR_TLV, Receipt, ReceiptWriter
from smppgw.simulator.record import Direction, Record
from smppgw.simulator.session import Session
from smppgw.simulator.texts import Text, write_text
from smppgw.simulator.timing import Agenda, DelayLine
from smppgw.simulator.witness import Accepted, Told, Witness

WAITING_CHUNK = 1000  # deliver_sm in one write, when many wait
UNBIND_TIMEOUT_S = 1.0  # how long a peer may take to answer our unbind before it is cut off
SILENCE_S = 1.0  # how long a connection outlives a command_length that cannot be
RECORD_PERIOD_S = 0.1

_VENDOR_TLV_OCTETS = codec.encode_tlvs(VENDOR_TLV)
_ASTRAY = ("receipt-other-bind", "receipt-early-other-bind")


class _Answer(NamedTuple):
    """The responses of one batch of submit_sm, and the receipts that follow them."""

    session: Session
    responses: list[bytes]
    receipts: list[bytes]


class _Owed(NamedTuple):
    """Bodies of deliver_sm, and the session that they are meant for first."""

    session: Session
    bodies: Sequence[bytes]


@dataclass(slots=True)
class _Exchange:
    """One submit_sm and all that answers it, on the way of faults and witnesses."""

    session: Session
    submit: Submit
    decision: Decision
    receipts: Sequence[bytes]
    accepted: Accepted | None  # the witness's note
    responses: list[bytes] = field(default_factory=list)


class Simulator:
    """An SMSC that listens while its context is open.

        async with Simulator(Behaviour(latency_s=0.05), port=2775) as smsc:
            ...

    It may be left and entered again: its port, its tally, its message ids and what it owes stay.

    Attributes:
        behaviour: how it behaves.
        host: the address it listens at.
        port: the port, once it listens.
        counts: the live tally.
        witness: who takes note, or None.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        record: str | Path | TextIO | None = None,
        witness: Witness | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Set up a simulator that does not listen yet.

        Args:
            behaviour: how it behaves; by default it answers at once and delivers everything.
            host: the address to listen at.
            port: 0 takes a free one.
            record: a file, or the path of one to append to, for a line about each PDU; it will hold
                numbers and texts.
            witness: takes note of what is accepted and told, in memory; it serves one simulator.
            tls: of the server's side; None is plain TCP.
        """
        self.behaviour = behaviour or Behaviour()
        self.host = host
        self.port = port
        self.counts = Counts()
        self.witness = witness
        self.conduct = Conduct(self.behaviour)
        self.is_bent = bool(self.behaviour.active_faults) or witness is not None
        self._tls = tls
        self._decisions = Decisions(self.behaviour)
        self._lead_s = self.behaviour.receipt_lead_s
        self._goes_astray = any(map(self.conduct.has, _ASTRAY))
        self._receipts = ReceiptWriter(self.behaviour)
        self._answering: DelayLine[_Answer] = DelayLine(self.behaviour.latency_s)
        self._reporting: DelayLine[_Owed] = DelayLine(self.behaviour.receipt_delay_s)
        self._retrying: DelayLine[_Owed] = DelayLine(self.behaviour.retry_delay_s)
        self._agenda = Agenda()
        self._timer: asyncio.TimerHandle | None = None
        self._sessions: dict[Session, None] = {}  # in the order of connecting
        self._session_number = 0
        self.unwritten: list[Session] = []  # in the order of their first PDU of this event
        self._waiting: dict[str | None, deque[bytes]] = {}  # by system_id; None is for anybody
        self._late: dict[str, list[bytes]] = {}  # receipts that wait for a bind, by system_id
        self._texts_written = 0
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._record_target = record
        self._record: Record | None = None
        self._record_timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OperationError: the address cannot be listened at, or the record cannot be opened.
        """
        self.loop = asyncio.get_running_loop()
        if self._record_target is not None:
            self._record = Record(self._record_target)
        try:
            self._server = await self.loop.create_server(
                self._connect, self.host, self.port, ssl=self._tls
            )
        except OSError as error:
            self._close_record()
            raise OperationError(
                f"The simulator cannot listen at {self.host}, port {self.port}: {error.strerror}."
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]
        self._arm()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening, unbind every session, and close it when it has answered."""
        self._server.close()
        for session in list(self._sessions):
            session.unbind()
        try:
            async with asyncio.timeout(UNBIND_TIMEOUT_S):
                await self._wait_until(lambda: not self._sessions)
        except TimeoutError:
            self.drop_connections()
            await self._wait_until(lambda: not self._sessions)
        finally:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._close_record()
        await self._server.wait_closed()

    def deliver(
        self,
        source: str,
        destination: str,
        text: str,
        *,
        system_id: str | None = None,
        long_text: str = "payload",
    ) -> None:
        """Send a text from a phone (SMPP 3.4 issue 1.2, 4.6.1), or keep it for the next bind.

        Args:
            source: the phone's number, with or without a plus sign.
            destination: the number or short code that was written to.
            text: what was written; it goes as UCS2 unless ASCII and GSM 03.38 agree on all of it.
            system_id: whose it is; None is anybody's.
            long_text: how a text that is longer than one SMS travels, one of `texts.LONG_TEXTS`.

        Raises:
            InputError: the text is longer than a deliver_sm can carry.
        """
        self._texts_written += 1
        bodies = write_text(
            source, destination, text, long_text=long_text, reference=self._texts_written
        )
        self._send_owed(self._receiver(system_id), system_id, bodies)
        self.settle()

    def drop_connections(self) -> None:
        """Abort every connection at once, without unbind; what is not written yet is lost."""
        for session in list(self._sessions):
            session.abort()

    async def wait_for(self, condition: Callable[[Counts], bool]) -> None:
        """Return when the tally fulfils a condition, which is asked after every event.

        The caller bounds the wait, with `asyncio.timeout`.
        """
        await self._wait_until(lambda: condition(self.counts))

    # What sessions tell.

    @property
    def is_recording(self) -> bool:
        """Whether there is a record."""
        return self._record is not None

    def _connect(self) -> Session:
        self._session_number += 1
        return Session(self, self._session_number)

    def on_connect(self, session: Session) -> None:
        """Take in a connection that is made; with TLS, not all that were begun are."""
        self._sessions[session] = None

    def on_bound(self, session: Session, system_id: str, may: tuple[bool, bool]) -> None:
        """Welcome a session that is bound, and make a note of what is to happen to it."""
        if all(other.system_id != system_id for other in self._sessions):
            self._decisions.on_first_bind()
        session.system_id = system_id
        session.may_submit, session.may_receive = may
        conduct, now = self.conduct, self.loop.time()
        self._waiting.setdefault(system_id, deque()).extend(self._late.pop(system_id, ()))
        glued = conduct.glued_to_bind()
        if glued and session.may_receive and not self._has_waiting(system_id):
            self._send_deliveries(session, glued)
        self.send_waiting(session)
        if conduct.unbind_after_s is not None:
            self._note_action(now + conduct.unbind_after_s, partial(self._unbind, session))
        if conduct.enquire_every_s is not None:
            self._note_action(now + conduct.enquire_every_s, partial(self._enquire, session))

    def on_disconnect(self, session: Session) -> None:
        """Keep what a session had not acknowledged, and give it to another that is bound."""
        del self._sessions[session]
        if session.system_id is not None:
            self.counts.bound -= 1
            if not session.has_unbound:
                self.conduct.on_lost(session.system_id, self.loop.time())
            if session.unacknowledged:
                waiting = self._waiting.setdefault(session.system_id, deque())
                waiting.extendleft(reversed(session.unacknowledged.values()))
                receiver = self._receiver(session.system_id)
                if receiver is not None:
                    self.send_waiting(receiver)
        self.settle()

    def on_submits(self, session: Session, submits: list[Submit]) -> None:
        """Answer the submit_sm of one read, as `Decisions` decides, at once or when it is time."""
        assert session.system_id is not None
        now = self.loop.time()
        decisions = self._decisions.on_submit_batch(
            session.system_id, submits, unanswered=session.unanswered, now=now
        )
        self._count_decisions(decisions)
        if self.is_bent:
            self._on_bent_submits(session, submits, decisions, now)
            return
        encode = codec.encode_submit_resp
        responses = [
            encode(submit[0], decision[0], decision[1])
            for submit, decision in zip(submits, decisions, strict=True)
        ]
        receipts = self._receipts.write(submits, decisions, time.time())
        session.unanswered += len(responses)
        answer = _Answer(session, responses, receipts)
        if self._answering.delay_s:
            self._answering.push(answer, now)
            self._arm()
        else:
            self._answer(answer, now)

    def on_acknowledged(self, session: Session, sequences: list[int]) -> None:
        """Strike off what a session has taken."""
        bodies = _strike_off(session, sequences)
        if self.witness is not None:
            for body in bodies:
                if isinstance(body, Receipt) and body.told is not None:
                    body.told.acknowledged_at = self.loop.time()
        receipts, texts = _count_kinds(bodies)
        self.counts.receipts_acknowledged += receipts
        self.counts.texts_acknowledged += texts

    def on_refused(self, session: Session, sequences: list[int]) -> None:
        """Send again, later, what a session would not take."""
        bodies = _strike_off(session, sequences)
        if bodies:
            receipts, texts = _count_kinds(bodies)
            self.counts.receipts_refused += receipts
            self.counts.texts_refused += texts
            self._retrying.push(_Owed(session, bodies), self.loop.time())
            self._arm()

    # What goes out, and to whom.

    def _answer(self, answer: _Answer, now: float) -> None:
        session, responses, receipts = answer
        session.unanswered -= len(responses)
        if self.behaviour.early_receipts:
            self._send_home(_Owed(session, receipts))
            session.send(*responses)
            return
        session.send(*responses)
        if self._reporting.delay_s and receipts:
            self._reporting.push(_Owed(session, receipts), now)
            self._arm()
        else:
            self._send_home(_Owed(session, receipts))

    def _send_home(self, owed: _Owed) -> None:
        session, bodies = owed
        receiver = session if session.may_receive else self._receiver(session.system_id)
        if self._goes_astray:
            receiver = self._receiver(session.system_id, other_than=session) or receiver
        self._send_owed(receiver, session.system_id, bodies)

    def _send_owed(
        self, receiver: Session | None, system_id: str | None, bodies: Sequence[bytes]
    ) -> None:
        if not bodies:
            return
        if receiver is None or receiver.is_choked:
            self._waiting.setdefault(system_id, deque()).extend(bodies)
        else:
            self._send_deliveries(receiver, bodies)

    def send_waiting(self, session: Session) -> None:
        """Send what waits for a session, as long as its peer reads."""
        for system_id in (session.system_id, None):
            waiting = self._waiting.get(system_id)
            while waiting and session.may_receive and not session.is_choked:
                chunk = min(len(waiting), WAITING_CHUNK)
                self._send_deliveries(session, [waiting.popleft() for _ in range(chunk)])
                session.write()

    def _send_deliveries(self, session: Session, bodies: Sequence[bytes]) -> None:
        session.send_deliveries(bodies)
        if self.witness is not None:
            self._note_told(session, bodies)
        receipts, texts = _count_kinds(bodies)
        self.counts.receipts_sent += receipts
        self.counts.texts_sent += texts

    def _receiver(self, system_id: str | None, other_than: Session | None = None) -> Session | None:
        """Return the first session that may receive, of one system_id or of any."""
        for session in self._sessions:
            may_receive = session.may_receive and session is not other_than
            if may_receive and system_id in (None, session.system_id):
                return session
        return None

    def _has_waiting(self, system_id: str) -> bool:
        return bool(self._waiting.get(system_id) or self._waiting.get(None))

    def _count_decisions(self, decisions: list[Decision]) -> None:
        counts = self.counts
        outcomes = [decision[3] for decision in decisions if not decision[0]]
        counts.submits += len(decisions)
        counts.accepted += len(outcomes)
        counts.outcomes.update(outcomes)
        if len(outcomes) < len(decisions):
            throttled = sum(decision.status == codec.ESME_RTHROTTLED for decision in decisions)
            counts.throttled += throttled
            counts.refused += len(decisions) - len(outcomes) - throttled
            counts.window_violations += sum(decision.breaks_window for decision in decisions)

    # What goes wrong, and what a witness sees.

    def _on_bent_submits(
        self, session: Session, submits: list[Submit], decisions: list[Decision], now: float
    ) -> None:
        """Answer the submit_sm of one read one by one, each in its own time."""
        assert session.system_id is not None
        account, number = session.system_id, session.number
        witness, conduct, wall_s = self.witness, self.conduct, time.time()
        session.unanswered += len(submits)
        unanswered = session.unanswered
        if witness is not None:
            witness.on_submits(account, number, len(submits), unanswered, now)
        for position, (submit, decision) in enumerate(
            zip(submits, decisions, strict=True), unanswered - len(submits) + 1
        ):
            accepted = None
            if witness is not None and not decision.status:
                accepted = witness.on_accepted(
                    account, number, submit, decision.message_id, decision.outcome, now
                )
            receipts = self._receipts.write_bent(submit, decision, wall_s)
            for receipt in receipts:
                receipt.accepted = accepted
            exchange = _Exchange(session, submit, decision, receipts, accepted)
            delay_s = conduct.answer_delay_s(position)
            if not delay_s:
                self._begin_answer(exchange)
                continue
            due = now + delay_s
            if conduct.answers_in_order:
                due = session.answers_due = max(due, session.answers_due)
            self._note_action(due, partial(self._begin_answer, exchange))

    def _begin_answer(self, exchange: _Exchange) -> None:
        if self._lead_s is None:
            self._finish_answer(exchange)
            return
        self._send_home(_Owed(exchange.session, exchange.receipts))
        if self._lead_s:
            due = self.loop.time() + self._lead_s
            self._note_action(due, partial(self._finish_answer, exchange))
        else:
            self._finish_answer(exchange)

    def _finish_answer(self, exchange: _Exchange) -> None:
        session, submit, decision = exchange.session, exchange.submit, exchange.decision
        session.unanswered -= 1
        if decision.answer:
            exchange.responses.append(self._encode_answer(submit.sequence, decision))
            session.send(*exchange.responses)
            if exchange.accepted is not None and not session.is_ending:
                exchange.accepted.answered_at = self.loop.time()
        else:
            self.counts.withheld += 1
        if self._lead_s is None and exchange.receipts:
            self._report(session, exchange.receipts)
        for beside in self.conduct.on_answer(submit, decision, exchange.responses):
            session.send(*beside.pdus)
            self._send_home(_Owed(session, beside.texts))
            if beside.last and not session.is_ending:
                session.fall_silent(beside.last)
                self._note_action(self.loop.time() + SILENCE_S, session.abort)

    def _encode_answer(self, sequence: int, decision: Decision) -> bytes:
        """Encode the response to a submit_sm, as no table has it."""
        status, message_id = decision.status, decision.message_id
        if decision.answer == "generic_nack":
            self.counts.nacks_sent += 1
            return codec.encode(codec.GENERIC_NACK, sequence, status)
        if status and not message_id:
            return codec.encode_submit_resp(sequence, status, b"")
        body = message_id + b"\0"
        if self.conduct.has("unknown-tlvs"):
            body += _VENDOR_TLV_OCTETS
        length = codec.HEADER_OCTETS + len(body)
        return codec.HEADER.pack(length, codec.SUBMIT_SM_RESP, status, sequence) + body

    def _report(self, session: Session, receipts: Sequence[bytes]) -> None:
        """Send receipts after their response, or when it is time."""
        owed = _Owed(session, receipts)
        if self.conduct.has("receipt-late"):
            assert session.system_id is not None
            self._late.setdefault(session.system_id, []).extend(receipts)
        elif self._reporting.delay_s:
            self._reporting.push(owed, self.loop.time())
            self._arm()
        else:
            self._send_home(owed)

    def _note_told(self, session: Session, bodies: Sequence[bytes]) -> None:
        for body in bodies:
            if isinstance(body, Receipt) and body.accepted is not None:
                body.told = Told(body.word, session.number, self.loop.time())
                body.accepted.receipts.append(body.told)

    def _unbind(self, session: Session) -> None:
        if not session.is_ending:
            session.unbind()
            self._note_action(self.loop.time() + UNBIND_TIMEOUT_S, session.abort)

    def _enquire(self, session: Session) -> None:
        period_s = self.conduct.enquire_every_s
        assert period_s is not None
        if not session.is_ending:
            self.counts.enquire_links_sent += 1
            session.send_request(codec.ENQUIRE_LINK)
            self._note_action(self.loop.time() + period_s, partial(self._enquire, session))

    # Events and time.

    def settle(self) -> None:
        """End an event: write what it made ready, wake who waited for it."""
        for session in self.unwritten:
            session.write()
        self.unwritten.clear()
        for condition, future in self._waiters:
            if not future.done() and condition():
                future.set_result(None)

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        if condition():
            return
        waiter = (condition, self.loop.create_future())
        self._waiters.append(waiter)
        try:
            await waiter[1]
        finally:
            self._waiters.remove(waiter)

    def _arm(self) -> None:
        """Set the timer to the first deadline."""
        lines = (self._answering, self._reporting, self._retrying, self._agenda)
        deadlines = [line.deadline for line in lines if line.deadline is not None]
        if not deadlines:
            return
        first = min(deadlines)
        if self._timer is not None:
            if self._timer.when() <= first:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(first, self._on_timer, first)

    def _note_action(self, at: float, action: Callable[[], None]) -> None:
        self._agenda.note(at, action)
        self._arm()

    def _on_timer(self, deadline: float) -> None:
        self._timer = None
        now = max(deadline, self.loop.time())  # a timer may fire a clock's tick early
        for answer in self._answering.take_due(now):
            self._answer(answer, now)
        for action in self._agenda.take_due(now):
            action()
        for line in (self._reporting, self._retrying):
            for owed in line.take_due(now):
                self._send_home(owed)
        self._arm()
        self.settle()

    # The record.

    def note(self, session: Session, direction: Direction, octets: bytes) -> None:
        """Put whole PDUs on record."""
        assert self._record is not None
        self._record.note(
            session.number, direction, octets, at=self.loop.time(), wall_s=time.time()
        )
        if self._record_timer is None:
            self._record_timer = self.loop.call_later(RECORD_PERIOD_S, self._flush_record)

    def _flush_record(self) -> None:
        self._record_timer = None
        if self._record is not None:
            self._record.flush()

    def _close_record(self) -> None:
        if self._record_timer is not None:
            self._record_timer.cancel()
            self._record_timer = None
        if self._record is not None:
            self._record.close()
            self._record = None


def _strike_off(session: Session, sequences: list[int]) -> list[bytes]:
    """Take what was answered from what a session holds; return it, without answers to nothing."""
    take = session.unacknowledged.pop
    return [body for body in [take(sequence, None) for sequence in sequences] if body is not None]


def _count_kinds(bodies: Sequence[bytes]) -> tuple[int, int]:
    """Return how many of them are receipts, and how many texts."""
    texts = sum([type(body) is Text for body in bodies])
    return len(bodies) - texts, texts
