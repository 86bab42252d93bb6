"""`run` and `simulate`: the two that stay in the foreground until they are told to stop."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import structlog

from smppgw.cli.logs import set_up_logs
from smppgw.cli.output import err
from smppgw.cli.send import Duration
from smppgw.config import load
from smppgw.errors import ConfigError, InputError, OperationError
from smppgw.gateway import Gateway
from smppgw.link import Trace
from smppgw.notify import Notifier
from smppgw.simulator import (
    Behaviour,
    Simulator,
    describe_faults,
    parse_faults,
    parse_outcomes,
)


@click.command()
@click.option("--trace", is_flag=True, help="Log a line for each PDU from the start.")
@click.option(
    "--unmasked", is_flag=True, help="Numbers and texts stand in the trace; for a short while only."
)
@click.pass_obj
def run(config_path: Path | None, trace: bool, unmasked: bool) -> None:
    """Run the gateway: hold the binds, send, record what comes back.

    SIGTERM or SIGINT lets the window drain, unbinds and stops with 0; a second one stops at once.
    SIGHUP reads the configuration again and takes over what can be changed while running: of an
    account its rate, window, time-outs, delays, statuses, prices and passwords, and all of classes,
    hours, tenants, opt-outs, readiness and retention; the log says what needs a restart. SIGUSR1
    switches the trace of PDUs on, and off again.

    Under systemd it says when it is ready and how it stands, and feeds the watchdog as long as it
    makes progress.
    """
    config = load(config_path)
    set_up_logs()
    gc.set_threshold(_GC_THRESHOLD)
    notifier = Notifier(os.environ)

    async def serve() -> None:
        gateway = Gateway(config, Trace(on=trace, masked=not unmasked))
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()

        def started() -> None:
            notifier.ready("started")
            tell = tell_manager(notifier, gateway.unhealthy, gateway.unready, ended)
            tasks.create_task(tell, name="manager")

        def stop() -> None:
            notifier.stopping("waiting for the answers that are owed")
            gateway.stop()

        on_signals(stop)
        loop.add_signal_handler(signal.SIGUSR1, gateway.switch_trace)
        loop.add_signal_handler(signal.SIGHUP, _reload, gateway, config_path, notifier)
        async with asyncio.TaskGroup() as tasks:
            await gateway.run(started)
            ended.set()

    run_until_signal(serve())


log = structlog.get_logger()

TELL_S = 10.0  # how often a manager hears how the service stands, where the watchdog asks no more


async def tell_manager(
    notifier: Notifier,
    unhealthy: Callable[[], str | None],
    unready: Callable[[], str | None],
    ended: asyncio.Event,
) -> None:
    """Tell the service manager how the gateway stands; the watchdog is fed by progress alone.

    Args:
        notifier: the way to the manager; where there is none this returns at once.
        unhealthy: says why no progress is made, or None; then the watchdog is not fed.
        unready: says why an alert could not leave, or None.
        ended: ends this.
    """
    pause_s = min(TELL_S, (notifier.watchdog_s or TELL_S) / 3)  # one late feeding does no harm
    while notifier.listened_to and not ended.is_set():
        problem = unhealthy()
        if problem is None:
            reason = unready()
            notifier.alive(f"not ready: {reason}" if reason else "ready: an alert could leave now")
        else:
            notifier.stands(f"stuck: {problem}")
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await ended.wait()


# A turn of 100 makes and drops a thousand tuples. At Python's 700 those that are in use are looked
# at for cycles with every turn, which takes 0.06 ms of its 2.7.
_GC_THRESHOLD = 20_000


def _reload(gateway: Gateway, config_path: Path | None, notifier: Notifier) -> None:
    """Take over a changed configuration, or say what is wrong with it and go on as before."""
    notifier.reloading()
    try:
        config = load(config_path)
    except ConfigError as error:
        log.error("config.refused", problems=error.problems)
        notifier.reloaded(f"goes on with the configuration it has: {error}")
    else:
        gateway.reload(config)
        notifier.reloaded("took over the configuration")


@click.command(
    epilog="Each fault is a name, or a name and a number; what stands in brackets is its default. "
    "One seed gives one run.\n\n" + "\n\n".join(f"\b\n{section}" for section in describe_faults())
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=2775,
    show_default=True,
    help="Port; 0 takes a free one.",
)
@click.option("--system-id", help="The only system_id to accept; else any.")
@click.option("--password", help="The only password to accept; else any.")
@click.option("--latency", type=Duration(), default="0s", help="From submit_sm to its answer.")
@click.option("--receipt-delay", type=Duration(), default="0s", help="From answer to receipt.")
@click.option(
    "--outcomes",
    default="DELIVRD=100",
    show_default=True,
    help='What becomes of messages, by weight: "DELIVRD=95,UNDELIV=5".',
)
@click.option("--throughput", type=click.IntRange(1), help="More a second is ESME_RTHROTTLED.")
@click.option("--window", type=click.IntRange(1), help="More unanswered is ESME_RTHROTTLED.")
@click.option(
    "--ids",
    type=click.Choice(["decimal", "hex", "hex-then-decimal", "uuid"]),
    default="decimal",
    show_default=True,
    help="How message ids are written.",
)
@click.option("--early-receipts", is_flag=True, help="Send the receipt before the answer.")
@click.option(
    "--faults",
    metavar="NAME[,NAME…]",
    help='What goes wrong, by the names below: "receipt-twice,no-answer:50".',
)
@click.option("--seed", type=int, default=0, show_default=True, help="What chance follows.")
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    help="Write a JSON line for each PDU received and sent; it holds numbers and texts.",
)
def simulate(
    host: str,
    port: int,
    system_id: str | None,
    password: str | None,
    latency: float,
    receipt_delay: float,
    outcomes: str,
    throughput: int | None,
    window: int | None,
    ids: Any,
    early_receipts: bool,
    faults: str | None,
    seed: int,
    record: Path | None,
) -> None:
    """Run an SMSC that sends nothing to anybody, for trials and tests.

    It goes on until SIGINT or SIGTERM.

    \b
    smppgw simulate --latency 50ms --receipt-delay 2s --outcomes "DELIVRD=95,UNDELIV=5"
    smppgw simulate --faults receipt-twice,no-answer:50,unbind:30
    """
    behaviour = Behaviour(
        latency_s=latency,
        receipt_delay_s=receipt_delay,
        outcomes=parse_outcomes(outcomes),
        throughput=throughput,
        window=window,
        ids=ids,
        early_receipts=early_receipts,
        faults=frozenset() if faults is None else parse_faults(faults),
        seed=seed,
        system_id=system_id,
        password=password,
    )

    async def serve() -> None:
        stopping = asyncio.Event()
        on_signals(stopping.set)
        try:
            async with Simulator(behaviour, host=host, port=port, record=record) as smsc:
                err.print(f"An SMSC is simulated on {host}:{smsc.port}; stop it with Ctrl-C.")
                await stopping.wait()
        except UnicodeError as error:  # no name of a host has an empty part, or one so long
            raise InputError(f"--host {host} cannot be the name of a host.") from error
        except OSError as error:
            where = f"{host}:{port}" if record is None else f"{host}:{port} or {record}"
            raise OperationError(f"{where}: {error.strerror or error}.") from error
        counts = smsc.counts
        err.print(
            f"{counts.submits} submit_sm: {counts.accepted} accepted, {counts.throttled} "
            f"throttled, {counts.refused} refused; {counts.receipts_sent} receipts sent."
        )

    run_until_signal(serve())


def on_signals(stop: Callable[[], None]) -> None:
    """Call `stop` at the first SIGTERM or SIGINT; the second one kills, as if nobody listened."""
    loop = asyncio.get_running_loop()

    def first() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, first)


def run_until_signal(serve: Coroutine[Any, Any, None]) -> None:
    """Run to the end; of several failures at once the first is told."""
    try:
        asyncio.run(serve)
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):  # a group for each TaskGroup it came through
            first = first.exceptions[0]
        raise first from group
