"""Large pages for what a process allocates while it computes with large arrays.

A training step makes and frees thousands of arrays of some megabytes. glibc asks the system for each large one anew
and gives it back at once, so that it comes as pages of 4 kB, each fetched by a fault and cleared; and a processor
remembers where a few thousand pages lie, not the million that a step reads. Pages of 2 MB, from a heap that is kept,
need a hundredth of the faults.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunewright.base.memory import glibc

# Of <malloc.h> and <sys/mman.h>.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_MADV_HUGEPAGE = 14
# How many blocks glibc takes from the system one by one, to begin with; the sizes from which it does so, and gives what
# is free at the heap's end back, once it has freed a block as large.
_MOST_MAPPED, _MAPPED_FROM, _TRIMMED_FROM = 65_536, 32 << 20, 64 << 20
_PAGE = 2 << 20  # bytes; of other sizes the system takes what fits
_OFFERED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_COMMITTING = Path("/proc/sys/vm/overcommit_memory")


@contextmanager
def large_pages() -> Iterator[None]:
    """Large pages while open, on Linux with glibc where the system offers them; nothing anywhere else.

    Blocks of less than 32 MB lie in one heap, which keeps what it freed until this closes. It is for a whole process:
    where two are open at once, the first that closes ends both.
    """
    if not are_offered():
        yield
        return
    libc = glibc()
    libc.mallopt(_MMAP_THRESHOLD, _MAPPED_FROM)
    libc.mallopt(_TRIM_THRESHOLD, -1)
    _widen(libc)
    try:
        yield
    finally:
        libc.mallopt(_TRIM_THRESHOLD, _TRIMMED_FROM)
        libc.malloc_trim(0)


def are_offered() -> bool:
    """Whether a process may ask for large pages, and for addresses that it does not come to use."""
    if glibc() is None:
        return False
    try:
        offered, committing = _OFFERED.read_text(encoding="ascii"), _COMMITTING.read_text(encoding="ascii")
    except OSError:  # another system, or one that hides them
        return False
    return "[never]" not in offered and committing.strip() != "2"


def _widen(libc: Any) -> None:
    """Widens the heap by as much as there is free memory, none of it used yet, and asks for large pages there."""
    import psutil

    size = psutil.virtual_memory().available
    libc.mallopt(_MMAP_MAX, 0)
    block = libc.malloc(size)
    libc.mallopt(_MMAP_MAX, _MOST_MAPPED)
    if not block:  # under a limit of addresses; the heap then grows as ever
        return
    begin = -(-block // _PAGE) * _PAGE
    libc.madvise(begin, max(0, (block + size) // _PAGE * _PAGE - begin), _MADV_HUGEPAGE)
    libc.free(block)
