"""Repairs mojibake, brings text to one Unicode form, and takes out characters that nobody can see.

Mojibake (`schÃ¶n` for `schön`) is text that was decoded with another encoding than it was written in. ftfy knows the
ways in which that happens, and repairs what no one would write on purpose; what may be meant stays.
"""

from __future__ import annotations

import re
import unicodedata
from functools import partial
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
    mojibake: Literal["repair", "keep"] = Field(
        "repair", description="Text that was decoded with a wrong encoding (`schÃ¶n`): repair it, or keep it."
    )


def apply(frame: pl.DataFrame, config: Config) -> StepResult:
    """Every cell decoded as it was written, in one Unicode form, without control and zero-width characters."""
    check_columns(frame, config.columns, config.name)
    edits, repaired = [], 0
    usual = f"{config.form}, invisible characters removed"
    for column in config.columns:
        if config.mojibake == "repair":
            after = map_text(frame[column], partial(repair, form=config.form))
            broken = after.ne_missing(map_text(frame[column], partial(normal, form=config.form)))
        else:
            after = map_text(frame[column], partial(normal, form=config.form))
            broken = pl.Series([False]).new_from_index(0, frame.height)
        reason = pl.select(pl.when(broken).then(pl.lit(f"mojibake repaired, {usual}")).otherwise(pl.lit(usual)))
        frame, changes = replace(frame, column, after, reason.to_series())
        repaired += int(broken.sum())
        edits.append(changes)
    log = join_edits(edits)
    return StepResult(frame, log, {"cells_changed": log.height, "mojibake_repaired": repaired})


def normal(text: str, form: Literal["NFC", "NFKC"]) -> str:
    """The text in a Unicode form, without invisible characters."""
    if text.isascii() and text.isprintable():
        return text
    # What is removed may have kept two characters apart that now compose, so the form comes last.
    return unicodedata.normalize(form, _LONE_JOINER.sub("", _INVISIBLE.sub("", unicodedata.normalize(form, text))))


def repair(text: str, form: Literal["NFC", "NFKC"]) -> str:
    """The text decoded as it was written, and normal."""
    if text.isascii():
        return normal(text, form)
    from ftfy import TextFixerConfig, fix_encoding

    # A sequence of which a byte is lost cannot be repaired, only replaced by a mark: that would hide the damage.
    settings = TextFixerConfig(replace_lossy_sequences=False, explain=False)
    # The bytes of mojibake may be invisible characters, so it is repaired first; composing accents may bring more to
    # light. Each round leaves fewer characters, or fewer controls among them, so that this ends.
    before = ""
    while text != before:
        before, text = text, normal(fix_encoding(text, settings), form)
    return text
