"""Counts of records and tasks, and the pace of runs that are under way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tunewright.base.events import Message, Metrics
from tunewright.store import Workspace, runs
from tunewright.store.figures import paces, record_states, task_states


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "ws")


def test_records_are_counted_by_status(workspace: Workspace) -> None:
    for number, status in enumerate(["queued", "running", "queued", None]):
        workspace.add_record("job", {"status": status} if status else {}, id=f"job-{number}")
    workspace.add_record("batch", {"status": "queued"}, id="batch-1")
    workspace.remove_record("job", "job-0")
    assert record_states(workspace, "job") == {"queued": 1, "running": 1}
    assert record_states(workspace, "eval") == {}


def test_tasks_are_counted_by_kind_and_state(workspace: Workspace) -> None:
    for number in range(3):
        workspace.enqueue("fine_tuning", f"job-{number}")
    workspace.enqueue("batch", "batch-1")
    workspace.ask("job-2", "pause")
    assert task_states(workspace) == {
        ("fine_tuning", "queued"): 2,
        ("fine_tuning", "paused"): 1,
        ("batch", "queued"): 1,
    }


def test_a_run_that_is_under_way_has_a_pace(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    seconds = iter(range(100))
    ended = workspace.start_run("done", "run", {})
    with ended.lock():
        ended.emit(Metrics("train", 9, 9, {"loss": 1.0}))
        ended.finish("succeeded")
    run = workspace.start_run("desk", "run", {})
    with run.lock():
        assert paces(workspace) == []
        monkeypatch.setattr(runs, "now", lambda: began + timedelta(seconds=next(seconds)))
        run.emit(Message("begun"))
        for step in (1, 2, 3):
            run.emit(Metrics("train", step, 40, {"loss": 4.0 - step, "tokens": 100.0 * step}))
        run.emit(Metrics("train", 3, 40, {"validated": 1.0, "loss": 9.0}))
        run.flush()
        (pace,) = paces(workspace)
    # 200 and 300 tokens in the two seconds after the first step.
    assert (pace.name, pace.step, pace.total, pace.loss, pace.tokens_per_s) == ("desk", 3, 40, 1.0, 250.0)
