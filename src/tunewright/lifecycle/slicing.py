"""What a run's slices are made of, and the check that they can be made, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import RecipeError, did_you_mean
from tunewright.base.events import Listener
from tunewright.lifecycle.answering import test_rows
from tunewright.lifecycle.job import Job, within

if TYPE_CHECKING:
    from tunewright.data.dataset import Dataset
    from tunewright.evaluate import Slicing


def slicing_of(job: Job, dataset: Dataset | None) -> Slicing | None:
    """What the held-out rows are looked at apart by; None where the recipe asks for nothing.

    Args:
        job: The run.
        dataset: What was learned from; None where that is not known.
    """
    from tunewright.data.meaning.embedding import ENCODER, STAGE, Embedder
    from tunewright.evaluate import Slicing

    if not job.recipe.evaluate.slices:
        return None
    listener: Listener = within(job.tell, {STAGE: "evaluate"})

    def embed(texts: Sequence[str]) -> Any:
        return Embedder.open(ENCODER, job.workspace.cache, listener).embed(texts)

    if dataset is None or dataset.answer_kind == "document":
        return Slicing(job.recipe.evaluate.slices, [], embed)
    training = dataset.table("train")["answer"].to_list()
    return Slicing(job.recipe.evaluate.slices, training, embed)


def check_slices(job: Job, dataset: Dataset) -> None:
    """Refuses slices by columns that the held-out rows do not have, and topics without an encoder.

    Raises:
        RecipeError: If rows cannot be told apart so, or do not have the column of `evaluate.clusters`.
        ModelError: If the text encoder is not on this machine.
    """
    from tunewright.data.meaning.embedding import ENCODER
    from tunewright.evaluate import unknown_cuts
    from tunewright.models.encoder import find_encoder

    asked = job.recipe.evaluate
    if "topic" in asked.slices:
        find_encoder(ENCODER, job.workspace.cache)
    rows = [] if dataset.answer_kind == "document" else test_rows(job.recipe, dataset)
    columns = list(dict.fromkeys(["source", *(name for row in rows for name in row.columns)]))
    for name, hint in unknown_cuts(asked.slices, columns).items():
        raise RecipeError(f"The held-out rows have no column '{name}'", where="evaluate.slices", hint=hint)
    if asked.clusters and asked.clusters not in columns:
        raise RecipeError(
            f"The held-out rows have no column '{asked.clusters}'",
            where="evaluate.clusters",
            hint=f"{did_you_mean(asked.clusters, columns)}Columns: {', '.join(columns)}.",
        )
