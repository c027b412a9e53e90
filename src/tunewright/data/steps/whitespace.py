"""Folds runs of white space, and trims the ends."""

from __future__ import annotations

import re
from typing import Literal

import polars as pl
from pydantic import Field

from tunewright.data.frame import ColumnsConfig, StepResult, check_columns, join_edits, map_text, replace

_SPACES = re.compile(r"[^\S\n]+")
_LINE_ENDS = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_EMPTY_LINES = re.compile(r"\n{3,}")


class Config(ColumnsConfig):
    """Settings of `whitespace`."""

    name: Literal["whitespace"] = "whitespace"
    keep_lines: bool = Field(True, description="Keep line breaks (at most one empty line in a row); else fold them.")


def apply(frame: pl.DataFrame, config: Config) -> StepResult:
    """Tabs, no-break spaces and runs of spaces become one space; line ends become `\\n`."""
    check_columns(frame, config.columns, config.name)
    edits = []
    for column in config.columns:
        after = map_text(frame[column], lambda text: tidy(text, config.keep_lines))
        frame, changes = replace(frame, column, after, "white space folded")
        edits.append(changes)
    log = join_edits(edits)
    return StepResult(frame, log, {"cells_changed": log.height})


def tidy(text: str, keep_lines: bool) -> str:
    """The text with its white space folded."""
    if not keep_lines:
        return " ".join(text.split())
    lines = _LINE_ENDS.sub("\n", text).split("\n")
    return _EMPTY_LINES.sub("\n\n", "\n".join(_SPACES.sub(" ", line).strip() for line in lines)).strip()
