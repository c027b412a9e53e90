"""The table that steps clean: one row a record, all columns text, and the log of every change.

Beside the record's own columns a frame holds the reserved ones below. Rows of the template, prompt/completion and
instruction formats keep their columns. Conversations are flattened: `messages[0].content`, `messages[1].content`, … up
to the last answer, which stands under `answer`; calls of tools stand beside them as JSON (`messages[1].tool_calls`,
`answer.tool_calls`). `_roles` keeps who speaks and what is learned, and `_tools` what may be called, so that the
conversation can be folded back. A step names such columns like any others. `_item` is the whole record as JSON, where
graders will read it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import polars as pl
from pydantic import Field

from tunewright.base.errors import DataError, did_you_mean
from tunewright.base.events import Listener, ignore
from tunewright.base.plugins import PluginConfig

ROW_ID = "_row_id"
SOURCE = "_source"
LINE = "_line"
ROLES = "_roles"
TOOLS = "_tools"
ITEM = "_item"
RESERVED = (ROW_ID, SOURCE, LINE, ROLES, TOOLS, ITEM)

EDITS: dict[str, Any] = {
    "row_id": pl.String,
    "field": pl.String,
    "before": pl.String,
    "after": pl.String,
    "reason": pl.String,
}


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step gives back.

    Args:
        frame: The cleaned frame; a subset of the rows, same columns, same order.
        edits: A row for each changed cell and each dropped row (`row_id, field, before, after, reason`). A dropped row
            has no field and no `after`; its `before` is the whole record as JSON, so that it can be put back.
        findings: Counts, by name.
        unusable: Ids of the dropped rows that count as unusable; the others are merely redundant.
    """

    frame: pl.DataFrame
    edits: pl.DataFrame
    findings: dict[str, int]
    unusable: frozenset[str] = field(default_factory=frozenset)


class StepConfig(PluginConfig):
    """Settings of a step."""

    # Whether the step also runs on validation and test files that the recipe names itself.
    held_out: ClassVar[bool] = True

    def bind(self, prompt: Sequence[str], answer: Sequence[str]) -> Self:
        """The settings for a conversation made of these columns; column lists left empty are filled in."""
        return self

    def needed(self) -> tuple[str, ...]:
        """The columns that the settings name."""
        return ()

    def at(self, cache: Path | None, listener: Listener = ignore) -> Self:
        """The settings in a workspace whose cache is there; steps that use models find them in it. None: nowhere."""
        return self


class ColumnsConfig(StepConfig):
    """Settings of a step that works on several columns."""

    columns: tuple[str, ...] = Field((), description="Columns to work on; empty: all that the conversation uses.")

    def bind(self, prompt: Sequence[str], answer: Sequence[str]) -> Self:
        return self if self.columns else self.model_copy(update={"columns": tuple(dict.fromkeys((*prompt, *answer)))})

    def needed(self) -> tuple[str, ...]:
        return self.columns


def check_columns(frame: pl.DataFrame, columns: Sequence[str], step: str) -> None:
    """Raises a `DataError` if a step names a column that the frame has not."""
    known = [name for name in frame.columns if name not in RESERVED]
    for name in columns:
        if name not in known:
            raise DataError(
                f"The column '{name}' is not there",
                where=f"step {step}",
                hint=f"{did_you_mean(name, known)}Columns: {', '.join(known)}.",
            )


def row_key() -> pl.Expr:
    """A number for each row id, by which a survey knows rows again; the same within one process only."""
    return pl.col(ROW_ID).hash(seed=0)


def no_edits() -> pl.DataFrame:
    """An empty edit log."""
    return pl.DataFrame(schema=EDITS)


def join_edits(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Several edit logs as one."""
    return pl.concat([no_edits(), *parts])


def map_text(series: pl.Series, change: Callable[[str], str | None]) -> pl.Series:
    """A function over every text of a series; nulls stay."""
    return pl.Series(series.name, [None if text is None else change(text) for text in series], dtype=pl.String)


def replace(
    frame: pl.DataFrame, column: str, after: pl.Series, reason: str | pl.Series
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Puts new values into a column.

    Args:
        frame: The rows.
        column: The column to fill.
        after: Its new values.
        reason: Why they change: for all rows, or for each row.

    Returns:
        The frame, and an edit for each cell that is not what it was.
    """
    after = after.cast(pl.String).alias(column)
    changed = frame[column].ne_missing(after)
    told = reason if isinstance(reason, pl.Series) else pl.Series([reason]).new_from_index(0, frame.height)
    edits = pl.DataFrame(
        {
            "row_id": frame[ROW_ID].filter(changed),
            "field": pl.Series([column], dtype=pl.String).new_from_index(0, int(changed.sum())),
            "before": frame[column].filter(changed),
            "after": after.filter(changed),
            "reason": told.filter(changed),
        },
        schema=EDITS,
    )
    return frame.with_columns(after), edits


def change_columns(
    frame: pl.DataFrame, columns: Sequence[str], change: Callable[[str], str], reason: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A function over every text of several columns; nulls stay.

    Returns:
        The frame, and an edit for each cell that is not what it was.
    """
    logs = []
    for column in columns:
        frame, changes = replace(frame, column, map_text(frame[column], change), reason)
        logs.append(changes)
    return frame, join_edits(logs)


def set_aside(frame: pl.DataFrame, reasons: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame, frozenset[str]]:
    """Drops the rows that a reason is given for, as `drop` does, and counts them as unusable.

    Returns:
        The rows that stay, an edit for each that goes, and the ids of those.
    """
    unusable = frozenset(frame[ROW_ID].filter(reasons.is_not_null()))
    kept, edits = drop(frame, reasons)
    return kept, edits, unusable


def drop(frame: pl.DataFrame, reasons: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Drops the rows that a reason is given for.

    Args:
        frame: The rows.
        reasons: For each row why it goes, or null where it stays.

    Returns:
        The rows that stay, and an edit for each that goes.
    """
    goes = reasons.is_not_null()
    if not goes.any():
        return frame, no_edits()
    gone = frame.filter(goes)
    own = [name for name in gone.columns if name not in (ROW_ID, SOURCE, LINE)]
    edits = gone.select(
        pl.col(ROW_ID).alias("row_id"),
        pl.lit(None, pl.String).alias("field"),
        pl.struct(own).struct.json_encode().alias("before"),
        pl.lit(None, pl.String).alias("after"),
        reasons.filter(goes).cast(pl.String).alias("reason"),
    )
    return frame.filter(~goes), edits
