"""A run's stages are done once, and how it ends is on record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.lifecycle.world import write_recipe, write_rows
from tunewright.base.errors import DiskFullError, WorkspaceError
from tunewright.base.events import Event, Message, Stage
from tunewright.lifecycle.job import Job, RunInterrupted, start, within
from tunewright.recipe import Recipe, load_recipe
from tunewright.store import Workspace


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    write_rows(tmp_path / "rows.csv", 30)
    return load_recipe(write_recipe(tmp_path))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "ws")


def count(job: Job, calls: list[str]) -> int:
    """A stage that counts how often it is really done."""

    def work() -> tuple[int, Mapping[str, Any]]:
        calls.append("done")
        return 42, {"answer": 42}

    return job.stage("count", work, lambda record: int(record["answer"]))


def test_a_stage_is_done_once_and_read_back_when_resumed(recipe: Recipe, workspace: Workspace) -> None:
    calls: list[str] = []
    ended: list[tuple[str, Any]] = []
    with start(recipe, workspace=workspace, stage_done=lambda *done: ended.append(done)) as job:
        assert [count(job, calls), count(job, calls)] == [42, 42]
        assert job.record("count")["seconds"] >= 0
        assert job.record("count")["peak_memory_bytes"] > 1_000_000
    with start(recipe, workspace=workspace, resume="latest", stage_done=lambda *done: ended.append(done)) as again:
        assert again.run.id == job.run.id
        assert count(again, calls) == 42
    assert calls == ["done"]
    assert ended == [("count", 42)]


def test_the_run_and_the_listener_hear_the_same(recipe: Recipe, workspace: Workspace) -> None:
    heard: list[Event] = []
    with start(recipe, workspace=workspace, listener=heard.append) as job:
        count(job, [])
        job.tell(Message("hello"))
    assert heard == [Stage("count", "started"), Stage("count", "finished"), Message("hello")]
    assert job.run.events() == heard


def test_a_failed_run_says_why(recipe: Recipe, workspace: Workspace) -> None:
    with pytest.raises(ZeroDivisionError), start(recipe, workspace=workspace) as job:
        raise ZeroDivisionError("of all things")
    assert job.run.status == "failed"
    assert job.run.error == {"type": "ZeroDivisionError", "what": "of all things", "where": "", "hint": ""}


def test_a_full_disk_is_told_as_one(recipe: Recipe, workspace: Workspace) -> None:
    with pytest.raises(DiskFullError), start(recipe, workspace=workspace) as job:
        raise OSError(28, "No space left on device", "/somewhere")
    assert job.run.error is not None
    assert job.run.error["type"] == "DiskFullError"


def test_an_interrupted_run_names_itself(recipe: Recipe, workspace: Workspace) -> None:
    with pytest.raises(RunInterrupted) as caught, start(recipe, workspace=workspace) as job:
        raise KeyboardInterrupt
    assert caught.value.run == job.run.id
    assert job.run.status == "interrupted"
    with start(recipe, workspace=workspace, resume=job.run.id) as resumed:
        pass
    assert resumed.run.status == "succeeded"


def test_two_processes_do_not_work_on_one_run(recipe: Recipe, workspace: Workspace) -> None:
    with start(recipe, workspace=workspace) as job:  # noqa: SIM117 - the second is refused inside the first
        with pytest.raises(WorkspaceError, match="is working on the run"):
            with start(recipe, workspace=workspace, resume=job.run.id):
                pass


def test_another_recipe_is_refused_and_the_difference_named(recipe: Recipe, workspace: Workspace) -> None:
    with start(recipe, workspace=workspace):
        pass
    other = recipe.model_copy(update={"seed": 99})
    with pytest.raises(WorkspaceError, match="seed: was 3, is 99"), start(other, workspace=workspace, resume="latest"):
        pass
    # In between another was started: it does not hide the first.
    with start(other, workspace=workspace) as second:
        pass
    with start(recipe, workspace=workspace, resume="latest") as resumed:
        assert resumed.run.id != second.run.id


def test_inner_stages_are_renamed_and_their_ends_become_progress() -> None:
    heard: list[Event] = []
    listener = within(heard.append, {"data": "prepare"}, own="prepare")
    listener(Stage("data", "finished", done=3, total=3))
    listener(Stage("other", "finished"))
    assert heard == [Stage("prepare", "progress", done=3, total=3), Stage("other", "finished")]
