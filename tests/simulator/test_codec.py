"""The codec: its table against an independent one, its fast path against its table."""

import struct
from typing import Any

import pytest
import smpp34
from hypothesis import given
from hypothesis import strategies as st
from smpplib import consts
from smpplib import smpp as smpplib_smpp

from smppgw.errors import RemoteProtocolError
from smppgw.simulator import codec

BIND_FIELDS = {
    "system_id": "syndic",
    "password": "secret08",
    "system_type": "",
    "interface_version": 0x34,
    "addr_ton": 1,
    "addr_npi": 1,
    "address_range": "",
}
MESSAGE_FIELDS: dict[str, Any] = {
    "service_type": "",
    "source_addr_ton": 5,
    "source_addr_npi": 0,
    "source_addr": "STMARTIN",
    "dest_addr_ton": 1,
    "dest_addr_npi": 1,
    "destination_addr": "33612345678",
    "esm_class": 0,
    "protocol_id": 0,
    "priority_flag": 0,
    "schedule_delivery_time": "",
    "validity_period": "",
    "registered_delivery": 1,
    "replace_if_present_flag": 0,
    "data_coding": 0,
    "sm_default_msg_id": 0,
    "short_message": b"Crue",
    "tlvs": {},
}
MESSAGE_OCTETS = b"\0\x05\0STMARTIN\0\x01\x0133612345678\0\0\0\0\0\0\x01\0\0\0\x04Crue"

# command_id, status, fields, body
CASES: list[tuple[int, int, dict[str, Any], bytes]] = [
    (codec.BIND_RECEIVER, 0, BIND_FIELDS, b"syndic\0secret08\0\0\x34\x01\x01\0"),
    (codec.BIND_TRANSMITTER, 0, BIND_FIELDS, b"syndic\0secret08\0\0\x34\x01\x01\0"),
    (codec.BIND_TRANSCEIVER, 0, BIND_FIELDS, b"syndic\0secret08\0\0\x34\x01\x01\0"),
    (
        codec.BIND_TRANSCEIVER | codec.RESPONSE_BIT,
        0,
        {"system_id": "syndic", "tlvs": {0x0210: b"\x34"}},
        b"syndic\0\x02\x10\x00\x01\x34",
    ),
    (codec.BIND_TRANSCEIVER | codec.RESPONSE_BIT, 0x0E, {}, b""),
    (codec.SUBMIT_SM, 0, MESSAGE_FIELDS, MESSAGE_OCTETS),
    (
        codec.SUBMIT_SM,
        0,
        MESSAGE_FIELDS | {"validity_period": "000001000000000R", "esm_class": 0x40},
        b"\0\x05\0STMARTIN\0\x01\x0133612345678\0\x40\0\0\0"
        + b"000001000000000R\0\x01\0\0\0\x04Crue",
    ),
    (
        codec.SUBMIT_SM,
        0,
        MESSAGE_FIELDS | {"short_message": b"", "tlvs": {0x0424: b"long"}},
        MESSAGE_OCTETS[:-5] + b"\0" + b"\x04\x24\x00\x04long",
    ),
    (codec.SUBMIT_SM_RESP, 0, {"message_id": "0000000001", "tlvs": {}}, b"0000000001\0"),
    (codec.SUBMIT_SM_RESP, 0x58, {}, b""),
    (
        codec.DELIVER_SM,
        0,
        MESSAGE_FIELDS | {"tlvs": {0x001E: b"7\0", 0x0427: b"\x02"}},
        MESSAGE_OCTETS + b"\x00\x1e\x00\x027\0" + b"\x04\x27\x00\x01\x02",
    ),
    (codec.DELIVER_SM_RESP, 0, {"message_id": "", "tlvs": {}}, b"\0"),
    (
        codec.DATA_SM,
        0,
        {
            "service_type": "",
            "source_addr_ton": 1,
            "source_addr_npi": 1,
            "source_addr": "33600000001",
            "dest_addr_ton": 5,
            "dest_addr_npi": 0,
            "destination_addr": "STMARTIN",
            "esm_class": 4,
            "registered_delivery": 0,
            "data_coding": 0,
            "tlvs": {0x001E: b"7\0"},
        },
        b"\0\x01\x0133600000001\0\x05\0STMARTIN\0\x04\0\0\x00\x1e\x00\x027\0",
    ),
    (codec.DATA_SM_RESP, 0, {"message_id": "", "tlvs": {}}, b"\0"),
    (codec.UNBIND, 0, {}, b""),
    (codec.UNBIND_RESP, 0, {}, b""),
    (codec.ENQUIRE_LINK, 0, {}, b""),
    (codec.ENQUIRE_LINK_RESP, 0, {}, b""),
    (codec.GENERIC_NACK, 3, {}, b""),
]
IDS = [f"{codec.LAYOUTS[command_id][0]}-{n}" for n, (command_id, *_) in enumerate(CASES)]
cases = pytest.mark.parametrize(("command_id", "status", "fields", "body"), CASES, ids=IDS)


