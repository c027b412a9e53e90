"""Our side: the product's own training loop on the case's rows. A process of bench/sft.py.

python -m speed.ours CASE.json OUT_PREFIX COMPILE
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from speed import rows
from speed.prepare import row_of, table_of
from speed.works import WORKS
from tunewright.base import events
from tunewright.base.files import read_json, write_json
from tunewright.base.quiet import quiet
from tunewright.data.tokens import TokenTable
from tunewright.models.base import load_base, pick_dtype
from tunewright.models.resolve import resolve
from tunewright.recipe import recipe_from_mapping
from tunewright.train import train


@dataclass(frozen=True)
class WatchedTable(TokenTable):
    """A token table that notes which rows are asked for."""

    asked: list[int] = field(default_factory=list)

    def tokens(self, index: int) -> Any:
        self.asked.append(index)
        return super().tokens(index)

    @classmethod
    def of(cls, table: TokenTable) -> WatchedTable:
        """The same table, watched."""
        return cls(**{each.name: getattr(table, each.name) for each in fields(table)})

    def since_last_time(self) -> list[int]:
        """Distinct rows asked for since this was last called, in order."""
        found = list(dict.fromkeys(self.asked))
        self.asked.clear()
        return found


class Watch:
    """Listens to the loop: puts the initial adapter in at its start, then notes each step."""

    def __init__(self, model: Any, table: WatchedTable, initial: Path | None) -> None:
        self._model, self._table, self._initial = model, table, initial
        self.began_s = 0.0
        self.step_end_s: list[float] = []
        self.values: list[dict[str, float]] = []
        self.rows: list[list[int]] = []

    def __call__(self, event: events.Event) -> None:
        if isinstance(event, events.Stage) and event.name == "train" and event.status == "started":
            if self._initial is not None:
                load_initial(self._model, self._initial)
            self._table.since_last_time()
            self.began_s = time.monotonic()
        if isinstance(event, events.Metrics) and event.stage == "train" and "loss" in event.values:
            self.step_end_s.append(time.monotonic() - self.began_s)
            self.values.append(event.values)
            self.rows.append(self._table.since_last_time())


@torch.no_grad()
def load_initial(model: Any, folder: Path) -> None:
    """Copies the initial adapter's weights into the model that the loop has wrapped.

    Raises:
        ValueError: If the file and the trainable weights are not the same tensors.
    """
    from safetensors.torch import load_file

    given = load_file(folder / "adapter_model.safetensors")
    waiting = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    for name, value in given.items():
        inner = name.removeprefix("base_model.model.").removesuffix(".weight")
        waiting.pop(f"{inner}.default.weight").copy_(value)
    if waiting:
        raise ValueError(f"the initial adapter lacks {len(waiting)} trained weights, such as {next(iter(waiting))}")


def main() -> None:
    """Trains, and writes OUT_PREFIX.json (times, losses) and OUT_PREFIX.seen.jsonl (what it learned from)."""
    started = time.monotonic()
    file, out = Path(sys.argv[1]), sys.argv[2]
    case = read_json(file)
    torch.set_num_threads(case["threads"])
    device = torch.device(case["device"])
    told = WORKS[case["work"]].recipe(case)
    recipe = recipe_from_mapping({**told, "train": {**told["train"], "compile": sys.argv[3]}})
    initial = file.parent / "initial"
    with quiet():
        dtype = pick_dtype(recipe.train.dtype, case["device"])
        base = load_base(resolve(recipe.base, Path(case["cache"])), dtype, device=case["device"])
        table = WatchedTable.of(table_of(case, base, []))
        watch = Watch(base.model, table, initial if initial.exists() else None)
        loaded = time.monotonic()
        train(base, {"train": table}, recipe, folder=Path(f"{out}.run"), listener=watch)
    ended = time.monotonic()
    rows.write(Path(f"{out}.seen.jsonl"), ([row_of(table, row) for row in step] for step in watch.rows))
    write_json(
        Path(f"{out}.json"),
        {
            "dtype": dtype,
            "step_end_s": watch.step_end_s,
            "losses": [values["loss"] for values in watch.values],
            "learning_rates": [values["learning_rate"] for values in watch.values],
            "nodes": [values["nodes"] for values in watch.values],
            "load_s": loaded - started,
            "run_s": ended - loaded,
            "device_peak_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0,
            "version": f"torch {torch.__version__}",
        },
    )


if __name__ == "__main__":
    main()
