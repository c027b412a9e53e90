"""What a run's slices are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tunewright.base.events import Listener
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
