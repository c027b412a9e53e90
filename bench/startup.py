"""How long `import tunewright` and `tunewright --help` take, in a fresh process each; the median of some.

python bench/startup.py --json
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

BARS = {"import_s": 0.3, "help_s": 0.5}


def median_seconds(command: list[str], times: int) -> float:
    """Median wall time of a command, in seconds, after one run that fills the file cache."""
    taken = []
    for _ in range(times + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])


def main() -> None:
    """Measures, and prints one line a figure or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--times", type=int, default=7)
    options = parser.parse_args()
    tool = str(Path(sys.executable).with_name("tunewright"))
    found = {
        "import_s": median_seconds([sys.executable, "-c", "import tunewright"], options.times),
        "help_s": median_seconds([tool, "--help"], options.times),
    }
    if options.json:
        print(json.dumps(found))
    else:
        for name, seconds in found.items():
            print(f"{name}: {seconds:.3f} s (bar: under {BARS[name]} s)")


if __name__ == "__main__":
    main()
