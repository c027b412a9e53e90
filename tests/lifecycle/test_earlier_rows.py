"""Test rows that an adapter has learned from before: found behind it, however far back, and never passed over."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.lifecycle.world import make_world, write_recipe
from tunewright.base.errors import DataError
from tunewright.base.events import Event, Message
from tunewright.data.dataset import Dataset
from tunewright.lifecycle.earlier_rows import check_unseen
from tunewright.lifecycle.job import start
from tunewright.lifecycle.preparing import prepare
from tunewright.store import Stored, Workspace


@pytest.fixture
def world(tmp_path: Path) -> Path:
    make_world(tmp_path, rows=120)
    return tmp_path


@pytest.fixture
def workspace(world: Path) -> Workspace:
    return Workspace.open(world / "ws")


def made_adapter(workspace: Workspace, *parents: str) -> Stored:
    """An adapter that comes from these; nothing looks into it."""
    content = "".join(parents)
    return workspace.put(
        "adapter", lambda folder: (folder / "weights").write_text(content), manifest={}, parents=list(parents)
    )


def prepared(world: Path, workspace: Workspace, **changes: Any) -> Dataset:
    with start(write_recipe(world, **changes), workspace=workspace, kind="prepare") as job:
        return prepare(job)


def looked(world: Path, workspace: Workspace, adapter: Stored, **data: Any) -> list[str]:
    """What is told of another split of the same rows, which the adapter is to be measured on."""
    heard: list[Event] = []
    recipe = write_recipe(world, seed=99, data=data)
    with start(recipe, workspace=workspace, kind="prepare", listener=heard.append) as job:
        check_unseen(job, prepare(job), adapter)
    return [event.text for event in heard if isinstance(event, Message) and event.level == "warning"]


@pytest.mark.parametrize("between", [0, 2])
def test_they_are_refused_with_a_way_out(world: Path, workspace: Workspace, between: int) -> None:
    first = prepared(world, workspace)
    adapter = made_adapter(workspace, first.hash)
    for other in range(between):  # adapters that went on from it with other rows
        write_colours(world / f"{other}.csv", [f"thing {other}{row}" for row in range(60)])
        further = prepared(world, workspace, data={"train": f"{other}.csv"})
        adapter = made_adapter(workspace, further.hash, adapter.hash)
    with pytest.raises(DataError) as refused:
        looked(world, workspace, adapter)
    trained, held = set(first.table("train")["id"]), 24
    assert 0 < int(refused.value.what.split()[0]) <= held < len(trained)
    assert f"data.parts_of: {first.hash[:12]}" in refused.value.hint
    assert looked(world, workspace, adapter, parts_of=first.hash) == [], "rows keep the part that they had"


def test_a_recipe_may_ask_to_be_told_of_them_alone(world: Path, workspace: Workspace) -> None:
    adapter = made_adapter(workspace, prepared(world, workspace).hash)
    (told,) = looked(world, workspace, adapter, leakage="report")
    assert told.endswith("scores on them say what it remembers.")


def test_rows_that_are_gone_are_told_of(world: Path, workspace: Workspace) -> None:
    first = prepared(world, workspace)
    adapter = made_adapter(workspace, first.hash)
    shutil.rmtree(first.path)
    (told,) = looked(world, workspace, adapter)
    assert told.startswith(f"The dataset {first.hash[:12]}, which the adapter has learned from, is gone")


def write_colours(path: Path, texts: Sequence[str]) -> None:
    rows = [f"{text},{'red' if row % 2 else 'blue'}\n" for row, text in enumerate(texts)]
    path.write_text("text,label\n" + "".join(rows))
