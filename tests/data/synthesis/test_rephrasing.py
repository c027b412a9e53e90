"""The same in other words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.endpoints.server import Fails, Says, completion, serving
from tunewright.base.events import Event, Stage
from tunewright.data.synthesis.rephrasing import Rewritten, back_translate, rephrase, without_quotes
from tunewright.endpoints import Client, Endpoint


def _client(url: str, cache: Path | None = None) -> Client:
    return Client(Endpoint.of(url=url, model="m"), cache, environment={})


def test_each_text_is_rephrased_and_told(tmp_path: Path) -> None:
    heard: list[Event] = []

    def script(body: dict[str, Any]) -> str:
        assert "in other words" in body["messages"][0]["content"]
        return f' "{body["messages"][1]["content"].upper()}"\n'

    with serving(script) as server, _client(server.url, tmp_path) as client:
        texts = ["my card is gone", "where is it?"]
        assert rephrase(texts, client, listener=heard.append) == [
            Rewritten("MY CARD IS GONE"),
            Rewritten("WHERE IS IT?"),
        ]
        assert [event.done for event in heard if isinstance(event, Stage)] == [0, 1, 2, 2]
        rephrase(texts, client)
        assert len(server.asked) == 2  # known by now
        rephrase(texts, client, variant=1)
        rephrase(texts, client, seed=5)
        assert len(server.asked) == 6
        assert len({body["seed"] for body in server.asked}) == 3
        assert all(body["temperature"] > 0 for body in server.asked)


def test_back_translation_goes_there_and_back() -> None:
    def script(body: dict[str, Any]) -> str:
        into = "German" if "into German" in body["messages"][0]["content"] else "English"
        return f"{into}({body['messages'][1]['content']})"

    with serving(script) as server, _client(server.url) as client:
        assert back_translate(["one", "two"], client, "German") == [
            Rewritten("English(German(one))"),
            Rewritten("English(German(two))"),
        ]


def test_what_has_no_answer_says_why() -> None:
    cut = completion("half a")
    cut["choices"][0]["finish_reason"] = "length"
    answers: dict[str, Any] = {"a": Fails(400, "no thanks"), "b": "  ", "c": Says(json.dumps(cut).encode()), "d": "ok"}
    with (
        serving(lambda body: answers[body["messages"][1]["content"].strip()]) as server,
        _client(server.url) as client,
    ):
        found = rephrase(["a", "b", "c", "d"], client)
        assert [each.text for each in found] == ["", "", "", "ok"]
        assert found[0].fault.endswith("no thanks")
        assert [each.fault for each in found[1:3]] == ["the answer is empty", "the answer was not finished (length)"]
        answers["ok"] = "fine"
        assert [each.text for each in back_translate(["a", "d"], client, "German")] == ["", "fine"]


@pytest.mark.parametrize(
    ("answer", "text", "expected"),
    [
        ('"hi"', "hello", "hi"),
        ("“hi”", "hello", "hi"),
        ('"hi"', '"hello"', '"hi"'),
        ('"yes" or "no"', "either", '"yes" or "no"'),
        ("hi", "hello", "hi"),
        ('"', "x", '"'),
    ],
)
def test_quotation_marks_of_the_models_own_are_taken_off(answer: str, text: str, expected: str) -> None:
    assert without_quotes(answer, text) == expected
