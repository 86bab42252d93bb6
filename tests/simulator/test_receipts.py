"""What a receipt says."""

import time

import pytest
import smpp34

from smppgw.simulator import Behaviour, codec
from smppgw.simulator.behaviour import STATES, Decision
from smppgw.simulator.codec import Submit
from smppgw.simulator.receipts import ReceiptWriter

NOW_S = time.mktime((2025, 3, 1, 10, 59, 30, 0, 0, -1))  # local time


def receipt(
    behaviour: Behaviour | None = None,
    *,
    user_data: bytes = b"Crue",
    esm_class: int = 0,
    data_coding: int = 0,
    outcome: str = "DELIVRD",
    receipt_id: bytes | None = b"0000000042",
) -> smpp34.DeliverSm | None:
    """Write a receipt as the simulator does, and read it as smpp34 does."""
    writer = ReceiptWriter(behaviour or Behaviour(outcomes={outcome: 1}))
    submit = Submit(
        7, b"\x05\0STMARTIN\0", b"\x01\x0133612345678\0", esm_class, 1, data_coding, user_data
    )
    decision = Decision(0, b"2a", receipt_id, outcome)
    bodies = writer.write([submit], [decision], NOW_S)
    if not bodies:
        return None
    read = smpp34.decode(codec.encode_deliveries(3, bodies))
    assert isinstance(read, smpp34.DeliverSm)
    return read


def text(**parts: object) -> str:
    read = receipt(**parts)  # type: ignore[arg-type]
    assert read is not None
    return read.short_message.decode("latin-1")


class TestReceipt:
    """SMPP 3.4 issue 1.2, appendix B."""

    def test_a_receipt_reads_as_appendix_b_says(self) -> None:
        assert text() == (
            "id:0000000042 sub:001 dlvrd:001 submit date:2503011059 done date:2503011059"
            " stat:DELIVRD err:000 text:Crue"
        )

    def test_a_receipt_is_a_deliver_sm_with_the_addresses_swapped(self) -> None:
        read = receipt()
        assert read is not None
        assert (read.source_addr, read.source_addr_ton, read.source_addr_npi) == (
            "33612345678",
            1,
            1,
        )
        assert (read.destination_addr, read.dest_addr_ton, read.dest_addr_npi) == ("STMARTIN", 5, 0)
        assert (read.esm_class, read.data_coding, read.tlvs) == (0x04, 0, [])

    def test_a_decision_without_a_receipt_writes_none(self) -> None:
        assert receipt(receipt_id=None) is None

    def test_a_failure_names_its_state_and_an_error(self) -> None:
        assert " dlvrd:000 " in text(outcome="UNDELIV")
        assert " stat:UNDELIV err:005 " in text(outcome="UNDELIV")

    def test_a_word_that_is_no_state_is_sent_as_it_is(self) -> None:
        assert " stat:LOST err:007 " in text(outcome="LOST")

    @pytest.mark.parametrize(("early", "done"), [(False, "2503011101"), (True, "2503011100")])
    def test_the_done_date_counts_the_delays(self, early: bool, done: str) -> None:
        behaviour = Behaviour(latency_s=35, receipt_delay_s=60, early_receipts=early)
        assert f"submit date:2503011059 done date:{done}" in text(behaviour=behaviour)

    def test_dates_follow_the_clock_from_minute_to_minute(self) -> None:
        writer = ReceiptWriter(Behaviour())
        submit = Submit(7, b"\0\0A\0", b"\0\x001\0", 0, 1, 0, b"")
        decision = Decision(0, b"1", b"1", "DELIVRD")
        bodies = [writer.write([submit], [decision], NOW_S + later_s)[0] for later_s in (0, 29, 30)]
        assert bodies[0] == bodies[1]
        assert b"submit date:2503011100" in bodies[2]

    @pytest.mark.parametrize(
        ("user_data", "esm_class", "data_coding", "shown"),
        [
            (b"a text of more than twenty characters", 0, 0, "a text of more than "),
            (b"\x05\0\x03\x2a\x02\x01part one", 0x40, 0, "part one"),
            ("Crue : évacuez 🌊".encode("utf-16-be"), 0, 8, "Crue : ?vacuez ?"),
            (b"\x05\0\x03\x2a\x02\x01" + "évacuez".encode("utf-16-be"), 0x40, 8, "?vacuez"),
            (b"\0lone", 0, 8, "l??"),
            (b"", 0x40, 0, ""),
            (b"\xff", 0x40, 0, ""),
        ],
    )
    def test_twenty_characters_of_the_text_are_repeated(
        self, user_data: bytes, esm_class: int, data_coding: int, shown: str
    ) -> None:
        whole = text(user_data=user_data, esm_class=esm_class, data_coding=data_coding)
        assert whole.split(" text:")[1] == shown

    @pytest.mark.parametrize("word", STATES)
    def test_tlvs_say_the_same_as_the_text_when_asked_for(self, word: str) -> None:
        behaviour = Behaviour(outcomes={word: 1}, receipt_tlvs=True)
        read = receipt(behaviour, outcome=word)
        assert read is not None
        assert read.short_message.startswith(b"id:0000000042 ")
        assert {tlv.tag: tlv.value for tlv in read.tlvs} == {
            0x001E: b"0000000042\0",
            0x0427: bytes((STATES[word].message_state,)),
        }

    @pytest.mark.parametrize("receipt_tlvs", [False, True])
    @pytest.mark.parametrize("receipt_id", [b"0000000042", None])
    @pytest.mark.parametrize(
        ("user_data", "esm_class", "data_coding"),
        [
            (b"a text of more than twenty characters", 0, 0),
            (b"\x05\0\x03\x2a\x02\x01part one", 0x40, 0),
            ("Crue : évacuez".encode("utf-16-be"), 0, 8),
        ],
    )
    def test_without_faults_the_bent_way_writes_what_the_fast_one_does(
        self,
        user_data: bytes,
        esm_class: int,
        data_coding: int,
        receipt_id: bytes | None,
        receipt_tlvs: bool,
    ) -> None:
        writer = ReceiptWriter(
            Behaviour(outcomes={"UNDELIV": 1}, receipt_tlvs=receipt_tlvs, latency_s=90)
        )
        submit = Submit(
            7, b"\x05\0STMARTIN\0", b"\x01\x0133600000001\0", esm_class, 1, data_coding, user_data
        )
        decision = Decision(0, b"2a", receipt_id, "UNDELIV")
        bent = writer.write_bent(submit, decision, NOW_S)
        assert bent == writer.write([submit], [decision], NOW_S)
        assert [each.word for each in bent] == ["UNDELIV"] * len(bent)
