"""The simulator's connections and its time: the asyncio shell around codec, decisions and receipts.

A `_Session` is one connection: it frames, keeps the bind and numbers its requests. The `Simulator`
owns the sessions and all that outlives them: the tally, what waits for its time, and what is owed.
What one event makes leave is written in one piece for each session, when the event is dealt with.

A receipt is owed until it is acknowledged. It goes to the session that submitted, if that may
receive, else to another of the same system_id, else it waits for the next bind; a session that ends
hands back what it had not acknowledged. Each delay is constant, so a queue for each and one timer
keep them all, however much waits.
"""

import asyncio
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, NamedTuple, Self, TextIO, TypeVar

from smppgw.errors import InputError, OperationError, RemoteProtocolError
from smppgw.simulator import codec
from smppgw.simulator.behaviour import Behaviour, Decision, Decisions
from smppgw.simulator.codec import Pdu, Submit
from smppgw.simulator.receipts import ReceiptWriter
from smppgw.simulator.record import Direction, Record

WRITE_HIGH_WATER_OCTETS = 1 << 20  # above it, nothing more is read from that peer
WRITE_LOW_WATER_OCTETS = 1 << 18
WAITING_CHUNK = 1000  # deliver_sm in one write, when many wait
UNBIND_TIMEOUT_S = 1.0  # how long a peer may take to answer our unbind before it is cut off
RECORD_PERIOD_S = 0.1

# Which bind may submit and which may receive (SMPP 3.4 issue 1.2, 2.2.1).
_BINDS = {
    codec.BIND_TRANSMITTER: (True, False),
    codec.BIND_RECEIVER: (False, True),
    codec.BIND_TRANSCEIVER: (True, True),
}
_SC_INTERFACE_VERSION = {codec.TLV_SC_INTERFACE_VERSION: b"\x34"}

_T = TypeVar("_T")


@dataclass
class Counts:
    """What happened so far, kept up to date after every event.

    submits = accepted + throttled + refused, and accepted = the sum of `outcomes`.
    """

    bound: int = 0  # sessions bound now
    binds: int = 0
    binds_refused: int = 0
    submits: int = 0
    accepted: int = 0
    throttled: int = 0  # the window's violations among them
    window_violations: int = 0
    refused: int = 0  # cut short, or on a session that may not submit
    outcomes: Counter[str] = field(default_factory=Counter)  # accepted ones, by state word
    receipts_sent: int = 0  # counted again when sent again
    receipts_acknowledged: int = 0
    receipts_refused: int = 0  # answered with a status
    texts_sent: int = 0
    texts_acknowledged: int = 0
    texts_refused: int = 0
    nacks_sent: int = 0


class _Text(bytes):
    """The body of a deliver_sm that is a text from a phone; any other is a receipt."""


