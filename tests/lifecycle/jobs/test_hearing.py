"""Which of a run's events a job tells, when, and how."""

from __future__ import annotations

import pytest

from tests.lifecycle.jobs.made import fresh, steps_told, told
from tunewright.base.events import Event, Message, Metrics, Stage
from tunewright.lifecycle.jobs.desk import Stopped
from tunewright.lifecycle.jobs.hearing import Hearer, Steps, sentence_of
from tunewright.lifecycle.jobs.jobs import JOB
from tunewright.store import Workspace
from tunewright.store.records import Record, new_id


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open(tmp_path_factory.mktemp("hearing"))


@pytest.fixture
def job(workspace: Workspace) -> Record:
    return workspace.add_record(JOB, {"status": "running"}, id=new_id("ftjob"))


def hearer(workspace: Workspace, job: Record, steps: Steps) -> Hearer:
    return Hearer(workspace, job, lambda: None, lambda: steps)


def step(number: int, total: int = 4) -> Metrics:
    return Metrics("train", number, total, {"loss": 1.0 / number, "token_accuracy": 0.5})


def test_short_runs_tell_each_step_and_long_ones_about_a_thousand() -> None:
    assert all(Steps(1000, frozenset(), frozenset()).is_told(number) for number in range(1, 1001))
    long = Steps(2500, frozenset({7}), frozenset({2488}))
    assert [number for number in range(1, 2501) if long.is_told(number)] == [
        1,
        3,
        6,
        7,
        *range(9, 2488, 3),
        2488,
        *range(2490, 2500, 3),
        2500,
    ]


def test_a_step_that_validates_is_told_once_with_its_validation(workspace: Workspace, job: Record) -> None:
    hear = hearer(workspace, job, Steps(4, frozenset({2, 4}), frozenset({4})))
    hear(step(1))
    hear(step(2))
    assert steps_told(workspace, job) == [1]
    hear(Metrics("train", 2, 4, {"validation_loss": 0.25, "validation_token_accuracy": 0.75, "validated": 1.0}))
    last = told(workspace, job)[-1]
    assert last["message"] == "Step 2/4: training loss=0.50, validation loss=0.25"
    assert last["data"] == {
        "step": 2,
        "total_steps": 4,
        "train_loss": 0.5,
        "train_mean_token_accuracy": 0.5,
        "valid_loss": 0.25,
        "valid_mean_token_accuracy": 0.75,
        "full_valid_loss": None,
        "full_valid_mean_token_accuracy": None,
    }


def test_what_is_done_again_is_told_once(workspace: Workspace, job: Record) -> None:
    steps = Steps(4, frozenset(), frozenset({4}))
    events: list[Event] = [Message("Attention is paid."), step(1), step(2), step(3)]
    for event in events:
        hearer(workspace, job, steps)(event)
    again = hearer(workspace, job, steps)
    for event in [*events, step(4), Message("Take care.", "warning")]:
        again(event)
    assert steps_told(workspace, job) == [1, 2, 3, 4]
    said = [(event["level"], event["message"]) for event in told(workspace, job) if event["type"] == "message"]
    assert said == [("info", "Attention is paid."), ("warn", "Take care.")]


def test_the_end_is_foreseen_from_the_pace(workspace: Workspace, job: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr("time.time", lambda: 5000.0)
    hear = hearer(workspace, job, Steps(11, frozenset(), frozenset()))
    hear(step(1, 11))
    assert fresh(workspace, job).get("estimated_finish") is None
    clock[0] += 6.0
    hear(step(3, 11))  # 3 s a step, and 8 steps are left
    assert fresh(workspace, job)["estimated_finish"] == 5024


def test_each_event_is_a_chance_to_stop(workspace: Workspace, job: Record) -> None:
    def check() -> None:
        raise Stopped("pause")

    with pytest.raises(Stopped):
        Hearer(workspace, job, check, lambda: Steps(1, frozenset(), frozenset()))(Stage("train", "started"))


def test_the_sentence_is_openais() -> None:
    data = {"step": 240, "total_steps": 240, "train_loss": 0.123, "valid_loss": 0.151, "full_valid_loss": None}
    assert sentence_of(data) == "Step 240/240: training loss=0.12, validation loss=0.15"
