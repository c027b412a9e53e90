"""Adapters of epochs' ends, kept beside the last one; and the last weights taken, whatever the validation says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.train.made import made_base, made_recipe, made_tables
from tunewright.base import events
from tunewright.base.errors import RecipeError
from tunewright.base.files import hash_folder
from tunewright.train import train
from tunewright.train.trained import kept_adapters


def test_the_last_epochs_are_kept_and_the_last_weights_taken(tmp_path: Path) -> None:
    base = made_base(tmp_path / "tiny")
    tables = made_tables(base, tmp_path / "cache", rows=16)
    heard: list[events.Event] = []
    # So high a rate makes the validation worse, which `last` does not mind.
    settings = {"epochs": 4, "learning_rate": 3.0, "clip_norm": 100.0, "patience": 1, "validate_every": 1}
    recipe = made_recipe(**settings, best="last", keep_epochs=2)
    trained = train(base, tables, recipe, folder=tmp_path / "run", listener=heard.append)
    assert trained.steps == trained.progress.step == 8
    assert not trained.stopped_early
    kept = kept_adapters(tmp_path / "run")
    assert list(kept) == [6, 8]
    assert hash_folder(kept[8]) == hash_folder(trained.adapter) != hash_folder(kept[6])
    metrics = [event for event in heard if isinstance(event, events.Metrics)]
    assert {event.step for event in metrics if "validation_token_accuracy" in event.values} == set(range(1, 9))
    assert all(0 <= event.values["token_accuracy"] <= 1 for event in metrics if "loss" in event.values)
    rows = [tables["train"].row(row).sequences for row in range(16)]
    assert trained.progress.tokens == 4 * sum(len(each.tokens) for row in rows for each in row)


def test_a_score_still_needs_someone_who_measures_it(tmp_path: Path) -> None:
    base = made_base(tmp_path / "tiny")
    tables = made_tables(base, tmp_path / "cache", rows=8)
    with pytest.raises(RecipeError, match="Nothing measures 'accuracy'"):
        train(base, tables, made_recipe(best="accuracy"), folder=tmp_path / "run")
