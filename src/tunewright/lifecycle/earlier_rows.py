"""Test rows that an adapter has learned from before this run, which begins from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tunewright.base.errors import DataError, WorkspaceError, collect
from tunewright.base.events import Message
from tunewright.lifecycle.job import Job

if TYPE_CHECKING:
    import polars as pl

    from tunewright.data.dataset import Dataset
    from tunewright.store import Stored
    from tunewright.store.lineage import Lineage

_TOGETHER = 10_000  # rows that are in memory at once
_DOCUMENT = "document"


def check_unseen(job: Job, dataset: Dataset, adapter: Stored) -> None:
    """Refuses test rows whose questions the adapter has learned from, but for white space and case, or tells of them.

    Documents ask nothing, and are not compared.

    Raises:
        DataError: If there are some, and `data.leakage` is not `report`.
    """
    from tunewright.data.leakage import find_leaks

    if dataset.answer_kind == _DOCUMENT or not dataset.table("test").height:
        return
    for earlier in _learned_from(job, job.workspace.lineage(adapter.hash, "adapter"), set()):
        if earlier.answer_kind == _DOCUMENT:
            continue
        leaks = find_leaks(_keyed(dataset, "test"), _keyed(earlier, "train"))
        if not leaks.ids:
            continue
        text = f"{len(leaks.ids):,} test rows stand in what the adapter has learned from (dataset {earlier.hash[:12]})"
        if job.recipe.data.leakage != "report":
            raise DataError(
                text,
                where="data.test",
                hint=f"Set data.parts_of: {earlier.hash[:12]}, so that its rows keep the part they had there, or "
                f"data.leakage: report. They are:\n{collect(leaks.places)}",
            )
        job.tell(Message(f"{text}: scores on them say what it remembers.", "warning"))


def _learned_from(job: Job, node: Lineage, done: set[str]) -> Iterator[Dataset]:
    """The datasets behind an adapter and behind those that it began from."""
    from tunewright.data.dataset import Dataset

    for parent in node.parents:
        if parent.hash in done:
            continue
        done.add(parent.hash)
        if parent.kind == "adapter":
            yield from _learned_from(job, parent, done)
        elif parent.kind == "dataset":
            try:
                yield Dataset.open(job.workspace.artifact(parent.hash, "dataset"))
            except WorkspaceError:
                text = f"The dataset {parent.hash[:12]}, which the adapter has learned from, is gone: whether test rows"
                job.tell(Message(f"{text} stand in it is not known.", "warning"))


def _keyed(dataset: Dataset, part: str) -> Iterator[pl.DataFrame]:
    """The rows of a part by what their questions are known by: `id, source, line, prompt_key`."""
    import polars as pl

    from tunewright.data.questions import prompt_key

    for rows in dataset.table(part).iter_slices(_TOGETHER):  # type: ignore[arg-type]
        keys = [prompt_key(messages) for messages in rows["messages"]]
        yield rows.select("id", "source", "line", pl.Series("prompt_key", keys, dtype=pl.String))
