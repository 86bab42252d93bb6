"""What every client is told on its command line, and what it says when it is done."""

import argparse
import json
import resource
import time
from typing import NamedTuple, Self

SENDER = "STMARTIN"
TEXT = "Saint-Martin : eau coupee jeudi de 9 h a 12 h, rue du Moulin. Merci de faire une reserve."
FIRST_NUMBER = 33_600_000_000  # of ten million mobile numbers in a row that exist as such


class Task(NamedTuple):
    """Messages to send to an SMSC, and how."""

    host: str
    port: int
    system_id: str
    password: str
    window: int
    messages: int

    @classmethod
    def from_command_line(cls) -> Self:
        """Read the options of this process."""
        parser = argparse.ArgumentParser()
        for name, kind in cls.__annotations__.items():
            parser.add_argument(f"--{name.replace('_', '-')}", type=kind, required=True)
        return cls(**vars(parser.parse_args()))

    def options(self) -> list[str]:
        """Write the options that `from_command_line` reads."""
        return [f"--{name.replace('_', '-')}={value}" for name, value in self._asdict().items()]


def destination(ordinal: int) -> str:
    """Return the number of the n-th recipient, from 0: digits, no plus sign."""
    return str(FIRST_NUMBER + ordinal)


class Watch:
    """Wall clock and processor time of this process, from now on."""

    def __init__(self) -> None:
        """Start it."""
        self._began = time.monotonic()
        self._cpu_began_s = _cpu_s()

    def report(self, messages: int) -> None:
        """Print what it took, as one JSON document."""
        seconds, cpu_s = time.monotonic() - self._began, _cpu_s() - self._cpu_began_s
        print(json.dumps({"messages": messages, "seconds": seconds, "cpu_s": cpu_s}), flush=True)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
