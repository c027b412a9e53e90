"""Drops near copies: rows whose texts share most of their character 4-grams with a better row's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from tunewright.data.folding import text_key
from tunewright.data.frame import (
    LINE,
    RESERVED,
    ROLES,
    SOURCE,
    ColumnsConfig,
    StepResult,
    check_columns,
    drop,
    row_key,
)
from tunewright.data.minhash import Hashes
from tunewright.data.near import NearIndex
from tunewright.data.pieces import Pieces

_LONGEST = 1 << 40  # characters; no text is longer, so one empty cell more outweighs any length


class Config(ColumnsConfig):
    """Settings of `near_duplicates`."""

    # A test set stays what its makers published.
    held_out: ClassVar[bool] = False

    name: Literal["near_duplicates"] = "near_duplicates"
    columns: tuple[str, ...] = Field((), description="Columns compared; empty: those that make up the prompt.")
    answer: tuple[str, ...] = Field((), description="Columns that answer them; empty: those that make up the answer.")
    threshold: float = Field(
        0.85, ge=0.5, le=1, description="Lowest Jaccard similarity of two texts' sets of 4 characters that counts."
    )
    answers: Literal["same", "any"] = Field(
        "same", description="Compare only rows with one answer, or let a near copy go whatever its answer."
    )

    def bind(self, prompt: Sequence[str], answer: Sequence[str]) -> Self:
        columns, answers = self.columns or tuple(prompt), self.answer or tuple(answer)
        return self.model_copy(update={"columns": columns, "answer": answers})

    def needed(self) -> tuple[str, ...]:
        return (*self.columns, *self.answer)


@dataclass(frozen=True, slots=True)
class Known:
    """The rows that have near copies, and those that stand in crowds.

    Args:
        rows: `row` (see `frame.row_key`), `reason` (why it goes, null where it stays), `keeps` (a better row than some
            that go), `crowded` (not compared with all that may be near).
    """

    rows: pl.DataFrame


def survey(pieces: Iterable[pl.DataFrame], config: Config) -> Known:
    """Finds the near copies of better rows: those with fewer empty cells, then the longer, then the earlier ones.

    Holds some hundred bytes a row; the texts, and where they come from, stay on disk.
    """
    merits: list[npt.NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    places = Pieces()
    with NearIndex() as index:
        for piece in pieces:
            check_columns(piece, config.needed(), config.name)
            texts = piece.select(pl.concat_str(config.columns, separator="\n", ignore_nulls=True)).to_series()
            index.add(texts.fill_null("").to_list(), _groups(piece, config))
            merits.append(_merits(piece, config.columns))
            places.add(piece.select(*_place()))
        ranks = _ranks(np.concatenate(merits))
        merits.clear()
        near = index.near(config.threshold, ranks)
    goes, better = np.flatnonzero(near.kept_by >= 0), near.kept_by[near.kept_by >= 0]
    keeps = np.zeros(len(near.kept_by), dtype=bool)
    keeps[better] = True
    noted = np.flatnonzero((near.kept_by >= 0) | keeps | near.crowd)
    rows = places.take(noted.tolist()).with_columns(
        pl.Series("number", noted), pl.Series("keeps", keeps[noted]), pl.Series("crowded", near.crowd[noted])
    )
    keeper = pl.DataFrame({"number": better, "of": goes, "similarity": near.similarity[goes]}).join(rows, on="number")
    reason = keeper.select(
        pl.col("of").alias("number"),
        pl.concat_str(
            pl.lit("near copy of "),
            pl.col("source"),
            pl.lit(":"),
            pl.col("line"),
            pl.lit(", similarity "),
            pl.col("similarity").round(2).cast(pl.String),
        ).alias("reason"),
    )
    places.discard()
    told = rows.join(reason, on="number", how="left", maintain_order="left")
    return Known(told.select("row", "keeps", "crowded", "reason"))


def apply(frame: pl.DataFrame, config: Config, known: Known) -> StepResult:
    """Keeps the best of near copies: each row that goes is near to one that stays, and the log says to which."""
    told = frame.select(row_key().alias("row")).join(known.rows, on="row", how="left", maintain_order="left")
    kept, edits = drop(frame, told["reason"])
    findings = {
        "near_copies": edits.height,
        "clusters": int(told["keeps"].sum()),
        "not_all_compared": int(told["crowded"].sum()),
    }
    return StepResult(kept, edits, findings)


def _merits(frame: pl.DataFrame, columns: Sequence[str]) -> npt.NDArray[np.int64]:
    """What makes a row better than a near copy, the lower the better: fewer empty cells, then a longer text."""
    own = [name for name in frame.columns if name not in RESERVED]
    empty = pl.sum_horizontal((pl.col(name).fill_null("") == "").cast(pl.Int64) for name in own)
    length = pl.sum_horizontal(pl.col(name).str.len_chars().fill_null(0).cast(pl.Int64) for name in columns)
    found: npt.NDArray[np.int64] = frame.select(((empty + 1) * _LONGEST - length).alias("merit"))["merit"].to_numpy()
    return found


def _ranks(merits: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Each row's position in the order of merit; of equal ones the earlier is the better."""
    ranks = np.empty(len(merits), dtype=np.int64)
    ranks[np.argsort(merits, kind="stable")] = np.arange(len(merits))
    return ranks


def _place() -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    return row_key().alias("row"), pl.col(SOURCE).alias("source"), pl.col(LINE).alias("line")


def _groups(frame: pl.DataFrame, config: Config) -> Hashes:
    """A key that rows share if they may be compared: the same speakers, and, where asked, the same answer."""
    columns = [*(config.answer if config.answers == "same" else ()), *([ROLES] if ROLES in frame.columns else [])]
    rows = frame.select(columns).iter_rows() if columns else [()] * frame.height
    keys: Hashes = pl.Series([int(text_key(row)[:16], 16) for row in rows], dtype=pl.UInt64).to_numpy()
    return keys
