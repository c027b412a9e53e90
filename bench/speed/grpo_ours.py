"""Our side of bench/grpo.py: the product's own training loop on the case's prompts.

python -m speed.grpo_ours CASE.json OUT.json
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from tunewright.base import events
from tunewright.base.files import read_json, write_json
from tunewright.base.quiet import quiet
from tunewright.data.example import Example, Message
from tunewright.data.tokens import tokenize
from tunewright.models.base import load_base
from tunewright.models.resolve import resolve
from tunewright.recipe import recipe_from_mapping
from tunewright.train import train
from tunewright.train.rollouts import Answered, Reward


def letters(answered: Sequence[Answered]) -> list[Reward]:
    """The share of lower-case letters: as cheap on both sides."""
    return [Reward(sum(map(str.islower, each.text)) / max(1, len(each.text))) for each in answered]


def main(case_file: Path, out: Path) -> None:
    """Trains, and writes what each step took."""
    case = read_json(case_file)
    torch.set_num_threads(case["threads"])
    recipe = recipe_from_mapping(
        {
            "name": "grpo",
            "goal": "Measure the speed of reinforcement.",
            "base": case["base_folder"],
            "seed": case["seed"],
            "data": {"train": "unused.jsonl", "format": "prompts", "max_length": 2048},
            "method": {"name": "lora", "rank": 16},
            "train": {
                "objective": {
                    "name": "grpo",
                    "answers": case["answers"],
                    "max_new_tokens": case["max_new_tokens"],
                    "beta": case["beta"],
                },
                "batch_size": case["batch_size"],
                "epochs": 1,
                "learning_rate": case["learning_rate"],
                "schedule": "constant",
                "dtype": "float32",
                "best": "last",
                "checkpoint_every_s": 1e9,
            },
        }
    )
    ends: list[float] = []
    told: list[dict[str, float]] = []
    began_s = 0.0

    def hear(event: events.Event) -> None:
        nonlocal began_s
        if isinstance(event, events.Stage) and event.name == "train" and event.status == "started":
            began_s = time.monotonic()
        if isinstance(event, events.Metrics) and "loss" in event.values:
            ends.append(time.monotonic() - began_s)
            told.append(event.values)

    with quiet():
        base = load_base(resolve(case["base_folder"], cache=out.parent), dtype="float32")
        rows = (
            Example(f"{row}", (*(Message(**turn) for turn in turns), Message("assistant", "")), {}, "bench", row + 1)
            for row, turns in enumerate(case["prompts"])
        )
        table = tokenize(rows, base.chat, key="grpo", cache=out.parent / "tokens", max_length=2048)
        train(base, {"train": table}, recipe, folder=out.parent / "run", rewards=letters, listener=hear)
    names = ("answer_tokens", "reward", "nodes", "tokens")
    write_json(out, {"step_end_s": ends, **{name: [each[name] for each in told] for name in names}})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
