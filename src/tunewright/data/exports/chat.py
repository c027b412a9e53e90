"""Conversations as `messages`, with tools, and with a weight where a turn is learned otherwise than usual."""

from __future__ import annotations

from typing import Any, Literal

from tunewright.base.plugins import PluginConfig
from tunewright.data.example import Example, Message
from tunewright.data.exports._conversation import REJECTED

FILE = "jsonl"


class Config(PluginConfig):
    """Chat."""

    name: Literal["chat"] = "chat"


def lost(example: Example) -> str:
    """A rejected answer."""
    return "" if example.rejected is None else REJECTED


def features(example: Example) -> set[str]:
    """None: every row is written alike."""
    return set()


def row(example: Example, features: frozenset[str]) -> dict[str, Any]:
    """`{messages, tools}`; tools only where there are some."""
    tools = {"tools": [dict(tool) for tool in example.tools]} if example.tools else {}
    return {"messages": [_message(message) for message in example.messages], **tools}


def _message(message: Message) -> dict[str, Any]:
    value = message.as_json()
    if message.weight == float(message.role == "assistant"):
        del value["weight"]
    return value
