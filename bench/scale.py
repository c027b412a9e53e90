"""Cost linear, memory flat: rows from a file to an adapter, at 1,000, 10,000 and 100,000 of them.

Each size in a fresh process, on a small model made on the spot, with equally many timed steps of 16 rows, one
validation and one checkpoint: so that what differs is what grows with the number of rows.

python bench/scale.py --json
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from plan import made_base

BAR = 0.10
SIZES = (1_000, 10_000, 100_000)
BATCH = 16
WARM_UP = 5
SHAPE = {
    "vocab_size": 259,
    "hidden_size": 128,
    "intermediate_size": 344,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
}
_COLOURS = ("red", "green", "blue")


def main() -> None:
    """Runs each size, and prints a table or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--steps", type=int, default=40, help="Timed steps at each size.")
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measured(options.child, options.rows[0], options.steps)))
        return
    found = []
    with tempfile.TemporaryDirectory() as name:
        for rows in options.rows:
            found.append(in_a_process(Path(name) / str(rows), rows, options.steps))
            if not options.json:
                print(", ".join(f"{key} {value:,.4g}" for key, value in found[-1].items()), flush=True)
    worst = {
        "examples_per_s": spread([each["examples_per_s"] for each in found]),
        "examples_per_processor_s": spread([each["examples_per_processor_s"] for each in found]),
        "training_peak_bytes": spread([each["training_peak_bytes"] for each in found]),
        "peak_bytes": spread([each["peak_bytes"] for each in found]),
        "prepare_s_a_row": spread([each["prepare_s"] / each["rows"] for each in found[1:]]),  # the first: what is fixed
    }
    if options.json:
        print(json.dumps({"worst_difference": worst, "bar": BAR, "sizes": found}, indent=2))
    else:
        print(", ".join(f"{key} differs by {value:.1%}" for key, value in worst.items()), f"(bar: {BAR:.0%})")


def spread(values: list[float]) -> float:
    """The largest of some values over the smallest, less one; 0 where there is but one."""
    return max(values) / min(values) - 1 if values else 0.0


def in_a_process(folder: Path, rows: int, steps: int) -> dict[str, Any]:
    """What one size takes, measured in a fresh process."""
    folder.mkdir()
    write_rows(folder / "rows.csv", rows)
    made_base(folder, SHAPE).rename(folder / "base")
    command = [sys.executable, __file__, "--child", str(folder), "--rows", str(rows), "--steps", str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def write_rows(path: Path, rows: int) -> None:
    """Distinct rows of one length, which share the same beginning however many there are."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(rows):
            name = hashlib.blake2b(str(row).encode(), digest_size=8).hexdigest()
            writer.writerow([f"the thing called {name} in this file", _COLOURS[row % 3]])


def measured(folder: Path, rows: int, steps: int) -> dict[str, Any]:
    """From the file to the adapter, by stage; memory in bytes, time in seconds."""
    from tunewright.base.events import Event, Metrics
    from tunewright.base.memory import return_freed_pages
    from tunewright.lifecycle.job import start
    from tunewright.lifecycle.stages import preflight, prepare, train
    from tunewright.plan.step import peak_bytes
    from tunewright.recipe import recipe_from_mapping

    return_freed_pages()  # as the command line does
    batches = steps + WARM_UP
    recipe = recipe_from_mapping(
        {
            "name": "scale",
            "goal": "Measure.",
            "base": str(folder / "base"),
            "data": {
                "train": str(folder / "rows.csv"),
                "template": {"user": "{text}", "assistant": "{label}"},
                "steps": ["unicode", "whitespace", "exact_duplicates"],
                "split": {"validation": 64, "test": 200},
            },
            "train": {
                "dtype": "float32",
                "batch_size": BATCH,
                "epochs": batches * BATCH / (rows - 264),
                "validate_every": batches,
                "checkpoint_every_s": 3600,
            },
        }
    )
    rates: list[float] = []
    worked: list[float] = []  # processor time at the end of each step: other work on the machine is not in it

    def hear(event: Event) -> None:
        if isinstance(event, Metrics) and "examples_per_s" in event.values:
            rates.append(event.values["examples_per_s"])
            worked.append(time.process_time())

    started = time.monotonic()
    with start(recipe, workspace=folder / "workspace", kind="train", listener=hear) as job:
        prepare(job)
        prepared, prepared_bytes = time.monotonic(), peak_bytes()
        preflight(job)
        looked, looked_bytes = time.monotonic(), peak_bytes()
        train(job)
        record = job.record("train")
    return {
        "rows": rows,
        "steps": len(rates),
        "examples_per_s": statistics.median(rates[WARM_UP:]),
        "examples_per_processor_s": BATCH * (len(worked) - WARM_UP) / (worked[-1] - worked[WARM_UP - 1]),
        "prepare_s": prepared - started,
        "tokenise_s": looked - prepared,
        "train_s": record["seconds"],
        "prepare_peak_bytes": prepared_bytes,
        "tokenise_peak_bytes": looked_bytes,
        "training_peak_bytes": record["peak_memory_bytes"],
        "peak_bytes": peak_bytes(),
    }


if __name__ == "__main__":
    main()
