"""Maps the spellings of a value to one canonical spelling."""

from __future__ import annotations

from typing import Literal, Self

import polars as pl
from pydantic import Field, model_validator

from tunewright.data.folding import fold
from tunewright.data.frame import (
    ROW_ID,
    StepConfig,
    StepResult,
    check_columns,
    drop,
    join_edits,
    map_text,
    replace,
)


class Config(StepConfig):
    """Settings of `map_values`."""

    name: Literal["map_values"] = "map_values"
    column: str = Field("", description="The column to map.", validate_default=True)
    mapping: dict[str, str] = Field(
        default_factory=dict, description="Spelling: canonical value. Case and white space of a spelling do not count."
    )
    unknown: Literal["keep", "drop"] = Field(
        "keep", description="A value that is neither a spelling nor a canonical value: keep it, or set the row aside."
    )

    @model_validator(mode="after")
    def _one_answer_each(self) -> Self:
        if not self.column or not self.mapping:
            raise ValueError("map_values needs 'column' and 'mapping'")
        self.known()
        return self

    def known(self) -> dict[str, str]:
        """Folded spelling to canonical value, the canonical values included."""
        known: dict[str, str] = {}
        pairs = [*self.mapping.items(), *((value, value) for value in self.mapping.values())]
        for spelling, value in pairs:
            # One spelling under two values would make the outcome depend on the order, or on a second run.
            if known.setdefault(fold(spelling), value) != value:
                raise ValueError(f"'{spelling}' is mapped to both '{known[fold(spelling)]}' and '{value}'")
        return known

    def needed(self) -> tuple[str, ...]:
        return (self.column,)


def apply(frame: pl.DataFrame, config: Config) -> StepResult:
    """Every known spelling becomes its canonical value; empty cells are left alone."""
    check_columns(frame, (config.column,), config.name)
    known, column = config.known(), config.column
    frame, changes = replace(
        frame, column, map_text(frame[column], lambda text: known.get(fold(text), text)), "canonical spelling"
    )
    strange = map_text(
        frame[column],
        lambda text: f"{column}: '{text}' is not a known value" if fold(text) and fold(text) not in known else None,
    )
    findings = {"cells_changed": changes.height, "unknown_values": int(strange.is_not_null().sum())}
    if config.unknown == "keep":
        return StepResult(frame, changes, findings)
    unusable = frozenset(frame[ROW_ID].filter(strange.is_not_null()))
    kept, gone = drop(frame, strange)
    return StepResult(kept, join_edits([changes, gone]), findings, unusable)
