"""Runs the recipe's cleaning steps over a frame, and keeps the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from tunewright.base.plugins import STEPS
from tunewright.data.frame import EDITS, LINE, ROW_ID, SOURCE, StepConfig, StepResult
from tunewright.data.table import REFUSED

LOG: dict[str, Any] = {
    "row_id": pl.String,
    "step": pl.String,
    "field": pl.String,
    "before": pl.String,
    "after": pl.String,
    "reason": pl.String,
    "source": pl.String,
    "line": pl.Int64,
}


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one step did: rows before and after it, cells changed, rows dropped, findings by name."""

    name: str
    rows_in: int
    rows_out: int
    changed: int
    dropped: int
    findings: dict[str, int]

    def __add__(self, other: StepRecord) -> StepRecord:
        """The same step over two frames."""
        names = dict.fromkeys([*self.findings, *other.findings])
        return StepRecord(
            self.name,
            self.rows_in + other.rows_in,
            self.rows_out + other.rows_out,
            self.changed + other.changed,
            self.dropped + other.dropped,
            {name: self.findings.get(name, 0) + other.findings.get(name, 0) for name in names},
        )


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A cleaned frame.

    Args:
        frame: What is left.
        edits: Each changed cell and dropped row (`row_id, step, field, before, after, reason, source, line`).
        refused: The dropped rows that count as unusable.
        records: One for each step of the recipe, in order.
    """

    frame: pl.DataFrame
    edits: pl.DataFrame
    refused: pl.DataFrame
    records: tuple[StepRecord, ...]


class Columns(Protocol):
    """What cleaning needs to know of a format: `data.formats.Format` does."""

    @property
    def pairs(self) -> bool: ...
    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]: ...
    def makes(self, column: str) -> bool: ...


def clean(frame: pl.DataFrame, steps: Sequence[StepConfig], format: Columns, *, held_out: bool) -> Cleaned:
    """Runs steps in order.

    Args:
        frame: Flattened rows.
        steps: The recipe's steps.
        format: Says which columns make up the conversation.
        held_out: Whether these rows come from validation or test files of their own; some steps leave those alone.
    """
    logs, refused, records = [pl.DataFrame(schema=LOG)], [pl.DataFrame(schema=REFUSED)], []
    for step in steps:
        rows = frame.height
        if held_out:
            # Conversations may all be shorter here than in train, where a column was found to be there.
            absent = [name for name in step.needed() if format.makes(name) and name not in frame.columns]
            frame = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in absent)
        if rows == 0 or (held_out and not step.held_out):
            records.append(StepRecord(step.plugin, rows, rows, 0, 0, {}))
            continue
        result: StepResult = STEPS.call(step.plugin, "apply", frame, step.bind(*_sides(format, frame)))
        log = _place(result.edits, frame, step.plugin)
        logs.append(log)
        refused.append(_refusals(log, result))
        frame = result.frame
        dropped = rows - frame.height
        records.append(
            StepRecord(step.plugin, rows, frame.height, log.height - dropped, dropped, dict(result.findings))
        )
    return Cleaned(frame, pl.concat(logs), pl.concat(refused), tuple(records))


def _sides(format: Columns, frame: pl.DataFrame) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The prompt's columns and the answer's, as steps should see them."""
    prompt, answer = format.sides(frame.columns)
    # A prompt with several pairs of answers contradicts nothing: a pair is compared as a whole.
    return ((*prompt, *answer), ()) if format.pairs else (prompt, answer)


def _place(edits: pl.DataFrame, frame: pl.DataFrame, step: str) -> pl.DataFrame:
    """A step's edits with its name, and where each row came from."""
    places = frame.select(pl.col(ROW_ID).alias("row_id"), pl.col(SOURCE).alias("source"), pl.col(LINE).alias("line"))
    placed = edits.select(list(EDITS)).join(places, on="row_id", how="left", maintain_order="left")
    return placed.with_columns(pl.lit(step).alias("step")).select(list(LOG))


def _refusals(log: pl.DataFrame, result: StepResult) -> pl.DataFrame:
    gone = log.filter(pl.col("field").is_null() & pl.col("row_id").is_in(sorted(result.unusable)))
    return gone.select("row_id", "source", "line", pl.col("step").alias("stage"), "reason")
