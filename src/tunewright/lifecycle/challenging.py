"""The challenger rows: answered by the same systems, measured and kept apart from the held-out ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tunewright.base.quiet import quiet
from tunewright.data.dataset import CHALLENGER
from tunewright.lifecycle.job import Job
from tunewright.lifecycle.rewarding import metrics_of

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset
    from tunewright.evaluate import Answers, Evaluation


def challenge(job: Job, dataset: Dataset, adapter: Path) -> tuple[dict[str, Answers], Evaluation | None]:
    """Each system's answers to the challenger rows, and what they reach; nothing where there are no such rows."""
    from tunewright.evaluate import evaluate
    from tunewright.lifecycle.answering import answer_all
    from tunewright.metrics import place

    if not dataset.has_challenger:
        return {}, None
    with quiet():
        answers = answer_all(job, dataset, adapter, challenger=True)
    asked = job.recipe.evaluate
    found = evaluate(
        answers,
        answer_kind=dataset.answer_kind,
        seed=job.recipe.seed,
        metrics=place(metrics_of(job.recipe, dataset.answer_kind), job.workspace.cache),
        samples=asked.bootstrap_samples,
    )
    return answers, found


def store_both(answers: Mapping[str, Answers], challenged: Mapping[str, Answers], folder: Path) -> None:
    """Writes the answers to the held-out rows into a folder, and those to challenger rows into one of its own in it."""
    from tunewright.evaluate import store_answers

    store_answers(answers, folder)
    if challenged:
        store_answers(challenged, folder / CHALLENGER)
