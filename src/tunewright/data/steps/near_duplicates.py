"""Drops near copies: rows whose texts share most of their character 4-grams with a better row's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
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

    Holds some hundred bytes a row; the texts stay on disk.
    """
    places = []
    with NearIndex() as index:
        for piece in pieces:
            check_columns(piece, config.needed(), config.name)
            texts = piece.select(pl.concat_str(config.columns, separator="\n", ignore_nulls=True)).to_series()
            index.add(texts.fill_null("").to_list(), _groups(piece, config))
            places.append(piece.select(*_merits(piece, config.columns), *_place()))
        rows = pl.concat(places)
        ranks = rows.select(pl.arg_sort_by("empty", "length", maintain_order=True)).to_series().arg_sort()
        near = index.near(config.threshold, ranks.cast(pl.Int64).to_numpy())
    goes, better = np.flatnonzero(near.kept_by >= 0), near.kept_by[near.kept_by >= 0]
    keeper = rows[better]
    reason = pl.DataFrame(
        {
            "number": goes,
            "reason": keeper.select(
                pl.concat_str(
                    pl.lit("near copy of "),
                    pl.col("source").cast(pl.String),
                    pl.lit(":"),
                    pl.col("line"),
                    pl.lit(", similarity "),
                    pl.Series(near.similarity[goes]).round(2).cast(pl.String),
                )
            ).to_series(),
        }
    )
    flags = pl.DataFrame({"keeps": np.bincount(better, minlength=rows.height) > 0, "crowded": near.crowd})
    told = rows.select("row").hstack(flags).with_row_index("number").with_columns(pl.col("number").cast(pl.Int64))
    told = told.join(reason, on="number", how="left", maintain_order="left")
    noted = pl.col("reason").is_not_null() | pl.col("keeps") | pl.col("crowded")
    return Known(told.filter(noted).drop("number"))


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


def _merits(frame: pl.DataFrame, columns: Sequence[str]) -> tuple[pl.Expr, pl.Expr]:
    """What makes a row better than a near copy: the lower the better."""
    own = [name for name in frame.columns if name not in RESERVED]
    empty = pl.sum_horizontal((pl.col(name).fill_null("") == "").cast(pl.Int32) for name in own)
    length = pl.sum_horizontal(pl.col(name).str.len_chars().fill_null(0).cast(pl.Int32) for name in columns)
    return empty.alias("empty"), (-length).alias("length")


def _place() -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    return row_key().alias("row"), pl.col(SOURCE).cast(pl.Categorical).alias("source"), pl.col(LINE).alias("line")


def _groups(frame: pl.DataFrame, config: Config) -> Hashes:
    """A key that rows share if they may be compared: the same speakers, and, where asked, the same answer."""
    columns = [*(config.answer if config.answers == "same" else ()), *([ROLES] if ROLES in frame.columns else [])]
    rows = frame.select(columns).iter_rows() if columns else [()] * frame.height
    keys: Hashes = pl.Series([int(text_key(row)[:16], 16) for row in rows], dtype=pl.UInt64).to_numpy()
    return keys
