"""One table of all metrics, and the endpoint that shows them.

What happens a thousand times a second is summed by the gateway and moved here once a turn; what is
a state is read when somebody asks. No label holds a number, a text or a job.

The endpoint answers /metrics for Prometheus, /healthz (the process turns) and /readyz (an alert
could leave: status 503 and the reason where it could not). It runs in a thread of its own and only
reads.
"""

import socket
import socketserver
import sys
import threading
import time
from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, make_wsgi_app
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from smppgw import __version__
from smppgw.errors import OperationError

_SHORT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LONG_S = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0)
MOST_CLIENTS = 16  # of the endpoint at once; Prometheus is one
LONGEST_S = 10.0  # that one of them may take, from connecting to the last octet
_LOOK_S = 1.0  # how often who takes longer is looked for: each look is a wake of an idle machine
_SEGMENTS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)


class Histogram(Collector):
    """A histogram that takes a batch of values at once (0.2 µs each).

    prometheus_client's own takes 2.5 µs for each value, a tenth of what a message may cost.
    """

    def __init__(
        self, name: str, help_text: str, buckets: Sequence[float], label: str | None = None
    ) -> None:
        self._name = name
        self._help = help_text
        self._bounds = tuple(buckets)
        self._label = label
        self._series: dict[str, tuple[list[int], list[float]]] = {}
        if label is None:  # there from the start, so that its first value shows as an increase
            self.observe([])

    def observe(self, values: Iterable[float], label: str = "") -> None:
        """Add values, in the unit of the metric."""
        series = self._series.get(label)
        if series is None:
            series = self._series[label] = ([0] * (len(self._bounds) + 1), [0.0])
        counts, total = series
        bounds = self._bounds
        for value, times in Counts(values).items():  # of a batch, most are equal
            counts[bisect_left(bounds, value)] += times
            total[0] += value * times

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the metric as Prometheus wants it."""
        family = HistogramMetricFamily(
            self._name, self._help, labels=[self._label] if self._label else []
        )
        for label, (counts, total) in list(self._series.items()):
            buckets, running = [], 0
            for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
                running += count
                buckets.append(("+Inf" if bound == float("inf") else str(bound), float(running)))
            family.add_metric([label] if self._label else [], buckets, sum_value=total[0])
        yield family


class Metrics:
    """All metrics of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for name, (kind, help_text, labels) in TABLE.items():
            metric = kind(f"smppgw_{name}", help_text, labels, registry=self.registry)
            metric.labels = cache(metric.labels)  # 0.1 µs, where to look a child up takes 0.9
            setattr(self, name, metric)
        for name, (help_text, buckets, label) in HISTOGRAMS.items():
            histogram = Histogram(f"smppgw_{name}", help_text, buckets, label)
            self.registry.register(histogram)
            setattr(self, name, histogram)
        self.build_info.labels(__version__).set(1)

    def begin(self, smsc: str) -> None:
        """Show an account's counters from the start, so that their first value is an increase."""
        self.submit_sm_total.labels(smsc)
        self.submit_sm_resp_total.labels(smsc, "ESME_ROK")
        self.receipts_total.labels(smsc, "DELIVRD")
        self.link_reconnects_total.labels(smsc)
        self.segments_cost_total.labels(smsc)

    submit_sm_total: Counter
    submit_sm_resp_total: Counter
    receipts_total: Counter
    receipts_unmatched: Gauge
    receipts_recorded: Gauge
    messages_total: Counter
    inbound_total: Counter
    optouts_total: Counter
    link_up: Gauge
    link_reconnects_total: Counter
    window_size: Gauge
    window_outstanding: Gauge
    throughput_configured: Gauge
    throughput_permitted: Gauge
    queued_messages: Gauge
    oldest_queued_seconds: Gauge
    unknown_messages: Gauge
    database_bytes: Gauge
    disk_free_bytes: Gauge
    ready: Gauge
    budget_segments: Gauge
    budget_used_segments: Gauge
    segments_cost_total: Counter
    build_info: Gauge
    submit_response_seconds: Histogram
    delivery_seconds: Histogram
    alert_wait_seconds: Histogram
    turn_commit_seconds: Histogram
    turn_segments: Histogram


