"""A site for each test: a folder, free ports, and nothing left running behind it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    made.configure()
    yield made
    made.stop()
