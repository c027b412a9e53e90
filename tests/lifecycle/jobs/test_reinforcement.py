"""Reinforcement jobs: a question, drawn answers, a grader, and a model that is rewarded more often."""

from __future__ import annotations

import base64
import csv
import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.lifecycle.jobs.made import (
    fresh,
    made_workspace,
    ordered,
    prompt_rows,
    told,
    uploaded,
    work_off,
)
from tunewright.lifecycle.jobs import ordering
from tunewright.lifecycle.jobs.jobs import CHECKPOINT, JOB, JobError
from tunewright.lifecycle.jobs.results import run_of
from tunewright.lifecycle.serving.names import find_served
from tunewright.recipe import Recipe
from tunewright.store import Workspace
from tunewright.store.records import Record
from tunewright.store.uploads import find_upload, open_upload

# Points for letters of the right colour: an untrained model gets some now and then.
GRADER = {
    "type": "text_similarity",
    "name": "near",
    "input": "{{sample.output_text}}",
    "reference": "{{item.right.colour}}",
    "evaluation_metric": "fuzzy_match",
}
# The tiny model hardly ever ends by itself.
ASKED = {
    "n_epochs": 3,
    "batch_size": 4,
    "eval_interval": 3,
    "learning_rate_multiplier": 400.0,
    "max_completion_tokens": 6,
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Record]:
    """A job of 12 questions, with 3 to validate, done."""
    workspace = made_workspace(tmp_path_factory.mktemp("reinforced"))
    file, held_out = uploaded(workspace, prompt_rows(12)), uploaded(workspace, prompt_rows(3, 90))
    job = reinforced(workspace, file, validation_file=held_out, hyperparameters=ASKED, suffix="colours")
    work_off(workspace)
    return workspace, workspace.record(JOB, job.id)


def reinforced(workspace: Workspace, file: str, *, grader: Any = GRADER, **asked: Any) -> Record:
    return ordered(workspace, file, method="reinforcement", grader=grader, **asked)


def metrics(workspace: Workspace, job: Record) -> list[dict[str, Any]]:
    return [event for event in told(workspace, job) if event["type"] == "metrics"]


def test_the_job_succeeds_with_its_settings_resolved(done: tuple[Workspace, Record]) -> None:
    workspace, job = done
    assert (job.body["status"], job.body["error"]) == ("succeeded", None)
    method = job.body["method"]
    assert method["type"] == "reinforcement"
    assert method["reinforcement"]["grader"] == GRADER
    assert method["reinforcement"]["hyperparameters"] == {
        **ASKED,
        "compute_multiplier": 1,
        "eval_samples": 1,
        "reasoning_effort": "default",
    }
    assert find_served(workspace, job.body["fine_tuned_model"]).adapter


def test_each_step_tells_its_mean_reward_as_openai_does(done: tuple[Workspace, Record]) -> None:
    events = metrics(*done)
    assert [event["data"]["step"] for event in events] == list(range(1, 10))
    validated = {event["data"]["step"]: event["data"]["full_valid_mean_reward"] for event in events}
    assert [step for step, reward in validated.items() if reward is not None] == [3, 6, 9]
    data = events[8]["data"]
    assert data["scores"] == {"train_reward_mean": data["train_mean_reward"], "valid_reward_mean": validated[9]}
    assert 0 < data["completion_tokens_mean"] <= 6
    assert data["mean_unresponsive_rewards"] == 0
    told_rewards = f"train mean reward={data['train_mean_reward']:.2f}, full validation mean reward={validated[9]:.2f}"
    assert events[8]["message"] == f"Step 9/9, {told_rewards}"
    assert events[0]["message"] == f"Step 1/9, train mean reward={events[0]['data']['train_mean_reward']:.2f}"


