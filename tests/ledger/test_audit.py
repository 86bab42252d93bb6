"""Every tampering with the audit is found, and no honest history is taken for one."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smppgw.ledger import audit
from smppgw.ledger.database import open_database, transaction
from tests.ledger.conftest import START, Ledger
from tests.ledger.process import Other

Opener = Callable[[Path], sqlite3.Connection]


def note_some(db: sqlite3.Connection, count: int, *, at: int = START) -> None:
    for number in range(count):
        with transaction(db):
            audit.note(db, at + number, "garde", "job.paused", number + 1, queued=number)


def problems(db: sqlite3.Connection) -> list[str]:
    return list(audit.verify(db))


def test_entries_come_back_as_they_were_written_oldest_first(ledger: Ledger) -> None:
    with transaction(ledger.db):
        audit.note(ledger.db, START, "garde", "job.submitted", 7, b=[1, {"é": None}], a=True)
        audit.note(ledger.db, START + 1, "gateway", "gateway.started")
    first, second = audit.entries(ledger.db)
    assert first[:6] == (1, START, "garde", "job.submitted", 7, {"a": True, "b": [1, {"é": None}]})
    assert second[:6] == (2, START + 1, "gateway", "gateway.started", None, {})
    assert audit.entries(ledger.db, limit=1) == [second]
    assert audit.entries(ledger.db, job_id=7) == [first]
    assert audit.head(ledger.db) == (2, 2, second.hash)
    assert problems(ledger.db) == []


def test_a_hash_is_that_of_the_hash_before_and_of_the_columns_as_the_page_says(
    ledger: Ledger,
) -> None:
    # Computed from the description in docs/proof.md with sha256sum, not with our code.
    with transaction(ledger.db):
        audit.note(ledger.db, 1, "garde", "job.paused", 1, queued=2)
        audit.note(ledger.db, 2, "é", "job.resumed")
    assert [entry.hash for entry in audit.entries(ledger.db)] == [FIRST_HASH, SECOND_HASH]


FIRST_HASH = "d85cc513303960b7b9acbf4ffb61cf0a5f0e67b30692b270304e56b483b39b9b"
SECOND_HASH = "966459a62192e2ab9969155122d1ee3a5472405512503f36c997bc2f1f10324d"


def test_an_empty_audit_is_whole(ledger: Ledger) -> None:
    assert problems(ledger.db) == []
    assert audit.head(ledger.db) == (0, 0, audit.GENESIS)
    assert audit.entries(ledger.db) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", START),
        ("actor", "autre"),
        ("action", "job.resumed"),
        ("job_id", 4),
        ("job_id", None),
        ("details", '{"queued":3}'),
        ("details", '{"queued": 2}'),  # the same JSON, written otherwise
        ("details", "no JSON at all"),
        ("hash", "0" * 64),
    ],
)
@pytest.mark.parametrize("entry", [1, 3, 5])
def test_an_entry_changed_in_any_column_is_named(
    ledger: Ledger, entry: int, column: str, value: object
) -> None:
    note_some(ledger.db, 5)
    before = ledger.db.execute(f"SELECT {column} FROM audit WHERE id = ?", (entry,)).fetchone()[0]
    if before == value:
        value = START + 99 if column == "at" else 99
    ledger.db.execute(f"UPDATE audit SET {column} = ? WHERE id = ?", (value, entry))
    found = problems(ledger.db)
    assert found[0] == f"Entry {entry} is not what was written, or not where it was written."
    assert len(found) == (2 if column == "hash" and entry < 5 else 1)
    assert len(audit.entries(ledger.db)) == 5  # it can still be read


def test_an_entry_removed_in_the_middle_or_at_the_beginning_is_missed(ledger: Ledger) -> None:
    note_some(ledger.db, 6)
    ledger.db.execute("DELETE FROM audit WHERE id IN (1, 3, 4)")
    assert problems(ledger.db) == ["Entry 1 is missing.", "Entries 3 to 4 are missing."]


def test_what_was_removed_at_the_end_is_missed_also_after_others_followed(ledger: Ledger) -> None:
    note_some(ledger.db, 5)
    ledger.db.execute("DELETE FROM audit WHERE id > 3")
    assert problems(ledger.db) == ["Entries 4 to 5 are missing at the end."]
    note_some(ledger.db, 1)
    assert problems(ledger.db) == ["Entries 4 to 5 are missing."]


def test_an_audit_that_was_emptied_is_missed(ledger: Ledger) -> None:
    note_some(ledger.db, 2)
    ledger.db.execute("DELETE FROM audit")
    assert problems(ledger.db) == ["Entries 1 to 2 are missing at the end."]


def test_an_end_that_was_cut_off_with_sqlites_own_number_shows_by_a_hash_written_down(
    ledger: Ledger,
) -> None:
    note_some(ledger.db, 5)
    written_down = audit.head(ledger.db).hash
    assert audit.holds(ledger.db, written_down)
    ledger.db.execute("DELETE FROM audit WHERE id > 3")
    ledger.db.execute("UPDATE sqlite_sequence SET seq = 3 WHERE name = 'audit'")
    assert problems(ledger.db) == []  # by itself the chain cannot tell
    assert not audit.holds(ledger.db, written_down)


def test_a_number_of_sqlites_that_was_put_back_shows(ledger: Ledger) -> None:
    note_some(ledger.db, 3)
    ledger.db.execute("UPDATE sqlite_sequence SET seq = 2 WHERE name = 'audit'")
    assert problems(ledger.db) == [
        "The end is not as it was left: SQLite gave 2 as the last number."
    ]


def test_an_entry_put_in_shows_wherever_it_stands(ledger: Ledger) -> None:
    note_some(ledger.db, 4)
    insert = (
        "INSERT INTO audit SELECT ?, at, actor, action, job_id, details, hash FROM audit"
        " WHERE id = 2"
    )
    ledger.db.execute(insert, (0,))
    ledger.db.execute("UPDATE audit SET id = id + 1 WHERE id = 4")
    ledger.db.execute(insert, (4,))
    assert problems(ledger.db) == [
        "Entry 0 stands before the beginning of the chain.",
        "Entry 4 is not what was written, or not where it was written.",
        "Entry 5 is not what was written, or not where it was written.",
        "The end is not as it was left: SQLite gave 4 as the last number.",
    ]


def test_entries_that_changed_places_show(ledger: Ledger) -> None:
    note_some(ledger.db, 4)
    for old, new in ((2, 100), (3, 2), (100, 3)):
        ledger.db.execute("UPDATE audit SET id = ? WHERE id = ?", (new, old))
    assert {line.split()[1] for line in problems(ledger.db)} == {"2", "3", "4"}


def test_the_chain_goes_on_from_where_retention_took_the_older(ledger: Ledger) -> None:
    note_some(ledger.db, 6)
    third = audit.entries(ledger.db)[2]
    with transaction(ledger.db):
        assert audit.purge(ledger.db, START + 3) == 3
        audit.note(ledger.db, START + 10, "gateway", "purge.done", audit=3)
    assert [entry.id for entry in audit.entries(ledger.db)] == [4, 5, 6, 7]
    assert problems(ledger.db) == []
    assert audit.holds(ledger.db, third.hash)
    ledger.db.execute("DELETE FROM audit WHERE id = 4")
    assert problems(ledger.db) == ["Entry 4 is missing."]


def test_an_anchor_that_was_taken_away_or_changed_shows(ledger: Ledger) -> None:
    note_some(ledger.db, 6)
    with transaction(ledger.db):
        audit.purge(ledger.db, START + 3)
    ledger.db.execute("UPDATE audit_anchor SET hash = ?", (audit.GENESIS,))
    assert problems(ledger.db) == ["Entry 4 is not what was written, or not where it was written."]
    ledger.db.execute("DELETE FROM audit_anchor")
    assert problems(ledger.db) == ["Entries 1 to 3 are missing."]


def test_the_chain_goes_on_also_where_retention_took_everything(ledger: Ledger) -> None:
    note_some(ledger.db, 3)
    last = audit.head(ledger.db).hash
    with transaction(ledger.db):
        assert audit.purge(ledger.db, START + 100) == 3
        assert audit.purge(ledger.db, START + 100) == 0
    assert audit.head(ledger.db) == (0, 3, last)
    assert problems(ledger.db) == []
    note_some(ledger.db, 1)
    assert [entry.id for entry in audit.entries(ledger.db)] == [4]
    assert problems(ledger.db) == []


def test_retention_takes_no_entry_from_behind_a_younger_one(ledger: Ledger) -> None:
    note_some(ledger.db, 1, at=START)
    note_some(ledger.db, 1, at=START + 1000)
    note_some(ledger.db, 2, at=START + 1)  # the clock was put back
    with transaction(ledger.db):
        assert audit.purge(ledger.db, START + 500) == 1
    assert [entry.id for entry in audit.entries(ledger.db)] == [2, 3, 4]
    assert problems(ledger.db) == []


def test_an_entry_goes_with_the_transaction_that_it_stands_in(ledger: Ledger) -> None:
    note_some(ledger.db, 1)
    ledger.db.execute("BEGIN IMMEDIATE")
    audit.note(ledger.db, START, "garde", "job.paused", 1)
    ledger.db.execute("ROLLBACK")
    note_some(ledger.db, 1)
    assert [entry.id for entry in audit.entries(ledger.db)] == [1, 2]
    assert problems(ledger.db) == []


def test_an_entry_outside_a_transaction_or_of_no_known_action_is_a_fault(ledger: Ledger) -> None:
    with pytest.raises(AssertionError, match="transaction"):
        audit.note(ledger.db, START, "garde", "job.paused", 1)
    with pytest.raises(AssertionError, match=r"job\.stopped"), transaction(ledger.db):
        audit.note(ledger.db, START, "garde", "job.stopped", 1)
    assert audit.entries(ledger.db) == []


NOTING = """
import sys
from pathlib import Path
from smppgw.ledger import audit
from smppgw.ledger.database import open_database, transaction
db = open_database(Path(sys.argv[1]))
print("ready", flush=True)
input()
for number in range(60):
    with transaction(db):
        audit.note(db, number, sys.argv[2], "job.paused", number)
