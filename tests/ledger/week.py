"""A week by volume: `make week MESSAGES=…`; what becomes of the ledger's files and of the turn.

Drives the turn alone, in one thread, with invented answers and receipts, on a real disk, and has
retention take each job's personal fields and numbers soon after its end. Prints a line each tenth.
"""

import argparse
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from smppgw.ledger import jobs
from smppgw.ledger.claim import Demand
from smppgw.ledger.database import Locks, open_database
from smppgw.ledger.hashing import Hasher
from smppgw.ledger.jobs import Addressee, Loading, Order
from smppgw.ledger.retention import Periods, purge
from smppgw.ledger.turn import Answered, Arrivals, Received, turn
from smppgw.shares import Shares
from smppgw.smpp.receipt import Receipt
from smppgw.smpp.status import Verdict

START = 1_700_000_000_000
HOUR = 3_600_000
WINDOW = 100
JOB = 5000
LARGEST = 50_000_000
CLASSES = frozenset(("alert", "service", "promotional"))
PERIODS = Periods(text_ms=4 * HOUR, number_ms=8 * HOUR, audit_ms=16 * HOUR)
HASHER = Hasher(bytes(range(32)))
MEGA = 1_000_000


class Week:
    """A ledger, and the gateway's turn on it; each job takes an hour of the clock handed in."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.db"
        self.db = open_database(self.path, create=True)
        self.account = jobs.account_ids(self.db, ["operator"])["operator"]
        self.now = START
        self.jobs = 0
        self.largest_wal_octets = 0
        self.turns: list[tuple[float, bool]] = []  # milliseconds, and whether it checkpointed
        self._locks = Locks(self.path)
        self._shares = Shares()
        self._sent = 0

    def close(self) -> None:
        """Let go of the ledger."""
        self._locks.close()
        self.db.close()

    def wal_octets(self) -> int:
        """Return how large the write-ahead log's file is."""
        return self.path.with_name(self.path.name + "-wal").stat().st_size

    def run(self, messages: int, db: Any = None) -> None:
        """Load one job and send it to its last receipt, through `db` where that is given."""
        order = Order(
            "service", "town", "TOWN", "Bonjour {nom}", "keep", False, None, None, 5, "hold",
            self.now, self.now + 24 * HOUR,
        )  # fmt: skip
        loading = Loading(self.db, self._locks, order)
        loading.add(
            Addressee(f"+33600{n % 100:02d}{n % 10_000:04d}", 1, '{"nom": "Essai"}')
            for n in range(messages)
        )
        loading.finish(self.now)
        self.jobs += 1
        arrivals = Arrivals()
        for number in range(messages // WINDOW + 3):
            demand = Demand(0, self.account, WINDOW, CLASSES, "last")
            written = self.path.stat().st_mtime_ns
            began = time.perf_counter()
            turned = turn(
                db or self.db,
                arrivals,
                [demand],
                self.now,
                shares=self._shares,
                housekeeping=number % 50 == 0,
            )
            took_ms = (time.perf_counter() - began) * 1000
            arrivals = Arrivals()
            for claim in turned.claims.get(0, ()):
                self._sent += 1
                name = f"{self._sent:08x}"
                arrivals.answered.append(
                    Answered(
                        claim.message_id << 8 | 1, claim.attempt, 1, self.account,
                        Verdict.ACCEPTED, 0, name, 3,
                    )
                )  # fmt: skip
                receipt = Receipt(name, "DELIVRD", "DELIVRD", "000", None, "", None, None, False)
                arrivals.receipts.append(
                    Received(self.account, "auto", claim.recipient[1:], "TOWN", receipt)
                )
            # Of a turn that ends in a checkpoint the file of the ledger itself is written.
            self.turns.append((took_ms, written != self.path.stat().st_mtime_ns))
            self.largest_wal_octets = max(self.largest_wal_octets, self.wal_octets())
        self.now += HOUR

    def retain(self, db: Any = None) -> dict[str, int]:
        """Have retention do a round."""
        return purge(db or self.db, HASHER, PERIODS, self.now, "gateway")


def main() -> int:
    """Play the week that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("messages", nargs="?", type=int, default=5 * MEGA)
    messages = min(parser.parse_args().messages, LARGEST)
    with tempfile.TemporaryDirectory(prefix="week-", dir=Path.cwd()) as folder:
        week = Week(Path(folder))
        tenth, sent = max(messages // 10, 1), 0
        print("  messages   jobs   WAL MB  database MB  turn ms  checkpointing turn ms", flush=True)
        for part in range(1, 11):
            while sent < min(part * tenth, messages):
                week.run(min(JOB, messages - sent))
                sent += min(JOB, messages - sent)
                week.retain()
            checkpointing = [took for took, wrote in week.turns if wrote]
            print(
                f"{sent:10} {week.jobs:6} {week.largest_wal_octets / MEGA:8.1f}"
                f" {jobs.database_octets(week.db) / MEGA:12.1f}"
                f" {statistics.median(took for took, _ in week.turns):8.2f}"
                f" {max(checkpointing, default=0.0):22.1f}",
                flush=True,
            )
            week.turns.clear()
            week.largest_wal_octets = 0
        week.close()
    return 0


class Recording:
    """A connection that remembers each statement once, with values to explain it by."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.statements: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        """Execute, and remember."""
        self.statements.setdefault(sql, values)
        return self._db.execute(sql, values)

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        """Execute for all, and remember the first."""
        rows = list(rows)
        if rows:
            self.statements.setdefault(sql, rows[0])
        return self._db.executemany(sql, rows)


if __name__ == "__main__":
    raise SystemExit(main())
