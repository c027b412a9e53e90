"""Trains several small recipes in a row; started alone, or by torchrun as one of several processes.

python -m tests.train.ranks.worker FOLDER: what each recipe came to is written into `FOLDER/NAME-WORLD/curves.json`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.distributed.tensor import DTensor

from tests.train.made import general_table, made_base, made_examples, made_recipe, made_tables
from tests.train.test_dpo import made_pairs
from tunewright.base import events
from tunewright.base.files import write_json
from tunewright.data.tokens import TokenTable, tokenize
from tunewright.models.base import Base
from tunewright.recipe import Recipe
from tunewright.train import Trained, train
from tunewright.train.ranks.group import Ranks, join, leave
from tunewright.train.rollouts import Answered, Reward


@dataclass
class Case:
    """A recipe and its rows; `stopped` is the step at which Ctrl-C comes, to be resumed from.

    Answers that are drawn are `graded`.
    """

    name: str
    recipe: Recipe
    tables: dict[str, TokenTable]
    base: Base
    scored: bool = False
    graded: bool = False
    stopped: int = 0


def cases(folder: Path) -> Iterator[Case]:
    """What is trained, each on a fresh base."""
    cache = folder / "cache"

    def base() -> Base:
        return made_base(folder / "tiny")

    one = base()
    tables = made_tables(one, cache, rows=32)
    # Pieces of a row or two, dealt unevenly; the last step is short.
    yield Case("sft", made_recipe(epochs=1, batch_size=5, node_budget=40, label_smoothing=0.1), tables, one)
    # One row a step, so that all but the first process have nothing to do; stops early.
    few = {"train": tokenize(made_examples(6), one.chat, key="six", cache=cache, max_length=256)}
    stopping = {"epochs": 9, "validate_every": 2, "patience": 1, "learning_rate": 0.3, "clip_norm": 100.0}
    yield Case("idle", made_recipe(batch_size=1, **stopping), few | {"validation": tables["validation"]}, base())
    pairs = {
        name: tokenize(rows, one.chat, key=f"pairs/{name}", cache=cache, max_length=256)
        for name, rows in (("train", made_pairs(24)), ("validation", made_pairs(8, 1000)))
    }
    yield Case("dpo", made_recipe(objective={"name": "dpo", "beta": 0.5}, epochs=1), pairs, base())
    # Dropout draws other numbers in each process: what is interrupted and resumed must draw them again.
    dropping = made_recipe({"name": "lora", "rank": 4, "dropout": 0.3}, epochs=1)
    yield Case("whole", dropping, tables, base())
    yield Case("resumed", dropping, tables, base(), stopped=2)
    # Each process holds half of the layers; those of `idle` compute as often as the others, for nothing.
    sharing = {"sharding": "full", "epochs": 1, "validate_every": 2}
    yield Case(
        "sharded",
        made_recipe(batch_size=1, node_budget=40, **sharing),
        few | {"validation": tables["validation"]},
        base(),
    )
    yield Case("sharded-dpo", made_recipe(objective={"name": "dpo", "beta": 0.5}, **sharing), pairs, base())
    full = made_recipe("full", batch_size=5, weight_decay=0.1, **sharing | {"learning_rate": 0.002})
    yield Case("sharded-full", full, tables, base())
    yield Case("sharded-resumed", full, tables, base(), stopped=2)
    # Three rows a step: one process draws the answers to two of them.
    drawing = {"objective": {"name": "grpo", "answers": 4, "max_new_tokens": 6, "beta": 0.1}, "epochs": 1}
    yield Case(
        "grpo",
        made_recipe(batch_size=3, validate_every=1, **drawing),
        few | {"validation": tables["validation"]},
        base(),
        graded=True,
    )
    general = {"data": "unused.jsonl", "replay": 0.2, "l2": 0.01, "ewc": 0.5, "fisher_rows": 4}
    yield Case(
        "replay",
        made_recipe(forgetting=general, epochs=0.5, neftune_alpha=0.0, best="score"),
        tables | {"general": general_table(one, cache)},
        base(),
        scored=True,
    )


def held(model: Any) -> float:
    """The share of a model's layers that this process holds."""
    inside = [weight for weight in model.model.layers.parameters() if not weight.requires_grad]
    here = [weight.to_local() if isinstance(weight, DTensor) else weight for weight in inside]
    return sum(each.numel() for each in here) / max(1, sum(each.numel() for each in inside))


def work(case: Case, folder: Path, ranks: Ranks) -> None:
    """Trains a case, and writes what it came to; every process writes a file of its own."""
    if case.stopped:

        def stop(event: events.Event) -> None:
            at_step = isinstance(event, events.Metrics) and event.step == case.stopped and "loss" in event.values
            if at_step and ranks.is_first:
                os.kill(os.getpid(), signal.SIGINT)

        with contextlib.suppress(KeyboardInterrupt):
            _train(case, folder, ranks, stop)
            raise AssertionError("the interrupt was not agreed on")
        case.base = made_base(folder / "tiny")
    heard: list[events.Event] = []
    trained = _train(case, folder, ranks, heard.append, resume=bool(case.stopped))
    progress = trained.progress
    told = [event.values for event in heard if isinstance(event, events.Metrics) and "loss" in event.values]
    write_json(
        folder / f"{case.name}-{ranks.world}" / f"curves-{ranks.rank}.json",
        {
            "train": progress.train,
            "validation": progress.validation,
            "scores": progress.scores,
            "rewards": progress.rewards,
            "best": [progress.best_step, progress.best_loss],
            "stopped": trained.stopped_early,
            "diagnosis": str(trained.diagnosis),
            "held": held(case.base.model),
            "told": [{key: step[key] for key in step if key != "examples_per_s"} for step in told],
        },
    )


def _train(case: Case, folder: Path, ranks: Ranks, listener: events.Listener, *, resume: bool = False) -> Trained:
    asked = iter(range(1, 100))

    def validate(model: Any) -> dict[str, float]:
        assert ranks.is_first
        return {"score": float(next(asked))}

    def grade(answered: Sequence[Answered]) -> list[Reward]:
        assert ranks.is_first
        return [Reward(sum(letter.islower() for letter in each.text)) for each in answered]

    return train(
        case.base,
        case.tables,
        case.recipe,
        folder=folder / f"{case.name}-{ranks.world}",
        resume=resume,
        validate=validate if case.scored else None,
        rewards=grade if case.graded else None,
        listener=listener,
        ranks=ranks,
    )


def main(folder: Path) -> None:
    """Trains all cases."""
    ranks = join()
    for case in cases(folder):
        work(case, folder, ranks)
    leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
