"""What drawn answers are worth while a model trains: the grader that the recipe names, over the rows' own fields."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from tunewright.base.errors import InputError, RecipeError, TunewrightError, collect
from tunewright.base.plugins import METRICS, PluginConfig
from tunewright.data.fitting import PIECE
from tunewright.evaluate.graders import (
    GraderConfig,
    GradingError,
    Kind,
    Kit,
    Look,
    check_allowed,
    check_item,
    grade,
    parse_grader,
    sample_of,
)
from tunewright.metrics import default_metrics
from tunewright.train.ranks.place import place
from tunewright.train.rollouts import REWARD, Answered, Reward, Rewards

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset
    from tunewright.evaluate import Answers
    from tunewright.lifecycle.job import Job
    from tunewright.recipe import Recipe

__all__ = ["REWARD", "check_items", "grader_of", "metrics_of", "rewarded", "rewarding"]

_WHERE = "train.objective.grader"
# What an answer that cannot be graded counts for, as with OpenAI's graders.
_NOTHING = 0.0
# Faults of the grader or of whom it asks, and none of the answer: training on would teach from noise.
_NOT_THE_ANSWERS: tuple[Kind, ...] = (
    "formula_parse_error",
    "model_grader_server_error",
    "python_grader_server_error",
)
_AT_ONCE = 8


def grader_of(recipe: Recipe, *, runs_python: bool) -> GraderConfig:
    """The grader that a recipe's objective names.

    Raises:
        RecipeError: If it names none, or one that cannot be used here.
    """
    raw = getattr(recipe.train.objective, "grader", None)
    if not raw:
        raise RecipeError(
            f"'{recipe.train.objective.plugin}' draws answers, and nothing says what they are worth",
            where=_WHERE,
            hint="As in: {type: string_check, name: right, operation: eq, input: '{{sample.output_text}}', "
            "reference: '{{item.answer}}'}.",
        )
    try:
        config = parse_grader(raw, where=_WHERE)
    except InputError as error:
        raise RecipeError(error.what, where=error.where, hint=error.hint) from error
    try:
        check_allowed(config, runs_python=runs_python, where=_WHERE)
    except InputError as error:
        hint = "If you know what it does, allow it: --python-graders."
        raise RecipeError(error.what, where=error.where, hint=hint) from error
    return config


@contextmanager
def rewarding(job: Job, dataset: Dataset) -> Iterator[Rewards | None]:
    """What grades the answers of a run while open; None where its objective draws none.

    Raises:
        RecipeError: If the recipe names no grader that can be used here.
    """
    if not job.recipe.train.draws:
        yield None
    elif not place().is_first:
        yield _elsewhere
    else:
        config = grader_of(job.recipe, runs_python=job.means.runs_python)
        with _kit(job, config) as kit:
            yield _Grading(config, kit, _items(dataset))


def check_items(config: GraderConfig, dataset: Dataset) -> None:
    """Refuses a grader that asks for a field which some rows have not.

    Raises:
        RecipeError: Names the first of them.
    """
    faults = []
    for row, item in _items(dataset).items():
        try:
            check_item(config, json.loads(item))
        except GradingError as error:
            faults.append(f"row {row}: {error.what}")
    if faults:
        raise RecipeError(
            f"The grader asks {len(faults):,} rows for what they have not\n{collect(faults)}\n",
            where=_WHERE,
            hint="Correct its templates, or give the rows this field.",
        )


@contextmanager
def _kit(job: Job, config: GraderConfig) -> Iterator[Kit]:
    """What the grader may use; models are there for one that asks them, and no others are loaded."""
    from tunewright.lifecycle.grading import asker, grading_kit, models_of

    means = job.means
    if not config.judges():
        yield grading_kit(job.workspace, None, runs_python=means.runs_python)
        return
    with models_of(job.workspace, means.memory_bytes) as (fleet, patience):
        yield grading_kit(job.workspace, asker(fleet, means.project, patience), runs_python=means.runs_python)


def _elsewhere(answered: Sequence[Answered]) -> list[Reward]:
    raise TunewrightError("The first process alone grades answers")


def rewarded(job: Job, dataset: Dataset, answers: Answers) -> Answers:
    """A system's answers with what each is worth, where the run's objective draws answers; else as they are."""
    if not job.recipe.train.draws:
        return answers
    given = [Answered(each.id, each.prediction, each.stopped) for each in answers.answers]
    with rewarding(job, dataset) as rewards:
        assert rewards is not None
        found = rewards(given)
    graded = (replace(each, reward=reward.value) for each, reward in zip(answers.answers, found, strict=True))
    return replace(answers, answers=tuple(graded))


def metrics_of(recipe: Recipe, answer_kind: str) -> list[PluginConfig]:
    """What a recipe's answers are measured by: the metrics that it names, else those that fit, with the reward."""
    asked = list(recipe.evaluate.metrics)
    if asked:
        return asked
    found = default_metrics(answer_kind)
    if recipe.train.draws and REWARD not in [config.plugin for config in found]:
        found.append(METRICS.config(REWARD)())
    return found


def _items(dataset: Dataset) -> dict[str, str]:
    """Each row's fields, as JSON, by its id."""
    found: dict[str, str] = {}
    for part in dataset.manifest["splits"]:
        rows = pl.read_parquet(dataset.path / f"{part}.parquet", columns=["id", "item"])
        found |= dict(rows.iter_rows())
    return found


class _Grading:
    """Grades answers, several at a time, since a grader may wait for a program or a model.

    Args:
        config: The grader.
        kit: What it may use.
        items: Each row's fields, as JSON, by its id.
    """

    def __init__(self, config: GraderConfig, kit: Kit, items: Mapping[str, str]) -> None:
        self._config, self._kit, self._items = config, kit, items

    def __call__(self, answered: Sequence[Answered]) -> list[Reward]:
        """What each answer is worth.

        Raises:
            GradingError: If the fault is the grader's own, or that of a model it asks.
        """
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self._reward, answered))

    def _reward(self, one: Answered) -> Reward:
        # A piece of a row that was split is graded by the whole row's fields.
        item: dict[str, Any] = json.loads(self._items[one.id.partition(PIECE)[0]])
        try:
            return Reward(grade(self._config, Look(item, sample_of(one.text)), self._kit).score)
        except GradingError as error:
            if error.kind in _NOT_THE_ANSWERS:
                raise
            return Reward(_NOTHING, str(error))
