"""Answers to rows: what a model is sent, and what is refused before anything is asked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lifecycle.evals.made import TEMPLATE, Model, content, row
from tunewright.base.errors import InputError, TunewrightError
from tunewright.lifecycle.evals.sampling import (
    answer_given,
    chat_body,
    check_sampling,
    draw_answer,
    messages_of,
)

ITEM = {"question": "Why?", "talk": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None}]}
DRAWN: dict[str, Any] = {
    "type": "completions",
    "model": "tiny",
    "source": content(row("q", "a")),
    "input_messages": TEMPLATE,
}


def test_messages_come_from_a_template_or_from_the_row() -> None:
    assert messages_of(TEMPLATE, ITEM)[1] == {"role": "user", "content": "Why?"}
    assert messages_of({"type": "item_reference", "item_reference": "item.talk"}, ITEM) == ITEM["talk"]
    for path in ("item.question", "item.gone", "talk"):
        with pytest.raises(TunewrightError):
            messages_of({"type": "item_reference", "item_reference": path}, ITEM)


def test_sampling_parameters_reach_the_model() -> None:
    params = {
        "temperature": 0.25,
        "max_completion_tokens": 5,
        "reasoning_effort": "low",
        "tools": [{"type": "function"}],
    }
    assert chat_body({**DRAWN, "sampling_params": params}, []) == {
        "model": "tiny",
        "messages": [],
        "temperature": 0.25,
        "max_completion_tokens": 5,
        "tools": [{"type": "function"}],
        "top_p": 1.0,
        "seed": 42,
    }


def test_the_words_of_the_responses_api_are_understood() -> None:
    form = {"type": "json_schema", "name": "total", "schema": {"type": "object"}, "strict": True}
    params = {"text": {"format": form}, "tools": [{"type": "function", "name": "add", "parameters": {}}]}
    body = chat_body({**DRAWN, "type": "responses", "sampling_params": params}, [])
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "total", "schema": {"type": "object"}, "strict": True},
    }
    assert body["tools"] == [{"type": "function", "function": {"name": "add", "parameters": {}}}]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"source": {"type": "responses"}}, "data_source.source.type"),
        ({"model": None}, "data_source.model"),
        ({"input_messages": None}, "data_source.input_messages"),
        (
            {"type": "responses", "sampling_params": {"tools": [{"type": "web_search"}]}},
            "data_source.sampling_params.tools[0].type",
        ),
    ],
)
def test_what_cannot_be_had_here_is_refused(change: dict[str, Any], where: str) -> None:
    check_sampling(DRAWN)
    check_sampling({"type": "completions", "source": {"type": "stored_completions"}})
    with pytest.raises(InputError) as caught:
        check_sampling({**DRAWN, **change})
    assert caught.value.where == where


def test_an_answer_is_shown_with_all_its_fields() -> None:
    answer = draw_answer(DRAWN, {"question": "why"}, Model())
    assert answer.sample is not None
    assert answer.sample["output_text"] == "WHY"
    assert answer.shown == {
        "error": {"code": "", "message": ""},
        "finish_reason": "stop",
        "input": [{"role": "system", "content": "Answer."}, {"role": "user", "content": "why"}],
        "max_completion_tokens": 0,
        "model": "tiny",
        "output": [{"role": "assistant", "content": "WHY"}],
        "seed": 42,
        "temperature": 1.0,
        "top_p": 1.0,
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "cached_tokens": 4, "total_tokens": 12},
    }


def test_why_there_is_no_answer_is_told() -> None:
    answer = draw_answer(DRAWN, {"question": "break"}, Model())
    assert answer.sample is None
    assert answer.shown["error"] == {"code": "sampling_error", "message": "The model is gone."}
    assert "item.question" in (draw_answer(DRAWN, {}, Model()).error or "")


def test_given_answers_are_read_as_they_are() -> None:
    answer = answer_given({"output_text": '{"a": 1}', "score": 3})
    assert answer.sample is not None
    assert (answer.sample["output_json"], answer.sample["score"]) == ({"a": 1}, 3)
    assert answer.shown["output"] == [{"role": "assistant", "content": '{"a": 1}'}]
    assert answer_given({"own": 1}).sample == {"own": 1}
    assert answer_given(None).sample is None