TABLE: dict[str, tuple[Any, str, tuple[str, ...]]] = {
    "submit_sm_total": (Counter, "submit_sm written, by account.", ("smsc",)),
    "submit_sm_resp_total": (
        Counter,
        "Answers to submit_sm, by account and command_status.",
        ("smsc", "command_status"),
    ),
    "receipts_total": (
        Counter,
        "Delivery receipts received, by account and state.",
        ("smsc", "state"),
    ),
    "receipts_unmatched": (
        Gauge,
        "Receipts on record without a segment: parked until their response comes, or orphan.",
        ("kind",),
    ),
    "receipts_recorded": (
        Gauge,
        "Receipts on record: received = matched + parked + orphan + duplicate.",
        ("smsc", "kind"),
    ),
    "messages_total": (
        Counter,
        "Messages that reached a final state, by class and state.",
        ("class", "state"),
    ),
    "inbound_total": (Counter, "deliver_sm that are no receipts, by kind.", ("kind",)),
    "optouts_total": (Counter, "Recipients who were put on an opt-out list.", ()),
    "link_up": (Gauge, "1 while the bind stands.", ("smsc", "bind")),
    "link_reconnects_total": (Counter, "Binds that had to be made again.", ("smsc",)),
    "window_size": (Gauge, "Requests that may be unanswered on a bind.", ("smsc", "bind")),
    "window_outstanding": (Gauge, "Requests that are unanswered on a bind.", ("smsc", "bind")),
    "throughput_configured": (Gauge, "Segments a second by contract.", ("smsc",)),
    "throughput_permitted": (Gauge, "Segments a second that throttling leaves.", ("smsc",)),
    "queued_messages": (Gauge, "Messages that wait, by class.", ("class",)),
    "oldest_queued_seconds": (
        Gauge,
        "Age of the oldest job that has messages waiting and might leave, by class.",
        ("class",),
    ),
    "unknown_messages": (Gauge, "Messages whose outcome nobody knows.", ()),
    "database_bytes": (Gauge, "Size of the database file.", ()),
    "disk_free_bytes": (Gauge, "Free space where the database is.", ()),
    "ready": (
        Gauge,
        "1 where it is so: the conditions for an alert to leave, as `smppgw ready` tells them.",
        ("condition",),
    ),
    "budget_segments": (Gauge, "Segments of this month's budget, by tenant.", ("tenant",)),
    "budget_used_segments": (
        Gauge,
        "Segments that this month's jobs have used or will, of tenants with a budget.",
        ("tenant",),
    ),
    "segments_cost_total": (
        Counter,
        "Price of the segments written, in the configured currency, where one is configured.",
        ("smsc",),
    ),
    "build_info": (Gauge, "1, with the version.", ("version",)),
}
HISTOGRAMS: dict[str, tuple[str, Sequence[float], str | None]] = {
    "submit_response_seconds": ("From submit_sm to its answer.", _SHORT_S, "smsc"),
    "delivery_seconds": ("From submit_sm to the final receipt.", _LONG_S, "smsc"),
    "alert_wait_seconds": ("From an alert's being ready to its first submit_sm.", _SHORT_S, None),
    "turn_commit_seconds": ("One transaction of the turn.", _SHORT_S, None),
    "turn_segments": ("Segments claimed by one turn.", _SEGMENTS, None),
}

# What the log says each minute: the counter that it comes from, and the labels that belong to it.
_SLOWER = ("ESME_RTHROTTLED", "ESME_RMSGQFUL")
_TRAFFIC: dict[str, tuple[str, Callable[[dict[str, str]], bool]]] = {
    "submitted": ("submit_sm_total", lambda labels: True),
    "accepted": ("submit_sm_resp_total", lambda labels: labels["command_status"] == "ESME_ROK"),
    "refused": (
        "submit_sm_resp_total",
        lambda labels: labels["command_status"] not in ("ESME_ROK", *_SLOWER),
    ),
    "throttled": ("submit_sm_resp_total", lambda labels: labels["command_status"] in _SLOWER),
    "receipts": ("receipts_total", lambda labels: True),
    "delivered": ("messages_total", lambda labels: labels["state"] == "delivered"),
    "unknown": ("messages_total", lambda labels: labels["state"] == "unknown"),
    "inbound": ("inbound_total", lambda labels: True),
}


