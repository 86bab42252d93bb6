"""What the service manager hears, on a real socket."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smppgw.notify import Notifier
from tests.manager import Manager


@pytest.fixture(params=("path", "abstract"))
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    names = {"path": str(tmp_path / "notify"), "abstract": f"@smppgw-{os.getpid()}"}
    made = Manager(names[request.param])
    yield made
    made.close()


@pytest.mark.parametrize(
    ("tell", "lines"),
    [
        (lambda notifier: notifier.ready("it runs"), ["READY=1", "STATUS=it runs"]),
        (lambda notifier: notifier.alive("it moves"), ["WATCHDOG=1", "STATUS=it moves"]),
        (lambda notifier: notifier.stands("no turn for 11 s"), ["STATUS=no turn for 11 s"]),
        (lambda notifier: notifier.stopping("it ends"), ["STOPPING=1", "STATUS=it ends"]),
    ],
)
def test_each_thing_is_told_in_one_datagram(
    manager: Manager, tell: Callable[[Notifier], None], lines: list[str]
) -> None:
    tell(Notifier(manager.environ))
    assert manager.heard() == lines
    assert manager.heard_nothing()


def test_a_status_is_one_line_so_that_what_it_tells_of_cannot_say_more(manager: Manager) -> None:
    Notifier(manager.environ).stands("it said:\nWATCHDOG=1\n  and no more – été")
    assert manager.heard() == ["STATUS=it said: WATCHDOG=1 and no more – été"]


def test_a_reload_says_when_it_began_on_the_clock_of_the_manager(manager: Manager) -> None:
    notifier = Notifier(manager.environ)
    notifier.ready("started")
    manager.heard()
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    reloading, began = manager.heard()
    assert reloading == "RELOADING=1"
    name, _, microseconds = began.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(microseconds) <= after
    notifier.reloaded("took over the configuration")
    assert manager.heard() == ["READY=1", "STATUS=took over the configuration"]


def test_a_reload_while_it_starts_does_not_pass_for_the_end_of_the_start(manager: Manager) -> None:
    notifier = Notifier(manager.environ)
    notifier.reloading()
    notifier.reloaded("took over the configuration")
    assert manager.heard_nothing()


@pytest.mark.parametrize(
    "environ",
    [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}, {"WATCHDOG_USEC": "9"}],
)
def test_where_no_manager_listens_nothing_is_told_and_nothing_fails(
    environ: dict[str, str],
) -> None:
    notifier = Notifier(environ)
    assert not notifier.listened_to
    assert notifier.watchdog_s is None
    notifier.ready("it runs")
    notifier.alive("it moves")
    notifier.reloading()
    notifier.stopping("it ends")


def test_a_manager_that_has_gone_does_not_end_the_service(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready("it runs")


@pytest.mark.timeout(20)
def test_a_manager_that_does_not_read_does_not_hold_the_service(manager: Manager) -> None:
    notifier = Notifier(manager.environ)
    for _ in range(5000):  # more than any queue of datagrams holds
        notifier.alive("it moves")
    assert manager.heard() == ["WATCHDOG=1", "STATUS=it moves"]


@pytest.mark.parametrize(
    ("environ", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_ours_only_where_the_manager_says_so(
    manager: Manager, environ: dict[str, str], watchdog_s: float | None
) -> None:
    assert Notifier(manager.environ | environ).watchdog_s == watchdog_s
