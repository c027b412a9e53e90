"""Brings text to one Unicode form, and takes out characters that nobody can see.

Mojibake is left alone: what looks like it may be meant, and a wrong repair cannot be told from a right one.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

import polars as pl
from pydantic import Field

from tunewright.data.frame import ColumnsConfig, StepResult, check_columns, join_edits, map_text, replace

# Controls (C0 and C1) save tab, line feed, carriage return and next line; byte order marks; soft hyphens; zero-width
# spaces, word joiners and invisible operators; marks and isolates that only steer the direction of writing.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
# Zero-width joiners bind emoji and shape Arabic and Indic letters: they go only between characters that need none.
_LONE_JOINER = re.compile("(?<![^\x00-\u02ff])[\u200c\u200d]+|[\u200c\u200d]+(?![^\x00-\u02ff])")


class Config(ColumnsConfig):
    """Settings of `unicode`."""

    name: Literal["unicode"] = "unicode"
    form: Literal["NFC", "NFKC"] = Field(
        "NFC", description="NFC composes accents; NFKC also unfolds ligatures, full-width letters and the like."
    )


def apply(frame: pl.DataFrame, config: Config) -> StepResult:
    """Every cell in one Unicode form, without control, zero-width and direction characters."""
    check_columns(frame, config.columns, config.name)
    edits = []
    for column in config.columns:
        after = map_text(frame[column], lambda text: normal(text, config.form))
        frame, changes = replace(frame, column, after, f"{config.form}, invisible characters removed")
        edits.append(changes)
    log = join_edits(edits)
    return StepResult(frame, log, {"cells_changed": log.height})


def normal(text: str, form: Literal["NFC", "NFKC"]) -> str:
    """The text in a Unicode form, without invisible characters."""
    if text.isascii() and text.isprintable():
        return text
    # What is removed may have kept two characters apart that now compose, so the form comes last.
    return unicodedata.normalize(form, _LONE_JOINER.sub("", _INVISIBLE.sub("", unicodedata.normalize(form, text))))
