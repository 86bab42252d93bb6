"""The gateway as a service: what its manager hears from a real process, from start to end."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import Site
from tests.manager import Manager


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.close()


def test_a_manager_hears_that_the_gateway_is_ready_moves_reloads_and_ends(
    site: Site, manager: Manager
) -> None:
    smsc = site.smsc()
    path = site.configure(port=smsc.port)
    site.environment |= manager.environ | {"WATCHDOG_USEC": "300000"}
    gateway = site.gateway(bound=False)
    assert manager.heard() == ["READY=1", "STATUS=started"]
    manager.hear("STATUS=ready: an alert could leave now")
    assert manager.hear("WATCHDOG=1")
    gateway.popen.send_signal(signal.SIGHUP)
    manager.hear("RELOADING=1")
    assert manager.hear("READY=1") == ["READY=1", "STATUS=took over the configuration"]
    path.write_text("nothing = 1", "utf-8")
    gateway.popen.send_signal(signal.SIGHUP)
    manager.hear("RELOADING=1")
    (status,) = set(manager.hear("READY=1")) - {"READY=1"}
    assert status.startswith("STATUS=goes on with the configuration it has: ")
    gateway.popen.send_signal(signal.SIGTERM)
    assert manager.hear("STOPPING=1")
    assert gateway.wait() == 0


def test_a_gateway_that_cannot_start_never_says_that_it_is_ready(
    site: Site, manager: Manager
) -> None:
    site.gateway(bound=False)
    site.environment |= manager.environ
    assert site.run("run").returncode == 1  # the database is served already
    assert manager.heard_nothing()
