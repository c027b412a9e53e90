"""Drops near copies: rows whose texts share most of their character 4-grams with a better row's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import polars as pl
from pydantic import Field

from tunewright.data.folding import text_key
from tunewright.data.frame import LINE, RESERVED, ROLES, SOURCE, ColumnsConfig, StepResult, check_columns, drop
from tunewright.data.near import Hashes, Integers, near_copies


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


def apply(frame: pl.DataFrame, config: Config) -> StepResult:
    """Keeps the best of near copies: the row with the fewest empty cells, then the longest, then the first.

    Each row that goes is near to one that stays, and the log says to which and how near.
    """
    check_columns(frame, config.needed(), config.name)
    texts = frame.select(pl.concat_str(config.columns, separator="\n", ignore_nulls=True)).to_series()
    near = near_copies(
        texts.fill_null("").to_list(),
        threshold=config.threshold,
        rank=_rank(frame, config.columns),
        group=_groups(frame, config),
    )
    place = frame.select(pl.concat_str(SOURCE, pl.lit(":"), pl.col(LINE).cast(pl.String))).to_series()
    told = pl.DataFrame({"by": near.kept_by, "similarity": near.similarity}).select(
        pl.when(pl.col("by") >= 0).then(
            pl.concat_str(
                pl.lit("near copy of "),
                place.gather(pl.Series(near.kept_by).clip(lower_bound=0)),
                pl.lit(", similarity "),
                pl.col("similarity").round(2).cast(pl.String),
            )
        )
    )
    kept, edits = drop(frame, told.to_series())
    better = near.kept_by[near.kept_by >= 0]
    findings = {"near_copies": len(better), "clusters": len(set(better.tolist())), "not_all_compared": near.crowded}
    return StepResult(kept, edits, findings)


def _rank(frame: pl.DataFrame, columns: Sequence[str]) -> Integers:
    """Each row's place in the order of preference."""
    own = [name for name in frame.columns if name not in RESERVED]
    order = frame.select(
        pl.sum_horizontal((pl.col(name).fill_null("") == "").cast(pl.Int64) for name in own).alias("empty"),
        -pl.sum_horizontal(pl.col(name).str.len_chars().fill_null(0).cast(pl.Int64) for name in columns).alias(
            "length"
        ),
    ).select(pl.arg_sort_by("empty", "length", maintain_order=True))
    ranks: Integers = order.to_series().arg_sort().cast(pl.Int64).to_numpy()
    return ranks


def _groups(frame: pl.DataFrame, config: Config) -> Hashes:
    """A key that rows share if they may be compared: the same speakers, and, where asked, the same answer."""
    columns = [*(config.answer if config.answers == "same" else ()), *([ROLES] if ROLES in frame.columns else [])]
    rows = frame.select(columns).iter_rows() if columns else [()] * frame.height
    keys: Hashes = pl.Series([int(text_key(row)[:16], 16) for row in rows], dtype=pl.UInt64).to_numpy()
    return keys
