"""Facts of a job that never was, for the tests of proofs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from smppgw.campaign.proof import Chain, Facts, survey
from smppgw.ledger.audit import Entry, Head
from smppgw.ledger.evidence import Ordered, Sent
from smppgw.ledger.jobs import Job
from smppgw.ledger.turn import MESSAGE_STATES

START = 1_795_570_385_000  # 2026-11-25T02:33:05+01:00
HEAD = "0f" * 32


def sent(ordinal: int = 0, state: str = "delivered", **changed: Any) -> Sent:
    """Return a message that was submitted, accepted and delivered 1, 2 and 5 s after the start."""
    message = Sent(
        f"+336000{ordinal:05d}", state, START + 1000, START + 2000, START + 5000, 1, "operator",
        (f"7e{ordinal:04x}",), None,
    )  # fmt: skip
    return message._replace(**changed)


def facts(messages: Sequence[Sent] = (), **changed: Any) -> Facts:
    """Return what a proof says of these messages; `job` and `ordered` are changes to those."""
    counts = {state: 0 for state in MESSAGE_STATES}
    for message in messages:
        counts[message.state] += 1
    job = Job(
        12, "done", "alert", "saint-martin", "STMARTIN", "Crue", "alert", False, "garde", START,
        START, START + 1000, START + 9000, len(messages), len(messages), counts,
    )  # fmt: skip
    ordered = Ordered("Crue : montez à l’étage.", None, None, "full", False, "c0" * 32, START + 10)
    made = Facts(
        job=job._replace(**changed.pop("job", {})),
        ordered=ordered._replace(**changed.pop("ordered", {})),
        survey=survey(messages, START),
        actions=[Entry(3, START, "garde", "job.submitted", 12, {"messages": 2}, "aa" * 32)],
        chain=Chain(Head(4, 4, HEAD), []),
        numbers="masked",
        written_at=START + 3_600_000,
        written_by="maire",
        version="1.2.3",
        zone=ZoneInfo("Europe/Paris"),
    )
    return replace(made, **changed)
