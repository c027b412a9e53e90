"""Libraries' ways of saying that the disk or the memory is full, and everything else, which is a bug."""

from __future__ import annotations

import errno

import pytest
import torch

from tunewright.base.errors import DataError, DiskFullError, OutOfMemoryError
from tunewright.lifecycle.faults import known


def test_our_own_errors_pass() -> None:
    error = DataError("wrong")
    assert known(error) is error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: 8 bytes"),
    ],
)
def test_exhausted_memory(error: Exception) -> None:
    assert isinstance(known(error), OutOfMemoryError)


def test_torch_itself_says_it_in_these_words() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 55, dtype=torch.float64)
    assert isinstance(known(caught.value), OutOfMemoryError)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "/data/x"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        Exception("(sqlite3.OperationalError) database or disk is full"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),  # safetensors
    ],
)
def test_a_full_disk(error: Exception) -> None:
    assert isinstance(known(error), DiskFullError)


@pytest.mark.parametrize("error", [KeyError("x"), OSError(errno.EACCES, "denied"), RuntimeError("shape mismatch")])
def test_everything_else_is_a_bug(error: Exception) -> None:
    assert known(error) is None
