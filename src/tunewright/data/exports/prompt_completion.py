"""Rows with `prompt` and `completion`: texts, or lists of messages for all rows where some have more than that."""

from __future__ import annotations

from typing import Any, Literal

from tunewright.base.plugins import PluginConfig
from tunewright.data.example import Example
from tunewright.data.exports._conversation import (
    CALLS,
    REJECTED,
    WEIGHTS,
    has_tools,
    is_answer_alone,
    is_single,
    texts,
    told,
)

FILE = "jsonl"

_LISTS = "lists"


class Config(PluginConfig):
    """Prompt and completion."""

    name: Literal["prompt_completion"] = "prompt_completion"


def lost(example: Example) -> str:
    """Tools, a rejected answer, and turns learned before the answer."""
    if has_tools(example):
        return CALLS
    if not is_answer_alone(example):
        return WEIGHTS
    return "" if example.rejected is None else REJECTED


def features(example: Example) -> set[str]:
    """Whether messages are needed."""
    return set() if is_single(example, system=False) else {_LISTS}


def row(example: Example, features: frozenset[str]) -> dict[str, Any] | None:
    """`{prompt, completion}`."""
    if has_tools(example) or example.messages[-1].role != "assistant":
        return None
    if _LISTS in features:
        return {
            "prompt": [told(message) for message in example.prompt],
            "completion": [told(example.messages[-1])],
        }
    _, asked, answer = texts(example)
    return {"prompt": asked, "completion": answer}
