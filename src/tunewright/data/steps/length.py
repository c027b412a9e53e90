"""Sets aside rows whose text is too short or too long, in words or characters."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from tunewright.data.frame import ColumnsConfig, StepResult, check_columns, set_aside


class Config(ColumnsConfig):
    """Settings of `length`."""

    # A test set stays what its makers published.
    held_out: ClassVar[bool] = False

    name: Literal["length"] = "length"
    least_words: int | None = Field(None, ge=1, description="Fewest words (runs without white space) of each column.")
    most_words: int | None = Field(None, ge=1, description="Most words of each column.")
    least_characters: int | None = Field(None, ge=1, description="Fewest characters of each column, ends trimmed.")
    most_characters: int | None = Field(None, ge=1, description="Most characters of each column, ends trimmed.")

    @model_validator(mode="after")
    def _has_bounds(self) -> Self:
        bounds = ((self.least_words, self.most_words), (self.least_characters, self.most_characters))
        if all(bound is None for pair in bounds for bound in pair):
            raise ValueError("length needs a bound: least_words, most_words, least_characters or most_characters")
        if any(least and most and least > most for least, most in bounds):
            raise ValueError("length keeps no row: a least is above its most")
        return self


def apply(frame: pl.DataFrame, config: Config) -> StepResult:
    """Drops rows of which a column is out of bounds; an empty cell has length 0."""
    check_columns(frame, config.columns, config.name)
    told = []
    for column in config.columns:
        text = pl.col(column).fill_null("")
        counts = {"words": text.str.count_matches(r"\S+"), "characters": text.str.strip_chars().str.len_chars()}
        for unit, count in counts.items():
            least, most = getattr(config, f"least_{unit}"), getattr(config, f"most_{unit}")
            for bound, wrong, word in ((least, count < (least or 0), "least"), (most, count > (most or 0), "most")):
                if bound is not None:
                    reason = pl.concat_str(pl.lit(f"{column}: "), count, pl.lit(f" {unit}, {word} {bound:,}"))
                    told.append(pl.when(wrong).then(reason))
    joined = frame.select(pl.concat_str(told, separator="; ", ignore_nulls=True)).to_series()
    kept, edits, unusable = set_aside(frame, pl.select(pl.when(joined != "").then(joined)).to_series())
    return StepResult(kept, edits, {"rows_set_aside": len(unusable)}, unusable)
