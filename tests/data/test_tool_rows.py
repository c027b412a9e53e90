"""Rows of OpenAI's chat format with tools: from a file to examples and back, and the faults that are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.models.test_tool_calls import TOOL
from tunewright.base.errors import DataError
from tunewright.data.example import Example
from tunewright.data.formats import ConversationFormat
from tunewright.data.prepare import prepare
from tunewright.models.tool_calls import ToolCall
from tunewright.recipe import recipe_from_mapping
from tunewright.store import Workspace

USER: dict[str, Any] = {"role": "user", "content": "Weather?"}
RESULT: dict[str, Any] = {"role": "tool", "tool_call_id": "c1", "content": "20"}


def call(arguments: Any = '{"city": "Paris"}', **changes: Any) -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": arguments}, **changes}


def calling(*calls: Any, **changes: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls) or [call()], **changes}


def messages(*turns: Any, **row: Any) -> Any:
    format = ConversationFormat()
    return format.messages(format.flatten({"messages": list(turns), **row}))


@pytest.mark.parametrize("arguments", ['{"city": "Paris"}', {"city": "Paris"}])
def test_arguments_are_json_text_or_an_object(arguments: Any) -> None:
    told, asked, called, result, said = messages(
        {"role": "developer", "content": "Be kind."},
        USER,
        calling(call(arguments), call({}, id="c2"), weight=0.5),
        RESULT,
        {"role": "assistant", "content": "Warm."},
    )
    assert (told.role, asked.content) == ("developer", "Weather?")
    assert called.tool_calls == (ToolCall("weather", {"city": "Paris"}, "c1"), ToolCall("weather", {}, "c2"))
    assert (called.content, called.weight) == ("", 0.5)
    assert (result.role, result.tool_call_id, result.weight) == ("tool", "c1", 0.0)
    assert (said.content, said.weight) == ("Warm.", 1.0)


def test_a_last_answer_may_be_a_call() -> None:
    (_, answer) = messages(USER, calling())
    assert answer.shown == '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([USER, calling(call("{broken"))], r"messages\[1\].tool_calls\[0\]: 'arguments' is not valid JSON"),
        ([USER, calling(call("[1]"))], "'arguments' is no JSON object"),
        ([USER, calling({"id": "c1"})], "has no 'function' with a 'name'"),
        ([USER, calling(), {"role": "tool", "content": "20"}, calling()], r"messages\[2\]: .* needs 'tool_call_id'"),
        ([USER, calling(), {**RESULT, "tool_call_id": "c9"}, calling()], "'c9', which nobody has made"),
        ([{**USER, "tool_calls": [call()]}, calling()], "only the assistant calls tools"),
        ([USER, {"role": "assistant", "content": None, "function_call": {"name": "f"}}], "no longer OpenAI's form"),
        ([USER, calling(), {**RESULT, "content": ""}, calling()], "'content' is empty"),
    ],
)
def test_rows_that_are_refused(turns: list[Any], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        messages(*turns)


def test_tools_must_define_functions() -> None:
    with pytest.raises(DataError, match=r"tools\[1\] defines no function"):
        messages(USER, calling(), tools=[TOOL, {"type": "function"}])


def test_a_dataset_gives_back_calls_results_and_tools(tmp_path: Path) -> None:
    rows = [
        {"messages": [{**USER, "content": f"Weather {n}?"}, calling(call({"city": f"c{n}", "n": n}))], "tools": [TOOL]}
        for n in range(12)
    ]
    rows[3]["messages"] += [RESULT, {"role": "assistant", "content": "Warm."}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    recipe = recipe_from_mapping(
        {
            "name": "tools",
            "goal": "Call.",
            "data": {
                "train": "rows.jsonl",
                "steps": ["unicode", "whitespace"],
                "split": {"validation": 0, "test": 2, "minimum_test_rows": 1},
            },
        },
        folder=tmp_path,
    )
    dataset = prepare(recipe, Workspace.open(tmp_path / "workspace"))
    assert dataset.answer_kind == "tool_call"
    by_line = {row.line: row for part in ("train", "test") for row in dataset.examples(part)}  # type: ignore[arg-type]
    assert all(row.tools == (TOOL,) for row in by_line.values())
    assert by_line[1].messages[1].tool_calls == (ToolCall("weather", {"city": "c0", "n": 0}, "c1"),)
    assert [message.role for message in by_line[4].messages] == ["user", "assistant", "tool", "assistant"]
    assert (by_line[4].answer, by_line[4].messages[2].tool_call_id) == ("Warm.", "c1")
    assert all(Example.from_json(json.loads(json.dumps(row.as_json()))) == row for row in by_line.values())
