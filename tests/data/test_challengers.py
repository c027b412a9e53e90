"""Challenger rows: kept out of what is learned, now and in every later run of a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.lifecycle.world import make_world
from tunewright.base.errors import DataError, RecipeError
from tunewright.base.events import Event, Message
from tunewright.data.dataset import Dataset
from tunewright.data.prepare import prepare
from tunewright.lifecycle.undoing import undo
from tunewright.recipe import load_recipe
from tunewright.store import Workspace

OWN = [("red apple of my own", "red"), ("green cup of my own", "green"), ("blue bird of my own", "blue")]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "ws")


def _rows(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    return path


def _prepare(
    folder: Path,
    workspace: Workspace,
    *,
    own: list[tuple[str, str]] = OWN,
    more: list[tuple[str, str]] | None = None,
    heard: list[Event] | None = None,
    **data: Any,
) -> Dataset:
    recipe = make_world(folder, rows=60, data={"split": {"validation": 5, "test": 10, "minimum_test_rows": 5}, **data})
    if own:
        _rows(folder / "own.csv", own)
    if more:
        with (folder / "rows.csv").open("a", encoding="utf-8") as file:
            file.writelines(f"{text},{label}\n" for text, label in more)
    return prepare(load_recipe(recipe), workspace, listener=(heard if heard is not None else []).append)


def test_they_are_a_part_of_their_own(tmp_path: Path, workspace: Workspace) -> None:
    dataset = _prepare(tmp_path, workspace, challenger="own.csv")
    assert dataset.manifest["splits"] == {"train": 45, "validation": 5, "test": 10, "challenger": 3}
    assert [each.prompt[-1].content for each in dataset.examples("challenger")] == [text for text, _ in OWN]
    assert not {row for row, _ in OWN} & {each.prompt[-1].content for each in dataset.examples("train")}
    (kept,) = workspace.artifacts("challenger")
    assert kept.manifest["rows"] == 3


def test_in_train_they_are_refused_whatever_else_is_reported(tmp_path: Path, workspace: Workspace) -> None:
    for policy in ("refuse", "report"):
        with pytest.raises(DataError, match="1 challenger rows also stand in the training data") as raised:
            _prepare(tmp_path, workspace, challenger="own.csv", more=[("RED  apple of my own", "red")], leakage=policy)
        assert "'report'" not in raised.value.hint
    assert workspace.artifacts("dataset") == []


def test_or_dropped_where_the_recipe_says_so(tmp_path: Path, workspace: Workspace) -> None:
    dataset = _prepare(
        tmp_path, workspace, challenger="own.csv", more=[("RED  apple of my own", "red")], leakage="drop"
    )
    learned = dataset.examples("train") + dataset.examples("validation") + dataset.examples("test")
    assert not any("of my own" in each.prompt[-1].content.lower() for each in dataset.examples("train"))
    assert len(learned) in (60, 61)  # 61 where the row was drawn for the test, which may hold it


def test_a_later_run_of_the_workspace_is_told_and_drops_them(tmp_path: Path, workspace: Workspace) -> None:
    _prepare(tmp_path / "first", workspace, challenger="own.csv")
    heard: list[Event] = []
    pulled = [(f"{text.upper()} ", label) for text, label in OWN]
    (tmp_path / "later").mkdir()
    # A test file, so that none of the rows that are pulled in is drawn for the test.
    _rows(tmp_path / "later" / "test.csv", [(f"red thing {row} apart", "red") for row in range(8)])
    dataset = _prepare(tmp_path / "later", workspace, own=[], more=pulled, heard=heard, test="test.csv")
    held = dataset.examples("train") + dataset.examples("validation")
    assert not any("OF MY OWN" in each.prompt[-1].content for each in held)
    assert dataset.manifest["challenger_dropped"] == 3
    told = [event.text for event in heard if isinstance(event, Message) and event.level == "warning"]
    assert "3 rows are in a challenger set of this workspace, and left what is learned." in told
    edits = pl.read_parquet(dataset.path / "edits.parquet").filter(pl.col("step") == "challenger")
    assert edits.height == 3
    assert set(edits["reason"]) == {"is in a challenger set of this workspace"}
    with pytest.raises(DataError, match="which no run of it learns from"):
        undo(dataset.hash, workspace=workspace.root, step="challenger", recipe=tmp_path / "later" / "recipe.yaml")


def test_edits_can_still_be_taken_back(tmp_path: Path, workspace: Workspace) -> None:
    dataset = _prepare(tmp_path, workspace, challenger="own.csv", more=[("red  lamp of theirs", "red")])
    undone = undo(dataset.hash, workspace=workspace.root, step="whitespace", recipe=tmp_path / "recipe.yaml")
    assert undone.dataset.manifest["splits"]["challenger"] == 3
    assert undone.dataset.hash != dataset.hash


def test_another_workspace_knows_nothing_of_them(tmp_path: Path, workspace: Workspace) -> None:
    _prepare(tmp_path / "first", workspace, challenger="own.csv")
    other = Workspace.open(tmp_path / "other")
    assert "challenger_dropped" not in _prepare(tmp_path / "second", other, own=[], more=OWN).manifest


def test_the_same_recipe_again_gives_the_same_dataset(tmp_path: Path, workspace: Workspace) -> None:
    first = _prepare(tmp_path, workspace, challenger="own.csv")
    assert _prepare(tmp_path, workspace, challenger="own.csv").hash == first.hash
    assert len(workspace.artifacts("challenger")) == 1


def test_rows_that_are_replayed_must_not_be_challengers(tmp_path: Path, workspace: Workspace) -> None:
    _rows(tmp_path / "own.csv", OWN)
    data = {"split": {"validation": 5, "test": 10, "minimum_test_rows": 5}, "challenger": "own.csv"}
    general = {"forgetting": {"data": "general.jsonl", "replay": 0.1}}
    recipe = make_world(tmp_path, rows=60, data=data, instead=general)
    (tmp_path / "general.jsonl").write_text('{"prompt": "red apple of my own", "completion": "red"}\n')
    with pytest.raises(DataError, match="also stand among the general rows"):
        prepare(load_recipe(recipe), workspace)


def test_a_set_that_cannot_be_read_stops_everything(tmp_path: Path, workspace: Workspace) -> None:
    _prepare(tmp_path / "first", workspace, challenger="own.csv")
    (kept,) = workspace.artifacts("challenger")
    (kept.path / "keys.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot be kept out of training"):
        _prepare(tmp_path / "later", workspace, own=[])


def test_documents_have_no_challengers(tmp_path: Path) -> None:
    recipe = make_world(
        tmp_path,
        rows=3,
        instead={"data": {"train": "rows.txt", "challenger": "own.csv"}, "train": {"objective": "cpt"}},
    )
    with pytest.raises(RecipeError, match=r"take .* data\.challenger .* out"):
        load_recipe(recipe)