def whole(command_id: int, status: int, body: bytes, sequence: int = 7) -> bytes:
    return struct.pack(">IIII", 16 + len(body), command_id, status, sequence) + body


def read(chunks: list[bytes]) -> tuple[list[Any], bool]:
    """Walk a stream as a session does; return what it holds, in one list for each kind."""
    submits: list[codec.Submit] = []
    acknowledged: list[int] = []
    refused: list[int] = []
    others: list[bytes] = []
    kept, broken = b"", False
    for chunk in chunks:
        data, at = kept + chunk, 0
        other: bytes | None = b""
        while other is not None and not broken:
            walked = codec.walk(data, at)
            at, other, broken = walked.consumed, walked.other, walked.broken
            submits += walked.submits
            acknowledged += walked.acknowledged
            refused += walked.refused
            others += [] if other is None else [other]
        kept = data[at:]
    return [submits, acknowledged, refused, others], broken


def slow_submit(pdu: bytes) -> codec.Submit:
    """Read a submit_sm by the table: the plain twin of the walk."""
    fields = codec.decode(pdu).fields

    def address(side: str, name: str) -> bytes:
        text: str = fields[name]
        numbering = bytes((fields[f"{side}_addr_ton"], fields[f"{side}_addr_npi"]))
        return numbering + text.encode("latin-1") + b"\0"

    return codec.Submit(
        codec.decode(pdu).sequence,
        address("source", "source_addr"),
        address("dest", "destination_addr"),
        fields["esm_class"],
        fields["registered_delivery"],
        fields["data_coding"],
        fields["short_message"] or fields["tlvs"].get(0x0424, b""),
        pdu[16 + len(codec.encode_body(codec.SUBMIT_SM, **fields | {"tlvs": {}})) :],
    )


class TestTable:
    """SMPP 3.4 issue 1.2, section 4."""

    @cases
    def test_fields_become_these_octets(
        self, command_id: int, status: int, fields: dict[str, Any], body: bytes
    ) -> None:
        assert codec.encode(command_id, 7, status, **fields) == whole(command_id, status, body)

    @cases
    def test_these_octets_become_fields(
        self, command_id: int, status: int, fields: dict[str, Any], body: bytes
    ) -> None:
        name = codec.LAYOUTS[command_id][0]
        assert codec.decode(whole(command_id, status, body)) == (
            name,
            command_id,
            status,
            7,
            fields,
        )

    @cases
    def test_a_stream_cut_at_every_octet_gives_the_same_pdus(
        self, command_id: int, status: int, fields: dict[str, Any], body: bytes
    ) -> None:
        octets = whole(command_id, status, body)
        assert read([bytes((octet,)) for octet in octets]) == read([octets])
        assert sum(map(len, read([octets])[0])) == 1

    @cases
    def test_a_pdu_is_read_although_the_next_one_is_glued_to_it(
        self, command_id: int, status: int, fields: dict[str, Any], body: bytes
    ) -> None:
        octets, next_one = whole(command_id, status, body), whole(codec.ENQUIRE_LINK, 0, b"", 8)
        alone, glued = read([octets])[0], read([octets + next_one + next_one[:5]])[0]
        assert glued == [*alone[:3], [*alone[3], next_one]]
        assert codec.split(octets + next_one + next_one[:5]) == [octets, next_one]

    def test_octets_left_out_are_zero_and_texts_are_empty(self) -> None:
        assert codec.encode_body(codec.DELIVER_SM) == bytes(17)

    def test_an_unknown_command_keeps_its_octets(self) -> None:
        pdu = codec.decode(whole(0x00010203, 0, b"abc"))
        assert pdu == (None, 0x00010203, 0, 7, {"body": b"abc"})

    @pytest.mark.parametrize(
        "body", [b"", b"syndic", b"syndic\0secret08\0\0\x34", MESSAGE_OCTETS[:12]]
    )
    @pytest.mark.parametrize(
        "command_id", [codec.BIND_TRANSCEIVER, codec.SUBMIT_SM, codec.DELIVER_SM]
    )
    def test_a_body_cut_short_is_a_documented_error(self, command_id: int, body: bytes) -> None:
        with pytest.raises(RemoteProtocolError, match="cut short"):
            codec.decode(whole(command_id, 0, body))

    @pytest.mark.parametrize(
        ("esm_class", "user_data", "tlvs", "part"),
        [
            (0x40, b"\x05\0\x03\x2a\x03\x02Crue", {}, (42, 3, 2)),
            (0x40, b"\x06\x08\x04\x12\x34\x03\x01Crue", {}, (0x1234, 3, 1)),
            (0x40, b"\x09\x05\x02\0\0\0\x03\x07\x02\x02Crue", {}, (7, 2, 2)),
            (0x00, b"\x05\0\x03\x2a\x03\x02Crue", {}, None),
            (0x40, b"\x05\0\x03", {}, None),
            (0x40, b"\x02\x24\0Crue", {}, None),
            (0x40, b"", {}, None),
            (0, b"Crue", {0x020C: b"\x12\x34", 0x020E: b"\x02", 0x020F: b"\x01"}, (0x1234, 2, 1)),
            (0, b"Crue", {0x020C: b"\x12\x34"}, None),
        ],
    )
    def test_a_segment_tells_which_part_it_is_in_its_header_or_in_sar_tlvs(
        self, esm_class: int, user_data: bytes, tlvs: dict[int, bytes], part: Any
    ) -> None:
        octets = codec.encode_tlvs(tlvs)
        submit = codec.Submit(7, b"\0\0\0", b"\0\0\0", esm_class, 1, 0, user_data, octets)
        assert codec.part_of(submit) == part

    def test_a_tlv_cut_short_ends_the_tlvs_and_nothing_else(self) -> None:
        tlvs = codec.parse_tlvs(b"\x04\x27\0\x01\x02\x04\x24\0\x09ab")
        assert tlvs == {0x0427: b"\x02"}


