"""GRPO through the one training loop: what is rewarded becomes more probable, and a resumed run is the same run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.train.made import interrupted_and_resumed, made_base, made_examples, made_recipe, made_tables
from tunewright.base import events
from tunewright.base.errors import DataError, RecipeError
from tunewright.base.files import hash_folder
from tunewright.recipe import Recipe
from tunewright.train import train
from tunewright.train.rollouts import FOLDER, Answered, Reward, Rewards

SMALL = {"name": "grpo", "answers": 4, "max_new_tokens": 6, "beta": 0.0}


def short(answered: Sequence[Answered]) -> list[Reward]:
    """The fewer letters the better."""
    return [Reward(-float(len(each.text))) for each in answered]


def run(
    folder: Path, recipe: Recipe, rewards: Rewards = short, **options: Any
) -> tuple[Any, list[dict[str, float]], list[events.Event]]:
    base = made_base(folder / "tiny")
    heard: list[events.Event] = []
    listener: Callable[[events.Event], None] = options.pop("listener", heard.append)
    tables = options.pop("tables", None) or made_tables(base, folder / "cache", rows=16)
    trained = train(base, tables, recipe, folder=folder / "run", rewards=rewards, listener=listener, **options)
    steps = [each.values for each in heard if isinstance(each, events.Metrics) and "loss" in each.values]
    return trained, steps, heard


def test_what_is_rewarded_becomes_more_probable(tmp_path: Path) -> None:
    trained, steps, heard = run(tmp_path, made_recipe(objective=SMALL, epochs=6, learning_rate=0.02))
    rewards = [each["reward"] for each in steps]
    assert sum(rewards[-3:]) > sum(rewards[:3]) + 3
    assert trained.progress.rewards == [(step, reward) for step, reward in enumerate(rewards, 1)]
    print(rewards, trained.progress.scores, trained.diagnosis)
    for e in steps:
        print(e)
