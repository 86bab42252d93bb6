"""The gateway broken on purpose, to see that the simulation finds it.

    python -m tests.simulation.sabotage [--seeds N] [NAME…]

prints for each way of breaking it in how many seeds it was found, and as what. Each is a mistake
that somebody could make in an afternoon.
"""

import argparse
import contextlib
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import structlog

from smppgw import gateway as gateway_module
from smppgw.account import Account
from smppgw.caretaker import Caretaker
from smppgw.ledger import claim as claim_module
from smppgw.ledger import jobs as jobs_module
from smppgw.ledger import turn as turn_module
from smppgw.ledger.jobs import Loading
from smppgw.link import Link
from smppgw.opening import Opening
from smppgw.shares import Shares
from smppgw.smpp.session import Session
from tests.simulation import run as run_module
from tests.simulation.run import play

Sabotage = Callable[[], contextlib.AbstractContextManager[None]]
SABOTAGES: dict[str, tuple[str, Sabotage]] = {}


def sabotage(sentence: str) -> Callable[[Callable[[], Iterator[None]]], None]:
    """Register a way of breaking the gateway, under the name of its function."""

    def register(function: Callable[[], Iterator[None]]) -> None:
        name = function.__name__.replace("_", "-")
        SABOTAGES[name] = (sentence, contextlib.contextmanager(function))

    return register


@contextlib.contextmanager
def instead(owner: Any, name: str, other: Any) -> Iterator[None]:
    """Put something else in the place of a function, for a while."""
    kept = getattr(owner, name)
    setattr(owner, name, other)
    try:
        yield
    finally:
        setattr(owner, name, kept)


@sabotage("A deliver_sm is answered when it is read, not when it is on disk.")
def acknowledge_before_commit() -> Iterator[None]:
    sort = Link._sort

    def hasty(self: Link, deliveries: Any) -> None:
        sort(self, deliveries)
        connection = self._connection
        if connection is not None:
            answers = [(delivery.sequence, 0) for delivery in deliveries]
            connection.write(connection.session.acknowledge(answers))

    with instead(Link, "_sort", hasty):
        yield


@sabotage("A window slot is free again when its answer is overdue.")
def free_the_slot_of_an_overdue_answer() -> Iterator[None]:
    def free_slots(self: Session) -> int:
        if self.state.value != "bound":
            return 0
        return max(0, self._window - len(self._requests) - self._unsettled)

    with instead(Session, "free_slots", property(free_slots)):
        yield


@sabotage("The window counts one request less than there are.")
def count_the_window_wrong() -> Iterator[None]:
    free = Session.free_slots.fget  # type: ignore[attr-defined]  # it is a property

    def free_slots(self: Session) -> int:
        return free(self) + 1 if self.state.value == "bound" else 0

    with instead(Session, "free_slots", property(free_slots)):
        yield


