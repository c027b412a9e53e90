"""Sets aside rows in which a column is empty."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from tunewright.data.frame import ROW_ID, ColumnsConfig, StepResult, check_columns, drop


class Config(ColumnsConfig):
    """Settings of `require`."""

    name: Literal["require"] = "require"
    columns: tuple[str, ...] = Field(
        (), description="Columns that must hold more than white space; empty: all that the conversation uses."
    )


def apply(frame: pl.DataFrame, config: Config) -> StepResult:
    """Drops rows that lack one of the columns; the reason names all that are empty."""
    check_columns(frame, config.columns, config.name)
    empty = [pl.when(pl.col(name).fill_null("").str.strip_chars() == "").then(pl.lit(name)) for name in config.columns]
    lacking = frame.select(pl.concat_str(empty, separator=", ", ignore_nulls=True))
    names = lacking.to_series()
    reasons = pl.select(pl.when(names != "").then("empty: " + names)).to_series()
    kept, edits = drop(frame, reasons)
    unusable = frozenset(frame[ROW_ID].filter(reasons.is_not_null()))
    return StepResult(kept, edits, {"rows_set_aside": len(unusable)}, unusable)
