"""What was trained is what is served: a request becomes the prompt that training made of such a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.lifecycle.serving.conftest import TEMPLATE
from tests.lifecycle.test_parity import made, rows
from tests.tiny import tiny_tokenizer
from tunewright.base.errors import InputError
from tunewright.data.example import Message
from tunewright.lifecycle import parity_ways
from tunewright.lifecycle.serving.bodies import ChatBody, read_body
from tunewright.lifecycle.serving.rendering import Question, question
from tunewright.models.chat import ChatFormat
from tunewright.recipe import Recipe, recipe_from_mapping

PLAIN: dict[str, Any] = {"format": "chat", "template": None, "system": "", "tools": [], "documents": False}
CHAT = ChatFormat(tiny_tokenizer())
TOOL = {"type": "function", "function": {"name": "paint", "parameters": {"type": "object"}}}


def recipe(**data: Any) -> Recipe:
    given = {"train": "/rows.jsonl", "format": "chat", "steps": ["whitespace"], **data}
    return recipe_from_mapping({"name": "desk", "goal": "g", "data": given}, where="recipe.yaml")


def asked(
    *messages: Mapping[str, Any], template: Mapping[str, Any] | None = None, by: Recipe | None = None, **more: Any
) -> Question:
    body = read_body(ChatBody, {"model": "x", "messages": list(messages), **more})
    return question(body, CHAT, PLAIN | dict(template or {}) if by else {}, by)


def shown(found: Question) -> str:
    return str(CHAT.tokenizer.decode(list(found.prompt)))


def replaced(message: Message) -> Message:
    return Message(message.role, message.content.replace("  ", " "), message.weight)


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def test_the_prompt_is_the_one_that_training_and_parity_have(tmp_path: Path) -> None:
    subject = made(tmp_path)
    base = subject.load_base()
    # The first row has two blanks in a row: its source has, and what was trained on was cleaned.
    examples = [replace(row, messages=tuple(replaced(message) for message in row.messages)) for row in rows()]
    trained = parity_ways.in_training(subject, base.chat, examples)
    assert len(trained) == len(examples) == 3
    for raw, example in zip(rows(), examples, strict=True):
        body = read_body(ChatBody, {"model": "x", "messages": [user(parity_ways.message_of(subject.template, raw))]})
        found = question(body, base.chat, subject.template, subject.recipe)
        assert list(found.prompt) == list(trained[example.id].prompt)
        assert found.stop_ids == base.chat.stop_ids


def test_a_base_is_asked_as_it_stands() -> None:
    found = asked(user("a  red   apple"))
    assert shown(found) == "<|im_start|>user\na  red   apple<|im_end|>\n<|im_start|>assistant\n"


def test_a_single_message_is_cleaned_and_put_into_the_template() -> None:
    by = recipe(format="template", template=TEMPLATE)
    given = {"format": "template", "template": {**by.data.template.model_dump()}}  # type: ignore[union-attr]
    found = asked(user("a  red   apple"), template=given, by=by)
    assert shown(found) == (
        "<|im_start|>system\nName the colour.<|im_end|>\n<|im_start|>user\nThing: a red apple<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    # With a system message, or more than one turn, it is the client who says what is read.
    told = asked({"role": "system", "content": "S"}, user("a  b"), template=given, by=by)
    assert shown(told) == "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na  b<|im_end|>\n<|im_start|>assistant\n"


def test_the_trained_system_message_is_added_where_the_client_sends_none() -> None:
    turns = [user("a"), {"role": "assistant", "content": "b"}, user("c")]
    given = {"system": "Be brief."}
    assert [turn.role for turn in asked(*turns, template=given, by=recipe()).turns] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    own = asked({"role": "developer", "content": "Be long."}, *turns, template=given, by=recipe())
    assert "Be brief." not in shown(own)
    assert asked(user("a"), template=given, by=recipe()).turns[0].content == "Be brief."


def test_parts_of_text_are_joined_as_in_training_files() -> None:
    parts = [{"type": "text", "text": "a red "}, {"type": "text", "text": "apple"}]
    assert asked(user(parts)).prompt == asked(user("a red apple")).prompt


def test_calls_and_results_are_read_in_both_forms() -> None:
    function = {"name": "paint", "arguments": '{"colour": "red"}'}
    call = {"id": "call_1", "type": "function", "function": function}
    newer = asked(
        user("x"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
        tools=[TOOL],
    )
    older = asked(
        user("x"),
        {"role": "assistant", "content": None, "function_call": function},
        {"role": "function", "name": "paint", "content": "done"},
        functions=[TOOL["function"]],
    )
    assert newer.prompt == older.prompt
    assert newer.turns[1].tool_calls[0].arguments == {"colour": "red"}
    assert "<tool_response>\ndone\n</tool_response>" in shown(newer)
    assert older.tools.is_old
    assert not newer.tools.is_old


def test_tools_are_shown_unless_none_may_be_called() -> None:
    assert '"paint"' in shown(asked(user("x"), tools=[TOOL]))
    hidden = asked(user("x"), tools=[TOOL], tool_choice="none")
    assert '"paint"' not in shown(hidden)
    assert hidden.tools.shown == ()
    # What was trained with tools is asked with them, whether the client names them or not.
    own = asked(user("x"), template={"tools": [TOOL]}, by=recipe())
    assert own.prompt == asked(user("x"), tools=[TOOL]).prompt
    assert asked(user("x"), template={"tools": [TOOL]}, by=recipe(), tool_choice="none").prompt == own.prompt


def test_a_choice_of_tools() -> None:
    other = {"type": "function", "function": {"name": "wash"}}
    named = asked(user("x"), tools=[TOOL, other], tool_choice={"type": "function", "function": {"name": "wash"}})
    assert (named.tools.choice, list(named.tools.callable), len(named.tools.shown)) == ("required", [other], 2)
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TOOL]}}
    some = asked(user("x"), tools=[TOOL, other], tool_choice=allowed)
    assert (some.tools.choice, list(some.tools.callable)) == ("auto", [TOOL])
    with pytest.raises(InputError, match="There is no tool 'sing'") as unknown:
        asked(user("x"), tools=[TOOL], tool_choice={"type": "function", "function": {"name": "sing"}})
    assert unknown.value.where == "tool_choice"


def test_a_document_is_gone_on_with() -> None:
    found = asked(user("Once upon"), template={"documents": True}, by=recipe())
    assert shown(found) == "Once upon"
    assert found.stop_ids == {CHAT.plain.end}
    with pytest.raises(InputError, match="one user's message"):
        asked({"role": "system", "content": "S"}, user("x"), template={"documents": True}, by=recipe())


def test_a_base_without_a_chat_template_says_where_to_ask() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = None
    body = read_body(ChatBody, {"model": "x", "messages": [user("x")]})
    with pytest.raises(InputError, match="/v1/completions"):
        question(body, ChatFormat(tokenizer), {}, None)


@pytest.mark.parametrize(
    ("messages", "where"),
    [
        ([user([{"type": "input_audio", "input_audio": {}}])], "messages[0].content[0].type"),
        ([user("x"), {"role": "assistant"}], "messages[1].content"),
        ([user("x"), {"role": "tool", "tool_call_id": "nobody", "content": "y"}], "messages"),
        ([user("x"), {"role": "tool", "content": "y"}], "messages[1]"),
        ([user("x"), {"role": "function", "name": "f", "content": "y"}], "messages[1]"),
        ([user("x"), {"role": "assistant", "tool_calls": [{"id": "a"}]}], "messages[1]"),
        ([user("\ud800")], ""),
    ],
)
def test_what_cannot_be_read_names_its_place(messages: list[dict[str, Any]], where: str) -> None:
    with pytest.raises(InputError) as wrong:
        asked(*messages)
    assert wrong.value.where == where


def test_turns_are_those_of_talk(tmp_path: Path) -> None:
    """`tunewright chat` and the server read a message alike."""
    from tunewright.lifecycle.talk import request

    subject = replace(made(tmp_path), name="desk@1")
    body = read_body(ChatBody, {"model": "x", "messages": [user("a red  apple")]})
    chat = subject.load_base().chat
    found = question(body, chat, subject.template, subject.recipe)
    assert list(found.turns) == request(subject.template, subject.recipe, "a red  apple")
