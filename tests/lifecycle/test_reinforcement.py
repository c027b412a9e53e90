"""Reinforcement from a recipe: drawn answers are graded, learned from, and the mean reward is what is measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tunewright as tw
from tests.lifecycle.world import COLOURS, THINGS, make_world
from tunewright.base.errors import DataError, RecipeError
from tunewright.lifecycle.held_data import Asked
from tunewright.lifecycle.pipeline import RunResult

NEAR = {
    "type": "text_similarity",
    "name": "near",
    "input": "{{sample.output_text}}",
    "reference": "{{item.colour}}",
    "evaluation_metric": "fuzzy_match",
}
SMALL = {"name": "grpo", "answers": 4, "max_new_tokens": 6}


def questions(path: Path, rows: int) -> Path:
    """Questions without answers, and the right colour beside each."""
    with path.open("w", encoding="utf-8") as file:
        for row in range(rows):
            asked = f"{COLOURS[row % 3]} {THINGS[row // 3 % 10]} {row}"
            file.write(
                json.dumps({"messages": [{"role": "user", "content": asked}], "colour": COLOURS[row % 3]}) + "\n"
            )
    return path


def reinforced(folder: Path, grader: Any = NEAR, **changes: Any) -> Path:
    """A recipe that learns from questions without answers."""
    recipe = make_world(
        folder,
        instead={
            "data": {
                "train": "questions.jsonl",
                "format": "prompts",
                "split": {"validation": 6, "test": 12, "minimum_test_rows": 10},
                "max_length": 128,
            }
        },
        train={"objective": {**SMALL, "grader": grader}, "epochs": 2, "learning_rate": 0.05, **changes},
    )
    questions(folder / "questions.jsonl", 50)
    return recipe


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    folder = tmp_path_factory.mktemp("reinforced")
    return tw.run(reinforced(folder), workspace=folder / "ws")


def test_the_mean_reward_is_measured_and_the_base_is_held_against_it(run: RunResult) -> None:
    evaluation = run.evaluation
    assert evaluation["answer_kind"] == "prompt"
    assert set(evaluation["tuned"]) >= {"reward"}
    assert evaluation["tuned"]["reward"]["value"] > evaluation["base"]["reward"]["value"]
    (difference,) = evaluation["differences"]
    assert (difference["metric"], difference["a"], difference["b"]) == ("reward", "tuned", "base")
    assert evaluation["comparisons"] == []


def test_the_report_shows_rewards(run: RunResult) -> None:
    page = run.report.read_text(encoding="utf-8")
    assert "Mean reward" in page


def test_rows_with_answers_are_graded_against_them(tmp_path: Path) -> None:
    grader = {**NEAR, "reference": "{{item.label}} {{item.answer}} {{item.text}}"}
    objective = {**SMALL, "grader": grader}
    made = make_world(tmp_path, rows=80, train={"objective": objective, "epochs": 0.5, "batch_size": 8})
    found = tw.run(made, workspace=tmp_path / "ws")
    assert found.evaluation["answer_kind"] == "label"
    assert {"accuracy", "reward"} <= set(found.evaluation["tuned"])


@pytest.mark.parametrize(
    ("grader", "said"),
    [
        ({}, "nothing says what they are worth"),
        ({"type": "taste"}, "no grader of type 'taste'"),
        ({"type": "python", "name": "p", "source": "def grade(sample, item): return 1.0"}, "turned off"),
        ({**NEAR, "reference": "{{item.color}}"}, "There is no 'item.color'"),
    ],
)
def test_what_no_grader_could_do_is_refused_before_the_first_step(tmp_path: Path, grader: Any, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as refused:
        tw.run(reinforced(tmp_path, grader), workspace=tmp_path / "ws")
    assert refused.value.where.startswith("train.objective.grader")


def test_questions_alone_have_nothing_to_measure_a_file_by(run: RunResult, tmp_path: Path) -> None:
    file = questions(tmp_path / "more.jsonl", 5)
    with pytest.raises(DataError, match="nothing to measure answers by"):
        tw.measure_on(run.release, Asked(str(file)), workspace=run.workspace)


def test_draws_are_kept_for_people_to_read(run: RunResult) -> None:
    kept = sorted(run.folder.glob("draws/*.parquet"))
    assert kept
    draw = pl.read_parquet(kept[0])
    assert set(draw.columns) == {"id", "answer", "reward", "problem", "stopped", "tokens", "logp"}
