"""Drops copies in other words: rows whose texts mean nearly the same as a better row's, to a text encoder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from tunewright.base.events import Message, Stage
from tunewright.data.folding import text_key
from tunewright.data.frame import RESERVED, ROLES, ROW_ID, StepResult, check_columns, drop
from tunewright.data.meaning.neighbours import THRESHOLD, comparisons, keep_best
from tunewright.data.meaning.rows import places_of, texts_of
from tunewright.data.meaning.settings import MeaningConfig
from tunewright.data.meaning.vectors import Integers

# Above this the user should know what is coming: some two minutes on one core.
_MANY_PAIRS = 4_000_000_000


class Config(MeaningConfig):
    """Settings of `meaning_duplicates`."""

    name: Literal["meaning_duplicates"] = "meaning_duplicates"
    threshold: float = Field(
        THRESHOLD, ge=0.5, le=1, description="Lowest cosine of two texts' vectors that counts as the same meaning."
    )
    answers: Literal["same", "any"] = Field(
        "same", description="Compare only rows with one answer, or let a copy go whatever its answer."
    )


@dataclass(frozen=True, slots=True)
class Known:
    """What the survey found, by row id.

    Args:
        reasons: Why each row goes that goes.
        better: The rows that stay in their place.
    """

    reasons: dict[str, str]
    better: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Measured:
    """Of each row with a text: its number among all rows, which rows it is compared with, and how good it is."""

    number: Integers
    group: NDArray[np.uint64]
    empty: Integers
    length: Integers


def survey(pieces: Iterable[pl.DataFrame], config: Config) -> Known:
    """Decides which rows go: of those near to each other the one with the fewest empty cells, then the longest, then
    the first stays, as long as it is near to none that stays already.

    Takes 768 bytes of disk a row, and some 40 of memory.
    """
    measured = _measure_all(pieces, config)
    embedder = config.embedder()
    vectors = embedder.spill(_written(piece, config) for piece in pieces)
    rank = np.empty(len(vectors), dtype=np.int64)
    rank[np.lexsort((measured.number, -measured.length, measured.empty))] = np.arange(len(rank))
    pairs = comparisons(measured.group)
    if pairs > _MANY_PAIRS:
        config.tell(Message(f"Comparing {pairs:,} pairs of texts by meaning; every pair is looked at."))
    near = keep_best(
        vectors,
        threshold=config.threshold,
        rank=rank,
        group=measured.group,
        progress=lambda done: config.tell(Stage(config.name, "progress", done, len(vectors), "rows")),
    )
    config.tell(Stage(config.name, "finished", len(vectors), len(vectors), "rows"))
    gone = np.flatnonzero(near.kept_by >= 0)
    keepers = near.kept_by[gone]
    names = _names(pieces, measured.number[np.union1d(gone, keepers)])
    reasons = {}
    for row, by, similarity in zip(gone, keepers, near.similarity[gone], strict=True):
        place = names[measured.number[by]][1]
        reasons[names[measured.number[row]][0]] = f"means the same as {place}, similarity {similarity:.2f}"
    return Known(reasons, frozenset(names[measured.number[by]][0] for by in keepers))


def apply(frame: pl.DataFrame, config: Config, known: Known) -> StepResult:
    """Drops the rows that the survey named; each is near to one that stays, and the log says to which and how near."""
    check_columns(frame, config.needed(), config.name)
    reasons = pl.Series([known.reasons.get(row) for row in frame[ROW_ID]], dtype=pl.String)
    kept, edits = drop(frame, reasons)
    clusters = sum(row in known.better for row in frame[ROW_ID])
    return StepResult(kept, edits, {"copies_by_meaning": edits.height, "clusters": clusters})


def _written(frame: pl.DataFrame, config: Config) -> list[str]:
    """The texts of the rows that have one."""
    return [text for text in texts_of(frame, config.columns) if text]


def _measure_all(pieces: Iterable[pl.DataFrame], config: Config) -> _Measured:
    none = np.empty(0, dtype=np.int64)
    parts = [_Measured(none, none.astype(np.uint64), none, none)]
    before = 0
    for piece in pieces:
        check_columns(piece, config.needed(), config.name)
        parts.append(_measure(piece, config, before))
        before += piece.height
    return _Measured(
        np.concatenate([part.number for part in parts]),
        np.concatenate([part.group for part in parts]),
        np.concatenate([part.empty for part in parts]),
        np.concatenate([part.length for part in parts]),
    )


def _measure(frame: pl.DataFrame, config: Config, before: int) -> _Measured:
    texts = texts_of(frame, config.columns)
    rows = [row for row, text in enumerate(texts) if text]
    own = [name for name in frame.columns if name not in RESERVED]
    empty = frame.select(pl.sum_horizontal((pl.col(name).fill_null("") == "").cast(pl.Int64) for name in own))
    return _Measured(
        np.array(rows, dtype=np.int64) + before,
        _groups(frame, config)[rows],
        empty.to_series().to_numpy()[rows],
        np.array([len(texts[row]) for row in rows], dtype=np.int64),
    )


def _groups(frame: pl.DataFrame, config: Config) -> NDArray[np.uint64]:
    """A key that rows share if they may be compared: the same speakers, and, where asked, the same answer."""
    columns = [*(config.answer if config.answers == "same" else ()), *([ROLES] if ROLES in frame.columns else [])]
    rows = frame.select(columns).iter_rows() if columns else [()] * frame.height
    keys: NDArray[np.uint64] = pl.Series([int(text_key(row)[:16], 16) for row in rows], dtype=pl.UInt64).to_numpy()
    return keys


def _names(pieces: Iterable[pl.DataFrame], numbers: Integers) -> dict[int, tuple[str, str]]:
    """Row id and place of some rows, by their number among all rows; the numbers are sorted."""
    found: dict[int, tuple[str, str]] = {}
    before = 0
    for piece in pieces:
        here = numbers[np.searchsorted(numbers, before) : np.searchsorted(numbers, before + piece.height)]
        rows = piece[here - before]
        found |= zip(here.tolist(), zip(rows[ROW_ID], places_of(rows), strict=True), strict=True)
        before += piece.height
    return found
