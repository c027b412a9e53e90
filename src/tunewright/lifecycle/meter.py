"""What a stage costs: wall-clock time and peak memory."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_EVERY_S = 0.1


@dataclass
class Cost:
    """Filled in when the metered block ends.

    Attributes:
        seconds: Wall-clock time.
        peak_memory_bytes: Largest resident memory of this process during the block.
    """

    seconds: float = 0.0
    peak_memory_bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        return {"seconds": round(self.seconds, 3), "peak_memory_bytes": self.peak_memory_bytes}


@contextlib.contextmanager
def metered() -> Iterator[Cost]:
    """Measures the block, also when it fails.

    The system keeps one high-water mark per process, which says nothing about a stage that stays below an earlier
    one. So a thread looks at the resident memory ten times a second, and the mark counts where the block raised it.
    """
    import resource

    import psutil

    process = psutil.Process()
    cost = Cost(peak_memory_bytes=process.memory_info().rss)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_EVERY_S):
            cost.peak_memory_bytes = max(cost.peak_memory_bytes, process.memory_info().rss)

    watcher = threading.Thread(target=watch, name="tunewright-memory", daemon=True)
    mark = _high_water_bytes(resource)
    started = time.monotonic()
    watcher.start()
    try:
        yield cost
    finally:
        ended.set()
        watcher.join()
        cost.seconds = time.monotonic() - started
        after = _high_water_bytes(resource)
        cost.peak_memory_bytes = max(cost.peak_memory_bytes, process.memory_info().rss, after if after > mark else 0)


def _high_water_bytes(resource: Any) -> int:
    import sys

    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kibibytes everywhere but on macOS
