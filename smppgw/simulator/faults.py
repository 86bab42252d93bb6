"""What can be asked to go wrong: one table, from which the help of `simulate` is made too.

A fault is asked for by its name, or by its name and a number: `no-answer:50`. Where the number
stands for "one in N", each N in a row hold exactly one, at a place that the seed draws, so that a
run of N shows it for certain. Faults can be had together unless `CONTRADICTIONS` parts them.

Pure: chance comes from the seed. Each behaviour here is one that real SMSCs have shown.
"""

import difflib
import math
import random
import textwrap
from collections.abc import Collection
from itertools import chain, repeat
from typing import NamedTuple

from smppgw.errors import InputError

COUNT, SECONDS = "N", "SECONDS"


class Fault(NamedTuple):
    """What goes wrong, and the number that may stand behind the name: its unit, and its default."""

    sentence: str
    unit: str = ""  # empty where there is no number
    default: float = 0


SECTIONS: dict[str, dict[str, Fault]] = {
    "Message ids": {
        "ids-leading-zeros": Fault("Ids have leading zeros in the answer and none in the receipt."),
        "ids-upper": Fault(
            "Ids have letters (decimal becomes hex): small in the answer, capital in the receipt."
        ),
        "ids-long": Fault("Ids have 64 characters, the most that a message_id may have."),
        "ids-reused": Fault("Ids start again from the same number when an account binds anew."),
    },
    "Answers to submit_sm": {
        "no-answer": Fault(
            "One submit_sm in N is accepted and never answered; its receipt comes.", COUNT, 50
        ),
        "no-answer-lost": Fault(
            "One submit_sm in N is accepted and gets neither answer nor receipt.", COUNT, 50
        ),
        "slow-answers": Fault(
            "An answer takes SECONDS more for each submit_sm that waits for one.", SECONDS, 0.02
        ),
        "answers-out-of-order": Fault(
            "Answers come in any order, each up to SECONDS late.", SECONDS, 0.05
        ),
        "stray-answers": Fault(
            "One answer in N is sent twice, with answers to requests that never were.", COUNT, 10
        ),
        "throttle": Fault(
            "One submit_sm in N is refused ESME_RTHROTTLED, however low the rate.", COUNT, 20
        ),
        "queue-full": Fault("One submit_sm in N is refused ESME_RMSGQFUL.", COUNT, 20),
        "system-error": Fault("One submit_sm in N is refused ESME_RSYSERR.", COUNT, 20),
        "refuse": Fault("One submit_sm in N is refused ESME_RINVDSTADR.", COUNT, 20),
        "vendor-status": Fault(
            "One submit_sm in N is refused with a vendor's status, 0x400 to 0x4FF.", COUNT, 20
        ),
        "nack": Fault("One submit_sm in N is refused by a generic_nack.", COUNT, 50),
        "nack-0": Fault("Beside one answer in N comes a generic_nack of sequence 0.", COUNT, 20),
        "negative-with-body": Fault("Refusals carry a message id, as acceptances do."),
    },
    "When receipts come, and how many": {
        "receipt-first": Fault(
            "The receipt goes SECONDS before the answer; 0 is in the same write.", SECONDS, 0
        ),
        "receipt-early-other-bind": Fault(
            "The receipt goes SECONDS before the answer, on another bind if there is one.",
            SECONDS,
            0.05,
        ),
        "receipt-other-bind": Fault(
            "The receipt comes on another bind of the account if there is one."
        ),
        "receipt-late": Fault("Receipts are held until the account's next bind."),
        "receipt-lost": Fault("One receipt in N never comes.", COUNT, 20),
        "receipt-twice": Fault("Every receipt comes twice."),
        "receipt-intermediate": Fault(
            "A receipt ENROUTE, by esm_class 0x20 or 0x04, comes before the final one."
        ),
        "enroute-after-final": Fault("A receipt ENROUTE comes after the final one."),
        "receipt-first-segment-only": Fault("Of a text in segments, the first gets a receipt."),
        "receipt-last-segment-only": Fault("Of a text in segments, the last gets a receipt."),
        "receipts-undelivered": Fault(
            "From the Nth submit_sm of the run on, all is UNDELIV.", COUNT, 1
        ),
    },
    "What receipts look like": {
        "receipt-tlvs": Fault("Receipts carry TLVs beside their text."),
        "receipt-tlvs-only": Fault("Receipts carry TLVs, and an empty text."),
        "receipt-text-only": Fault("Receipts carry their text alone, as they do by default."),
        "receipt-data-sm": Fault("Receipts are data_sm with TLVs."),
        "receipt-esm-0": Fault("Receipts have esm_class 0, as texts from phones do."),
        "receipt-ucs2": Fault("The text of receipts is UCS2."),
        "receipt-missing-fields": Fault("The text of receipts holds id and stat alone."),
        "receipt-unknown-word": Fault("The text of receipts has state words of its own."),
        "receipt-cut": Fault("The text of receipts ends behind the word of stat."),
    },
    "Sessions": {
        "bind-refused": Fault("The first N binds of an account are ESME_RBINDFAIL.", COUNT, 3),
        "bind-throttled": Fault("The first N binds of an account are ESME_RTHROTTLED.", COUNT, 3),
        "no-bind-answer": Fault("The first N binds of an account are not answered.", COUNT, 1),
        "already-bound": Fault(
            "Binds are ESME_RALYBND for SECONDS after a connection was lost.", SECONDS, 5
        ),
        "unbind": Fault("The SMSC unbinds SECONDS after each bind.", SECONDS, 60),
        "no-unbind-answer": Fault("An unbind is answered by the end of the stream."),
        "drop": Fault(
            "Each connection is cut without a word once it has read N submit_sm.", COUNT, 100
        ),
        "no-enquire-answer": Fault("An enquire_link is not answered."),
        "enquire-often": Fault("The SMSC sends an enquire_link every SECONDS.", SECONDS, 1),
    },
    "Octets": {
        "cut-anywhere": Fault("Writes are cut into pieces at any octet."),
        "glue": Fault("The answer to a bind and a deliver_sm come in one write."),
        "command-length-0": Fault(
            "Once a run, behind the Nth answer, comes a command_length of 0; silence; the end.",
            COUNT,
            20,
        ),
        "command-length-4g": Fault(
            "Once a run, behind the Nth answer, comes a command_length of 4 GB; silence; the end.",
            COUNT,
            20,
        ),
        "unknown-command": Fault(
            "Beside one answer in N comes a request of a command that nobody knows.", COUNT, 10
        ),
        "unknown-tlvs": Fault("Answers and receipts carry a vendor's TLV."),
        "sequence-extremes": Fault("deliver_sm are numbered 0 and 0xFFFFFFFF."),
    },
    "Texts from phones": {
        "phone-text-like-receipt": Fault(
            "One phone in N that is written to answers with a text that looks like a receipt.",
            COUNT,
            10,
        ),
        "texts-udh-8": Fault(
            "One phone in N answers with a long text, its reference of 8 bits in the UDH.",
            COUNT,
            10,
        ),
        "texts-udh-16": Fault(
            "One phone in N answers with a long text, its reference of 16 bits in the UDH.",
            COUNT,
            10,
        ),
        "texts-sar": Fault("One phone in N answers with a long text in SAR TLVs.", COUNT, 10),
        "texts-out-of-order": Fault(
            "One phone in N answers with a long text whose last part comes first.", COUNT, 10
        ),
    },
}
FAULTS: dict[str, Fault] = {
    name: fault for section in SECTIONS.values() for name, fault in section.items()
}

