"""What answers are worth in a run: the recipe's grader over the rows' own fields."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from tests.evaluate.graders.made import Judge
from tests.lifecycle.world import write_recipe
from tests.tiny import tiny_folder
from tunewright.base.errors import ModelError, RecipeError, TunewrightError
from tunewright.data.dataset import Dataset
from tunewright.data.example import Example
from tunewright.data.prepare import prepare
from tunewright.evaluate.graders import GradingError, Kit, parse_grader
from tunewright.lifecycle import rewarding
from tunewright.lifecycle.job import start
from tunewright.lifecycle.means import Means
from tunewright.lifecycle.stages import preflight, train
from tunewright.recipe import Recipe, recipe_from_mapping
from tunewright.store import Workspace
from tunewright.train.ranks.place import Place
from tunewright.train.rollouts import FOLDER, Answered, Reward

RIGHT = {
    "type": "string_check",
    "name": "right",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.word}}",
}
PROGRAM = {"type": "python", "name": "own", "source": "def grade(sample, item):\n    return 0.25\n"}
JUDGED = {
    "type": "score_model",
    "name": "good",
    "model": "judge",
    "range": [0, 1],
    "input": [{"role": "user", "content": "Is {{sample.output_text}} a good {{item.word}}?"}],
}


def recipe_of(grader: Any = None, **objective: Any) -> Recipe:
    settings = {"name": "grpo", **({"grader": grader} if grader else {}), **objective}
    return recipe_from_mapping(
        {"name": "r", "goal": "g", "data": {"train": "rows.jsonl"}, "train": {"objective": settings}}
    )


def test_the_recipes_grader_is_read() -> None:
    found = rewarding.grader_of(recipe_of(RIGHT), runs_python=False)
    assert (found.plugin, found.name) == ("string_check", "right")
    assert rewarding.grader_of(recipe_of(PROGRAM), runs_python=True).runs_code()


@pytest.mark.parametrize(
    ("grader", "said"),
    [
        (None, "train.objective.grader: 'grpo' draws answers, and nothing says what they are worth"),
        (RIGHT | {"type": "string_chek"}, "train.objective.grader.type: .* Did you mean 'string_check'"),
        (RIGHT | {"input": "{{answer}}"}, "train.objective.grader: .* which is of neither the row nor the answer"),
        (RIGHT | {"operation": "is"}, r"train.objective.grader.operation: "),
        (PROGRAM, "train.objective.grader: Python graders run code on this machine, and are turned off"),
    ],
)
def test_graders_that_cannot_be_used_are_faults_of_the_recipe(grader: Any, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        rewarding.grader_of(recipe_of(grader), runs_python=False)


def row(number: int, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": f"Say word {number}."}], "word": f"w{number}", **fields}


def dataset_of(folder: Path, rows: Sequence[Any]) -> Dataset:
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    split = {"validation": 2, "test": 4, "minimum_test_rows": 2}
    data = {"train": str(folder / "rows.jsonl"), "format": "prompts", "split": split}
    recipe = {"name": "r", "goal": "g", "data": data, "train": {"objective": {"name": "grpo", "grader": RIGHT}}}
    return prepare(recipe_from_mapping(recipe), Workspace.open(folder / "ws"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset_of(tmp_path_factory.mktemp("rows"), [row(n, hints=["a", "b"][: 1 + n % 2]) for n in range(12)])


def every(dataset: Dataset) -> list[Example]:
    """The rows of all parts: those held out are answered and graded, too."""
    return [*dataset.examples("train"), *dataset.examples("validation"), *dataset.examples("test")]


def test_rows_without_a_field_that_the_grader_asks_for_are_named(dataset: Dataset) -> None:
    rewarding.check_items(parse_grader(RIGHT | {"reference": "{{item.hints[0]}} {{sample.output_json.a}}"}), dataset)
    rewarding.check_items(parse_grader(JUDGED), dataset)
    lacking = [each.id for each in every(dataset) if len(each.item["hints"]) == 1]
    assert len(lacking) == 6
    with pytest.raises(RecipeError) as refused:
        rewarding.check_items(parse_grader(RIGHT | {"reference": "{{item.word}} {{item.hints[1]}}"}), dataset)
    assert refused.value.where == "train.objective.grader"
    first, *rows = refused.value.what.splitlines()
    assert first == "The grader asks 6 rows for what they have not"
    assert sum("There is no 'item.hints.1'" in each for each in rows) == 6
    assert all(any(f"row {name}:" in each for each in rows) for name in lacking)


def job_of(grader: Any, **means: bool) -> Any:
    """A run, as far as grading looks at it."""
    return SimpleNamespace(recipe=recipe_of(grader), workspace=None, means=Means(**means))  # type: ignore[arg-type]


def test_answers_are_worth_what_the_grader_says_of_their_own_rows(dataset: Dataset) -> None:
    one, other = every(dataset)[:2]
    asked = [Answered(one.id, one.item["word"], True), Answered(one.id, other.item["word"], True)]
    asked += [Answered(other.id, other.item["word"], False)]
    with rewarding.rewarding(job_of(RIGHT), dataset) as rewards:
        assert rewards is not None
        assert rewards(asked) == [Reward(1.0), Reward(0.0), Reward(1.0)]
        # A piece of a row that was split has its number behind the row's id.
        assert rewards([Answered(f"{one.id}#2", one.item["word"], True)]) == [Reward(1.0)]


def test_programs_grade_where_they_may(dataset: Dataset) -> None:
    one = every(dataset)[0]
    with rewarding.rewarding(job_of(PROGRAM, runs_python=True), dataset) as rewards:
        assert rewards is not None
        assert rewards([Answered(one.id, "x", True)]) == [Reward(0.25)]
    with pytest.raises(RecipeError, match="are turned off"), rewarding.rewarding(job_of(PROGRAM), dataset):
        pass


def test_where_no_answers_are_drawn_nothing_grades(dataset: Dataset) -> None:
    job = SimpleNamespace(recipe=recipe_from_mapping({"name": "r", "goal": "g", "data": {"train": "rows.jsonl"}}))
    with rewarding.rewarding(job, dataset) as rewards:  # type: ignore[arg-type]
        assert rewards is None


def test_of_several_processes_the_first_alone_grades(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewarding, "place", lambda: Place(rank=1, world=2))
    with rewarding.rewarding(job_of(RIGHT), dataset) as rewards:
        assert rewards is not None
        with pytest.raises(TunewrightError, match="first process alone"):
            rewards([])


def graded(grader: Any, kit: Kit, *texts: str) -> list[Reward]:
    items = {"row": json.dumps({"word": "poem"})}
    return rewarding._Grading(parse_grader(grader), kit, items)([Answered("row", text, True) for text in texts])


def test_an_answer_that_is_no_json_is_worth_nothing_and_says_why() -> None:
    grader = RIGHT | {"input": "{{sample.output_json.word}}"}
    right, wrong, broken, other = graded(
        grader, Kit(), '{"word": "poem"}', '{"word": "prose"}', "poem", '{"text": "poem"}'
    )
    assert (right, wrong) == (Reward(1.0), Reward(0.0))
    assert (broken.value, other.value) == (0.0, 0.0)
    assert "The answer is no JSON" in broken.problem
    assert "There is no 'sample.output_json.word'" in other.problem


def test_what_a_judge_cannot_say_of_an_answer_is_the_answers() -> None:
    assert graded(JUDGED, Judge('{"result": 0.75}').kit, "x") == [Reward(0.75)]
    (found,) = graded(JUDGED, Judge("Well...").kit, "x")
    assert (found.value, "The judge's answer is no JSON" in found.problem) == (0.0, True)


def test_a_judge_that_is_gone_stops_the_run() -> None:
    def gone(body: Any) -> Any:
        raise ModelError("Connection refused")

    with pytest.raises(GradingError, match="Connection refused") as stopped:
        graded(JUDGED, Kit(ask=gone), "x", "y")
    assert stopped.value.kind == "model_grader_server_error"


def make_world(folder: Path, grader: Any, **objective: Any) -> Path:
    """Questions whose answers are worth a point where they name the row's letter, the same for all."""
    tiny_folder(folder / "base")
    rows = [{"messages": [{"role": "user", "content": f"Say {n}."}], "letter": "e"} for n in range(28)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    split = {"validation": 4, "test": 8, "minimum_test_rows": 2}
    small = {"name": "grpo", "grader": grader, "answers": 8, "max_new_tokens": 4, "beta": 0.0, **objective}
    train = {
        "objective": small,
        "epochs": 5,
        "batch_size": 8,
        "patience": 99,
        "learning_rate": 0.05,
        "dtype": "float32",
    }
    data = {"train": "rows.jsonl", "format": "prompts", "split": split, "max_length": 128}
    return write_recipe(folder, instead={"data": data, "train": train})


NAMED = RIGHT | {"operation": "like", "reference": "{{item.letter}}"}


def test_a_run_learns_from_its_grader(tmp_path: Path) -> None:
    with start(make_world(tmp_path, NAMED), workspace=tmp_path / "ws") as job:
        curves = train(job).curves
        folder = job.run.folder
    rewards = [reward for _, reward in curves["rewards"]]
    assert len(rewards) == 10
    assert sum(rewards[-2:]) > sum(rewards[:2]) + 0.5
    # Held-out rows are answered and graded as well, and choose the weights.
    scores = [each["reward"] for _, each in curves["scores"]]
    assert scores[-1] > scores[0] >= 0
    assert (curves["validation"], curves["best_step"]) == ([], curves["scores"][scores.index(max(scores))][0])
    draws = pl.concat([pl.read_parquet(file) for file in sorted((folder / FOLDER).iterdir())])
    assert len(draws) == 10 * 8 * 8
    assert draws["reward"].to_list() == [float("e" in answer) for answer in draws["answer"]]
    assert set(draws["problem"]) == {""}


def test_what_cannot_be_graded_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with (
        pytest.raises(RecipeError, match="nothing says what they are worth"),
        start(make_world(tmp_path / "a", {}), workspace=tmp_path / "ws"),
    ):
        pass
    with (
        pytest.raises(RecipeError, match="are turned off"),
        start(make_world(tmp_path / "b", PROGRAM), workspace=tmp_path / "ws"),
    ):
        pass
    recipe = make_world(tmp_path / "c", RIGHT | {"reference": "{{item.lettre}}"})
    with start(recipe, workspace=tmp_path / "ws") as job, pytest.raises(RecipeError) as refused:
        preflight(job)
    assert "The grader asks 28 rows for what they have not" in refused.value.what
    assert "There is no 'item.lettre'" in refused.value.what
