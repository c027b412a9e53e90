"""Finds prompts that stand there with different answers, and keeps the majority's, the newest, or none of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from tunewright.base.errors import DataError
from tunewright.data.folding import text_key
from tunewright.data.frame import ROLES, ColumnsConfig, StepResult, check_columns, set_aside

_ISO = r"^\d{4}-\d{2}-\d{2}([T ].*)?$"


class Config(ColumnsConfig):
    """Settings of `contradictions`."""

    # A test set stays what its makers published.
    held_out: ClassVar[bool] = False

    name: Literal["contradictions"] = "contradictions"
    columns: tuple[str, ...] = Field((), description="Columns compared; empty: those that make up the prompt.")
    answer: tuple[str, ...] = Field((), description="Columns that answer them; empty: those that make up the answer.")
    keep: Literal["none", "majority", "newest", "all"] = Field(
        "majority",
        description="Rows to keep: none; those with the answer that most have (a tie keeps none); those with the "
        "newest answer; or all, counted only.",
    )
    newest_by: str = Field(
        "", description="For newest: a column of ISO dates; empty: the row that stands last. Undated rows are oldest."
    )

    def bind(self, prompt: Sequence[str], answer: Sequence[str]) -> Self:
        columns, answers = self.columns or tuple(prompt), self.answer or tuple(answer)
        return self.model_copy(update={"columns": columns, "answer": answers})

    def needed(self) -> tuple[str, ...]:
        return (*self.columns, *self.answer, *((self.newest_by,) if self.newest_by else ()))

    @model_validator(mode="after")
    def _date_is_used(self) -> Self:
        if self.newest_by and self.keep != "newest":
            raise ValueError("newest_by is of use only with keep: newest")
        return self


@dataclass(frozen=True, slots=True)
class Known:
    """What all rows together say.

    Args:
        answers: A row for each prompt with several answers: `prompt`, the hash of its folded text; `kept`, the hash of
            the answer to keep, or null for none; `several`, how many answers there are.
    """

    answers: pl.DataFrame


def survey(pieces: Iterable[pl.DataFrame], config: Config) -> Known:
    """Which prompts have several answers, and which of those is kept. Holds some 24 bytes a row: hashes, no texts."""
    hashes = {"prompt": pl.UInt64, "answer": pl.UInt64, "day": pl.Int32}
    rows = pl.concat([pl.DataFrame(schema=hashes), *(_hashes(piece, config) for piece in pieces)])
    rows = rows.with_row_index("place").filter(pl.col("prompt").is_not_null())
    several = rows.filter(pl.col("answer").n_unique().over("prompt") > 1)
    newest = pl.col("day").max() if config.newest_by else pl.col("place").max()
    score = pl.len() if config.keep == "majority" else newest
    counted = several.group_by("prompt", "answer").agg(score.alias("score"))
    best = pl.col("answer").filter(pl.col("score") == pl.col("score").max())
    # Several that are equally good are as bad as none.
    kept = pl.lit(None, pl.UInt64) if config.keep == "none" else pl.when(best.len() == 1).then(best.first())
    return Known(counted.group_by("prompt").agg(kept.alias("kept"), pl.len().alias("several")))


def _hashes(piece: pl.DataFrame, config: Config) -> pl.DataFrame:
    """Prompt's and answer's hash and the day of each row; no prompt's hash where the prompt is empty."""
    check_columns(piece, config.needed(), config.name)
    return pl.DataFrame(
        {"prompt": _prompts(piece, config), "answer": _keys(piece, config.answer), "day": _days(piece, config)}
    )


def _prompts(frame: pl.DataFrame, config: Config) -> pl.Series:
    filled = frame.select(
        pl.any_horizontal(pl.col(name).str.strip_chars().str.len_chars() > 0 for name in config.columns)
    ).to_series()
    compared = [*config.columns, *([ROLES] if ROLES in frame.columns else [])]
    return pl.select(pl.when(filled.fill_null(False)).then(_keys(frame, compared))).to_series()


def _keys(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    rows = frame.select(columns).iter_rows() if columns else [()] * frame.height
    # 64 of the key's bits: among five million texts two that share them by chance have odds of one in a million.
    return pl.Series([int(text_key(row)[:16], 16) for row in rows], dtype=pl.UInt64)


def _days(frame: pl.DataFrame, config: Config) -> pl.Series:
    """Days since 1970, for undated rows far below all others; all alike where no dates are asked for."""
    undated = np.iinfo(np.int32).min
    if not config.newest_by:
        return pl.Series([undated], dtype=pl.Int32).new_from_index(0, frame.height)
    text = frame[config.newest_by].str.strip_chars()
    days = text.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    wrong = text.filter((text != "") & (days.is_null() | ~text.str.contains(_ISO)))
    if wrong.len():
        raise DataError(
            f"'{wrong[0]}' is no ISO date, so which answer is newest cannot be told",
            where=f"step {config.name}, column {config.newest_by}",
            hint="Put the step iso_dates before this one.",
        )
    return days.cast(pl.Int32).fill_null(undated)


def apply(frame: pl.DataFrame, config: Config, known: Known) -> StepResult:
    """Sets aside the rows whose answer is not the one kept; prompts with one answer are left alone."""
    check_columns(frame, config.needed(), config.name)
    rows = pl.DataFrame({"prompt": _prompts(frame, config), "answer": _keys(frame, config.answer)}).join(
        known.answers, on="prompt", how="left", maintain_order="left"
    )
    lost = {"majority": "none has a majority", "newest": "the newest differ", "none": "none is kept", "all": ""}
    beaten = {"majority": "most have another", "newest": "a newer one differs", "none": "", "all": ""}
    why = pl.when(pl.col("kept").is_null()).then(pl.lit(lost[config.keep])).otherwise(pl.lit(beaten[config.keep]))
    goes = pl.col("several").is_not_null() & pl.col("answer").ne_missing(pl.col("kept")) & (config.keep != "all")
    told = pl.concat_str("several", pl.lit(" different answers to this text; "), why)
    reasons = rows.select(pl.when(goes).then(told)).to_series()
    left, edits, unusable = set_aside(frame, reasons)
    findings = {"contradicted_rows": int(rows["several"].is_not_null().sum()), "rows_set_aside": len(unusable)}
    return StepResult(left, edits, findings, unusable)
