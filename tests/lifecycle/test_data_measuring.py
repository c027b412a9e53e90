"""Any model on any file: releases, recipes, bases and adapters read the same rows, each in its own way."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

import tunewright as tw
from tests.lifecycle.world import COLOURS, make_world
from tunewright.base.errors import DataError, InputError, RecipeError, UnknownNameError, WorkspaceError
from tunewright.base.events import Event, Message
from tunewright.evaluate import load_answers
from tunewright.lifecycle.data_measuring import OnData, measure_on
from tunewright.lifecycle.held_data import Asked, lay_out
from tunewright.lifecycle.pipeline import RunResult
from tunewright.lifecycle.targets import find_target


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    evaluate = {"systems": [], "max_new_tokens": 6, "bootstrap_samples": 100}
    recipe = make_world(
        folder, rows=120, evaluate=evaluate, data={"split": {"validation": 6, "test": 21, "minimum_test_rows": 5}}
    )
    write(
        folder / "held.csv",
        ["text", "category"],
        [[f"{COLOURS[row % 3]} new {row}", COLOURS[row % 3]] for row in range(12)],
    )
    return recipe


@pytest.fixture(scope="module")
def result(world: Path) -> RunResult:
    return tw.run(world, workspace=world.parent / "ws")


@pytest.fixture(scope="module")
def workspace(world: Path, result: RunResult) -> Any:
    return tw.Workspace.open(world.parent / "ws")


def write(path: Path, head: list[str], rows: list[list[Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def held(world: Path, **changes: Any) -> Asked:
    return Asked(str(world.parent / "held.csv"), **changes)


@pytest.fixture(scope="module")
def of_release(world: Path, workspace: Any) -> OnData:
    return measure_on("colours@1", held(world), workspace=workspace)


def test_a_release_reads_columns_that_are_called_otherwise(of_release: OnData, world: Path) -> None:
    assert of_release.evaluation["n"] == 12
    assert of_release.system == "tuned"
    assert of_release.data["rows"] == of_release.data["asked"] == 12
    assert of_release.data["refused"] == {"rows": 0, "reasons": {}}
    assert of_release.evaluation["answer_kind"] == "label"
    assert len(of_release.data["files"][0]["sha256"]) == 64


def test_each_score_says_what_it_is_of(of_release: OnData, result: RunResult) -> None:
    score = of_release.evaluation["tuned"]["accuracy"]
    assert set(score) == {"value", "low", "high", "n", "seed", "template"}
    assert (score["n"], score["seed"]) == (12, 3)
    # The run's own evaluation rendered its rows alike.
    assert score["template"] == result.evaluation["tuned"]["accuracy"]["template"]
    assert len(score["template"]) == 64


def test_the_answers_are_kept_with_what_was_asked(of_release: OnData, workspace: Any) -> None:
    stored = workspace.artifact(of_release.answers.hash, "answers")
    answers = load_answers(stored.path)["tuned"]
    assert answers.template == of_release.evaluation["tuned"]["accuracy"]["template"]
    first = answers.answers[0]
    assert (first.question, first.reference) == ("red new 0", "red")
    assert first.columns["source"] == "held.csv"
    assert first.read is not None
    assert first.read > len("red new 0")
    assert first.written is not None
    assert first.written <= 6
    tree = workspace.lineage(stored.hash, "answers")
    assert [parent.kind for parent in tree.parents] == ["adapter"]
    assert workspace.find_run(of_release.run).status == "succeeded"


def test_a_recipe_and_its_adapter_answer_as_the_release_does(of_release: OnData, world: Path, workspace: Any) -> None:
    adapter = workspace.artifact(workspace.find_release("colours").adapter, "adapter").path
    for word in (str(world), str(adapter)):
        found = measure_on(word, held(world), workspace=workspace)
        assert found.answers.files == of_release.answers.files or (
            [a.prediction for a in load_answers(found.answers.path)["tuned"].answers]
            == [a.prediction for a in load_answers(of_release.answers.path)["tuned"].answers]
        )
        assert found.evaluation["tuned"]["accuracy"] == of_release.evaluation["tuned"]["accuracy"]


def test_a_base_is_told_the_task(world: Path, workspace: Any) -> None:
    heard: list[Event] = []
    found = measure_on(str(world.parent / "base"), held(world), workspace=workspace, listener=heard.append)
    assert found.system == "base"
    assert "tuned" not in found.evaluation
    said = [event.text for event in heard if isinstance(event, Message)]
    assert any("'text'" in text and "'category', as a label" in text for text in said)
    answers = load_answers(found.answers.path)["base"]
    told = "Name the category of the text. Answer with one of these, and nothing else: blue, green, red."
    # One token a byte: the prompt is longer than the release's by the system turn.
    assert answers.answers[0].read == len("red new 0") + len(told) + len("system\n\nuser\n\nassistant\n") + 5
    assert found.oddities["unknown_labels"]["rows"] + found.oddities["empty"] == 12
    assert found.notes


def test_the_instruction_of_a_base_is_part_of_the_templates_hash(world: Path, workspace: Any) -> None:
    own = ("data.template.system=Which colour?",)
    plain, told = (
        measure_on(str(world.parent / "base"), held(world, overrides=given, limit=3), workspace=workspace)
        for given in ((), own)
    )
    score = [each.evaluation["base"]["accuracy"] for each in (plain, told)]
    assert score[0]["template"] != score[1]["template"]
    assert score[0]["n"] == score[1]["n"] == 3


def test_a_limit_draws_the_same_rows_whoever_is_asked(world: Path, workspace: Any) -> None:
    rows = [
        {a.id for a in next(iter(load_answers(found.answers.path).values())).answers}
        for found in (
            measure_on(word, held(world, limit=4, seed=1), workspace=workspace)
            for word in ("colours", str(world.parent / "base"))
        )
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 4


def test_rows_that_were_learned_are_counted(world: Path, workspace: Any) -> None:
    found = measure_on("colours", Asked(str(world.parent / "rows.csv"), limit=30), workspace=workspace)
    assert 0 < found.data["in_training"] <= 30
    assert found.evaluation["without_leaked"]["rows"] == found.data["in_training"]


def test_rows_without_an_answer_are_counted_and_not_asked(world: Path, workspace: Any) -> None:
    path = write(
        world.parent / "gaps.csv", ["text", "label"], [["red a", "red"], ["blue b", ""], *[["red c", "red"]] * 8]
    )
    found = measure_on("colours", Asked(str(path)), workspace=workspace)
    assert (found.data["rows"], found.data["asked"]) == (10, 9)
    assert found.data["refused"] == {"rows": 1, "reasons": {"'label' is empty, and the answer needs it": 1}}
    assert found.evaluation["answer_kind"] == "label"  # though there is one label only


@pytest.mark.parametrize(
    ("word", "changes", "error", "words"),
    [
        ("colors", {}, UnknownNameError, "Did you mean 'colours'"),
        ("colours@7", {}, UnknownNameError, "colours@1"),
        ("none.yaml", {}, RecipeError, "does not exist"),
        ("colours", {"text": "txt"}, DataError, "Did you mean 'text'"),
        ("colours", {"metrics": ("acuracy",)}, UnknownNameError, "Did you mean 'accuracy'"),
        ("colours", {"overrides": ("train.epochs=2",)}, RecipeError, "Only fields of evaluate, success"),
    ],
)
def test_wrong_input(
    world: Path, workspace: Any, word: str, changes: dict[str, Any], error: type[InputError], words: str
) -> None:
    before = len(workspace.runs())
    with pytest.raises(error) as found:
        measure_on(word, held(world, **changes), workspace=workspace)
    assert words in str(found.value)
    assert len(workspace.runs()) == before


def test_a_file_that_is_not_there(workspace: Any) -> None:
    with pytest.raises(DataError, match="does not exist"):
        measure_on("colours", Asked("/nowhere/rows.csv"), workspace=workspace)


def test_rows_that_the_model_cannot_read_whole(world: Path, workspace: Any) -> None:
    path = write(world.parent / "long.csv", ["text", "label"], [["red " * 600, "red"], ["blue x", "blue"]])
    with pytest.raises(InputError, match=r"1 rows are too long.*long\.csv:2"):
        measure_on("colours", Asked(str(path)), workspace=workspace)


def test_an_adapter_that_does_not_name_its_base(world: Path, workspace: Any, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="Name it with --base"):
        measure_on(str(tmp_path), held(world), workspace=workspace)


def test_a_recipe_that_was_never_trained(world: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="no trained run"):
        measure_on(str(world), held(world), workspace=tw.Workspace.open(tmp_path / "ws"))


def test_answers_are_chosen_among_candidates(world: Path, workspace: Any, tmp_path: Path) -> None:
    found = measure_on("colours", held(world, candidates="labels"), workspace=workspace)
    answers = load_answers(found.answers.path)["tuned"].answers
    assert {answer.prediction for answer in answers} <= set(COLOURS)
    assert found.oddities["unknown_labels"]["rows"] == 0
    assert all(answer.probability is not None and 0 < answer.probability <= 1 for answer in answers)
    assert answers[0].question == "red new 0"
    assert found.evaluation["tuned"]["accuracy"]["template"] is not None
    (tmp_path / "two.txt").write_text("red\n\n pink \n")
    two = measure_on("colours", held(world, candidates=str(tmp_path / "two.txt")), workspace=workspace)
    assert {answer.prediction for answer in load_answers(two.answers.path)["tuned"].answers} <= {"red", "pink"}
    assert two.evaluation["tuned"]["accuracy"]["value"] <= 4 / 12  # green and blue cannot be chosen


def test_candidates_that_cannot_be_chosen_among(world: Path, workspace: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="candidates cannot be read"):
        measure_on("colours", held(world, candidates="/nowhere/labels.txt"), workspace=workspace)
    (tmp_path / "one.txt").write_text("red\n")
    with pytest.raises(InputError, match="to choose takes two"):
        measure_on("colours", held(world, candidates=str(tmp_path / "one.txt")), workspace=workspace)


def test_a_guessed_recipe_has_room_for_the_longest_answer(world: Path, workspace: Any, tmp_path: Path) -> None:
    long = "word " * 100
    path = write(tmp_path / "free.csv", ["question", "answer"], [[f"What is {n}?", f"{long}{n}"] for n in range(4)])
    base = find_target(str(world.parent / "base"), workspace)
    laid = lay_out(base, Asked(str(path)), workspace)
    assert (laid.held.kind, laid.recipe.evaluate.max_new_tokens) == ("text", 208)  # 501 letters, 2.5 to a token
    assert laid.recipe.longest > 501 // 2
    told = lay_out(base, Asked(str(path), overrides=("evaluate.max_new_tokens=9",)), workspace)
    assert told.recipe.evaluate.max_new_tokens == 9
