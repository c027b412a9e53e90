"""ShareGPT: `conversations`, each turn `from` someone with a `value`."""

from __future__ import annotations

from typing import Any, Literal

from tunewright.base.plugins import PluginConfig
from tunewright.data.example import Example
from tunewright.data.exports._conversation import CALLS, REJECTED, ROLE, WEIGHTS, has_tools, has_usual_weights

FILE = "jsonl"

_FROM = {"system": "system", "user": "human", "assistant": "gpt"}


class Config(PluginConfig):
    """ShareGPT."""

    name: Literal["sharegpt"] = "sharegpt"


def lost(example: Example) -> str:
    """Tools, a developer's messages, a rejected answer, and weights, which others do not read."""
    if has_tools(example):
        return CALLS
    if any(message.role not in _FROM for message in example.messages):
        return ROLE
    if example.rejected is not None:
        return REJECTED
    return "" if has_usual_weights(example.messages) else WEIGHTS


def features(example: Example) -> set[str]:
    """None: every row is written alike."""
    return set()


def row(example: Example, features: frozenset[str]) -> dict[str, Any] | None:
    """`{conversations: [{from, value}]}`."""
    if lost(example) in (CALLS, ROLE):
        return None
    return {"conversations": [{"from": _FROM[each.role], "value": each.content} for each in example.messages]}
