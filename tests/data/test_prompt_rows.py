"""Rows that ask and do not answer, and what graders will read of a row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.data.test_tool_rows import RESULT, USER, call, calling
from tests.models.test_tool_calls import TOOL
from tunewright.base.errors import DataError
from tunewright.data.dataset import Dataset
from tunewright.data.example import Message
from tunewright.data.frame import ROLES
from tunewright.data.prepare import prepare
from tunewright.data.prompt_rows import PromptFormat
from tunewright.data.tool_rows import read_tools
from tunewright.models.tool_calls import ToolCall
from tunewright.recipe import recipe_from_mapping
from tunewright.store import Workspace


def messages(*turns: Any) -> tuple[Message, ...]:
    format = PromptFormat()
    return format.messages(format.flatten({"messages": list(turns)}))


def test_behind_the_last_question_stands_an_empty_answer_of_which_the_end_is_learned() -> None:
    told = {"role": "system", "content": "Be kind."}
    assert messages(told, USER) == (
        Message("system", "Be kind.", 0),
        Message("user", "Weather?", 0),
        Message("assistant", "", 1),
    )


def test_earlier_answers_are_only_read() -> None:
    turns = [USER, {"role": "assistant", "content": "Where?"}, {"role": "user", "content": "Here."}]
    found = messages(*turns)
    assert [(each.role, each.content, each.weight) for each in found] == [
        ("user", "Weather?", 0),
        ("assistant", "Where?", 0),
        ("user", "Here.", 0),
        ("assistant", "", 1),
    ]
    # Whatever the row says of their weight, which is not changed by it.
    weighed = {**turns[1], "weight": 1}
    assert messages(USER, weighed, turns[2]) == found
    assert weighed["weight"] == 1


def test_a_tools_result_may_be_the_last_word() -> None:
    _, asked, result, answer = messages(USER, calling(), RESULT)
    assert (asked.tool_calls, asked.weight) == ((ToolCall("weather", {"city": "Paris"}, "c1"),), 0)
    assert (result.role, result.content, result.tool_call_id) == ("tool", "20", "c1")
    assert answer == Message("assistant", "")


def test_tools_and_roles_are_flattened_and_the_answer_is_no_text_to_clean() -> None:
    format = PromptFormat()
    flat = format.flatten({"messages": [USER, calling(), RESULT], "tools": [TOOL]})
    assert flat[ROLES] == "user:0.0 assistant:0.0 tool:0.0 assistant:1.0"
    assert read_tools(flat["_tools"]) == (TOOL,)
    assert flat["answer"] == ""
    asked = ("messages[0].content", "messages[1].content", "messages[1].tool_calls", "messages[2].content")
    assert format.sides(tuple(flat)) == (asked, ())


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([USER, {"role": "assistant", "content": "Warm."}], "is to be answered, and it is the assistant's"),
        ([{"role": "system", "content": "Be kind."}], "is to be answered, and it is the system's"),
        ([USER, {"role": "judge", "content": "x"}, USER], "the role 'judge' is not one of"),
        ([{"role": "user", "content": " "}], "'content' is empty"),
        ([USER, calling(call("{broken")), RESULT], "'arguments' is not valid JSON"),
        ([], "'messages' is empty"),
    ],
)
def test_rows_that_are_refused(turns: list[Any], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        messages(*turns)


SPLIT = {"test": 0.2, "validation": 0.1, "minimum_test_rows": 1}


def prepared(folder: Path, rows: Sequence[Any], objective: str = "grpo", **data: Any) -> Dataset:
    folder.mkdir(exist_ok=True)
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    settings = {"train": str(folder / "rows.jsonl"), "split": SPLIT, **data}
    recipe = recipe_from_mapping({"name": "r", "goal": "g", "data": settings, "train": {"objective": objective}})
    return prepare(recipe, Workspace.open(folder / "ws"))


def asking(number: int, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": f"how  much is {number}?"}], **fields}


def cleaned(row: dict[str, Any]) -> dict[str, Any]:
    """A row as graders read it once white space is cleaned: a step that hides an address hides it from them as well."""
    return {**row, "messages": [{"role": "user", "content": row["messages"][0]["content"].replace("  ", " ")}]}


def items(dataset: Dataset) -> list[dict[str, Any]]:
    """What graders read of each row, in the order of the file."""
    found = [*dataset.examples("train"), *dataset.examples("validation"), *dataset.examples("test")]
    return [dict(each.item) for each in sorted(found, key=lambda each: each.line)]


def test_an_item_is_the_whole_row_nested_values_and_all(tmp_path: Path) -> None:
    rows = [asking(n, answer=f"yes  {n}", deep={"a": [n, {"b": 2.5}]}, none=None, sure=True) for n in range(20)]
    dataset = prepared(tmp_path, rows, format="prompts", steps=["whitespace"])
    assert items(dataset) == [cleaned(row) for row in rows]
    first = dataset.examples("test")[0]
    assert [(each.role, each.content) for each in first.messages] == [
        ("user", f"how much is {first.item['deep']['a'][0]}?"),
        ("assistant", ""),
    ]
    assert dataset.manifest["schema"]["item"] == "String"


def test_without_an_answer_of_its_own_a_row_has_an_empty_one(tmp_path: Path) -> None:
    rows = [asking(n) for n in range(20)]
    assert items(prepared(tmp_path, rows, format="prompts")) == [{"answer": "", **row} for row in rows]


def test_texts_are_read_as_they_were_cleaned_and_the_answer_beside_them(tmp_path: Path) -> None:
    rows = [{"text": f"row   {n}", "label": f"  big {n % 2}", "n": n, "note": "as  it is"} for n in range(20)]
    dataset = prepared(
        tmp_path, rows, template={"user": "{text}", "assistant": "It is {label}"}, steps=["whitespace"], answer="text"
    )
    assert items(dataset) == [
        {"answer": f"It is big {n % 2}", "text": f"row {n}", "label": f"big {n % 2}", "n": n, "note": "as  it is"}
        for n in range(20)
    ]


def test_a_column_called_answer_is_the_rows_own(tmp_path: Path) -> None:
    said = {"role": "assistant", "content": "Two, I think."}
    chats = [{"messages": [*asking(n)["messages"], said], "answer": f"so  {n}"} for n in range(20)]
    found = items(prepared(tmp_path / "a", chats, steps=["whitespace"], answer="text"))
    assert found == [cleaned(chat) for chat in chats]
    # Where the conversation is made of it, it is cleaned like any text.
    texts = [{"question": f"how much is {n}?", "answer": f"so  {n}"} for n in range(20)]
    template = {"user": "{question}", "assistant": "{answer}"}
    found = items(prepared(tmp_path / "b", texts, template=template, steps=["whitespace"], answer="text"))
    assert [each["answer"] for each in found] == [f"so {n}" for n in range(20)]


def test_only_where_answers_are_drawn_are_rows_kept_for_graders(tmp_path: Path) -> None:
    rows = [{"prompt": f"how much is {n}?", "completion": f"so {n}"} for n in range(20)]
    drawn, taught = prepared(tmp_path / "a", rows), prepared(tmp_path / "b", rows, "sft")
    for part in ("train", "validation", "test"):
        columns = pl.read_parquet(taught.path / f"{part}.parquet").columns
        assert "item" not in columns
        assert pl.read_parquet(drawn.path / f"{part}.parquet").columns == [*columns, "item"]
    assert "item" not in taught.manifest["schema"]
    assert {tuple(item) for item in map(dict.keys, items(taught))} == {()}
    assert drawn.hash != taught.hash


def test_the_format_is_named_and_never_guessed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the conversation has no assistant message"):
        prepared(tmp_path, [asking(n) for n in range(20)])
