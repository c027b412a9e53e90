"""What would fail only hours later, found before training begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunewright.base.errors import RecipeError, did_you_mean
from tunewright.base.plugins import METRICS
from tunewright.lifecycle.answering import BAG_OF_WORDS, FEW_SHOT, systems, test_rows
from tunewright.lifecycle.choosing import settle_method
from tunewright.lifecycle.job import Job
from tunewright.recipe import Recipe

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset


def check_fits(job: Job) -> None:
    """Refuses a base model that cannot be trained in this machine's memory.

    Raises:
        OutOfMemoryError: Says how much it takes, how much is free, and what would make it fit.
    """
    from tunewright.models.base import pick_dtype
    from tunewright.models.memory import check_memory

    settle_method(job)  # what fits depends on the method
    recipe = job.recipe
    check_memory(
        job.base_files(),
        method=recipe.method,
        nodes=recipe.train.node_budget,
        dtype=pick_dtype(recipe.train.dtype),
    )


def check_evaluation(recipe: Recipe, dataset: Dataset) -> None:
    """Refuses a recipe whose evaluation could not be done, or whose success could not be judged.

    Raises:
        RecipeError: If a metric under `success` will not be measured, or a system cannot answer.
        InputError: If there are fewer training rows than worked examples.
    """
    from tunewright.evaluate import choose_shots

    asked = systems(recipe, dataset.answer_kind)
    if dataset.answer_kind == "text" and BAG_OF_WORDS in asked:
        raise RecipeError(
            "A bag-of-words classifier cannot give free text",
            where="evaluate.systems",
            hint="Leave bag_of_words out, or set data.answer if the answers are labels or JSON.",
        )
    if FEW_SHOT in asked:
        choose_shots(dataset.examples("train"), recipe.evaluate.shots, recipe.seed)
    measured = metric_names(recipe, dataset)
    for metric in recipe.success:
        if metric not in measured:
            raise RecipeError(
                f"The metric '{metric}' will not be measured",
                where=f"success.{metric}",
                hint=f"{did_you_mean(metric, measured)}Measured: {', '.join(measured)}.",
            )


def metric_names(recipe: Recipe, dataset: Dataset) -> list[str]:
    """The names of what will be measured, found by measuring the reference answers themselves."""
    from tunewright.metrics import Answer, default_metrics

    perfect = [Answer(row.id, row.answer, row.answer, nats=0.0, tokens=1) for row in test_rows(recipe, dataset)]
    configs = list(recipe.evaluate.metrics) or default_metrics(dataset.answer_kind)
    names: list[str] = []
    for config in configs:
        measures = METRICS.call(config.plugin, "measure", config, perfect)
        names += [measure.name for measure in measures]
    return [*names, "cut"]
