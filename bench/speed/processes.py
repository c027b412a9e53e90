"""One measured process for each side: started, waited for, and its peak memory read from the system."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BENCH = Path(__file__).resolve().parents[1]
_SHOWN_LINES = 30


@dataclass(frozen=True)
class Finished:
    """What a process took.

    Args:
        seconds: From start to end, imports and loading included.
        peak_memory_bytes: Its largest resident memory. The starting process must be small: the system counts a
            child as at least as large as its parent was.
    """

    seconds: float
    peak_memory_bytes: int


class ProcessFailed(Exception):  # noqa: N818 (what happened, not whose fault it was)
    """A side ended with an error; holds the end of what it said."""


def run(module: str, arguments: list[str], *, python: Path, log: Path, environment: Mapping[str, str]) -> Finished:
    """Runs a module of this package, or one of another that is named in full, in a process of its own.

    Raises:
        ProcessFailed: If it ends with an error.
    """
    named = module if "." in module else f"speed.{module}"
    command = [str(python), "-m", named, *arguments]
    started = time.monotonic()
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, cwd=BENCH, stdout=said, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:])
        raise ProcessFailed(f"{named} ended with {process.returncode}; its log is {log}:\n{tail}")
    unit = 1 if sys.platform == "darwin" else 1024  # kibibytes everywhere but on macOS
    return Finished(time.monotonic() - started, usage.ru_maxrss * unit)


def environment(threads: int) -> dict[str, str]:
    """What every side is started with: the same threads, no network, no other accelerators."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "PYTHONHASHSEED": "0",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # deterministic products, which ours asks for
    }
