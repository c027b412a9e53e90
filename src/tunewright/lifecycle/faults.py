"""Which of the errors that libraries and the system raise mean something that a user can act on."""

from __future__ import annotations

import errno
import re
import sys

from tunewright.base.errors import DiskFullError, OutOfMemoryError, TunewrightError

_DISK_FULL = re.compile(r"database or disk is full|No space left on device|Disk quota exceeded", re.IGNORECASE)
_NO_MEMORY = re.compile(r"can't allocate memory|out of memory|Cannot allocate memory", re.IGNORECASE)

_MEMORY_HINT = (
    "Make each step smaller with --set train.node_budget=512 or --set evaluate.batch_size=16, take a smaller base "
    "model, or close other programs. Checkpoints are kept."
)


def known(error: BaseException) -> TunewrightError | None:
    """The error as one of ours, or None where it is a bug.

    A full disk and exhausted memory arrive under many names: from the system, from torch's allocators, from SQLite.
    """
    if isinstance(error, TunewrightError):
        return error
    if isinstance(error, MemoryError) or _is_torch_out_of_memory(error):
        return OutOfMemoryError("This machine's memory is exhausted", hint=_MEMORY_HINT)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _disk_full(str(error.filename or ""))
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return OutOfMemoryError("This machine's memory is exhausted", hint=_MEMORY_HINT)
    if isinstance(error, Exception) and _DISK_FULL.search(str(error)):
        return _disk_full("")
    return None


def _is_torch_out_of_memory(error: BaseException) -> bool:
    # Asking sys.modules keeps torch unloaded for verbs that never touch it.
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    # On a processor torch raises a plain RuntimeError whose text names its allocator.
    return isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error)))


def _disk_full(where: str) -> DiskFullError:
    return DiskFullError(
        "No space is left on this disk",
        where=where,
        hint="Free some space and start again; finished work and checkpoints are kept.",
    )
