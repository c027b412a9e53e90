"""What would fail only hours later, found before training begins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tunewright.base.errors import RecipeError, did_you_mean
from tunewright.lifecycle import beginning, rewarding
from tunewright.lifecycle.answering import BAG_OF_WORDS, CLASSIFIED, FEW_SHOT, systems, test_rows
from tunewright.lifecycle.choosing import settle_memory, settle_method
from tunewright.lifecycle.earlier_rows import check_unseen
from tunewright.lifecycle.gating import check_gate_names
from tunewright.lifecycle.job import Job
from tunewright.lifecycle.report.words import less_is_better
from tunewright.recipe import Recipe

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset


def check_fits(job: Job) -> None:
    """Refuses training that does not fit in this machine's memory, by the largest piece that the rows make.

    Raises:
        OutOfMemoryError: Says how much it takes, how much is free, and what would make it fit.
    """
    settle_method(job)  # what fits depends on the method
    settle_memory(job)


def check_adapter(job: Job, dataset: Dataset) -> None:
    """Refuses an adapter to begin from that was trained on another base, or on rows that are to measure it.

    Raises:
        RecipeError: If the base is another.
        DataError: If it has learned from test rows, and `data.leakage` is not `report`.
    """
    if adapter := beginning.adapter_of(job.run, job.workspace):
        beginning.check_base(adapter, job.base_files())
        check_unseen(job, dataset, adapter)


def check_grader(job: Job, dataset: Dataset) -> None:
    """Refuses a grader that asks rows for fields that they have not.

    Raises:
        RecipeError: Names rows and fields.
    """
    if job.recipe.train.draws:
        rewarding.check_items(rewarding.grader_of(job.recipe, runs_python=job.means.runs_python), dataset)


def check_context(job: Job) -> None:
    """Refuses rows longer than the model's context, whose positions it has never met.

    Raises:
        RecipeError: If `data.max_length`, with the method's virtual tokens, is more than the base reads.
    """
    longest, context = job.recipe.data.max_length, job.base_files().context_length
    virtual = int(getattr(job.recipe.method, "tokens", 0))
    if longest + virtual > context:
        beside = f" with the {virtual:,} virtual tokens of the method '{job.recipe.method.plugin}'" if virtual else ""
        raise RecipeError(
            f"{longest:,} tokens{beside} are more than the base's context of {context:,}",
            where="data.max_length",
            hint=f"Set data.max_length to {context - virtual:,} or less, or use a base with a longer context.",
        )


def check_family(job: Job, dataset: Dataset) -> None:
    """Refuses an objective or a method that does not fit the base's family, or an objective that does not fit the rows.

    Raises:
        RecipeError: Says what does.
    """
    from tunewright.models.families import check_family, head_of

    objective = job.recipe.train.objective
    check_family(job.base_files().kind, objective, job.recipe.method)
    needed = {"label": "label", "tag": "tags"}.get(head_of(objective))
    if needed and dataset.answer_kind != needed:
        raise RecipeError(
            f"'{objective.plugin}' learns from answers of the kind '{needed}', and these are of the kind "
            f"'{dataset.answer_kind}'",
            where="train.objective",
            hint=f"Set data.answer to {needed} if that is what they are, or train.objective to sft.",
        )


def check_test_rows(job: Job, dataset: Dataset) -> None:
    """Refuses a run that ends in an evaluation and has no row for it (`data.split.minimum_test_rows: 0`).

    Raises:
        RecipeError: Says how to hold some out.
    """
    if job.run.kind == "run" and dataset.answer_kind != "document" and not dataset.table("test").height:
        raise RecipeError(
            "There is no test row, and a run measures what it has trained",
            where="data.split.test",
            hint="Hold some out, name a file under data.test, or train alone with: tunewright train.",
        )


def check_evaluation(recipe: Recipe, dataset: Dataset) -> None:
    """Refuses a recipe whose evaluation could not be done, or whose success could not be judged.

    Raises:
        RecipeError: If a metric under `success` will not be measured, or a system cannot answer.
        InputError: If there are fewer training rows than worked examples, or a probe lacks what it needs.
    """
    from tunewright.evaluate.answer import check_shots

    asked = systems(recipe, dataset.answer_kind)
    if dataset.answer_kind not in CLASSIFIED and BAG_OF_WORDS in asked:
        raise RecipeError(
            "A bag-of-words classifier cannot give free text",
            where="evaluate.systems",
            hint="Leave bag_of_words out, or set data.answer if the answers are labels or JSON.",
        )
    if dataset.answer_kind == "document" and FEW_SHOT in asked:
        raise RecipeError(
            "Documents ask nothing that worked examples could help with",
            where="evaluate.systems",
            hint="Leave base_few_shot out.",
        )
    if dataset.answer_kind == "prompt" and FEW_SHOT in asked:
        raise RecipeError(
            "Rows without answers make no worked examples",
            where="evaluate.systems",
            hint="Leave base_few_shot out.",
        )
    if FEW_SHOT in asked:
        check_shots(dataset.table("train").height, recipe.evaluate.shots)
    measured = metric_names(recipe, dataset)
    for metric in recipe.success:
        if metric not in measured:
            raise RecipeError(
                f"The metric '{metric}' will not be measured",
                where=f"success.{metric}",
                hint=f"{did_you_mean(metric, measured)}Measured: {', '.join(measured)}.",
            )
    check_gate_names(recipe, dataset, measured)
    _check_best(recipe, dataset, measured)


def _check_best(recipe: Recipe, dataset: Dataset, measured: list[str]) -> None:
    """Refuses a `train.best` that could not choose anything."""
    best = recipe.train.best_score
    if not best or (recipe.train.draws and best == rewarding.REWARD):
        return
    known = ["loss", "last", *(name for name in measured if name != "cut" and not less_is_better(name))]
    if best not in known:
        raise RecipeError(
            f"'{best}' cannot choose the best weights",
            where="train.best",
            hint=f"{did_you_mean(best, known)}What can: {', '.join(known)}.",
        )
    if not dataset.table("validation").height:
        raise RecipeError(
            f"There are no validation rows to measure '{best}' on",
            where="train.best",
            hint="Hold some out (data.split.validation), or set train.best to loss.",
        )


def metric_names(recipe: Recipe, dataset: Dataset) -> list[str]:
    """The names of what will be measured, found by measuring the reference answers themselves; none without rows."""
    from tunewright.metrics import Answer, measure_names

    if dataset.answer_kind == "document":
        perfect = [Answer("document", "", "", nats=0.0, tokens=1, bytes=1)]
    else:
        known = Answer("", "", "", nats=0.0, tokens=1, probability=1.0, seconds=0.0, read=1, written=1, reward=1.0)
        perfect = [
            replace(known, id=row.id, reference=row.answer, prediction=row.answer) for row in test_rows(recipe, dataset)
        ]
    if not perfect:
        return []
    configs = rewarding.metrics_of(recipe, dataset.answer_kind)
    names: list[str] = []
    for config in configs:
        names += measure_names(config, perfect)
    return [*names, "cut"]
