from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.recipe.conftest import SMALLEST, Load
from tunewright.base.errors import RecipeError
from tunewright.recipe.schema import Recipe, Section


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
