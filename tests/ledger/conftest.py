"""A ledger on a real file, and the few motions that its tests are made of."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from smppgw.ledger.claim import Claim, Demand, Remainder
from smppgw.ledger.database import Locks, open_database
from smppgw.ledger.jobs import Addressee, Job, Loading, Order, account_ids, find_job
from smppgw.ledger.turn import (
    MESSAGE_STATES,
    Answered,
    Arrivals,
    Lost,
    Received,
    Rules,
    Turned,
    turn,
)
from smppgw.shares import Shares
from smppgw.smpp import parse_receipt
from smppgw.smpp.status import Verdict, status_of

START = 1_700_000_000_000
ALL = frozenset({"alert", "service", "promotional"})
FAR = START + 10**12


@dataclass
class Ledger:
    """A ledger with one account, and the gateway's side of it in miniature."""

    db: sqlite3.Connection
    locks: Locks
    path: Path
    account: int
    now: int = START

    def load(
        self,
        recipients: int = 1,
        *,
        job_class: str = "service",
        segments: int = 1,
        policy: str = "hold",
        attempts: int = 5,
        key: str | None = None,
        text: str = "Essai",
        expires_at: int = FAR,
        fields: str | None = None,
        recipients_of: Sequence[str] | None = None,
        prefixes: Sequence[str] = (),
        tenant: str = "saint-martin",
        purpose: str | None = None,
        starts_at: int | None = None,
    ) -> int:
        order = Order(
            job_class, tenant, "STMARTIN", text, "keep", False, None, key, attempts,
            policy, self.now, expires_at, purpose, starts_at,
        )  # fmt: skip
        loading = Loading(self.db, self.locks, order, prefixes)
        numbers = recipients_of or [f"+336000{number:05d}" for number in range(recipients)]
        loading.add(Addressee(number, segments, fields) for number in numbers)
        return loading.finish(self.now)

    def turn(
        self,
        arrivals: Arrivals | None = None,
        *,
        slots: int = 0,
        remainder: Remainder | None = None,
        receipts: str = "every",
        classes: frozenset[str] = ALL,
        routes: frozenset[int] | None = None,
        housekeeping: bool = False,
        closed: Mapping[str, int] | None = None,
        shares: Shares | None = None,
        rules: Rules | None = None,
    ) -> Turned:
        demand = Demand(0, self.account, slots, classes, receipts, routes, remainder, closed or {})
        return turn(
            self.db, arrivals or Arrivals(), [demand], self.now, housekeeping=housekeeping,
            shares=shares, rules=rules or Rules(),
        )  # fmt: skip

    def claim(self, slots: int, **options: object) -> list[Claim]:
        return self.turn(slots=slots, **options).claims.get(0, [])  # type: ignore[arg-type]

    def answer(
        self, claim: Claim, smsc_id: str = "1", status: int = 0, number: int = 1
    ) -> Answered:
        verdict = Verdict.ACCEPTED if status == 0 else status_of(status).verdict
        return Answered(
            claim.message_id << 8 | number, claim.attempt, claim.total, self.account, verdict,
            status, smsc_id, 12,
        )  # fmt: skip

    def lost(self, claim: Claim, number: int = 1) -> Lost:
        return Lost(claim.message_id << 8 | number, claim.attempt)

    def receipt(
        self, smsc_id: str, state: str = "DELIVRD", recipient: str = "33600000000"
    ) -> Received:
        parsed = parse_receipt(f"id:{smsc_id} stat:{state} err:000".encode())
        assert parsed is not None
        return Received(self.account, "auto", recipient, "STMARTIN", parsed)

    def job(self, job_id: int) -> Job:
        job = find_job(self.db, job_id)
        assert job is not None
        return job

    def counts(self, job_id: int) -> dict[str, int]:
        return {state: count for state, count in self.job(job_id).counts.items() if count}

    def check(self) -> None:
        """Hold the counts to the messages themselves (I2), and I9 to its sum."""
        for job_id, *counted in self.db.execute(
            "SELECT id, queued, submitting, accepted, delivered, undelivered, rejected, expired,"
            " cancelled, suppressed, unknown FROM job"
        ).fetchall():
            real = dict(
                self.db.execute(
                    "SELECT state, count(*) FROM message WHERE id >> 32 = ? GROUP BY state",
                    (job_id,),
                ).fetchall()
            )
            assert [real.get(state, 0) for state in MESSAGE_STATES] == counted
        parked = self.db.execute("SELECT count(*) FROM parked").fetchone()
        assert self.db.execute("SELECT sum(receipts_parked) FROM account").fetchone() == parked


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    path = tmp_path / "ledger.db"
    db = open_database(path, create=True)
    locks = Locks(path)
    made = Ledger(db, locks, path, account_ids(db, ["operator"])["operator"])
    yield made
    made.check()
    db.close()
    locks.close()


@pytest.fixture
def opener(tmp_path: Path) -> Iterator[Callable[[Path], sqlite3.Connection]]:
    opened = []

    def open_again(path: Path) -> sqlite3.Connection:
        opened.append(open_database(path))
        return opened[-1]

    yield open_again
    for db in opened:
        db.close()
