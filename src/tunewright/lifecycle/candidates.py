"""What a recipe's answers are chosen among, where they are chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunewright.base.errors import RecipeError
from tunewright.models.families import head_of
from tunewright.recipe import Recipe

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset

_WHERE = "evaluate.candidates"
_CHOSEN = ("label", "text")  # kinds of answers


def candidates_of(recipe: Recipe, dataset: Dataset) -> tuple[str, ...]:
    """The candidates, in their order; none where answers are written.

    Raises:
        RecipeError: If answers are to be chosen that a head of classes gives, or that are no labels.
    """
    wanted = recipe.evaluate.candidates
    if wanted == "none":
        return ()
    if head_of(recipe.train.objective):
        raise RecipeError(
            f"'{recipe.train.objective.plugin}' trains a head of classes, which chooses by itself",
            where=_WHERE,
            hint="Take it out.",
        )
    if dataset.answer_kind not in _CHOSEN or (wanted == "labels" and dataset.answer_kind != "label"):
        raise RecipeError(
            f"Answers of kind '{dataset.answer_kind}' are written, and not chosen",
            where=_WHERE,
            hint="Set it to none, or name the texts to choose among where answers are text.",
        )
    if wanted == "labels":
        return tuple(sorted({example.answer.strip() for example in dataset.examples("train")}))
    return wanted
