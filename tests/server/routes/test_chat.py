"""Chat completions through OpenAI's own client, against a server in this process."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any, Literal

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from tests.server.served import Running, running
from tunewright.base.errors import BusyError
from tunewright.generate.serving.engine import Engine
from tunewright.server.watching import Answered

ASKED: dict[str, Any] = {"model": "tiny", "messages": [{"role": "user", "content": "a red apple"}]}
# Drawn, a tiny model's answer ends by itself after some 200 tokens; without its two tokens that end one it does not.
ENDLESS: dict[str, Any] = {**ASKED, "max_tokens": 2000, "logit_bias": {"0": -100, "2": -100}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("server")) as found:
        yield found


def streamed(server: Running, **more: Any) -> list[Any]:
    return list(server.client.chat.completions.create(**{**ASKED, "stream": True, **more}))


def test_an_answer_has_openais_form(server: Running) -> None:
    answer = server.client.chat.completions.create(**ASKED, max_tokens=4, temperature=0)
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    assert (answer.model, answer.service_tier) == ("tiny", "default")
    (choice,) = answer.choices
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "length", "assistant")
    assert choice.message.content
    assert choice.message.tool_calls is None
    assert answer.usage is not None
    # "<|im_start|>user\na red apple<|im_end|>\n<|im_start|>assistant\n": 3 markers, 16 + 1 + 10 bytes.
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (30, 4, 34)
    again = server.client.chat.completions.create(**ASKED, max_tokens=4, temperature=0)
    assert again.choices[0].message.content == choice.message.content
    assert again.usage is not None
    assert again.usage.prompt_tokens_details is not None
    assert again.usage.prompt_tokens_details.cached_tokens == 29  # the last token is read anew, to answer it
    assert again.system_fingerprint == answer.system_fingerprint


def test_a_stream_tells_the_same_as_the_whole(server: Running) -> None:
    asked = {"max_tokens": 12, "temperature": 0.8, "seed": 7, "logprobs": True, "top_logprobs": 2, "n": 2}
    whole = server.client.chat.completions.create(**ASKED, **asked)  # type: ignore[call-overload]
    chunks = streamed(server, **asked, stream_options={"include_usage": True})
    assert len({chunk.id for chunk in chunks}) == 1
    assert [chunk.choices[0].delta.role for chunk in chunks[:2]] == ["assistant", "assistant"]
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    for choice in whole.choices:
        mine = [chunk.choices[0] for chunk in chunks[:-1] if chunk.choices[0].index == choice.index]
        assert "".join(each.delta.content or "" for each in mine) == choice.message.content
        told = [token for each in mine if each.logprobs for token in each.logprobs.content]
        assert [token.token for token in told] == [token.token for token in choice.logprobs.content]
        assert all(len(token.top_logprobs) == 2 for token in told)
        assert [each.finish_reason for each in mine if each.finish_reason] == [choice.finish_reason]


def test_no_tokens_are_an_empty_answer(server: Running) -> None:
    answer = server.client.chat.completions.create(**ASKED, max_completion_tokens=0, n=2)
    assert [(choice.message.content, choice.finish_reason) for choice in answer.choices] == [("", "length")] * 2
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (30, 0)
    chunks = streamed(server, max_tokens=0)
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, "length"]


def test_an_answer_keeps_a_schema(server: Running) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "green"]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "colour", "strict": True, "schema": schema}}
    answer = server.client.chat.completions.create(**ASKED, response_format=form, max_tokens=60)  # type: ignore[call-overload]
    assert json.loads(answer.choices[0].message.content)["colour"] in ("red", "green")
    schema["additionalProperties"] = True
    with pytest.raises(openai.BadRequestError) as refused:
        server.client.chat.completions.create(**ASKED, response_format=form)  # type: ignore[call-overload]
    assert str(refused.value.param).startswith("response_format.json_schema.schema")


TOOL = {
    "type": "function",
    "function": {
        "name": "paint",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"colour": {"enum": ["red", "green"]}},
            "required": ["colour"],
            "additionalProperties": False,
        },
    },
}


def test_a_demanded_call_is_made_whole_and_in_pieces(server: Running) -> None:
    asked = {
        "tools": [TOOL],
        "tool_choice": "required",
        "temperature": 0,
        "max_tokens": 200,
        "parallel_tool_calls": False,
    }
    whole = server.client.chat.completions.create(**ASKED, **asked)  # type: ignore[call-overload]
    assert whole.choices[0].finish_reason == "tool_calls"
    assert whole.choices[0].message.content is None
    (call,) = whole.choices[0].message.tool_calls
    assert call.function.name == "paint"
    assert json.loads(call.function.arguments)["colour"] in ("red", "green")
    chunks = streamed(server, **asked)
    deltas = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert (deltas[0].index, deltas[0].type, deltas[0].function.name) == (0, "function", "paint")
    assert deltas[0].id.startswith("call_")
    assert "".join(delta.function.arguments for delta in deltas) == call.function.arguments
    assert len(deltas) > 2
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_what_is_said_instead_of_a_call_keeps_a_format(server: Running) -> None:
    """A JSON answer with a name and arguments is no call where calls stand in tags."""
    schema = {
        "type": "object",
        "properties": {"name": {"enum": ["x"]}, "arguments": {"type": "object", "properties": {}, "required": []}},
        "required": ["name", "arguments"],
    }
    schema["properties"]["arguments"]["additionalProperties"] = schema["additionalProperties"] = False  # type: ignore[index]
    form = {"type": "json_schema", "json_schema": {"name": "colour", "strict": True, "schema": schema}}
    asked = {"tools": [TOOL], "response_format": form, "temperature": 0, "max_tokens": 300}
    # Three specials come first in this vocabulary, then the bytes from "!" on: what is biased decides how it begins.
    says, calls = ({str(3 + ord(letter) - ord("!")): 100} for letter in "{<")
    said = server.client.chat.completions.create(**ASKED, **asked, logit_bias=says)  # type: ignore[call-overload]
    assert said.choices[0].finish_reason == "stop"
    assert json.loads(said.choices[0].message.content) == {"name": "x", "arguments": {}}
    called = server.client.chat.completions.create(**ASKED, **asked, logit_bias=calls)  # type: ignore[call-overload]
    assert called.choices[0].finish_reason == "tool_calls"
    assert called.choices[0].message.tool_calls[0].function.name == "paint"


def test_the_older_form_of_a_call(server: Running) -> None:
    asked = {"functions": [TOOL["function"]], "function_call": {"name": "paint"}, "max_tokens": 200}
    answer = server.client.chat.completions.create(**ASKED, **asked)  # type: ignore[call-overload]
    assert answer.choices[0].finish_reason == "function_call"
    assert answer.choices[0].message.function_call.name == "paint"
    assert answer.choices[0].message.tool_calls is None


def test_what_means_nothing_here_is_named(server: Running) -> None:
    given = server.client.chat.completions.with_raw_response.create(
        **ASKED, max_tokens=1, reasoning_effort="low", service_tier="auto", extra_body={"brand_new": 1}
    )
    assert given.headers["x-tunewright-ignored"] == "reasoning_effort, service_tier"


def test_all_fields_may_be_sent_at_once(server: Running) -> None:
    """A bias of nothing says nothing, whatever it is for; tools that may not be called are not."""
    answer = server.client.chat.completions.create(
        **ASKED,
        audio={"format": "wav", "voice": "alloy"},
        frequency_penalty=-2,
        function_call="none",
        functions=[{"name": "wash", "description": "d", "parameters": {"type": "object"}}],
        logit_bias={"anything": 0},
        logprobs=True,
        max_completion_tokens=3,
        metadata={"k": "v"},
        modalities=["text"],
        n=2,
        parallel_tool_calls=True,
        prediction={"content": "x", "type": "content"},
        presence_penalty=-2,
        prompt_cache_key="k",
        prompt_cache_retention="in_memory",
        reasoning_effort="none",
        response_format={"type": "text"},
        safety_identifier="s",
        seed=-9007199254740991,
        service_tier="auto",
        stop="\n",
        store=False,
        stream=False,
        stream_options={"include_usage": True},
        temperature=1,
        tool_choice="none",
        tools=[TOOL],  # type: ignore[list-item]
        top_logprobs=0,
        top_p=1,
        user="u",
        verbosity="low",
        web_search_options={"search_context_size": "low"},
    )
    assert [choice.finish_reason in ("length", "stop") for choice in answer.choices] == [True, True]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": 5}, "stop"),
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"n": 0}, "n"),
        ({"logit_bias": {"259": 5}}, "logit_bias"),
        ({"logit_bias": {"red": 5}}, "logit_bias"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tools": [TOOL], "response_format": {"type": "json_object"}, "tool_choice": "dance"}, "tool_choice"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "x" * 3000}]}, "messages"),
    ],
)
def test_impossible_requests_name_their_field(server: Running, more: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        server.client.chat.completions.create(**{**ASKED, **more})
    assert refused.value.param == param


def test_unknown_models_and_busy_engines(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        server.client.chat.completions.create(**{**ASKED, "model": "gpt-4o"})
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")

    def full(*_: Any) -> None:
        raise BusyError("256 requests wait already", retry_after_s=2.5)

    monkeypatch.setattr(Engine, "submit", full)
    for stream in (False, True):
        with pytest.raises(openai.RateLimitError) as busy:
            server.client.with_options(max_retries=0).chat.completions.create(**ASKED, stream=stream)
        assert busy.value.code == "engine_busy"
        assert busy.value.response.headers["retry-after"] == "3"
    assert server.fleet.status()["models"][0]["users"] == 0


def test_a_fault_in_mid_stream_is_an_event(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunewright.generate.serving.request import Failed

    whole = Engine.submit

    def failing(self: Engine, request: Any, hear: Any) -> Any:
        heard = 0

        def fails(each: Any) -> None:
            nonlocal heard
            heard += 1
            hear(each if heard == 1 else Failed(RuntimeError("the password is swordfish")))

        return whole(self, request, fails)

    monkeypatch.setattr(Engine, "submit", failing)
    with pytest.raises(openai.APIError, match="answer is not whole") as fault:
        streamed(server, max_tokens=5)
    assert "swordfish" not in str(fault.value)


def test_who_hangs_up_is_not_answered_on(server: Running) -> None:
    """Twice: while an answer is streamed, and while a whole one is waited for. What was written counts all the same."""
    heard: list[Answered] = []
    server.state.watch.listeners.append(heard.append)
    chunks = server.client.chat.completions.create(**ENDLESS, stream=True)
    for _ in zip(chunks, range(4), strict=False):  # the first chunk says who speaks, and the others something
        pass
    chunks.close()
    server.wait_until_idle()
    with pytest.raises(openai.APITimeoutError):
        server.client.with_options(max_retries=0, timeout=0.2).chat.completions.create(**ENDLESS)
    server.wait_until_idle()
    assert server.engine.status().completion_tokens < 3000
    assert [(each.error, each.input_tokens) for each in heard] == [("cancelled", 30)] * 2
    assert 3 <= heard[0].output_tokens < 2000


def test_answers_run_side_by_side(server: Running) -> None:
    found: list[ChatCompletion] = []

    def ask() -> None:
        found.append(server.client.chat.completions.create(**ASKED, max_tokens=8, temperature=0))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.choices[0].message.content for answer in found}) == 1
    assert len(found) == 6


def test_stored_completions_are_listed_changed_and_forgotten(server: Running) -> None:
    completions = server.client.chat.completions
    told = {"max_tokens": 2, "store": True, "metadata": {"run": "a.b"}}
    first = completions.create(**ASKED, **told)  # type: ignore[call-overload]
    chunks = streamed(server, **{**told, "metadata": {"run": "second"}})
    completions.create(**ASKED, max_tokens=2)
    assert [each.id for each in completions.list()] == [first.id, chunks[0].id]
    assert [each.id for each in completions.list(order="desc", limit=1)] == [chunks[0].id, first.id]
    assert [each.id for each in completions.list(metadata={"run": "a.b"})] == [first.id]
    assert list(completions.list(model="other")) == []
    kept = completions.retrieve(first.id)
    assert kept.choices == first.choices
    assert completions.update(first.id, metadata={"run": "new"}).metadata == {"run": "new"}
    assert completions.retrieve(first.id).metadata == {"run": "new"}
    (message,) = completions.messages.list(first.id)
    assert (message.id, message.content) == (f"{first.id}-0", "a red apple")
    assert completions.delete(first.id).deleted
    with pytest.raises(openai.NotFoundError):
        completions.retrieve(first.id)


class Colour(BaseModel):
    colour: Literal["red", "green"]


def test_the_client_parses_what_it_asked_for(server: Running) -> None:
    """Through the client's own helpers, of which one does not wait and reads a stream."""
    asked: Any = {**ASKED, "max_tokens": 200, "response_format": Colour, "temperature": 0}

    async def ask() -> Colour | None:
        async with (
            openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client,
            client.chat.completions.stream(**asked) as stream,
        ):
            async for _ in stream:
                pass
            found: Colour | None = (await stream.get_final_completion()).choices[0].message.parsed
            return found

    whole = server.client.chat.completions.parse(**asked).choices[0].message.parsed
    assert isinstance(whole, Colour)
    assert asyncio.run(ask()) == whole


def test_a_stream_is_plain_events(server: Running) -> None:
    text = httpx.post(f"{server.url}/v1/chat/completions", json={**ASKED, "max_tokens": 1, "stream": True}).text
    lines = [line for line in text.split("\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
