"""Conversations: which part is the prompt, which the answer, and what may be learned."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tunewright.base.errors import DataError
from tunewright.data.example import Example, Message


def _example() -> Example:
    return Example(
        id="a1",
        messages=(
            Message("system", "Be brief."),
            Message("user", "One?"),
            Message("assistant", "1", 0),
            Message("user", "Two?"),
            Message("assistant", "2"),
        ),
        fields={"number": "2", "unit": None},
        source="rows.jsonl",
        line=4,
    )


def test_prompt_ends_before_the_last_answer() -> None:
    example = _example()
    assert [message.content for message in example.prompt] == ["Be brief.", "One?", "1", "Two?"]
    assert example.answer == "2"


def test_only_the_assistant_is_learned_unless_said_otherwise() -> None:
    assert [message.weight for message in _example().messages] == [0.0, 0.0, 0.0, 0.0, 1.0]


def test_json_round_trip_is_exact() -> None:
    example = _example()
    assert Example.from_json(json.loads(json.dumps(example.as_json()))) == example


@pytest.mark.parametrize(("role", "weight"), [("robot", None), ("user", 1), ("assistant", 1.5), ("assistant", -0.5)])
def test_wrong_messages_are_refused(role: str, weight: float | None) -> None:
    with pytest.raises(DataError):
        Message(role, "text", weight)


def test_a_conversation_without_an_answer_is_refused() -> None:
    with pytest.raises(DataError, match=r"rows\.csv:3: A conversation needs an assistant"):
        Example("a", (Message("user", "Hello"),), {}, "rows.csv", 3)


def test_rejected_answer_stands_behind_the_same_prompt() -> None:
    example = dataclasses.replace(_example(), rejected="3")
    assert example.rejected_messages == (*example.prompt, Message("assistant", "3"))
    assert Example.from_json(json.loads(json.dumps(example.as_json()))) == example
    assert _example().rejected_messages == ()
