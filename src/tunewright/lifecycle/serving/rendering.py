"""From a request's messages to the prompt that training would have made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunewright.base.errors import DataError, InputError, ModelError
from tunewright.data.tool_rows import CALLS, check_results, read_cells, tool_cells
from tunewright.lifecycle.serving.bodies import ChatBody, ChatMessage
from tunewright.lifecycle.serving.tool_use import ToolUse, tool_use
from tunewright.lifecycle.talk import request
from tunewright.models.chat import Turn
from tunewright.recipe import Recipe

if TYPE_CHECKING:
    from tunewright.models.chat import ChatFormat

_TELLING = ("system", "developer")


@dataclass(frozen=True)
class Question:
    """A conversation as the model reads it.

    Args:
        prompt: Its tokens, up to where the answer begins.
        turns: The conversation; one text for a model that goes on with documents.
        stop_ids: The tokens that end the answer.
        tools: What may be called.
    """

    prompt: tuple[int, ...]
    turns: tuple[Turn, ...]
    stop_ids: frozenset[int]
    tools: ToolUse


def question(body: ChatBody, chat: ChatFormat, template: Mapping[str, Any], recipe: Recipe | None) -> Question:
    """The prompt of a request.

    A single user's message to what was fine-tuned is cleaned and put into its template, as its training rows were. Any
    other conversation is rendered as it stands; where it has no system message, it gets the one that all training rows
    had, if they had one.

    Args:
        chat: How the model reads conversations.
        template: As a release carries it; empty for a base.
        recipe: By which the model was made; None for a base.

    Raises:
        InputError: If a message cannot be read, or the model takes no such conversation; `where` is the field.
    """
    turns = read_messages(body.messages)
    tools = tool_use(body, template.get("tools") or ())
    if template.get("documents"):
        return _document(turns, chat, tools)
    if recipe is not None:
        turns = _as_trained(turns, template, recipe)
    try:
        prompt = chat.prompt(turns, tools.shown)
    except (DataError, ModelError) as error:
        hint = error.hint if chat.template else "Texts can be gone on with at /v1/completions."
        raise InputError(error.what, where="messages", hint=hint) from error
    return Question(tuple(prompt), tuple(turns), chat.stop_ids, tools)


def read_messages(messages: Sequence[ChatMessage]) -> list[Turn]:
    """A request's messages as turns.

    Raises:
        InputError: If one has no text, holds what is no text, or answers a call that nobody has made.
    """
    plain = _renewed(messages)
    turns = []
    for index, (message, given) in enumerate(zip(plain, messages, strict=True)):
        field = f"messages[{index}]"
        try:
            cells = tool_cells(message, field)
            calls = read_cells(cells.get(CALLS), field)
        except DataError as error:
            raise InputError(error.what, where=field) from error
        content = _text(given, field, may_be_empty=bool(calls))
        turns.append(Turn(str(message["role"]), content, 0.0, calls, str(message.get("tool_call_id") or "")))
    try:
        check_results((message, f"messages[{index}]") for index, message in enumerate(plain))
    except DataError as error:
        raise InputError(error.what, where="messages") from error
    return turns


def _renewed(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """The messages in the newer form: a `function_call` is a tool call, and a function's result that of a tool."""
    found: list[dict[str, Any]] = []
    last: dict[str, str] = {}  # by function: the id that its last call is given
    for index, message in enumerate(messages):
        one: dict[str, Any] = message.model_dump(exclude_none=True)
        if call := one.pop("function_call", None):
            name, arguments = str(call.get("name") or ""), call.get("arguments", "{}")
            last[name] = f"call_{index}"
            called = {"id": last[name], "type": "function", "function": {"name": name, "arguments": arguments}}
            one["tool_calls"] = [*one.get("tool_calls", []), called]
        if message.role == "function":
            one |= {"role": "tool", "tool_call_id": last.get(message.name or "", "")}
            if not one["tool_call_id"]:
                raise InputError(
                    f"It holds what '{message.name or ''}' gave, and nobody has called that", where=f"messages[{index}]"
                )
        found.append(one)
    return found


def _text(message: ChatMessage, field: str, *, may_be_empty: bool) -> str:
    content = message.content
    if content is None:
        if may_be_empty or message.refusal is not None:
            return message.refusal or ""
        raise InputError("A message needs content", where=f"{field}.content")
    if isinstance(content, str):
        return content
    texts = []
    for place, part in enumerate(content):
        kind = part.get("type")
        text = part.get(str(kind)) if kind in ("text", "refusal") else None
        if not isinstance(text, str):
            what = f"parts of the type {json.dumps(kind)}" if kind not in ("text", "refusal") else "a part without text"
            raise InputError(f"This model reads text alone, and not {what}", where=f"{field}.content[{place}].type")
        texts.append(text)
    return "".join(texts)


def _as_trained(turns: list[Turn], template: Mapping[str, Any], recipe: Recipe) -> list[Turn]:
    if len(turns) == 1 and turns[0].role == "user":
        try:
            return request(template, recipe, turns[0].content)
        except InputError as error:
            raise InputError(error.what, where="messages[0].content", hint=error.hint) from error
    if template["template"] is None and template["system"] and not any(turn.role in _TELLING for turn in turns):
        return [Turn("system", template["system"]), *turns]
    return turns


def _document(turns: list[Turn], chat: ChatFormat, tools: ToolUse) -> Question:
    """The beginning of a document; the model goes on with it."""
    if len(turns) != 1 or turns[0].role != "user" or not turns[0].content.strip() or tools.shown:
        raise InputError(
            "This model goes on with documents: it takes one user's message, which begins one, and no tools",
            where="messages",
        )
    plain = chat.plain
    prompt = (*plain.begin, *plain.tokens(turns[0].content))
    return Question(prompt, tuple(turns), frozenset([plain.end]), tools)