def test_rewards_are_those_that_the_grader_gave_to_the_answers_kept(done: tuple[Workspace, Record]) -> None:
    workspace, job = done
    run = run_of(workspace, job)
    assert run is not None
    kept = sorted((run.folder / "draws").iterdir())
    assert len(kept) == 9
    for place, event in zip(kept, metrics(workspace, job), strict=True):
        draw = pl.read_parquet(place)
        assert len(draw) == 4 * 8  # questions of a step, answers to each
        assert draw["reward"].mean() == pytest.approx(event["data"]["train_mean_reward"])


def test_what_is_rewarded_comes_more_often(done: tuple[Workspace, Record]) -> None:
    rewards = [event["data"]["train_mean_reward"] for event in metrics(*done)]
    assert sum(rewards[-3:]) > 1.3 * sum(rewards[:3])


def test_checkpoints_and_the_result_file_have_the_rewards(done: tuple[Workspace, Record]) -> None:
    workspace, job = done
    last = workspace.records(CHECKPOINT, parent=job.id, limit=1).records[0].body
    assert last["step_number"] == 9
    assert last["metrics"]["full_valid_mean_reward"] == metrics(workspace, job)[8]["data"]["full_valid_mean_reward"]
    upload = find_upload(workspace, job.body["result_files"][0], project="default")
    content = base64.b64decode(open_upload(workspace, upload).read_bytes()).decode()
    rows = list(csv.DictReader(io.StringIO(content)))
    assert len(rows) == 9
    assert float(rows[0]["train_mean_reward"]) == metrics(workspace, job)[0]["data"]["train_mean_reward"]
    assert [row["valid_mean_reward"] != "" for row in rows] == [step % 3 == 0 for step in range(1, 10)]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"messages": [{"role": "user", "content": "red?"}]}, "There is no 'item.right'"),
        ({**prompt_rows(1)[0], "right": {}}, "There is no 'item.right.colour'"),
        (
            {"messages": [{"role": "user", "content": "red?"}, {"role": "assistant", "content": "red"}]},
            "the last message is to be answered, and it is the assistant's",
        ),
    ],
)
def test_a_row_that_cannot_be_asked_or_graded_fails_the_job(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    workspace = made_workspace(tmp_path)
    job = reinforced(workspace, uploaded(workspace, [*prompt_rows(10), row]))
    work_off(workspace)
    error = fresh(workspace, job)["error"]
    assert (error["code"], error["param"]) == ("invalid_training_file", "training_file")
    assert error["message"].startswith("Invalid file format. Example 11")
    assert said in error["message"]


def test_a_judge_that_is_not_here_is_refused_at_once(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path)
    judge = {"type": "score_model", "name": "judge", "model": "gpt-4o", "input": [{"role": "user", "content": "Good?"}]}
    with pytest.raises(JobError, match="Model gpt-4o, which the grader asks, does not exist"):
        reinforced(workspace, uploaded(workspace, prompt_rows(10)), grader=judge)


def test_auto_is_resolved_by_the_number_of_examples() -> None:
    asked = ordering._settings("reinforcement", {"compute_multiplier": 2.0}, GRADER)
    found = ordering.resolved(asked, ordering.Checked(examples=320, longest=100))
    assert found["method"]["reinforcement"]["hyperparameters"] == {
        "n_epochs": 3,
        "batch_size": 16,
        "learning_rate_multiplier": 1,
        "compute_multiplier": 2.0,
        "eval_interval": 5,  # 20 steps an epoch, looked at four times
        "eval_samples": 1,
        "max_completion_tokens": 128,
        "reasoning_effort": "default",
    }


def test_more_compute_draws_more_answers(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path)
    job = reinforced(
        workspace,
        uploaded(workspace, prompt_rows(10)),
        hyperparameters={**ASKED, "n_epochs": 1, "compute_multiplier": 0.5},
    )
    work_off(workspace)
    run = run_of(workspace, job)
    assert run is not None
    objective = Recipe.model_validate(run.recipe).train.objective
    assert (objective.answers, objective.max_new_tokens) == (4, 6)
