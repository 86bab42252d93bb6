"""Every fault of the table, shown on the wire."""

import asyncio
import re
import struct
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import smpp34
from hypothesis import given
from hypothesis import strategies as st

from smppgw.errors import InputError
from smppgw.simulator import Behaviour, Simulator, Witness, describe_faults, parse_faults
from smppgw.simulator.faults import CONTRADICTIONS, FAULTS, OneIn, chance, read_faults

from . import esme
from .esme import (
    DELIVER_SM,
    ENQUIRE_LINK,
    GENERIC_NACK,
    RECEIVER,
    RESPONSE,
    SUBMIT_SM,
    TRANSCEIVER,
    UNBIND,
    Esme,
    Pdu,
    acknowledge,
    answered_id,
    pdu,
    receipt_id,
    run,
    submit,
)
from .wire import Wire

DATA_SM = 0x103
SUBMIT_RESP = SUBMIT_SM | RESPONSE
UDH_8, UDH_16 = b"\x05\0\x03\x2a\x03", b"\x06\x08\x04\x01\x2c\x03"
SHORT_S = 0.02  # a delay that a test can watch passing

# What these do at the same seed is shown where they are.
WRITE_NOTHING_AT_ONCE = (
    "slow-answers",
    "answers-out-of-order",
    "receipt-early-other-bind",
    "drop",
    "cut-anywhere",
)

_Test = TypeVar("_Test", bound=Callable[..., None])
SHOWN: set[str] = set()


def shows(*names: str) -> Callable[[_Test], _Test]:
    """Say which faults a test shows."""
    SHOWN.update(names)
    return lambda test: test


def smsc_with(*faults: str, witness: Witness | None = None, **behaviour: Any) -> Simulator:
    return Simulator(Behaviour(faults=faults, **{"seed": 7} | behaviour), witness=witness)


def talk(*faults: str, submits: list[bytes] | int = 1, **behaviour: Any) -> list[Pdu]:
    """Submit in one write; return all that comes of it at once."""
    read: list[Pdu] = []
    pdus = submits if isinstance(submits, list) else [submit(2 + n) for n in range(submits)]

    async def scenario() -> None:
        async with smsc_with(*faults, **behaviour) as smsc:
            peer = await Esme.bound(smsc.port)
            peer.write(*pdus)
            read.extend(await peer.all_so_far())
            await peer.close()

    run(scenario())
    return read


def responses(read: list[Pdu]) -> list[smpp34.RawPdu]:
    return [each for each in read if isinstance(each, smpp34.RawPdu)]


def deliveries(read: list[Pdu]) -> list[smpp34.DeliverSm]:
    return [each for each in read if isinstance(each, smpp34.DeliverSm)]


def words(read: list[Pdu]) -> list[str]:
    """Return the state words of receipts."""
    texts = [each.short_message.decode() for each in deliveries(read)]
    return [match[1] for text in texts if (match := re.search(r"stat:(\S+)", text))]


def tlvs_of(delivery: smpp34.DeliverSm) -> dict[int, bytes]:
    return {tlv.tag: tlv.value for tlv in delivery.tlvs}


def with_tlvs(octets: bytes, *tlvs: tuple[int, bytes]) -> bytes:
    """Add optional parameters to a PDU."""
    octets += b"".join(struct.pack(">HH", tag, len(value)) + value for tag, value in tlvs)
    return struct.pack(">I", len(octets)) + octets[4:]


def lead_s(witness: Witness) -> float:
    """Return how long its only receipt went out before its only answer."""
    [accepted] = witness.accepted
    [told] = accepted.receipts
    assert accepted.answered_at is not None
    return accepted.answered_at - told.sent_at


def segments(header: bytes) -> list[bytes]:
    """Write three segments of one text, and a text that is none."""
    return [
        *(submit(n, header + bytes((n,)) + b"Crue", esm_class=0x40) for n in (1, 2, 3)),
        submit(4),
    ]


def sar_segments() -> list[bytes]:
    ties = [(0x020C, b"\0\x2a"), (0x020E, b"\x03")]
    parts = [with_tlvs(submit(n), *ties, (0x020F, bytes((n,)))) for n in (1, 2, 3)]
    return [*parts, submit(4)]


