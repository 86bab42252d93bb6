"""The key of the hashes on a real disk: made once, never replaced, never guessed at."""

import hashlib
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw.errors import DatabaseError
from smppgw.ledger.hashing import KEY_OCTETS, Hasher
from tests.ledger.process import Other

NUMBER = "+33600000001"
OPEN = """
import sys
from pathlib import Path
from smppgw.ledger.hashing import Hasher
print("ready", flush=True)
sys.stdin.readline()
print(Hasher.open(Path(sys.argv[1])).of("+33600000001"), flush=True)
"""


def test_the_hash_is_hmac_sha_256_of_the_number_in_hexadecimal() -> None:
    key = bytes(range(32))
    # RFC 2104 by hand.
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(octet ^ 0x36 for octet in padded) + NUMBER.encode()).digest()
    outer = hashlib.sha256(bytes(octet ^ 0x5C for octet in padded) + inner)
    assert Hasher(key).of(NUMBER) == outer.hexdigest()


@given(st.from_regex(r"\+[1-9][0-9]{9,14}", fullmatch=True))
def test_a_hash_depends_on_number_and_key_and_shows_neither(number: str) -> None:
    one, other = Hasher(b"\1" * 32), Hasher(b"\2" * 32)
    assert one.of(number) == one.of(number) != other.of(number)
    assert one.of(number) != one.of(number + "0")
    assert number[1:] not in one.of(number)


def test_a_key_that_is_there_is_used_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "smppgw.key"
    first = Hasher.open(path)
    octets, made = path.read_bytes(), path.stat()
    assert len(octets) == KEY_OCTETS
    assert Hasher.open(path).of(NUMBER) == first.of(NUMBER)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (octets, made.st_mtime_ns)


def test_the_key_is_readable_by_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Hasher.open(tmp_path / "smppgw.key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "smppgw.key").stat().st_mode) == 0o600


def test_each_key_is_another_one_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    one, other = Hasher.open(tmp_path / "one"), Hasher.open(tmp_path / "other")
    assert one.of(NUMBER) != other.of(NUMBER)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other"]


def test_processes_that_make_it_at_once_get_the_same_key(tmp_path: Path) -> None:
    with (
        Other(OPEN, tmp_path / "key") as one,
        Other(OPEN, tmp_path / "key") as two,
        Other(OPEN, tmp_path / "key") as three,
    ):
        others = (one, two, three)
        assert [other.line() for other in others] == ["ready"] * 3
        for other in others:
            other.tell()
        hashes = {other.line() for other in others}
    assert hashes == {Hasher.open(tmp_path / "key").of(NUMBER)}
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_who_comes_second_takes_the_key_of_who_was_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment between looking and linking, which two processes rarely hit."""
    path, link = tmp_path / "key", os.link
    first = b"1" * KEY_OCTETS

    def beaten(source: str, target: Path) -> None:
        path.write_bytes(first)
        link(source, target)

    monkeypatch.setattr(os, "link", beaten)
    assert Hasher.open(path).of(NUMBER) == Hasher(first).of(NUMBER)
    assert path.read_bytes() == first


@pytest.mark.parametrize("octets", [0, 1, 31, 33, 64])
def test_a_file_that_is_no_key_is_refused_with_what_to_do_and_left_alone(
    tmp_path: Path, octets: int
) -> None:
    path = tmp_path / "smppgw.key"
    path.write_bytes(b"x" * octets)
    with pytest.raises(DatabaseError, match=f"{path} is damaged.*{octets} octets.*backup"):
        Hasher.open(path)
    assert path.read_bytes() == b"x" * octets


def test_a_folder_that_is_missing_or_in_the_way_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="Check the path"):
        Hasher.open(tmp_path / "none" / "smppgw.key")
    with pytest.raises(DatabaseError, match=str(tmp_path)):
        Hasher.open(tmp_path)
