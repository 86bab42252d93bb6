"""deliver_sm → the part of a text that it carries.

A long text comes in parts, numbered by a user data header in front of the octets or by three TLVs.
Here the octets of a part are freed from their header and its numbers are read; joining parts is the
ledger's, which outlives a restart.

Nothing is ever raised and no octet of a text is dropped: a header that is cut short is text, a
numbering that cannot be (part 3 of 2, part 0) is none.

Sources: SMPP 3.4 issue 1.2, 5.2.12 (esm_class), 5.3.2.22 to 5.3.2.24 (sar_…), 5.3.2.32
(message_payload); 3GPP TS 23.040, 9.2.3.24 (header), 9.2.3.24.1 and 9.2.3.24.8 (numbering).
"""

from collections.abc import Mapping
from typing import NamedTuple

from smppgw.smpp.pdu import (
    ESM_CLASS_UDHI,
    MESSAGE_PAYLOAD,
    SAR_MSG_REF_NUM,
    SAR_SEGMENT_SEQNUM,
    SAR_TOTAL_SEGMENTS,
)

# Three ways to number parts, each with references of its own: reference 5 of one has nothing to do
# with reference 5 of another. What is added to a reference keeps them apart.
IN_8_BITS, IN_16_BITS, IN_TLVS = 0x00000, 0x10000, 0x20000
# Information elements that number parts: octets of the reference, and what is added to it.
_NUMBERINGS = {0x00: (1, IN_8_BITS), 0x08: (2, IN_16_BITS)}


class Numbering(NamedTuple):
    """Which part of which text: `number` 1 to `total`, which is at most 255.

    `reference` ties the parts of one text together, for one sender and one destination.
    """

    reference: int
    total: int
    number: int


WHOLE = Numbering(0, 1, 1)


class Part(NamedTuple):
    """The user data of one PDU without its header, which had `header_octets`."""

    octets: bytes
    header_octets: int = 0
    numbering: Numbering = WHOLE


def parse_part(
    short_message: bytes, esm_class: int = 0, tlvs: Mapping[int, bytes] | None = None
) -> Part:
    """Take the user data of a deliver_sm apart; never raises (0.5 µs for a text of one part).

    Args:
        short_message: its octets; where there are none, those of the message_payload count.
        esm_class: says whether a user data header leads them.
        tlvs: optional parameters by tag. Where header and TLVs both number the part, the header
            does: it comes from the phone.
    """
    octets = short_message or (tlvs.get(MESSAGE_PAYLOAD, b"") if tlvs else b"")
    header_octets, numbering = 0, WHOLE
    if esm_class & ESM_CLASS_UDHI and octets and octets[0] < len(octets):
        header_octets = octets[0] + 1
        numbering = _numbering_of(octets[1:header_octets])
        octets = octets[header_octets:]
    if numbering is WHOLE and tlvs and SAR_MSG_REF_NUM in tlvs:
        numbering = _numbering_in(tlvs)
    return Part(octets, header_octets, numbering)


def international(address: str) -> str:
    """Write an address in E.164 where its digits alone say that it is one, else as it came.

    An SMSC writes +33600000000 as 33600000000. Fewer than 10 digits may be a short code or a
    national number without its zero, so they are left alone, as are names.
    """
    digits = address.removeprefix("00")
    if 10 <= len(digits) <= 15 and digits.isascii() and digits.isdigit() and digits[0] != "0":
        return f"+{digits}"
    return address


def _numbering_of(elements: bytes) -> Numbering:
    """Read the information elements of a header; of several numberings the last sound one counts.

    Other elements (ports, shift tables of languages) are passed over.
    """
    numbering, at = WHOLE, 0
    while at + 2 <= len(elements):
        identifier, length = elements[at], elements[at + 1]
        value = elements[at + 2 : at + 2 + length]
        at += 2 + length
        if identifier in _NUMBERINGS:
            octets, space = _NUMBERINGS[identifier]
            if len(value) == length == octets + 2:
                reference = space | int.from_bytes(value[:octets], "big")
                numbering = _sound(Numbering(reference, *value[octets:])) or numbering
    return numbering


def _numbering_in(tlvs: Mapping[int, bytes]) -> Numbering:
    reference = tlvs[SAR_MSG_REF_NUM]
    total = tlvs.get(SAR_TOTAL_SEGMENTS, b"")
    number = tlvs.get(SAR_SEGMENT_SEQNUM, b"")
    if len(reference) > 2 or len(total) != 1 or len(number) != 1:
        return WHOLE
    found = Numbering(IN_TLVS | int.from_bytes(reference, "big"), total[0], number[0])
    return _sound(found) or WHOLE


def _sound(numbering: Numbering) -> Numbering | None:
    """Keep a numbering of several parts that can be; None for any other."""
    _, total, number = numbering
    return numbering if total > 1 and 1 <= number <= total else None