class TestTable:
    """How faults are asked for."""

    def test_names_and_numbers_are_read(self) -> None:
        assert parse_faults("receipt-twice, no-answer:7") == {"receipt-twice", "no-answer:7"}
        assert read_faults({"receipt-twice", "no-answer:7", "unbind", "slow-answers:0.5"}) == {
            "receipt-twice": 0,
            "no-answer": 7,
            "unbind": 60,
            "slow-answers": 0.5,
        }

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("reciept-twice", "'reciept-twice' is no fault: did you mean receipt-twice?"),
            ("zzz", "'zzz' is no fault: `smppgw simulate --help` lists all"),
            ("", "'' is no fault"),
            ("receipt-twice:2", "receipt-twice takes no number"),
            ("no-answer:0", "no-answer:0 has no count: give 1 or more, as in no-answer:20"),
            ("no-answer:1.5", "no-answer:1.5 has no count"),
            ("no-answer:", "no-answer: has no count"),
            ("no-answer:inf", "no-answer:inf has no count"),
            ("unbind:-1", "unbind:-1 has no time: give seconds, as in unbind:0.5"),
            ("unbind:soon", "unbind:soon has no time"),
            ("unbind:inf", "unbind:inf has no time"),
            ("no-answer:5,no-answer:6", "no-answer stands there twice"),
        ],
    )
    def test_a_mistake_is_told_and_so_is_the_way_out(self, text: str, reason: str) -> None:
        with pytest.raises(InputError, match=re.escape(reason)):
            parse_faults(text)

    @pytest.mark.parametrize(("one", "other"), CONTRADICTIONS)
    def test_contradictions_are_refused(self, one: str, other: str) -> None:
        with pytest.raises(InputError, match="contradict each other"):
            Behaviour(faults={one, other})

    @pytest.mark.parametrize("fault", ["ids-upper", "ids-long"])
    def test_a_number_in_two_bases_is_not_bent_further(self, fault: str) -> None:
        with pytest.raises(InputError, match="contradict each other"):
            Behaviour(faults={fault}, ids="hex-then-decimal")

    def test_a_fault_that_is_none_makes_no_behaviour(self) -> None:
        with pytest.raises(InputError, match="did you mean drop"):
            Behaviour(faults={"dorp"})

    @pytest.mark.parametrize("name", FAULTS)
    def test_every_fault_works_alone_and_is_described(self, name: str) -> None:
        assert Behaviour(faults={name}).active_faults == {name: FAULTS[name].default}
        described = "\n".join(describe_faults())
        assert re.search(rf"^  {name}($|:)", described, re.MULTILINE)
        assert FAULTS[name].sentence in re.sub(r"\n {6}", " ", described)
        assert max(map(len, described.splitlines())) <= 78

    def test_every_fault_of_the_table_is_shown_by_a_test(self) -> None:
        assert set(FAULTS) == SHOWN

    @given(st.integers(1, 9), st.integers(0, 5), st.integers())
    def test_one_in_n_is_exactly_one_in_each_n_in_a_row(
        self, count: int, rows: int, seed: int
    ) -> None:
        is_the_one = OneIn(count, chance(seed, "anything"))
        for _ in range(rows):
            assert sum(is_the_one() for _ in range(count)) == 1

    def test_the_place_is_drawn_anew_from_the_seed(self) -> None:
        def places(seed: int) -> list[bool]:
            is_the_one = OneIn(10, chance(seed, "anything"))
            return [is_the_one() for _ in range(100)]

        assert places(1) == places(1) != places(2)
        assert places(1)[:10] != places(1)[10:20]


class TestSeed:
    """One seed gives one run."""

    @pytest.mark.parametrize("name", [name for name in FAULTS if name not in WRITE_NOTHING_AT_ONCE])
    def test_a_run_with_a_fault_can_be_had_again(self, name: str) -> None:
        async def written(seed: int) -> list[bytes]:
            fault = f"{name}:5" if FAULTS[name].unit == "N" else name
            async with smsc_with(fault, seed=seed, outcomes={"DELIVRD": 1, "UNDELIV": 1}) as smsc:
                wire = Wire(smsc)
                for sequence in range(9):  # more than any fault refuses
                    wire.read(esme.bind(TRANSCEIVER, sequence))
                wire.read(*map(submit, range(20, 60)))
                wire.close()
                return [re.sub(rb"date:\d+", b"date", octets) for octets in wire.writes]

        async def scenario() -> None:
            assert await written(7) == await written(7)
            assert await written(7) != await written(8)

        run(scenario())

    @pytest.mark.parametrize("name", ["no-answer", "throttle", "vendor-status", "nack"])
    def test_cutting_the_stream_into_other_reads_changes_no_decision(self, name: str) -> None:
        async def written(*reads: int) -> list[bytes]:
            async with smsc_with(f"{name}:3", outcomes={"DELIVRD": 1, "UNDELIV": 1}) as smsc:
                wire, sequence = Wire(smsc), 2
                wire.read(esme.bind(TRANSCEIVER))
                for count in reads:
                    wire.read(*map(submit, range(sequence, sequence + count)))
                    sequence += count
                wire.close()
                return [re.sub(rb"date:\d+", b"date", octets) for octets in wire.pdus()]

        async def scenario() -> None:
            assert await written(30) == await written(1, 12, 17)

        run(scenario())


class TestMessageIds:
    """How ids are written."""

    @shows("ids-leading-zeros")
    @pytest.mark.parametrize("ids", ["decimal", "hex", "uuid"])
    def test_leading_zeros_are_in_the_response_alone(self, ids: str) -> None:
        read = talk("ids-leading-zeros", submits=20, ids=ids)
        for response, receipt in zip(responses(read), deliveries(read), strict=True):
            assert answered_id(response) == "00" + receipt_id(receipt)
            assert receipt_id(receipt)[0] != "0"

    @shows("ids-upper")
    @pytest.mark.parametrize("ids", ["decimal", "hex", "uuid"])
    def test_letters_are_small_in_the_response_and_capital_in_the_receipt(self, ids: str) -> None:
        read = talk("ids-upper", submits=20, ids=ids)
        in_responses = [answered_id(response) for response in responses(read)]
        assert [text.upper() for text in in_responses] == list(map(receipt_id, deliveries(read)))
        assert all(text == text.lower() for text in in_responses)
        assert any(text != text.upper() for text in in_responses)

    @shows("ids-long")
    @pytest.mark.parametrize("ids", ["decimal", "hex", "uuid"])
    def test_long_ids_have_64_characters_and_stay_distinct(self, ids: str) -> None:
        read = talk("ids-long", submits=20, ids=ids)
        in_responses = [answered_id(response) for response in responses(read)]
        assert in_responses == list(map(receipt_id, deliveries(read)))
        assert {len(text) for text in in_responses} == {64}
        assert len(set(in_responses)) == 20

    @shows("ids-reused")
    @pytest.mark.parametrize("ids", ["decimal", "uuid"])
    def test_ids_start_again_when_an_account_without_a_bind_binds(self, ids: str) -> None:
        async def scenario() -> None:
            async with smsc_with("ids-reused", ids=ids) as smsc:
                given: list[list[str]] = []
                for _ in range(2):
                    peer = await Esme.bound(smsc.port)
                    peer.write(submit(2, registered_delivery=0), submit(3, registered_delivery=0))
                    given.append([answered_id(await peer.response()) for _ in range(2)])
                    await peer.close()
                    await smsc.wait_for(lambda counts: not counts.bound)
                assert given[0] == given[1]
                assert given[0][0] != given[0][1]

        run(scenario())

    @shows("ids-reused")
    def test_ids_go_on_while_the_account_has_another_bind(self) -> None:
        async def scenario() -> None:
            async with smsc_with("ids-reused") as smsc:
                peers, given = list[Esme](), set[str]()
                for _ in range(3):
                    peers.append(await Esme.bound(smsc.port))
                    response = await peers[-1].ask(submit(2, registered_delivery=0))
                    given.add(answered_id(response))
                assert len(given) == 3
                for peer in peers:
                    await peer.close()

        run(scenario())


