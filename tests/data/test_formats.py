"""What rows may look like, and the conversations they become."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunewright.base.errors import DataError
from tunewright.data.example import Message
from tunewright.data.formats import Format, choose_format
from tunewright.recipe.schema import Data


def _format(tmp_path: Path, row: dict[str, Any], **settings: Any) -> Format:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(row))
    return choose_format(Data.model_validate({"train": str(file), **settings}))


def _messages(format: Format, row: dict[str, Any]) -> list[tuple[str, str, float]]:
    return [(m.role, m.content, m.weight) for m in format.messages(format.flatten(row))]


def test_prompt_and_completion(tmp_path: Path) -> None:
    row = {"prompt": "{2}?", "completion": "4"}
    format = _format(tmp_path, row)
    assert format.name == "prompt_completion"
    assert _messages(format, row) == [("user", "{2}?", 0), ("assistant", "4", 1)]


def test_instruction_with_input_and_system(tmp_path: Path) -> None:
    row = {"instruction": "Add.", "input": "2 2", "output": "4", "system": "Be brief."}
    format = _format(tmp_path, row)
    assert _messages(format, row) == [("system", "Be brief.", 0), ("user", "Add.\n\n2 2", 0), ("assistant", "4", 1)]
    assert _messages(format, {"instruction": "Add.", "input": "", "output": "4"})[0] == ("user", "Add.", 0)
    with pytest.raises(DataError, match="'output' is empty"):
        _messages(format, {"instruction": "Add.", "output": " "})


def test_chat_keeps_weights_and_what_follows_the_last_answer(tmp_path: Path) -> None:
    row = {
        "messages": [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "1", "weight": 0},
            {"role": "user", "content": [{"type": "text", "text": "t"}, {"type": "text", "text": "wo"}]},
            {"role": "assistant", "content": "2"},
            {"role": "user", "content": "thanks"},
        ]
    }
    format = _format(tmp_path, row)
    flat = format.flatten(row)
    assert flat["answer"] == "2"
    prompt, answer = format.sides(list(flat))
    assert prompt == tuple(f"messages[{index}].content" for index in (0, 1, 2, 3, 5))
    assert answer == ("answer",)
    assert format.messages(flat) == (
        Message("system", "S"),
        Message("user", "one"),
        Message("assistant", "1", 0),
        Message("user", "two"),
        Message("assistant", "2"),
        Message("user", "thanks"),
    )


def test_chat_in_a_table_may_be_json_text(tmp_path: Path) -> None:
    text = json.dumps([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])
    format = _format(tmp_path, {"messages": text})
    assert _messages(format, {"messages": text}) == [("user", "a", 0), ("assistant", "b", 1)]


def test_sharegpt_with_a_system_field(tmp_path: Path) -> None:
    row = {"system": "S", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
    format = _format(tmp_path, row)
    assert format.name == "sharegpt"
    assert _messages(format, row) == [("system", "S", 0), ("user", "a", 0), ("assistant", "b", 1)]


USER, ANSWER = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([USER], "no assistant message"),
        ([ANSWER], "nothing is asked"),
        ([USER, {"role": "assistant", "content": None}], r"messages\[1\]: 'content' is null"),
        ([USER, {"role": "assistant", "content": " "}], r"messages\[1\]: 'content' is empty"),
        ([USER, {"role": "assistant", "content": None, "tool_calls": [{}]}], r"tool_calls\[0\] has no 'function'"),
        ([USER, {"role": "robot", "content": "x"}, ANSWER], "role 'robot' is not one of"),
        ([USER, {**ANSWER, "weight": 0}], "nothing is to be learned"),
        ([USER, {**ANSWER, "weight": 1.5}], "'weight' is 1.5"),
        ([USER, {**ANSWER, "weight": True}], "'weight' is True"),
        ([{**USER, "weight": 1}, ANSWER], "for the assistant only"),
        ([USER, {"role": "assistant", "content": [{"type": "image"}]}], "not text"),
        ("hello", "is a text, and not a list"),
        ([], "'messages' is empty"),
        (["x"], r"messages\[0\] is not an object"),
    ],
)
def test_chat_rows_that_are_refused(tmp_path: Path, messages: Any, reason: str) -> None:
    format = _format(tmp_path, {"messages": [USER, ANSWER]})
    with pytest.raises(DataError, match=reason):
        format.messages(format.flatten({"messages": messages}))


def test_template_with_a_json_answer(tmp_path: Path) -> None:
    row = {"text": "Wo ist's?", "intent": "wo", "order": "", "näme": "ü"}
    template = {
        "system": 'Answer {{"intent": …}}.',
        "user": "Mail: {text}",
        "assistant": {"name": "näme", "intent": "intent", "order_id": "order"},
    }
    format = _format(tmp_path, row, template=template)
    assert _messages(format, row) == [
        ("system", 'Answer {"intent": …}.', 0),
        ("user", "Mail: Wo ist's?", 0),
        ("assistant", '{"name":"ü","intent":"wo","order_id":null}', 1),
    ]
    assert format.needed == ("text", "näme", "intent", "order")


def test_template_rows_that_are_refused(tmp_path: Path) -> None:
    row = {"a": "x", "b": "y", "c": "z"}
    format = _format(tmp_path, row, template={"user": "{a} and {b}", "assistant": "{c}"})
    assert _messages(format, {"a": "x", "b": None, "c": "z"})[0] == ("user", "x and ", 0)
    with pytest.raises(DataError, match="the prompt is empty"):
        _messages(format, {"a": " ", "c": "z"})
    with pytest.raises(DataError, match="'c' is empty"):
        _messages(format, {"a": "x"})


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ({"user": "{text", "assistant": "{label}"}, r"data\.template\.user: A '\{' stands alone at position 1"),
        ({"user": "text", "assistant": "{label}"}, r"data\.template\.user: The template names no column"),
        ({"user": "{text}", "assistant": "yes"}, r"data\.template\.assistant: The template names no column"),
        ({"user": "{_line}", "assistant": "{label}"}, "is used inside"),
    ],
)
def test_wrong_templates(tmp_path: Path, template: dict[str, str], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        _format(tmp_path, {"text": "a", "label": "b"}, template=template)


def test_unknown_fields_show_what_a_template_looks_like(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        _format(tmp_path, {"title": "a", "genre": "b"})
    assert "Columns: title, genre" in str(caught.value)
    assert 'user: "{title}"\n      assistant: "{genre}"' in str(caught.value)


def test_a_text_and_its_label(tmp_path: Path) -> None:
    row = {"text": "It rains.", "label": 3}
    format = _format(tmp_path, row)
    assert format.name == "labelled"
    assert _messages(format, row) == [("user", "It rains.", 0), ("assistant", "3", 1)]
    assert format.sides(list(format.flatten(row))) == (("text",), ("label",))
    with pytest.raises(DataError, match="'label' is empty"):
        _messages(format, {"text": "It rains.", "label": None})


def test_a_pair_of_texts_and_its_label(tmp_path: Path) -> None:
    row = {"text": "It rains.", "text_pair": "It is wet.", "label": "follows"}
    format = _format(tmp_path, row)
    expected = [("user", "It rains.", 0), ("user", "It is wet.", 0), ("assistant", "follows", 1)]
    assert _messages(format, row) == expected
    assert format.sides(list(format.flatten(row))) == (("text", "text_pair"), ("label",))
    assert format.makes("text_pair")


def test_words_and_their_tags(tmp_path: Path) -> None:
    row = {"tokens": ["ann", "lives", "in", "oslo"], "tags": ["B-PER", "O", "O", "B-LOC"]}
    format = _format(tmp_path, row)
    assert format.name == "tagged"
    as_text = {name: json.dumps(words) for name, words in row.items()}  # as a CSV has it
    assert _messages(format, as_text) == _messages(format, row)
    assert _messages(format, row) == [("user", "ann lives in oslo", 0), ("assistant", "B-PER O O B-LOC", 1)]
    assert format.sides(list(format.flatten(row))) == (("tokens",), ("tags",))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"tokens": ["a", "b"], "tags": ["O"]}, "2 tokens and 1 tags"),
        ({"tokens": ["a b"], "tags": ["O"]}, r"tokens\[0\] is empty, or has white space"),
        ({"tokens": ["a", ""], "tags": ["O", "O"]}, r"tokens\[1\] is empty"),
        ({"tokens": ["a"], "tags": [None]}, r"tags\[0\] is empty"),
        ({"tokens": "a b", "tags": ["O", "O"]}, "'tokens' is not a list"),
        ({"tokens": [], "tags": []}, "'tokens' is"),
    ],
)
def test_tagged_rows_that_are_refused(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    format = _format(tmp_path, {"tokens": ["a"], "tags": ["O"]})
    with pytest.raises(DataError, match=reason):
        _messages(format, row)


def test_a_template_beside_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"yet there is a data\.template"):
        _format(tmp_path, {"a": "b"}, format="chat", template={"user": "{a}", "assistant": "{a}"})


def test_preference_texts(tmp_path: Path) -> None:
    row = {"prompt": "2 + 2?", "chosen": "4", "rejected": "5", "messages": []}
    format = _format(tmp_path, row)
    assert format.name == "preference"
    assert _messages(format, row) == [("user", "2 + 2?", 0), ("assistant", "4", 1)]
    assert format.rejected(format.flatten(row)) == "5"
    assert _messages(format, {**row, "system": "Be brief."})[0] == ("system", "Be brief.", 0)
    assert format.sides(list(format.flatten(row))) == (("system", "prompt"), ("chosen", "rejected"))


def test_an_answer_may_be_a_json_list(tmp_path: Path) -> None:
    row = {"prompt": "Pairs?", "chosen": '[{"a": 1}]', "rejected": "[{"}
    format = _format(tmp_path, row)
    assert _messages(format, row)[-1] == ("assistant", '[{"a": 1}]', 1)
    assert format.rejected(format.flatten(row)) == "[{"


GOOD, BAD = {"role": "assistant", "content": "good"}, {"role": "assistant", "content": "bad"}


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize(
    ("prompt", "begin"),
    [
        (None, [USER, ANSWER, USER]),  # the prompt is what both lists begin with
        ("a", [USER, ANSWER, USER]),  # a text is not looked at
        ([USER, ANSWER, USER], []),
        ([USER, ANSWER, USER], [USER, ANSWER, USER]),  # the prompt stands in all three
    ],
)
def test_preference_conversations(tmp_path: Path, prompt: Any, begin: list[Any], as_text: bool) -> None:
    row = {"prompt": prompt, "chosen": [*begin, GOOD], "rejected": [*begin, BAD]}
    if as_text:
        row = {name: json.dumps(value) if isinstance(value, list) else value for name, value in row.items()}
    format = _format(tmp_path, row)
    flat = format.flatten(row)
    # The earlier answer is in both: nothing can be learned of it by comparing.
    assert _messages(format, row) == [
        ("user", "a", 0),
        ("assistant", "b", 0),
        ("user", "a", 0),
        ("assistant", "good", 1),
    ]
    assert format.rejected(flat) == "bad"
    contents = tuple(f"messages[{index}].content" for index in range(3))
    assert format.sides(list(flat)) == (contents, ("chosen", "rejected"))
    assert all(format.makes(name) for name in (*contents, "chosen", "rejected"))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"chosen": "a", "rejected": "b"}, "there is no 'prompt'"),
        ({"prompt": " ", "system": "s", "chosen": "a", "rejected": "b"}, "the prompt is empty"),
        ({"prompt": "p", "chosen": "a", "rejected": "a"}, "are the same"),
        ({"prompt": "p", "chosen": "a", "rejected": ""}, "'rejected' is empty"),
        ({"prompt": "p", "chosen": None, "rejected": "b"}, "'chosen' is empty"),
        ({"prompt": "p", "chosen": [USER, GOOD], "rejected": "b"}, "'chosen' is a list of messages, and"),
        ({"prompt": [USER], "chosen": "a", "rejected": "b"}, "'prompt' is a list of messages, and"),
        ({"chosen": [USER, GOOD], "rejected": [USER, GOOD]}, "are the same"),
        ({"chosen": [GOOD], "rejected": [BAD]}, "nothing is asked"),
        ({"chosen": [USER, GOOD], "rejected": [USER]}, "must begin alike"),
        ({"chosen": [USER, GOOD, USER, GOOD], "rejected": [USER, BAD]}, "must begin alike"),
        ({"chosen": [USER, GOOD, USER], "rejected": [USER, BAD]}, "must begin alike"),
        ({"chosen": [USER, {**GOOD, "tool_calls": [{}]}], "rejected": [USER, BAD]}, r"chosen\[1\] calls a tool"),
        ({"chosen": [{"role": "x"}, GOOD], "rejected": [USER, BAD]}, r"chosen\[0\]: the role 'x' is not one of"),
    ],
)
def test_preference_rows_that_are_refused(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    format = _format(tmp_path, {"prompt": "p", "chosen": "a", "rejected": "b"})

    def both(flat: dict[str, str | None]) -> None:
        format.messages(flat)
        format.rejected(flat)

    with pytest.raises(DataError, match=reason):
        both(format.flatten(row))


def test_template_with_a_rejected_answer(tmp_path: Path) -> None:
    row = {"q": "2 + 2?", "good": "4", "bad": "5"}
    format = _format(tmp_path, row, template={"user": "{q}", "assistant": {"sum": "good"}, "rejected": {"sum": "bad"}})
    assert format.pairs
    assert format.needed == ("q", "good", "bad")
    assert format.rejected(row) == '{"sum":"5"}'
    with pytest.raises(DataError, match="are the same"):
        format.rejected({**row, "bad": "4"})
    with pytest.raises(DataError, match=r"data\.template\.rejected: The template names no column"):
        _format(tmp_path, row, template={"user": "{q}", "assistant": "{good}", "rejected": "no"})


def test_other_formats_have_no_rejected_answer(tmp_path: Path) -> None:
    row = {"prompt": "p", "completion": "c"}
    format = _format(tmp_path, row)
    assert not format.pairs
    assert format.rejected(format.flatten(row)) is None
