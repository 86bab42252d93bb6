"""`bench`: measure every budget, and show it as a table, as JSON, as a chart."""

import json
import signal
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from smppgw import bench as benchmark
from smppgw.cli.output import err, json_option, show_json
from smppgw.errors import OperationError

WIDTHS = (30, 16, 16, 8, 3, 22)  # of the table's columns: 100 with what is between them
DEFAULT = tuple(name for name in benchmark.MEASURES if name not in benchmark.ON_REQUEST)


class Address(click.ParamType[tuple[str, int]]):
    """HOST:PORT."""

    name = "host:port"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, int]:
        """Read one."""
        if isinstance(value, tuple):
            return value
        host, colon, port = value.rpartition(":")
        if not (colon and host and port.isdecimal() and 0 < int(port) < 65536):
            self.fail(f"{value!r} is no host:port, such as 127.0.0.1:2775", param, ctx)
        return host.strip("[]"), int(port)


@click.command()
@json_option
@click.option(
    "--json-file", type=click.Path(path_type=Path), help="Write the JSON document to this file too."
)
@click.option(
    "--chart", type=click.Path(path_type=Path), help="Draw messages a second to this SVG file."
)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(list(benchmark.MEASURES)),
    help="Take this measure only; may be repeated.",
)
@click.option("--quick", is_flag=True, help="Smaller sizes, one run each: minutes, not a verdict.")
@click.option("--smsc", type=Address(), help="Measure against this SMSC, not a simulated one.")
@click.option("--system-id", default="bench", show_default=True, help="With --smsc.")
@click.option("--password", default="bench", show_default=True, help="With --smsc.")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the ledgers are made; they go away afterwards. It has to be on a disk.",
)
def bench(
    as_json: bool,
    json_file: Path | None,
    chart: Path | None,
    only: tuple[str, ...],
    quick: bool,
    smsc: tuple[str, int] | None,
    system_id: str,
    password: str,
    folder: Path | None,
) -> int:
    """Measure the gateway: speed, cost, memory, alerts, imports, use of the contract.

    Everything runs as processes of their own against a simulated SMSC on this machine, on a real
    SQLite file. With --smsc whatever is sent goes to that SMSC: a hundred thousand messages to
    numbers that may exist.
    """
    signal.signal(signal.SIGTERM, benchmark.CHILDREN.leave)
    target = benchmark.Smsc(*smsc, system_id, password) if smsc else None
    sizes = benchmark.QUICK if quick else benchmark.FULL
    with benchmark.Stage(smsc=target, folder=folder, say=_say) as stage:
        result = benchmark.measure(stage, sizes, only or DEFAULT, keep=_tell)
    document = result.document()
    if json_file is not None:
        _write(json_file, json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    if chart is not None:
        _write(chart, benchmark.draw(result))
    if as_json:
        show_json(document)
    else:
        show(result, Console(width=sum(WIDTHS) + len(WIDTHS) - 1, highlight=False))
    return 0


def show(result: benchmark.Result, console: Console) -> None:
    """Print the table, and the machine that it was measured on."""
    table = Table(box=box.SIMPLE, padding=0, header_style="bold", show_edge=False)
    for name, width in zip(("", "Figure", "Ratio", "Budget", "Met", "Note"), WIDTHS, strict=True):
        right = name in ("Figure", "Ratio", "Budget")
        table.add_column(name, width=width, justify="right" if right else "left")
    for row in result.rows:
        budget = row.budget
        figure = "–" if row.figure is None else f"{number(row.figure)} {budget.unit}"
        ratio = "" if row.ratio is None else f"{number(row.ratio)} × {row.ratio_to}".rstrip(" ×")
        limit = ""
        if budget.limit is not None:
            limit = f"{'≥' if budget.at_least else '≤'} {number(budget.limit)}"
        met = {True: "[green]yes[/]", False: "[bold red]no[/]", None: ""}[row.met]
        table.add_row(row.title, figure, ratio, limit, met, row.note)
    console.print(table)
    machine = result.machine
    console.print(
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_mb']:,} MB, "
        f"{machine['system']}, Python {machine['python']}, SQLite {machine['sqlite']}, "
        f"{machine['filesystem']} with {machine['fsync_ms']:.2f} ms for an fsync (one in ten "
        f"{machine['fsync_p90_ms']:.2f} or more), "
        f"load {machine['load_before']} before. SMSC: {machine['smsc']}."
    )


def number(figure: float) -> str:
    """Write a figure for people, with three digits at least."""
    if figure >= 1000:
        return f"{figure:,.0f}"
    return f"{figure:.0f}" if figure >= 100 or figure == int(figure) else f"{figure:.3g}"


def _say(what: str) -> None:
    err.print(what)


def _tell(row: benchmark.Row) -> None:
    figure = "not measured" if row.figure is None else f"{number(row.figure)} {row.budget.unit}"
    note = f" ({row.note})" if row.note else ""
    err.print(f"  = {row.title}: {figure}{note}", markup=False)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise OperationError(f"{path} cannot be written: {error.strerror}.") from error
