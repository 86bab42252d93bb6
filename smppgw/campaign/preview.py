"""What people should see of a text before it is sent: which characters cost, and real examples.

Pure: nothing here knows how it is shown.
"""

import re
import unicodedata
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from smppgw.sms.alphabet import (
    BEHIND_A_DIGIT,
    EXTENSION,
    GSM,
    REWRITES,
    outside_gsm,
    rewrite_text,
)

EXAMPLES = 3  # real texts beside the shortest and the longest

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{[^{}]*\}")  # as sms.Template reads them
_DOUBLE = frozenset(EXTENSION.values())
# What a costly character is called where it shows nothing, or would be taken for another.
_NAMES = {
    "\t": "tabulator",
    "\u00a0": "no-break space",
    "\u202f": "narrow no-break space",
    "\u00ad": "soft hyphen",
    "\u200b": "zero-width space",
    "\ufeff": "byte order mark",
}


class Costly(NamedTuple):
    """A character that makes a text dearer.

    Attributes:
        character: As it was written.
        name: What to call it: itself, or words for one that shows nothing.
        doubles: It takes two septets; else it forces UCS2 on the whole text.
        rewrite: The mildest rewrite that helps; None where none does.
        replacement: What that rewrite puts in its place.
    """

    character: str
    name: str
    doubles: bool
    rewrite: str | None
    replacement: str


class Piece(NamedTuple):
    """A run of a text's characters: all of them cost, or none does."""

    text: str
    costly: bool


class Example(NamedTuple):
    """A text as a recipient gets it: the row, the text after rewriting, and what it takes."""

    row: int
    text: str
    encoding: str
    segments: int
    units: int


class Examples:
    """The shortest and the longest of many texts, and a few from all over the list.

    The few are rows 1, 2, 4, 8 and so on, of which the last EXAMPLES are kept: where a list ends is
    not known before it does.
    """

    def __init__(self) -> None:
        self.shortest: Example | None = None
        self.longest: Example | None = None
        self._seen = 0
        self._others: deque[Example] = deque(maxlen=EXAMPLES)

    def add(self, example: Example) -> None:
        """Look at the next text."""
        self._seen += 1
        size = example.segments, example.units
        if self.longest is None or size > (self.longest.segments, self.longest.units):
            self.longest = example
        if self.shortest is None or size < (self.shortest.segments, self.shortest.units):
            self.shortest = example
        if self._seen & (self._seen - 1) == 0:
            self._others.append(example)

    def named(self) -> Iterator[tuple[str, Example]]:
        """Yield what each example shows, and the example; no row twice."""
        if self.shortest is None or self.longest is None:
            return
        shown = set()
        named = [("longest", self.longest), ("shortest", self.shortest)]
        for name, example in named + [("example", other) for other in self._others]:
            if example.row not in shown:
                shown.add(example.row)
                yield name, example


def costly(text: str) -> list[Costly]:
    """List the distinct characters that cost, in order of appearance.

    Args:
        text: with {placeholders}, of which nothing but the defaults is looked at. Letters with a
            separate accent are one character here, as they are when sent.
    """
    text = rewrite_text(_PLACEHOLDER.sub(_literal, text), "keep")
    found = {}
    for at, character in enumerate(text):
        if character in GSM and character not in _DOUBLE:
            continue
        behind = text[at - 1] if at and character in BEHIND_A_DIGIT else ""
        key = character, behind.isdigit()
        if key not in found:
            found[key] = _costly(character, behind if behind.isdigit() else "")
    return list(found.values())


def _literal(placeholder: re.Match[str]) -> str:
    """Return what stands in place of a placeholder: a brace, a default, or nothing."""
    if placeholder[0] in ("{{", "}}"):
        return placeholder[0][0]
    return placeholder[0][1:-1].partition("|")[2].strip()


def _costly(character: str, before: str) -> Costly:
    name = _NAMES.get(character) or character
    if not name.isprintable() or name.isspace():
        name = unicodedata.name(character, f"U+{ord(character):04X}").lower()
    if character in _DOUBLE:
        return Costly(character, name, True, None, character)
    for rewrite in REWRITES[1:]:
        replaced = rewrite_text(before + character, rewrite)
        if not outside_gsm(replaced):
            return Costly(character, name, False, rewrite, replaced.removeprefix(before))
    return Costly(character, name, False, None, character)


def pieces(text: str, *, template: bool = False) -> Iterator[Piece]:
    """Cut a text into runs of characters that cost and runs of those that do not.

    Args:
        text: any text.
        template: its {placeholders} are not sent as they stand, and cost nothing by themselves.
    """
    text = rewrite_text(text, "keep")
    marks = [character not in GSM or character in _DOUBLE for character in text]
    for placeholder in _PLACEHOLDER.finditer(text) if template else ():
        if placeholder[0] not in ("{{", "}}"):
            marks[slice(*placeholder.span())] = [False] * len(placeholder[0])
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or marks[at] != marks[start]:
            yield Piece(text[start:at], marks[start])
            start = at
