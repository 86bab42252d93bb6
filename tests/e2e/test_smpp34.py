"""The gateway against an SMSC that nobody here wrote: the server of PyPI's smpp34.

It answers binds without looking at the password, so a wrong one is tried on our own simulator.

It takes the deliver_sm_resp of a receiver for a command that it does not know: it answers
generic_nack, to its own client too, and its deliver_sm waits for ever. So it cannot tell whether a
receiver has answered; of a transceiver it can.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import smpp34

from smppgw.sms import compose
from tests.e2e.processes import (
    PATIENCE_S,
    Site,
    free_port,
    is_free,
    national,
    number,
    recipients,
    shown,
    wait_until,
)

pytestmark = pytest.mark.timeout(60)

UDHI = 0x40
RECEIPT = 0x04


class Server:
    """The server, its sessions, and all that it was sent."""

    def __init__(self, port: int, *, receipts: bool, sessions: int = 1) -> None:
        self._server = smpp34.Server("127.0.0.1", port, system_id="SMPP34")
        self._receipts = receipts
        self._sessions = sessions
        self._owed: set[asyncio.Task[None]] = set()
        self._news = asyncio.Condition()
        self.binds: list[smpp34.Esme] = []
        self.unbound = 0
        self.submits: list[smpp34.SubmitSmEvent] = []
        self.told: Counter[str] = Counter()  # receipts, by session
        self.acknowledged = 0

    async def start(self) -> None:
        """Listen."""
        await self._server.start()

    async def serve(self) -> None:
        """Answer everything until cancelled."""
        try:
            while True:
                event = await self._server.next()
                async with self._news:
                    if isinstance(event, smpp34.Esme):
                        self.binds.append(event)
                    elif isinstance(event, smpp34.SubmitSmEvent):
                        self.submits.append(event)
                        self._accept(event)
                    else:
                        self.unbound += 1
                    self._news.notify_all()
        finally:
            for task in self._owed:
                task.cancel()
            await asyncio.gather(*self._owed, return_exceptions=True)
            await self._server.stop()

    def _accept(self, event: smpp34.SubmitSmEvent) -> None:
        smsc_message_id = f"{len(self.submits):08x}"
        event.accept(smsc_message_id)
        if self._receipts:
            task = asyncio.create_task(self._deliver(event, smsc_message_id), name="receipt")
            self._owed.add(task)
            task.add_done_callback(self._owed.discard)

    async def _deliver(self, event: smpp34.SubmitSmEvent, smsc_message_id: str) -> None:
        text = (
            f"id:{smsc_message_id} sub:001 dlvrd:001 submit date:2501010900 "
            "done date:2501010901 stat:DELIVRD err:000 text:"
        )
        newest = self.binds[-self._sessions :]
        receiver = min(
            (esme for esme in newest if esme.can_receive),
            key=lambda esme: self.told[esme.session_id],
        )
        self.told[receiver.session_id] += 1
        answer = await receiver.deliver_sm(
            event.source_addr,
            text.encode(),
            source_addr=event.destination_addr,
            source_addr_ton=1,
            source_addr_npi=1,
            esm_class=RECEIPT,
        )
        async with self._news:
            self.acknowledged += answer.is_success
            self._news.notify_all()

    async def wait(self, condition: Callable[[], bool], limit_s: float = PATIENCE_S) -> None:
        """Wait for what the next events bring."""
        async with asyncio.timeout(limit_s), self._news:
            await self._news.wait_for(condition)


def against_server(
    site: Site, scenario: Callable[[Server], Awaitable[None]], *, receipts: bool = True,
    mode: str = "transceiver", binds: int = 1, **settings: Any,
) -> None:  # fmt: skip
    """Play a scenario with the server and a gateway that has bound to it."""

    async def play() -> None:
        port = free_port()
        path = site.configure(port=port, **settings)
        kinds = f'[[smsc]]\nmode = "{mode}"\nbinds = {binds}\n'
        path.write_text(path.read_text("utf-8").replace("[[smsc]]\n", kinds), "utf-8")
        sessions = binds * len(mode.split("+"))
        server = Server(port, receipts=receipts, sessions=sessions)
        await server.start()
        serving = asyncio.create_task(server.serve(), name="smpp34")
        try:
            await asyncio.to_thread(site.gateway)
            await server.wait(lambda: len(server.binds) >= sessions)
            await scenario(server)
        finally:
            await asyncio.to_thread(site.stop)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(play())


def test_a_list_is_submitted_and_its_receipts_are_matched(site: Site) -> None:
    async def scenario(server: Server) -> None:
        (esme,) = server.binds
        assert esme.system_id == "syndic"
        assert esme.can_receive
        listed = site.write_csv(200)
        job = (await asyncio.to_thread(site.submit, "--recipients", listed))["job"]
        done = await asyncio.to_thread(site.watch, job)
        assert shown(done["counts"]) == {"delivered": 200}
        assert {f"+{submit.destination_addr}" for submit in server.submits} == recipients(200)
        for submit in server.submits:
            assert (submit.source_addr, submit.source_addr_ton) == ("STMARTIN", 5)
            assert (submit.dest_addr_ton, submit.dest_addr_npi) == (1, 1)
            assert (submit.registered_delivery & 3, submit.esm_class) == (1, 0)
            assert submit.short_message == b"Coupure d'eau jeudi."
        receipts = (await asyncio.to_thread(site.read, "status"))["receipts"]
        assert receipts["received"] == receipts["matched"] == 200
        assert server.acknowledged == 200

    against_server(site, scenario)


@pytest.mark.parametrize("binds", [1, 2])
def test_a_transmitter_submits_and_the_receiver_beside_it_is_told(site: Site, binds: int) -> None:
    async def scenario(server: Server) -> None:
        receivers = {esme.session_id for esme in server.binds if esme.can_receive}
        transmitters = {esme.session_id for esme in server.binds} - receivers
        assert (len(transmitters), len(receivers)) == (binds, binds)
        listed = site.write_csv(100)
        job = (await asyncio.to_thread(site.submit, "--recipients", listed))["job"]
        done = await asyncio.to_thread(site.watch, job)
        assert shown(done["counts"]) == {"delivered": 100}
        assert Counter(f"+{s.destination_addr}" for s in server.submits) == dict.fromkeys(
            recipients(100), 1
        )
        assert {submit.session_id for submit in server.submits} == transmitters
        assert server.told.keys() == receivers
        receipts = (await asyncio.to_thread(site.read, "status"))["receipts"]
        assert receipts["received"] == receipts["matched"] == 100
        await asyncio.to_thread(site.stop)
        await server.wait(lambda: server.unbound == 2 * binds)
        assert len(server.binds) == 2 * binds  # no generic_nack made a bind come again

    against_server(site, scenario, mode="transmitter+receiver", binds=binds)


def test_several_transceivers_share_a_list_and_its_receipts(site: Site) -> None:
    async def scenario(server: Server) -> None:
        sessions = {esme.session_id for esme in server.binds}
        assert len(sessions) == 3
        listed = site.write_csv(150)
        job = (await asyncio.to_thread(site.submit, "--recipients", listed))["job"]
        done = await asyncio.to_thread(site.watch, job)
        assert shown(done["counts"]) == {"delivered": 150}
        assert Counter(f"+{s.destination_addr}" for s in server.submits) == dict.fromkeys(
            recipients(150), 1
        )
        assert {submit.session_id for submit in server.submits} == sessions
        assert server.told == dict.fromkeys(sessions, 50)
        await server.wait(lambda: server.acknowledged == 150)

    against_server(site, scenario, binds=3)


@pytest.mark.parametrize(
    "text",
    ["La Lys monte : " + "évacuez, à pied, par la rue Haute. " * 8, "Fête 🎆 d'été ê " * 12],
    ids=["gsm7", "ucs2"],
)
def test_a_long_text_arrives_in_segments_that_a_header_ties(site: Site, text: str) -> None:
    async def scenario(server: Server) -> None:
        job = (await asyncio.to_thread(
            site.submit, "--to", national(1), "--to", national(2), "--rewrite", "keep", text=text
        ))["job"]  # fmt: skip
        done = await asyncio.to_thread(site.watch, job)
        assert shown(done["counts"]) == {"delivered": 2}
        composed = compose(text)
        assert len(composed.segments) > 1
        parts: dict[str, dict[int, bytes]] = defaultdict(dict)
        for submit in server.submits:
            assert submit.esm_class & UDHI
            assert submit.data_coding == composed.data_coding
            header_octets = submit.short_message[0] + 1
            total, part = submit.short_message[header_octets - 2 : header_octets]
            assert total == len(composed.segments)
            parts[submit.destination_addr][part] = submit.short_message[header_octets:]
        assert parts.keys() == {number(1)[1:], number(2)[1:]}
        for segments in parts.values():
            assert [segments[part] for part in sorted(segments)] == composed.segments

    against_server(site, scenario)


def test_an_idle_bind_is_kept_alive_by_enquire_link(site: Site) -> None:
    async def scenario(server: Server) -> None:
        # Without an answer to enquire_link the link would be given up within 0.8 s.
        with pytest.raises(TimeoutError):
            await server.wait(lambda: server.unbound > 0, limit_s=2.0)
        job = (await asyncio.to_thread(site.submit, "--to", national(1)))["job"]
        assert (await asyncio.to_thread(site.watch, job))["state"] == "done"
        assert len(server.binds) == 1

    against_server(site, scenario, enquire_link="300ms", response_timeout="500ms")


def test_an_unbind_of_the_smsc_is_answered_and_the_gateway_comes_back(site: Site) -> None:
    async def scenario(server: Server) -> None:
        listed = site.write_csv(400)
        job = (await asyncio.to_thread(site.submit, "--recipients", listed))["job"]
        await server.wait(lambda: len(server.submits) >= 100)
        await server.binds[0].unbind()
        await server.wait(lambda: len(server.binds) == 2)
        done = await asyncio.to_thread(site.watch, job)
        counts = shown(done["counts"])
        assert counts.keys() <= {"delivered", "unknown"}
        assert counts.get("unknown", 0) <= 10
        written = [submit.destination_addr for submit in server.submits]
        assert len(written) == len(set(written))
        events = [json.loads(line)["event"] for line in site.log()]
        assert events.count("link.down") == 1
        assert events.count("link.bound") == 2

    against_server(site, scenario, throughput=200)


def test_an_smsc_that_starts_again_gets_the_rest_and_nothing_twice(site: Site) -> None:
    async def play() -> None:
        port = free_port()
        # A server that stops leaves its old sessions open: silence alone tells the gateway.
        site.configure(port=port, throughput=200)
        servers = [Server(port, receipts=False), Server(port, receipts=False)]
        await servers[0].start()
        serving = asyncio.create_task(servers[0].serve(), name="smpp34")
        try:
            await asyncio.to_thread(site.gateway)
            await servers[0].wait(lambda: len(servers[0].binds) == 1)
            listed = site.write_csv(300)
            await asyncio.to_thread(site.submit, "--recipients", listed)
            await servers[0].wait(lambda: len(servers[0].submits) >= 100)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            # Its stop returns before its port is free.
            await asyncio.to_thread(wait_until, lambda: is_free(port), "the old server's port")
            await servers[1].start()
            serving = asyncio.create_task(servers[1].serve(), name="smpp34 again")
            first = {submit.destination_addr for submit in servers[0].submits}
            await servers[1].wait(
                lambda: len(first | {s.destination_addr for s in servers[1].submits}) >= 290
            )
            written = [s.destination_addr for server in servers for s in server.submits]
            assert len(written) == len(set(written))
        finally:
            await asyncio.to_thread(site.stop)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(play())


def test_stopping_unbinds(site: Site) -> None:
    async def scenario(server: Server) -> None:
        job = (await asyncio.to_thread(site.submit, "--to", national(1)))["job"]
        await asyncio.to_thread(site.watch, job)
        await asyncio.to_thread(site.stop)
        await server.wait(lambda: server.unbound == 1)

    against_server(site, scenario)
