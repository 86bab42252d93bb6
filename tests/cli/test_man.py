"""The manual page is that of the program, and plain to every reader of manual pages."""

from pathlib import Path

from smppgw import __version__
from smppgw.cli.man import page

ROOT = Path(__file__).parents[2]


def test_the_page_that_is_installed_is_that_of_the_program() -> None:
    installed = ROOT / "deploy/data/share/man/man1/smppgw.1"
    assert installed.read_text("ascii") == page(), "run `make man`"


def test_the_page_names_every_command_down_to_its_options() -> None:
    made = page()
    assert f'"smppgw {__version__}"' in made
    assert r".SS smppgw jobs retry" in made
    assert r"\fB\-\-undelivered\fR" in made
    assert r".SS smppgw config init" in made


def test_no_line_of_text_is_taken_for_a_request() -> None:
    requests = {".TH", ".SH", ".SS", ".PP", ".TP", ".nf", ".fi"}
    for line in page().splitlines():
        assert not line.startswith("'")
        assert not line.startswith(".") or line.split()[0] in requests, line
