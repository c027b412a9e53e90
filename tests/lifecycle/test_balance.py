"""A run whose rows are balanced: told, seen as often as asked, repeated to the bit, and other than a plain one."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from tests.lifecycle.world import COLOURS, write_recipe
from tests.tiny import tiny_folder
from tunewright.base.errors import DataError, RecipeError
from tunewright.base.events import Event, Message, Metrics
from tunewright.lifecycle.job import start
from tunewright.lifecycle.training import train
from tunewright.recipe import load_recipe
from tunewright.store import Workspace


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("balance")
    tiny_folder(place / "base")
    rows = [(f"{COLOURS[n % 2]} thing {n}", COLOURS[n % 2]) for n in range(70)]
    rows += [(f"blue thing {n}", "blue") for n in range(12)]
    with (place / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return place


def _train(folder: Path, workspace: Path, data: dict[str, Any], **changes: Any) -> tuple[str, list[Event], Any]:
    heard: list[Event] = []
    recipe = load_recipe(write_recipe(folder, data=data, **changes))
    with start(recipe, workspace=Workspace.open(workspace), listener=heard.append) as job:
        adapter = train(job)
        return adapter.stored.hash, heard, job.results["tables"]["train"]


def test_a_balanced_run_is_told_repeats_itself_and_learns_something_else(folder: Path, tmp_path: Path) -> None:
    asked = {"balance": {"sampling": "over"}}
    first, heard, table = _train(folder, tmp_path / "one", asked)
    again, _, _ = _train(folder, tmp_path / "two", asked)
    weighed, told, _ = _train(folder, tmp_path / "weighed", {"balance": {"class_weights": "balanced"}})
    assert first == again != weighed
    texts = [event.text for event in heard if isinstance(event, Message) and event.text.startswith("An epoch sees")]
    assert len(texts) == 1
    assert f"of {len(table.ids)} there are" in texts[0]
    # Red, green and blue rows are seen equally often, and an epoch of so many takes so many steps.
    drawn = table.balance.draws.drawn
    assert len(set(drawn)) == 1
    assert f"An epoch sees {sum(drawn)} rows" in texts[0]
    steps = [event for event in heard if isinstance(event, Metrics) and "loss" in event.values]
    assert len(steps) == -(-sum(drawn) // 16)
    assert any("'blue', the rarest" in event.text for event in told if isinstance(event, Message))


def test_what_cannot_be_weighed_is_refused(folder: Path, tmp_path: Path) -> None:
    balanced = {"balance": {"class_weights": "balanced"}}
    with pytest.raises(RecipeError, match="'dpo' compares two of them"):
        load_recipe(write_recipe(folder, data=balanced, instead={"train": {"objective": "dpo"}}))
    objective = {"name": "classify", "class_weights": {"red": 2}}
    with pytest.raises(RecipeError, match="both weigh classes"):
        load_recipe(write_recipe(folder, data=balanced, instead={"train": {"objective": objective}}))
    with pytest.raises(RecipeError, match="blocks of several documents"):
        load_recipe(
            write_recipe(
                folder,
                data={"mix": {"temperature": 2}, "template": None},
                instead={"train": {"objective": "cpt", "best": "loss"}},
            )
        )
    with pytest.raises(RecipeError, match=r"under data\.test has a weight"):
        load_recipe(write_recipe(folder, data={"test": {"path": "rows.csv", "weight": 2}}))
    with pytest.raises(RecipeError, match="take one of them out"):
        load_recipe(write_recipe(folder, data={"balance": {"sampling": "over", "ratio": 0.5, "temperature": 2}}))
    with pytest.raises(RecipeError, match="are about sampling"):
        load_recipe(write_recipe(folder, data={"balance": {"ratio": 0.5}}))
    split = {"validation": 12, "test": 24, "minimum_test_rows": 20, "by": {"group": "a", "time": "b"}}
    with pytest.raises(RecipeError, match="by 'group' or by 'time'"):
        load_recipe(write_recipe(folder, data={"split": split}))


def test_rows_without_classes_are_refused_before_the_first_step(folder: Path, tmp_path: Path) -> None:
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *((f"q {n}", f"a whole answer {n}") for n in range(100))])
    data = {"train": str(tmp_path / "rows.csv"), "balance": {"sampling": "under"}}
    heard: list[Event] = []
    recipe = load_recipe(write_recipe(folder, data=data))
    with (
        pytest.raises(DataError, match="no class to be balanced by"),
        start(recipe, workspace=Workspace.open(tmp_path / "ws"), listener=heard.append) as job,
    ):
        train(job)
    assert not any(isinstance(event, Metrics) for event in heard)