_WITHOUT_TEXT = ("receipt-tlvs-only", "receipt-data-sm")
_ABOUT_TEXT = (
    "receipt-text-only",
    "receipt-ucs2",
    "receipt-missing-fields",
    "receipt-unknown-word",
    "receipt-cut",
)
CONTRADICTIONS: tuple[tuple[str, str], ...] = (
    ("ids-leading-zeros", "ids-long"),
    ("receipt-tlvs", "receipt-text-only"),
    ("receipt-missing-fields", "receipt-cut"),
    ("receipt-first", "receipt-early-other-bind"),
    ("receipt-first", "receipt-late"),
    ("receipt-early-other-bind", "receipt-late"),
    ("receipt-first-segment-only", "receipt-last-segment-only"),
    ("receipt-data-sm", "receipt-tlvs-only"),
    *((a, b) for a in _WITHOUT_TEXT for b in _ABOUT_TEXT),
)


def parse_faults(text: str) -> frozenset[str]:
    """Read names such as "receipt-twice,no-answer:50".

    Raises:
        InputError: as for `read_faults`.
    """
    faults = [part.strip() for part in text.split(",")]
    read_faults(faults)
    return frozenset(faults)


def read_faults(faults: Collection[str]) -> dict[str, float]:
    """Return the number of each fault that is asked for, by its name.

    Args:
        faults: names, each perhaps with a colon and a number.

    Raises:
        InputError: a name that is none, with the nearest that is one; a number that cannot be; two
            that contradict each other.
    """
    numbers: dict[str, float] = {}
    for item in sorted(faults):
        name, colon, number = item.partition(":")
        fault = FAULTS.get(name)
        if fault is None:
            nearest = difflib.get_close_matches(name, FAULTS, 1, 0.5)
            hint = f"did you mean {nearest[0]}? " if nearest else ""
            raise InputError(
                f"{name!r} is no fault: {hint}`smppgw simulate --help` lists all of them."
            )
        if name in numbers:
            raise InputError(f"{name} stands there twice: give it once.")
        numbers[name] = _read_number(name, fault, number) if colon else fault.default
    for one, other in CONTRADICTIONS:
        if one in numbers and other in numbers:
            raise InputError(f"{one} and {other} contradict each other: give one of them.")
    return numbers


