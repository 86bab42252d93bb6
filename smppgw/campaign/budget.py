"""What a tenant may spend in a calendar month, and what a job leaves of it.

Beyond the budget a promotional job is refused and a service job is told; an alert is told too, and
never refused.
"""

from datetime import datetime
from typing import NamedTuple

from smppgw.errors import InputError


class Budget(NamedTuple):
    """Segments: the month's limit, what was sent or waits, and what a job would add."""

    limit: int
    used: int
    asked: int

    @property
    def after(self) -> int:
        """What is used when the job has been sent."""
        return self.used + self.asked

    @property
    def left(self) -> int:
        """What remains before the job."""
        return max(0, self.limit - self.used)

    def document(self) -> dict[str, int]:
        """Return it as the JSON of `submit` and `preview`."""
        return {"limit": self.limit, "used": self.used, "after": self.after}

    def warning(self) -> str | None:
        """Say that a job goes beyond; None where it does not."""
        if self.after <= self.limit:
            return None
        return (
            f"Of this month's {self.limit} segments {self.left} are left, and this takes "
            f"{self.asked}."
        )

    def require(self, job_class: str) -> None:
        """Refuse a job that must not go beyond.

        Raises:
            InputError: it is promotional, and does.
        """
        warning = self.warning()
        if warning and job_class == "promotional":
            raise InputError(
                f"{warning} Promotional messages stop there: send to fewer, shorten the text, or "
                "raise the tenant's segments_a_month."
            )


def month_of(moment: datetime) -> tuple[datetime, datetime]:
    """Return where the calendar month of a moment begins and ends, in the moment's time zone."""
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)
    follows = (first.year + first.month // 12, first.month % 12 + 1)
    return first, first.replace(year=follows[0], month=follows[1])
