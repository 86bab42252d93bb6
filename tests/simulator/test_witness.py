"""The account of truth, by which tests call a gateway to account."""

import io
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw.simulator import Behaviour, Simulator, Witness
from smppgw.simulator.codec import Submit

from .esme import TRANSCEIVER, Esme, acknowledge, answered_id, bind, run, submit
from .wire import Wire

HEADER_8 = b"\x05\0\x03\x2a\x02"


def accept(
    witness: Witness,
    *,
    destination: bytes = b"\x01\x0133600000001\0",
    user_data: bytes = b"Crue",
    esm_class: int = 0,
    data_coding: int = 0,
    tlvs: bytes = b"",
) -> None:
    read = Submit(7, b"\x05\0STMARTIN\0", destination, esm_class, 1, data_coding, user_data, tlvs)
    witness.on_accepted("syndic", 1, read, b"42", "DELIVRD", 0.0)


class TestCopies:
    """Who was sent what, and how often."""

    def test_the_same_segment_to_the_same_phone_is_a_copy_and_nothing_else_is(self) -> None:
        witness = Witness()
        accept(witness)
        accept(witness)
        accept(witness, destination=b"\x01\x0133600000002\0")
        accept(witness, user_data=b"Alerte")
        accept(witness, data_coding=8)
        accept(witness, tlvs=b"\x02\x0f\0\x01\x01")
        accept(witness, tlvs=b"\x02\x0f\0\x01\x02")
        accept(witness, tlvs=b"\x14\x01\0\x01\x02")  # a vendor's, beside the same text
        for number in (b"\x01", b"\x02"):
            accept(witness, esm_class=0x40, user_data=HEADER_8 + number + b"Crue")
        assert sorted(witness.copies().values()) == [1, 1, 1, 1, 1, 1, 1, 3]
        assert len(witness.by_destination()["33600000001"]) == 9
        assert [entry.part for entry in witness.accepted[-2:]] == [(42, 2, 1), (42, 2, 2)]


class TestPeaks:
    """The throughput and the window, as they were observed."""

    @given(
        st.lists(st.tuples(st.floats(0, 0.7), st.integers(1, 5)), min_size=1, max_size=20),
    )
    def test_the_peak_is_the_most_in_any_second_open_at_its_end(
        self, reads: list[tuple[float, int]]
    ) -> None:
        witness, now, at = Witness(), 0.0, list[float]()
        for wait_s, count in reads:
            now += wait_s
            at += [now] * count
            witness.on_submits("syndic", 1, count, count, now)
        seconds = [[other for other in at if begin <= other and other - begin < 1] for begin in at]
        assert witness.most_received_in_a_second["syndic"] == max(map(len, seconds))

    def test_what_is_a_whole_second_apart_is_not_in_one_second(self) -> None:
        witness = Witness()
        for now in (10.0, 10.5, 11.0):
            witness.on_submits("syndic", 1, 1, 1, now)
        assert witness.most_received_in_a_second["syndic"] == 2

    def test_accounts_and_sessions_are_kept_apart(self) -> None:
        witness = Witness()
        witness.on_submits("a", 1, 3, 5, 0.0)
        witness.on_submits("a", 2, 2, 2, 0.5)
        witness.on_submits("a", 1, 1, 1, 1.5)
        witness.on_submits("b", 3, 1, 1, 0.5)
        assert witness.most_received_in_a_second == {"a": 5, "b": 1}
        assert witness.most_unanswered == {("a", 1): 5, ("a", 2): 2, ("b", 3): 1}


