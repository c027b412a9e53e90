"""Tools in rows of OpenAI's chat format: their definitions, the assistant's calls, and the results of those."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tunewright.base.errors import DataError
from tunewright.data.rows import compact_json
from tunewright.models.tool_calls import ToolCall

# The columns of a message into which its calls, and the id of the call that it answers, are flattened.
CALLS, RESULT_OF = "tool_calls", "tool_call_id"


def tools_text(values: Mapping[str, Any]) -> str:
    """The tools that a row defines, checked, as JSON text; empty if there are none.

    Raises:
        DataError: If one is no definition of a function.
    """
    tools = values.get("tools")
    if isinstance(tools, str):  # tables keep lists as JSON text
        tools = _load(tools, "'tools'") if tools.strip() else None
    if not tools:
        return ""
    if not isinstance(tools, list):
        raise DataError("'tools' is not a list")
    for index, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise DataError(f"tools[{index}] defines no function: it needs 'type', and 'function' with a 'name'")
    return compact_json(tools)


def read_tools(text: str | None) -> tuple[dict[str, Any], ...]:
    """The tools behind the text that `tools_text` gave."""
    return tuple(json.loads(text)) if text else ()


def tool_cells(message: Mapping[str, Any], field: str) -> dict[str, str]:
    """What a message calls, and which call it answers, by column; empty for a plain message.

    Raises:
        DataError: If a call cannot be read, or the role fits neither.
    """
    role, calls = message.get("role"), _calls_of(message, field)
    if message.get("function_call"):
        raise DataError(f"{field}: 'function_call' is no longer OpenAI's form; write it as 'tool_calls'")
    if calls and role != "assistant":
        raise DataError(f"{field}: only the assistant calls tools, and this message is the {role}'s")
    cells: dict[str, str] = {}
    if calls:
        if not isinstance(calls, list):
            raise DataError(f"{field}: 'tool_calls' is not a list")
        cells[CALLS] = calls_text(_call(call, f"{field}.tool_calls[{index}]") for index, call in enumerate(calls))
    if role == "tool":
        if not isinstance(message.get(RESULT_OF), str) or not message[RESULT_OF]:
            raise DataError(f"{field}: a tool's result needs 'tool_call_id', the id of the call that it answers")
        cells[RESULT_OF] = message[RESULT_OF]
    return cells


def _calls_of(message: Mapping[str, Any], field: str) -> Any:
    """What stands under `tool_calls`; tables keep lists as JSON text."""
    calls = message.get(CALLS)
    return _load(calls, f"{field}: 'tool_calls'") if isinstance(calls, str) and calls else calls


def _call(value: Any, field: str) -> ToolCall:
    function = value.get("function") if isinstance(value, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise DataError(f"{field} has no 'function' with a 'name'")
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        arguments = _load(arguments or "{}", f"{field}: 'arguments'")
    if not isinstance(arguments, dict):
        raise DataError(f"{field}: 'arguments' is no JSON object")
    return ToolCall(function["name"], arguments, str(value.get("id") or ""))


def check_results(turns: Iterable[tuple[Mapping[str, Any], str]]) -> None:
    """Raises a `DataError` if a tool's result answers no call that stands before it."""
    called: set[str] = set()
    for message, field in turns:
        called.update(str(call.get("id") or "") for call in _calls_of(message, field) or ())
        if message.get("role") == "tool" and message[RESULT_OF] not in called:
            raise DataError(f"{field} answers the call '{message[RESULT_OF]}', which nobody has made")


def calls_text(calls: Iterable[ToolCall]) -> str:
    """Calls as the text of a cell; empty for none."""
    given = [call.as_json() for call in calls]
    return compact_json(given) if given else ""


def read_cells(text: str | None, field: str) -> tuple[ToolCall, ...]:
    """The calls behind a cell's text.

    Raises:
        DataError: If a cleaning step has left no JSON of calls behind.
    """
    if not text:
        return ()
    try:
        return tuple(map(ToolCall.from_json, json.loads(text)))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{field}: 'tool_calls' is no longer valid JSON after cleaning") from error


def _load(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(f"{what} is not valid JSON") from None
