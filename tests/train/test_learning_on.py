"""An adapter that learns on: the run begins where the one before it ended, and that is what it is held against."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.train import test_classes as classes
from tests.train.made import interrupted_and_resumed, made_base, made_recipe, made_tables
from tests.train.test_dpo import made_pairs, tables
from tunewright.base import events
from tunewright.base.errors import ModelError
from tunewright.base.files import hash_folder
from tunewright.train import train

root = classes.root
HASH = "a" * 64


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("first")


@pytest.fixture(scope="module")
def first(place: Path) -> Any:
    """A run that has learned something."""
    base = made_base(place / "tiny")
    return train(base, made_tables(base, place / "cache"), made_recipe(epochs=2, best="last"), folder=place / "run")


def on(place: Path, folder: Path, first: Any, recipe: Any, *, pairs: bool = False, **options: Any) -> Any:
    base = made_base(place / "tiny")
    found = tables(base, place, made_pairs(64)) if pairs else made_tables(base, place / "cache")
    recipe = recipe.model_copy(update={"adapter": HASH})
    return train(base, found, recipe, folder=folder, adapter=first.adapter, **options)


def test_it_begins_where_the_one_before_ended(place: Path, first: Any, tmp_path: Path) -> None:
    # Validated before anything can have moved: the rate is as good as zero.
    recipe = made_recipe(epochs=1, learning_rate=1e-30, validate_every=1.0, best="last")
    held_out = on(place, tmp_path, first, recipe).progress.validation[0][1]
    assert held_out == pytest.approx(first.progress.validation[-1][1], rel=1e-6)
    fresh = made_base(place / "tiny")
    alone = train(fresh, made_tables(fresh, place / "cache"), recipe, folder=tmp_path / "fresh")
    assert alone.progress.validation[0][1] > 2 * held_out


def test_pairs_are_held_against_what_it_was(place: Path, first: Any, tmp_path: Path) -> None:
    recipe = made_recipe(objective={"name": "dpo", "beta": 0.5}, epochs=1, learning_rate=3e-3, best="last")
    heard: list[events.Event] = []
    whole = on(place, tmp_path / "whole", first, recipe, pairs=True, listener=heard.append)
    steps = [event.values for event in heard if isinstance(event, events.Metrics) and "margin" in event.values]
    assert steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert steps[0]["margin"] == pytest.approx(0, abs=1e-6)
    assert steps[-1]["margin"] > 0.1

    def work(folder: Path, **options: Any) -> Any:
        return on(place, folder, first, recipe, pairs=True, **options)

    again = interrupted_and_resumed(work, tmp_path / "parts", step=4)
    assert again.progress == whole.progress
    assert hash_folder(again.adapter) == hash_folder(whole.adapter)


def test_a_head_learns_on_with_the_same_classes_and_no_others(root: Path, tmp_path: Path) -> None:
    recipe = made_recipe(objective="classify", epochs=2, best="last")
    base = classes.made_base(root)
    before = train(base, classes.made_tables(base, root / "cache"), recipe, folder=tmp_path / "before")

    def go_on(folder: Path, *colours: str) -> Any:
        base = classes.made_base(root)
        found = classes.made_tables(base, root / "cache", colours)
        still = made_recipe(objective="classify", epochs=1, learning_rate=1e-30, validate_every=1.0, best="last")
        return train(base, found, still, folder=folder, adapter=before.adapter)

    after = go_on(tmp_path / "after", *classes.COLOURS)
    assert after.progress.validation[0][1] == pytest.approx(before.progress.validation[-1][1], rel=1e-6)
    with pytest.raises(
        ModelError, match=r"tells 3 classes apart, and the rows have 3 \(pink not among the adapter's\)"
    ):
        go_on(tmp_path / "others", "blue", "pink", "red")
