"""Metrics as Prometheus reads them, and the endpoint as it asks for them."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from smppgw import __version__, metrics
from smppgw.errors import OperationError
from smppgw.metrics import HISTOGRAMS, TABLE, Endpoint, Histogram, Metrics, Traffic

# The metrics that the interface promises: their type and their labels.
CONTRACT: dict[str, tuple[str, set[str]]] = {
    "submit_sm_total": ("counter", {"smsc"}),
    "submit_sm_resp_total": ("counter", {"smsc", "command_status"}),
    "receipts_total": ("counter", {"smsc", "state"}),
    "receipts_unmatched": ("gauge", {"kind"}),
    "messages_total": ("counter", {"class", "state"}),
    "submit_response_seconds": ("histogram", {"smsc"}),
    "delivery_seconds": ("histogram", {"smsc"}),
    "alert_wait_seconds": ("histogram", set()),
    "turn_commit_seconds": ("histogram", set()),
    "turn_segments": ("histogram", set()),
    "link_up": ("gauge", {"smsc", "bind"}),
    "link_reconnects_total": ("counter", {"smsc"}),
    "window_size": ("gauge", {"smsc", "bind"}),
    "window_outstanding": ("gauge", {"smsc", "bind"}),
    "throughput_configured": ("gauge", {"smsc"}),
    "throughput_permitted": ("gauge", {"smsc"}),
    "queued_messages": ("gauge", {"class"}),
    "oldest_queued_seconds": ("gauge", {"class"}),
    "unknown_messages": ("gauge", set()),
    "inbound_total": ("counter", {"kind"}),
    "optouts_total": ("counter", set()),
    "database_bytes": ("gauge", set()),
    "build_info": ("gauge", {"version"}),
}


def exposed(registry: CollectorRegistry) -> dict[str, Metric]:
    """Return what a scrape shows, by the names that its samples begin with."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {f"{f.name}_total" if f.type == "counter" else f.name: f for f in families}


def samples(registry: CollectorRegistry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in exposed(registry).values()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def fill(metrics: Metrics) -> None:
    """Give every metric a value under each of its labels."""
    for name, (_, _, labels) in TABLE.items():
        metric = getattr(metrics, name)
        one = metric.labels(*("x" for _ in labels)) if labels else metric
        one.inc(2)
    for name, (_, _, label) in HISTOGRAMS.items():
        getattr(metrics, name).observe([0.2, 700.0], "x" if label else "")


# What is shown


@pytest.mark.parametrize("name", CONTRACT)
def test_each_metric_of_the_interface_is_shown_with_exactly_its_labels(name: str) -> None:
    metrics = Metrics()
    fill(metrics)
    family = exposed(metrics.registry)[f"smppgw_{name}"]
    kind, labels = CONTRACT[name]
    assert family.type == kind
    assert family.samples
    for sample in family.samples:
        assert set(sample.labels) - {"le"} == labels


def test_every_metric_has_its_prefix_its_help_and_says_total_where_it_counts() -> None:
    metrics = Metrics()
    fill(metrics)
    for name, family in exposed(metrics.registry).items():
        assert name.startswith("smppgw_")
        assert family.documentation.endswith(".")
        assert name.endswith("_total") == (family.type == "counter")


def test_a_value_is_shown_under_its_name_and_labels() -> None:
    metrics = Metrics()
    metrics.submit_sm_resp_total.labels("operator", "ESME_ROK").inc(3)
    metrics.receipts_unmatched.labels("parked").set(4)
    shown = samples(metrics.registry)
    labels = (("command_status", "ESME_ROK"), ("smsc", "operator"))
    assert shown["smppgw_submit_sm_resp_total", labels] == 3
    assert shown["smppgw_receipts_unmatched", (("kind", "parked"),)] == 4
    assert shown["smppgw_build_info", (("version", __version__),)] == 1


def test_what_has_no_label_is_zero_from_the_start() -> None:
    shown = samples(Metrics().registry)
    for name, (kind, labels) in CONTRACT.items():
        if not labels:
            assert shown[f"smppgw_{name}" + "_count" * (kind == "histogram"), ()] == 0


def test_unmatched_receipts_can_become_fewer() -> None:
    metrics = Metrics()
    for receipts in (5, 2):
        metrics.receipts_unmatched.labels("parked").set(receipts)
    assert samples(metrics.registry)["smppgw_receipts_unmatched", (("kind", "parked"),)] == 2


def test_two_gateways_in_one_process_do_not_count_together() -> None:
    one, other = Metrics(), Metrics()
    one.unknown_messages.set(7)
    assert samples(other.registry)["smppgw_unknown_messages", ()] == 0


bounds = st.lists(st.floats(0.001, 100_000), min_size=1, max_size=12, unique=True).map(sorted)
batches = st.lists(
    st.tuples(st.sampled_from("ab"), st.lists(st.floats(0, 1e6), max_size=20)), max_size=8
)


@given(bounds, batches, st.booleans(), st.data())
def test_a_batch_counts_like_the_library_counts_one_by_one(
    buckets: list[float],
    observed: list[tuple[str, list[float]]],
    labelled: bool,
    data: st.DataObject,
) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    fast = Histogram("seconds", "Help.", buckets, "smsc" if labelled else None)
    ours.register(fast)
    slow = prometheus_client.Histogram(
        "seconds", "Help.", ("smsc",) if labelled else (), buckets=buckets, registry=theirs
    )
    for label, values in observed:
        values += data.draw(st.lists(st.sampled_from(buckets), max_size=3))  # on the bounds too
        fast.observe(values, label if labelled else "")
        one = slow.labels(label) if labelled else slow
        for value in values:
            one.observe(value)
    assert samples(ours) == pytest.approx(samples(theirs))


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_the_buckets_of_a_histogram_rise(name: str) -> None:
    buckets = HISTOGRAMS[name][1]
    assert list(buckets) == sorted(set(buckets))


# The endpoint


@contextmanager
def served(
    host: str = "127.0.0.1", *, sick: str | None = None, unready: str | None = None
) -> Iterator[tuple[Endpoint, Metrics]]:
    metrics = Metrics()
    with Endpoint(metrics, host, 0, healthy=lambda: sick, ready=lambda: unready) as endpoint:
        yield endpoint, metrics


def get(endpoint: Endpoint, path: str, host: str = "127.0.0.1") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(host, endpoint.port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read().decode()
    finally:
        connection.close()


def test_metrics_are_served_as_prometheus_reads_them() -> None:
    with served() as (endpoint, metrics):
        fill(metrics)
        status, content_type, body = get(endpoint, "/metrics")
    assert status == 200
    assert content_type.startswith("text/plain; version=")
    assert body == generate_latest(metrics.registry).decode()


def test_a_scrape_shows_what_is_true_now() -> None:
    with served() as (endpoint, metrics):
        for messages in (1, 2):
            metrics.unknown_messages.set(messages)
            assert f"smppgw_unknown_messages {messages}.0" in get(endpoint, "/metrics")[2]


@pytest.mark.parametrize(
    ("sick", "unready", "health", "readiness"),
    [
        (None, None, (200, "ok\n"), (200, "ok\n")),
        (None, "no bind stands", (200, "ok\n"), (503, "no bind stands\n")),
        ("no turn for 12 s", "été", (503, "no turn for 12 s\n"), (503, "été\n")),
    ],
)
def test_health_and_readiness_are_a_status_and_a_reason(
    sick: str | None, unready: str | None, health: tuple[int, str], readiness: tuple[int, str]
) -> None:
    with served(sick=sick, unready=unready) as (endpoint, _):
        for path, (status, reason) in (("/healthz", health), ("/readyz", readiness)):
            assert get(endpoint, path) == (status, "text/plain; charset=utf-8", reason)


@pytest.mark.parametrize("path", ["/", "/metric", "/metrics/", "/healthz/x", "/é"])
def test_any_other_path_is_not_found_and_says_what_is(path: str) -> None:
    with served() as (endpoint, _):
        status, _, body = get(endpoint, path.replace("é", "%C3%A9"))
    assert status == 404
    assert "/metrics, /healthz and /readyz" in body


def ipv6_stands() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_the_endpoint_listens_on_ipv6_where_the_machine_has_it() -> None:
    if ipv6_stands():
        with served("::1") as (endpoint, _):
            assert get(endpoint, "/healthz", "::1")[0] == 200
    else:
        with pytest.raises(OperationError, match="cannot be listened on"), served("::1"):
            pass


def test_a_port_in_use_is_told_in_a_sentence_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OperationError) as raised:
            Endpoint(Metrics(), "127.0.0.1", port, healthy=lambda: None, ready=lambda: None)
    assert str(raised.value) == (
        f"[metrics] listen: 127.0.0.1:{port} cannot be listened on (Address already in use). "
        "Name another port in the configuration, or end what uses it."
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "a..b", "x" * 70])
def test_an_address_that_is_not_of_this_machine_is_told_in_a_sentence(host: str) -> None:
    with pytest.raises(OperationError, match="cannot be listened on"):
        Endpoint(Metrics(), host, 0, healthy=lambda: None, ready=lambda: None)


