"""Everything both sides share, written once: rows in tokens and their order, the initial adapter, the model's place.

A process of bench/sft.py: python -m speed.prepare CASE.json
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import Any

from speed import rows
from speed.processes import BENCH
from speed.works import BATCH_SIZE, WORKS, Work
from tunewright.base.files import read_json, write_json
from tunewright.base.plugins import METHODS
from tunewright.base.quiet import quiet
from tunewright.base.seeds import derive
from tunewright.data.example import Example
from tunewright.data.tokens import TokenTable, tokenize
from tunewright.models.adapters import save_adapter
from tunewright.models.base import Base, load_base
from tunewright.models.resolve import resolve
from tunewright.recipe import Recipe, recipe_from_mapping
from tunewright.store import Workspace
from tunewright.train.schedule import Order

MAX_LENGTH = 1024


def main() -> None:
    """Reads the case (work, data, steps, seed) and adds what it found out."""
    file = Path(sys.argv[1])
    # The product's own place for models: $TUNEWRIGHT_CACHE, else the workspace's.
    workspace = Workspace.open(os.environ.get("TUNEWRIGHT_HOME") or BENCH.parent / ".tunewright")
    case = {**read_json(file), "cache": str(workspace.cache)}
    folder, work = file.parent, WORKS[case["work"]]
    recipe = recipe_from_mapping(work.recipe(case))
    with quiet():
        base = load_base(resolve(recipe.base, Path(case["cache"])))
        table = table_of(case, base, draw(work, Path(case["data"]), case["steps"], case["seed"]))
        if work.method["name"] != "full":
            write_initial_adapter(base, recipe, folder / "initial")
    order = Order(len(table), BATCH_SIZE, 1.0, recipe.seed)
    steps = [[row_of(table, row) for row in order.of_step(step)] for step in range(order.steps)]
    rows.write(folder / "plan.jsonl", steps)
    write_json(
        file,
        {
            **case,
            "objective": recipe.train.objective.plugin,
            "beta": getattr(recipe.train.objective, "beta", None),
            "batch_size": recipe.train.batch_size,
            "peer_at_once": work.peer_at_once,
            "weight_decay": recipe.train.weight_decay,
            "clip_norm": recipe.train.clip_norm,
            "model_folder": str(base.files.folder),
            "weights_hash": base.files.weights_hash,
            "pad_token": int(base.tokenizer.pad_token_id),
            "rows": len(table),
            "steps": order.steps,
            **sizes(base.model),
        },
    )


def draw(work: Work, data: Path, steps: int, seed: int) -> list[Example]:
    """Rows for so many steps, drawn with the seed; 0 steps: all of them, one epoch."""
    examples = list(work.examples(data / work.file))
    if not steps:
        return examples
    chosen = random.Random(derive(seed, "bench", work.name)).sample(range(len(examples)), len(examples))
    return [examples[place] for place in sorted(chosen[: steps * BATCH_SIZE])]


def table_of(case: dict[str, Any], base: Base, examples: list[Example]) -> TokenTable:
    """The rows in tokens; the case's key finds them again, and then no examples are needed."""
    key = f"{case['work']}/{case['steps']}/{case['seed']}"
    cache = Path(case["tokens"])
    return tokenize(examples, base.chat, key=key, cache=cache, max_length=MAX_LENGTH, too_long="error")


def row_of(table: TokenTable, index: int) -> rows.Row:
    """A row as both sides are to see it.

    Raises:
        ValueError: If a token's weight is neither 0 nor 1, which the peer could not do.
    """
    found = []
    for sequence in table.row(index).sequences:
        if not set(sequence.weights.tolist()) <= {0.0, 1.0}:
            raise ValueError(f"row {table.ids[index]} has weights other than 0 and 1")
        found.append(rows.trimmed(sequence.tokens.tolist(), sequence.weights.astype(int).tolist()))
    return found


def write_initial_adapter(base: Base, recipe: Recipe, folder: Path) -> None:
    """The adapter that both sides start from, as PEFT writes it: A random, B zero, as LoRA begins."""
    method = recipe.method
    model = METHODS.call(method.plugin, "attach", base.model, method, derive(recipe.seed, "adapter"))
    folder.mkdir()
    save_adapter(model, folder, method=method, base=base.files, chat_fingerprint=base.chat.fingerprint)


def sizes(model: Any) -> dict[str, int]:
    """Weights of the base: those of its layers, and the shape of its head."""
    head = model.get_output_embeddings().weight
    outside = {id(head): head.numel()}
    embedding = model.get_input_embeddings().weight
    outside[id(embedding)] = embedding.numel()
    every = {id(weight): weight.numel() for name, weight in model.named_parameters() if "lora_" not in name}
    layers = sum(count for key, count in every.items() if key not in outside)
    return {"layer_weights": layers, "vocabulary": head.shape[0], "width": head.shape[1]}


if __name__ == "__main__":
    main()
