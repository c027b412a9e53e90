"""What a recipe says about drawing answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.base.errors import RecipeError
from tunewright.recipe import recipe_from_mapping
from tunewright.recipe.sampling import Sampling


def made(tmp_path: Path, **evaluate: object) -> dict[str, object]:
    return {"name": "r", "goal": "g", "data": {"train": str(tmp_path / "rows.jsonl")}, "evaluate": evaluate}


def test_an_evaluation_may_draw_several_answers(tmp_path: Path) -> None:
    asked = made(tmp_path, sampling={"temperature": 0.8, "top_p": 0.9}, samples=5)
    found = recipe_from_mapping(asked, where="recipe.yaml").evaluate
    assert (found.sampling.temperature, found.sampling.top_p, found.samples) == (0.8, 0.9, 5)
    assert found.sampling.seeded(17).seed == 17
    assert Sampling(temperature=1, seed=3).seeded(17).seed == 3
    plain = recipe_from_mapping(made(tmp_path), where="recipe.yaml").evaluate
    assert plain.sampling.greedy
    assert plain.samples == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"samples": 5}, "samples are all the same at temperature 0"),
        ({"sampling": {"top_k": 5}}, "temperature 0 draws nothing"),
        ({"sampling": {"temperature": -1}}, "greater than or equal to 0"),
        ({"sampling": {"temperature": 1, "topp": 0.5}}, "topp"),
    ],
)
def test_what_draws_nothing_is_refused(tmp_path: Path, wrong: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        recipe_from_mapping(made(tmp_path, **wrong), where="recipe.yaml")
