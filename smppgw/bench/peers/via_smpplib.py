"""smpplib as its README shows it: one thread that writes while the window is open, then reads."""

from smpplib.client import Client

from smppgw.bench.peers.task import SENDER, TEXT, Task, Watch, destination

TIMEOUT_S = 30


def main() -> None:
    """Send the messages of the command line."""
    task = Task.from_command_line()
    sent = answered = receipts = 0

    def on_answer(**_: object) -> None:
        nonlocal answered
        answered += 1

    def on_deliver(**_: object) -> None:
        nonlocal receipts
        receipts += 1

    client = Client(task.host, task.port, timeout=TIMEOUT_S, allow_unknown_opt_params=True)
    client.set_message_sent_handler(on_answer)
    client.set_message_received_handler(on_deliver)
    client.connect()
    client.bind_transceiver(system_id=task.system_id, password=task.password)
    watch, text = Watch(), TEXT.encode()
    while receipts < task.messages:
        while sent < task.messages and sent - answered < task.window:
            client.send_message(
                source_addr_ton=5,
                source_addr_npi=0,
                source_addr=SENDER,
                dest_addr_ton=1,
                dest_addr_npi=1,
                destination_addr=destination(sent),
                short_message=text,
                registered_delivery=1,
            )
            sent += 1
        client.read_once()
    watch.report(task.messages)
    client.unbind()
    client.disconnect()


if __name__ == "__main__":
    main()