@sabotage("The rate counts messages, not segments.")
def count_messages_instead_of_segments() -> Iterator[None]:
    spend = Account.spend

    async def spend_less(self: Account, segments: int, now: float) -> None:
        await spend(self, (segments + 1) // 2, now)

    with instead(Account, "spend", spend_less):
        yield


@sabotage("A receipt that came before its response is parked and never looked at again.")
def forget_a_parked_receipt() -> Iterator[None]:
    with (
        instead(turn_module._Turn, "_unpark", lambda self, answer: None),
        instead(turn_module._Turn, "_try_parked", lambda self: None),
    ):
        yield


@sabotage("What was claimed is sent although its transaction was rolled back.")
def send_before_the_commit() -> Iterator[None]:
    def turn(db: sqlite3.Connection, *args: Any, **kwargs: Any) -> Any:
        @contextlib.contextmanager
        def rolled_back(db: sqlite3.Connection) -> Iterator[None]:
            db.execute("BEGIN IMMEDIATE")
            yield
            db.execute("ROLLBACK")

        with instead(turn_module, "transaction", rolled_back):
            return honest(db, *args, **kwargs)

    honest = turn_module.turn
    turn.__name__ = "turn"
    with instead(gateway_module, "turn", turn):
        yield


@sabotage("Requests without answer are forgotten when their connection is lost.")
def forget_lost_requests() -> Iterator[None]:
    with instead(Link, "_lose", lambda self, requests: self._drop_remainder()):
        yield


@sabotage("What the last gateway left as submitting is not looked at when one starts.")
def do_not_recover() -> Iterator[None]:
    with instead(gateway_module, "recover", lambda db, now: 0):
        yield


@sabotage("A message of unknown outcome is sent again whatever its policy.")
def resend_what_is_held() -> Iterator[None]:
    rules = turn_module._Turn._limits

    def always_resend(self: Any, job_id: int) -> tuple[int, str]:
        return rules(self, job_id)[0], "resend"

    with instead(turn_module._Turn, "_limits", always_resend):
        yield


@sabotage("Jobs are claimed from the last lane to the first.")
def forget_the_lanes() -> Iterator[None]:
    claim_lane = claim_module.Claiming._claim_lane

    def upside_down(self: Any, lane: int, job_class: str, wanting: Any) -> None:
        last = len(claim_module.LANES) - 1 - lane
        claim_lane(self, last, claim_module.LANES[last], wanting)

    with instead(claim_module.Claiming, "_claim_lane", upside_down):
        yield


@sabotage("A segment that was throttled counts as taken.")
def take_throttled_for_accepted() -> Iterator[None]:
    forget = turn_module._Turn._accept
    with instead(turn_module._Turn, "_forget", forget):
        yield


@sabotage("The counts of a job are not kept when a message comes back.")
def forget_a_count() -> Iterator[None]:
    requeue = turn_module._Turn._requeue

    def uncounted(self: Any, *args: Any) -> None:
        kept = self._moved.copy()
        requeue(self, *args)
        self._moved = kept

    with instead(turn_module._Turn, "_requeue", uncounted):
        yield


@sabotage("A link that finds nothing to claim keeps the account's allowance from the others.")
def starve_half_sent_messages() -> Iterator[None]:
    with instead(gateway_module.Gateway, "_turn_of", lambda self, link: (False, False)):
        yield


@sabotage("A gateway starts with the whole rate, whatever the last one used up.")
def forget_the_rate_of_the_last_gateway() -> Iterator[None]:
    with instead(jobs_module, "last_claims", _never_claimed):
        yield


def _never_claimed(db: sqlite3.Connection) -> dict[int, int]:
    return dict.fromkeys([row[0] for row in db.execute("SELECT id FROM account")], 0)


@sabotage("Promotional messages leave at any hour.")
def ignore_the_hours() -> Iterator[None]:
    with instead(Opening, "look", lambda self, accounts, now_ms: []):
        yield


@sabotage("Who opted out since the submission is not looked for.")
def ignore_opt_outs() -> Iterator[None]:
    with instead(claim_module.Claiming, "_without_objectors", lambda self, stream, rows: rows):
        yield


@sabotage("Of the tenants that wait the first by name is served until it has nothing left.")
def forget_the_shares() -> Iterator[None]:
    with instead(Shares, "next_of", lambda self, lane, tenants: min(tenants)):
        yield


@sabotage("A scheduled job leaves at once.")
def forget_the_time_of_a_job() -> Iterator[None]:
    finish = Loading.finish

    def finish_at_once(self: Loading, now: int) -> int:
        with instead(self, "_order", replace(self._order, starts_at=None)):
            return finish(self, now)

    with instead(Loading, "finish", finish_at_once):
        yield


@sabotage("A STOP that comes while another one is answered is forgotten.")
def forget_a_stop() -> Iterator[None]:
    answer_stops = Caretaker._answer_stops

    async def answer_once(self: Caretaker, *args: Any) -> None:
        await answer_stops(self, *args)
        self._asked = False

    with instead(Caretaker, "_answer_stops", answer_once):
        yield


def main() -> int:
    """Try each sabotage on the same seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="; ".join(SABOTAGES))
    parser.add_argument("--seeds", type=int, default=100)
    options = parser.parse_args()
    run_module.LIMIT_S = 400.0  # what hangs then hangs for good
    undetected = 0
    for name in options.names or SABOTAGES:
        sentence, broken = SABOTAGES[name]
        found: Counter[str] = Counter()
        for seed in range(1, options.seeds + 1):
            try:
                play(seed, broken)
            except Exception as error:  # a violation, or the gateway falling over
                found[_what(error)] += 1
        kinds = ", ".join(f"{kind} {count}" for kind, count in found.most_common(4))
        print(f"| {name} | {sentence} | {found.total()} of {options.seeds} | {kinds} |", flush=True)
        undetected += not found
    return 1 if undetected else 0


def _what(error: BaseException) -> str:
    """Name an error briefly, by the invariant where it is one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = re.sub(r"^after \d+ s: ", "", str(error))
    invariant = re.match(r"(I\d|lost|twice|truth|hours|early|shares|stop|opted out)\b", text)
    return invariant[1] if invariant else text.split(":")[0][:40] or type(error).__name__


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    sys.exit(main())
