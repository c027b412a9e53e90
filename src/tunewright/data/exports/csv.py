"""CSV, for spreadsheets: `prompt` and `completion`, or `prompt`, `chosen` and `rejected`; `system` where there is one.

A cell that a spreadsheet would take for a formula gets an apostrophe in front; see `exporting.guarded_cell`.
"""

from __future__ import annotations

from typing import Literal

from tunewright.base.plugins import PluginConfig
from tunewright.data.example import Example
from tunewright.data.exports._conversation import CALLS, TURNS, WEIGHTS, has_tools, is_single, texts

FILE = "csv"

_NUL = "a NUL byte"


class Config(PluginConfig):
    """CSV."""

    name: Literal["csv"] = "csv"


def lost(example: Example) -> str:
    """Tools, several questions, an answer that is not fully learned, and NUL bytes."""
    if has_tools(example):
        return CALLS
    if not is_single(example, system=True):
        return TURNS
    if any("\0" in text for text in (*texts(example), example.rejected or "")):
        return _NUL
    return "" if example.messages[-1].weight == 1 else WEIGHTS


def features(example: Example) -> set[str]:
    """Which columns are needed."""
    found = {"system"} if example.messages[0].role == "system" else set()
    return found if example.rejected is None else {*found, "rejected"}


def columns(features: frozenset[str]) -> list[str]:
    """The header."""
    asked = ["system", "prompt"] if "system" in features else ["prompt"]
    return [*asked, "chosen", "rejected"] if "rejected" in features else [*asked, "completion"]


def row(example: Example, features: frozenset[str]) -> dict[str, str] | None:
    """The cells, by column."""
    if lost(example) in (CALLS, TURNS, _NUL):
        return None
    system, asked, answer = texts(example)
    return {
        "system": system,
        "prompt": asked,
        "completion": answer,
        "chosen": answer,
        "rejected": example.rejected or "",
    }
