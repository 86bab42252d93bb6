"""smpp34: its Rust core keeps the window and answers deliver_sm; Python awaits each message."""

import asyncio
from collections.abc import Iterator

import smpp34

from smppgw.bench.peers.task import SENDER, TEXT, Task, Watch, destination


async def run(task: Task) -> None:
    """Send the messages of a task."""
    client = smpp34.Client(
        task.host, task.port, task.system_id, task.password, window_size=task.window
    )
    smsc = await client.connect()
    watch, ordinals, text = Watch(), iter(range(task.messages)), TEXT.encode()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(task.window):
            tasks.create_task(_submit(smsc, ordinals, text))
        for _ in range(task.messages):
            event = await smsc.next()
            assert isinstance(event, smpp34.DeliverSmEvent), "the SMSC went away"
    watch.report(task.messages)
    await smsc.unbind()
    await client.stop()


async def _submit(smsc: smpp34.Smsc, ordinals: Iterator[int], text: bytes) -> None:
    for ordinal in ordinals:
        answer = await smsc.submit_sm(
            destination(ordinal),
            text,
            source_addr=SENDER,
            source_addr_ton=5,
            dest_addr_ton=1,
            dest_addr_npi=1,
            registered_delivery=1,
        )
        assert answer.is_success, "the SMSC refused a message"


if __name__ == "__main__":
    asyncio.run(run(Task.from_command_line()))
