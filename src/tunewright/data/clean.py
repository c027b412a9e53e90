"""Runs the recipe's cleaning steps over rows, a few at a time, and keeps the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from tunewright.base.memory import LITTLE, give_back
from tunewright.base.plugins import STEPS
from tunewright.data.frame import EDITS, LINE, ROW_ID, SOURCE, StepConfig, StepResult
from tunewright.data.pieces import Pieces
from tunewright.data.table import REFUSED
from tunewright.data.undoing import undo_edits
from tunewright.recipe.undo import Undo

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
    """Cleaned rows.

    Args:
        rows: What is left.
        edits: Each changed cell and dropped row (`row_id, step, field, before, after, reason, source, line`).
        refused: The dropped rows that count as unusable.
        records: One for each step of the recipe, in order.
        known: For each step what its survey found, None where it has none.
    """

    rows: Pieces
    edits: Pieces
    refused: pl.DataFrame
    records: tuple[StepRecord, ...]
    known: tuple[Any, ...]


class Columns(Protocol):
    """What cleaning needs to know of a format: `data.formats.Format` does."""

    @property
    def pairs(self) -> bool: ...
    def sides(self, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]: ...
    def makes(self, column: str) -> bool: ...


def clean(
    rows: Pieces,
    steps: Sequence[StepConfig],
    format: Columns,
    *,
    held_out: bool,
    known: Sequence[Any] = (),
    undo: Sequence[Undo] = (),
    progress: Callable[[int, str], None] = lambda done, step: None,
) -> Cleaned:
    """Runs steps in order, over a few rows at a time.

    Steps that look at each row alone are run in one pass. One that surveys all rows first starts a new one. Rows held
    out are cleaned by what the survey of the training rows found.

    Args:
        rows: Flattened rows; they are given up.
        steps: The recipe's steps.
        format: Says which columns make up the conversation.
        held_out: Whether these rows come from validation or test files of their own; some steps leave those alone.
        known: What the steps' surveys found in the training rows; empty: these are the training rows.
        undo: Edits that are taken back as soon as a step has made them.
        progress: Is told how many rows of a pass are done, and its steps.
    """
    cleaning = _Cleaning(format, held_out, tuple(known) or (None,) * len(steps), not known, undo)
    for passed in _passes(steps, looked=not known):
        rows = cleaning.run(rows, passed, steps, progress)
    return Cleaned(
        rows,
        cleaning.edits,
        pl.concat([pl.DataFrame(schema=REFUSED), *cleaning.refused]),
        tuple(cleaning.records),
        tuple(cleaning.known),
    )


def clean_frame(frame: pl.DataFrame, step: StepConfig) -> StepResult:
    """One step over rows that are all there is; its settings are bound already."""
    given = (STEPS.call(step.plugin, "survey", [frame], step),) if surveys(step) else ()
    result: StepResult = STEPS.call(step.plugin, "apply", frame, step, *given)
    return result


def surveys(step: StepConfig) -> bool:
    """Whether a step must know all rows before it changes one."""
    return STEPS.has(step.plugin, "survey")


def _passes(steps: Sequence[StepConfig], *, looked: bool) -> list[list[int]]:
    """The numbers of the steps that each pass over the rows runs; where rows are looked at first, that begins one."""
    passes: list[list[int]] = []
    for index, step in enumerate(steps):
        if not passes or (looked and surveys(step)):
            passes.append([])
        passes[-1].append(index)
    return passes


class _Cleaning:
    """The log of what several passes do."""

    def __init__(
        self, format: Columns, held_out: bool, known: tuple[Any, ...], surveys: bool, undo: Sequence[Undo]
    ) -> None:
        self._format, self._held_out, self._surveys, self._undo = format, held_out, surveys, undo
        self.known = list(known)
        self.edits = Pieces.of([pl.DataFrame(schema=LOG)])
        self.refused: list[pl.DataFrame] = []
        self.records: list[StepRecord] = []

    def run(
        self, rows: Pieces, passed: Sequence[int], steps: Sequence[StepConfig], progress: Callable[[int, str], None]
    ) -> Pieces:
        """One pass."""
        give_back(beyond=LITTLE)
        bound = self._bind(rows, [steps[index] for index in passed])
        names = ", ".join(step.plugin for step in bound.steps)
        done, out = 0, Pieces.of([pl.DataFrame(schema=bound.schema)])
        records = [StepRecord(step.plugin, 0, 0, 0, 0, {}) for step in bound.steps]
        if self._surveys and surveys(bound.steps[0]) and rows.height:
            progress(0, names)
            pieces = _Widened(rows, bound)
            self.known[passed[0]] = STEPS.call(bound.steps[0].plugin, "survey", pieces, bound.steps[0])
        for piece in rows:
            frame = bound.widen(piece)
            for place, (index, step) in enumerate(zip(passed, bound.steps, strict=True)):
                frame, record = self._step(frame, step, self.known[index])
                records[place] += record
            out.add(frame)
            done += piece.height
            progress(done, names)
        rows.discard()
        self.records += records
        return out

    def _bind(self, rows: Pieces, steps: Sequence[StepConfig]) -> _Bound:
        columns = rows.columns
        schema: dict[str, Any] = rows.schema
        if self._held_out:
            # Conversations may all be shorter here than in train, where a column was found to be there.
            wanted = dict.fromkeys(name for step in steps for name in step.needed())
            absent = [name for name in wanted if self._format.makes(name) and name not in columns]
            schema = schema | dict.fromkeys(absent, pl.String)
        sides = _sides(self._format, list(schema))
        return _Bound(tuple(step.bind(*sides) for step in steps), schema)

    def _step(self, frame: pl.DataFrame, step: StepConfig, known: Any) -> tuple[pl.DataFrame, StepRecord]:
        rows = frame.height
        if rows == 0 or (self._held_out and not step.held_out):
            return frame, StepRecord(step.plugin, rows, rows, 0, 0, {})
        given = (known,) if surveys(step) else ()
        result: StepResult = STEPS.call(step.plugin, "apply", frame, step, *given)
        result = undo_edits(frame, result, step.plugin, self._undo)
        log = _place(result.edits, frame, step.plugin)
        self.edits.add(log)
        self.refused.append(_refusals(log, result))
        dropped = rows - result.frame.height
        return result.frame, StepRecord(
            step.plugin, rows, result.frame.height, log.height - dropped, dropped, dict(result.findings)
        )


@dataclass(frozen=True, slots=True)
class _Bound:
    """Steps bound to the columns that rows have."""

    steps: tuple[StepConfig, ...]
    schema: dict[str, Any]

    def widen(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with the columns it lacks."""
        return frame.with_columns(
            pl.lit(None, kind).alias(name) for name, kind in self.schema.items() if name not in frame.columns
        )


@dataclass(frozen=True, slots=True)
class _Widened:
    """Pieces with the columns they lack, to be gone through again and again."""

    rows: Pieces
    bound: _Bound

    def __iter__(self) -> Iterator[pl.DataFrame]:
        return map(self.bound.widen, self.rows)


def _sides(format: Columns, columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The prompt's columns and the answer's, as steps should see them."""
    prompt, answer = format.sides(columns)
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
