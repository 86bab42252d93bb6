"""The power is cut: what a disk that lost its cache leaves of the database and its WAL.

The files are copied at each commit. Between two of them SQLite writes into the WAL and has it on
disk before it returns, then perhaps copies the WAL into the database; a cut in between leaves of
each sector written since either what was there before, or what was written, or nothing sensible.
(That synchronous is FULL on every connection is promised in test_database.)
"""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from smppgw.ledger.database import Locks, open_database
from smppgw.ledger.jobs import account_ids, list_jobs
from smppgw.ledger.steer import cancel, pause, resume
from smppgw.ledger.turn import Arrivals, recover
from smppgw.ledger.upkeep import verify
from tests.ledger.conftest import Ledger

WAL_HEADER_OCTETS = 32
SECTOR_OCTETS = 512  # the least that a disk writes as one
PAGES_BEFORE_CHECKPOINT = 25  # so that the WAL goes into the database, and begins anew, often
ROUNDS = 12
CUTS = 3  # between any two commits


@dataclass(frozen=True, slots=True)
class Files:
    """The octets on disk once a commit has returned, and what had been promised by then.

    `promised` is, by job, how many messages were acknowledged to who submitted, and how many
    receipts could be acknowledged to the SMSC.
    """

    database: bytes
    wal: bytes
    promised: dict[int, tuple[int, int]]


@dataclass
class Witness:
    """Copies the files whenever a transaction is about to begin: the one before it is on disk.

    Nobody else holds the database, so that it does not matter that closing a file in this process
    lets go of SQLite's locks on it.
    """

    ledger: Ledger
    copies: list[Files] = field(default_factory=list)
    promised: dict[int, tuple[int, int]] = field(default_factory=dict)

    def watch(self) -> None:
        self.ledger.db.set_trace_callback(self._note)

    def _note(self, statement: str) -> None:
        if statement.startswith("BEGIN"):
            self.copy()

    def copy(self) -> None:
        path = self.ledger.path
        wal = path.with_name(path.name + "-wal")
        self.copies.append(Files(path.read_bytes(), wal.read_bytes(), dict(self.promised)))

    def promise(self) -> None:
        """Note what has been acknowledged: called when the calls that commit it have returned."""
        for job in list_jobs(self.ledger.db):
            self.promised[job.job_id] = (job.total, job.counts["delivered"])


def work(ledger: Ledger, witness: Witness, chance: random.Random) -> None:
    """Submit, send, answer, steer, as a day does."""
    ids = iter(range(10_000))
    witness.watch()
    for _ in range(ROUNDS):
        job = ledger.load(chance.randint(1, 30))
        witness.promise()
        claims = ledger.claim(chance.randint(1, 40))
        answered = [(claim, f"{next(ids)}z") for claim in claims if chance.random() < 0.9]
        lost = [ledger.lost(claim) for claim in claims if claim not in dict(answered)]
        ledger.turn(Arrivals(answered=[ledger.answer(*one) for one in answered], lost=lost))
        told = [ledger.receipt(smsc_id) for _, smsc_id in answered if chance.random() < 0.8]
        ledger.turn(Arrivals(receipts=told))
        witness.promise()
        if ledger.counts(job).get("queued"):
            pause(ledger.db, job, ledger.now, "garde")
            if chance.random() < 0.5:
                resume(ledger.db, job, ledger.now, "garde")
            else:
                cancel(ledger.db, job, ledger.now, "garde")
    ledger.db.set_trace_callback(None)
    witness.copy()


@pytest.fixture
def chance(seed: int) -> random.Random:
    return random.Random(seed)


@pytest.fixture
def worked(ledger: Ledger, chance: random.Random) -> list[Files]:
    """What a day's work left on disk at each commit."""
    ledger.db.execute(f"PRAGMA wal_autocheckpoint = {PAGES_BEFORE_CHECKPOINT}")
    witness = Witness(ledger)
    work(ledger, witness, chance)
    return witness.copies


