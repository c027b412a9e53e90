"""Challenger rows: measured apart, and never learned from, by any run of a workspace.

A challenger set is kept by what its users say, folded and hashed: an artifact of kind `challenger`. Whoever prepares
rows in the same workspace later, by whatever recipe, is told of those among them, and they leave what is learned.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from tunewright.base.errors import DataError
from tunewright.base.events import Listener, Message, ignore
from tunewright.data.clean import LOG
from tunewright.data.dataset import CHALLENGER, Dataset, Part, Shelf
from tunewright.data.folding import text_key
from tunewright.data.pieces import Chosen, Pieces
from tunewright.data.questions import asked

_FILE = "keys.parquet"
_KEY = "key"
# Validation rows choose the best weights, so they are learned from in a way.
_LEARNED: tuple[Part, ...] = ("train", "validation")


def bar_challengers(
    parts: dict[Part, Chosen], shelf: Shelf, listener: Listener = ignore
) -> tuple[dict[Part, Chosen], Pieces]:
    """Takes the rows of every challenger set that a workspace has ever had out of what is learned, and says so.

    Returns:
        The parts without them, and the rows that left, as the record of edits has them.

    Raises:
        DataError: If a set cannot be read, or nothing is left to learn from.
    """
    log = Pieces.of([pl.DataFrame(schema=LOG)])
    known = _known(shelf)
    if not known:
        return parts, log
    found = dict(parts)
    for part in _LEARNED:
        barred = [
            prompt
            for piece in parts[part]
            for prompt, key in zip(piece["prompt_key"], _keys(piece), strict=True)
            if key in known
        ]
        found[part], gone = parts[part].without(frozenset(barred))
        for piece in gone:
            log.add(_log(piece))
    if not found["train"].height:
        raise DataError(
            "Every training row is in a challenger set of this workspace",
            where="data.train",
            hint="Take other rows, or another workspace.",
        )
    if log.height:
        are = "row is" if log.height == 1 else "rows are"
        text = f"{log.height:,} {are} in a challenger set of this workspace, and left what is learned."
        listener(Message(text, "warning"))
    return found, log


def keep_challengers(rows: Chosen | None, dataset: Dataset, shelf: Shelf, *, producer: str) -> Dataset:
    """Notes a dataset's challenger rows, if it has such, in its workspace, for all runs to come; gives the dataset."""
    if rows is None:
        return dataset
    keys = sorted({key for piece in rows for key in _keys(piece)})

    def fill(folder: Path) -> None:
        pl.DataFrame({_KEY: keys}, schema={_KEY: pl.String}).write_parquet(folder / _FILE)

    manifest: dict[str, Any] = {"rows": len(keys), "recipe": dataset.manifest.get("recipe", "")}
    shelf.put(CHALLENGER, fill, manifest=manifest, parents=[dataset.hash], producer=producer)
    return dataset


def _known(shelf: Shelf) -> frozenset[str]:
    found: set[str] = set()
    for stored in shelf.artifacts(CHALLENGER):
        try:
            found.update(pl.read_parquet(stored.path / _FILE)[_KEY])
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DataError(
                "A challenger set of this workspace cannot be read, so its rows cannot be kept out of training",
                where=str(stored.path),
                hint="Put the folder back, or prepare the recipe that brought it again.",
            ) from error
    return frozenset(found)


def _keys(piece: pl.DataFrame) -> list[str]:
    return [text_key([asked(record, {})]) for record in piece.select("messages").iter_rows(named=True)]


def _log(gone: pl.DataFrame) -> pl.DataFrame:
    return gone.select(
        pl.col("id").alias("row_id"),
        pl.lit(CHALLENGER).alias("step"),
        pl.lit(None, pl.String).alias("field"),
        pl.struct("messages").struct.json_encode().alias("before"),
        pl.lit(None, pl.String).alias("after"),
        pl.lit("is in a challenger set of this workspace").alias("reason"),
        "source",
        "line",
    )
