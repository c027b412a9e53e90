"""Small frames for testing steps."""

from __future__ import annotations

import polars as pl

from tunewright.data.frame import LINE, ROW_ID, SOURCE


def frame_of(**columns: list[str | None]) -> pl.DataFrame:
    """A frame with these columns; rows are called r1, r2, … and stand on lines 1, 2, … of `f`."""
    count = len(next(iter(columns.values())))
    return pl.DataFrame(
        {
            ROW_ID: [f"r{index}" for index in range(1, count + 1)],
            SOURCE: ["f"] * count,
            LINE: list(range(1, count + 1)),
            **{name: pl.Series(values, dtype=pl.String) for name, values in columns.items()},
        }
    )
