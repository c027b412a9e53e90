"""Which texts a recipe's answers are chosen among, and an evaluation that chooses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tunewright as tw
from tests.lifecycle.world import COLOURS, make_world
from tunewright.base.errors import RecipeError
from tunewright.evaluate import load_answers
from tunewright.lifecycle.candidates import candidates_of
from tunewright.recipe import recipe_from_mapping


def dataset(kind: str, *answers: str) -> Any:
    return SimpleNamespace(answer_kind=kind, examples=lambda part: [SimpleNamespace(answer=each) for each in answers])


def recipe(candidates: Any, **train: Any) -> tw.Recipe:
    return recipe_from_mapping(
        {
            "name": "colours",
            "goal": "Name the colour.",
            "data": {"train": "rows.csv"},
            "train": train,
            "evaluate": {"candidates": candidates},
        }
    )


def test_labels_are_those_of_the_training_rows() -> None:
    assert candidates_of(recipe("labels"), dataset("label", "red", " blue", "red")) == ("blue", "red")
    assert candidates_of(recipe("none"), dataset("label", "red")) == ()
    assert candidates_of(recipe(["yes", "no"]), dataset("text", "yes")) == ("yes", "no")


@pytest.mark.parametrize(
    ("candidates", "kind", "train"),
    [("labels", "text", {}), (["a"], "json", {}), ("labels", "label", {"objective": "classify"})],
)
def test_what_is_not_chosen_is_refused(candidates: Any, kind: str, train: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"evaluate\.candidates"):
        candidates_of(recipe(candidates, **train), dataset(kind, "red"))


@pytest.mark.parametrize("candidates", [[], ["a", "a"], ["a", " "], "all"])
def test_a_list_that_cannot_be_chosen_from_is_refused(candidates: Any) -> None:
    with pytest.raises(RecipeError, match=r"evaluate\.candidates"):
        recipe(candidates)


def test_an_evaluation_chooses(tmp_path: Path) -> None:
    evaluate = {"candidates": "labels", "systems": ["base", "base_few_shot"]}
    path = make_world(tmp_path / "world", rows=120, evaluate=evaluate)
    result = tw.run(path, workspace=tmp_path / "ws")
    (stored,) = tw.Workspace.open(tmp_path / "ws").artifacts("answers")
    for given in load_answers(stored.path).values():
        assert {answer.prediction for answer in given.answers} <= set(COLOURS)
        assert all(1 / 3 - 0.01 <= (answer.probability or 0.0) <= 1.0 for answer in given.answers)
    assert result.evaluation["tuned"]["perplexity"]["value"] < result.evaluation["base"]["perplexity"]["value"]
