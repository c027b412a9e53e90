"""Edits that a recipe takes back: the step runs, and what it did to those cells and rows is put back at once.

So the bytes are those that stood there before the step, and the steps after it work on them as on any others.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tunewright.data.frame import ROW_ID, StepResult
from tunewright.recipe.undo import Undo

UNDONE = "undone"


def undo_edits(before: pl.DataFrame, result: StepResult, step: str, undo: Sequence[Undo]) -> StepResult:
    """What a step gives, without the edits that are taken back.

    Args:
        before: The rows as the step found them.
        result: What it made of them.
        step: Its name.
        undo: What the recipe takes back.

    Returns:
        Cells with their bytes from before, dropped rows in their place again; `findings` counts them as `undone`.
    """
    wanted = [each for each in undo if each.step in ("", step)]
    if not wanted or result.edits.is_empty():
        return result
    taken = result.edits.select(pl.any_horizontal(edits_of(each.row, each.field) for each in wanted)).to_series()
    if not taken.any():
        return result
    back = result.edits.filter(taken)
    returned = set(back.filter(pl.col("field").is_null())["row_id"])
    frame = _with_rows(before, result.frame, returned)
    # An undo of a dropped row is one of all that the step did to it, so only rows that stayed have cells to restore.
    cells = back.filter(pl.col("field").is_not_null() & ~pl.col("row_id").is_in(sorted(returned)))
    return StepResult(
        _with_cells(before, frame, cells),
        result.edits.filter(~taken),
        {**result.findings, UNDONE: back.height},
        result.unusable - returned,
    )


def edits_of(row: str, field: str) -> pl.Expr:
    """Whether an edit is of this row and this field; an empty name means any."""
    said = [pl.col("row_id").is_not_null()]
    if row:
        said.append(pl.col("row_id") == row)
    if field:
        said.append(pl.col("field").eq_missing(field))
    return pl.all_horizontal(said)


def _with_rows(before: pl.DataFrame, after: pl.DataFrame, returned: set[str]) -> pl.DataFrame:
    """The rows that a step kept, and those that come back as they were, in their old order."""
    if not returned:
        return after
    order = before.select(ROW_ID).with_row_index("_place")
    both = pl.concat([after, before.filter(pl.col(ROW_ID).is_in(sorted(returned)))])
    return both.join(order, on=ROW_ID, how="left").sort("_place").drop("_place")


def _with_cells(before: pl.DataFrame, frame: pl.DataFrame, cells: pl.DataFrame) -> pl.DataFrame:
    """The frame with these cells as they were."""
    for (field,), edits in cells.group_by("field"):
        rows = pl.col(ROW_ID).is_in(edits["row_id"].unique().sort().to_list())
        old = before.select(ROW_ID, pl.col(str(field)).alias("_before"))
        joined = frame.join(old, on=ROW_ID, how="left", maintain_order="left")
        frame = joined.with_columns(pl.when(rows).then("_before").otherwise(str(field)).alias(str(field)))
        frame = frame.drop("_before")
    return frame