class _Session(asyncio.Protocol):
    """One connection."""

    system_id: str | None = None  # set once bound
    may_submit = False
    may_receive = False
    is_choked = False  # the peer does not read what we write
    is_ending = False  # nothing more is read
    unanswered = 0  # submit_sm

    def __init__(self, smsc: "Simulator", number: int) -> None:
        self._smsc = smsc
        self.number = number
        self._unconsumed = b""
        self._unwritten: list[bytes] = []
        self._sequence = 0
        self.unacknowledged: dict[int, bytes] = {}  # deliver_sm bodies by sequence_number

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(WRITE_HIGH_WATER_OCTETS, WRITE_LOW_WATER_OCTETS)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._smsc._on_disconnect(self)

    def pause_writing(self) -> None:
        self.is_choked = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self.is_choked = False
        self._transport.resume_reading()
        self._smsc._send_waiting(self)

    def data_received(self, data: bytes) -> None:
        if self._unconsumed:
            data = self._unconsumed + data
        smsc = self._smsc
        if smsc._record is not None:
            smsc._note(self, "received", data)
        at, broken = 0, False
        other: bytes | None = b""
        while other is not None and not self.is_ending:
            submits, acknowledged, refused, other, at, broken = codec.walk(data, at)
            if acknowledged:
                smsc._on_acknowledged(self, acknowledged)
            if refused:
                smsc._on_refused(self, refused)
            if submits:
                self._on_submits(submits)
            if other is not None:
                self._on_other(other)
        self._unconsumed = data[at:]
        if broken and not self.is_ending:
            smsc.counts.nacks_sent += 1
            self.send(codec.encode(codec.GENERIC_NACK, 0, codec.ESME_RINVCMDLEN))
            self.close()
        smsc._settle()

    # What comes in.

    def _on_submits(self, submits: list[Submit]) -> None:
        if self.may_submit:
            self._smsc._on_submits(self, submits)
            return
        for submit in submits:
            self._refuse_submit(submit.sequence, codec.ESME_RINVBNDSTS)

    def _on_other(self, octets: bytes) -> None:
        """Deal with any PDU that the walk does not."""
        try:
            pdu = codec.decode(octets)
        except RemoteProtocolError:
            self._on_cut_short(octets)
            return
        handle = _HANDLERS.get(pdu.command_id)
        if handle is not None:
            handle(self, pdu)
        elif not pdu.command_id & codec.RESPONSE_BIT:
            self._smsc.counts.nacks_sent += 1
            self.send(codec.encode(codec.GENERIC_NACK, pdu.sequence, codec.ESME_RINVCMDID))

    def _on_cut_short(self, octets: bytes) -> None:
        """Refuse a request whose body cannot be read; its framing is sound, so we go on."""
        _, command_id, _, sequence = codec.HEADER.unpack_from(octets)
        if command_id == codec.SUBMIT_SM:
            self._refuse_submit(sequence, codec.ESME_RINVCMDLEN)
        elif not command_id & codec.RESPONSE_BIT:
            response_id = command_id | codec.RESPONSE_BIT
            self.send(codec.encode(response_id, sequence, codec.ESME_RINVCMDLEN))

    def _on_bind(self, pdu: Pdu) -> None:
        counts, fields = self._smsc.counts, pdu.fields
        status = codec.ESME_RALYBND
        if self.system_id is None:
            status = self._smsc.behaviour.refuse_bind(fields["system_id"], fields["password"])
        response_id = pdu.command_id | codec.RESPONSE_BIT
        if status:
            counts.binds_refused += 1
            self.send(codec.encode(response_id, pdu.sequence, status))
            return
        system_id = self.system_id = fields["system_id"]
        self.may_submit, self.may_receive = _BINDS[pdu.command_id]
        answer = {"system_id": system_id, "tlvs": _SC_INTERFACE_VERSION}
        self.send(codec.encode(response_id, pdu.sequence, **answer))
        counts.binds += 1
        counts.bound += 1
        self._smsc._send_waiting(self)

    def _on_enquire_link(self, pdu: Pdu) -> None:
        self.send(codec.encode(codec.ENQUIRE_LINK_RESP, pdu.sequence))

    def _on_unbind(self, pdu: Pdu) -> None:
        self.send(codec.encode(codec.UNBIND_RESP, pdu.sequence))
        self.close()

    def _on_unbind_resp(self, pdu: Pdu) -> None:
        self.close()

    def _on_generic_nack(self, pdu: Pdu) -> None:
        self._smsc._on_refused(self, [pdu.sequence])

    # What goes out.

    def send(self, *pdus: bytes) -> None:
        """Keep whole PDUs for the write that ends this event."""
        if not self._unwritten:
            self._smsc._unwritten.append(self)
        self._unwritten.extend(pdus)

    def send_deliveries(self, bodies: list[bytes]) -> None:
        """Send deliver_sm, and hold them until they are acknowledged."""
        first = self._sequence + 1
        if first + len(bodies) > codec.SEQUENCE_LIMIT:
            first = 1
        self._sequence = first + len(bodies) - 1
        self.unacknowledged.update(enumerate(bodies, first))
        self.send(codec.encode_deliveries(first, bodies))

    def write(self) -> None:
        """Write what was sent, in one piece."""
        if not self._unwritten:
            return
        octets = b"".join(self._unwritten)
        self._unwritten.clear()
        if not self._transport.is_closing():
            if self._smsc._record is not None:
                self._smsc._note(self, "sent", octets)
            self._transport.write(octets)

    def _refuse_submit(self, sequence: int, status: int) -> None:
        self._smsc.counts.submits += 1
        self._smsc.counts.refused += 1
        self.send(codec.encode_submit_resp(sequence, status, b""))

    # How it ends.

    def unbind(self) -> None:
        """Ask the peer to go; a connection without a bind is closed at once."""
        if self.system_id is None:
            self.close()
        elif not self.is_ending:
            self._sequence += 1
            self.send(codec.encode(codec.UNBIND, self._sequence))
            self.write()

    def close(self) -> None:
        """Read no more, and close once everything is written."""
        self._end()
        self.write()
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._end()
        self._transport.abort()

    def _end(self) -> None:
        self.is_ending = True
        self.may_submit = self.may_receive = False


