"""aiosmpplib with its own in-memory broker and correlator; its hook keeps the window."""

import asyncio

from aiosmpplib import ESME, NPI, TON, AbstractHook, DeliverSm, PhoneNumber, SubmitSm, SubmitSmResp

from smppgw.bench.peers.task import SENDER, TEXT, Task, Watch, destination

ERROR_LEVEL = 40  # as in the module logging: what is wrong, and nothing else


class Hook:
    """Queues the next message for each answer, and counts receipts."""

    def __init__(self, task: Task) -> None:
        """Begin with an empty window."""
        self.done = asyncio.Event()
        self.esme: ESME | None = None
        self._task = task
        self._sent = 0
        self._receipts = 0
        self._source = PhoneNumber(SENDER, TON.ALPHANUMERIC, NPI.UNKNOWN)

    async def submit(self) -> None:
        """Queue the next message, if there is one."""
        if self._sent < self._task.messages:
            number = PhoneNumber(destination(self._sent), TON.INTERNATIONAL, NPI.ISDN)
            self._sent += 1
            assert self.esme is not None
            await self.esme.broker.enqueue(
                SubmitSm(
                    short_message=TEXT,
                    source=self._source,
                    destination=number,
                    registered_delivery=1,
                )
            )

    async def sending(self, smpp_message: object, pdu: bytes, client_id: str) -> None:
        """Let it go."""

    async def received(self, smpp_message: object, pdu: bytes, client_id: str) -> None:
        """See an answer or a receipt."""
        if isinstance(smpp_message, SubmitSmResp):
            await self.submit()
        elif isinstance(smpp_message, DeliverSm):
            self._receipts += 1
            if self._receipts == self._task.messages:
                self.done.set()

    async def send_error(self, smpp_message: object, error: Exception, client_id: str) -> None:
        """Give up: what is measured is a run without errors."""
        raise error


AbstractHook.register(Hook)  # not a subclass: the package has no types to derive from


async def run(task: Task) -> None:
    """Send the messages of a task."""
    hook = Hook(task)
    hook.esme = esme = ESME(
        task.host,
        task.port,
        task.system_id,
        task.password,
        hook=hook,
        log_level=ERROR_LEVEL,
    )
    watch = Watch()
    for _ in range(task.window):
        await hook.submit()
    serving = asyncio.create_task(esme.start(), name="esme")
    waiting = asyncio.create_task(hook.done.wait(), name="receipts")
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if waiting.done():
        watch.report(task.messages)
    waiting.cancel()
    await esme.stop()
    await serving


if __name__ == "__main__":
    asyncio.run(run(Task.from_command_line()))
