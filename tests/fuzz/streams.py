"""Streams that no SMSC should send: whole PDUs, cut, spliced, bent and mixed with noise.

`spliced` makes one from a source of chance; `feed` gives it to a session and holds what comes of it
to what is promised: events, or an end that says why, and a buffer with a bound. Run as a program it
does so for a number of seconds, and says how often, and how much memory that took:

    python -m tests.fuzz.streams 600
"""

import gc
import resource
import struct
import sys
import time
from random import Random

from smppgw.simulator import codec
from smppgw.smpp import pdu
from smppgw.smpp.inbound import parse_part
from smppgw.smpp.pdu import Addresses, SubmitTemplate
from smppgw.smpp.receipt import parse_receipt
from smppgw.smpp.session import Bind, Received, Session, Submit, Timers
from smppgw.smpp.trace import describe
from smppgw.sms.inbound import decode_text

WINDOW = 10
_TEMPLATE = SubmitTemplate(
    Addresses("STMARTIN", 5, 0, 1, 1), b"Essai", data_coding=0, registered_delivery=1
)
_ALPHABETS = ("gsm7", "gsm7-packed", "latin1")
_RECEIPT = (
    b"id:0000000001 sub:001 dlvrd:001 submit date:2501010000 done date:2501010000 stat:DELIVRD"
    b" err:000 text:Essai"
)
_PART = b"\x05\0\x03\x01\x02\x01a"
_TLVS = {
    codec.TLV_RECEIPTED_MESSAGE_ID: b"1\0",
    codec.TLV_MESSAGE_STATE: b"\x02",
    codec.TLV_MESSAGE_PAYLOAD: b"Bonjour",
    codec.TLV_SAR_MSG_REF_NUM: b"\x01\x02",
    codec.TLV_SAR_TOTAL_SEGMENTS: b"\x02",
    codec.TLV_SAR_SEGMENT_SEQNUM: b"\x01",
    0x1501: b"vendor",
}
_PHONE = b"\x01\x0133600000001\0"
_US = b"\x05\0STMARTIN\0"


def _whole(random: Random) -> bytes:
    """Return one PDU that an SMSC may send, now or never."""
    sequence = random.choice((1, 2, 3, random.randint(1, 3 * WINDOW), 0, 0xFFFFFFFF))
    kind = random.randrange(12)
    if kind < 3:
        status = random.choice((0, 0, 0, 0x58, 0x0B, 0x4FF))
        return codec.encode_submit_resp(sequence, status, random.choice((b"1", b"", b"f" * 64)))
    if kind < 6:
        body = codec.message_body(
            _PHONE,
            _US,
            random.choice((0, 4, 0x20, 0x40, 0x44, random.randrange(256))),
            random.choice((0, 8, 0xF4, random.randrange(256))),
            random.choice(
                (_RECEIPT, b"", _RECEIPT.decode().encode("utf-16-be"), b"\x05\0\3\1\2\1a")
            ),
            {tag: _TLVS[tag] for tag in random.sample(sorted(_TLVS), random.randrange(4))},
        )
        return codec.encode_deliveries(sequence & 0x7FFFFFFF, [body])
    if kind == 6:
        head = b"\0" + _PHONE + _US + bytes((4, 0, 0))
        body = head + codec.encode_tlvs(_TLVS)
        return codec.HEADER.pack(16 + len(body), codec.DATA_SM, 0, sequence) + body
    if kind == 7:
        return codec.encode(
            random.choice((0x80000001, 0x80000002, 0x80000009)), 1, 0, system_id="SMSC"
        )
    command_id = random.choice(
        (
            codec.ENQUIRE_LINK,
            codec.ENQUIRE_LINK | codec.RESPONSE_BIT,
            codec.UNBIND,
            codec.UNBIND | codec.RESPONSE_BIT,
            codec.GENERIC_NACK,
            0x0B,  # outbind
            0x102,  # alert_notification
            0x80000005,
            random.randrange(1 << 32),
        )
    )
    body = random.randbytes(random.choice((0, 0, 1, 20)))
    return codec.HEADER.pack(16 + len(body), command_id, random.choice((0, 8)), sequence) + body


