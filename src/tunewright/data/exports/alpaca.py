"""Alpaca: `instruction`, `input` and `output`; `system` where there is one."""

from __future__ import annotations

from typing import Any, Literal

from tunewright.base.plugins import PluginConfig
from tunewright.data.example import Example
from tunewright.data.exports._conversation import CALLS, REJECTED, TURNS, WEIGHTS, has_tools, is_single, texts

FILE = "jsonl"


class Config(PluginConfig):
    """Alpaca."""

    name: Literal["alpaca"] = "alpaca"


def lost(example: Example) -> str:
    """Tools, several questions, a rejected answer, and an answer that is not fully learned."""
    if has_tools(example):
        return CALLS
    if not is_single(example, system=True):
        return TURNS
    if example.rejected is not None:
        return REJECTED
    return "" if example.messages[-1].weight == 1 else WEIGHTS


def features(example: Example) -> set[str]:
    """None: every row is written alike."""
    return set()


def row(example: Example, features: frozenset[str]) -> dict[str, Any] | None:
    """`{instruction, input, output}`."""
    if lost(example) in (CALLS, TURNS):
        return None
    system, asked, answer = texts(example)
    told = {"system": system} if system else {}
    return {**told, "instruction": asked, "input": "", "output": answer}
