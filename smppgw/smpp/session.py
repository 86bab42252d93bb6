"""One SMPP session as a state machine: octets and `now` in, octets and values out.

A session is told what happened (`receive`, `tick`) and what to do (`submit`, `acknowledge`,
`unbind`), and answers with octets to write and values to act upon. It owns the sequence numbers,
the window and the timers; it knows no socket, clock, database or randomness. `now` is monotonic
seconds.

The window: a slot is taken when a submit_sm is encoded and is free again when `settle` says that
its outcome is being recorded, not when the answer is read. A request without answer keeps its slot
after its time-out, since the SMSC may still hold it (I7): it is told once as overdue, and a late
answer is told like any other. When every slot is overdue, and no late answer comes for half a time-
out more, the session ends, which is the only way to get the window back. The time-out follows the
measured latency, so that a slow SMSC is not taken for a silent one; and what is overdue halves the
window that is used, which then grows back by one for each window of answers in time.

When the SMSC unbinds, nothing more is submitted, but its unbind is answered only once it has
answered us and we it, or after a while: the daily unbind of an operator leaves nothing in doubt.

Whatever ends a session, `lose` hands back the requests whose outcome nobody will ever tell.

Source: SMPP 3.4 issue 1.2, sections 2.2 (states), 2.9 (windowing by outstanding requests), 7.2
(timers).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from smppgw.errors import LocalProtocolError, RemoteProtocolError
from smppgw.smpp import pdu
from smppgw.smpp.pdu import Delivery, SubmitTemplate

INTERFACE_VERSION = 0x34
LATENCIES_TO_WAIT = 4  # an answer is overdue after so many smoothed latencies, or more
TIMEOUTS_TO_END = 1.5  # a window of which nothing is answered ends its session after so many
LEAVE_S = 2.0  # how long the SMSC's unbind waits for the answers that are still owed
_SMOOTHING = 8  # a latency counts for an eighth of the smoothed one (RFC 6298, 2.3)
_RX_R_APPN = 0x66  # deliver_sm_resp for a body that nobody can read: do not send it again
_INVALID_COMMAND_ID = 0x03
_UNKNOWN_ERROR = 0xFF


class State(Enum):
    """Where a session stands (SMPP 3.4 issue 1.2, 2.2)."""

    OPEN = "open"  # connected; nothing asked for
    BINDING = "binding"  # bind sent
    BOUND = "bound"  # the bind was accepted
    UNBINDING = "unbinding"  # unbind sent; answers still come in
    LEAVING = "leaving"  # unbind received, not answered yet; answers still come in
    CLOSED = "closed"  # no octet may be written any more


class Trigger(Enum):
    """What moves a session from state to state."""

    BIND = "bind sent"
    ACCEPT = "bind accepted"
    REFUSE = "bind refused"
    UNBIND = "unbind sent"
    PEER_UNBIND = "unbind received"
    LEAVE = "unbind answered"
    UNBIND_RESP = "unbind_resp received"
    TIME_OUT = "time-out"
    BROKEN = "framing broken"
    LOST = "connection lost"


TRANSITIONS: dict[tuple[State, Trigger], State] = {
    (State.OPEN, Trigger.BIND): State.BINDING,
    (State.BINDING, Trigger.ACCEPT): State.BOUND,
    (State.BINDING, Trigger.REFUSE): State.CLOSED,
    (State.BOUND, Trigger.UNBIND): State.UNBINDING,
    (State.UNBINDING, Trigger.UNBIND_RESP): State.CLOSED,
    (State.BOUND, Trigger.PEER_UNBIND): State.LEAVING,
    (State.UNBINDING, Trigger.PEER_UNBIND): State.LEAVING,
    (State.BINDING, Trigger.LEAVE): State.CLOSED,
    (State.LEAVING, Trigger.LEAVE): State.CLOSED,
    (State.BINDING, Trigger.TIME_OUT): State.CLOSED,
    (State.BOUND, Trigger.TIME_OUT): State.CLOSED,
    (State.UNBINDING, Trigger.TIME_OUT): State.CLOSED,
    (State.LEAVING, Trigger.UNBIND_RESP): State.CLOSED,
    (State.OPEN, Trigger.BROKEN): State.CLOSED,
    (State.BINDING, Trigger.BROKEN): State.CLOSED,
    (State.BOUND, Trigger.BROKEN): State.CLOSED,
    (State.UNBINDING, Trigger.BROKEN): State.CLOSED,
    (State.LEAVING, Trigger.BROKEN): State.CLOSED,
    (State.OPEN, Trigger.LOST): State.CLOSED,
    (State.BINDING, Trigger.LOST): State.CLOSED,
    (State.BOUND, Trigger.LOST): State.CLOSED,
    (State.UNBINDING, Trigger.LOST): State.CLOSED,
    (State.LEAVING, Trigger.LOST): State.CLOSED,
}


@dataclass(frozen=True, slots=True)
class Bind:
    """What a bind asks for (SMPP 3.4 issue 1.2, 4.1); the password never shows."""

    system_id: str
    password: str = field(repr=False)
    system_type: str = ""
    kind: str = "transceiver"  # or transmitter, receiver


@dataclass(frozen=True, slots=True)
class Timers:
    """The waits of a session, in seconds (SMPP 3.4 issue 1.2, 7.2)."""

    enquire_link_s: float  # silence of the SMSC after which we ask whether it is there
    response_timeout_s: float  # wait for an answer, longer only where latency is


class Submit(NamedTuple):
    """One segment to send: what the ledger calls it, and what the template needs."""

    segment_id: int
    attempt: int
    total: int  # segments of its message
    template: SubmitTemplate
    destination: str
    reference: int


class Encoded(NamedTuple):
    """A batch of submit_sm that is ready to be written: sequence numbers, and whole PDUs."""

    sequences: list[int]
    octets: bytes


class Request(NamedTuple):
    """A submit_sm in the window: what the ledger calls its segment, and when it was written."""

    segment_id: int
    attempt: int
    total: int
    sent: float


class Answer(NamedTuple):
    """A submit_sm_resp, or the generic_nack that came instead."""

    request: Request
    command_status: int
    smsc_message_id: str


@dataclass(slots=True)
class Received:
    """What came of some octets or of the passing of time.

    Attributes:
        answers: to our submit_sm, in order of arrival.
        late: answers to requests that were told as overdue before.
        deliveries: deliver_sm to commit, then to `acknowledge`.
        overdue: requests whose answer is late; each is told once.
        unreadable: how many deliver_sm had a body that nobody can read; they are refused already.
        write: octets to write now.
        bind_status: the answer to our bind, when it came.
        closed: why the session ended, when it did.
    """

    answers: list[Answer] = field(default_factory=list)
    late: list[Answer] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    overdue: list[Request] = field(default_factory=list)
    unreadable: int = 0
    write: bytes = b""
    bind_status: int | None = None
    closed: str | None = None


class Session:
    """One session from connection to end."""

    def __init__(self, bind: Bind, timers: Timers, window: int) -> None:
        """Make a session for a connection that has just been opened.

        Args:
            bind: the kind of session and the credentials.
            timers: the waits, seconds.
            window: how many submit_sm may be unanswered; a receiver sends none.
        """
        self.state = State.OPEN
        self._bind = bind
        self._timers = timers
        self._window = 0 if bind.kind == "receiver" else window
        self._used = float(self._window)  # as much of the window as the SMSC keeps up with
        self._latency_s = 0.0  # smoothed
        self._sequence = 0
        self._buffer = b""
        self._requests: dict[int, Request] = {}  # in order of sending, so the oldest is the first
        self._overdue: dict[int, Request] = {}
        self._unsettled = 0  # answered, not yet being recorded
        self._owed = 0  # deliver_sm told, not yet acknowledged
        self._data_sm: set[int] = set()  # those of them that are data_sm
        self._heard = 0.0  # when the SMSC last said anything
        self._control: dict[int, float] = {}  # our bind, enquire_link, unbind: sequence → deadline
        self._leave: tuple[int, float] | None = None  # the SMSC's unbind and when it is answered

    # What may be asked

    @property
    def closed(self) -> bool:
        """Whether the session has ended."""
        return self.state is State.CLOSED

    @property
    def pending(self) -> bytes:
        """The beginning of a PDU whose end has not come yet."""
        return self._buffer

    @property
    def window(self) -> int:
        """How much of the window is used: all of it, unless answers came late."""
        return int(self._used)

    @property
    def latency_s(self) -> float:
        """How long answers take, smoothed; 0 before the first."""
        return self._latency_s

    @property
    def free_slots(self) -> int:
        """How many submit_sm may be sent now."""
        if self.state is not State.BOUND:
            return 0
        unanswered = len(self._requests) + self._unsettled
        return max(0, min(self._window - len(self._overdue), int(self._used)) - unanswered)

    @property
    def outstanding(self) -> int:
        """How many submit_sm are unanswered."""
        return len(self._requests) + len(self._overdue)

    @property
    def overdue(self) -> int:
        """How many of them have been told as overdue."""
        return len(self._overdue)

    @property
    def unacknowledged(self) -> int:
        """How many deliver_sm were told and wait for their deliver_sm_resp."""
        return self._owed

    @property
    def idle(self) -> bool:
        """Whether nothing is unanswered and nothing waits to be settled."""
        return not self._requests and not self._overdue and not self._unsettled

    @property
    def response_timeout_s(self) -> float:
        """How long an answer to a submit_sm may take, by what answers have taken."""
        return max(self._timers.response_timeout_s, LATENCIES_TO_WAIT * self._latency_s)

    @property
    def _silent_at(self) -> float:
        """When the session ends for want of answers: never, as long as a slot is not overdue."""
        if not self._overdue or len(self._overdue) < self._window:
            return math.inf
        newest = next(reversed(self._overdue.values()))
        return newest.sent + TIMEOUTS_TO_END * self.response_timeout_s

    @property
    def deadline(self) -> float | None:
        """When `tick` must be called at the latest; None where there is no bind to keep."""
        if self.state in (State.OPEN, State.CLOSED):
            return None
        deadlines = list(self._control.values())
        if self._leave is not None:
            deadlines.append(self._leave[1])
        if self._requests:
            oldest = next(iter(self._requests.values()))
            deadlines.append(oldest.sent + self.response_timeout_s)
        if self.state is State.BOUND and not self._control:
            deadlines.append(self._heard + self._timers.enquire_link_s)
        return min([*deadlines, self._silent_at])

    # What may be done

    def bind(self, now: float) -> bytes:
        """Ask for the bind; returns the octets to write."""
        self._move(Trigger.BIND)
        self._heard = now
        return self._ask(
            f"bind_{self._bind.kind}",
            now,
            system_id=self._bind.system_id,
            password=self._bind.password,
            system_type=self._bind.system_type,
            interface_version=INTERFACE_VERSION,
        )

    def encode(self, batch: Sequence[Submit]) -> Encoded:
        """Encode a batch of submit_sm that may be submitted later (0.7 µs each).

        Their sequence numbers are theirs alone, whether they are ever sent or not; what is asked
        meanwhile, an enquire_link, may be written before them.
        """
        sequence = self._sequence
        sequences, pdus = [], []
        for _, _, _, template, destination, reference in batch:
            sequence = sequence + 1 if sequence < pdu.SEQUENCE_LIMIT else 1
            sequences.append(sequence)
            pdus.append(template.encode(sequence, destination, reference))
        self._sequence = sequence
        return Encoded(sequences, b"".join(pdus))

    def submit(self, batch: Sequence[Submit], now: float, encoded: Encoded | None = None) -> bytes:
        """Take window slots for a batch of submit_sm.

        Args:
            batch: at most `free_slots` segments.
            now: monotonic seconds.
            encoded: what `encode` of this session made of the batch, where it did.

        Returns:
            As many whole PDUs, for one write.

        Raises:
            LocalProtocolError: the session is not bound or the window is too small; nothing was
                taken.
        """
        if len(batch) > self.free_slots:
            raise LocalProtocolError(f"{len(batch)} submit_sm for {self.free_slots} free slots")
        sequences, octets = encoded or self.encode(batch)
        requests = self._requests
        for sequence, (segment_id, attempt, total, *_) in zip(sequences, batch, strict=True):
            requests[sequence] = Request(segment_id, attempt, total, now)
        return octets

    def settle(self, outcomes: int) -> None:
        """Free the slots of as many answers: the transaction that may use them records these."""
        self._unsettled -= outcomes

    def acknowledge(self, answers: list[tuple[int, int]]) -> bytes:
        """Answer deliver_sm whose content is on disk (0.3 µs each).

        Args:
            answers: (sequence_number, command_status) of each.

        Returns:
            The octets to write; none once the session has ended.
        """
        self._owed -= len(answers)
        if self.closed:
            return b""
        octets = b""
        if self._data_sm:
            rare = [answer for answer in answers if answer[0] in self._data_sm]
            answers = [answer for answer in answers if answer[0] not in self._data_sm]
            for sequence, status in rare:
                self._data_sm.discard(sequence)
                octets += pdu.encode("data_sm_resp", sequence, status, message_id="")
        return octets + pdu.encode_delivery_responses(answers)

    def unbind(self, now: float) -> bytes:
        """Ask for the end; returns the octets to write, none where there is no bind to undo."""
        if self.state is not State.BOUND:
            return b""
        self._move(Trigger.UNBIND)
        self._control.clear()  # an enquire_link is of no interest any more
        return self._ask("unbind", now)

    def lose(self) -> list[Request]:
        """Note that the connection is gone, for whatever reason, and hand back the unanswered
        requests.

        Returns:
            The requests that no answer can reach any more, overdue ones included; empty when called
            again.
        """
        if not self.closed:
            self._move(Trigger.LOST)
        lost = [*self._overdue.values(), *self._requests.values()]
        self._overdue.clear()
        self._requests.clear()
        self._control.clear()
        self._leave = None
        return lost

    # What happens to it

    def receive(self, data: bytes, now: float) -> Received:
        """Take octets from the SMSC.

        Args:
            data: any cut of the stream; what is not a whole PDU yet is kept, 64 KiB at most.
            now: monotonic seconds.

        Returns:
            What they said. Octets after the end of the session are ignored.
        """
        received = Received()
        if self.closed:
            return received
        self._heard = now
        if self._buffer:
            data = self._buffer + data
        walk = pdu.walk(data)
        self._buffer = data[walk.consumed :]
        writes = [self._take_other(other, received) for other in walk.others]
        take, answers = self._requests.pop, received.answers
        for sequence, status, message_id in walk.responses:
            request = take(sequence, None)
            if request is not None:
                answers.append(Answer(request, status, message_id))
            elif sequence in self._overdue:
                request = self._overdue.pop(sequence)
                received.late.append(Answer(request, status, message_id))
            # else nobody waits for it: ignored
        for sequence, body in walk.deliveries:
            try:
                received.deliveries.append(pdu.parse_delivery(sequence, body))
            except RemoteProtocolError:
                received.unreadable += 1
                writes.append(pdu.encode_delivery_responses([(sequence, _RX_R_APPN)]))
        if walk.broken is not None and not self.closed:
            self._buffer = b""
            self._end(Trigger.BROKEN, f"command_length {walk.broken} cannot be", received)
        self._measure(received, now)
        self._unsettled += len(received.answers) + len(received.late)
        self._owed += len(received.deliveries)
        received.write = b"".join(writes)
        return received

    def tick(self, now: float) -> Received:
        """Take note of the time; call it at `deadline` or whenever convenient."""
        received = Received()
        if self.state in (State.OPEN, State.CLOSED):
            return received
        timeout_s = self.response_timeout_s
        while self._requests:
            sequence, oldest = next(iter(self._requests.items()))
            if now < oldest.sent + timeout_s:
                break
            self._overdue[sequence] = self._requests.pop(sequence)
            received.overdue.append(oldest)
        if received.overdue:
            self._used = max(1.0, self._used / 2)
        if any(now >= deadline for deadline in self._control.values()):
            what = {State.BINDING: "bind", State.UNBINDING: "unbind"}
            self._end(
                Trigger.TIME_OUT,
                f"no answer to {what.get(self.state, 'enquire_link')} within"
                f" {self._timers.response_timeout_s:g} s",
                received,
            )
        elif self._leave is not None:
            done = self.idle and not self._owed
            if done or now >= self._leave[1]:
                received.write = pdu.encode("unbind_resp", self._leave[0])
                self._end(Trigger.LEAVE, "the SMSC unbound", received)
        elif now >= self._silent_at:
            self._end(
                Trigger.TIME_OUT,
                f"no answer to any of {self._window} submit_sm within"
                f" {TIMEOUTS_TO_END * timeout_s:g} s",
                received,
            )
        elif (
            self.state is State.BOUND
            and not self._control
            and now >= self._heard + self._timers.enquire_link_s
        ):
            received.write = self._ask("enquire_link", now)
        return received

    # How

    def _take_other(self, octets: bytes, received: Received) -> bytes:
        """Act on a PDU off the hot path; returns the octets that answer it."""
        other = pdu.decode(octets)
        if self.closed:
            return b""
        if other.command_id == pdu.GENERIC_NACK:
            return self._take_nack(other, received)
        match other.command:
            case "bind_transceiver_resp" | "bind_transmitter_resp" | "bind_receiver_resp":
                if self.state is State.BINDING and other.sequence in self._control:
                    del self._control[other.sequence]
                    self._take_bind_answer(other.status, received)
            case "enquire_link":
                return pdu.encode("enquire_link_resp", other.sequence)
            case "enquire_link_resp":
                self._note_alive(other.sequence)
            case "data_sm":
                return self._take_data(octets, other.sequence, received)
            case "unbind":
                return self._take_unbind(other.sequence, received)
            case "unbind_resp":
                if self.state in (State.UNBINDING, State.LEAVING):
                    self._end(Trigger.UNBIND_RESP, "unbound", received)
            case "alert_notification" | "outbind":
                pass  # have no answer (SMPP 3.4 issue 1.2, 4.12 and 4.1.7)
            case _ if not other.command_id & pdu.RESPONSE_BIT:
                return pdu.encode("generic_nack", other.sequence, _INVALID_COMMAND_ID)
        return b""

    def _take_data(self, octets: bytes, sequence: int, received: Received) -> bytes:
        """Take a data_sm for what it is, a deliver_sm laid out otherwise."""
        try:
            received.deliveries.append(pdu.parse_data(sequence, octets[pdu.HEADER_OCTETS :]))
        except RemoteProtocolError:
            received.unreadable += 1
            return pdu.encode("data_sm_resp", sequence, _RX_R_APPN, message_id="")
        self._data_sm.add(sequence)
        return b""

    def _take_unbind(self, sequence: int, received: Received) -> bytes:
        """Begin to leave; the answer follows when nothing is owed any more."""
        if self.state is State.BINDING:
            self._end(Trigger.LEAVE, "the SMSC unbound", received)
            return pdu.encode("unbind_resp", sequence)
        if self._leave is None:
            self._move(Trigger.PEER_UNBIND)
            self._control.clear()
            grace_s = max(LEAVE_S, LATENCIES_TO_WAIT * self._latency_s)
            self._leave = (sequence, self._heard + grace_s)
        return b""

    def _measure(self, received: Received, now: float) -> None:
        """Learn from answers how long they take, and use more of the window again."""
        for answers in (received.answers, received.late):
            if answers:
                took_s = now - answers[-1].request.sent
                self._latency_s += (took_s - self._latency_s) / _SMOOTHING
        if self._used < self._window:
            grown = len(received.answers) / self._used
            self._used = min(float(self._window), self._used + grown)

    def _take_nack(self, nack: pdu.Other, received: Received) -> bytes:
        """End the request whose sequence a generic_nack names; ignore one that names none."""
        status = nack.status or _UNKNOWN_ERROR  # whatever it says, it accepts nothing
        if nack.sequence in self._requests:
            request = self._requests.pop(nack.sequence)
            received.answers.append(Answer(request, status, ""))
        elif nack.sequence in self._overdue:
            request = self._overdue.pop(nack.sequence)
            received.late.append(Answer(request, status, ""))
        elif self.state is not State.BINDING:
            self._note_alive(nack.sequence)
        elif self._control.pop(nack.sequence, None) is not None:
            self._take_bind_answer(status, received)
        return b""

    def _note_alive(self, sequence: int) -> None:
        """End the wait for an enquire_link_resp; a bind and an unbind keep theirs whatever comes.

        smpp34 1.5.0 answers the deliver_sm_resp of a receiver with a generic_nack, whose sequence
        number is the SMSC's and may be that of our unbind too.
        """
        if self.state not in (State.BINDING, State.UNBINDING):
            self._control.pop(sequence, None)

    def _take_bind_answer(self, status: int, received: Received) -> None:
        received.bind_status = status
        if status == 0:
            self._move(Trigger.ACCEPT)
        else:
            self._end(Trigger.REFUSE, "the bind was refused", received)

    def _ask(self, command: str, now: float, **fields: Any) -> bytes:
        self._sequence = self._sequence + 1 if self._sequence < pdu.SEQUENCE_LIMIT else 1
        self._control[self._sequence] = now + self._timers.response_timeout_s
        return pdu.encode(command, self._sequence, **fields)

    def _end(self, trigger: Trigger, why: str, received: Received) -> None:
        self._move(trigger)
        received.closed = why

    def _move(self, trigger: Trigger) -> None:
        """Make one arrow of the state diagram; the only place that does."""
        target = TRANSITIONS.get((self.state, trigger))
        if target is None:
            raise LocalProtocolError(f"{trigger.value} while {self.state.value}")
        self.state = target
