"""The wheel: what is in it, and that it is the same octets whoever builds it."""

import os
import shutil
import stat
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest

from smppgw import __version__
from tests.package.wheel import ROOT, build


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(build(ROOT, tmp_path_factory.mktemp("wheel"))) as archive:
        yield archive


def test_whoever_builds_it_gets_the_same_octets(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    source = tmp_path / "source"
    needed = ("smppgw", "deploy/data", "deploy/systemd")
    for name in needed:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE", "config.toml"):
        shutil.copy(ROOT / name, source / name)
    for path in source.rglob("*"):  # other times and other modes than those of the checkout
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)
            os.utime(path, (1_600_000_000, 1_600_000_000))
    again = build(source, tmp_path / "again", umask=0o077)
    assert wheel.filename is not None
    assert again.name == Path(wheel.filename).name
    assert again.read_bytes() == Path(wheel.filename).read_bytes()


def test_every_file_of_the_package_is_in_it_and_no_other(wheel: zipfile.ZipFile) -> None:
    kept = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "smppgw").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in wheel.namelist() if name.startswith("smppgw/")} == kept
    # What a trial may leave in the folder, such as a database, is none of these.
    kinds = {Path(name).suffix for name in kept}
    assert kinds <= {".py", ".typed", ".sql", ".toml", ".xlsx", ".css"}


def test_the_example_of_the_configuration_is_in_it_as_a_file(wheel: zipfile.ZipFile) -> None:
    assert wheel.read("smppgw/example.toml") == (ROOT / "config.toml").read_bytes()


def test_the_manual_page_and_the_unit_are_in_it(wheel: zipfile.ZipFile) -> None:
    share = f"smppgw-{__version__}.data/data/share"
    unit = wheel.read(f"{share}/smppgw/smppgw.service")
    assert unit == (ROOT / "deploy/systemd/smppgw.service").read_bytes()
    assert wheel.read(f"{share}/man/man1/smppgw.1").startswith(b".TH SMPPGW 1 ")


def test_the_version_is_that_of_the_package(wheel: zipfile.ZipFile) -> None:
    metadata = Parser().parsestr(
        wheel.read(f"smppgw-{__version__}.dist-info/METADATA").decode("utf-8")
    )
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
