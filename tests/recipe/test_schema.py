from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.recipe.conftest import SMALLEST, Load
from tunewright.base.errors import RecipeError
from tunewright.recipe.schema import Recipe
from tunewright.recipe.section import Section


def sections(model: type[Section]) -> list[type[Section]]:
    """Every section class."""
    below = [section for kind in model.__subclasses__() for section in sections(kind)]
    return [*model.__subclasses__(), *below]


def test_a_recipe_is_frozen(load: Load) -> None:
    recipe = load()
    for part, field in ((recipe, "seed"), (recipe.train, "epochs"), (recipe.method, "rank"), (recipe.data, "train")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, field, 1)


@pytest.mark.parametrize("section", sections(Section), ids=lambda section: section.__name__)
def test_a_section_is_frozen_strict_and_described(section: type[Section]) -> None:
    assert section.model_config["frozen"] is True
    assert section.model_config["extra"] == "forbid"
    assert section.__doc__


@pytest.mark.parametrize("text", [">= 0.9", "<0.5", " == 1 ", "> -2.25"])
def test_a_bar_may_be_written_so(load: Load, text: str) -> None:
    assert load(SMALLEST + f"success: {{a: '{text}'}}\n").success == {"a": text}


@pytest.mark.parametrize("text", ["0.9", ">= much", "=> 0.9", ">= 0.9 and more", ""])
def test_a_bar_may_not_be_written_so(load: Load, text: str) -> None:
    with pytest.raises(RecipeError, match=r'a bar reads ">= 0\.9"'):
        load(SMALLEST + f"success: {{a: '{text}'}}\n")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Ünicode"),
        ("name", "-x"),
        ("name", "x" * 65),
        ("goal", "''"),
        ("seed", "-1"),
        ("data.train", "[]"),
        ("train.batch_size", "0"),
        ("train.epochs", "0"),
        ("data.max_unusable_share", "1.5"),
        ("evaluate.systems", "[gpt]"),
    ],
)
def test_values_out_of_range_are_refused(load: Load, field: str, value: str) -> None:
    with pytest.raises(RecipeError, match=f"'{field}"):
        load(SMALLEST, f"{field}={value}")


def test_recipe_has_one_front_door() -> None:
    assert Recipe.model_fields["data"].is_required()


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("forgetting: {replay: 0.02}", "forgetting.replay needs general rows: name their file under forgetting.data"),
        ("forgetting: {ewc: 1}", "forgetting.ewc needs general rows"),
        ("forgetting: {data: chat.jsonl}", "nothing uses forgetting.data: set forgetting.replay or forgetting.ewc"),
        ("forgetting: {data: chat.jsonl, replay: 1}", "'forgetting.replay'"),
        ("train: {objective: grpo}\nforgetting: {data: chat.jsonl, replay: 0.1}", "mixes in rows that no grader knows"),
        ("train: {schedule: wsd, warmup_share: 0.5, decay_share: 0.6}", "are more than the whole"),
        ("train: {optimiser: adam}", "optimiser 'adam' is unknown. Did you mean 'adamw'?"),
        ("train: {optimiser: {name: adamw, momentum: 1}}", "'train.optimiser.momentum' is unknown"),
        ("train: {label_smoothing: 1}", "'train.label_smoothing'"),
    ],
)
def test_training_settings_that_do_not_fit_together_are_refused(load: Load, section: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load(SMALLEST + section + "\n")
    assert said in str(caught.value)


def test_general_rows_are_found_beside_the_recipe(load: Load, tmp_path: Path) -> None:
    recipe = load(SMALLEST + "forgetting: {data: chat.jsonl, replay: 0.02, l2: 0.1}\n")
    (source,) = recipe.forgetting.data
    assert Path(source.path).resolve() == tmp_path / "project" / "chat.jsonl"


def test_the_learning_rate_is_the_recipes_or_else_the_methods(load: Load) -> None:
    assert load().learning_rate == 1e-3
    assert load(SMALLEST + "method: full\n").learning_rate == 1e-4
    assert load(SMALLEST + "method: full\ntrain: {learning_rate: 0.5}\n").learning_rate == 0.5
