"""The tally of a simulator: sessions and simulator count in it, tests and people read it."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Counts:
    """What happened so far, kept up to date after every event.

    submits = accepted + throttled + refused, and accepted = the sum of `outcomes`.
    """

    bound: int = 0  # sessions bound now
    binds: int = 0
    binds_refused: int = 0
    submits: int = 0
    accepted: int = 0
    throttled: int = 0  # the window's violations among them
    window_violations: int = 0
    refused: int = 0  # with another status: cut short, on a session that may not submit, a fault
    withheld: int = 0  # accepted and never answered
    outcomes: Counter[str] = field(default_factory=Counter)  # accepted ones, by state word
    receipts_sent: int = 0  # counted again when sent again
    receipts_acknowledged: int = 0
    receipts_refused: int = 0  # answered with a status
    texts_sent: int = 0
    texts_acknowledged: int = 0
    texts_refused: int = 0
    nacks_sent: int = 0
    nacks_received: int = 0
    enquire_links_sent: int = 0
    enquire_links_answered: int = 0
