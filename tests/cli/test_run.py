"""`run` under a service manager: what is told when, and what the watchdog lives on."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from smppgw.cli.run import tell_manager
from smppgw.notify import Notifier
from tests.cli.conftest import Smppgw
from tests.manager import Manager


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    made.environ["WATCHDOG_USEC"] = "30000"  # 30 ms, so that it is fed each 10
    yield made
    made.close()


def test_the_watchdog_is_fed_by_progress_alone(manager: Manager) -> None:
    answers = iter([None, None, "no turn for 11 s", "no turn for 12 s", None])
    ended = asyncio.Event()

    def unhealthy() -> str | None:
        answer = next(answers, "no turn for 13 s")
        if answer == "no turn for 13 s":
            ended.set()
        return answer

    asyncio.run(tell_manager(Notifier(manager.environ), unhealthy, lambda: None, ended))
    heard = [manager.heard() for _ in range(6)]
    ready = "STATUS=ready: an alert could leave now"
    assert heard == [
        ["WATCHDOG=1", ready],
        ["WATCHDOG=1", ready],
        ["STATUS=stuck: no turn for 11 s"],
        ["STATUS=stuck: no turn for 12 s"],
        ["WATCHDOG=1", ready],
        ["STATUS=stuck: no turn for 13 s"],
    ]


def test_a_gateway_without_a_bind_lives_and_says_that_it_is_not_ready(manager: Manager) -> None:
    ended = asyncio.Event()

    def unready() -> str:
        ended.set()
        return "no bind stands that takes alerts"

    asyncio.run(tell_manager(Notifier(manager.environ), lambda: None, unready, ended))
    assert manager.heard() == [
        "WATCHDOG=1",
        "STATUS=not ready: no bind stands that takes alerts",
    ]


def test_where_no_manager_listens_nothing_goes_on_in_the_background() -> None:
    def never() -> None:
        raise AssertionError

    asyncio.run(tell_manager(Notifier({}), never, never, asyncio.Event()))


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example"])
def test_what_cannot_be_the_name_of_a_host_is_said_to_be_none(smppgw: Smppgw, host: str) -> None:
    ended = smppgw("simulate", "--host", host, "--port", 0)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == f"Error: --host {host} cannot be the name of a host.\n"
