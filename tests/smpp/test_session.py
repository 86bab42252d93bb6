"""One session, by octets and by ticks: plain numbers, no waiting."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw.errors import LocalProtocolError
from smppgw.smpp import pdu
from smppgw.smpp.pdu import Addresses, SubmitTemplate
from smppgw.smpp.session import TRANSITIONS, Bind, Session, State, Submit, Timers, Trigger

BIND = Bind("syndic", "secret08")
TIMERS = Timers(enquire_link_s=30.0, response_timeout_s=10.0)
TEMPLATE = SubmitTemplate(
    Addresses("STMARTIN", 5, 0, 1, 1), b"Essai", data_coding=0, registered_delivery=1
)


def submits(*segment_ids: int) -> list[Submit]:
    return [Submit(one, 0, 1, TEMPLATE, "33600000001", 0) for one in segment_ids]


def opened(window: int = 10) -> Session:
    session = Session(BIND, TIMERS, window)
    session.bind(0.0)
    return session


def bound(window: int = 10) -> Session:
    session = opened(window)
    received = session.receive(pdu.encode("bind_transceiver_resp", 1, system_id="SMSC"), 0.0)
    assert received.bind_status == 0
    return session


def response(sequence: int, status: int = 0, message_id: str = "1") -> bytes:
    return pdu.encode("submit_sm_resp", sequence, status, message_id=message_id)


def deliver(sequence: int) -> bytes:
    return pdu.encode(
        "deliver_sm",
        sequence,
        source_addr="33600000001",
        destination_addr="STMARTIN",
        esm_class=4,
        short_message=b"id:1 stat:DELIVRD",
    )


def commands(octets: bytes) -> list[str | None]:
    names = []
    while octets:
        length = struct.unpack_from(">I", octets)[0]
        names.append(pdu.decode(octets[:length]).command)
        octets = octets[length:]
    return names


def sequences(octets: bytes) -> list[int]:
    found = []
    while octets:
        length, _, _, sequence = struct.unpack_from(">IIII", octets)
        found.append(sequence)
        octets = octets[length:]
    return found


def test_the_bind_carries_the_credentials_and_nothing_shows_the_password() -> None:
    octets = Session(BIND, TIMERS, 1).bind(0.0)
    assert b"syndic\0secret08\0" in octets
    assert "secret08" not in repr(BIND)


def test_nothing_may_be_submitted_before_the_bind_is_accepted() -> None:
    session = opened()
    assert session.free_slots == 0
    with pytest.raises(LocalProtocolError):
        session.submit(submits(1), 0.0)


def test_a_refused_bind_ends_the_session_and_tells_the_status() -> None:
    session = opened()
    received = session.receive(pdu.encode("bind_transceiver_resp", 1, 0x0E), 0.0)
    assert received.bind_status == 0x0E
    assert received.closed is not None
    assert session.closed


def test_a_generic_nack_may_refuse_the_bind() -> None:
    received = opened().receive(pdu.encode("generic_nack", 1, 0x03), 0.0)
    assert (received.bind_status, received.closed is not None) == (0x03, True)


def test_the_bind_response_and_the_first_deliver_sm_may_come_in_one_read() -> None:
    session = opened()
    received = session.receive(pdu.encode("bind_transceiver_resp", 1) + deliver(1), 0.0)
    assert received.bind_status == 0
    assert [delivery.sequence for delivery in received.deliveries] == [1]


def test_never_more_requests_than_the_window_are_unanswered() -> None:
    session = bound(window=3)
    session.submit(submits(1, 2, 3), 0.0)
    assert session.free_slots == 0
    with pytest.raises(LocalProtocolError):
        session.submit(submits(4), 0.0)
    assert session.outstanding == 3


def test_a_slot_is_free_only_when_the_outcome_is_on_disk() -> None:
    session = bound(window=1)
    session.submit(submits(1), 0.0)
    received = session.receive(response(2), 0.1)
    assert [answer.request.segment_id for answer in received.answers] == [1]
    assert session.free_slots == 0
    session.settle(1)
    assert session.free_slots == 1


def test_answers_in_any_order_find_their_requests() -> None:
    session = bound()
    session.submit(submits(11, 12, 13), 0.0)
    received = session.receive(response(4) + response(2, 0x58) + response(3), 0.1)
    assert [(a.request.segment_id, a.command_status) for a in received.answers] == [
        (13, 0),
        (11, 0x58),
        (12, 0),
    ]


def test_an_answer_that_nobody_waits_for_is_ignored() -> None:
    session = bound()
    session.submit(submits(1), 0.0)
    assert session.receive(response(77) + response(2) + response(2), 0.1).answers[1:] == []
    assert session.outstanding == 0


def test_a_generic_nack_ends_the_request_whose_sequence_it_names() -> None:
    session = bound()
    session.submit(submits(1, 2), 0.0)
    nacks = pdu.encode("generic_nack", 3, 0x02) + pdu.encode("generic_nack", 99, 0x02)
    received = session.receive(nacks, 0.1)
    assert [(a.request.segment_id, a.command_status) for a in received.answers] == [(2, 0x02)]
    assert session.outstanding == 1


def test_a_request_without_answer_is_told_once_and_keeps_its_slot() -> None:
    session = bound(window=2)
    session.submit(submits(1), 0.0)
    assert session.tick(9.9).overdue == []
    assert [request.segment_id for request in session.tick(10.0).overdue] == [1]
    assert session.tick(11.0).overdue == []
    assert session.free_slots == 1


def test_a_late_answer_is_told_as_such_and_gives_the_slot_back() -> None:
    session = bound(window=2)
    session.submit(submits(1), 0.0)
    session.tick(10.0)
    received = session.receive(response(2, message_id="77"), 60.0)
    assert [answer.smsc_message_id for answer in received.late] == ["77"]
    assert received.answers == []
    assert session.outstanding == 0


def test_late_answers_halve_the_window_and_answers_in_time_give_it_back() -> None:
    session = bound(window=8)
    session.submit(submits(1), 0.0)
    session.tick(10.0)
    assert session.window == 4
    assert session.free_slots == 4  # of the eight, the overdue one still holds its own
    session.submit(submits(2, 3, 4, 5), 10.0)
    session.receive(b"".join(response(sequence) for sequence in (3, 4, 5, 6)), 10.1)
    session.settle(4)
    assert session.window == 5
    for _ in range(10):
        octets = session.submit(submits(*range(session.free_slots)), 10.2)
        answers = session.receive(b"".join(map(response, sequences(octets))), 10.3).answers
        session.settle(len(answers))
    assert session.window == 8
    assert session.free_slots == 7


def test_the_time_out_follows_the_latency_so_that_slow_is_not_taken_for_silent() -> None:
    session = bound(window=1)
    now = 0.0
    for sequence in range(2, 30):
        session.submit(submits(1), now)
        now += 9.0
        session.receive(response(sequence), now)
        session.settle(1)
    session.submit(submits(1), now)
    assert session.tick(now + 30.0).overdue == []
    assert len(session.tick(now + 40.0).overdue) == 1


def test_a_window_of_which_nothing_is_answered_ends_the_session() -> None:
    session = bound(window=2)
    session.submit(submits(1, 2), 0.0)
    assert session.tick(10.0).closed is None
    assert session.tick(14.9).closed is None
    assert session.tick(15.0).closed is not None
    assert [request.segment_id for request in session.lose()] == [1, 2]


def test_an_smsc_slower_than_the_time_out_from_the_first_is_waited_for_and_learned() -> None:
    session = bound(window=4)
    now, sequence = 0.0, 1  # of the bind
    for _ in range(6):
        sent = session.free_slots
        session.submit(submits(*range(sent)), now)
        assert session.tick(now + 11.9).closed is None
        now += 12.0
        for _ in range(sent):
            sequence += 1
            received = session.receive(response(sequence), now)
            session.settle(len(received.answers) + len(received.late))
    assert session.response_timeout_s > 12.0
    session.submit(submits(1), now)
    assert session.tick(now + 12.0).overdue == []


def test_a_lost_connection_hands_back_every_request_once() -> None:
    session = bound()
    session.submit(submits(1, 2, 3), 0.0)
    session.receive(response(3), 0.1)
    assert [request.segment_id for request in session.lose()] == [1, 3]
    assert session.lose() == []
    assert session.free_slots == 0


def test_silence_is_broken_by_enquire_link_and_ends_the_session_when_unanswered() -> None:
    session = bound()
    assert session.tick(29.9).write == b""
    assert commands(session.tick(30.0).write) == ["enquire_link"]
    assert session.tick(39.9).closed is None
    assert session.tick(40.0).closed is not None


def test_an_answered_enquire_link_starts_the_silence_anew() -> None:
    session = bound()
    asked = session.tick(30.0).write
    sequence = pdu.decode(asked).sequence
    session.receive(pdu.encode("enquire_link_resp", sequence), 31.0)
    assert session.tick(60.9).write == b""
    assert commands(session.tick(61.0).write) == ["enquire_link"]


def test_the_smscs_enquire_link_is_answered_with_its_sequence() -> None:
    write = bound().receive(pdu.encode("enquire_link", 0xFFFFFFFF), 0.1).write
    assert (commands(write), pdu.decode(write).sequence) == (["enquire_link_resp"], 0xFFFFFFFF)


def test_the_smscs_unbind_is_answered_at_once_when_nothing_is_owed() -> None:
    session = bound()
    assert session.receive(pdu.encode("unbind", 9), 0.1).closed is None
    left = session.tick(0.1)
    assert (commands(left.write), pdu.decode(left.write).sequence) == (["unbind_resp"], 9)
    assert left.closed is not None


def test_the_smscs_unbind_waits_for_the_answers_and_receipts_that_are_owed() -> None:
    session = bound()
    session.submit(submits(1, 2), 0.0)
    received = session.receive(response(2) + deliver(5) + pdu.encode("unbind", 9), 0.1)
    assert (received.write, received.closed) == (b"", None)
    assert session.free_slots == 0
    assert session.tick(0.2).closed is None
    assert len(session.receive(response(3), 0.3).answers) == 1
    session.settle(2)
    assert session.tick(0.4).closed is None  # the receipt is not acknowledged yet
    session.acknowledge([(5, 0)])
    assert commands(session.tick(0.5).write) == ["unbind_resp"]
    assert session.closed
    assert session.lose() == []


def test_the_smscs_unbind_does_not_wait_for_ever() -> None:
    session = bound()
    session.submit(submits(1, 2), 0.0)
    session.receive(response(2) + pdu.encode("unbind", 9), 0.1)
    assert session.tick(2.0).closed is None
    left = session.tick(2.2)
    assert commands(left.write) == ["unbind_resp"]
    assert [request.segment_id for request in session.lose()] == [2]


def test_an_unbind_of_both_sides_at_once_ends_with_either_answer() -> None:
    session = bound()
    session.unbind(0.0)
    session.receive(pdu.encode("unbind", 9), 0.1)
    assert session.receive(pdu.encode("unbind_resp", 2), 0.2).closed is not None


@pytest.mark.parametrize("kind", ["transceiver", "transmitter", "receiver"])
def test_each_kind_of_bind_is_asked_for_and_accepted(kind: str) -> None:
    session = Session(Bind("syndic", "secret08", kind=kind), TIMERS, 10)
    assert commands(session.bind(0.0)) == [f"bind_{kind}"]
    session.receive(pdu.encode(f"bind_{kind}_resp", 1), 0.0)
    assert session.free_slots == (0 if kind == "receiver" else 10)


def test_a_receipt_in_a_data_sm_is_told_and_answered_as_one() -> None:
    session = bound()
    body = b"\0\1\133600000001\0\5\0STMARTIN\0\4\0\0\4\x24\0\4id:1"
    octets = struct.pack(">IIII", 16 + len(body), 0x00000103, 0, 5) + body
    received = session.receive(octets + deliver(6), 0.1)
    assert {d.sequence: d.short_message for d in received.deliveries}[5] == b"id:1"
    answers = session.acknowledge([(5, 0), (6, 0)])
    assert sorted(filter(None, commands(answers))) == ["data_sm_resp", "deliver_sm_resp"]


@pytest.mark.parametrize("size", range(16))
def test_a_data_sm_that_is_cut_short_is_refused_and_the_session_lives(size: int) -> None:
    session = bound()
    body = (b"\0\1\133600000001\0\5\0")[:size]
    received = session.receive(struct.pack(">IIII", 16 + size, 0x00000103, 0, 5) + body, 0.1)
    assert received.unreadable == 1
    assert commands(received.write) == ["data_sm_resp"]


def test_answers_and_receipts_still_count_while_we_unbind() -> None:
    session = bound()
    session.submit(submits(1), 0.0)
    assert commands(session.unbind(0.0)) == ["unbind"]
    received = session.receive(response(2) + deliver(5) + pdu.encode("unbind_resp", 3), 0.1)
    assert len(received.answers) == len(received.deliveries) == 1
    assert received.closed == "unbound"


def test_an_unbind_that_is_not_answered_ends_all_the_same() -> None:
    session = bound()
    session.unbind(0.0)
    assert session.tick(10.0).closed is not None


def test_only_its_own_answer_ends_the_wait_for_a_bind_or_an_unbind() -> None:
    binding, unbinding = opened(), bound()
    unbinding.unbind(0.0)
    binding.receive(pdu.encode("enquire_link_resp", 1), 0.1)
    for command in ("generic_nack", "enquire_link_resp"):
        assert unbinding.receive(pdu.encode(command, 2), 0.1).closed is None
    for session in (binding, unbinding):
        assert session.tick(1000.0).closed is not None


def test_an_enquire_link_that_is_open_does_not_cut_the_wait_for_unbind_resp_short() -> None:
    session = bound()
    asked = session.tick(session.deadline or 0.0)
    assert commands(asked.write) == ["enquire_link"]
    began = (session.deadline or 0.0) - 0.1
    session.unbind(began)
    assert session.tick(began + 0.2).closed is None


def test_a_deliver_sm_is_answered_only_when_asked_to() -> None:
    session = bound()
    received = session.receive(deliver(5) + deliver(6), 0.1)
    assert received.write == b""
    assert commands(session.acknowledge([(5, 0), (6, 0)])) == ["deliver_sm_resp"] * 2


def test_a_deliver_sm_that_nobody_can_read_is_refused_and_the_session_lives() -> None:
    session = bound()
    broken = struct.pack(">IIII", 20, pdu.DELIVER_SM, 0, 5) + b"\0\0\0x"
    received = session.receive(broken + deliver(6), 0.1)
    assert received.unreadable == 1
    assert [delivery.sequence for delivery in received.deliveries] == [6]
    answer = pdu.decode(received.write)
    assert (answer.command, answer.sequence, answer.status) == ("deliver_sm_resp", 5, 0x66)


def test_an_unknown_request_gets_a_generic_nack_and_the_session_lives() -> None:
    session = bound()
    received = session.receive(struct.pack(">IIII", 16, 0x0000BEEF, 0, 5), 0.1)
    nack = pdu.decode(received.write)
    assert (nack.command_id, nack.status, nack.sequence) == (pdu.GENERIC_NACK, 0x03, 5)
    assert not session.closed


def test_a_command_length_that_cannot_be_ends_the_session_without_waiting_for_more() -> None:
    session = bound()
    received = session.receive(struct.pack(">IIII", 0xFFFFFFFF, 5, 0, 1), 0.1)
    assert received.closed is not None
    assert session.receive(b"x" * 1000, 0.2).closed is None


def test_sequence_numbers_start_over_at_one_and_never_reach_the_reserved_half() -> None:
    session = bound()
    session._sequence = pdu.SEQUENCE_LIMIT - 1
    octets = session.submit(submits(1, 2), 0.0)
    length = len(octets) // 2
    assert [pdu.decode(octets[:length]).sequence, pdu.decode(octets[length:]).sequence] == [
        pdu.SEQUENCE_LIMIT,
        1,
    ]


@given(st.lists(st.integers(0, 700), max_size=8))
def test_any_split_of_a_stream_says_the_same(cuts: list[int]) -> None:
    stream = b"".join(
        [response(2), deliver(1), pdu.encode("enquire_link", 7), response(3, 0x58), deliver(2)]
    )
    whole, pieces = bound(), bound()
    for session in (whole, pieces):
        session.submit(submits(1, 2, 3), 0.0)
    expected = whole.receive(stream, 0.1)
    edges = [0, *sorted(cut % len(stream) for cut in cuts), len(stream)]
    got = [pieces.receive(stream[start:end], 0.1) for start, end in itertools.pairwise(edges)]
    assert [a for one in got for a in one.answers] == expected.answers
    assert [d for one in got for d in one.deliveries] == expected.deliveries
    assert b"".join(one.write for one in got) == expected.write


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_random_octets_are_events_and_never_an_exception(chunks: list[bytes]) -> None:
    session = bound()
    session.submit(submits(1, 2, 3), 0.0)
    for number, chunk in enumerate(chunks):
        session.receive(chunk, float(number))
        session.tick(float(number))
    assert len(session._buffer) <= pdu.COMMAND_OCTETS_LIMIT


def test_every_state_can_end_and_nothing_leaves_the_end() -> None:
    for state in State:
        if state is not State.CLOSED:
            assert TRANSITIONS[state, Trigger.LOST] is State.CLOSED
    assert not [start for start, _ in TRANSITIONS if start is State.CLOSED]


def test_what_is_encoded_is_sent_later_under_numbers_that_nobody_else_has() -> None:
    session = bound()
    batch = submits(1, 2)
    encoded = session.encode(batch)
    session.encode(submits(3))  # and never sent
    asked = sequences(session.tick(1000.0).write)
    octets = session.submit(batch, 1000.0, encoded)
    later = session.submit(submits(4), 1000.0)
    sent = [*sequences(octets), *sequences(later)]
    assert asked
    assert len({*asked, *sent}) == len(asked) + 3
    answered = session.receive(b"".join(response(number) for number in sent), 1000.1)
    assert [answer.request.segment_id for answer in answered.answers] == [1, 2, 4]
