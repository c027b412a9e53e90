"""What a recipe's gate may say."""

from __future__ import annotations

from typing import Any

import pytest

from tunewright.base.errors import RecipeError
from tunewright.recipe import Recipe, recipe_from_mapping


def _recipe(gate: dict[str, Any], **changes: Any) -> Recipe:
    return recipe_from_mapping({"name": "x", "goal": "g", "data": {"train": "rows.csv"}, "gate": gate, **changes})


def test_a_gate_of_everything() -> None:
    gate = {
        "exact_match": ">= 0.85",
        "accuracy.low": " >0.8",
        "forgetting": "<= 0.02",
        "cut": "== 0",
        "slice.language=de.accuracy": ">= 0.7",
        "vs_base": "significant",
        "vs_bag_of_words": "not_worse",
        "vs_champion": "not_worse by 0.02",
    }
    assert _recipe(gate).gate == gate
    assert _recipe({}).gate == {}


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ({"accuracy": "0.9"}, 'a bar reads ">= 0.9"'),
        ({"accuracy": 0.9}, 'a bar reads ">= 0.9"'),
        ({"accuracy": ">= high"}, 'a bar reads ">= 0.9"'),
        ({"accuracy": "significant"}, "stands under vs_base"),
        ({"vs_base": ">= 0.1"}, "its bar is significant, not_worse"),
        ({"vs_base": "significant by 0.1"}, 'a bar reads ">= 0.9"'),
        ({"vs_bse": "significant"}, "Did you mean 'vs_base'?"),
        ({"slice.de.accuracy": ">= 0.5"}, "write slice.language=de.accuracy"),
    ],
)
def test_what_is_no_bar_is_refused(gate: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as refused:
        _recipe(gate)
    assert said in str(refused.value)
    assert "gate" in str(refused.value)


def test_a_comparison_needs_the_other_system() -> None:
    with pytest.raises(RecipeError, match=r"gate\.vs_base compares with 'base', which does not answer"):
        _recipe({"vs_base": "significant"}, evaluate={"systems": ["bag_of_words"]})
    assert _recipe({"vs_champion": "significant"}, evaluate={"systems": []}).gate
