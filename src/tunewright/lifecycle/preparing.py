"""The first stages: the dataset, and the look at it before any training."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tunewright.base.events import Message
from tunewright.base.memory import LITTLE, give_back
from tunewright.base.quiet import quiet
from tunewright.lifecycle.job import Job, within

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset
    from tunewright.data.preflight import Preflight
    from tunewright.data.tokens import TokenTable


def prepare(job: Job) -> Dataset:
    """Reads, cleans and splits the records: the dataset artifact."""
    from tunewright.data.collect import collect
    from tunewright.data.dataset import Dataset
    from tunewright.data.prepare import prepare
    from tunewright.lifecycle.augment_trial import try_augmented

    def work() -> tuple[Dataset, dict[str, Any]]:
        listener = within(job.tell, {"data": "prepare", "read": "prepare"}, own="prepare")
        with quiet():
            cache = job.workspace.cache
            recipe = collect(job.recipe, cache=cache, listener=listener)
            trial = partial(try_augmented, cache=cache, listener=listener)
            dataset = prepare(recipe, job.workspace, listener=listener, producer=job.run.id, cache=cache, trial=trial)
        return dataset, {"dataset": dataset.hash}

    return job.stage("prepare", work, lambda record: Dataset.open(job.workspace.artifact(record["dataset"], "dataset")))


def preflight(job: Job) -> Preflight:
    """Looks before training: lengths, what is learned, what would fail hours later. Stops where the data are no good.

    Raises:
        DataError: If too many rows are unusable, or nothing is learned.
        OutOfMemoryError: If base and adapter cannot fit in this machine's memory.
        RecipeError: If `success` or `evaluate` ask for what will not be measured, or rows may be longer than the
            model's context.
    """
    from tunewright.data.preflight import Preflight, check_preflight
    from tunewright.data.preflight import preflight as look
    from tunewright.lifecycle.champion import check_champion
    from tunewright.lifecycle.foresight import (
        check_adapter,
        check_context,
        check_evaluation,
        check_family,
        check_fits,
        check_grader,
        check_test_rows,
    )
    from tunewright.lifecycle.slicing import check_slices

    def work() -> tuple[Preflight, dict[str, Any]]:
        dataset = prepare(job)
        check_family(job, dataset)
        with quiet():
            check_adapter(job, dataset)
            check_grader(job, dataset)
            check_context(job)
            check_test_rows(job, dataset)
            check_evaluation(job.recipe, dataset)
            check_slices(job, dataset)
            check_champion(job, dataset)
            check_fits(job)
            found = look(dataset, token_tables(job), job.chat(), job.recipe)
        give_back(beyond=LITTLE)  # what is kept now is kept beside the training
        for warning in found.warnings:
            job.run.emit(Message(warning, "warning"))  # kept with the run; who watches sees them in the table
        return found, {"preflight": found.as_json()}

    found = job.stage("preflight", work, lambda record: Preflight.from_json(record["preflight"]))
    check_preflight(found, job.recipe)  # behind the stage, so that who watches sees the table before the refusal
    return found


def token_tables(job: Job) -> dict[str, TokenTable]:
    """The tokens of the training, validation and general rows, from the cache where they are there."""
    from tunewright.data.tokens import tokenize_parts

    if "tables" not in job.results:
        job.results["tables"] = tokenize_parts(
            prepare(job), job.recipe, job.chat(), cache=job.workspace.cache, listener=job.tell
        )
    tables: dict[str, TokenTable] = job.results["tables"]
    return tables