_HANDLERS: dict[int, Callable[[_Session, Pdu], None]] = {
    **dict.fromkeys(_BINDS, _Session._on_bind),
    codec.ENQUIRE_LINK: _Session._on_enquire_link,
    codec.UNBIND: _Session._on_unbind,
    codec.UNBIND_RESP: _Session._on_unbind_resp,
    codec.GENERIC_NACK: _Session._on_generic_nack,
}


class _Answer(NamedTuple):
    """The responses of one batch of submit_sm, and the receipts that follow them."""

    session: _Session
    responses: list[bytes]
    receipts: list[bytes]


class _Owed(NamedTuple):
    """Bodies of deliver_sm, and the session that they are meant for first."""

    session: _Session
    bodies: list[bytes]


class _DelayLine(Generic[_T]):
    """What waits for one constant delay: first in is first out."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self._items: deque[tuple[float, _T]] = deque()

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds at which the first is due."""
        return self._items[0][0] if self._items else None

    def push(self, item: _T, now: float) -> None:
        self._items.append((now + self.delay_s, item))

    def take_due(self, now: float) -> list[_T]:
        due = []
        while self._items and self._items[0][0] <= now:
            due.append(self._items.popleft()[1])
        return due


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
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        record: str | Path | TextIO | None = None,
    ) -> None:
        """Set up a simulator that does not listen yet.

        Args:
            behaviour: how it behaves; by default it answers at once and delivers everything.
            host: the address to listen at.
            port: 0 takes a free one.
            record: a file, or the path of one to append to, for a line about each PDU; it will hold
                numbers and texts.
        """
        self.behaviour = behaviour or Behaviour()
        self.host = host
        self.port = port
        self.counts = Counts()
        self._decisions = Decisions(self.behaviour)
        self._receipts = ReceiptWriter(self.behaviour)
        self._answering: _DelayLine[_Answer] = _DelayLine(self.behaviour.latency_s)
        self._reporting: _DelayLine[_Owed] = _DelayLine(self.behaviour.receipt_delay_s)
        self._retrying: _DelayLine[_Owed] = _DelayLine(self.behaviour.retry_delay_s)
        self._timer: asyncio.TimerHandle | None = None
        self._sessions: dict[_Session, None] = {}  # in the order of connecting
        self._session_number = 0
        self._unwritten: list[_Session] = []  # in the order of their first PDU of this event
        self._waiting: dict[str | None, deque[bytes]] = {}  # by system_id; None is for anybody
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._record_target = record
        self._record: Record | None = None
        self._record_timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OperationError: the address cannot be listened at, or the record cannot be opened.
        """
        self._loop = asyncio.get_running_loop()
        if self._record_target is not None:
            self._record = Record(self._record_target)
        try:
            self._server = await self._loop.create_server(self._connect, self.host, self.port)
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
        self, source: str, destination: str, text: str, *, system_id: str | None = None
    ) -> None:
        """Send a text from a phone (SMPP 3.4 issue 1.2, 4.6.1), or keep it for the next bind.

        Args:
            source: the phone's number, with or without a plus sign.
            destination: the number or short code that was written to.
            text: what was written; it goes as UCS2 unless ASCII and GSM 03.38 agree on all of it.
            system_id: whose it is; None is anybody's.

        Raises:
            InputError: the text is longer than a deliver_sm can carry.
        """
        self._send_owed(self._receiver(system_id), system_id, [_text(source, destination, text)])
        self._settle()

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

    def _connect(self) -> _Session:
        self._session_number += 1
        session = _Session(self, self._session_number)
        self._sessions[session] = None
        return session

    def _on_disconnect(self, session: _Session) -> None:
        del self._sessions[session]
        if session.system_id is not None:
            self.counts.bound -= 1
            if session.unacknowledged:
                waiting = self._waiting.setdefault(session.system_id, deque())
                waiting.extendleft(reversed(session.unacknowledged.values()))
                receiver = self._receiver(session.system_id)
                if receiver is not None:
                    self._send_waiting(receiver)
        self._settle()

    def _on_submits(self, session: _Session, submits: list[Submit]) -> None:
        """Answer the submit_sm of one read, as `Decisions` decides, at once or when it is time."""
        assert session.system_id is not None
        now = self._loop.time()
        decisions = self._decisions.on_submit_batch(
            session.system_id, submits, unanswered=session.unanswered, now=now
        )
        encode = codec.encode_submit_resp
        responses = [
            encode(submit[0], decision[0], decision[1])
            for submit, decision in zip(submits, decisions, strict=True)
        ]
        receipts = self._receipts.write(submits, decisions, time.time())
        self._count_decisions(decisions)
        session.unanswered += len(responses)
        answer = _Answer(session, responses, receipts)
        if self._answering.delay_s:
            self._answering.push(answer, now)
            self._arm()
        else:
            self._answer(answer, now)

    def _on_acknowledged(self, session: _Session, sequences: list[int]) -> None:
        receipts, texts = _count_kinds(_strike_off(session, sequences))
        self.counts.receipts_acknowledged += receipts
        self.counts.texts_acknowledged += texts

    def _on_refused(self, session: _Session, sequences: list[int]) -> None:
        bodies = _strike_off(session, sequences)
        if bodies:
            receipts, texts = _count_kinds(bodies)
            self.counts.receipts_refused += receipts
            self.counts.texts_refused += texts
            self._retrying.push(_Owed(session, bodies), self._loop.time())
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
        self._send_owed(receiver, session.system_id, bodies)

    def _send_owed(
        self, receiver: _Session | None, system_id: str | None, bodies: list[bytes]
    ) -> None:
        if not bodies:
            return
        if receiver is None or receiver.is_choked:
            self._waiting.setdefault(system_id, deque()).extend(bodies)
        else:
            self._send_deliveries(receiver, bodies)

    def _send_waiting(self, session: _Session) -> None:
        """Send what waits for a session, as long as its peer reads."""
        for system_id in (session.system_id, None):
            waiting = self._waiting.get(system_id)
            while waiting and session.may_receive and not session.is_choked:
                chunk = min(len(waiting), WAITING_CHUNK)
                self._send_deliveries(session, [waiting.popleft() for _ in range(chunk)])
                session.write()

    def _send_deliveries(self, session: _Session, bodies: list[bytes]) -> None:
        session.send_deliveries(bodies)
        receipts, texts = _count_kinds(bodies)
        self.counts.receipts_sent += receipts
        self.counts.texts_sent += texts

    def _receiver(self, system_id: str | None) -> _Session | None:
        """Return the first session that may receive, of one system_id or of any."""
        for session in self._sessions:
            if session.may_receive and system_id in (None, session.system_id):
                return session
        return None

    def _count_decisions(self, decisions: list[Decision]) -> None:
        counts = self.counts
        outcomes = [outcome for status, _, _, outcome, _ in decisions if not status]
        throttled = len(decisions) - len(outcomes)
        counts.submits += len(decisions)
        counts.accepted += len(outcomes)
        counts.outcomes.update(outcomes)
        if throttled:
            counts.throttled += throttled
            counts.window_violations += sum(decision.breaks_window for decision in decisions)

    # Events and time.

    def _settle(self) -> None:
        """End an event: write what it made ready, wake who waited for it."""
        for session in self._unwritten:
            session.write()
        self._unwritten.clear()
        for condition, future in self._waiters:
            if not future.done() and condition():
                future.set_result(None)

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        if condition():
            return
        waiter = (condition, self._loop.create_future())
        self._waiters.append(waiter)
        try:
            await waiter[1]
        finally:
            self._waiters.remove(waiter)

    def _arm(self) -> None:
        """Set the timer to the first deadline."""
        lines = (self._answering, self._reporting, self._retrying)
        deadlines = [line.deadline for line in lines if line.deadline is not None]
        if not deadlines:
            return
        first = min(deadlines)
        if self._timer is not None:
            if self._timer.when() <= first:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(first, self._on_timer, first)

    def _on_timer(self, deadline: float) -> None:
        self._timer = None
        now = max(deadline, self._loop.time())  # a timer may fire a clock's tick early
        for answer in self._answering.take_due(now):
            self._answer(answer, now)
        for line in (self._reporting, self._retrying):
            for owed in line.take_due(now):
                self._send_home(owed)
        self._arm()
        self._settle()

    # The record.

    def _note(self, session: _Session, direction: Direction, octets: bytes) -> None:
        assert self._record is not None
        self._record.note(
            session.number, direction, octets, at=self._loop.time(), wall_s=time.time()
        )
        if self._record_timer is None:
            self._record_timer = self._loop.call_later(RECORD_PERIOD_S, self._flush_record)

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


def _strike_off(session: _Session, sequences: list[int]) -> list[bytes]:
    """Take what was answered from what a session holds; return it, without answers to nothing."""
    take = session.unacknowledged.pop
    return [body for body in [take(sequence, None) for sequence in sequences] if body is not None]


def _count_kinds(bodies: list[bytes]) -> tuple[int, int]:
    """Return how many of them are receipts, and how many texts."""
    texts = sum([type(body) is _Text for body in bodies])
    return len(bodies) - texts, texts


# Characters with the same code in ASCII and in the GSM default alphabet (3GPP TS 23.038, 6.2.1).
_COMMON_CHARACTERS = frozenset(
    "\n\r !\"#%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)


def _text(source: str, destination: str, text: str) -> _Text:
    """Write the body of a deliver_sm that carries a text from a phone."""
    if _COMMON_CHARACTERS.issuperset(text):
        octets, data_coding = text.encode("ascii"), codec.DATA_CODING_DEFAULT
    else:
        octets, data_coding = text.encode("utf-16-be"), codec.DATA_CODING_UCS2
    if len(octets) > codec.PAYLOAD_OCTETS_LIMIT:
        raise InputError(f"The text has {len(octets)} octets: a deliver_sm carries 64,000.")
    fits = len(octets) <= codec.SHORT_MESSAGE_OCTETS_LIMIT
    source_ton, source_npi, source_addr = _numbering(source)
    dest_ton, dest_npi, destination_addr = _numbering(destination)
    return _Text(
        codec.encode_body(
            codec.DELIVER_SM,
            source_addr_ton=source_ton,
            source_addr_npi=source_npi,
            source_addr=source_addr,
            dest_addr_ton=dest_ton,
            dest_addr_npi=dest_npi,
            destination_addr=destination_addr,
            data_coding=data_coding,
            short_message=octets if fits else b"",
            tlvs={} if fits else {codec.TLV_MESSAGE_PAYLOAD: octets},
        )
    )


def _numbering(address: str) -> tuple[int, int, str]:
    """Return ton, npi and the address (5.2.5, 5.2.6): a name, a short code, or a number."""
    digits = address.removeprefix("+")
    if not digits.isdecimal():
        return 5, 0, address
    return (3, 0, digits) if len(digits) <= _SHORT_CODE_DIGITS else (1, 1, digits)


_SHORT_CODE_DIGITS = 6
