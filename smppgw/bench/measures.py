"""How each figure is taken: a function for each of `budgets.MEASURES`, and the sizes they use.

Whatever is compared runs in turn, run after run, so that a busy machine slows all alike. A run that
cannot be done where it is (a peer that is not installed, an SMSC that keeps no record) leaves rows
without a figure that say why; anything else that goes wrong ends the benchmark.
"""

import json
import math
import random
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import count, cycle, islice
from typing import NamedTuple

from smppgw.bench.budgets import (
    BUDGETS,
    MEASURES,
    Result,
    Row,
    latencies_ms,
    most_in_a_second,
    percentile,
    row,
    unmeasured,
    use_percent,
)
from smppgw.bench.peers.task import TEXT, Task, destination
from smppgw.bench.stage import (
    POLL_S,
    UNLIMITED,
    Memory,
    Process,
    Site,
    Smsc,
    Stage,
    busy_s,
    wait_until,
)
from smppgw.campaign.recipients import from_numbers
from smppgw.campaign.submission import Plan, Wish
from smppgw.config import load
from smppgw.errors import OperationError
from smppgw.ledger.database import Database, Locks, open_database
from smppgw.ledger.jobs import Loading, find_job

PERSONAL_TEXT = "Bonjour {Nom}, l'eau sera coupee jeudi de 9 h a 12 h rue du Moulin."
ALERT_TEXT = "ALERTE CRUE : quittez les berges du Lys maintenant. Mairie."
PEERS = ("smpplib", "aiosmpplib", "smpp34")
WINDOW_10_FULL_MS = 50  # answers that come so late keep a window of 10 full at 200 a second
WITHIN_S = 0.1  # two turns at 200 a second
READ_AT = 100  # a second, while a job is read
_SLOWEST_PER_S = 20  # messages; what waits for longer than they would take has stopped


@dataclass(frozen=True)
class Sizes:
    """How much of everything.

    Attributes:
        runs: of each figure.
        messages: at full speed, window 100; a tenth with personal texts.
        messages_window_10: at full speed, window 10.
        peer_messages: for each peer; the bare socket takes ten times as many.
        backlog: messages queued where much is.
        small_backlog: messages queued where little is.
        huge_backlog: messages queued where it is asked for by name.
        import_rows: good rows of the imported list; a tenth is imported to compare with.
        share_s: seconds over which the share of a core is taken.
        contract_s: seconds for which each contract is used.
        alerts: sent in front of the backlog; a fifth in front of little, half during an import.
        alert_recipients: of the largest alert; the smallest has one, those between grow evenly.
        jobs: small jobs, of `job_messages` each.
        job_messages: messages of a small job.
        kill_after: messages after which the gateway is killed, to be restarted.
    """

    runs: int = 3
    messages: int = 150_000
    messages_window_10: int = 40_000
    peer_messages: int = 10_000
    backlog: int = 1_000_000
    small_backlog: int = 10_000
    huge_backlog: int = 10_000_000
    import_rows: int = 1_000_000
    share_s: float = 30.0
    contract_s: float = 20.0
    alerts: int = 100
    alert_recipients: int = 1000
    jobs: int = 10_000
    job_messages: int = 10
    kill_after: int = 200


FULL = Sizes()
QUICK = Sizes(
    runs=1,
    messages=30_000,
    messages_window_10=8_000,
    peer_messages=3_000,
    backlog=100_000,
    huge_backlog=1_000_000,
    import_rows=100_000,
    share_s=5.0,
    contract_s=5.0,
    alerts=10,
    jobs=300,
)


