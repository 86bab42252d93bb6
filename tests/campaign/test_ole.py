"""OLE files as xlwt writes them, whole, bent and led in circles."""

import io
import struct
from contextlib import suppress

import pytest
import xlwt
from hypothesis import given
from hypothesis import strategies as st

from smppgw.campaign import ole
from smppgw.campaign.ole import OleError, is_endless, read_stream

SECTOR_OCTETS = 512
MORE_TABLE, TABLE = 68, 76  # places in the header
END = 0xFFFFFFFE


def workbook(rows: int = 3) -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("L")
    for row in range(rows):
        sheet.write(row, 0, f"{row} ".ljust(30_000, "x"))
    book.save(octets := io.BytesIO())
    return octets.getvalue()


SMALL, LARGE = workbook(), workbook(300)  # the table of the large one is listed beyond the header


def table_at(octets: bytes) -> int:
    (sector,) = struct.unpack_from("<I", octets, TABLE)
    return (int(sector) + 1) * SECTOR_OCTETS


def followed(octets: bytes, *pairs: tuple[int, int]) -> bytes:
    """Write into the table which sector follows which."""
    bent = bytearray(octets)
    for sector, following in pairs:
        struct.pack_into("<I", bent, table_at(octets) + 4 * sector, following)
    return bytes(bent)


@pytest.mark.parametrize("octets", [SMALL, LARGE], ids=["small", "large"])
def test_a_stream_is_read_whole_and_a_sound_file_has_an_end(octets: bytes) -> None:
    stream = read_stream(octets, "Book", "Workbook")
    bof, size = struct.unpack_from("<HH", stream)
    assert (bof, size) == (0x0809, 16)
    at, kinds = 0, []
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        kinds.append(kind)
        at += 4 + length
    assert kinds.count(0x0809) == kinds.count(0x000A) == 2  # the workbook and its sheet
    assert not is_endless(octets)


def test_a_stream_that_is_not_there_or_kept_elsewhere_is_an_error() -> None:
    with pytest.raises(OleError):
        read_stream(SMALL, "WordDocument")
    short = SMALL.index("Workbook".encode("utf-16-le")) + 120
    with pytest.raises(OleError):
        read_stream(SMALL[:short] + struct.pack("<I", 100) + SMALL[short + 4 :], "Workbook")


@pytest.mark.parametrize("pairs", [[(0, 0)], [(3, 1)], [(0, 4), (4, 0)], [(1, END), (2, 2)]])
def test_sectors_that_follow_each_other_in_a_circle_have_no_end(
    pairs: list[tuple[int, int]],
) -> None:
    assert is_endless(followed(SMALL, *pairs))


def test_a_list_of_the_table_that_comes_back_to_itself_has_no_end() -> None:
    bent = bytearray(LARGE)
    (more,) = struct.unpack_from("<I", LARGE, MORE_TABLE)
    struct.pack_into("<I", bent, (more + 2) * SECTOR_OCTETS - 4, more)
    assert is_endless(bytes(bent))


@given(st.lists(st.integers(0, 12), max_size=12))
def test_a_circle_is_found_as_following_every_sector_step_by_step_finds_it(
    following: list[int],
) -> None:
    def ends(sector: int) -> bool:
        for _ in range(len(following) + 1):
            if sector >= len(following):
                return True
            sector = following[sector]
        return False

    assert ole._has_circle(following) == (not all(map(ends, range(len(following)))))


@given(st.binary(max_size=2000), st.booleans())
def test_any_octets_have_an_answer(octets: bytes, header: bool) -> None:
    octets = (SMALL[:SECTOR_OCTETS] if header else b"") + octets
    assert is_endless(octets) in (True, False)
    with suppress(OleError):
        assert isinstance(read_stream(octets, "Workbook"), bytes)