class TestOnTheWire:
    """What a simulator tells its witness."""

    def test_an_accepted_submit_sm_is_followed_to_the_answer_to_its_receipt(self) -> None:
        async def scenario() -> None:
            witness = Witness()
            async with Simulator(Behaviour(outcomes={"UNDELIV": 1}), witness=witness) as smsc:
                peer = await Esme.bound(smsc.port)
                response = await peer.ask(submit(2))
                receipt = await peer.delivery()
                [entry] = witness.accepted
                assert (entry.account, entry.session, entry.sequence) == ("syndic", 1, 2)
                assert (entry.source, entry.destination) == ("STMARTIN", "33612345678")
                assert (entry.message_id, entry.outcome) == (answered_id(response), "UNDELIV")
                assert entry.answered_at is not None
                [told] = entry.receipts
                assert (told.word, told.session, told.acknowledged_at) == ("UNDELIV", 1, None)
                peer.write(acknowledge(receipt))
                await smsc.wait_for(lambda counts: counts.receipts_acknowledged == 1)
                assert told.acknowledged_at is not None
                times = [entry.received_at, entry.answered_at, told.sent_at, told.acknowledged_at]
                assert times == sorted(times)
                await peer.close()

        run(scenario())

    def test_a_receipt_sent_again_is_told_twice(self) -> None:
        async def scenario() -> None:
            witness = Witness()
            async with Simulator(witness=witness) as smsc:
                peer = await Esme.bound(smsc.port)
                await peer.ask(submit(2))
                await peer.delivery()
                await peer.close()
                again = await Esme.bound(smsc.port)
                await again.delivery()
                [entry] = witness.accepted
                assert [told.session for told in entry.receipts] == [1, 2]
                await again.close()

        run(scenario())

    def test_what_is_refused_counts_for_the_rate_and_is_no_copy(self) -> None:
        async def scenario() -> None:
            witness = Witness()
            async with Simulator(Behaviour(throughput=3), witness=witness) as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(*map(submit, range(2, 7)))
                await smsc.wait_for(lambda counts: counts.submits == 5)
                assert len(witness.accepted) == 3
                assert witness.most_received_in_a_second["syndic"] == 5
                assert witness.most_accepted_in_a_second["syndic"] == 3
                await peer.close()

        run(scenario())

    def test_the_most_unanswered_on_a_bind_is_seen_although_answers_come_at_once(self) -> None:
        async def scenario() -> None:
            witness = Witness()
            async with Simulator(witness=witness) as smsc:
                wire = Wire(smsc)
                wire.read(bind(TRANSCEIVER))
                for count in (4, 7, 2):
                    wire.read(*map(submit, range(2, 2 + count)))
                assert witness.most_unanswered["syndic", 1] == 7
                wire.close()

        run(scenario())

    def test_what_was_not_answered_yet_counts_as_unanswered(self) -> None:
        async def scenario() -> None:
            witness = Witness()
            async with Simulator(Behaviour(latency_s=60), witness=witness) as smsc:
                wire = Wire(smsc)
                wire.read(bind(TRANSCEIVER))
                for sequence in range(2, 5):
                    wire.read(submit(sequence))
                assert witness.most_unanswered["syndic", 1] == 3
                wire.close()

        run(scenario())

    @pytest.mark.parametrize("latency_s", [0.0, 0.01])
    def test_a_witness_changes_nothing_that_is_sent(self, latency_s: float) -> None:
        async def talk(witness: Witness | None) -> list[str]:
            behaviour = Behaviour(
                seed=7,
                latency_s=latency_s,
                outcomes={"DELIVRD": 1, "UNDELIV": 1},
                receipt_tlvs=True,
                window=30,
            )
            record = io.StringIO()
            async with Simulator(behaviour, witness=witness, record=record) as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(*map(submit, range(2, 42)))
                await smsc.wait_for(lambda counts: counts.submits == 40)
                for _ in range(40 + smsc.counts.accepted):
                    await peer.read()
                await peer.close()
            lines = map(json.loads, record.getvalue().splitlines())
            # A read has its receipts behind all answers, or each behind its own.
            return sorted(map(timeless, lines))

        def timeless(line: dict[str, Any]) -> str:
            text = bytes.fromhex(line.pop("short_message", "")).decode()
            del line["at"], line["wall"]
            return json.dumps(line) + re.sub(r"date:\d+", "date", text)

        async def scenario() -> None:
            assert await talk(Witness()) == await talk(None)

        run(scenario())