def measure(
    stage: Stage, sizes: Sizes, names: tuple[str, ...], *, keep: Callable[[Row], None]
) -> Result:
    """Take measures in the table's order.

    Args:
        stage: where.
        sizes: how much.
        names: which, of `budgets.MEASURES`.
        keep: told of each row as it is ready.
    """
    result = Result(stage.machine())
    fsyncs_ms: list[float] = []
    for name in MEASURES:
        if name in names:
            fsyncs_ms += stage.fsyncs_ms()
            stage.say(f"{name}: {MEASURES[name]}")
            said = {**asdict(sizes), "tenth": sizes.import_rows // 10}
            rows = {one.name: replace(one, sizes=said) for one in _TAKE[name](stage, sizes)}
            for budget in BUDGETS:
                if budget.name in rows:
                    result.rows.append(rows[budget.name])
                    keep(rows[budget.name])
    result.machine["fsync_ms"] = round(percentile(fsyncs_ms, 50), 3)
    result.machine["fsync_p90_ms"] = round(percentile(fsyncs_ms, 90), 3)
    return result


# --- At full speed ---


class Leg(NamedTuple):
    """A gateway's way through jobs, from the first submit_sm to the last receipt."""

    messages: int
    seconds: float
    cpu_s: float
    smsc_cpu_s: float
    others_cpu_s: float  # of every process that has no part in it
    memory: Memory

    @property
    def per_s(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def cpu_per_1000(self) -> float:
        """Processor seconds for 1,000 messages."""
        return 1000 * self.cpu_s / self.messages


def _speed(stage: Stage, sizes: Sizes) -> list[Row]:
    legs: list[Leg] = []
    personal: list[Leg] = []
    peers: dict[str, list[Mapping[str, float]]] = {name: [] for name in ("socket", *PEERS)}
    missing: dict[str, str] = {}
    with stage.smsc() as smsc:
        for run in range(1, sizes.runs + 1):
            _say_run(stage, run, sizes, "gateway, window 100")
            legs.append(_emptied(stage, smsc, sizes.messages, window=100))
            _say_run(stage, run, sizes, "gateway, window 100, personal texts")
            tenth = max(1, sizes.messages // 10)
            personal.append(_emptied(stage, smsc, tenth, window=100, text=PERSONAL_TEXT))
            for name in peers:
                if name not in missing:
                    _say_run(stage, run, sizes, name)
                    messages = sizes.peer_messages * (10 if name == "socket" else 1)
                    try:
                        peers[name].append(_peer(stage, smsc, name, messages, window=100))
                    except OperationError as error:
                        missing[name] = str(error)
    speeds = [leg.per_s for leg in legs]
    cpus = [leg.cpu_per_1000 for leg in legs]
    smpplib, smpplib_cpu = _per_s(peers["smpplib"]), _cpu_per_1000(peers["smpplib"])
    note = (
        f"SMSC {_share_of_core([leg.smsc_cpu_s for leg in legs], legs)}, "
        f"strangers {_share_of_core([leg.others_cpu_s for leg in legs], legs)} of a core"
    )
    rows = [
        row("messages_per_s", speeds, smpplib, note=note),
        row("cpu_s_per_1000", cpus, smpplib_cpu),
        row("personal_per_s", [leg.per_s for leg in personal], speeds),
    ]
    if smpplib:
        rows.append(row("times_smpplib", _divided(speeds, smpplib)))
    for name in PEERS:
        found, note = peers[name], missing.get(name, "")
        against = ([], []) if name == "smpplib" else (smpplib, smpplib_cpu)
        if found:
            rows.append(row(f"{name}_per_s", _per_s(found), against[0], note=note))
            rows.append(row(f"{name}_cpu", _cpu_per_1000(found), against[1], note=note))
        else:
            rows += [Row(f"{name}_per_s", note=note), Row(f"{name}_cpu", note=note)]
    if peers["socket"]:
        rows.append(row("smsc_alone", _per_s(peers["socket"]), speeds))
    else:
        rows.append(Row("smsc_alone", note=missing["socket"]))
    return rows


def _window_10(stage: Stage, sizes: Sizes) -> list[Row]:
    legs, smpplib = [], []
    with stage.smsc() as smsc:
        for run in range(1, sizes.runs + 1):
            _say_run(stage, run, sizes, "gateway, window 10")
            legs.append(_emptied(stage, smsc, sizes.messages_window_10, window=10))
            smpplib.append(_peer(stage, smsc, "smpplib", sizes.peer_messages, window=10))
    return [
        row("window_10", [leg.per_s for leg in legs], _per_s(smpplib)),
        row("window_10_cpu", [leg.cpu_per_1000 for leg in legs]),
    ]


def _emptied(stage: Stage, smsc: Smsc, messages: int, *, window: int, text: str = TEXT) -> Leg:
    """Queue one job of `messages` first, then let a gateway send it as fast as it can."""
    site = stage.filled(messages, smsc, window=window, text=text)
    with stage.gateway(site) as gateway:
        leg = _followed(site, gateway, smsc, messages)
    stage.discard(site)
    return leg


def _followed(site: Site, gateway: Process, smsc: Smsc, messages: int) -> Leg:
    """Wait until the last job of a site has every receipt; jobs leave in their order."""
    with site.ledger() as db:
        began_ms = _first_submit_ms(db, gateway)
        before = _used(gateway, smsc)
        wait_until(
            lambda: _settled(db, site.jobs) and _settled(db, 1),
            60 + messages / _SLOWEST_PER_S,
            "the last receipt",
            gateway,
        )
        seconds = time.time() - began_ms / 1000
        used_s = [now - then for now, then in zip(_used(gateway, smsc), before, strict=True)]
        memory = gateway.memory()
        for job_id in {1, site.jobs}:
            _require_delivered(db, job_id)
    return Leg(messages, seconds, used_s[0], used_s[1], used_s[2], memory)


def _used(gateway: Process, smsc: Smsc) -> tuple[float, float, float]:
    """Return the processor time used by the gateway, by the SMSC, and by all but them and us."""
    gateway_s, smsc_s = gateway.cpu_s(), smsc.cpu_s()
    return gateway_s, smsc_s, busy_s() - gateway_s - smsc_s - time.process_time()


def _first_submit_ms(db: Database, gateway: Process, job_id: int = 1) -> int:
    def first_submit() -> int | None:
        job = find_job(db, job_id)
        return job.first_submit_at if job else None

    return wait_until(first_submit, 60, "the first submit_sm", gateway)


def _settled(db: Database, job_id: int) -> bool:
    job = find_job(db, job_id)
    return job is not None and job.settled


def _require_delivered(db: Database, job_id: int) -> None:
    """See that a job went as the simulator lets it, or the figure is not one of speed."""
    job = find_job(db, job_id)
    assert job is not None
    lost = job.total - job.counts["delivered"] - job.counts["undelivered"]
    if lost:
        raise OperationError(f"{lost:,} messages of job {job_id} did not get a receipt.")


def _peer(
    stage: Stage, smsc: Smsc, name: str, messages: int, *, window: int
) -> Mapping[str, float]:
    task = Task(smsc.host, smsc.port, smsc.system_id, smsc.password, window, messages)
    return stage.peer(name, task, 60 + messages / _SLOWEST_PER_S)


def _share_of_core(used_s: list[float], legs: list[Leg]) -> str:
    return f"{max(0.0, sum(used_s) / sum(leg.seconds for leg in legs)):.0%}"


def _per_s(reports: list[Mapping[str, float]]) -> list[float]:
    return [report["messages"] / report["seconds"] for report in reports]


def _cpu_per_1000(reports: list[Mapping[str, float]]) -> list[float]:
    return [1000 * report["cpu_s"] / report["messages"] for report in reports]


def _divided(runs: list[float], against: list[float]) -> list[float]:
    return [one / other for one, other in zip(runs, against, strict=False)]


# --- At the operator's speed ---


def _share(stage: Stage, sizes: Sizes) -> list[Row]:
    busy, idle = [], []
    warm_s = min(2.0, sizes.share_s)
    messages = int(200 * (warm_s + sizes.share_s + 1))
    with stage.smsc() as smsc:
        for run in range(1, sizes.runs + 1):
            _say_run(stage, run, sizes, f"at 200/s for {sizes.share_s:g} s, then idle")
            site = stage.filled(messages, smsc, window=10, throughput=200)
            with stage.gateway(site) as gateway, site.ledger() as db:
                _first_submit_ms(db, gateway)
                time.sleep(warm_s)
                busy.append(_share_of(gateway, sizes.share_s))
                wait_until(lambda: _settled(db, 1), 60, "the last receipt", gateway)
                idle.append(_share_of(gateway, sizes.share_s / 2))
            stage.discard(site)
    note = f"idle {percentile(idle, 50):.2f} %"
    return [row("share_200", busy, idle, note=note)]


def _share_of(process: Process, seconds: float) -> float:
    """Watch a process for a while; returns percent of a core."""
    cpu_s, began = process.cpu_s(), time.monotonic()
    time.sleep(seconds)
    return 100 * (process.cpu_s() - cpu_s) / (time.monotonic() - began)


def _contract(stage: Stage, sizes: Sizes) -> list[Row]:
    if stage.external:
        return unmeasured("contract", "needs the simulator's record")
    rows = []
    for rate in (20, 100, 1000):
        uses, worsts = [], []
        for run in range(1, sizes.runs + 1):
            _say_run(stage, run, sizes, f"{rate}/s for {sizes.contract_s:g} s")
            with stage.smsc(record=True) as smsc:
                site = stage.filled(
                    math.ceil(rate * sizes.contract_s) + 1, smsc, window=100, throughput=rate
                )
                with stage.gateway(site) as gateway, site.ledger() as db:
                    wait_until(
                        lambda: _settled(db, 1),
                        60 + 2 * sizes.contract_s,
                        "the last receipt",
                        gateway,
                    )
                stage.discard(site)
                times = [pdu["at"] for pdu in smsc.recorded("submit_sm")]
            uses.append(use_percent(times, rate))
            worsts.append(float(most_in_a_second(times)))
        rows.append(row(f"use_{rate}", uses))
        worst = row(f"worst_{rate}", worsts, [rate] * len(worsts), note="the worst of the runs")
        rows.append(Row(worst.name, worst.runs, max(worsts), max(worsts) / rate, worst.note))
    return rows


# --- Imports ---


def _import(stage: Stage, sizes: Sizes) -> list[Row]:
    rows, tenth = sizes.import_rows, max(1, sizes.import_rows // 10)
    seconds: list[float] = []
    peaks: list[float] = []
    small_seconds: list[float] = []
    small_peaks: list[float] = []
    personal: list[float] = []
    stage.say("  writing the lists")
    for messages in (rows, tenth):
        stage.recipients(messages)
    for run in range(1, sizes.runs + 1):
        for messages, times, memories, text in (
            (rows, seconds, peaks, TEXT),
            (tenth, small_seconds, small_peaks, TEXT),
            (tenth, personal, None, PERSONAL_TEXT),
        ):
            _say_run(stage, run, sizes, f"{messages:,} rows")
            site = stage.site(None)
            took_s, memory = stage.submit(site, messages, text=text)
            times.append(took_s)
            if memories is not None:
                memories.append(memory.peak_mb)
            if messages == rows and run == sizes.runs:
                stage.keep(site, rows)  # the backlog of other measures
            else:
                stage.discard(site)
    return [
        row("import_s", seconds, [one * rows / tenth for one in small_seconds]),
        row("import_memory", peaks, small_peaks),
        row("import_personal", personal, small_seconds),
    ]


# --- Behind a backlog ---


def _backlog(stage: Stage, sizes: Sizes) -> list[Row]:
    return _behind(stage, sizes, sizes.backlog, "backlog_speed", "backlog_memory")


def _huge_backlog(stage: Stage, sizes: Sizes) -> list[Row]:
    return _behind(stage, sizes, sizes.huge_backlog, "huge_speed", "huge_memory")


def _behind(stage: Stage, sizes: Sizes, backlog: int, speed_row: str, memory_row: str) -> list[Row]:
    """Send the same number of messages with much and with little queued, turn by turn.

    The first fifth of them warms up.
    """
    speeds: dict[int, list[float]] = {backlog: [], sizes.small_backlog: []}
    memories: dict[int, list[float]] = {backlog: [], sizes.small_backlog: []}
    with stage.smsc() as smsc:
        for run in range(1, 3 * sizes.runs + 1):  # they are short, so there are more of them
            for queued in speeds:
                _say_run(stage, run, sizes, f"{queued:,} queued", of=3)
                leg_speed, memory = _with_queued(stage, smsc, queued, sizes.small_backlog)
                speeds[queued].append(leg_speed)
                memories[queued].append(memory.peak_mb)
    small = speeds[sizes.small_backlog]
    note = f"{percentile(speeds[backlog], 50):,.0f} against {percentile(small, 50):,.0f} a second"
    ratios = _divided(speeds[backlog], small)
    return [
        row(speed_row, ratios, [1.0] * len(ratios), note=note),
        row(memory_row, memories[backlog], memories[sizes.small_backlog]),
    ]


def _with_queued(stage: Stage, smsc: Smsc, queued: int, messages: int) -> tuple[float, Memory]:
    """Send the first `messages` of a job of `queued`; returns messages a second, and memory."""
    site = stage.filled(queued, smsc, window=100)
    with stage.gateway(site) as gateway, site.ledger() as db:
        speed = _warm_speed(db, gateway, 1, messages)
        memory = gateway.memory()
    stage.discard(site)
    return speed, memory


def _warm_speed(
    db: Database,
    gateway: Process,
    job_id: int,
    messages: int,
    meanwhile: Callable[[], None] = lambda: None,
) -> float:
    """Follow the first `messages` of a job; returns those a second after the first fifth.

    Args:
        db: the ledger.
        gateway: what sends them.
        job_id: the job.
        messages: how many.
        meanwhile: called before each look.
    """

    def delivered(least: int) -> tuple[float, int] | None:
        meanwhile()
        job = find_job(db, job_id)
        assert job is not None
        there = job.counts["delivered"]
        return (time.monotonic(), there) if there >= least else None

    limit_s = 60 + messages / _SLOWEST_PER_S
    first_at, first = wait_until(
        lambda: delivered(messages // 5), limit_s, "the first receipts", gateway
    )
    last_at, last = wait_until(
        lambda: delivered(messages), limit_s, "the receipts of the first messages", gateway
    )
    return (last - first) / (last_at - first_at)


def _alert(stage: Stage, sizes: Sizes) -> list[Row]:
    if stage.external:
        return unmeasured("alert", "needs the simulator's record")
    many, half, few = (
        alert_sizes(max(1, sizes.alerts // part), sizes.alert_recipients) for part in (1, 2, 5)
    )
    stage.say(f"  {len(many)} in front of {sizes.backlog:,}")
    behind = _alerts(stage, sizes.backlog, many)
    stage.say(f"  {len(few)} in front of {sizes.small_backlog:,}")
    little = _alerts(stage, sizes.small_backlog, few)
    stage.say(f"  {len(half)} while {sizes.import_rows:,} rows are imported")
    busy = _alerts(stage, sizes.backlog, half, importing=sizes.import_rows)
    return [
        *_latency_rows("alert", behind, little),
        *_latency_rows("alert_import", busy, behind),
    ]


def _latency_rows(name: str, waits: list[float], against: list[float]) -> list[Row]:
    """Make the rows of a distribution; its runs are the single alerts."""
    at = {percent: percentile(waits, percent) for percent in (50, 95, 99)}
    note = (
        f"{len(waits)} alerts, each to its first submit_sm: 50 % {at[50]:.0f}, "
        f"95 % {at[95]:.0f}, 99 % {at[99]:.0f}, worst {max(waits):.0f} ms"
    )
    rows = []
    for percent, said in ((99, note), (50, "")):
        other = percentile(against, percent)
        ratio = at[percent] / other if other else None
        runs = tuple(waits) if percent == 99 else ()
        rows.append(Row(f"{name}_p{percent}", runs, at[percent], ratio, said))
    return rows


def alert_sizes(alerts: int, largest: int) -> list[int]:
    """Return how many recipients each alert has, from one to the most, small and large mixed.

    Each is larger than the one before by the same factor, so that all of them together have only
    some ten times as many as the largest.
    """
    steps = max(1, alerts - 1)
    sizes = [round(largest ** (ordinal / steps)) for ordinal in range(alerts)]
    random.Random(alerts).shuffle(sizes)  # nosec B311  # an order, the same each time
    return sizes


def _alerts(stage: Stage, queued: int, sizes: list[int], *, importing: int = 0) -> list[float]:
    """Submit alerts one by one to a gateway that sends a backlog at 200/s, its window full.

    The next one is submitted when all of the one before has been claimed: it is the backlog that
    it must not wait for. Before that passes a part of WITHIN_S, drawn by lot: else each would come
    as long after a turn as the one before, and all of them early or late in the rest that follows.

    Args:
        stage: where.
        queued: promotional messages of the backlog.
        sizes: how many recipients each alert has.
        importing: good rows of a list that is imported meanwhile, again and again; 0 is none.

    Returns:
        For each alert, milliseconds from `submit` saying that it is queued to the SMSC having the
        first of its submit_sm.
    """
    told_at: dict[str, float] = {}
    alert_of: dict[str, str] = {}
    numbers = (destination(9_999_999 - ordinal) for ordinal in count())  # in no list
    lots = random.Random(len(sizes))  # nosec B311  # the same each time
    with stage.smsc("--latency", f"{WINDOW_10_FULL_MS}ms", record=True) as smsc:
        site = stage.filled(queued, smsc, window=10, throughput=200)
        with (
            stage.gateway(site) as gateway,
            site.ledger() as db,
            _imports(stage, site, importing) as keep_importing,
        ):
            _first_submit_ms(db, gateway)
            for size in sizes:
                keep_importing()
                gateway.check()
                alert = list(islice(numbers, size))
                alert_of.update(dict.fromkeys(alert, alert[0]))
                time.sleep(lots.uniform(0.0, WITHIN_S))
                told_at[alert[0]], job_id = _submit_alert(stage, site, alert)
                wait_until(partial(_all_claimed, db, job_id), 60, "an alert to leave", gateway)
        stage.discard(site)
        seen_at: dict[str, float] = {}
        for pdu in smsc.recorded("submit_sm"):
            name = alert_of.get(pdu["destination"].removeprefix("+"))
            if name is not None:
                seen_at.setdefault(name, pdu["at"])
    return latencies_ms(told_at, seen_at)


def _all_claimed(db: Database, job_id: int) -> bool:
    job = find_job(db, job_id)
    return job is not None and not job.counts["queued"]


def _submit_alert(stage: Stage, site: Site, numbers: list[str]) -> tuple[float, int]:
    """Queue one alert.

    Returns:
        When `submit` said that it is on disk (time.monotonic), and the number of its job.
    """
    path = stage.folder / "alert.csv"
    path.write_text("\n".join(["Portable", *(f"+{number}" for number in numbers)]), "utf-8")
    arguments = ["submit", "--class", "alert", "--recipients", str(path), "--text", ALERT_TEXT]
    with stage.smppgw(*arguments, "--json", site=site) as process:
        at, line = process.line(60)
        process.finish(60)
    told = json.loads(line)
    if told["recipients"]["queued"] != len(numbers):
        raise OperationError("smppgw submit did not queue the whole of an alert.")
    return at, int(told["job"])


@contextmanager
def _imports(stage: Stage, site: Site, rows: int) -> Iterator[Callable[[], None]]:
    """Hold a process that imports a list; what is given starts the next one when it has ended."""
    arguments = stage.importing(rows) if rows else []
    with ExitStack() as stack:
        running: list[Process] = []

        def keep_importing() -> None:
            if rows and not (running and running[-1].running):
                running.append(stack.enter_context(stage.smppgw(*arguments, site=site)))

        yield keep_importing


def _restart(stage: Stage, sizes: Sizes) -> list[Row]:
    if stage.external:
        return unmeasured("restart", "needs the simulator's record")
    waits: dict[int, list[float]] = {sizes.backlog: [], sizes.small_backlog: []}
    for run in range(1, sizes.runs + 1):
        for queued in waits:
            _say_run(stage, run, sizes, f"{queued:,} queued")
            waits[queued].append(_restarted(stage, queued, min(sizes.kill_after, queued // 2)))
    return [row("restart_s", waits[sizes.backlog], waits[sizes.small_backlog])]


def _restarted(stage: Stage, queued: int, kill_after: int) -> float:
    """Kill a gateway whose window is full, start another.

    Returns:
        Seconds from its bind to its first submit_sm.
    """
    with stage.smsc("--latency", "500ms", record=True) as smsc:
        site = stage.filled(queued, smsc, window=100, throughput=200)

        def sent() -> bool:
            with site.ledger() as db:
                job = find_job(db, 1)
            return job is not None and job.total - job.counts["queued"] >= kill_after

        with stage.gateway(site) as gateway:
            wait_until(sent, 60 + kill_after / _SLOWEST_PER_S, "the first messages", gateway)
            gateway.kill()
        killed_at = time.monotonic()
        with stage.gateway(site) as gateway:
            wait_until(
                lambda: any(at > killed_at for at in _times(smsc, "submit_sm", "received")),
                60,
                "a submit_sm after the restart",
                gateway,
            )
        stage.discard(site)
        bound_at = next(
            at for at in _times(smsc, "bind_transceiver_resp", "sent") if at > killed_at
        )
        submits = _times(smsc, "submit_sm", "received")
    return next(at for at in submits if at > bound_at) - bound_at


def _times(smsc: Smsc, command: str, direction: str) -> list[float]:
    return [pdu["at"] for pdu in smsc.recorded(command, direction)]


def _small_jobs(stage: Stage, sizes: Sizes) -> list[Row]:
    messages = sizes.jobs * sizes.job_messages
    speeds: dict[str, list[float]] = {"small": [], "one": []}
    stage.say(f"  queueing {sizes.jobs:,} jobs")
    small = _queued_jobs(stage, sizes)
    with stage.smsc() as smsc:
        for run in range(1, sizes.runs + 1):
            _say_run(stage, run, sizes, f"{sizes.jobs:,} jobs of {sizes.job_messages}")
            site = stage.copy(small, smsc, window=100, throughput=UNLIMITED)
            with stage.gateway(site) as gateway:
                speeds["small"].append(_followed(site, gateway, smsc, messages).per_s)
            stage.discard(site)
            _say_run(stage, run, sizes, f"one job of {messages:,}")
            speeds["one"].append(_emptied(stage, smsc, messages, window=100).per_s)
    note = (
        f"{percentile(speeds['small'], 50):,.0f} against {percentile(speeds['one'], 50):,.0f} "
        "a second"
    )
    ratios = _divided(speeds["small"], speeds["one"])
    return [row("small_jobs", ratios, [1.0] * len(ratios), note=note)]


def _queued_jobs(stage: Stage, sizes: Sizes) -> Site:
    """Queue many small jobs with the functions that `submit` calls: a process each takes hours."""
    site = stage.site(None)._replace(jobs=sizes.jobs)
    config = load(site.config)
    db = open_database(site.database, create=True)
    locks = Locks(site.database)
    numbers = count()
    try:
        for _ in range(sizes.jobs):
            given = [f"+{destination(next(numbers))}" for _ in range(sizes.job_messages)]
            recipients = from_numbers(given, region=config.gateway.region)
            plan = Plan(config, Wish(TEXT, "service"), recipients, datetime.now(UTC))
            loading = Loading(db, locks, plan.order)
            loading.add(plan.addressees())
            loading.finish(time.time_ns() // 1_000_000)
    finally:
        db.close()
        locks.close()
    return site


# --- Read meanwhile ---

_READ, _LITTLE_READ, _SENT = 1, 2, 3  # the jobs of a ledger that is read


@dataclass
class Readings:
    """What those who read a ledger needed, command by command.

    Attributes:
        report_s: seconds of each `report` of the large job.
        report_mb: its most memory.
        show_ms: milliseconds of each `jobs show` of the large job.
        little_show_ms: of each of the small one.
        wal_mb: the size of the write-ahead log at each look.
    """

    report_s: list[float] = field(default_factory=list)
    report_mb: list[float] = field(default_factory=list)
    show_ms: list[float] = field(default_factory=list)
    little_show_ms: list[float] = field(default_factory=list)
    wal_mb: list[float] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether each command has ended once."""
        return bool(self.report_s and self.show_ms and self.little_show_ms)


def _read(stage: Stage, sizes: Sizes) -> list[Row]:
    if stage.external:
        return unmeasured("read", "needs the simulator's record")
    readings: list[Readings] = []
    uses: dict[bool, list[float]] = {False: [], True: []}
    speeds: dict[bool, list[float]] = {False: [], True: []}
    read = _readable(stage, sizes)
    for run in range(1, sizes.runs + 1):
        for beside in (False, True):
            how = "read" if beside else "unread"
            _say_run(stage, run, sizes, f"at {READ_AT}/s, {how}")
            reading, use = _read_at_the_rate(stage, read, sizes.contract_s / 2, beside=beside)
            uses[beside].append(use)
            if beside:
                readings.append(reading)
            _say_run(stage, run, sizes, f"window 100, {how}")
            speeds[beside].append(_read_speed(stage, read, sizes.messages, beside=beside))
    stage.discard(read)
    shows = [percentile(reading.show_ms, 50) for reading in readings]
    little = [percentile(reading.little_show_ms, 50) for reading in readings]
    speed_note = (
        f"{percentile(speeds[True], 50):,.0f} against {percentile(speeds[False], 50):,.0f} "
        "a second; the readers take processor time too"
    )
    ratios = _divided(speeds[True], speeds[False])
    reports = sum(len(reading.report_s) for reading in readings)
    return [
        row(
            "report_s",
            [percentile(reading.report_s, 50) for reading in readings],
            note=f"{reports} reports, of messages that are queued",
        ),
        row("report_memory", [max(reading.report_mb) for reading in readings]),
        row("show_ms", shows, little),
        row(
            "use_reading",
            uses[True],
            uses[False],
            note=f"unread {percentile(uses[False], 50):.1f} %",
        ),
        row("wal_mb", [max(reading.wal_mb) for reading in readings]),
        row("read_speed", ratios, [1.0] * len(ratios), note=speed_note),
    ]


def _readable(stage: Stage, sizes: Sizes) -> Site:
    """Make a site with a large and a small job that are paused, and one that can be sent."""
    site = stage.filled(sizes.backlog, None, window=10)
    stage.say(f"  queueing {sizes.small_backlog:,} and {sizes.messages:,} behind them")
    stage.submit(site, sizes.small_backlog)
    for job_id in (_READ, _LITTLE_READ):
        with stage.smppgw("jobs", "pause", str(job_id), site=site) as pause:
            pause.finish(60)
    stage.submit(site, sizes.messages)
    return site


def _read_at_the_rate(
    stage: Stage, read: Site, seconds: float, *, beside: bool
) -> tuple[Readings, float]:
    """Send at READ_AT for a while, read meanwhile or not; returns the use of the contract too."""
    readings = Readings()
    with stage.smsc(record=True) as smsc:
        site = stage.copy(read, smsc, window=10, throughput=READ_AT)
        with stage.gateway(site) as gateway, site.ledger() as db:
            _first_submit_ms(db, gateway, _SENT)
            with _readers(stage, site, readings) as keep_reading:
                began = time.monotonic()

                def enough() -> bool:
                    if beside:
                        keep_reading()
                    there = readings.complete or not beside
                    return there and time.monotonic() - began >= seconds

                wait_until(enough, 60 + 3 * seconds, "a report", gateway)
                ended = time.monotonic()
        stage.discard(site)
        times = [at for at in _times(smsc, "submit_sm", "received") if began <= at <= ended]
    return readings, use_percent(times, READ_AT)


def _read_speed(stage: Stage, read: Site, messages: int, *, beside: bool) -> float:
    """Send as fast as the gateway can, read meanwhile or not; returns messages a second."""
    with stage.smsc() as smsc:
        site = stage.copy(read, smsc, window=100, throughput=UNLIMITED)
        with (
            _readers(stage, site, Readings()) as keep_reading,
            stage.gateway(site) as gateway,
            site.ledger() as db,
        ):
            meanwhile = keep_reading if beside else lambda: None
            speed = _warm_speed(db, gateway, _SENT, messages, meanwhile)
        stage.discard(site)
    return speed


@contextmanager
def _readers(stage: Stage, site: Site, readings: Readings) -> Iterator[Callable[[], None]]:
    """Hold a `report` and a `jobs show`; what is given looks at them, and starts the next ones."""
    path = site.folder / "report.csv"
    report = ("report", str(_READ), "--format", "csv", "--output", str(path))
    shows = [("jobs", "show", str(job_id), "--json") for job_id in (_READ, _LITTLE_READ)]
    wal = site.database.with_name(site.database.name + "-wal")

    def reported(seconds: float, memory: Memory) -> None:
        readings.report_s.append(seconds)
        readings.report_mb.append(memory.peak_mb)

    def shown(seconds: float, _: Memory) -> None:
        known = readings.show_ms, readings.little_show_ms
        known[len(known[0]) > len(known[1])].append(1000 * seconds)

    with (
        closing(_again_and_again(stage, site, [report], reported)) as reporting,
        closing(_again_and_again(stage, site, shows, shown)) as showing,
    ):

        def keep_reading() -> None:
            next(reporting)
            next(showing)
            readings.wal_mb.append(wal.stat().st_size / 1e6)
            time.sleep(5 * POLL_S)  # a closer look would take processor time from what is measured

        yield keep_reading


def _again_and_again(
    stage: Stage,
    site: Site,
    commands: Sequence[tuple[str, ...]],
    ended: Callable[[float, Memory], None],
) -> Generator[None]:
    """Run commands in turn without end; each step is one look at the one that runs.

    Args:
        stage: where.
        site: whose ledger they read.
        commands: of smppgw.
        ended: told of the seconds and the memory of each.
    """
    for command in cycle(commands):
        began, memory = time.monotonic(), Memory(0.0, 0.0)
        with stage.smppgw(*command, site=site) as process:
            while process.running:
                memory = max(memory, process.memory(), key=lambda seen: seen.peak_mb)
                yield
            seconds = time.monotonic() - began
            process.finish(1.0)
        ended(seconds, memory)


def _say_run(stage: Stage, run: int, sizes: Sizes, what: str, *, of: int = 1) -> None:
    stage.say(f"  run {run} of {of * sizes.runs}: {what}")


_TAKE: dict[str, Callable[[Stage, Sizes], list[Row]]] = {
    "speed": _speed,
    "window-10": _window_10,
    "share": _share,
    "contract": _contract,
    "import": _import,
    "backlog": _backlog,
    "alert": _alert,
    "restart": _restart,
    "jobs": _small_jobs,
    "read": _read,
    "huge": _huge_backlog,
}
