"""The speed of evaluation, beside what others use for it, both sides in one go.

python bench/evaluate.py --json                    # every work
python bench/evaluate.py --work label_scoring --questions 8

Each side runs in a process of its own, one after the other. README.md in this folder says what is held equal, what
is timed, and what each figure means. A work is one file in `evaluation/`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from evaluation.shared import Bench, NotComparable, data_folder
from speed.folders import folder_for
from speed.peers import NoPeer
from speed.processes import BENCH, ProcessFailed

NAMES = ("label_scoring", "winner_only", "greedy", "metrics")
WORKS: dict[str, Any] = {
    name: import_module(f"evaluation.{name}") for name in NAMES if (BENCH / "evaluation" / f"{name}.py").exists()
}


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", default=",".join(WORKS), help="Which, separated by commas; all by default.")
    parser.add_argument("--base", default="smollm2-135m-instruct", help="Another model, as recipes name it.")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="Of arithmetic, on both sides.")
    parser.add_argument("--peer-python", type=Path, help="An interpreter with the peers; else bench/.peers is made.")
    parser.add_argument("--data", type=Path, help="Default: $TUNEWRIGHT_DATA, else ../shared/data.")
    parser.add_argument("--keep", type=Path, help="A folder for all that the runs write; else it is thrown away.")
    parser.add_argument("--json", action="store_true")
    for work in WORKS.values():
        work.add_options(parser)
    options = parser.parse_args(arguments)
    unknown = [name for name in options.work.split(",") if name not in WORKS]
    if unknown:
        parser.error(f"--work: {', '.join(unknown)} is unknown. Known: {', '.join(WORKS)}.")
    return options


def main() -> int:
    """Measures and prints; 0 when all was measured, 3 when a side failed or the sides did not do the same."""
    options = options_of()
    found: dict[str, Any] = {}
    try:
        with folder_for("evaluate", options.keep) as folder:
            bench = Bench(folder, options, data_folder(options.data))
            for name in options.work.split(","):
                found[name] = WORKS[name].measure(bench)
                if not options.json:
                    print(WORKS[name].text(found[name]), flush=True)
    except (NoPeer, ProcessFailed, NotComparable) as error:
        print(f"bench/evaluate.py: {error}", file=sys.stderr)
        return 3
    if options.json:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
