"""What a run learns, as its recipe says."""

from __future__ import annotations

from tunewright.base.errors import RecipeError
from tunewright.base.plugins import OBJECTIVES
from tunewright.objectives._protocol import Objective
from tunewright.recipe.schema import Train


def chosen_objective(config: Train) -> Objective:
    """The objective that a recipe names.

    Raises:
        RecipeError: If it does not go with what else the recipe says of training.
    """
    objective: Objective = OBJECTIVES.call(config.objective.name, "build", config.objective)
    if (objective.needs_reference or config.draws) and config.label_smoothing:
        raise RecipeError(
            f"The objective '{config.objective.name}' compares answers, and smoothed ones cannot be compared",
            where="train.label_smoothing",
            hint="Take it out.",
        )
    return objective
