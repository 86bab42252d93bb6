"""A trial of a workbook in a process of its own, which may fill its memory or die of it.

calamine makes a cell for every place between the first and the last that has content: one forgotten
at the far corner of a sheet makes 500 GB of them, and Rust then ends the process. A crafted file
reaches the same by lengths that it only claims. Whatever happens, happens here, on standard input;
the process that reads the list does so only if this one lived.

Run as a file, so that nothing else of the package is loaded (35 ms).
"""

import resource
import sys
from contextlib import suppress

from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum

# 1,000,000 rows of ten cells need 1.1 GB.
MEMORY_OCTETS = 2 * 1024**3
CPU_S = 120
TOO_LARGE = 3  # exit status, where there is time for one


def limit(kind: int, most: int) -> None:
    """Limit this process, or leave it at what it was limited to before, where that is less."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(kind, (most, most))


def read() -> None:
    """Load every sheet, as whoever reads the list will do.

    What is damaged is no fault here: whoever reads the list says so in words.
    """
    with suppress(CalamineError), CalamineWorkbook.from_filelike(sys.stdin.buffer) as book:
        for sheet in book.sheets_metadata:
            if sheet.typ is SheetTypeEnum.WorkSheet:
                book.get_sheet_by_name(sheet.name)


if __name__ == "__main__":
    limit(resource.RLIMIT_AS, MEMORY_OCTETS)
    limit(resource.RLIMIT_CPU, CPU_S)
    limit(resource.RLIMIT_CORE, 0)
    try:
        read()
    except MemoryError:
        sys.exit(TOO_LARGE)
    except BaseException as error:
        # calamine panics on some damaged files, which is told in words as well: a BaseException, of
        # a class that pyo3 hides.
        if type(error).__name__ != "PanicException":
            raise