class TestAnswers:
    """What becomes of submit_sm."""

    @shows("no-answer")
    def test_one_in_n_is_accepted_without_an_answer_and_reported(self) -> None:
        async def scenario() -> None:
            witness = Witness()
            async with smsc_with("no-answer:3", witness=witness) as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(*map(submit, range(9)))
                read = await peer.all_so_far()
                answered = {response.sequence_number for response in responses(read)}
                assert [len(answered & set(range(n, n + 3))) for n in (0, 3, 6)] == [2, 2, 2]
                assert len(deliveries(read)) == 9
                assert (smsc.counts.accepted, smsc.counts.withheld) == (9, 3)
                silent = [e.sequence for e in witness.accepted if e.answered_at is None]
                assert sorted(answered | set(silent)) == list(range(9))
                assert [len(entry.receipts) for entry in witness.accepted] == [1] * 9
                await peer.close()

        run(scenario())

    @shows("no-answer")
    def test_what_is_not_answered_does_not_fill_the_window_for_ever(self) -> None:
        assert len(deliveries(talk("no-answer:1", submits=3, window=3))) == 3

        async def scenario() -> None:
            async with smsc_with("no-answer:1", window=2) as smsc:
                peer = await Esme.bound(smsc.port)
                for first in (2, 4, 6):
                    peer.write(submit(first), submit(first + 1))
                    assert len(await peer.all_so_far()) == 2
                assert smsc.counts.window_violations == 0
                await peer.close()

        run(scenario())

    @shows("no-answer-lost")
    def test_one_in_n_is_accepted_and_nothing_is_heard_of_it(self) -> None:
        async def scenario() -> None:
            witness = Witness()
            async with smsc_with("no-answer-lost:3", witness=witness) as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(*map(submit, range(9)))
                read = await peer.all_so_far()
                assert len(responses(read)) == len(deliveries(read)) == 6
                lost = [entry for entry in witness.accepted if not entry.receipts]
                assert [entry.answered_at for entry in lost] == [None] * 3
                assert {entry.outcome for entry in lost} == {"DELIVRD"}
                await peer.close()

        run(scenario())

    @shows("slow-answers")
    def test_the_more_wait_the_longer_an_answer_takes_and_order_is_kept(self) -> None:
        async def scenario() -> None:
            async with smsc_with(f"slow-answers:{SHORT_S}") as smsc:
                peer = await Esme.bound(smsc.port)
                for count in (1, 5):
                    began = time.monotonic()
                    numbers = range(10 * count, 11 * count)
                    peer.write(*(submit(n, registered_delivery=0) for n in numbers))
                    assert [(await peer.response()).sequence_number for _ in numbers] == [*numbers]
                    assert time.monotonic() - began >= SHORT_S * count
                await peer.close()

        run(scenario())

    @shows("answers-out-of-order")
    def test_answers_come_in_an_order_that_the_seed_draws(self) -> None:
        async def order(seed: int) -> list[int]:
            async with smsc_with("answers-out-of-order:0.2", seed=seed) as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(*(submit(n, registered_delivery=0) for n in range(20)))
                numbers = [(await peer.response()).sequence_number for _ in range(20)]
                await peer.close()
                return numbers

        async def scenario() -> None:
            one, same, other = await asyncio.gather(order(1), order(1), order(2))
            assert sorted(one) == list(range(20))
            assert one == same != other
            assert one != sorted(one)

        run(scenario())

    @shows("stray-answers")
    def test_an_answer_comes_twice_and_others_answer_nothing(self) -> None:
        read = responses(talk("stray-answers:1", submits=[submit(7, registered_delivery=0)]))
        first, again, stray, link = read
        assert (first.command_id, first.sequence_number) == (SUBMIT_RESP, 7)
        assert (again.command_id, again.sequence_number, again.body) == (SUBMIT_RESP, 7, first.body)
        assert stray.command_id == SUBMIT_RESP
        assert link.command_id == ENQUIRE_LINK | RESPONSE
        assert stray.sequence_number == link.sequence_number != 7

    @shows("stray-answers")
    def test_what_is_not_answered_is_not_answered_by_a_stray_either(self) -> None:
        read = responses(talk("stray-answers:1", "no-answer:1", submits=[submit(7)]))
        assert 7 not in {response.sequence_number for response in read}

    @shows("throttle", "queue-full", "system-error", "refuse", "vendor-status")
    @pytest.mark.parametrize(
        ("fault", "statuses"),
        [
            ("throttle", {0x58}),
            ("queue-full", {0x14}),
            ("system-error", {0x08}),
            ("refuse", {0x0B}),
            ("vendor-status", set(range(0x400, 0x500))),
        ],
    )
    def test_one_in_n_is_refused_without_a_body_or_a_receipt(
        self, fault: str, statuses: set[int]
    ) -> None:
        async def scenario() -> None:
            async with smsc_with(f"{fault}:4") as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(*map(submit, range(20)))
                read = await peer.all_so_far()
                refused = [each for each in responses(read) if each.command_status]
                assert [each.sequence_number // 4 for each in refused] == [0, 1, 2, 3, 4]
                assert {each.command_id for each in refused} == {SUBMIT_RESP}
                assert {each.command_status for each in refused} <= statuses
                assert {each.body for each in refused} == {b""}
                assert len(deliveries(read)) == 15
                throttled = 5 if fault == "throttle" else 0
                counts = smsc.counts
                assert (counts.accepted, counts.throttled, counts.refused) == (
                    15,
                    throttled,
                    5 - throttled,
                )
                await peer.close()

        run(scenario())

    @shows("vendor-status")
    def test_vendors_have_more_than_one_status(self) -> None:
        read = responses(talk("vendor-status:1", submits=20))
        assert len({each.command_status for each in read}) > 5

    @shows("refuse")
    def test_what_a_fault_refuses_takes_nothing_from_the_throughput(self) -> None:
        read = responses(talk("refuse:2", submits=8, throughput=4))
        assert [each.command_status for each in read].count(0) == 4
        assert [each.command_status for each in read].count(0x58) == 0

    @shows("nack")
    def test_one_in_n_is_refused_by_a_generic_nack_with_its_sequence(self) -> None:
        read = responses(talk("nack:4", submits=8))
        nacks = [each for each in read if each.command_id == GENERIC_NACK]
        assert [(each.sequence_number - 2) // 4 for each in nacks] == [0, 1]
        assert {each.command_status for each in nacks} == {0x03}
        assert {each.sequence_number for each in read} == set(range(2, 10))

    @shows("nack-0")
    def test_beside_an_answer_comes_a_generic_nack_of_nothing(self) -> None:
        read = responses(talk("nack-0:2", submits=4))
        nacks = [each for each in read if each.command_id == GENERIC_NACK]
        assert [each.sequence_number for each in nacks] == [0, 0]
        assert len(read) == 6

    @shows("negative-with-body")
    @pytest.mark.parametrize("more", [{"throughput": 1}, {"window": 1}])
    def test_refusals_of_any_kind_carry_an_id(self, more: dict[str, int]) -> None:
        read = responses(talk("negative-with-body", submits=3, **more))
        assert [each.command_status for each in read] == [0, 0x58, 0x58]
        ids = [answered_id(each) for each in read]
        assert all(ids)
        assert len(set(ids)) == 3


class TestWhenReceiptsCome:
    """In which order, on which bind, and how many."""

    @shows("receipt-first")
    def test_the_receipt_is_in_the_same_write_before_its_response(self) -> None:
        async def scenario() -> None:
            async with smsc_with("receipt-first") as smsc:
                wire = Wire(smsc)
                wire.read(esme.bind(TRANSCEIVER))
                wire.read(submit(2))
                assert len(wire.writes) == 2
                commands = [int.from_bytes(each[4:8], "big") for each in wire.pdus()[1:]]
                assert commands == [DELIVER_SM, SUBMIT_RESP]
                wire.close()

        run(scenario())

    @shows("receipt-first")
    def test_the_response_comes_so_much_later(self) -> None:
        async def scenario() -> None:
            fault, witness = f"receipt-first:{SHORT_S}", Witness()
            async with smsc_with(fault, receipt_delay_s=60, witness=witness) as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(submit(2))
                receipt, response = await peer.delivery(), await peer.response()
                assert receipt_id(receipt) == answered_id(response)
                assert lead_s(witness) >= SHORT_S
                await peer.close()

        run(scenario())

    @shows("receipt-early-other-bind")
    def test_the_receipt_comes_on_another_bind_before_the_response(self) -> None:
        async def scenario() -> None:
            witness = Witness()
            async with smsc_with(f"receipt-early-other-bind:{SHORT_S}", witness=witness) as smsc:
                peer, other = await Esme.bound(smsc.port), await Esme.bound(smsc.port)
                peer.write(submit(2))
                receipt = await other.delivery()
                assert receipt_id(receipt) == answered_id(await peer.response())
                assert lead_s(witness) >= SHORT_S
                await peer.close()
                await other.close()

        run(scenario())

    @shows("receipt-early-other-bind", "receipt-other-bind")
    @pytest.mark.parametrize("fault", ["receipt-early-other-bind:0", "receipt-other-bind"])
    def test_an_only_bind_gets_its_receipts_itself(self, fault: str) -> None:
        async def scenario() -> None:
            async with smsc_with(fault) as smsc:
                stranger = await Esme.bound(smsc.port, system_id="other")
                peer = await Esme.bound(smsc.port)
                peer.write(submit(2))
                assert len(await peer.all_so_far()) == 2
                assert await stranger.receives_nothing()
                await peer.close()
                await stranger.close()

        run(scenario())

    @shows("receipt-other-bind")
    @pytest.mark.parametrize("kind", [RECEIVER, TRANSCEIVER])
    def test_the_receipt_comes_on_another_bind_of_the_account(self, kind: int) -> None:
        async def scenario() -> None:
            async with smsc_with("receipt-other-bind") as smsc:
                peer, other = await Esme.bound(smsc.port), await Esme.bound(smsc.port, kind)
                response = await peer.ask(submit(2))
                assert receipt_id(await other.delivery()) == answered_id(response)
                assert await peer.receives_nothing()
                await peer.close()
                await other.close()

        run(scenario())

    @shows("receipt-late")
    def test_receipts_are_held_until_the_next_bind(self) -> None:
        async def scenario() -> None:
            async with smsc_with("receipt-late") as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(submit(2), submit(3))
                ids = [answered_id(each) for each in responses(await peer.all_so_far())]
                stranger = await Esme.bound(smsc.port, system_id="other")
                assert await stranger.receives_nothing()
                await peer.close()
                await smsc.wait_for(lambda counts: counts.bound == 1)
                assert smsc.counts.receipts_sent == 0
                again = await Esme.bound(smsc.port)
                assert [receipt_id(await again.delivery()) for _ in range(2)] == ids
                await again.close()
                await stranger.close()

        run(scenario())

    @shows("receipt-lost")
    def test_one_receipt_in_n_never_comes(self) -> None:
        read = talk("receipt-lost:3", submits=9)
        assert (len(responses(read)), len(deliveries(read))) == (9, 6)

    @shows("receipt-twice")
    def test_every_receipt_comes_twice(self) -> None:
        ids = list(map(receipt_id, deliveries(talk("receipt-twice", submits=2))))
        assert ids[0] == ids[1] != ids[2] == ids[3]

    @shows("receipt-intermediate")
    def test_a_receipt_underway_comes_before_the_final_one(self) -> None:
        read = talk("receipt-intermediate", submits=30)
        assert words(read) == ["ENROUTE", "DELIVRD"] * 30
        classes = [each.esm_class for each in deliveries(read)]
        assert set(classes[::2]) == {0x20, 0x04}
        assert set(classes[1::2]) == {0x04}

    @shows("enroute-after-final")
    def test_a_receipt_underway_comes_after_the_final_one(self) -> None:
        read = talk("enroute-after-final")
        assert words(read) == ["DELIVRD", "ENROUTE"]
        assert {each.esm_class for each in deliveries(read)} == {0x04}

    @shows("receipt-twice", "receipt-intermediate", "enroute-after-final")
    def test_faults_add_up(self) -> None:
        read = talk("receipt-twice", "receipt-intermediate", "enroute-after-final")
        assert words(read) == ["ENROUTE", "DELIVRD", "DELIVRD", "ENROUTE"]

    @shows("receipt-first-segment-only", "receipt-last-segment-only")
    @pytest.mark.parametrize(
        "pdus", [segments(UDH_8), segments(UDH_16), sar_segments()], ids=["udh-8", "udh-16", "sar"]
    )
    @pytest.mark.parametrize(("which", "number"), [("first", 1), ("last", 3)])
    def test_one_segment_of_a_text_is_reported_and_so_is_a_text_without_segments(
        self, which: str, number: int, pdus: list[bytes]
    ) -> None:
        read = talk(f"receipt-{which}-segment-only", submits=pdus)
        ids = {each.sequence_number: answered_id(each) for each in responses(read)}
        assert list(map(receipt_id, deliveries(read))) == [ids[number], ids[4]]

    @shows("receipts-undelivered")
    def test_from_the_nth_on_nothing_is_delivered(self) -> None:
        assert words(talk("receipts-undelivered", submits=2)) == ["UNDELIV", "UNDELIV"]
        read = talk("receipts-undelivered:4", submits=6)
        assert words(read) == ["DELIVRD"] * 3 + ["UNDELIV"] * 3

    @shows("receipts-undelivered")
    def test_the_collapse_is_the_truth_too_and_does_not_wait_for_the_read_to_end(self) -> None:
        async def scenario() -> None:
            witness = Witness()
            async with smsc_with("receipts-undelivered:4", witness=witness) as smsc:
                wire = Wire(smsc)
                wire.read(esme.bind(TRANSCEIVER))
                for count in (2, 3, 1):
                    wire.read(*map(submit, range(count)))
                outcomes = [entry.outcome for entry in witness.accepted]
                assert outcomes == ["DELIVRD"] * 3 + ["UNDELIV"] * 3
                wire.close()

        run(scenario())


class TestReceiptForms:
    """What receipts look like."""

    @shows("receipt-tlvs", "receipt-tlvs-only")
    @pytest.mark.parametrize("fault", ["receipt-tlvs", "receipt-tlvs-only"])
    def test_tlvs_name_the_id_and_the_state_beside_a_text_or_none(self, fault: str) -> None:
        response, receipt = talk(fault, outcomes={"UNDELIV": 1})
        assert isinstance(response, smpp34.RawPdu)
        assert isinstance(receipt, smpp34.DeliverSm)
        assert tlvs_of(receipt) == {0x001E: response.body, 0x0427: b"\x05"}
        assert bool(receipt.short_message) == (fault == "receipt-tlvs")
        assert receipt.esm_class == 0x04

    @shows("receipt-text-only")
    def test_text_alone_wins_over_what_the_behaviour_asks_for(self) -> None:
        [receipt] = deliveries(talk("receipt-text-only", receipt_tlvs=True))
        assert receipt.short_message.startswith(b"id:")
        assert receipt.tlvs == []

    @shows("receipt-data-sm")
    def test_the_receipt_is_a_data_sm_which_waits_for_its_answer(self) -> None:
        async def scenario() -> None:
            async with smsc_with("receipt-data-sm", retry_delay_s=0) as smsc:
                peer = await Esme.bound(smsc.port)
                response = await peer.ask(submit(2))
                receipt = await peer.response()
                assert receipt.command_id == DATA_SM
                assert receipt.body == (
                    b"\0\x01\x0133612345678\0\x05\0STMARTIN\0\x04\0\0"
                    b"\0\x1e\0\x0b" + response.body + b"\x04\x27\0\x01\x02"
                )
                peer.write(pdu(DATA_SM | RESPONSE, receipt.sequence_number, 0x14, b"\0"))
                again = await peer.response()
                assert (again.command_id, again.body) == (DATA_SM, receipt.body)
                peer.write(pdu(DATA_SM | RESPONSE, again.sequence_number, 0, b"\0"))
                await smsc.wait_for(lambda counts: counts.receipts_acknowledged == 1)
                assert smsc.counts.receipts_refused == 1
                await peer.close()

        run(scenario())

    @shows("receipt-esm-0")
    def test_a_receipt_may_be_marked_as_a_text(self) -> None:
        [receipt] = deliveries(talk("receipt-esm-0"))
        assert receipt.esm_class == 0
        assert receipt.short_message.startswith(b"id:")

    @shows("receipt-ucs2")
    def test_the_text_may_be_ucs2(self) -> None:
        [receipt] = deliveries(talk("receipt-ucs2"))
        assert receipt.data_coding == 8
        assert receipt.short_message.decode("utf-16-be").endswith("text:Bonjour")

    @shows("receipt-ucs2", "ids-long")
    def test_a_text_too_long_for_short_message_travels_as_payload(self) -> None:
        [receipt] = deliveries(talk("receipt-ucs2", "ids-long", "receipt-tlvs"))
        assert receipt.short_message == b""
        tlvs = tlvs_of(receipt)
        assert tlvs[0x0424].decode("utf-16-be").endswith("text:Bonjour")
        assert len(tlvs[0x001E]) == 65

    @shows("receipt-missing-fields")
    def test_only_id_and_stat_may_be_there(self) -> None:
        [receipt] = deliveries(talk("receipt-missing-fields"))
        assert re.fullmatch(rb"id:\d{10} stat:DELIVRD", receipt.short_message)

    @shows("receipt-unknown-word")
    def test_state_words_may_be_of_its_own_and_the_tlv_right(self) -> None:
        delivered = talk("receipt-unknown-word", "receipt-tlvs", submits=4)
        assert set(words(delivered)) == {"DELIVERED_OK", "SEEN"}
        assert {tlvs_of(each)[0x0427] for each in deliveries(delivered)} == {b"\x02"}
        lost = talk("receipt-unknown-word", submits=4, outcomes={"EXPIRED": 1})
        assert set(words(lost)) == {"GIVEN_UP", "NO_ROUTE"}

    @shows("receipt-cut")
    def test_the_text_may_end_behind_its_state(self) -> None:
        [receipt] = deliveries(talk("receipt-cut"))
        assert re.fullmatch(
            rb"id:\d{10} sub:001 dlvrd:001 submit date:\d{10} done date:\d{10} stat:DELIVRD",
            receipt.short_message,
        )

    @shows("unknown-tlvs")
    def test_answers_and_receipts_may_carry_a_vendor_s_tlv(self) -> None:
        vendor = b"\x15\x01\0\x04smsc"

        async def scenario() -> None:
            async with smsc_with("unknown-tlvs", "refuse:2") as smsc:
                peer = await Esme.connect(smsc.port)
                bound = await peer.ask(esme.bind(TRANSCEIVER))
                assert bound.body == b"syndic\0\x02\x10\0\x01\x34" + vendor
                peer.write(submit(2), submit(3))
                read = await peer.all_so_far()
                bodies = {each.command_status: each.body for each in responses(read)}
                assert re.fullmatch(rb"\d{10}\0" + re.escape(vendor), bodies[0])
                assert bodies[0x0B] == b""
                [receipt] = deliveries(read)
                assert tlvs_of(receipt) == {0x1501: b"smsc"}
                await peer.close()

        run(scenario())


class TestSessions:
    """How binds begin, live and end."""

    @shows("bind-refused", "bind-throttled", "no-bind-answer")
    @pytest.mark.parametrize(
        ("fault", "status"),
        [("bind-refused", 0x0D), ("bind-throttled", 0x58), ("no-bind-answer", None)],
    )
    def test_the_first_binds_of_an_account_are_refused_and_the_next_is_not(
        self, fault: str, status: int | None
    ) -> None:
        async def scenario() -> None:
            async with smsc_with(f"{fault}:2") as smsc:
                peer = await Esme.connect(smsc.port)
                for system_id in ("syndic", "other"):
                    for _ in range(2):
                        peer.write(esme.bind(TRANSCEIVER, system_id=system_id))
                        read = responses(await peer.all_so_far())
                        expected = [] if status is None else [status]
                        assert [each.command_status for each in read] == expected
                assert smsc.counts.binds_refused == 4
                assert (await peer.ask(esme.bind(TRANSCEIVER))).command_status == 0
                await peer.close()

        run(scenario())

    @shows("already-bound")
    def test_a_lost_connection_holds_its_bind_for_a_while(self) -> None:
        async def scenario() -> None:
            async with smsc_with("already-bound:0.3") as smsc:
                lost = await Esme.bound(smsc.port)
                peer = await Esme.bound(smsc.port)  # while none is lost
                began = time.monotonic()
                await lost.close()
                await smsc.wait_for(lambda counts: counts.bound == 1)
                again = await Esme.connect(smsc.port)
                assert (await again.ask(esme.bind(TRANSCEIVER))).command_status == 0x05
                other = await Esme.bound(smsc.port, system_id="other")
                while (await again.ask(esme.bind(TRANSCEIVER))).command_status == 0x05:
                    pass
                assert time.monotonic() - began >= 0.3
                for each in (peer, again, other):
                    await each.close()

        run(scenario())

    @shows("already-bound")
    @pytest.mark.parametrize("by_us", [True, False])
    def test_an_unbind_frees_the_bind_at_once(self, by_us: bool) -> None:
        async def scenario() -> None:
            faults = ["already-bound:60"] if by_us else ["already-bound:60", f"unbind:{SHORT_S}"]
            async with smsc_with(*faults) as smsc:
                peer = await Esme.bound(smsc.port)
                if by_us:
                    await peer.ask(pdu(UNBIND, 2))
                else:
                    request = await peer.response()
                    peer.write(pdu(UNBIND | RESPONSE, request.sequence_number))
                assert await peer.ends()
                again = await Esme.bound(smsc.port)
                await again.close()

        run(scenario())

    @shows("unbind")
    def test_the_smsc_unbinds_after_a_while_and_closes_when_it_is_answered(self) -> None:
        async def scenario() -> None:
            async with smsc_with(f"unbind:{SHORT_S}") as smsc:
                for _ in range(2):
                    began = time.monotonic()
                    peer = await Esme.bound(smsc.port)
                    request = await peer.response()
                    assert time.monotonic() - began >= SHORT_S
                    assert request.command_id == UNBIND
                    assert (await peer.ask(submit(2, registered_delivery=0))).command_status == 0
                    peer.write(pdu(UNBIND | RESPONSE, request.sequence_number))
                    assert await peer.ends()

        run(scenario())

    @shows("unbind")
    def test_an_unbind_without_an_answer_ends_with_the_stream(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("smppgw.simulator.server.UNBIND_TIMEOUT_S", SHORT_S)

        async def scenario() -> None:
            async with smsc_with(f"unbind:{SHORT_S}") as smsc:
                peer = await Esme.bound(smsc.port)
                assert (await peer.response()).command_id == UNBIND
                assert await peer.ends()

        run(scenario())

    @shows("no-unbind-answer")
    def test_the_stream_ends_instead_of_an_unbind_resp(self) -> None:
        async def scenario() -> None:
            async with smsc_with("no-unbind-answer") as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(submit(2, registered_delivery=0), pdu(UNBIND, 3))
                assert (await peer.response()).command_id == SUBMIT_RESP
                assert await peer.ends()

        run(scenario())

    @shows("drop")
    def test_every_connection_is_cut_after_so_many_submits_which_are_accepted_and_owed(
        self,
    ) -> None:
        async def scenario() -> None:
            witness = Witness()
            async with smsc_with("drop:3", witness=witness) as smsc:
                for seen in (0, 3):
                    peer = await Esme.bound(smsc.port)
                    peer.write(submit(2, registered_delivery=0))
                    assert len(await peer.all_so_far()) == 1
                    peer.write(*map(submit, range(3, 8)))
                    assert await peer.ends()
                    assert smsc.counts.submits == seen + 3
                    first, *lost = witness.accepted[seen:]
                    assert first.answered_at is not None
                    assert [(e.sequence, e.answered_at) for e in lost] == [(3, None), (4, None)]
                    receiver = await Esme.bound(smsc.port, RECEIVER)
                    owed = deliveries(await receiver.all_so_far())
                    assert list(map(receipt_id, owed)) == [entry.message_id for entry in lost]
                    receiver.write(*map(acknowledge, owed))
                    assert await receiver.receives_nothing()
                    await receiver.close()
                    await smsc.wait_for(lambda counts: not counts.bound)

        run(scenario())

    @shows("no-enquire-answer")
    def test_an_enquire_link_is_not_answered_and_all_else_is(self) -> None:
        async def scenario() -> None:
            async with smsc_with("no-enquire-answer") as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(pdu(ENQUIRE_LINK, 2))
                assert (await peer.ask(submit(3))).command_id == SUBMIT_RESP
                await peer.close()

        run(scenario())

    @shows("enquire-often")
    def test_the_smsc_enquires_again_and_again_and_counts_the_answers(self) -> None:
        async def scenario() -> None:
            async with smsc_with(f"enquire-often:{SHORT_S}") as smsc:
                began = time.monotonic()
                peer, numbers = await Esme.bound(smsc.port), set()
                for _ in range(3):
                    request = await peer.response()
                    assert request.command_id == ENQUIRE_LINK
                    numbers.add(request.sequence_number)
                    peer.write(pdu(ENQUIRE_LINK | RESPONSE, request.sequence_number))
                assert time.monotonic() - began >= 3 * SHORT_S
                assert len(numbers) == 3
                await smsc.wait_for(lambda counts: counts.enquire_links_answered == 3)
                await peer.close()

        run(scenario())


class TestOctets:
    """What no parser may stumble over."""

    @shows("cut-anywhere")
    def test_writes_are_cut_where_the_seed_says_and_nothing_is_lost_or_disordered(self) -> None:
        async def writes(*faults: str, seed: int = 1) -> list[bytes]:
            async with smsc_with(*faults, seed=seed, witness=Witness()) as smsc:
                wire = Wire(smsc)
                wire.read(esme.bind(TRANSCEIVER), *map(submit, range(10)))
                wire.read(*map(submit, range(10, 20)))
                await wire.has_written(41)
                wire.close()
                return [*wire.writes]

        async def scenario() -> None:
            cut, same, other, uncut = await asyncio.gather(
                writes("cut-anywhere"),
                writes("cut-anywhere"),
                writes("cut-anywhere", seed=2),
                writes(),
            )
            sizes = list(map(len, cut))
            assert sizes == list(map(len, same)) != list(map(len, other))
            assert len(cut) > len(uncut)
            undated = [re.sub(rb"date:\d+", b"date", b"".join(each)) for each in (cut, uncut)]
            assert undated[0] == undated[1]

        run(scenario())

    @shows("cut-anywhere")
    def test_what_is_left_of_a_write_goes_before_the_end(self) -> None:
        async def scenario() -> None:
            async with smsc_with("cut-anywhere") as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(*map(submit, range(200)), pdu(UNBIND, 999))
                read = [await peer.read() for _ in range(401)]
                assert read[-1].command_id == UNBIND | RESPONSE
                assert await peer.ends()

        run(scenario())

    @shows("glue")
    def test_a_deliver_sm_is_glued_to_the_answer_to_a_bind(self) -> None:
        async def scenario() -> None:
            async with smsc_with("glue", "receipt-late") as smsc:
                for owed in (b"Bonjour", b"id:"):
                    wire = Wire(smsc)
                    wire.read(esme.bind(TRANSCEIVER))
                    [bound, delivery] = wire.pdus()
                    assert len(wire.writes) == 1
                    assert int.from_bytes(bound[4:8], "big") == TRANSCEIVER | RESPONSE
                    decoded = smpp34.decode(delivery)
                    assert isinstance(decoded, smpp34.DeliverSm)
                    assert decoded.short_message.startswith(owed)
                    wire.read(acknowledge(decoded), submit(2))
                    wire.close()
                transmitter = Wire(smsc)
                transmitter.read(esme.bind(esme.TRANSMITTER, system_id="other"))
                assert len(transmitter.pdus()) == 1
                transmitter.close()

        run(scenario())

    @shows("command-length-0", "command-length-4g")
    @pytest.mark.parametrize(
        ("fault", "length"), [("command-length-0", 0), ("command-length-4g", 0xFFFFFFFF)]
    )
    def test_a_command_length_that_cannot_be_comes_once_and_then_silence(
        self, fault: str, length: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("smppgw.simulator.server.SILENCE_S", SHORT_S)

        async def scenario() -> None:
            async with smsc_with(f"{fault}:3") as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(*(submit(n, registered_delivery=0) for n in range(5)))
                for sequence in range(3):
                    assert (await peer.response()).sequence_number == sequence
                header = await peer.octets(16)
                assert int.from_bytes(header[:4], "big") == length
                peer.write(pdu(ENQUIRE_LINK, 9))
                assert await peer.ends()
                assert smsc.counts.accepted == 5
                again = await Esme.bound(smsc.port)
                again.write(*(submit(n, registered_delivery=0) for n in range(5)))
                assert len(await again.all_so_far()) == 5
                await again.close()

        run(scenario())

    @shows("unknown-command")
    def test_a_request_that_nobody_knows_wants_a_nack(self) -> None:
        async def scenario() -> None:
            async with smsc_with("unknown-command:2") as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(submit(2, registered_delivery=0), submit(3, registered_delivery=0))
                read = responses(await peer.all_so_far())
                [unknown] = [each for each in read if each.command_id != SUBMIT_RESP]
                assert unknown.command_id == 0x00010203
                peer.write(pdu(GENERIC_NACK, unknown.sequence_number, 0x03))
                await smsc.wait_for(lambda counts: counts.nacks_received == 1)
                await peer.close()

        run(scenario())

    @shows("sequence-extremes")
    def test_deliver_sm_are_numbered_by_extremes_that_must_be_echoed(self) -> None:
        async def scenario() -> None:
            async with smsc_with("sequence-extremes") as smsc:
                peer = await Esme.bound(smsc.port)
                for first in (2, 5):
                    peer.write(*map(submit, range(first, first + 3)))
                    read = deliveries(await peer.all_so_far())
                    numbers = [each.sequence_number for each in read]
                    assert set(numbers[:2]) == {0, 0xFFFFFFFF}
                    assert numbers[2] in range(1, 3)  # both are taken
                    peer.write(*map(acknowledge, read))
                    assert await peer.receives_nothing()
                    assert smsc.counts.receipts_acknowledged == first + 1
                await peer.close()

        run(scenario())


class TestPhones:
    """What phones answer."""

    @shows("phone-text-like-receipt")
    def test_a_text_may_read_like_a_receipt_and_lie(self) -> None:
        async def scenario() -> None:
            async with smsc_with("phone-text-like-receipt:1") as smsc:
                peer = await Esme.bound(smsc.port)
                peer.write(submit(2))
                response, receipt, text = await peer.all_so_far()
                assert isinstance(response, smpp34.RawPdu)
                assert isinstance(receipt, smpp34.DeliverSm)
                assert isinstance(text, smpp34.DeliverSm)
                assert receipt_id(text) == receipt_id(receipt) == answered_id(response)
                assert (text.esm_class, text.tlvs) == (0, [])
                assert words([receipt, text]) == ["DELIVRD", "UNDELIV"]
                assert (text.source_addr, text.destination_addr) == ("33612345678", "STMARTIN")
                assert (smsc.counts.texts_sent, smsc.counts.receipts_sent) == (1, 1)
                await peer.close()

        run(scenario())

    @shows("texts-udh-8", "texts-udh-16", "texts-sar", "texts-out-of-order")
    @pytest.mark.parametrize(
        "fault", ["texts-udh-8", "texts-udh-16", "texts-sar", "texts-out-of-order"]
    )
    def test_a_long_text_comes_in_parts_that_can_be_put_together(self, fault: str) -> None:
        pdus = [submit(2, registered_delivery=0), submit(3, registered_delivery=0)]
        read = deliveries(talk(f"{fault}:1", submits=pdus))
        parts: dict[bytes, list[tuple[int, int, bytes]]] = {}
        for each in read:
            message = each.short_message
            if fault == "texts-sar":
                tlvs = tlvs_of(each)
                assert each.esm_class == 0
                reference, total, number = tlvs[0x020C], tlvs[0x020E][0], tlvs[0x020F][0]
                assert len(reference) == 2
            else:
                octets = 2 if fault == "texts-udh-16" else 1
                element = 8 if fault == "texts-udh-16" else 0
                assert each.esm_class == 0x40
                assert message[:3] == bytes((4 + octets, element, 2 + octets))
                reference, (total, number) = message[3 : 3 + octets], message[3 + octets :][:2]
                message = message[5 + octets :]
            parts.setdefault(reference, []).append((number, total, message))
        assert len(parts) == 2
        for text in parts.values():
            numbers = [number for number, _, _ in text]
            assert [total for _, total, _ in text] == [3, 3, 3]
            assert numbers == ([3, 2, 1] if fault == "texts-out-of-order" else [1, 2, 3])
            whole = b"".join(message for _, _, message in sorted(text))
            assert whole.startswith(b"Bonjour, un arbre")
            assert whole.endswith(b"a ce numero.")