def test_the_port_is_free_again_when_the_endpoint_is_closed() -> None:
    with served() as (endpoint, _):
        port = endpoint.port
    again = Endpoint(Metrics(), "127.0.0.1", port, healthy=lambda: None, ready=lambda: None)
    with again:
        assert get(again, "/healthz")[0] == 200


def test_traffic_is_what_was_counted_since_it_was_asked_last_and_nothing_if_quiet() -> None:
    metrics = Metrics()
    metrics.begin("a")
    traffic = Traffic(metrics)
    assert traffic.since_asked() == {}
    for smsc in ("a", "b"):
        metrics.submit_sm_total.labels(smsc).inc(10)
        metrics.receipts_total.labels(smsc, "DELIVRD").inc(2)
        metrics.receipts_total.labels(smsc, "UNDELIV").inc(1)
    for status, count in (
        ("ESME_ROK", 5), ("ESME_RTHROTTLED", 2), ("ESME_RMSGQFUL", 1), ("ESME_RSYSERR", 4),
    ):  # fmt: skip
        metrics.submit_sm_resp_total.labels("a", status).inc(count)
    for state, count in (("delivered", 4), ("unknown", 3), ("expired", 9)):
        metrics.messages_total.labels("service", state).inc(count)
    metrics.inbound_total.labels("text").inc(7)
    assert traffic.since_asked() == {
        "submitted": 20, "accepted": 5, "refused": 4, "throttled": 3, "receipts": 6,
        "delivered": 4, "unknown": 3, "inbound": 7,
    }  # fmt: skip
    assert traffic.since_asked() == {}
    metrics.submit_sm_total.labels("b").inc()
    assert traffic.since_asked() == dict.fromkeys(
        ("submitted", "accepted", "refused", "throttled", "receipts", "delivered", "unknown",
         "inbound"), 0,
    ) | {"submitted": 1}  # fmt: skip


def test_the_endpoint_closes_at_once_however_rarely_it_looks_around(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics, "_LOOK_S", 3600.0)
    answered: list[int] = []

    def serve() -> None:
        with Endpoint(Metrics(), "127.0.0.1", 0, healthy=lambda: None, ready=lambda: None) as it:
            answered.append(get(it, "/healthz")[0])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    thread.join(timeout=10.0)
    assert answered == [200]
    assert not thread.is_alive()