def _read_number(name: str, fault: Fault, text: str) -> float:
    if not fault.unit:
        raise InputError(f"{name} takes no number: leave out {':' + text!r}.")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if fault.unit == COUNT and not (number >= 1 and number.is_integer()):
        raise InputError(f"{name}:{text} has no count: give 1 or more, as in {name}:20.")
    if not 0 <= number < math.inf:
        raise InputError(f"{name}:{text} has no time: give seconds, as in {name}:0.5.")
    return number


def describe_faults(width: int = 78) -> list[str]:
    """Return each section of the table as lines of at most `width` characters, for a help text."""
    return [
        "\n".join(
            [f"{title}:", *chain.from_iterable(map(_describe, section.items(), repeat(width)))]
        )
        for title, section in SECTIONS.items()
    ]


def _describe(item: tuple[str, Fault], width: int) -> list[str]:
    name, fault = item
    indent = " " * 6
    return [
        f"  {name}" + (f":{fault.unit} ({fault.default:g})" if fault.unit else ""),
        *textwrap.wrap(fault.sentence, width, initial_indent=indent, subsequent_indent=indent),
    ]


def chance(seed: int, what: str) -> random.Random:
    """Return a source of chance of its own for one thing, so that no fault disturbs another."""
    return random.Random(f"{what} of {seed}")  # nosec B311  # no secret


class OneIn:
    """Says yes to one in each `count` calls in a row, at a place drawn anew for each row."""

    def __init__(self, count: int, places: random.Random) -> None:
        """Begin the first row."""
        self._count = count
        self._places = places
        self._called = 0
        self._place = 0

    def __call__(self) -> bool:
        """Count one, and say whether it is the one."""
        at = self._called % self._count
        if not at:
            self._place = self._places.randrange(self._count)
        self._called += 1
        return at == self._place
