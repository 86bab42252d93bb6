"""One connection: it frames, keeps its bind, numbers its requests, holds what is unacknowledged.

What one event makes leave is kept, and written in one piece when the event is dealt with. All that
outlives a connection is its owner's, whom it tells what comes in (`Smsc`).
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from smppgw.errors import RemoteProtocolError
from smppgw.simulator import codec
from smppgw.simulator.codec import Pdu, Submit
from smppgw.simulator.conduct import Conduct
from smppgw.simulator.counts import Counts
from smppgw.simulator.receipts import VENDOR_TLV, Receipt
from smppgw.simulator.record import Direction

WRITE_HIGH_WATER_OCTETS = 1 << 20  # above it, nothing more is read from that peer
WRITE_LOW_WATER_OCTETS = 1 << 18

# Which bind may submit and which may receive (SMPP 3.4 issue 1.2, 2.2.1).
_BINDS = {
    codec.BIND_TRANSMITTER: (True, False),
    codec.BIND_RECEIVER: (False, True),
    codec.BIND_TRANSCEIVER: (True, True),
}
_SC_INTERFACE_VERSION = {codec.TLV_SC_INTERFACE_VERSION: b"\x34"}


class Smsc(Protocol):
    """Whom a session belongs to, and whom it tells."""

    loop: asyncio.AbstractEventLoop
    counts: Counts
    conduct: Conduct
    is_bent: bool  # a fault is on, or somebody looks on
    unwritten: "list[Session]"  # in the order of their first PDU of this event

    @property
    def is_recording(self) -> bool:
        """Whether `note` is to be told."""

    def note(self, session: "Session", direction: Direction, octets: bytes) -> None:
        """Record whole PDUs."""

    def on_connect(self, session: "Session") -> None:
        """Take in a connection that is made."""

    def on_bound(self, session: "Session", system_id: str, may: tuple[bool, bool]) -> None:
        """Take a session in; `may` says whether it may submit, and receive."""

    def on_submits(self, session: "Session", submits: list[Submit]) -> None:
        """Deal with the submit_sm of one read."""

    def on_acknowledged(self, session: "Session", sequences: list[int]) -> None:
        """Deal with the deliver_sm_resp of one read."""

    def on_refused(self, session: "Session", sequences: list[int]) -> None:
        """Deal with those that have a status."""

    def on_disconnect(self, session: "Session") -> None:
        """Deal with what a session leaves behind."""

    def send_waiting(self, session: "Session") -> None:
        """Send what waits for a session, as long as its peer reads."""

    def settle(self) -> None:
        """End an event: write what it made ready."""


class Session(asyncio.Protocol):
    """One connection."""

    system_id: str | None = None  # set once bound
    may_submit = False
    may_receive = False
    is_choked = False  # the peer does not read what we write
    is_ending = False  # nothing more is read
    has_unbound = False
    submits_read = 0  # counted where the connection is cut after some
    unanswered = 0  # submit_sm
    answers_due = 0.0  # when the last of the answers that keep their order is, monotonic seconds

    def __init__(self, smsc: Smsc, number: int) -> None:
        self._smsc = smsc
        self.number = number
        self._unconsumed = b""
        self._unwritten: list[bytes] = []
        self._pieces: deque[bytes] = deque()  # of writes that are cut
        self._sequence = 0
        self.unacknowledged: dict[int, bytes] = {}  # deliver_sm bodies by sequence_number

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(WRITE_HIGH_WATER_OCTETS, WRITE_LOW_WATER_OCTETS)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._smsc.on_connect(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._smsc.on_disconnect(self)

    def pause_writing(self) -> None:
        self.is_choked = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self.is_choked = False
        self._transport.resume_reading()
        self._smsc.send_waiting(self)

    def data_received(self, data: bytes) -> None:
        if self._unconsumed:
            data = self._unconsumed + data
        smsc = self._smsc
        if smsc.is_recording:
            smsc.note(self, "received", data)
        at, broken = 0, False
        other: bytes | None = b""
        while other is not None and not self.is_ending:
            submits, acknowledged, refused, other, at, broken = codec.walk(data, at)
            if acknowledged:
                smsc.on_acknowledged(self, acknowledged)
            if refused:
                smsc.on_refused(self, refused)
            if submits:
                self._on_submits(submits)
            if other is not None:
                self._on_other(other)
        self._unconsumed = data[at:]
        if broken and not self.is_ending:
            smsc.counts.nacks_sent += 1
            self.send(codec.encode(codec.GENERIC_NACK, 0, codec.ESME_RINVCMDLEN))
            self.close()
        smsc.settle()

    # What comes in.

    def _on_submits(self, submits: list[Submit]) -> None:
        if self.may_submit:
            limit = self._smsc.conduct.drop_after
            if limit is not None:
                submits = submits[: limit - self.submits_read]
                self.submits_read += len(submits)
                if self.submits_read == limit:
                    self.abort()
            self._smsc.on_submits(self, submits)
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
        smsc, counts, fields = self._smsc, self._smsc.counts, pdu.fields
        status: int | None = codec.ESME_RALYBND
        if self.system_id is None:
            status = smsc.conduct.on_bind(fields["system_id"], fields["password"], smsc.loop.time())
        response_id = pdu.command_id | codec.RESPONSE_BIT
        if status is None:
            counts.binds_refused += 1
            return
        if status:
            counts.binds_refused += 1
            self.send(codec.encode(response_id, pdu.sequence, status))
            return
        system_id = fields["system_id"]
        tlvs = _SC_INTERFACE_VERSION
        if smsc.conduct.has("unknown-tlvs"):
            tlvs = tlvs | VENDOR_TLV
        self.send(codec.encode(response_id, pdu.sequence, system_id=system_id, tlvs=tlvs))
        counts.binds += 1
        counts.bound += 1
        smsc.on_bound(self, system_id, _BINDS[pdu.command_id])

    def _on_enquire_link(self, pdu: Pdu) -> None:
        if not self._smsc.conduct.has("no-enquire-answer"):
            self.send(codec.encode(codec.ENQUIRE_LINK_RESP, pdu.sequence))

    def _on_enquire_link_resp(self, pdu: Pdu) -> None:
        self._smsc.counts.enquire_links_answered += 1

    def _on_unbind(self, pdu: Pdu) -> None:
        self.has_unbound = True
        if not self._smsc.conduct.has("no-unbind-answer"):
            self.send(codec.encode(codec.UNBIND_RESP, pdu.sequence))
        self.close()

    def _on_unbind_resp(self, pdu: Pdu) -> None:
        self.has_unbound = True
        self.close()

    def _on_data_sm_resp(self, pdu: Pdu) -> None:
        if pdu.status:
            self._smsc.on_refused(self, [pdu.sequence])
        else:
            self._smsc.on_acknowledged(self, [pdu.sequence])

    def _on_generic_nack(self, pdu: Pdu) -> None:
        self._smsc.counts.nacks_received += 1
        self._smsc.on_refused(self, [pdu.sequence])

    # What goes out.

    def send(self, *pdus: bytes) -> None:
        """Keep whole PDUs for the write that ends this event; one that ends keeps no more."""
        if self.is_ending:
            return
        if not self._unwritten:
            self._smsc.unwritten.append(self)
        self._unwritten.extend(pdus)

    def send_deliveries(self, bodies: Sequence[bytes]) -> None:
        """Send deliver_sm, and hold them until they are acknowledged."""
        if self._smsc.is_bent:
            for body in bodies:
                self._send_bent_delivery(body)
            return
        first = self._sequence + 1
        if first + len(bodies) > codec.SEQUENCE_LIMIT:
            first = 1
        self._sequence = first + len(bodies) - 1
        self.unacknowledged.update(enumerate(bodies, first))
        self.send(codec.encode_deliveries(first, bodies))

    def _send_bent_delivery(self, body: bytes) -> None:
        sequence = self._smsc.conduct.extreme_sequence(self.unacknowledged)
        if sequence is None:
            sequence = self._next_sequence()
        command_id = body.command_id if isinstance(body, Receipt) else codec.DELIVER_SM
        self.unacknowledged[sequence] = body
        self.send(codec.HEADER.pack(codec.HEADER_OCTETS + len(body), command_id, 0, sequence), body)

    def send_request(self, command_id: int) -> None:
        """Send a request without a body."""
        header = (codec.HEADER_OCTETS, command_id, 0, self._next_sequence())
        self.send(codec.HEADER.pack(*header))

    def _next_sequence(self) -> int:
        self._sequence = 1 if self._sequence == codec.SEQUENCE_LIMIT else self._sequence + 1
        return self._sequence

    def write(self) -> None:
        """Write what was sent, in one piece."""
        if not self._unwritten:
            return
        octets = b"".join(self._unwritten)
        self._unwritten.clear()
        if not self._transport.is_closing():
            if self._smsc.is_recording:
                self._smsc.note(self, "sent", octets)
            if self._smsc.conduct.has("cut-anywhere"):
                self._write_in_pieces(octets)
            else:
                self._transport.write(octets)

    def _write_in_pieces(self, octets: bytes) -> None:
        if not self._pieces:
            self._smsc.loop.call_soon(self._write_piece)
        self._pieces.extend(self._smsc.conduct.cut(octets))

    def _write_piece(self) -> None:
        """Write a piece and leave the next to the loop's next round, so that the peer reads."""
        if self._pieces and not self._transport.is_closing():
            self._transport.write(self._pieces.popleft())
            if self._pieces:
                self._smsc.loop.call_soon(self._write_piece)

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
            self.send_request(codec.UNBIND)
            self.write()

    def close(self) -> None:
        """Read no more, and close once everything is written."""
        self._end()
        self.write()
        if self._pieces:
            self._transport.write(b"".join(self._pieces))
            self._pieces.clear()
        self._transport.close()

    def fall_silent(self, last: bytes) -> None:
        """Say one last thing, then neither read nor write."""
        self.send(last)
        self._end()
        self.write()

    def abort(self) -> None:
        """Close at once."""
        self._end()
        self._transport.abort()

    def _end(self) -> None:
        self.is_ending = True
        self.may_submit = self.may_receive = False


_HANDLERS: dict[int, Callable[[Session, Pdu], None]] = {
    **dict.fromkeys(_BINDS, Session._on_bind),
    codec.ENQUIRE_LINK: Session._on_enquire_link,
    codec.ENQUIRE_LINK_RESP: Session._on_enquire_link_resp,
    codec.UNBIND: Session._on_unbind,
    codec.UNBIND_RESP: Session._on_unbind_resp,
    codec.DATA_SM_RESP: Session._on_data_sm_resp,
    codec.GENERIC_NACK: Session._on_generic_nack,
}
