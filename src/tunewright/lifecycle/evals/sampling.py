"""Answers to an eval's rows: given with them, or drawn from a model of this server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunewright.base.errors import InputError, TunewrightError
from tunewright.evaluate.graders import Ask, Look, Spent, fill_messages, find, sample_of, spent_by

# Said in each request, so that the same run draws the same answers.
SEED = 42
_DRAWN = ("max_completion_tokens", "temperature", "top_p", "seed", "response_format", "tools")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of the answer to a row.

    Args:
        sample: As templates see it; None where there is none.
        shown: As an output item shows it.
        spent: What the model took; None where none was asked.
        error: Why there is no answer; None where there is one, or none is wanted.
    """

    sample: Mapping[str, Any] | None
    shown: dict[str, Any]
    spent: Spent | None = None
    error: str | None = None


def check_sampling(source: Mapping[str, Any]) -> None:
    """Refuses a data source whose rows or answers cannot be had here.

    Raises:
        InputError: Saying why, and what to do.
    """
    kind = source["source"]["type"]
    if kind == "responses":
        raise InputError(
            "This server keeps no responses",
            where="data_source.source.type",
            hint="Give rows as 'file_content' or 'file_id', or take chat completions that were stored.",
        )
    if is_answered(source):
        return
    for field in ("model", "input_messages"):
        if not source.get(field):
            raise InputError(
                f"A data source of type '{source['type']}' needs '{field}' here",
                where=f"data_source.{field}",
                hint="Rows that are answered already are of type 'jsonl'.",
            )
    chat_body(source, [])


def is_answered(source: Mapping[str, Any]) -> bool:
    """Whether the answers of a data source are there: beside the rows, or stored, and no model shall answer anew."""
    return source["type"] == "jsonl" or (source["source"]["type"] == "stored_completions" and not source.get("model"))


def answer_given(given: Mapping[str, Any] | None) -> Answer:
    """The answer that stands beside a row."""
    if given is None:
        return Answer(None, _shown())
    text = given.get("output_text")
    output = [{"role": "assistant", "content": text}] if isinstance(text, str) else []
    shown = _shown(output=output, model=str(given.get("model") or ""))
    sample = {**sample_of(text), **given} if isinstance(text, str) else dict(given)
    return Answer(sample, shown)


def draw_answer(source: Mapping[str, Any], item: Mapping[str, Any], ask: Ask) -> Answer:
    """A model's answer to a row; what went wrong is told in it."""
    asked: list[dict[str, Any]] = []
    try:
        asked = messages_of(source["input_messages"], item)
        body = chat_body(source, asked)
        answer = ask(body)
    except TunewrightError as error:
        told = {"code": "sampling_error", "message": str(error)}
        return Answer(None, _shown(model=source["model"], input=_texts(asked), error=told), error=str(error))
    choice = answer["choices"][0]
    text = choice["message"].get("content") or ""
    tools = choice["message"].get("tool_calls") or []
    spent = spent_by(source["model"], answer)
    shown = _shown(
        model=answer.get("model") or source["model"],
        input=_texts(asked),
        output=[{"role": "assistant", "content": text, **({"tool_calls": tools} if tools else {})}],
        finish_reason=choice.get("finish_reason") or "",
        max_completion_tokens=body.get("max_completion_tokens") or 0,
        temperature=float(body["temperature"]),
        top_p=float(body["top_p"]),
        seed=body["seed"],
        usage={
            "prompt_tokens": spent.prompt_tokens,
            "completion_tokens": spent.completion_tokens,
            "cached_tokens": spent.cached_tokens,
            "total_tokens": spent.prompt_tokens + spent.completion_tokens,
        },
    )
    return Answer(sample_of(text, tools=tools, model=source["model"]), shown, spent)


def chat_body(source: Mapping[str, Any], messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The chat request that a data source means.

    Raises:
        InputError: If it asks for what chat completions of this server cannot do.
    """
    given = dict(source.get("sampling_params") or {})
    if source["type"] == "responses":
        given = _from_responses(given)
    body = {name: given[name] for name in _DRAWN if given.get(name) is not None}
    return {"temperature": 1.0, "top_p": 1.0, "seed": SEED, **body, "model": source["model"], "messages": messages}


def messages_of(wanted: Mapping[str, Any], item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The messages that a model is sent for a row.

    Raises:
        TunewrightError: If the row has no such field, or the field holds no messages.
    """
    if wanted["type"] == "template":
        messages = [{"role": each["role"], "content": each["content"]} for each in wanted["template"]]
        return fill_messages(messages, Look(item))
    found = find(wanted["item_reference"], Look(item))
    if not isinstance(found, list) or not found or not all(_is_message(each) for each in found):
        raise InputError(
            f"'{wanted['item_reference']}' holds no messages",
            where="input_messages.item_reference",
            hint='It must be a list such as [{"role": "user", "content": "…"}].',
        )
    return [dict(each) for each in found]


def _is_message(value: object) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("role"), str) and "content" in value


def _from_responses(given: Mapping[str, Any]) -> dict[str, Any]:
    """Sampling parameters of the responses API, in the words of chat completions."""
    found = {**given}
    form = (found.pop("text", None) or {}).get("format")
    if form and form.get("type") == "json_schema":
        schema = {name: form[name] for name in ("name", "schema", "strict", "description") if name in form}
        found["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif form:
        found["response_format"] = form
    tools = []
    for place, tool in enumerate(found.pop("tools", None) or []):
        if tool.get("type") != "function":
            raise InputError(
                f"A tool of type {tool.get('type')!r} cannot be called here",
                where=f"data_source.sampling_params.tools[{place}].type",
                hint="Models of this server call functions alone.",
            )
        tools.append({"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}})
    return {**found, **({"tools": tools} if tools else {})}


def _texts(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Messages as an output item shows them."""
    return [{"role": str(each["role"]), "content": _text(each["content"])} for each in messages]


def _text(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) if isinstance(part, Mapping) else str(part) for part in content)
    return "" if content is None else str(content)


def _shown(**known: Any) -> dict[str, Any]:
    """An item's sample, every field of it; what is not known is empty or zero."""
    return {
        "error": {"code": "", "message": ""},
        "finish_reason": "",
        "input": [],
        "max_completion_tokens": 0,
        "model": "",
        "output": [],
        "seed": 0,
        "temperature": 0.0,
        "top_p": 0.0,
        "usage": {"cached_tokens": 0, "completion_tokens": 0, "prompt_tokens": 0, "total_tokens": 0},
        **known,
    }