addresses = st.text("0123456789ABCé", max_size=20)
octet = st.integers(0, 255)
submit_fields = st.fixed_dictionaries(
    {
        "service_type": st.text("ABC", max_size=5),
        "source_addr_ton": octet,
        "source_addr_npi": octet,
        "source_addr": addresses,
        "dest_addr_ton": octet,
        "dest_addr_npi": octet,
        "destination_addr": addresses,
        "esm_class": octet,
        "schedule_delivery_time": st.sampled_from(["", "250301100000000+"]),
        "validity_period": st.sampled_from(["", "000001000000000R"]),
        "registered_delivery": octet,
        "data_coding": octet,
        "short_message": st.binary(max_size=254),
        "tlvs": st.dictionaries(st.sampled_from([0x020C, 0x0424, 0x1401]), st.binary(max_size=9)),
    }
)
submits = st.builds(
    lambda sequence, fields: codec.encode(codec.SUBMIT_SM, sequence, **fields),
    st.integers(1, codec.SEQUENCE_LIMIT),
    submit_fields,
)
answers = st.builds(
    lambda sequence, status: whole(codec.DELIVER_SM_RESP, status, b"\0", sequence),
    st.integers(1, codec.SEQUENCE_LIMIT),
    st.sampled_from([0, 0, 0x14]),
)
others = st.sampled_from(
    [whole(codec.ENQUIRE_LINK, 0, b""), whole(0x77, 0, b"??"), whole(codec.SUBMIT_SM, 0, b"\0\0")]
)
streams = st.lists(submits | answers | others, max_size=8)


