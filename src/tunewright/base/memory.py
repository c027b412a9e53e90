"""Memory that is no longer used, given back to the system: it counts as the process's own until it is."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from typing import Any


def return_freed_pages() -> None:
    """Lets Polars' allocator give freed pages back at once; does nothing where a person has said otherwise.

    Its own setting leaves them with the process until the system runs short, and they count as the process's memory
    meanwhile: for whoever watches it, and under a limit for whoever stops it. Read when Polars is loaded, so it is said
    by a program's entry point, and not at import.
    """
    os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:500,muzzy_decay_ms:0")


LITTLE = 64 << 20  # bytes of growth; looking for cycles takes a tenth of a second, which less than that is not worth
_left = 0  # bytes: the least that the process has held since blocks were last given back


def give_back(*, beyond: int = 0) -> None:
    """Frees what only cycles of references still hold, and gives freed blocks back; for between large pieces of work.

    Python looks for such cycles by the number of objects, not by their size, and the system's allocator (glibc's, where
    it is that) keeps the blocks below ones that are still used.

    Args:
        beyond: Nothing is done where the process has grown by less than so many bytes since the last time; 0: always.
    """
    import psutil

    global _left
    process = psutil.Process()
    held = process.memory_info().rss
    if beyond and held < _left + beyond:
        _left = min(_left, held)
        return
    gc.collect()
    if (arrow := sys.modules.get("pyarrow")) is not None:  # it has blocks of its own
        arrow.default_memory_pool().release_unused()
    if (libc := glibc()) is not None:
        libc.malloc_trim(0)
    _left = process.memory_info().rss


def glibc() -> Any:
    """The C library, if it is glibc, whose allocator takes advice; else None."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return None
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    libc.free.argtypes = (ctypes.c_void_p,)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return libc
