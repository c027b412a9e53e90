"""DPO through the one training loop: it starts at log 2, and the margin grows."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from tests.train.made import interrupted_and_resumed, made_base, made_examples, made_recipe
from tunewright.base import events
from tunewright.base.errors import DataError
from tunewright.base.files import hash_folder
from tunewright.data.example import Example
from tunewright.data.tokens import TokenTable, tokenize
from tunewright.models.base import Base
from tunewright.recipe import Recipe
from tunewright.train import train


def made_pairs(rows: int, start: int = 0) -> list[Example]:
    """A letter's case, told rightly, and not told."""
    return [dataclasses.replace(example, rejected="who knows") for example in made_examples(rows, start)]


def tables(base: Base, folder: Path, rows: list[Example]) -> dict[str, TokenTable]:
    return {
        name: tokenize(examples, base.chat, key=f"{name}/{len(examples)}", cache=folder / "cache", max_length=256)
        for name, examples in (("train", rows), ("validation", made_pairs(8, 1000)))
    }


def run(folder: Path, recipe: Recipe, rows: list[Example]) -> tuple[Any, list[dict[str, float]]]:
    base = made_base(folder / "tiny")
    heard: list[events.Event] = []
    trained = train(base, tables(base, folder, rows), recipe, folder=folder / "run", listener=heard.append)
    return trained, [event.values for event in heard if isinstance(event, events.Metrics) and "loss" in event.values]


def test_training_raises_the_margin(tmp_path: Path) -> None:
    objective = {"name": "dpo", "beta": 0.5}
    trained, steps = run(tmp_path, made_recipe(objective=objective, epochs=1), made_pairs(64))
    assert steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert steps[0]["margin"] == pytest.approx(0, abs=1e-6)
    assert steps[-1]["loss"] < 0.1
    assert steps[-1]["margin"] > 2
    assert steps[-1]["preferred"] == 1
    assert trained.progress.best_loss < 0.1  # on rows that it has not seen


def test_micro_batches_do_not_change_the_first_step(tmp_path: Path) -> None:
    found = []
    for budget in (60, 4000):
        # The second step's loss shows the first one's gradient.
        recipe = made_recipe(objective="dpo", epochs=0.25, node_budget=budget)
        trained, _ = run(tmp_path / str(budget), recipe, made_pairs(64))
        found.append(trained.progress.train[1])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_steps_that_hold_a_row_twice_count_it_twice(tmp_path: Path) -> None:
    # Eight rows a step, and there are four: a pair counted once, with twice the margin, would not give the same loss.
    _, steps = run(tmp_path / "twice", made_recipe(objective="dpo", epochs=4), made_pairs(4))
    _, once = run(tmp_path / "once", made_recipe(objective="dpo", epochs=2, batch_size=4), made_pairs(4))
    assert [each["loss"] for each in steps] == pytest.approx([each["loss"] for each in once], rel=1e-4)


def test_rows_with_one_answer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rejected answer"):
        run(tmp_path, made_recipe(objective="dpo"), made_examples(16))


@pytest.mark.parametrize(
    "method",
    [
        pytest.param("full", marks=pytest.mark.long),
        pytest.param({"name": "layers", "last": 1}, marks=pytest.mark.long),
        {"name": "bottleneck", "width": 4},
    ],
)
def test_methods_of_every_kind_have_a_reference_and_resume_to_the_same_bytes(tmp_path: Path, method: Any) -> None:
    recipe = made_recipe(objective="dpo", method=method, epochs=1, learning_rate=3e-3, validate_every=3)
    whole, steps = run(tmp_path, recipe, made_pairs(64))
    assert steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert steps[-1]["margin"] > 0.1

    def work(folder: Path, **options: Any) -> Any:
        base = made_base(tmp_path / "tiny")
        return train(base, tables(base, tmp_path, made_pairs(64)), recipe, folder=folder, **options)

    again = interrupted_and_resumed(work, tmp_path / "parts", step=4)
    assert again.progress == whole.progress
    assert hash_folder(again.adapter) == hash_folder(whole.adapter)
