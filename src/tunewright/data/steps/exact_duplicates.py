"""Drops repeated records: texts that are the same after NFKC, case folding and folding of white space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from tunewright.data.folding import text_key
from tunewright.data.frame import (
    LINE,
    ROLES,
    ROW_ID,
    SOURCE,
    ColumnsConfig,
    StepResult,
    check_columns,
    drop,
    row_key,
)
from tunewright.data.pieces import PIECE_ROWS


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


@dataclass(frozen=True, slots=True)
class Known:
    """What stands more than once.

    Args:
        rows: A row for each record that shares its text with another: `row` (see `frame.row_key`), `reason` (why it
            goes, null where it stays), `repeats`, `gone` (for contradicting another), `conflict`, `opens` (the first of
            those that contradict each other).
    """

    rows: pl.DataFrame


def survey(pieces: Iterable[pl.DataFrame], config: Config) -> Known:
    """Finds the records that share a text. Holds some 40 bytes a row."""
    keys = pl.concat([_keys(piece, config) for piece in pieces])
    keys = keys.filter(pl.col("filled") & _repeated(keys["text"].to_numpy()))
    shared = keys.filter(pl.len().over("text", "more") > 1)
    texts = ("text", "more")
    # One row is kept for each text, or, where conflicting answers may stay, for each text and answer.
    group = (*texts, "answer") if config.conflicts == "keep" else texts
    first = pl.struct("source", "line").first().over(*group)
    shared = shared.with_columns(
        (pl.col("answer").n_unique().over(*texts) > 1).alias("conflict"),
        pl.col("answer").n_unique().over(*texts).cast(pl.String).alias("answers"),
        (pl.int_range(pl.len()).over(*group) > 0).alias("later"),
        (pl.int_range(pl.len()).over(*texts) == 0).alias("opens"),
        pl.concat_str(first.struct["source"].cast(pl.String), pl.lit(":"), first.struct["line"]).alias("kept"),
    )
    later = pl.col("later")
    if config.conflicts == "keep":
        contradicts, repeats = pl.lit(False), later
    else:
        contradicts = pl.col("conflict") & (later if config.conflicts == "keep_first" else pl.lit(True))
        repeats = later & ~pl.col("conflict")
    against = pl.col("answers") + " different answers to this text, first at " + pl.col("kept")
    reason = pl.when(contradicts).then(against).otherwise(pl.when(repeats).then("repeats " + pl.col("kept")))
    return Known(
        shared.select(
            "row",
            reason.alias("reason"),
            repeats.alias("repeats"),
            contradicts.alias("gone"),
            "conflict",
            (pl.col("opens") & pl.col("conflict")).alias("opens"),
        )
    )


def apply(frame: pl.DataFrame, config: Config, known: Known) -> StepResult:
    """Keeps the first of each set of equal records. Rows whose compared columns are all empty are left alone."""
    told = frame.select(row_key().alias("row")).join(known.rows, on="row", how="left", maintain_order="left")
    kept, edits = drop(frame, told["reason"])
    findings = {
        "duplicates": int(told["repeats"].sum()),
        "conflicting_texts": int(told["opens"].sum()),
        "conflicting_rows": int(told["conflict"].sum()),
    }
    unusable = frame[ROW_ID].filter(told["gone"].fill_null(False))
    return StepResult(kept, edits, findings, frozenset(unusable))


def _keys(frame: pl.DataFrame, config: Config) -> pl.DataFrame:
    """What tells whether rows are the same, and where they stand."""
    check_columns(frame, config.needed(), config.name)
    compared = [*config.columns, *([ROLES] if ROLES in frame.columns else [])]
    filled = pl.any_horizontal(pl.col(name).str.strip_chars().str.len_chars() > 0 for name in config.columns)
    text, more = _halves(frame, compared)
    answer, _ = _halves(frame, config.answer)
    return frame.select(
        row_key().alias("row"),
        text.alias("text"),
        more.alias("more"),
        answer.alias("answer"),
        pl.col(SOURCE).cast(pl.Categorical).alias("source"),
        pl.col(LINE).alias("line"),
        filled.fill_null(False).alias("filled"),
    )


def _repeated(halves: npt.NDArray[np.uint64]) -> pl.Series:
    """Which numbers stand there more than once. Groups of all rows would take several times the rows' own memory."""
    ordered = np.sort(halves)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(twice):
        return pl.Series(np.zeros(len(halves), dtype=bool))
    parts = []
    for start in range(0, len(halves), PIECE_ROWS):
        some = halves[start : start + PIECE_ROWS]
        parts.append(twice[np.minimum(np.searchsorted(twice, some), len(twice) - 1)] == some)
    return pl.Series(np.concatenate(parts))


def _halves(frame: pl.DataFrame, columns: Sequence[str]) -> tuple[pl.Series, pl.Series]:
    """The two halves of each row's text key."""
    rows = frame.select(columns).iter_rows() if columns else [()] * frame.height
    keys = b"".join(bytes.fromhex(text_key(row)) for row in rows)
    halves = np.frombuffer(keys, dtype=np.uint64).reshape(-1, 2)
    return pl.Series(halves[:, 0].copy()), pl.Series(halves[:, 1].copy())
