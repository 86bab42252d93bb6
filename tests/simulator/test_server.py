"""The simulator on real sockets, spoken to by an ESME that shares none of its code."""

import asyncio
import io
import json
import ssl
import struct
from pathlib import Path
from typing import Any

import pytest
import smpp34
import smpplib.client

from smppgw.errors import InputError, OperationError
from smppgw.simulator import Behaviour, Simulator
from smppgw.simulator.server import WAITING_CHUNK
from smppgw.simulator.session import WRITE_HIGH_WATER_OCTETS

from . import esme
from .esme import (
    ENQUIRE_LINK,
    RECEIVER,
    RESPONSE,
    SUBMIT_SM,
    TRANSCEIVER,
    TRANSMITTER,
    UNBIND,
    Esme,
    acknowledge,
    answered_id,
    pdu,
    receipt_id,
    run,
    submit,
)
from .wire import Wire

THROTTLED = 0x58
SHORT_S = 0.05  # a delay that a test can watch passing


class TestBind:
    """SMPP 3.4 issue 1.2, 4.1."""

    @pytest.mark.parametrize("kind", [TRANSMITTER, RECEIVER, TRANSCEIVER])
    def test_every_kind_of_bind_is_answered_with_the_system_id_and_the_version(
        self, kind: int
    ) -> None:
        async def scenario() -> None:
            async with Simulator(Behaviour()) as smsc:
                peer = await Esme.connect(smsc.port)
                response = await peer.ask(esme.bind(kind, 5))
                assert response.command_id == kind | RESPONSE
                assert (response.command_status, response.sequence_number) == (0, 5)
                assert response.body == b"syndic\0\x02\x10\0\x01\x34"
                assert (smsc.counts.binds, smsc.counts.bound) == (1, 1)
                await peer.close()
                await smsc.wait_for(lambda counts: not counts.bound)

        run(scenario())

    def test_a_wrong_name_or_password_is_refused_and_may_be_put_right(self) -> None:
        async def scenario() -> None:
            async with Simulator(Behaviour(system_id="syndic", password="secret08")) as smsc:
                peer = await Esme.connect(smsc.port)
                for wrong, status in (
                    (esme.bind(TRANSCEIVER, system_id="x"), 0x0F),
                    (esme.bind(TRANSCEIVER, password="x"), 0x0E),
                ):
                    response = await peer.ask(wrong)
                    assert (response.command_status, response.body) == (status, b"")
                assert (await peer.ask(submit(2))).command_status == 0x04
                assert (await peer.ask(esme.bind(TRANSCEIVER))).command_status == 0
                assert (smsc.counts.binds_refused, smsc.counts.binds) == (2, 1)
                await peer.close()

        run(scenario())

    def test_a_second_bind_on_one_connection_is_refused(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                peer = await Esme.bound(smsc.port)
                assert (await peer.ask(esme.bind(RECEIVER))).command_status == 0x05
                assert (await peer.ask(submit(2, registered_delivery=0))).command_status == 0
                await peer.close()

        run(scenario())

    def test_an_unbind_is_answered_and_the_connection_closed(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                peer = await Esme.bound(smsc.port)
                response = await peer.ask(pdu(UNBIND, 9))
                assert response.command_id == UNBIND | RESPONSE
                assert (response.command_status, response.sequence_number) == (0, 9)
                assert await peer.ends()

        run(scenario())

    def test_enquire_link_is_answered_before_and_after_a_bind(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                peer = await Esme.connect(smsc.port)
                for request in (pdu(ENQUIRE_LINK, 3), esme.bind(TRANSMITTER), pdu(ENQUIRE_LINK, 4)):
                    response = await peer.ask(request)
                    assert response.command_status == 0
                assert response.command_id == ENQUIRE_LINK | RESPONSE
                assert response.sequence_number == 4
                await peer.close()

        run(scenario())


class TestSubmit:
    """SMPP 3.4 issue 1.2, 4.4."""

    def test_a_submit_is_answered_with_an_id_and_then_reported_under_that_id(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                peer = await Esme.bound(smsc.port)
                response = await peer.ask(submit(7))
                assert response.command_id == SUBMIT_SM | RESPONSE
                assert (response.command_status, response.sequence_number) == (0, 7)
                receipt = await peer.delivery()
                assert receipt_id(receipt) == answered_id(response)
                assert (receipt.source_addr, receipt.destination_addr) == (
                    "33612345678",
                    "STMARTIN",
                )
                assert (receipt.esm_class, receipt.tlvs) == (4, [])
                peer.write(acknowledge(receipt))
                await smsc.wait_for(lambda counts: counts.receipts_acknowledged == 1)
                await peer.close()

        run(scenario())

    def test_what_one_read_causes_leaves_in_one_write(self) -> None:
        async def scenario() -> None:
            async with Simulator(Behaviour(outcomes={"DELIVRD": 1, "UNDELIV": 1})) as smsc:
                wire = Wire(smsc)
                link = pdu(ENQUIRE_LINK, 9)
                wire.read(esme.bind(TRANSCEIVER), *map(submit, range(100)), link, submit(100))
                assert len(wire.writes) == 1
                wire.read(pdu(UNBIND, 10))
                assert len(wire.writes) == 2

        run(scenario())

    def test_a_stream_cut_at_every_octet_is_answered_like_a_glued_one(self) -> None:
        stream = b"".join(
            [esme.bind(TRANSCEIVER), submit(2), pdu(0x77, 3), submit(4), pdu(UNBIND, 5)]
        )

        async def answers(pieces: list[bytes]) -> list[bytes]:
            async with Simulator(Behaviour(seed=7)) as smsc:
                wire = Wire(smsc)
                for piece in pieces:
                    wire.read(piece)
            headers = [pdu[:16] for pdu in wire.pdus()]
            assert len(headers) == 7
            return sorted(headers)

        async def scenario() -> None:
            assert await answers([stream]) == await answers([bytes((octet,)) for octet in stream])

        run(scenario())

    @pytest.mark.parametrize("kind", [None, RECEIVER])
    def test_a_session_that_may_not_submit_is_told_so(self, kind: int | None) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                peer = await (Esme.bound(smsc.port, kind) if kind else Esme.connect(smsc.port))
                response = await peer.ask(submit(7))
                assert response.command_id == SUBMIT_SM | RESPONSE
                assert (response.command_status, response.sequence_number) == (0x04, 7)
                assert (smsc.counts.submits, smsc.counts.refused) == (1, 1)
                await peer.close()

        run(scenario())

    def test_the_last_submits_before_an_unbind_in_the_same_read_are_answered(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(submit(2, registered_delivery=0), pdu(UNBIND, 3), submit(4))
                assert (await peer.response()).sequence_number == 2
                assert (await peer.response()).command_id == UNBIND | RESPONSE
                assert await peer.ends()
                assert smsc.counts.submits == 1

        run(scenario())

    def test_early_receipts_come_before_their_responses_whatever_the_receipt_delay(self) -> None:
        async def scenario() -> None:
            behaviour = Behaviour(early_receipts=True, receipt_delay_s=3600)
            async with Simulator(behaviour) as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(submit(2), submit(3))
                receipts = [await peer.delivery(), await peer.delivery()]
                responses = [await peer.response(), await peer.response()]
                assert list(map(receipt_id, receipts)) == list(map(answered_id, responses))
                await peer.close()

        run(scenario())

    def test_hex_in_the_response_is_decimal_in_the_receipt(self) -> None:
        async def scenario() -> None:
            async with Simulator(Behaviour(ids="hex-then-decimal")) as smsc:
                peer = await Esme.bound(smsc.port)
                response = await peer.ask(submit(2))
                receipt = await peer.delivery()
                assert int(answered_id(response), 16) == int(receipt_id(receipt))
                await peer.close()

        run(scenario())

    def test_the_tally_adds_up(self) -> None:
        async def scenario() -> None:
            behaviour = Behaviour(
                outcomes={"DELIVRD": 70, "UNDELIV": 30}, throughput=50, window=60, seed=7
            )
            async with Simulator(behaviour) as smsc:
                peer = await Esme.bound(smsc.port)
                cut_short = pdu(SUBMIT_SM, 2, 0, b"\0")
                peer.write(*map(submit, range(3, 73)), cut_short, pdu(ENQUIRE_LINK, 99))
                answers = [await peer.read() for _ in range(70 + 50 + 1 + 1)]
                assert answers[-1].sequence_number == 99
                counts = smsc.counts
                assert (counts.submits, counts.accepted, counts.throttled) == (71, 50, 20)
                assert (counts.window_violations, counts.refused) == (10, 1)
                assert counts.receipts_sent == 50 == counts.outcomes.total()
                assert set(counts.outcomes) == {"DELIVRD", "UNDELIV"}
                await peer.close()

        run(scenario())


class TestTime:
    """Delays and limits."""

    def test_a_response_takes_its_latency_and_a_receipt_its_delay_after_it(self) -> None:
        async def scenario() -> None:
            behaviour = Behaviour(latency_s=SHORT_S, receipt_delay_s=2 * SHORT_S)
            async with Simulator(behaviour) as smsc:
                clock = asyncio.get_running_loop().time
                peer = await Esme.bound(smsc.port)
                started = clock()
                peer.write(submit(2), submit(3), pdu(ENQUIRE_LINK, 4))
                order = [(await peer.read()).command_id & 0xFF]
                order += [(await peer.read()).command_id & 0xFF for _ in range(2)]
                answered = clock()
                order += [(await peer.read()).command_id for _ in range(2)]
                assert order == [ENQUIRE_LINK, SUBMIT_SM, SUBMIT_SM, 5, 5]
                assert answered - started >= SHORT_S
                assert clock() - started >= 3 * SHORT_S
                await peer.close()

        run(scenario())

    def test_a_later_short_delay_is_not_held_up_by_an_earlier_long_one(self) -> None:
        async def scenario() -> None:
            behaviour = Behaviour(receipt_delay_s=3600, latency_s=SHORT_S)
            async with Simulator(behaviour) as smsc:
                peer = await Esme.bound(smsc.port)
                for sequence in (2, 3):  # when the second comes, the first one's receipt waits
                    assert (await peer.ask(submit(sequence))).sequence_number == sequence
                await peer.close()

        run(scenario())

    def test_what_exceeds_the_throughput_of_the_account_is_throttled_on_any_bind(self) -> None:
        async def scenario() -> None:
            async with Simulator(Behaviour(throughput=2)) as smsc:
                first, second = await Esme.bound(smsc.port), await Esme.bound(smsc.port)
                other = await Esme.bound(smsc.port, system_id="other")
                statuses = [
                    (await peer.ask(submit(n, registered_delivery=0))).command_status
                    for n, peer in enumerate((first, second, first, second, other), 2)
                ]
                assert statuses == [0, 0, THROTTLED, THROTTLED, 0]
                assert (smsc.counts.throttled, smsc.counts.window_violations) == (2, 0)
                for peer in (first, second, other):
                    await peer.close()

        run(scenario())

    def test_more_than_the_window_is_throttled_until_answers_make_room(self) -> None:
        async def scenario() -> None:
            async with Simulator(Behaviour(window=2, latency_s=SHORT_S)) as smsc:
                wire = Wire(smsc)
                wire.read(esme.bind(TRANSMITTER))
                for _ in range(2):
                    wire.writes.clear()
                    wire.read(submit(2), submit(3))
                    wire.read(submit(4))
                    await smsc.wait_for(lambda _: len(wire.pdus()) == 3)
                    statuses = [struct.unpack_from(">II", each, 8) for each in wire.pdus()]
                    assert statuses == [(0, 2), (0, 3), (THROTTLED, 4)]
                assert (smsc.counts.window_violations, smsc.counts.throttled) == (2, 2)
                wire.close()

        run(scenario())

    def test_each_bind_has_its_own_window(self) -> None:
        async def scenario() -> None:
            async with Simulator(Behaviour(window=1, latency_s=SHORT_S)) as smsc:
                peers = [await Esme.bound(smsc.port) for _ in range(2)]
                for peer in peers:
                    peer.write(submit(2, registered_delivery=0))
                for peer in peers:
                    assert (await peer.response()).command_status == 0
                    await peer.close()

        run(scenario())

    def test_a_peer_that_does_not_read_is_not_read_and_loses_nothing(self) -> None:
        count = 60_000

        async def scenario() -> None:
            async with Simulator() as smsc:
                peer = await Esme.bound(smsc.port)
                [session] = smsc._sessions
                peer.write(*map(submit, range(2, count + 2)))
                await smsc.wait_for(lambda _: session.is_choked)
                assert smsc.counts.submits < count
                written = session._transport.get_write_buffer_size()
                assert WRITE_HIGH_WATER_OCTETS < written < 2 * WRITE_HIGH_WATER_OCTETS
                kinds = [(await peer.read()).command_id & 0xFF for _ in range(2 * count)]
                assert (kinds.count(SUBMIT_SM), kinds.count(5)) == (count, count)
                await peer.close()

        run(scenario())


class TestReceiptsAreOwed:
    """Until they are acknowledged, and to whom."""

    def test_the_session_that_submitted_gets_the_receipt_if_it_may_receive(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                peers = [await Esme.bound(smsc.port) for _ in range(3)]
                response = await peers[1].ask(submit(2))
                assert receipt_id(await peers[1].delivery()) == answered_id(response)
                assert await peers[0].receives_nothing()
                for peer in peers:
                    await peer.close()

        run(scenario())

    def test_a_transmitter_s_receipts_go_to_a_receiver_of_the_same_account(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                stranger = await Esme.bound(smsc.port, TRANSCEIVER, "other")
                transmitter = await Esme.bound(smsc.port, TRANSMITTER)
                receiver = await Esme.bound(smsc.port, RECEIVER)
                response = await transmitter.ask(submit(2))
                assert receipt_id(await receiver.delivery()) == answered_id(response)
                assert await stranger.receives_nothing()
                assert await transmitter.receives_nothing()
                for peer in (stranger, transmitter, receiver):
                    await peer.close()

        run(scenario())

    def test_receipts_wait_for_a_bind_that_may_receive_them(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                transmitter = await Esme.bound(smsc.port, TRANSMITTER)
                ids = [answered_id(await transmitter.ask(submit(n))) for n in (2, 3, 4)]
                stranger = await Esme.bound(smsc.port, RECEIVER, "other")
                receiver = await Esme.bound(smsc.port, RECEIVER)
                assert [receipt_id(await receiver.delivery()) for _ in ids] == ids
                assert await stranger.receives_nothing()
                for peer in (transmitter, stranger, receiver):
                    await peer.close()

        run(scenario())

    def test_many_that_wait_all_come_in_order(self) -> None:
        async def scenario() -> None:
            count = 2 * WAITING_CHUNK + 7
            async with Simulator() as smsc:
                transmitter = await Esme.bound(smsc.port, TRANSMITTER)
                transmitter.write(*map(submit, range(2, count + 2)))
                ids = [answered_id(await transmitter.response()) for _ in range(count)]
                receiver = await Esme.bound(smsc.port, RECEIVER)
                receipts = [await receiver.delivery() for _ in range(count)]
                assert list(map(receipt_id, receipts)) == ids
                assert len({receipt.sequence_number for receipt in receipts}) == count
                await transmitter.close()
                await receiver.close()

        run(scenario())

    def test_unacknowledged_receipts_are_sent_again_on_the_next_bind_before_later_ones(
        self,
    ) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(submit(2), submit(3), submit(4))
                receipts = [await peer.read() for _ in range(6)][3:]
                assert isinstance(receipts[1], smpp34.DeliverSm)
                peer.write(acknowledge(receipts[1]))
                await smsc.wait_for(lambda counts: counts.receipts_acknowledged == 1)
                await peer.close()
                await smsc.wait_for(lambda counts: not counts.bound)
                transmitter = await Esme.bound(smsc.port, TRANSMITTER)
                later = answered_id(await transmitter.ask(submit(5)))
                again = await Esme.bound(smsc.port)
                expected = [receipt_id(r) for r in receipts if isinstance(r, smpp34.DeliverSm)]
                expected = [expected[0], expected[2], later]
                assert [receipt_id(await again.delivery()) for _ in expected] == expected
                assert smsc.counts.receipts_sent == 6
                await transmitter.close()
                await again.close()

        run(scenario())

    def test_what_a_lost_session_held_goes_to_another_that_is_bound(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                other, peer = await Esme.bound(smsc.port), await Esme.bound(smsc.port)
                response = await peer.ask(submit(2))
                await peer.delivery()
                await peer.close()
                assert receipt_id(await other.delivery()) == answered_id(response)
                await other.close()

        run(scenario())

    def test_a_receipt_whose_submitter_left_meanwhile_is_kept(self) -> None:
        async def scenario() -> None:
            async with Simulator(Behaviour(latency_s=SHORT_S, receipt_delay_s=SHORT_S)) as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(submit(2))
                await smsc.wait_for(lambda counts: counts.accepted == 1)
                await peer.close()
                await smsc.wait_for(lambda counts: not counts.bound)
                again = await Esme.bound(smsc.port)
                assert "stat:DELIVRD" in (await again.delivery()).short_message.decode()
                await again.close()

        run(scenario())

    @pytest.mark.parametrize("with_nack", [False, True])
    def test_a_receipt_that_is_refused_comes_again_later(self, with_nack: bool) -> None:
        async def scenario() -> None:
            async with Simulator(Behaviour(retry_delay_s=SHORT_S)) as smsc:
                clock = asyncio.get_running_loop().time
                peer = await Esme.bound(smsc.port)
                await peer.ask(submit(2))
                receipt = await peer.delivery()
                started = clock()
                if with_nack:
                    peer.write(pdu(0x80000000, receipt.sequence_number, 0x03))
                else:
                    peer.write(acknowledge(receipt, 0x14))
                again = await peer.delivery()
                assert clock() - started >= SHORT_S
                assert receipt_id(again) == receipt_id(receipt)
                assert again.sequence_number != receipt.sequence_number
                peer.write(acknowledge(again))
                await smsc.wait_for(lambda counts: counts.receipts_acknowledged == 1)
                assert (smsc.counts.receipts_refused, smsc.counts.receipts_sent) == (1, 2)
                await peer.close()

        run(scenario())

    def test_an_answer_to_nothing_counts_for_nothing(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                peer = await Esme.bound(smsc.port)
                await peer.ask(submit(2))
                receipt = await peer.delivery()
                peer.write(acknowledge(receipt), acknowledge(receipt), pdu(0x80000005, 77, 0x14))
                assert await peer.receives_nothing()
                counts = smsc.counts
                assert (counts.receipts_acknowledged, counts.receipts_refused) == (1, 0)
                await peer.close()

        run(scenario())


class TestTls:
    """What a test of TLS needs; it says nothing about ciphers or certificates."""

    def test_sessions_may_be_held_over_tls_and_a_handshake_that_fails_leaves_nothing(self) -> None:
        async def scenario() -> None:
            async with Simulator(tls=_anonymous_tls(ssl.PROTOCOL_TLS_SERVER)) as smsc:
                stranger = await Esme.connect(smsc.port)
                stranger.write(esme.bind(TRANSCEIVER))
                assert await stranger.ends()
                client = _anonymous_tls(ssl.PROTOCOL_TLS_CLIENT)
                peer = Esme(*await asyncio.open_connection("127.0.0.1", smsc.port, ssl=client))
                assert (await peer.ask(esme.bind(TRANSCEIVER))).command_status == 0
                response = await peer.ask(submit(2))
                assert receipt_id(await peer.delivery()) == answered_id(response)
                assert smsc.counts.bound == 1
                await peer.ask(pdu(UNBIND, 3))
                assert await peer.ends()

        run(scenario())


def _anonymous_tls(side: int) -> ssl.SSLContext:
    """Return a side of a connection that wants no certificate, so that no key has to lie here."""
    context = ssl.SSLContext(side)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("AECDH:@SECLEVEL=0")
    return context


class TestFraming:
    """What a peer should not write."""

    def test_an_unknown_command_is_nacked_and_the_session_goes_on(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                peer = await Esme.bound(smsc.port)
                nack = await peer.ask(pdu(0x00010203, 42, 0, b"??"))
                assert (nack.command_id, nack.command_status) == (0x80000000, 0x03)
                assert nack.sequence_number == 42
                assert (await peer.ask(submit(43))).command_status == 0
                assert smsc.counts.nacks_sent == 1
                await peer.close()

        run(scenario())

    def test_an_unknown_response_is_ignored(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(pdu(0x80010203, 42), pdu(ENQUIRE_LINK | RESPONSE, 43))
                assert await peer.receives_nothing()
                await peer.close()

        run(scenario())

    @pytest.mark.parametrize("length", [0, 4, 15, 65_537, 0xFFFFFFFF])
    def test_a_command_length_that_cannot_be_is_nacked_and_ends_the_connection(
        self, length: int
    ) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(pdu(ENQUIRE_LINK, 2), struct.pack(">I", length))
                assert (await peer.response()).sequence_number == 2
                nack = await peer.response()
                assert (nack.command_id, nack.command_status) == (0x80000000, 0x02)
                assert await peer.ends()

        run(scenario())

    @pytest.mark.parametrize("command_id", [SUBMIT_SM, TRANSCEIVER, 5])
    def test_a_body_cut_short_is_refused_and_the_session_goes_on(self, command_id: int) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(pdu(0x80000004, 41, 0, b"no NUL"))  # a response: nothing to refuse
                response = await peer.ask(pdu(command_id, 42, 0, b"\0\x01"))
                assert response.command_id == command_id | RESPONSE
                assert (response.command_status, response.sequence_number) == (0x02, 42)
                assert (await peer.ask(submit(43))).command_status == 0
                await peer.close()

        run(scenario())


class TestTexts:
    """What phones write (SMPP 3.4 issue 1.2, 4.6.1)."""

    @pytest.mark.parametrize(
        ("text", "data_coding", "octets"),
        [
            ("STOP", 0, b"STOP"),
            ("Où ça ?", 8, "Où ça ?".encode("utf-16-be")),
            ("moi@commune.fr", 8, "moi@commune.fr".encode("utf-16-be")),
            ("", 0, b""),
        ],
    )
    def test_a_text_arrives_as_written(self, text: str, data_coding: int, octets: bytes) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                peer = await Esme.bound(smsc.port)
                smsc.deliver("+33612345678", "36111", text)
                read = await peer.delivery()
                assert (read.esm_class, read.data_coding) == (0, data_coding)
                assert read.short_message == octets
                assert (read.source_addr, read.source_addr_ton) == ("33612345678", 1)
                assert (read.destination_addr, read.dest_addr_ton) == ("36111", 3)
                peer.write(acknowledge(read))
                await smsc.wait_for(lambda counts: counts.texts_acknowledged == 1)
                assert (smsc.counts.texts_sent, smsc.counts.receipts_sent) == (1, 0)
                assert smsc.counts.receipts_acknowledged == 0
                await peer.close()

        run(scenario())

    def test_a_long_text_travels_as_payload_and_one_too_long_is_refused(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                peer = await Esme.bound(smsc.port)
                for octets in (255, 64_000):
                    smsc.deliver("MAIRIE", "36111", "x" * octets)
                    read = await peer.delivery()
                    assert (read.source_addr_ton, read.short_message) == (5, b"")
                    assert [(t.tag, t.value) for t in read.tlvs] == [(0x0424, b"x" * octets)]
                with pytest.raises(InputError, match="64,000"):
                    smsc.deliver("MAIRIE", "36111", "x" * 64_001)
                await peer.close()

        run(scenario())

    def test_a_text_is_kept_for_the_session_it_is_meant_for(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                smsc.deliver("33612345678", "36111", "anybody")
                smsc.deliver("33612345678", "36111", "syndic", system_id="syndic")
                transmitter = await Esme.bound(smsc.port, TRANSMITTER, "other")
                stranger = await Esme.bound(smsc.port, RECEIVER, "other")
                assert (await stranger.delivery()).short_message == b"anybody"
                peer = await Esme.bound(smsc.port)
                assert (await peer.delivery()).short_message == b"syndic"
                assert await stranger.receives_nothing()
                for each in (transmitter, stranger, peer):
                    await each.close()

        run(scenario())

    def test_a_refused_text_comes_again_and_is_not_counted_as_a_receipt(self) -> None:
        async def scenario() -> None:
            async with Simulator(Behaviour(retry_delay_s=0)) as smsc:
                peer = await Esme.bound(smsc.port)
                smsc.deliver("33612345678", "36111", "STOP")
                peer.write(acknowledge(await peer.delivery(), 0x14))
                assert (await peer.delivery()).short_message == b"STOP"
                assert (smsc.counts.texts_refused, smsc.counts.receipts_refused) == (1, 0)
                assert smsc.counts.texts_sent == 2
                await peer.close()

        run(scenario())


class TestEnds:
    """How sessions and the simulator end, and begin again."""

    def test_leaving_unbinds_every_session_and_closes_it_when_it_has_answered(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                peers = [await Esme.bound(smsc.port, kind) for kind in (TRANSMITTER, RECEIVER)]
                unbound = await Esme.connect(smsc.port)
                await unbound.ask(pdu(ENQUIRE_LINK, 1))

                async def answer(peer: Esme) -> None:
                    request = await peer.response()
                    assert request.command_id == UNBIND
                    peer.write(pdu(UNBIND | RESPONSE, request.sequence_number))
                    assert await peer.ends()

                tasks = [asyncio.create_task(answer(peer)) for peer in peers]
                tasks.append(asyncio.create_task(_assert_ends(unbound)))
            await asyncio.gather(*tasks)

        run(scenario())

    def test_a_peer_that_does_not_answer_the_unbind_is_cut_off(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("smppgw.simulator.server.UNBIND_TIMEOUT_S", SHORT_S)

        async def scenario() -> None:
            async with Simulator() as smsc:
                peer = await Esme.bound(smsc.port)
            assert (await peer.response()).command_id == UNBIND
            assert await peer.ends()

        run(scenario())

    def test_dropped_connections_end_at_once_and_what_they_held_is_owed(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                peers = [await Esme.bound(smsc.port) for _ in range(3)]
                response = await peers[0].ask(submit(2))
                await peers[0].delivery()
                smsc.drop_connections()
                for peer in peers:
                    assert await peer.ends()
                assert smsc.counts.bound == 0
                assert smsc.counts.receipts_sent == 1  # none to a connection that was dropped too
                again = await Esme.bound(smsc.port)
                assert receipt_id(await again.delivery()) == answered_id(response)
                await again.close()

        run(scenario())

    def test_a_simulator_entered_again_keeps_port_tally_ids_and_debts(self) -> None:
        smsc = Simulator(Behaviour(seed=7, receipt_delay_s=SHORT_S))
        ids: list[str] = []

        async def submitting() -> None:
            async with smsc:
                peer = await Esme.bound(smsc.port)
                ids.append(answered_id(await peer.ask(submit(2))))
                await peer.close()

        async def listening() -> None:
            async with smsc:
                assert smsc.port == port
                peer = await Esme.bound(smsc.port)
                assert receipt_id(await peer.delivery()) == ids[0]
                ids.append(answered_id(await peer.ask(submit(2))))
                assert (smsc.counts.binds, smsc.counts.submits, smsc.counts.bound) == (2, 2, 1)
                await peer.close()

        run(submitting())
        port = smsc.port
        run(listening())
        assert int(ids[1]) == int(ids[0]) + 1

    def test_nobody_may_connect_once_it_is_left(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                pass
            with pytest.raises(ConnectionRefusedError):
                await Esme.connect(smsc.port)

        run(scenario())

    def test_an_address_in_use_is_told_in_a_sentence(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                second = Simulator(port=smsc.port, record=tmp_path / "record.jsonl")
                with pytest.raises(OperationError, match=f"127.0.0.1, port {smsc.port}: "):
                    await second.__aenter__()

        run(scenario())


async def _assert_ends(peer: Esme) -> None:
    assert await peer.ends()


class TestRecord:
    """A line for each PDU."""

    def test_every_pdu_both_ways_is_recorded_in_order(self, tmp_path: Path) -> None:
        path = tmp_path / "record.jsonl"

        async def scenario() -> None:
            async with Simulator(record=path) as smsc:
                peer = await Esme.bound(smsc.port)
                await peer.ask(submit(2))
                peer.write(acknowledge(await peer.delivery()))
                await peer.ask(pdu(UNBIND, 3))
                assert await peer.ends()

        run(scenario())
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [(line["direction"], line["command"]) for line in lines] == [
            ("received", "bind_transceiver"),
            ("sent", "bind_transceiver_resp"),
            ("received", "submit_sm"),
            ("sent", "submit_sm_resp"),
            ("sent", "deliver_sm"),
            ("received", "deliver_sm_resp"),
            ("received", "unbind"),
            ("sent", "unbind_resp"),
        ]
        assert {line["session"] for line in lines} == {1}
        assert lines[2]["destination"] == lines[4]["source"] == "33612345678"
        assert lines[2]["short_message"] == b"Bonjour".hex()
        assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)

    def test_lines_can_be_read_while_the_simulator_runs(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("smppgw.simulator.server.RECORD_PERIOD_S", SHORT_S)

        async def scenario() -> None:
            written = asyncio.Event()

            class File(io.StringIO):
                def flush(self) -> None:
                    written.set()

            file = File()
            async with Simulator(record=file) as smsc:
                peer = await Esme.bound(smsc.port)
                await written.wait()
                assert "bind_transceiver_resp" in file.getvalue()
                await peer.close()

        run(scenario())

    def test_a_broken_stream_is_recorded_up_to_where_it_breaks(self) -> None:
        file = io.StringIO()

        async def scenario() -> None:
            async with Simulator(record=file) as smsc:
                peer = await Esme.connect(smsc.port)
                peer.write(pdu(ENQUIRE_LINK, 2), bytes(16))
                await peer.response()
                await peer.response()
                assert await peer.ends()

        run(scenario())
        lines = [json.loads(line) for line in file.getvalue().splitlines()]
        commands = [line["command"] for line in lines]
        assert commands == ["enquire_link", "enquire_link_resp", "generic_nack"]


class TestWaitFor:
    """For those who test against it."""

    def test_it_returns_at_once_when_the_condition_holds_and_can_be_given_up(self) -> None:
        async def scenario() -> None:
            async with Simulator() as smsc:
                await smsc.wait_for(lambda counts: counts.binds == 0)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0):
                        await smsc.wait_for(lambda counts: counts.binds == 1)
                peer = await Esme.bound(smsc.port)
                await peer.close()

        run(scenario())


class TestOtherClients:
    """Clients that nobody here wrote."""

    def test_smpp34_submits_and_reads_its_receipt(self) -> None:
        async def scenario() -> None:
            async with Simulator(Behaviour(password="secret08", receipt_tlvs=True)) as smsc:
                client = smpp34.Client("127.0.0.1", smsc.port, "syndic", "secret08")
                bound = await client.connect()
                response = await bound.submit_sm(
                    "33612345678", b"Crue", source_addr="STMARTIN", registered_delivery=1
                )
                assert response.command_status == 0
                event = await bound.next()
                assert isinstance(event, smpp34.DeliverSmEvent)
                await smsc.wait_for(lambda counts: counts.receipts_acknowledged == 1)
                await bound.unbind()
                await client.stop()
                await smsc.wait_for(lambda counts: not counts.bound)

        run(scenario())

    def test_smpplib_submits_and_reads_its_receipt(self) -> None:
        read: list[Any] = []

        def take(pdu: Any) -> int:
            read.append(pdu)
            return 0

        def talk(port: int) -> None:
            client = smpplib.client.Client("127.0.0.1", port, 10, allow_unknown_opt_params=True)
            client.set_message_sent_handler(take)
            client.set_message_received_handler(take)
            client.connect()
            client.bind_transceiver(system_id="syndic", password="secret08")
            client.send_message(
                source_addr="STMARTIN",
                destination_addr="33612345678",
                short_message=b"Crue",
                registered_delivery=1,
            )
            while len(read) < 2:
                client.read_once()
            client.unbind()
            client.disconnect()

        async def scenario() -> None:
            async with Simulator() as smsc:
                await asyncio.to_thread(talk, smsc.port)
                assert smsc.counts.receipts_acknowledged == 1

        run(scenario())
        response, receipt = read
        assert receipt.short_message.startswith(b"id:" + response.message_id)
        assert receipt.short_message.endswith(b"text:Crue")
