"""Texts from phones on a real file: joined, never lost, never doubled."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smppgw.ledger.database import transaction
from smppgw.ledger.inbound import (
    FORGOTTEN_AT_ONCE,
    GIVEN_UP_AT_ONCE,
    KINDS,
    REMEMBERED_MS,
    WAIT_MS,
    Inbound,
    Recorded,
    keep_house,
    list_inbound,
    record,
)
from smppgw.ledger.jobs import account_ids
from smppgw.sms.alphabet import pack

from .conftest import Ledger

PHONE = "33600000001"
UDHI = 0x40


def text_of(
    account: int, octets: bytes, *, source: str = PHONE, data_coding: int = 0, esm_class: int = 0
) -> Inbound:
    return Inbound(account, source, "36111", esm_class, data_coding, octets, {}, "gsm7")


def part_of(
    account: int,
    number: int,
    octets: bytes,
    *,
    total: int = 3,
    reference: int = 7,
    source: str = PHONE,
    data_coding: int = 0,
) -> Inbound:
    header = bytes((5, 0, 3, reference, total, number))
    return text_of(account, header + octets, source=source, data_coding=data_coding, esm_class=UDHI)


def take(ledger: Ledger, *arrived: Inbound) -> Recorded:
    with transaction(ledger.db):
        return record(ledger.db, arrived, ledger.now)


def wait(ledger: Ledger, milliseconds: int = WAIT_MS) -> Recorded:
    ledger.now += milliseconds
    with transaction(ledger.db):
        return keep_house(ledger.db, ledger.now)


def texts(ledger: Ledger) -> list[str]:
    """Oldest first."""
    return [row.text for row in reversed(list_inbound(ledger.db))]


def parts_held(ledger: Ledger) -> int:
    held: int = ledger.db.execute("SELECT count(*) FROM inbound_part").fetchone()[0]
    return held


def test_a_text_of_one_part_is_kept_decoded_and_as_it_came(ledger: Ledger) -> None:
    came = text_of(ledger.account, "Où ?".encode("utf-16-be"), data_coding=8)
    recorded = take(ledger, came)
    (text,) = recorded.texts
    assert (text.source, text.destination, text.text) == ("+33600000001", "36111", "Où ?")
    assert (text.octets, text.data_coding) == (came.short_message, 8)
    assert (text.parts, text.complete, text.received_at) == (1, True, ledger.now)
    assert ledger.db.execute("SELECT * FROM inbound").fetchall() == [text]
    assert text.asks is None
    assert recorded.kinds == Counter(text=1)


@pytest.mark.parametrize(
    ("written", "asks"), [(b"STOP", "stop"), (b"Stop tout svp", "stop-all"), (b"Non-stop ?", None)]
)
def test_what_a_text_asks_for_stands_beside_it(
    ledger: Ledger, written: bytes, asks: str | None
) -> None:
    (text,) = take(ledger, text_of(ledger.account, written)).texts
    assert text.asks == asks
    assert ledger.db.execute("SELECT asks FROM inbound").fetchall() == [(asks,)]


def test_a_long_text_asks_only_once_it_is_whole(ledger: Ledger) -> None:
    assert take(ledger, part_of(ledger.account, 1, b"ST", total=2)).texts == []
    (text,) = take(ledger, part_of(ledger.account, 2, b"OP", total=2)).texts
    assert (text.text, text.asks) == ("STOP", "stop")


def test_texts_are_kept_in_the_order_in_which_they_came(ledger: Ledger) -> None:
    first = take(ledger, text_of(ledger.account, b"un"), text_of(ledger.account, b"deux"))
    second = take(ledger, text_of(ledger.account, b"trois"))
    assert texts(ledger) == ["un", "deux", "trois"]
    ids = [text.inbound_id for text in first.texts + second.texts]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
@pytest.mark.parametrize("at_once", [True, False])
def test_parts_in_any_order_become_one_text(
    ledger: Ledger, order: Sequence[int], at_once: bool
) -> None:
    parts = [part_of(ledger.account, number, b"%d " % number) for number in order]
    kinds: Counter[str] = Counter()
    for batch in [parts] if at_once else [[part] for part in parts]:
        kinds += take(ledger, *batch).kinds
    (row,) = list_inbound(ledger.db)
    assert (row.text, row.parts, row.complete) == ("1 2 3 ", 3, True)
    assert kinds == Counter(part=3, complete=1)
    octets, data_coding = ledger.db.execute("SELECT octets, data_coding FROM inbound").fetchone()
    assert (octets, data_coding) == (b"1 2 3 ", 0)


def test_a_character_cut_between_two_parts_is_whole_again(ledger: Ledger) -> None:
    octets = "fête 🎉".encode("utf-16-be")
    cut = len(octets) - 2
    for number, piece in ((1, octets[:cut]), (2, octets[cut:])):
        take(ledger, part_of(ledger.account, number, piece, total=2, data_coding=8))
    assert texts(ledger) == ["fête 🎉"]


def test_the_alphabet_of_the_account_reads_its_parts(ledger: Ledger) -> None:
    parts = [
        part_of(ledger.account, number, octets, total=2)._replace(alphabet="latin1")
        for number, octets in ((1, b"\xe9t"), (2, b"\xe9"))
    ]
    take(ledger, *parts)
    assert texts(ledger) == ["été"]


def test_packed_septets_are_found_behind_their_headers(ledger: Ledger) -> None:
    parts = [
        part_of(ledger.account, number, pack(octets, 1), total=2)
        for number, octets in ((1, b"un "), (2, b"deux"))
    ]
    single = bytes((3, 0x24, 1, 2)) + pack(b"court", 3)
    for inbound in (*parts, text_of(ledger.account, single, esm_class=UDHI)):
        take(ledger, inbound._replace(alphabet="gsm7-packed"))
    assert texts(ledger) == ["un deux", "court"]


def test_parts_numbered_by_tlvs_are_joined_and_payloads_are_read(ledger: Ledger) -> None:
    for number, tlvs in ((1, {0x0424: b"un "}), (2, {0x0424: b"deux"})):
        sar = {0x020C: b"\0\7", 0x020E: b"\2", 0x020F: bytes((number,))}
        take(ledger, text_of(ledger.account, b"")._replace(tlvs={**tlvs, **sar}))
    assert texts(ledger) == ["un deux"]


def test_parts_of_different_phones_references_and_accounts_do_not_mix(ledger: Ledger) -> None:
    other = account_ids(ledger.db, ["second"])["second"]
    for number in (1, 2):
        take(
            ledger,
            part_of(ledger.account, number, b"a%d" % number, total=2),
            part_of(ledger.account, number, b"b%d" % number, total=2, reference=8),
            part_of(ledger.account, number, b"c%d" % number, total=2, source="33600000002"),
            part_of(other, number, b"d%d" % number, total=2),
            part_of(ledger.account, number + 1, b"f%d" % number, total=3),
            text_of(
                ledger.account,
                bytes((6, 8, 4, 0, 7, 2, number)) + b"e%d" % number,
                esm_class=UDHI,
            ),
        )
    assert texts(ledger) == ["a1a2", "b1b2", "c1c2", "d1d2", "e1e2"]


def test_a_part_that_comes_twice_counts_once(ledger: Ledger) -> None:
    first, second, third = (part_of(ledger.account, n, b"%d" % n) for n in (1, 2, 3))
    assert take(ledger, first, first).kinds == Counter(part=1, duplicate=1)
    assert take(ledger, second, first).kinds == Counter(part=1, duplicate=1)
    take(ledger, third)
    assert texts(ledger) == ["123"]


def test_a_part_that_comes_again_after_its_text_is_complete_is_known_for_a_day(
    ledger: Ledger,
) -> None:
    parts = [part_of(ledger.account, n, b"%d" % n, total=2) for n in (1, 2)]
    take(ledger, *parts)
    wait(ledger, REMEMBERED_MS - 1)
    assert take(ledger, *parts).kinds == Counter(duplicate=2)
    assert wait(ledger).kinds == Counter()
    assert texts(ledger) == ["12"]
    assert parts_held(ledger) == 0


def test_a_restart_between_two_parts_loses_nothing(
    ledger: Ledger, opener: Callable[[Path], sqlite3.Connection]
) -> None:
    take(ledger, part_of(ledger.account, 2, b"fin", total=2))
    again = opener(ledger.path)
    with transaction(again):
        record(again, [part_of(ledger.account, 1, b"debut ", total=2)], ledger.now)
    assert texts(ledger) == ["debut fin"]


def test_a_part_that_never_comes_shows_as_a_gap_once_its_time_is_up(ledger: Ledger) -> None:
    take(ledger, part_of(ledger.account, 1, b"un "), part_of(ledger.account, 3, b" trois"))
    assert wait(ledger, WAIT_MS - 1).texts == []
    recorded = wait(ledger, 1)
    (text,) = recorded.texts
    assert (text.text, text.parts, text.complete) == ("un […] trois", 3, False)
    assert (text.octets, text.received_at) == (b"un  trois", ledger.now)
    assert recorded.kinds == Counter(incomplete=1)
    assert wait(ledger).texts == []


def test_a_part_that_comes_too_late_becomes_a_text_of_its_own(ledger: Ledger) -> None:
    first, second, third = (part_of(ledger.account, n, b"%d" % n) for n in (1, 2, 3))
    take(ledger, first)
    wait(ledger)
    take(ledger, second, first, third)
    wait(ledger)
    assert texts(ledger) == ["1[…]", "[…]23"]
    assert take(ledger, first, second, third).kinds == Counter(duplicate=3)


def test_a_reference_used_again_neither_mixes_nor_loses_texts(ledger: Ledger) -> None:
    old = [part_of(ledger.account, n, b"a%d" % n) for n in (1, 2, 3)]
    new = [part_of(ledger.account, n, b"b%d" % n) for n in (1, 2, 3)]
    take(ledger, *old)
    take(ledger, *new)
    assert texts(ledger) == ["a1a2a3", "b1b2b3"]
    newer = [part_of(ledger.account, n, b"c%d" % n) for n in (1, 2, 3)]
    newest = [part_of(ledger.account, n, b"d%d" % n) for n in (1, 2, 3)]
    assert take(ledger, *newer[:2], *newest).kinds == Counter(part=5, incomplete=1, complete=1)
    assert texts(ledger)[2:] == ["c1c2[…]", "d1d2d3"]


@pytest.mark.parametrize(("total", "number"), [(0, 0), (2, 3), (3, 0), (1, 1)])
def test_a_part_whose_number_cannot_be_is_a_text_at_once(
    ledger: Ledger, total: int, number: int
) -> None:
    recorded = take(ledger, part_of(ledger.account, number, b"Merci", total=total))
    assert [(text.text, text.complete) for text in recorded.texts] == [("Merci", True)]
    assert parts_held(ledger) == 0


def test_the_longest_text_has_255_parts(ledger: Ledger) -> None:
    parts = [part_of(ledger.account, n, b"%03d." % n, total=255) for n in range(1, 256)]
    assert take(ledger, *parts).kinds == Counter(part=255, complete=1)
    assert texts(ledger) == ["".join(f"{n:03d}." for n in range(1, 256))]


def test_no_turn_gives_up_on_more_texts_than_it_may(ledger: Ledger) -> None:
    sources = [f"336000{n:05d}" for n in range(GIVEN_UP_AT_ONCE + 1)]
    take(ledger, *(part_of(ledger.account, 1, b"un", source=source) for source in sources))
    assert wait(ledger).kinds == Counter(incomplete=GIVEN_UP_AT_ONCE)
    assert wait(ledger, 1000).kinds == Counter(incomplete=1)
    assert {row.source for row in list_inbound(ledger.db)} == {f"+{s}" for s in sources}


def test_no_turn_forgets_more_parts_than_it_may(ledger: Ledger) -> None:
    sources = [f"336000{n:05d}" for n in range(FORGOTTEN_AT_ONCE // 2 + 1)]
    take(
        ledger,
        *(
            part_of(ledger.account, n, b"%d" % n, total=2, source=s)
            for s in sources
            for n in (1, 2)
        ),
    )
    wait(ledger, REMEMBERED_MS)
    assert parts_held(ledger) == 2
    wait(ledger, 0)
    assert parts_held(ledger) == 0
    assert len(texts(ledger)) == len(sources)


def test_a_listing_is_newest_first_and_may_be_cut_by_time_and_number(ledger: Ledger) -> None:
    for word in (b"un", b"deux", b"trois"):
        ledger.now += 1000
        take(ledger, text_of(ledger.account, word))
    assert [row.text for row in list_inbound(ledger.db)] == ["trois", "deux", "un"]
    assert [row.text for row in list_inbound(ledger.db, limit=2)] == ["trois", "deux"]
    since = list_inbound(ledger.db, since=ledger.now - 1000)
    assert [row.text for row in since] == ["trois", "deux"]
    assert {row.smsc for row in since} == {"operator"}


arrivals = st.builds(
    Inbound,
    st.just(1),
    st.sampled_from([PHONE, "33600000002", "³\0", ""]),
    st.sampled_from(["36111", "é"]),
    st.sampled_from([0, UDHI, UDHI, UDHI]),
    st.sampled_from([0, 3, 4, 8, 0xF5]),
    st.builds(
        lambda reference, total, number, octets: (
            bytes((5, 0, 3, reference, total, number)) + octets
        ),
        st.integers(0, 1),
        st.integers(0, 4),
        st.integers(0, 4),
        st.sampled_from([b"a", b"b", b"\xd8\x3c", b""]),
    )
    | st.binary(max_size=9),
    st.dictionaries(
        st.sampled_from([0x020C, 0x020E, 0x020F, 0x0424]), st.binary(min_size=1, max_size=2)
    ),
    st.sampled_from(["gsm7", "gsm7-packed", "latin1"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(arrivals, st.sampled_from([0, 0, WAIT_MS])), max_size=12))
def test_whatever_comes_is_counted_once_and_ends_in_a_text_or_is_a_duplicate(
    ledger: Ledger, comings: list[tuple[Inbound, int]]
) -> None:
    kinds: Counter[str] = Counter()
    shown = 0
    ledger.db.execute("BEGIN")
    try:
        now = ledger.now
        for inbound, pause in comings:
            now += pause
            for recorded in (
                record(ledger.db, [inbound], now),
                keep_house(ledger.db, now),
            ):
                kinds += recorded.kinds
                shown += len(recorded.texts)
        recorded = keep_house(ledger.db, now + WAIT_MS)
        kinds += recorded.kinds
        shown += len(recorded.texts)
        rows = [octets for (octets,) in ledger.db.execute("SELECT octets FROM inbound")]
        (waiting,) = ledger.db.execute(
            "SELECT count(*) FROM inbound_part WHERE joined = 0"
        ).fetchone()
    finally:
        ledger.db.execute("ROLLBACK")
    assert set(kinds) <= set(KINDS)
    assert kinds["text"] + kinds["part"] + kinds["duplicate"] == len(comings)
    assert kinds["text"] + kinds["complete"] + kinds["incomplete"] == shown == len(rows)
    assert waiting == 0
    for inbound, _ in comings:
        came = inbound.short_message or inbound.tlvs.get(0x0424, b"")
        headed = inbound.esm_class == UDHI and came and came[0] < len(came)
        octets = came[came[0] + 1 :] if headed else came
        assert any(octets in row for row in rows)