print("done", flush=True)
"""


def test_two_processes_that_write_at_once_keep_one_chain(ledger: Ledger) -> None:
    with Other(NOTING, ledger.path, "une") as one, Other(NOTING, ledger.path, "autre") as other:
        assert (one.line(), other.line()) == ("ready", "ready")
        one.tell()
        other.tell()
        assert (one.line(), other.line()) == ("done", "done")
    assert problems(ledger.db) == []
    written = audit.entries(ledger.db)
    assert [entry.id for entry in written] == list(range(1, 121))
    for actor in ("une", "autre"):
        assert [e.job_id for e in written if e.actor == actor] == list(range(60))


def test_what_is_written_while_the_chain_is_read_does_not_break_it(
    ledger: Ledger, opener: Opener
) -> None:
    note_some(ledger.db, 3)
    reader = opener(ledger.path)
    ledger.db.execute("UPDATE audit SET actor = 'autre' WHERE id = 1")
    reading = audit.verify(reader)
    assert next(reading).startswith("Entry 1 ")
    note_some(ledger.db, 2)
    assert list(reading) == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=5,
)
RESERVED = {"db", "at", "actor", "action", "job_id"}
HISTORY = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.text(st.characters(codec="utf-8"), max_size=5),
        st.sampled_from(audit.ACTIONS),
        st.none() | st.integers(1, 100),
        st.dictionaries(
            st.from_regex(r"[a-z_]{1,5}", fullmatch=True).filter(lambda key: key not in RESERVED),
            JSON,
            max_size=2,
        ),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=40)
@given(history=HISTORY, purged_before=st.integers(0, 6), data=st.data())
def test_any_history_is_whole_until_any_row_of_it_is_touched(
    tmp_path_factory: pytest.TempPathFactory,
    history: list[tuple[int, str, str, int | None, dict[str, audit.Detail]]],
    purged_before: int,
    data: st.DataObject,
) -> None:
    path = tmp_path_factory.mktemp("audit") / "ledger.db"
    db = open_database(path, create=True)
    db.execute("PRAGMA synchronous = OFF")  # nobody cuts the power here
    try:
        for at, actor, action, job_id, details in history:
            with transaction(db):
                audit.note(db, at, actor, action, job_id, **details)
                audit.purge(db, min(purged_before, at))
        assert problems(db) == []
        rows = audit.entries(db)
        assert [entry[1:6] for entry in rows] == history[len(history) - len(rows) :]
        if not rows:
            return
        touched = data.draw(st.sampled_from(rows)).id
        motion = data.draw(st.sampled_from(["at", "actor", "action", "job_id", "details", None]))
        if motion is None:
            db.execute("DELETE FROM audit WHERE id = ?", (touched,))
        elif motion in ("at", "job_id"):
            db.execute(
                f"UPDATE audit SET {motion} = coalesce({motion}, 0) + 1 WHERE id = ?", (touched,)
            )
        else:
            db.execute(f"UPDATE audit SET {motion} = {motion} || ' ' WHERE id = ?", (touched,))
        assert len(problems(db)) == 1
    finally:
        db.close()
