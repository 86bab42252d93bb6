"""A bare ESME that trusts nobody's codec but smpp34's: it writes octets and reads PDUs."""

import asyncio
import contextlib
import struct
from collections.abc import Coroutine
from typing import Any, Self

import smpp34

TRANSMITTER, RECEIVER, TRANSCEIVER = 2, 1, 9
RESPONSE = 0x80000000
GENERIC_NACK = 0x80000000
SUBMIT_SM, DELIVER_SM, UNBIND, ENQUIRE_LINK = 4, 5, 6, 0x15

_HEADER = struct.Struct(">IIII")

Pdu = smpp34.SubmitSm | smpp34.DeliverSm | smpp34.RawPdu


def pdu(command_id: int, sequence: int, status: int = 0, body: bytes = b"") -> bytes:
    """Write one PDU."""
    return _HEADER.pack(16 + len(body), command_id, status, sequence) + body


def bind(
    kind: int, sequence: int = 1, *, system_id: str = "syndic", password: str = "secret08"
) -> bytes:
    """Write a bind request."""
    return pdu(kind, sequence, 0, f"{system_id}\0{password}\0\0".encode() + b"\x34\0\0\0")


def submit(sequence: int, short_message: bytes = b"Bonjour", **fields: Any) -> bytes:
    """Write a submit_sm that asks for a receipt."""
    fields = {
        "source_addr_ton": 5,
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "registered_delivery": 1,
        "sequence_number": sequence,
    } | fields
    return smpp34.SubmitSm("STMARTIN", "33612345678", short_message, **fields).encode()


def acknowledge(delivery: smpp34.DeliverSm, status: int = 0) -> bytes:
    """Write the deliver_sm_resp."""
    return pdu(DELIVER_SM | RESPONSE, delivery.sequence_number, status, b"\0")


def receipt_id(delivery: smpp34.DeliverSm) -> str:
    """Return the id that a receipt names."""
    return delivery.short_message.decode().split()[0].removeprefix("id:")


def answered_id(response: smpp34.RawPdu) -> str:
    """Return the id that a submit_sm_resp gives."""
    return response.body.rstrip(b"\0").decode()


class Esme:
    """One connection to a simulator."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> Self:
        """Connect, without a bind."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    @classmethod
    async def bound(cls, port: int, kind: int = TRANSCEIVER, system_id: str = "syndic") -> Self:
        """Connect and bind."""
        esme = await cls.connect(port)
        response = await esme.ask(bind(kind, system_id=system_id))
        assert (response.command_id, response.command_status) == (kind | RESPONSE, 0)
        return esme

    def write(self, *octets: bytes) -> None:
        """Write in one piece."""
        self.writer.write(b"".join(octets))

    async def ask(self, octets: bytes) -> smpp34.RawPdu:
        """Write a PDU and return the next one, which is no deliver_sm."""
        self.write(octets)
        return await self.response()

    async def read(self) -> Pdu:
        """Return the next PDU."""
        header = await self._reader.readexactly(16)
        length = _HEADER.unpack(header)[0]
        return smpp34.decode(header + await self._reader.readexactly(length - 16))

    async def octets(self, count: int) -> bytes:
        """Return the next octets, whatever they are."""
        return await self._reader.readexactly(count)

    async def response(self) -> smpp34.RawPdu:
        """Return the next PDU, which is no deliver_sm."""
        read = await self.read()
        assert isinstance(read, smpp34.RawPdu)
        return read

    async def delivery(self) -> smpp34.DeliverSm:
        """Return the next PDU, which is a deliver_sm."""
        read = await self.read()
        assert isinstance(read, smpp34.DeliverSm)
        return read

    async def all_so_far(self) -> list[Pdu]:
        """Return what comes before the answer to an enquire_link."""
        self.write(pdu(ENQUIRE_LINK, 999_999))
        read = [await self.read()]
        while not _is_answer(read[-1]):
            read.append(await self.read())
        return read[:-1]

    async def receives_nothing(self) -> bool:
        """Say whether an enquire_link is answered before anything else comes."""
        return await self.all_so_far() == []

    async def ends(self) -> bool:
        """Say whether the simulator closes the connection without another octet."""
        try:
            return await self._reader.read(1) == b""
        except ConnectionResetError:
            return True
        finally:
            await self.close()

    async def close(self) -> None:
        """Close without unbind."""
        self.writer.close()
        with contextlib.suppress(ConnectionResetError):  # the simulator was quicker
            await self.writer.wait_closed()


def _is_answer(read: Pdu) -> bool:
    return isinstance(read, smpp34.RawPdu) and (read.command_id, read.sequence_number) == (
        ENQUIRE_LINK | RESPONSE,
        999_999,
    )


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario, for 20 seconds at most."""

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario

    asyncio.run(bounded())
