"""Which runs may begin from each other's checkpoints, and that they go on where those stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.train.made import interrupted_and_resumed, made_base, made_recipe, made_tables
from tunewright.base import events
from tunewright.base.errors import WorkspaceError
from tunewright.base.files import hash_folder
from tunewright.train import checkpoint, train
from tunewright.train.kinship import kin


def found(tables: tuple[str, ...] = ("rows",), weights: str = "base", **changes: Any) -> str:
    return kin(made_recipe(**changes), tables, weights)


def test_what_is_about_the_steps_to_come_may_differ() -> None:
    changes = (
        {"learning_rate": 1e-5},
        {"schedule": "linear"},
        {"clip_norm": 0.1},
        {"patience": 9},
        {"node_budget": 64},
    )
    assert {found(**change) for change in changes} == {found()}


@pytest.mark.parametrize(
    "change",
    [
        {"method": {"name": "lora", "rank": 2}},
        {"forgetting": {"l2": 0.1}},
        {"batch_size": 4},
        {"epochs": 2},
        {"optimiser": "sgd"},
        {"objective": "dpo"},
        {"best": "accuracy"},
        {"tables": ("others",)},
        {"weights": "another"},
    ],
    ids=str,
)
def test_what_the_state_is_made_of_may_not(change: dict[str, Any]) -> None:
    assert found(**change) != found()


def test_a_run_begun_elsewhere_is_resumed_to_the_same_bytes(tmp_path: Path) -> None:
    def work(folder: Path, rate: float = 0.01, rank: int = 4, **options: Any) -> Any:
        base = made_base(tmp_path / "tiny")
        method = {"name": "lora", "rank": rank}
        recipe = made_recipe(method, epochs=1, learning_rate=rate, batch_size=4, checkpoint_every_s=1e-4)
        return train(base, made_tables(base, tmp_path / "cache", rows=32), recipe, folder=folder, **options)

    def stop(event: events.Event) -> None:
        if isinstance(event, events.Metrics) and event.step == 4:
            raise RuntimeError("the machine fails")

    with pytest.raises(RuntimeError, match="the machine fails"):
        work(tmp_path / "first", rate=0.02, listener=stop)
    left = sorted(place.name for place in (tmp_path / "first" / checkpoint.FOLDER).iterdir())
    assert left == ["step-00000002", "step-00000003"]

    def begin(folder: Path, **options: Any) -> Any:
        return work(folder, origin=tmp_path / "first", **options)

    whole = begin(tmp_path / "whole")
    assert [row[0] for row in whole.progress.train] == list(range(1, 9))
    again = interrupted_and_resumed(begin, tmp_path / "parts", step=6)
    assert again.progress == whole.progress
    assert hash_folder(again.adapter) == hash_folder(whole.adapter)
    assert sorted(place.name for place in (tmp_path / "first" / checkpoint.FOLDER).iterdir()) == left

    with pytest.raises(WorkspaceError, match="another method, dataset, base model"):
        work(tmp_path / "other", rank=2, origin=tmp_path / "first")
    with pytest.raises(WorkspaceError, match="no checkpoint to begin from"):
        work(tmp_path / "none", origin=tmp_path / "absent")


def test_checkpoints_that_hold_broken_weights_are_removed(tmp_path: Path) -> None:
    for step in (3, 5):
        checkpoint.save(tmp_path, checkpoint.Progress(step=step), {}, "this run")
    checkpoint.discard(tmp_path, since=5)
    assert [place.name for place in tmp_path.iterdir()] == ["step-00000003"]
    checkpoint.discard(tmp_path, since=4)
    assert checkpoint.newest_good(tmp_path) == tmp_path / "step-00000003"
