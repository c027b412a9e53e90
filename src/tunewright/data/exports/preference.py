"""Rows with `prompt`, `chosen` and `rejected`: texts, or lists of messages for all where some have more than that."""

from __future__ import annotations

from typing import Any, Literal

from tunewright.base.plugins import PluginConfig
from tunewright.data.example import Example
from tunewright.data.exports._conversation import CALLS, WEIGHTS, has_tools, is_answer_alone, is_single, texts, told

FILE = "jsonl"

_LISTS = "lists"
_ONE = "two answers: it has no rejected one"


class Config(PluginConfig):
    """Preference."""

    name: Literal["preference"] = "preference"


def lost(example: Example) -> str:
    """Rows without a rejected answer, tools, and turns learned before the answer."""
    if example.rejected is None:
        return _ONE
    if has_tools(example):
        return CALLS
    return "" if is_answer_alone(example) else WEIGHTS


def features(example: Example) -> set[str]:
    """Whether messages are needed."""
    return set() if is_single(example, system=False) else {_LISTS}


def row(example: Example, features: frozenset[str]) -> dict[str, Any] | None:
    """`{prompt, chosen, rejected}`."""
    if lost(example) in (_ONE, CALLS):
        return None
    if _LISTS in features:
        return {
            "prompt": [told(message) for message in example.prompt],
            "chosen": [{"role": "assistant", "content": example.answer}],
            "rejected": [{"role": "assistant", "content": example.rejected}],
        }
    _, asked, answer = texts(example)
    return {"prompt": asked, "chosen": answer, "rejected": example.rejected}