class Traffic:
    """What the counters counted since somebody asked last; to be asked by the minute (0.1 ms)."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._before: Counts[str] = Counts()

    def since_asked(self) -> dict[str, int]:
        """Return the sums, 0 among them; an empty dict where nothing happened."""
        sums = Counts(
            {name: self._sum(counter, belongs) for name, (counter, belongs) in _TRAFFIC.items()}
        )
        happened = {name: sums[name] - self._before[name] for name in _TRAFFIC}
        self._before = sums
        return happened if any(happened.values()) else {}

    def _sum(self, counter: str, belongs: Callable[[dict[str, str]], bool]) -> int:
        (family,) = getattr(self._metrics, counter).collect()
        return int(
            sum(
                sample.value
                for sample in family.samples
                if sample.name.endswith("_total") and belongs(sample.labels)
            )
        )


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread for each client; so many at once, and none for longer than a question takes."""

    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        self._ends: dict[Any, float] = {}  # when each client's time is up
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._ends) >= MOST_CLIENTS:
            self.shutdown_request(request)
            return
        self._ends[request] = time.monotonic() + LONGEST_S
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._ends.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Hang up on who takes too long, an octet at a time or not reading."""
        now = time.monotonic()
        for request, end in list(self._ends.items()):
            if now > end:
                self._ends.pop(request, None)  # first: who is told that it is over may ask anew
                with suppress(OSError):  # it has just gone
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client that went away is nothing to say
            super().handle_error(request, client_address)


class _Ipv6Server(_Server):
    address_family = socket.AF_INET6


class _QuietHandler(WSGIRequestHandler):
    timeout = LONGEST_S  # for each read and each write

    def log_message(self, format: str, *args: Any) -> None:
        pass  # a scrape every few seconds is nothing to say


class Endpoint:
    """The HTTP endpoint; use it as a context manager."""

    def __init__(
        self,
        metrics: Metrics,
        host: str,
        port: int,
        *,
        healthy: Callable[[], str | None],
        ready: Callable[[], str | None],
    ) -> None:
        """Listen, without answering yet.

        Args:
            metrics: what to show.
            host: the address to listen on.
            port: its port; 0 takes a free one.
            healthy: says what is wrong with the process, or None.
            ready: says why an alert could not leave, or None.

        Raises:
            OperationError: the address cannot be listened on.
        """
        show_metrics = make_wsgi_app(metrics.registry)

        def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            judge = {"/healthz": healthy, "/readyz": ready}.get(environ["PATH_INFO"])
            if judge is not None:
                problem = judge()
                status = "200 OK" if problem is None else "503 Service Unavailable"
                start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
                return [f"{problem or 'ok'}\n".encode()]
            if environ["PATH_INFO"] == "/metrics":
                shown: Iterable[bytes] = show_metrics(environ, start_response)
                return shown
            start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"/metrics, /healthz and /readyz are here.\n"]

        server_class = _Ipv6Server if ":" in host else _Server
        try:
            self._server: _Server = make_server(
                host, port, application, server_class, _QuietHandler
            )
        except OSError as error:
            raise OperationError(
                f"[metrics] listen: {host}:{port} cannot be listened on ({error.strerror}). "
                "Name another port in the configuration, or end what uses it."
            ) from error
        self.port: int = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_LOOK_S,), name="metrics", daemon=True
        )

    def __enter__(self) -> "Endpoint":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(OSError):  # where a listening socket cannot be shut: at the next look
            self._server.socket.shutdown(socket.SHUT_RDWR)  # which wakes the thread
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
