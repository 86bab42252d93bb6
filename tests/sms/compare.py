"""`compose` beside `smsutil` of PyPI, which nobody here wrote: the same segments for any text.

Run as a module it compares as many generated texts as it is told, a million by default, in 90
seconds.

Where the two differ, 3GPP TS 23.038 decides: `difference` says how.
"""

import random
import sys
from collections.abc import Iterator

import smsutil

from smppgw import sms
from smppgw.sms.alphabet import DEFAULT, EXTENSION, decode_gsm

ENCODINGS = {"gsm7": "gsm0338", "ucs2": "utf_16_be"}
PLAIN = DEFAULT.replace("\x1b", "").replace("\r", "")
DOUBLE = "".join(EXTENSION.values())
COSTLY = "’«»…–—œŒçêëîïôûâÿÀÂÈÊŒ°²\u00a0\u202f\t"
WIDE = "😀🚒🌊👩\u200de\u0301\U0010ffff"
# Where counts change: every border of one, two and three segments in each alphabet.
BORDERS = (0, 1, 66, 67, 70, 71, 134, 135, 152, 153, 160, 161, 201, 202, 306, 307, 459, 460)


def difference(text: str) -> str | None:
    """Say how the two differ on a text as `compose` sends it; None where they agree."""
    ours = sms.compose(text, "keep")
    theirs = smsutil.split(ours.text)
    parts = [part.content for part in theirs.parts]
    if not ours.text:
        # They take UCS2 for an empty text. Both make one empty segment of it, and every alphabet
        # holds no character at all.
        return None if parts == [""] and ours.segments == [b""] else "an empty text"
    if "\x1b" in ours.text:
        # They take U+001B for a character of GSM 03.38. By 6.2.1, note 1, it is the escape to the
        # extension table and nothing by itself: the text needs UCS2.
        return None if ours.encoding == "ucs2" else "an escape was taken for a character"
    if ENCODINGS[ours.encoding] != theirs.encoding:
        return f"{ours.encoding} against {theirs.encoding}"
    decoded = [
        decode_gsm(one) if ours.encoding == "gsm7" else one.decode("utf-16-be")
        for one in ours.segments
    ]
    if decoded != parts:
        return f"cut at {[*map(len, decoded)]} against {[*map(len, parts)]}"
    octets = ours.units if ours.encoding == "gsm7" else 2 * ours.units
    if octets != theirs.total_bytes:
        return f"{octets} octets against {theirs.total_bytes}"
    return None


def texts(count: int, seed: int) -> Iterator[str]:
    """Generate texts: lengths around the borders, any mixture of what costs and what does not."""
    chance = random.Random(seed)
    for _ in range(count):
        length = max(0, chance.choice(BORDERS) + chance.randint(-3, 3))
        text = chance.choices(PLAIN, k=length)
        for alphabet in (DOUBLE, COSTLY, WIDE, "\x1b\r\n"):
            if chance.random() < 0.4:
                for _ in range(chance.randint(1, 4)):
                    text.insert(chance.randint(0, len(text)), chance.choice(alphabet))
        yield "".join(text)


def main(count: int = 1_000_000) -> int:
    """Compare; returns the exit status."""
    differing = 0
    for at, text in enumerate(texts(count, seed=1), 1):
        fault = difference(text)
        if fault:
            differing += 1
            print(f"{fault}: {text!r}")
        if at % 100_000 == 0:
            print(f"{at:,} texts, {differing} differ", flush=True)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
