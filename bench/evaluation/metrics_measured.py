"""Measures stored answers as the product does. A process of bench/evaluate.py.

python -m evaluation.metrics_measured FOLDER METRIC,… PROCESSES OUT.json
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from tunewright.base.files import write_json
from tunewright.base.plugins import METRICS
from tunewright.evaluate.intervals import intervals_of
from tunewright.evaluate.stored import answer_pieces
from tunewright.metrics import measure_pieces

_SAMPLES, _SEED = 2000, 17


def main() -> None:
    """Reads, measures, and finds the intervals; what libraries take to load is counted, Python itself is not."""
    folder, names, processes = Path(sys.argv[1]), sys.argv[2].split(","), int(sys.argv[3])
    started = time.perf_counter()
    configs = [METRICS.config(name)() for name in names]
    measures = measure_pieces(answer_pieces(folder, "tuned"), configs, processes=processes)
    measured = time.perf_counter()
    intervals = intervals_of(measures, samples=_SAMPLES, seed=_SEED)
    ended = time.perf_counter()
    # The system tells the largest of the processes that helped, so as many of it are counted.
    ours, helpers = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {
        "seconds": ended - started,
        "interval_seconds": ended - measured,
        "cpu_seconds": sum(each.ru_utime + each.ru_stime for each in (ours, helpers)),
        "peak_memory_bytes": (ours.ru_maxrss + processes * helpers.ru_maxrss) * 1024,
        "scores": {name: interval.as_json() for name, interval in intervals.items()},
    }
    write_json(Path(sys.argv[4]), found)


if __name__ == "__main__":
    main()
