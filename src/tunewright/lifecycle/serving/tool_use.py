"""Which tools a request offers, and which of them must, may or may not be called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunewright.base.errors import InputError
from tunewright.lifecycle.serving.bodies import ChatBody

Choice = Literal["none", "auto", "required"]
Tool = Mapping[str, Any]  # a definition, as OpenAI's API takes it

_WORDS: tuple[Choice, ...] = ("none", "auto", "required")


@dataclass(frozen=True)
class ToolUse:
    """What may be called.

    Args:
        shown: The tools that the model is told of.
        callable: Those of them that it may call.
        choice: Whether it must, may or may not call one.
        parallel: Whether it may call several at once.
        is_old: Whether calls are answered in the older form, `function_call`.
    """

    shown: tuple[Tool, ...] = ()
    callable: tuple[Tool, ...] = ()
    choice: Choice = "none"
    parallel: bool = True
    is_old: bool = False


def tool_use(body: ChatBody, own: Sequence[Tool] = ()) -> ToolUse:
    """The tools of a request.

    Args:
        own: What the model was trained with; shown where the request names no tools.

    Raises:
        InputError: If a tool is no function, or the choice is impossible; `where` is the field.
    """
    is_old = bool(body.functions) and not body.tools
    if is_old:
        tools: list[Tool] = [{"type": "function", "function": function} for function in body.functions or []]
        choice, field = body.function_call, "function_call"
    else:
        tools, choice, field = list(body.tools or own), body.tool_choice, "tool_choice"
    names = [_name(tool, f"functions[{n}]" if is_old else f"tools[{n}]") for n, tool in enumerate(tools)]
    word, allowed = _chosen(choice, field)
    if not tools:
        if word == "required" or allowed:
            raise InputError("A call is demanded, and there are no tools", where=field, hint="Send 'tools' with it.")
        return ToolUse()
    for name in allowed:
        if name not in names:
            raise InputError(f"There is no tool '{name}'", where=field, hint=f"Known: {', '.join(names)}.")
    callable = tuple(tool for tool, name in zip(tools, names, strict=True) if not allowed or name in allowed)
    # Who may not call anything is not told of what could be called; but what was trained with tools is asked with them.
    shown = () if word == "none" and not _is_own(body, own) else tuple(tools)
    return ToolUse(shown, callable, word, body.parallel_tool_calls is not False and not is_old, is_old)


def _is_own(body: ChatBody, own: Sequence[Tool]) -> bool:
    return bool(own) and not body.tools and not body.functions


def _name(tool: Tool, field: str) -> str:
    kind = tool.get("type", "function")
    if kind != "function":
        raise InputError(f"Tools of the type '{kind}' are not supported", where=f"{field}.type", hint="Use 'function'.")
    function = tool.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise InputError("A function needs a name", where=f"{field}.function.name")
    if not isinstance(function.get("parameters") or {}, dict):
        raise InputError("A function's parameters are a JSON schema", where=f"{field}.function.parameters")
    return str(function["name"])


def _chosen(choice: str | dict[str, Any] | None, field: str) -> tuple[Choice, list[str]]:
    """The word for what is wanted, and the names of the only tools that may be called; none: any."""
    if choice is None:
        return "auto", []
    if isinstance(choice, str):
        if choice not in _WORDS or (choice == "required" and field == "function_call"):
            raise InputError(f"'{choice}' is no choice", where=field, hint="Use 'none', 'auto', 'required' or a name.")
        return choice, []
    if choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools")
        given = allowed if isinstance(allowed, dict) else {}
        mode, tools = given.get("mode"), given.get("tools")
        if mode not in ("auto", "required") or not isinstance(tools, list) or not tools:
            raise InputError("'allowed_tools' needs a mode ('auto' or 'required') and tools", where=field)
        return mode, [_named(tool, field) for tool in tools]
    return "required", [_named({"function": choice} if field == "function_call" else choice, field)]


def _named(choice: Any, field: str) -> str:
    function = choice.get("function") if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name:
        raise InputError(
            "It names no function", where=field, hint='As in: {"type": "function", "function": {"name": …}}.'
        )
    return name