def _bent(random: Random, octets: bytes) -> bytes:
    """Return a PDU cut short, with a length that is not its own, or with some octets changed."""
    match random.randrange(4):
        case 0:
            return octets[: random.randrange(len(octets))]
        case 1:
            length = random.choice((0, 15, 16, 17, len(octets) - 1, len(octets) + 9, 0xFFFFFFFF))
            return struct.pack(">I", length) + octets[4:]
        case 2:  # the frame is sound, the body is not
            cut = octets[: random.randint(16, len(octets))]
            return struct.pack(">I", len(cut)) + cut[4:]
        case _:
            changed = bytearray(octets)
            for _ in range(random.randint(1, 4)):
                changed[random.randrange(4, len(changed))] = random.randrange(256)
            return bytes(changed)


def spliced(random: Random) -> list[bytes]:
    """Make one stream, as it is read: in pieces of any size."""
    parts = []
    for _ in range(random.randint(1, 12)):
        kind = random.randrange(8)
        whole = _whole(random)
        if kind < 5:
            parts.append(whole)
        elif kind < 7:
            parts.append(_bent(random, whole))
        else:
            parts.append(random.randbytes(random.randrange(40)))
    stream = b"".join(parts)
    cuts = sorted(random.randrange(len(stream) + 1) for _ in range(random.randrange(6)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def feed(pieces: list[bytes]) -> str | None:
    """Give a stream to a session that is bound and waits for answers.

    Args:
        pieces: what is read, in order.

    Returns:
        Why the session ended, or None.

    Raises:
        AssertionError: something else came of it than events or an end.
    """
    session = Session(Bind("syndic", "secret08"), Timers(30.0, 10.0), WINDOW)
    session.bind(0.0)
    session.receive(pdu.encode("bind_transceiver_resp", 1, system_id="SMSC"), 0.0)
    batch = [Submit(one, 0, 1, _TEMPLATE, "33600000001", 0) for one in range(WINDOW)]
    session.submit(batch, 0.0)
    owed, answered, ended = WINDOW, 0, None
    for now, piece in enumerate(pieces):
        for received in (session.receive(piece, float(now)), session.tick(float(now))):
            _check(received)
            if ended is not None:
                assert received == Received()
            ended = ended or received.closed
            answered += len(received.answers) + len(received.late)
            session.settle(len(received.answers) + len(received.late))
            session.acknowledge([(one.sequence, 0) for one in received.deliveries])
        assert session.closed is (ended is not None)
        assert len(session.pending) <= pdu.COMMAND_OCTETS_LIMIT
        assert session.outstanding == owed - answered
        assert 0 <= session.free_slots <= WINDOW - session.outstanding
    assert len(session.lose()) == owed - answered
    return ended


def _check(received: Received) -> None:
    """Hold what a session says to what it may say, and give it to whoever reads it next."""
    for answer in received.answers + received.late:
        assert 0 <= answer.command_status <= 0xFFFFFFFF
        assert isinstance(answer.smsc_message_id, str)
    for _, _, _, esm_class, data_coding, octets, tlvs in received.deliveries:
        for any_esm_class in (False, True):
            parse_receipt(
                octets,
                esm_class=esm_class,
                data_coding=data_coding,
                tlvs=tlvs,
                any_esm_class=any_esm_class,
            )
        part = parse_part(octets, esm_class, tlvs)
        assert 1 <= part.numbering.number <= part.numbering.total <= 255
        for alphabet in _ALPHABETS:
            decode_text(part.octets, data_coding, alphabet, part.header_octets)
    for _ in describe("sent", received.write, masked=True, decode_text=lambda text, _: repr(text)):
        pass
    walk = pdu.walk(received.write)
    assert (walk.consumed, walk.broken) == (len(received.write), None)
    assert received.closed != ""


def main(seconds: float) -> int:
    """Feed streams until time is up; returns 1 where memory has grown."""
    random, executions, ends = Random(0), 0, 0
    began = time.monotonic()
    warm_at, end = began + seconds / 10, began + seconds
    warm = 0
    while (now := time.monotonic()) < end:
        if not warm and now >= warm_at:
            gc.collect()
            warm = sys.getallocatedblocks()
            warm_octets = _resident_octets()
        for _ in range(1000):
            ends += feed(spliced(random)) is not None
        executions += 1000
    gc.collect()
    blocks, grown = sys.getallocatedblocks() - warm, _resident_octets() - warm_octets
    print(
        f"{executions} streams in {seconds:g} s, {ends} of them ended their session: events or an "
        f"end, and nothing else. Memory: {grown / 1e6:+.1f} MB, {blocks:+d} blocks since the first "
        f"tenth; {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB at most."
    )
    return int(blocks > 10_000 or grown > 10e6)


def _resident_octets() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
