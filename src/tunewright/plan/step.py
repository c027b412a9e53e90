"""The child process of a measurement: one step and its validation through the real training loop, twice.

python -m tunewright.plan.step FOLDER reads `job.json` and `rows.npz` there, and writes `measured.json`.

The step is done twice because the optimiser's memory comes with the first one: from the second on a run takes what it
will take to its end.
"""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tunewright.base.events import Event, Metrics
from tunewright.base.files import read_json, write_json
from tunewright.base.quiet import quiet

if TYPE_CHECKING:
    from tunewright.data.tokens import TokenTable
    from tunewright.models.catalog import Kind

JOB, ROWS, MEASURED = "job.json", "rows.npz", "measured.json"
REPEATS = 2
_STATUS = Path("/proc/self/status")


def main(folder: Path) -> None:
    """Does the step that a folder describes, and writes what it took."""
    job = read_json(folder / JOB)
    with quiet():
        import torch

        from tunewright.models.base import load_base
        from tunewright.models.resolve import resolve
        from tunewright.recipe import recipe_from_mapping
        from tunewright.train.loop import train

        torch.set_num_threads(job["threads"])
        recipe = recipe_from_mapping(job["recipe"])
        imported = resident_bytes()
        # The account is of this machine's own memory, so the step is made there and not on a card.
        base = load_base(resolve(recipe.base, Path(job["cache"])), dtype=recipe.train.dtype, device="cpu")
        loaded = resident_bytes()
        seen: list[dict[str, float]] = []

        def hear(event: Event) -> None:
            if isinstance(event, Metrics) and "examples_per_s" in event.values:
                seen.append(event.values)

        tables = read_rows(folder / ROWS, folder, base.files.kind)
        trained = train(base, tables, recipe, folder=folder / "run", listener=hear)
    rows = len(tables["train"])
    found = {
        "peak_bytes": peak_bytes(),
        "imported_bytes": imported,
        "loaded_bytes": loaded,
        "nodes": seen[-1]["nodes"],
        "step_s": rows / seen[-1]["examples_per_s"],
        "trained": trained.trainable,
    }
    write_json(folder / MEASURED, found)


def read_rows(file: Path, folder: Path, kind: Kind = "causal-lm") -> dict[str, TokenTable]:
    """The step's rows as a table, and its first row as one to validate with.

    Rows that were made up say nothing of a source; half of each is one where the base is an encoder-decoder.
    """
    import numpy as np

    from tunewright.data.tokens import Classes, Sequences, TokenTable
    from tunewright.models.text_format import ANSWER_START

    arrays = dict(np.load(file))
    if kind == "seq2seq-lm" and ANSWER_START not in arrays["tokens"]:
        for start, end in itertools.pairwise(arrays["starts"].tolist()):
            border = (start + end) // 2
            arrays["tokens"][border], arrays["weights"][start : border + 1] = ANSWER_START, 0.0
    classes = None
    if "classes" in arrays:
        names = tuple(str(name) for name in arrays["classes"])
        classes = Classes(names, bool(arrays["both_ways"]), arrays["targets"], arrays["types"])

    def table(rows: int) -> TokenTable:
        rejected = None
        if "rejected_starts" in arrays:
            held = (arrays[f"rejected_{name}"] for name in ("starts", "tokens", "weights"))
            starts, tokens, weights = held
            rejected = Sequences(starts[: rows + 1], tokens, weights)
        ids = tuple(f"row {row}" for row in range(rows))
        starts, tokens, weights = (arrays[name] for name in ("starts", "tokens", "weights"))
        return TokenTable(folder, ids, starts[: rows + 1], {}, tokens, weights, rejected, classes)

    return {"train": table(len(arrays["starts"]) - 1), "validation": table(1)}


def peak_bytes() -> int:
    """The largest resident memory of this process so far.

    On Linux from the process's own high-water mark: what `getrusage` says there begins with that of the parent.
    """
    marked = _status("VmHWM")
    if marked is not None:
        return marked
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_bytes() -> int:
    """The resident memory of this process."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def _status(name: str) -> int | None:
    """A size out of Linux's account of this process, in bytes; None on other systems."""
    stated = re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(), flags=re.MULTILINE) if _STATUS.exists() else None
    return int(stated[1]) * 1024 if stated else None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
