"""The chart."""

from xml.etree import ElementTree

from smppgw.bench.budgets import Result, row
from smppgw.bench.chart import LEFT, RIGHT, WIDTH, draw

SVG = "{http://www.w3.org/2000/svg}"
MACHINE = {
    "cores": 2,
    "python": "3.11.7",
    "sqlite": "3.40.1",
    "fsync_ms": 0.5,
    "smsc": "simulated <here>",
}


def drawn(**figures: float) -> ElementTree.Element:
    return ElementTree.fromstring(
        draw(Result(MACHINE, [row(name, [figure]) for name, figure in figures.items()]))
    )


def test_bars_are_as_long_as_their_figures_and_the_longest_fills_the_width() -> None:
    svg = drawn(messages_per_s=20_000, smpplib_per_s=5_000, aiosmpplib_per_s=1)
    lengths = [int(bar.attrib["width"]) for bar in svg.iter(f"{SVG}rect")]
    assert lengths == [WIDTH - LEFT - RIGHT, 1, round((WIDTH - LEFT - RIGHT) / 4)]


def test_every_bar_has_its_figure_and_nothing_stands_outside_the_picture() -> None:
    svg = drawn(messages_per_s=23_456, smpp34_per_s=4_321)
    texts = ["".join(text.itertext()) for text in svg.iter(f"{SVG}text")]
    assert "23,456" in texts
    assert "4,321" in texts
    height = int(svg.attrib["viewBox"].split()[3])
    assert all(0 < float(text.attrib["y"]) < height for text in svg.iter(f"{SVG}text"))


def test_a_peer_that_was_not_measured_has_no_bar() -> None:
    svg = drawn(messages_per_s=20_000)
    assert len(list(svg.iter(f"{SVG}rect"))) == 1
    assert "smpplib" not in "".join(svg.itertext())


def test_it_says_in_words_what_it_shows_for_those_who_cannot_see_it() -> None:
    svg = drawn(messages_per_s=23_456)
    said = svg.find(f"{SVG}desc")
    assert said is not None
    assert "23,456 a second" in (said.text or "")
