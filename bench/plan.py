"""How far the plan's account of memory is from what training takes: one worst-length step a recipe, each in a fresh
process, on the embedded model and on models of other shapes that are made on the spot. The last four were looked at
for the first time when the account stood.

python bench/plan.py --json
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.data.tokens import TokenTable
from tunewright.plan.bases import base_size
from tunewright.plan.devices import this_machine
from tunewright.plan.measure import measure_step
from tunewright.plan.predict import Forecast
from tunewright.plan.rows import Found
from tunewright.recipe import recipe_from_mapping

EMBEDDED = "smollm2-135m-instruct"
BAR = 0.10
_IDS = 250  # every vocabulary has so many


@dataclass(frozen=True)
class Case:
    """One recipe, and the rows it meets.

    Args:
        base: The embedded model, or the shape of one to make.
        rows: Rows of a step, of 80 to 100 % of `length` tokens, the first `shared` of them alike.
        learned: Tokens learned of each row, its last ones.
    """

    name: str
    base: str | dict[str, int]
    rows: int
    length: int
    shared: int
    learned: int
    method: dict[str, Any] = field(default_factory=lambda: {"name": "lora", "rank": 16})
    train: dict[str, Any] = field(default_factory=dict)
    held_out: bool = False


WIDE = {
    "vocab_size": 32_000,
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 6,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
}
DEEP = {
    "vocab_size": 1000,
    "hidden_size": 256,
    "intermediate_size": 688,
    "num_hidden_layers": 24,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
}
MIDDLING = {
    "vocab_size": 16_000,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_key_value_heads": 12,
}

CASES = (
    Case("chat rows with one prompt, rank 16", EMBEDDED, 16, 60, 40, 10),
    Case("few rows, rank 64", EMBEDDED, 4, 80, 20, 10, {"name": "lora", "rank": 64}),
    Case("long rows that share little", EMBEDDED, 4, 300, 10, 150, {"name": "lora", "rank": 8}),
    Case("a step cut into pieces", EMBEDDED, 16, 100, 10, 20, train={"node_budget": 400}),
    Case("full training", EMBEDDED, 8, 60, 30, 10, {"name": "full"}),
    Case("wide model, bfloat16", WIDE, 8, 100, 30, 20, train={"dtype": "bfloat16"}),
    Case("wide model, QLoRA", WIDE, 8, 100, 30, 20, {"name": "qlora", "rank": 16}),
    Case("deep model, small vocabulary", DEEP, 16, 120, 20, 20),
    Case("blocks computed again", EMBEDDED, 8, 120, 20, 20, train={"checkpointing": "layers"}),
    Case("held out: long answers, rank 32", EMBEDDED, 8, 200, 60, 120, {"name": "lora", "rank": 32}, held_out=True),
    Case("held out: full, middling model", MIDDLING, 8, 90, 20, 40, {"name": "full"}, held_out=True),
    Case("held out: middling model, two pieces", MIDDLING, 8, 130, 20, 30, train={"node_budget": 600}, held_out=True),
    Case("held out: rsLoRA with dropout", MIDDLING, 6, 100, 40, 20,
         {"name": "rslora", "rank": 8, "dropout": 0.05}, held_out=True),
)  # fmt: skip


def main() -> None:
    """Measures each recipe, and prints a table or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", default="", help="recipes whose name holds this")
    parser.add_argument("--cache", type=Path, help="where the embedded model lies; default: the workspace's")
    options = parser.parse_args()
    chosen = [case for case in CASES if options.only in case.name]
    found = []
    for line in measured(chosen, options.cache or _cache()):
        found.append(line)
        if not options.json:
            sizes = (
                f"{line['predicted_bytes'] / 1e9:6.2f} GB predicted, {line['measured_bytes'] / 1e9:6.2f} GB measured"
            )
            print(f"{line['name']:40} {sizes}  {line['error']:+7.1%}", flush=True)
    worst = max(abs(line["error"]) for line in found)
    if options.json:
        print(json.dumps({"worst_error": worst, "recipes": found}, indent=2))
    else:
        print(f"worst error: {worst:.1%} (bar: {BAR:.0%})")


def measured(cases: list[Case], cache: Path) -> Iterator[dict[str, Any]]:
    """Predicts and measures recipes, one after another."""
    device = this_machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in cases:
            base = case.base if isinstance(case.base, str) else str(made_base(folder, case.base))
            recipe = recipe_from_mapping(
                {
                    "name": "bench",
                    "goal": "Measure.",
                    "base": base,
                    "data": {"train": "unused.jsonl"},
                    "method": case.method,
                    "train": {"batch_size": case.rows, "dtype": "float32", **case.train},
                }
            )
            tables = {"train": made_rows(case, folder), "validation": made_rows(case, folder)}
            forecast = Forecast(recipe, base_size(base, cache), device, Found("made", tables=tables))
            work = forecast.work(recipe)
            predicted = forecast.memory(recipe, work.worst)
            step = measure_step(recipe, work, tables, cache)
            yield {
                "name": case.name,
                "predicted_bytes": predicted.total,
                "measured_bytes": step.peak_bytes,
                "error": predicted.total / step.peak_bytes - 1,
                "held_out": case.held_out,
                "nodes": step.nodes,
                "step_s": step.step_s,
                "causes": predicted.causes(),
            }


def made_rows(case: Case, folder: Path) -> TokenTable:
    """Rows of drawn tokens with a common beginning."""
    dice = np.random.default_rng(0)
    lengths = dice.integers(int(0.8 * case.length), case.length + 1, case.rows)
    lengths[0] = case.length
    common = dice.integers(3, _IDS, case.shared)
    rows = [np.r_[common, dice.integers(3, _IDS, length - case.shared)] for length in lengths]
    weights = [np.r_[np.zeros(length - case.learned), np.ones(case.learned)] for length in lengths]
    return TokenTable(
        folder,
        tuple(f"row-{row}" for row in range(case.rows)),
        np.cumsum([0, *lengths]),
        {},
        np.concatenate(rows).astype(np.int32),
        np.concatenate(weights).astype(np.float32),
    )


def made_base(folder: Path, shape: dict[str, int]) -> Path:
    """A Llama of a shape with drawn weights, and a tokenizer of single bytes."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from tunewright.base.quiet import quiet

    place = folder / "-".join(map(str, shape.values()))
    if place.exists():
        return place
    alphabet = ["<|im_end|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    backend = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(alphabet)}, merges=[]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|im_end|>")
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }}:{{ m['content'] }}<|im_end|>{% endfor %}"
    with quiet():
        LlamaForCausalLM(LlamaConfig(**shape, tie_word_embeddings=True)).save_pretrained(place)
        tokenizer.save_pretrained(place)
    return place


def _cache() -> Path:
    from tunewright.store import Workspace

    return Workspace.open().cache


if __name__ == "__main__":
    main()