class TestWalk:
    """The fast path is held equal to the table."""

    @given(submits)
    def test_walk_reads_a_submit_sm_as_the_table_does(self, pdu: bytes) -> None:
        assert codec.walk(pdu).submits == [slow_submit(pdu)]

    @given(st.binary(max_size=60).map(lambda body: whole(codec.SUBMIT_SM, 0, body)))
    def test_walk_and_table_agree_on_which_submit_sm_are_cut_short(self, pdu: bytes) -> None:
        # What follows must not be taken for the missing part.
        walked = codec.walk(pdu + pdu)
        try:
            expected = [slow_submit(pdu)] * 2
        except RemoteProtocolError:
            assert (walked.submits, walked.other, walked.consumed) == ([], pdu, len(pdu))
        else:
            assert (walked.submits, walked.other) == (expected, None)

    @given(streams, st.data())
    def test_any_split_of_a_stream_gives_the_same_pdus(
        self, pdus: list[bytes], data: st.DataObject
    ) -> None:
        stream = b"".join(pdus)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
        chunks = [
            stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        ]
        assert read(chunks) == read([stream])
        assert sum(map(len, read(chunks)[0])) == len(pdus)

    @given(streams, st.integers(0, 100))
    def test_what_came_before_another_kind_is_handed_over_before_it(
        self, pdus: list[bytes], cut: int
    ) -> None:
        stream = b"".join(pdus)
        walked = codec.walk(stream)
        here = codec.split(stream[: walked.consumed])
        counted = len(walked.submits) + len(walked.acknowledged) + len(walked.refused)
        assert counted + (walked.other is not None) == len(here)
        if walked.other is not None:
            assert here[-1] == walked.other

    @given(st.binary(max_size=300), st.binary(max_size=60))
    def test_random_octets_give_pdus_or_a_broken_stream_and_never_raise(
        self, noise: bytes, body: bytes
    ) -> None:
        for octets in (noise, whole(4, 0, body) + noise, whole(0x80000005, 1, noise)):
            walked = codec.walk(octets)
            assert walked.consumed <= len(octets)
            for pdu in codec.split(octets):
                try:
                    codec.decode(pdu)
                except RemoteProtocolError:
                    continue

    @pytest.mark.parametrize("length", [0, 4, 15, 65_537, 0xFFFFFFFF])
    def test_a_command_length_that_cannot_be_is_found_with_its_fourth_octet(
        self, length: int
    ) -> None:
        good, bad = whole(codec.ENQUIRE_LINK, 0, b""), struct.pack(">I", length)
        assert not codec.walk(bad[:3]).broken
        for octets in (bad, bad + bytes(30)):
            assert codec.walk(good + octets, len(good)) == ([], [], [], None, len(good), True)
        assert codec.split(good + bad + bytes(30)) == [good]

    @pytest.mark.parametrize("length", [16, 65_536])
    def test_a_command_length_at_either_end_is_waited_for(self, length: int) -> None:
        octets = whole(codec.ENQUIRE_LINK, 0, bytes(length - 16))
        assert codec.walk(octets[:-1]) == ([], [], [], None, 0, False)
        assert codec.walk(octets) == ([], [], [], octets, length, False)

    @given(st.integers(1, codec.SEQUENCE_LIMIT), st.text("0123abc-", max_size=64))
    def test_a_response_is_encoded_as_the_table_does(self, sequence: int, message_id: str) -> None:
        fast = codec.encode_submit_resp(sequence, 0, message_id.encode())
        assert fast == codec.encode(codec.SUBMIT_SM_RESP, sequence, message_id=message_id)
        refused = codec.encode_submit_resp(sequence, 0x58, b"")
        assert refused == codec.encode(codec.SUBMIT_SM_RESP, sequence, 0x58)

    @given(st.integers(1, 1000), st.lists(submit_fields, max_size=4))
    def test_deliveries_are_encoded_as_the_table_does(
        self, first: int, batch: list[dict[str, Any]]
    ) -> None:
        bodies = [codec.encode_body(codec.DELIVER_SM, **fields) for fields in batch]
        assert codec.encode_deliveries(first, bodies) == b"".join(
            codec.encode(codec.DELIVER_SM, sequence, **fields)
            for sequence, fields in enumerate(batch, first)
        )


class TestIndependentCodecs:
    """smpp34 and smpplib, which nobody here wrote."""

    @given(submit_fields)
    def test_smpp34_reads_what_we_write_and_writes_what_we_read(
        self, fields: dict[str, Any]
    ) -> None:
        fields = fields | {"source_addr": "STMARTIN", "destination_addr": "33612345678"}
        if fields["tlvs"].get(0x0424) is not None:
            fields["short_message"] = b""
        theirs = smpp34.DeliverSm(
            **fields | {"tlvs": [smpp34.Tlv(*tlv) for tlv in fields["tlvs"].items()]},
            sequence_number=7,
        )
        ours = codec.encode(codec.DELIVER_SM, 7, **fields)
        assert ours == theirs.encode()
        decoded = codec.decode(theirs.encode()).fields
        assert {name: decoded[name] for name in fields} == fields

    def test_smpplib_and_we_agree_on_a_bind(self) -> None:
        theirs = smpplib_smpp.make_pdu(
            "bind_transceiver",
            sequence=1,
            system_id="syndic",
            password="secret08",
            interface_version=consts.SMPP_VERSION_34,
            addr_ton=1,
            addr_npi=1,
        )
        theirs.sequence = 7
        assert codec.decode(theirs.generate()).fields == BIND_FIELDS
