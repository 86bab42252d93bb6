"""Build the wheel, install it as an administrator does, run it: `python -m tests.package.wheel`.

The pinned requirements go into a new environment, so that this needs a package index; the suite
runs without it. What is run stands in an empty folder and knows nothing of the repository.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

from smppgw import __version__

ROOT = Path(__file__).parents[2]
EPOCH = "1700000000"  # the time that stands in the archive, whenever it is made


def build(source: Path, folder: Path, *, umask: int = 0o022) -> Path:
    """Build a wheel without the network.

    Args:
        source: the repository, or a copy of it.
        folder: where the wheel goes.
        umask: the mask of whoever builds.

    Returns:
        The wheel.
    """
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder, source),
        ],
        check=True,
        umask=umask,
        env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH},
        timeout=100,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


class Installed:
    """A wheel in an environment of its own, and an empty folder to run it in."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        self._bin, self.folder = folder / "venv" / "bin", folder / "elsewhere"
        self.folder.mkdir()
        venv.create(folder / "venv", with_pip=True)
        pip = ("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        self.run(*pip, "--require-hashes", "-r", ROOT / "requirements" / "runtime.txt")
        self.run(*pip, "--no-deps", "--no-index", wheel)

    def run(self, program: str, *arguments: object) -> str:
        """Run one of the environment's programs; returns what it printed.

        Raises:
            SystemExit: it failed.
        """
        ours = ("SMPPGW_", "PYTHON", "VIRTUAL_ENV")
        ended = subprocess.run(
            [self._bin / program, *map(str, arguments)],
            cwd=self.folder,
            env={name: value for name, value in os.environ.items() if not name.startswith(ours)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            timeout=500,
        )
        if ended.returncode:
            raise SystemExit(f"{ended.stdout}{program} {arguments} ended with {ended.returncode}.")
        return ended.stdout

    def json(self, *arguments: object) -> Any:
        """Run smppgw with --json; returns the document."""
        return json.loads(self.run("smppgw", *arguments, "--json"))


def main() -> None:
    """Check the wheel; an assertion or a failed command says what is wrong with it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="smppgw-wheel-") as name:
        folder = Path(name)
        wheel = build(ROOT, folder)
        print(f"{wheel.name}, {wheel.stat().st_size / 1000:.0f} kB")
        installed = Installed(wheel, folder)
        where = installed.run("python", "-c", "import smppgw; print(smppgw.__file__)")
        assert Path(where.strip()).is_relative_to(folder), where
        installed.run("python", "-m", "pip", "check")
        assert installed.run("smppgw", "--version") == f"smppgw, version {__version__}\n"
        installed.run("smppgw", "config", "init")
        example = installed.folder / "config.toml"
        assert example.read_bytes() == (ROOT / "config.toml").read_bytes()
        assert installed.json("check")["ok"] is True
        assert installed.json("config", "show")["smsc"][0]["name"] == "operator"
        counts = installed.json("demo")["counts"]
        assert counts["delivered"] + counts["undelivered"] == counts["total"] > 0, counts
        assert "_smppgw_completion" in installed.run("smppgw", "completion", "zsh")
        share = folder / "venv" / "share"
        assert (share / "man/man1/smppgw.1").is_file()
        assert (share / "smppgw/smppgw.service").is_file()
        left = sorted(path.name for path in installed.folder.iterdir())
        assert left == ["config.toml"], left
    print(f"It installs and works by itself ({time.monotonic() - began:.0f} s).")


if __name__ == "__main__":
    main()
