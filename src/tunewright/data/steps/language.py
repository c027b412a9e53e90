"""Keeps the rows in given languages; rows too short or too unclear to tell stay, and are counted."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import polars as pl
from pydantic import Field, StringConstraints

from tunewright.base.errors import DataError, did_you_mean
from tunewright.data.frame import ColumnsConfig, StepResult, check_columns, map_text, set_aside
from tunewright.data.languages import detect, known_languages


class Config(ColumnsConfig):
    """Settings of `language`."""

    # A test set stays what its makers published.
    held_out: ClassVar[bool] = False

    name: Literal["language"] = "language"
    keep: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")], ...] = Field(
        ("en",), min_length=1, description="Languages to keep (ISO 639-1: en, de, fr)."
    )
    least_characters: int = Field(30, ge=1, description="Rows with fewer letters are too short to tell, and stay.")
    least_probability: float = Field(0.8, gt=0, le=1, description="Below this probability a row is unsure, and stays.")


def apply(frame: pl.DataFrame, config: Config) -> StepResult:
    """Sets aside the rows whose columns, read as one text, are clearly in another language.

    Raises:
        DataError: If no language has one of the codes.
    """
    check_columns(frame, config.columns, config.name)
    for code in config.keep:
        # Not in the settings: reading the model takes a second, and a recipe is checked more often than run.
        if code not in known_languages():
            raise DataError(
                f"No language that can be told apart has the code '{code}'",
                where=f"step {config.name}, keep",
                hint=f"{did_you_mean(code, known_languages())}Known: {', '.join(sorted(known_languages()))}.",
            )
    texts = frame.select(pl.concat_str(config.columns, separator="\n", ignore_nulls=True)).to_series().fill_null("")
    findings = {"other_language": 0, "too_short_to_tell": 0, "unsure": 0}

    def judge(text: str) -> str | None:
        if sum(map(str.isalpha, text)) < config.least_characters:
            findings["too_short_to_tell"] += 1
            return None
        language, probability = detect(text)
        if probability < config.least_probability:
            findings["unsure"] += 1
            return None
        if language in config.keep:
            return None
        findings["other_language"] += 1
        return f"language {language} ({probability:.2f}), kept are: {', '.join(config.keep)}"

    kept, edits, unusable = set_aside(frame, map_text(texts, judge))
    return StepResult(kept, edits, findings, unusable)