class Restart:
    """A machine that starts again on what is left of the files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._path = folder / "cut.db"

    def facts(self, database: bytes, wal: bytes) -> dict[int, tuple[int, int]]:
        """Open, hold the ledger to its invariants, go on; returns each job's total and delivered.

        Jobs that are still loading are not among them.
        """
        self._path.write_bytes(database)
        self._path.with_name("cut.db-wal").write_bytes(wal)
        self._path.with_name("cut.db-shm").unlink(missing_ok=True)
        with closing(open_database(self._path)) as db, closing(Locks(self._path)) as locks:
            assert list(verify(db)) == []
            facts = {
                job.job_id: (job.total, job.counts["delivered"])
                for job in list_jobs(db)
                if job.state != "loading"
            }
            self._go_on(db, locks)
            assert list(verify(db)) == []
        return facts

    def _go_on(self, db: sqlite3.Connection, locks: Locks) -> None:
        recover(db, 0)
        ledger = Ledger(db, locks, self._path, account_ids(db, ["operator"])["operator"])
        job = ledger.load(1)
        assert ledger.counts(job) == {"queued": 1}


@pytest.fixture
def restart(tmp_path: Path) -> Restart:
    return Restart(tmp_path / "restarted")


def mixed(old: bytes, new: bytes, chance: random.Random) -> bytes:
    """Return what a cut leaves of a file that was being changed: a draw for each sector."""
    end = chance.randint(min(len(old), len(new)), max(len(old), len(new)))
    left = bytearray()
    for at in range(0, end, SECTOR_OCTETS):
        before, after = old[at : at + SECTOR_OCTETS], new[at : at + SECTOR_OCTETS]
        if before == after:
            left += after
        elif len(before) < SECTOR_OCTETS:  # nothing was there: the file was growing
            left += chance.choice((after, chance.randbytes(SECTOR_OCTETS), bytes(SECTOR_OCTETS)))
        else:
            left += chance.choice((before, after))
    return bytes(left[:end])


def held(promised: dict[int, tuple[int, int]], facts: dict[int, tuple[int, int]]) -> Iterator[str]:
    """Say which promise is broken."""
    for job, (total, delivered) in promised.items():
        there, there_delivered = facts.get(job, (0, 0))
        if there != total:
            yield f"job {job} was acknowledged with {total} messages and has {there}"
        if there_delivered < delivered:
            yield f"job {job}: {delivered} receipts were acknowledged, {there_delivered} are there"


@pytest.mark.parametrize("seed", range(3))
def test_the_work_reaches_the_database_and_begins_the_wal_anew(worked: list[Files]) -> None:
    assert len({files.database for files in worked}) > 3
    assert len({files.wal[16:24] for files in worked}) > 3  # the salts of a WAL's header


@pytest.mark.parametrize("seed", range(3))
def test_whatever_a_cut_leaves_of_a_commit_that_had_not_returned_all_before_it_is_there(
    worked: list[Files], restart: Restart, chance: random.Random
) -> None:
    for before, after in pairwise(worked):
        states = [restart.facts(files.database, files.wal) for files in (before, after)]
        # A WAL is begun anew only once all of it is in the database, and synced there; then its new
        # header is synced before anything is written behind it.
        anew = before.wal[16:24] != after.wal[16:24]
        database = after.database if anew else before.database
        for _ in range(CUTS):
            wal = mixed(before.wal, after.wal, chance)
            if anew:
                wal = after.wal[:WAL_HEADER_OCTETS] + wal[WAL_HEADER_OCTETS:]
            facts = restart.facts(database, wal)
            assert facts in states
            assert list(held(before.promised, facts)) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_cut_while_the_wal_is_copied_into_the_database_changes_nothing(
    worked: list[Files], restart: Restart, chance: random.Random
) -> None:
    copied = [(one, two) for one, two in pairwise(worked) if one.database != two.database]
    for before, after in copied:
        state = restart.facts(after.database, after.wal)
        for _ in range(CUTS):
            assert restart.facts(mixed(before.database, after.database, chance), after.wal) == state


@pytest.mark.parametrize("seed", range(3))
def test_garbage_behind_the_last_commit_is_not_taken_for_a_commit(
    worked: list[Files], restart: Restart, chance: random.Random
) -> None:
    for files in chance.sample(worked, 20):
        state = restart.facts(files.database, files.wal)
        garbage = chance.randbytes(chance.randint(1, 10_000))
        assert restart.facts(files.database, files.wal + garbage) == state
        assert list(held(files.promised, state)) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_disk_that_lies_leaves_an_earlier_state_and_no_contradiction(
    ledger: Ledger, restart: Restart, chance: random.Random
) -> None:
    ledger.db.execute("PRAGMA wal_autocheckpoint = 0")
    witness = Witness(ledger)
    work(ledger, witness, chance)
    last = witness.copies[-1]
    states = [restart.facts(files.database, files.wal) for files in witness.copies]
    cuts = sorted(chance.sample(range(len(witness.copies[0].wal), len(last.wal)), 40))
    found = []
    for cut in cuts:
        left = last.wal[:cut]
        if chance.random() < 0.5:
            left += chance.randbytes(chance.randint(1, len(last.wal) - cut))
        found.append(states.index(restart.facts(last.database, left)))
    assert found == sorted(found)  # the less is lost, the later the state
    assert found[0] < found[-1]
