"""Where a recipe names no rate: LoRA's is ten times full fine-tuning's, and its kin learn as it does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.train.made import made_recipe
from tunewright.base.plugins import METHODS
from tunewright.models.methods import lora

DOCS = Path(__file__).parents[3] / "docs" / "training.md"
# Fresh weights that begin as no change to the base, and move it by a product of matrices.
AS_LORA = ("auto", "bottleneck", "dora", "feature", "lora", "molora", "ptuning", "qlora", "rslora")
OWN_WEIGHTS = ("full", "layers")
# Vectors and embeddings take larger steps than matrices.
LARGER = {"ia3": 3e-3, "prefix": 1e-2, "prompt": 3e-2}


def rate(name: str) -> float:
    found: float = METHODS.module(name).LEARNING_RATE
    return found


def test_every_method_follows_the_tenfold_rule_or_says_why_not() -> None:
    assert {*AS_LORA, *OWN_WEIGHTS, *LARGER} == set(METHODS.names())
    assert {rate(name) for name in AS_LORA} == {1e-3}
    assert [rate(name) for name in OWN_WEIGHTS] == pytest.approx([lora.LEARNING_RATE / 10] * 2)
    assert {name: rate(name) for name in LARGER} == LARGER


@pytest.mark.parametrize("name", METHODS.names())
def test_a_recipe_takes_its_methods_rate_and_the_objectives_share(name: str) -> None:
    assert made_recipe(method=name, learning_rate=None).learning_rate == rate(name)
    if name == "feature":
        return  # has nothing to train for an objective without classes
    pairs = made_recipe(method=name, learning_rate=None, objective="dpo")
    assert pairs.learning_rate == pytest.approx(rate(name) * 0.025)
    assert made_recipe(method=name, learning_rate=0.5, objective="dpo").learning_rate == 0.5


def test_the_documented_rates_are_these() -> None:
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| (\d+e-\d+) \|", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {name: float(text) for name, text in rows} == {
        name: rate(name) for name in METHODS.names() if name != "auto"
    }
