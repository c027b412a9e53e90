"""What the steps and inspections by meaning read from a frame."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tunewright.data.frame import LINE, SOURCE


def texts_of(frame: pl.DataFrame, columns: Sequence[str]) -> list[str]:
    """Each row's text: its columns that are not null, a line each; empty where all are, or hold white space only."""
    joined = frame.select(pl.concat_str(columns, separator="\n", ignore_nulls=True)).to_series().fill_null("")
    return ["" if not text.strip() else text for text in joined]


def places_of(frame: pl.DataFrame) -> list[str]:
    """Where each row came from, as `file:line`."""
    return frame.select(pl.concat_str(SOURCE, pl.lit(":"), pl.col(LINE).cast(pl.String))).to_series().to_list()
