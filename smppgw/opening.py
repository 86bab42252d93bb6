"""Which routes rest now: the calendar's answers as the bits that claiming asks for.

The calendar is asked only when something opens or closes, or when the clock was set.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from smppgw.account import Account
from smppgw.campaign.hours import Calendar
from smppgw.config import Config
from smppgw.ledger.keys import ROUTE_BITS

# Nothing is begun any more so long before closing, so that nothing is on its way at that time; a
# text of several segments that was begun before is ended, since half of one is of no use.
CLOSING_MARGIN = timedelta(seconds=1)
LONGEST = timedelta(hours=1)  # and then the calendar is asked again, whatever it said


class Opening:
    """The routes that rest, for each account and class."""

    def __init__(self, config: Config, routes: Mapping[str, int]) -> None:
        """Ask nothing yet.

        Args:
            config: its calendar.
            routes: the ledger's numbers of the prefixes that jobs have routes for.
        """
        self._calendar = Calendar(config)
        self._routes = {"": 0, **routes}
        # Another process may make routes of a newer configuration: they keep to our own hours.
        self._unknown = (1 << (1 << ROUTE_BITS)) - 1
        for route in self._routes.values():
            self._unknown &= ~(1 << route)
        self._from_ms = self._until_ms = 0

    def look(self, accounts: Iterable[Account], now_ms: int) -> list[Account]:
        """Bring `closed` of the accounts up to date, if it may have changed.

        Returns:
            The accounts for which it has.
        """
        if self._from_ms <= now_ms < self._until_ms:
            return []
        at = datetime.fromtimestamp(now_ms / 1000, UTC)
        until = at + LONGEST
        changed: list[Account] = []
        for account in accounts:
            closed: dict[str, int] = {}
            for job_class in account.classes - {"alert"}:
                mask = 0
                for prefix, route in self._routes.items():
                    is_open, change = self._state(account, job_class, prefix, at)
                    if not is_open:
                        mask |= 1 << route if prefix else 1 << route | self._unknown
                    until = until if change is None else min(until, change)
                closed[job_class] = mask
            if closed != account.closed:
                account.closed = closed
                changed.append(account)
        self._from_ms, self._until_ms = now_ms, int(until.timestamp() * 1000)
        return changed

    def _state(
        self, account: Account, job_class: str, prefix: str, at: datetime
    ) -> tuple[bool, datetime | None]:
        """Return whether a route is open, and until when that is so; None is for long."""
        horizon = LONGEST + CLOSING_MARGIN
        closes = self._calendar.closes_at(job_class, prefix, at, account.smsc, horizon)
        if closes is None:
            return True, None
        if closes - at > CLOSING_MARGIN:
            return True, closes - CLOSING_MARGIN
        return False, self._calendar.next_opening(job_class, prefix, closes, account.smsc)
