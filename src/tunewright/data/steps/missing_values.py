"""Finds cells that say that nothing is known (`n/a`, `-`, `TBD`), empties them, and drops or fills what is empty."""

from __future__ import annotations

from typing import Literal, Self

import polars as pl
from pydantic import Field, model_validator

from tunewright.data.folding import fold
from tunewright.data.frame import (
    ColumnsConfig,
    StepResult,
    check_columns,
    join_edits,
    map_text,
    replace,
    set_aside,
)

# Not "none", "unknown", "na" and "no": each is an answer somewhere (no allergies; Namibia).
_PLACEHOLDERS = (
    "n/a", "n.a.", "n. a.", "#n/a", "<n/a>", "<na>", "null", "(null)", "<null>", "nil", "nan", "-nan", "undefined",
    "-", "--", "---", "–", "—", "?", "??", "???", ".", "...", "…", "tbd", "t.b.d.", "tba", "to be determined",
    "not available", "not applicable", "#value!", "#ref!", "#name?", "#null!", "#num!", "#div/0!",
)  # fmt: skip


class Config(ColumnsConfig):
    """Settings of `missing_values`."""

    name: Literal["missing_values"] = "missing_values"
    placeholders: tuple[str, ...] = Field(
        _PLACEHOLDERS, description="Whole cells that stand for nothing; case and white space do not count."
    )
    become: Literal["null", "empty"] = Field("null", description="What a placeholder becomes.")
    then: Literal["keep", "drop", "fill"] = Field(
        "keep", description="Cells without a value, old and new: keep them, set their rows aside, or fill them."
    )
    fill: str = Field("", description="What empty cells are filled with.")

    @model_validator(mode="after")
    def _fill_is_a_value(self) -> Self:
        if self.then == "fill" and (not fold(self.fill) or fold(self.fill) in self.folded()):
            raise ValueError("then: fill needs 'fill', a text that is no placeholder itself")
        return self

    def folded(self) -> frozenset[str]:
        """The placeholders, folded."""
        return frozenset(fold(text) for text in self.placeholders)


def apply(frame: pl.DataFrame, config: Config) -> StepResult:
    """Placeholders become null or empty; rows without a value stay, go or are filled, as asked."""
    check_columns(frame, config.columns, config.name)
    known, logs = config.folded(), []
    nothing = None if config.become == "null" else ""
    findings = {"placeholders": 0, "cells_filled": 0, "rows_set_aside": 0}
    for column in config.columns:
        emptied = map_text(frame[column], lambda text: nothing if fold(text) in known and text else text)
        placeholder = frame[column].ne_missing(emptied)
        findings["placeholders"] += int(placeholder.sum())
        reason = "stands for nothing"
        if config.then == "fill":
            missing = emptied.is_null() | (emptied.str.strip_chars() == "")
            emptied = pl.select(
                pl.when(missing.fill_null(True)).then(pl.lit(config.fill)).otherwise(emptied)
            ).to_series()
            findings["cells_filled"] += int(missing.sum())
            reason = "empty, filled"
        frame, changes = replace(frame, column, emptied, reason)
        logs.append(changes)
    if config.then != "drop":
        return StepResult(frame, join_edits(logs), findings)
    lacking = [
        pl.when(pl.col(name).fill_null("").str.strip_chars() == "").then(pl.lit(name)) for name in config.columns
    ]
    names = frame.select(pl.concat_str(lacking, separator=", ", ignore_nulls=True)).to_series()
    reasons = pl.select(pl.when(names != "").then("no value: " + names)).to_series()
    kept, gone, unusable = set_aside(frame, reasons)
    findings["rows_set_aside"] = len(unusable)
    return StepResult(kept, join_edits([*logs, gone]), findings, unusable)
