"""Drops repeated records: texts that are the same after NFKC, case folding and folding of white space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import polars as pl
from pydantic import Field

from tunewright.data.folding import text_key
from tunewright.data.frame import LINE, ROLES, ROW_ID, SOURCE, ColumnsConfig, StepResult, check_columns, drop


class Config(ColumnsConfig):
    """Settings of `exact_duplicates`."""

    # A test set stays what its makers published; what it shares with train is the business of `data.leakage`.
    held_out: ClassVar[bool] = False

    name: Literal["exact_duplicates"] = "exact_duplicates"
    columns: tuple[str, ...] = Field((), description="Columns compared; empty: those that make up the prompt.")
    answer: tuple[str, ...] = Field((), description="Columns that answer them; empty: those that make up the answer.")
    conflicts: Literal["drop", "keep_first", "keep"] = Field(
        "drop",
        description="One text with several answers: drop all its rows, keep the first, or keep one row an answer.",
    )

    def bind(self, prompt: Sequence[str], answer: Sequence[str]) -> Self:
        columns, answers = self.columns or tuple(prompt), self.answer or tuple(answer)
        return self.model_copy(update={"columns": columns, "answer": answers})

    def needed(self) -> tuple[str, ...]:
        return (*self.columns, *self.answer)


def apply(frame: pl.DataFrame, config: Config) -> StepResult:
    """Keeps the first of each set of equal records. Rows whose compared columns are all empty are left alone."""
    check_columns(frame, config.needed(), config.name)
    compared = [*config.columns, *([ROLES] if ROLES in frame.columns else [])]
    filled = pl.any_horizontal(pl.col(name).str.strip_chars().str.len_chars() > 0 for name in config.columns)
    keys = frame.select(
        ROW_ID,
        _key(frame, compared).alias("text"),
        _key(frame, config.answer).alias("answer"),
        pl.concat_str(pl.col(SOURCE), pl.lit(":"), pl.col(LINE).cast(pl.String)).alias("place"),
        filled.fill_null(False).alias("filled"),
    )
    # One row is kept for each text, or, where conflicting answers may stay, for each text and answer.
    group = ("text", "answer") if config.conflicts == "keep" else ("text",)
    keys = keys.with_columns(
        (pl.col("filled") & (pl.col("answer").n_unique().over("text") > 1)).alias("conflict"),
        pl.col("answer").n_unique().over("text").cast(pl.String).alias("answers"),
        pl.first(ROW_ID, "place").over(*group).name.prefix("kept_"),
    )
    later = pl.col("filled") & (pl.col(ROW_ID) != pl.col(f"kept_{ROW_ID}"))
    if config.conflicts == "keep":
        contradicts, repeats = pl.lit(False), later
    else:
        contradicts = pl.col("conflict") & (later if config.conflicts == "keep_first" else pl.lit(True))
        repeats = later & ~pl.col("conflict")
    against = pl.col("answers") + " different answers to this text, first at " + pl.col("kept_place")
    reason = pl.when(contradicts).then(against).otherwise(pl.when(repeats).then("repeats " + pl.col("kept_place")))
    told = keys.select("text", "conflict", reason.alias("reason"), repeats.alias("repeats"), contradicts.alias("gone"))
    kept, edits = drop(frame, told["reason"])
    findings = {
        "duplicates": int(told["repeats"].sum()),
        "conflicting_texts": told.filter("conflict")["text"].n_unique(),
        "conflicting_rows": int(told["conflict"].sum()),
    }
    unusable = frame[ROW_ID].filter(told["gone"])
    return StepResult(kept, edits, findings, frozenset(unusable))


def _key(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    rows = frame.select(columns).iter_rows() if columns else [()] * frame.height
    return pl.Series([text_key(row) for row in rows], dtype=pl.String)
