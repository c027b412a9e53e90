"""Parquet: `messages` (or `prompt`, `chosen` and `rejected` as lists of messages), with id, source and line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from tunewright.base.plugins import PluginConfig
from tunewright.data.example import Example, Message
from tunewright.data.exports import preference
from tunewright.data.exports._conversation import CALLS
from tunewright.data.rows import compact_json
from tunewright.data.tool_rows import calls_text

FILE = "parquet"

_PAIRS = "pairs"


class Config(PluginConfig):
    """Parquet."""

    name: Literal["parquet"] = "parquet"


def lost(example: Example) -> str:
    """Nothing; of pairs tools, and turns learned before the answer."""
    return "" if example.rejected is None else preference.lost(example)


def features(example: Example) -> set[str]:
    """Whether the rows are pairs."""
    return set() if example.rejected is None else {_PAIRS}


def schema(features: frozenset[str]) -> Any:
    """The columns; tools and calls are JSON texts, since their arguments have no one type."""
    import pyarrow as pa

    message = pa.struct(
        [
            ("role", pa.string()),
            ("content", pa.string()),
            ("weight", pa.float64()),
            ("tool_calls", pa.string()),
            ("tool_call_id", pa.string()),
        ]
    )
    lists = ("prompt", "chosen", "rejected") if _PAIRS in features else ("messages",)
    return pa.schema(
        [
            ("id", pa.string()),
            ("source", pa.string()),
            ("line", pa.int64()),
            *((name, pa.list_(message)) for name in lists),
            *([] if _PAIRS in features else [("tools", pa.string())]),
        ]
    )


def row(example: Example, features: frozenset[str]) -> dict[str, Any] | None:
    """The row, by column."""
    place = {"id": example.id, "source": example.source, "line": example.line}
    if example.rejected is None:
        tools = compact_json([dict(tool) for tool in example.tools]) if example.tools else None
        return {**place, "messages": _messages(example.messages), "tools": tools}
    if lost(example) == CALLS:
        return None
    chosen, rejected = (Message("assistant", text) for text in (example.answer, example.rejected))
    return {
        **place,
        "prompt": _messages(example.prompt),
        "chosen": _messages([chosen]),
        "rejected": _messages([rejected]),
    }


def _messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    return [
        {
            "role": message.role,
            "content": message.content,
            "weight": message.weight,
            "tool_calls": calls_text(message.tool_calls) or None,
            "tool_call_id": message.tool_call_id or None,
        }
        for message in messages
    ]
