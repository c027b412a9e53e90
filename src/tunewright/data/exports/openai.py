"""JSON lines as OpenAI's fine-tuning takes them: conversations, or pairs of answers to prefer one of.

<https://platform.openai.com/docs/guides/supervised-fine-tuning>, …/direct-preference-optimization
"""

from __future__ import annotations

from typing import Any, Literal

from tunewright.base.plugins import PluginConfig
from tunewright.data.example import Example, Message
from tunewright.data.exports._conversation import CALLS, WEIGHTS, has_tools, is_answer_alone, told
from tunewright.data.rows import compact_json

FILE = "jsonl"

_NO_ID = "a call without an id"


class Config(PluginConfig):
    """OpenAI."""

    name: Literal["openai"] = "openai"


def lost(example: Example) -> str:
    """Weights that are neither 0 nor 1, calls without an id; of pairs tools, and turns learned before the answer."""
    if example.rejected is not None:
        if has_tools(example):
            return CALLS
        return "" if is_answer_alone(example) else WEIGHTS
    if any(not call.id for message in example.messages for call in message.tool_calls):
        return _NO_ID
    return "" if all(message.weight in (0, 1) for message in example.messages) else WEIGHTS


def features(example: Example) -> set[str]:
    """None: every row is written alike."""
    return set()


def row(example: Example, features: frozenset[str]) -> dict[str, Any] | None:
    """`{messages, tools}`, or `{input, preferred_output, non_preferred_output}`."""
    found = lost(example)
    if found in (CALLS, _NO_ID):
        return None
    if example.rejected is None:
        tools = {"tools": [dict(tool) for tool in example.tools]} if example.tools else {}
        return {"messages": [_message(message) for message in example.messages], **tools}
    return {
        "input": {"messages": [told(message) for message in example.prompt]},
        "preferred_output": [{"role": "assistant", "content": example.answer}],
        "non_preferred_output": [{"role": "assistant", "content": example.rejected}],
    }


def _message(message: Message) -> dict[str, Any]:
    value = told(message)
    if message.role == "assistant" and message.weight == 0:
        value["weight"] = 0
    if message.tool_call_id:
        value["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        value["content"] = message.content or None
        value["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": compact_json(call.arguments)},
            }
            for call in message.tool_calls
        ]
    return value
