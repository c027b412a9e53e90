"""Challenger rows: measured apart, and never learned from, by any run of a workspace.

A challenger set is kept by what its users say, folded and hashed: an artifact of kind `challenger`. Whoever prepares rows
in the same workspace later, by whatever recipe, is told of those among them, and they leave what is learned.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tunewright.base.errors import DataError
from tunewright.data.clean import LOG
from tunewright.data.dataset import CHALLENGER, Dataset, Part, Shelf
from tunewright.data.folding import text_key
from tunewright.data.pieces import Chosen, Pieces
from tunewright.data.questions import asked

_FILE = "keys.parquet"
_KEY = "key"
# Validation rows choose the best weights, so they are learned from in a way.
_LEARNED: tuple[Part, ...] = ("train", "validation")


@dataclass(frozen=True)
class Barred:
    """What a workspace's challenger sets keep out of training.

    Args:
        parts: The parts without such rows.
        log: The rows that left, for the record of edits.
        rows: How many they are.
    """

    parts: dict[Part, Chosen]
    log: Pieces
    rows: int

    @property
    def told(self) -> str:
        """What people should hear; empty where no row left."""
        are = "row is" if self.rows == 1 else "rows are"
        return (
            f"{self.rows:,} {are} in a challenger set of this workspace, and left what is learned." if self.rows else ""
        )


def bar_challengers(parts: dict[Part, Chosen], shelf: Shelf) -> Barred:
    """Takes the rows of every challenger set that a workspace has ever had out of what is learned.

    Raises:
        DataError: If a set cannot be read, or nothing is left to learn from.
    """
    log = Pieces.of([pl.DataFrame(schema=LOG)])
    known = _known(shelf)
    if not known:
        return Barred(parts, log, 0)
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
    return Barred(found, log, log.height)


def keep_challengers(rows: Iterable[pl.DataFrame], dataset: Dataset, shelf: Shelf, *, producer: str) -> None:
    """Notes a dataset's challenger rows in its workspace, for all runs to come."""
    keys = sorted({key for piece in rows for key in _keys(piece)})

    def fill(folder: Path) -> None:
        pl.DataFrame({_KEY: keys}, schema={_KEY: pl.String}).write_parquet(folder / _FILE)

    manifest: dict[str, Any] = {"rows": len(keys), "recipe": dataset.manifest.get("recipe", "")}
    shelf.put(CHALLENGER, fill, manifest=manifest, parents=[dataset.hash], producer=producer)


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
