"""Tool calls: as data, as a model writes them, and read back from what a model wrote.

A chat template that knows tools renders them its own way. For one that does not, a conversation is written out in
plain messages, in the form that Hermes and Qwen models were trained on (`written_out`): the tools stand in the system
message, a call in `<tool_call>` tags, a result in `<tool_response>` tags in a user's message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OPEN, CLOSE = "<tool_call>", "</tool_call>"

_BLOCK = re.compile(rf"{OPEN}(.*?)(?:{CLOSE}|\Z)", re.DOTALL)
_BEGINNING = re.compile(r"[\[{]")
_INTRODUCTION = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""

Plain = dict[str, Any]  # a message as chat templates take it


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a function.

    Args:
        name: The function's.
        arguments: By name, JSON values.
        id: What a result refers to; empty where there is none.
    """

    name: str
    arguments: Mapping[str, Any]
    id: str = ""

    def as_json(self) -> dict[str, Any]:
        """The call in OpenAI's form, but for its arguments, which are an object and not a text of JSON."""
        function = {"name": self.name, "arguments": dict(self.arguments)}
        return {"id": self.id, "type": "function", "function": function}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ToolCall:
        """Reads back what `as_json` gave."""
        return cls(value["function"]["name"], value["function"]["arguments"], value["id"])


def write_answer(content: str, calls: Sequence[ToolCall]) -> str:
    """An answer's text with its calls behind it, as `read_calls` reads them; without calls, the text as it is."""
    return "\n".join([*([content] if content or not calls else []), *map(_written, calls)])


def _written(call: ToolCall) -> str:
    value = {"name": call.name, "arguments": dict(call.arguments)}
    return f"{OPEN}\n{json.dumps(value, ensure_ascii=False)}\n{CLOSE}"


def read_calls(text: str) -> tuple[ToolCall, ...] | None:
    """The calls in what a model wrote: in `<tool_call>` tags, or as bare JSON, the way of Llama's and Mistral's.

    Returns:
        The calls, in order; none where the text calls nothing; None where a tag is opened and no call can be read.
    """
    if OPEN in text:
        found = [_as_calls(_load(block)) for block in _BLOCK.findall(text)]
        return tuple(call for calls in found for call in calls) if all(found) else None
    calls: list[ToolCall] = []
    at = 0
    decoder = json.JSONDecoder()
    while beginning := _BEGINNING.search(text, at):
        try:
            value, at = decoder.raw_decode(text, beginning.start())
        except (ValueError, RecursionError):
            at = beginning.end()
            continue
        calls += _as_calls(value)
    return tuple(calls)


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _as_calls(value: Any) -> list[ToolCall]:
    """The calls that a JSON value is: an object with a name and arguments, or a list of such; empty if it is not."""
    if isinstance(value, list):
        each = [_as_calls(item) for item in value]
        return [call for calls in each for call in calls] if all(each) else []
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return []
    arguments = value.get("arguments", value.get("parameters"))
    if isinstance(arguments, str):
        arguments = _load(arguments)
    return [ToolCall(value["name"], arguments, str(value.get("id") or ""))] if isinstance(arguments, dict) else []


def written_out(messages: Sequence[Plain], tools: Sequence[Mapping[str, Any]]) -> list[Plain]:
    """A conversation with tools in plain messages of system, user and assistant."""
    plain: list[Plain] = []
    inside = False  # a user's message that holds results
    for message in messages:
        role, content = message["role"], str(message["content"])
        if role == "tool":
            shown = f"<tool_response>\n{content}\n</tool_response>"
            if inside:
                plain[-1] = {"role": "user", "content": f"{plain[-1]['content']}\n{shown}"}
            else:
                plain.append({"role": "user", "content": shown})
        else:
            calls = [ToolCall.from_json(call) for call in message.get("tool_calls", ())]
            plain.append({"role": role, "content": write_answer(content, calls)})
        inside = role == "tool"
    if not tools:
        return plain
    listed = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    told = _INTRODUCTION.format(tools=listed)
    if plain and plain[0]["role"] == "system":
        return [{"role": "system", "content": f"{plain[0]['content']}\n\n{told}"}, *plain[1:]]
    return [{"role": "system", "content": told}, *plain]
