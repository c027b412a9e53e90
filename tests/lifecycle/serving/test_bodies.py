"""Bodies know every field of the client's, and say where they are wrong."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types import completion_create_params as completions
from openai.types import embedding_create_params as embeddings
from openai.types.chat import completion_create_params as chats

from tunewright.base.errors import InputError
from tunewright.lifecycle.serving.bodies import Body, ChatBody, CompletionBody, EmbeddingBody, place_of, read_body

CHAT: dict[str, Any] = {"model": "x", "messages": [{"role": "user", "content": "x"}]}


@pytest.mark.parametrize(
    ("body", "params"),
    [
        (ChatBody, chats.CompletionCreateParamsStreaming),
        (CompletionBody, completions.CompletionCreateParamsStreaming),
        (EmbeddingBody, embeddings.EmbeddingCreateParams),
    ],
)
def test_every_field_of_the_client_is_known(body: type[Body], params: Any) -> None:
    assert {"model", "user"} < set(params.__annotations__) <= set(body.model_fields)
    assert set(body.model_fields) >= body.IGNORED


def test_what_is_set_and_means_nothing_is_named() -> None:
    body = read_body(ChatBody, {**CHAT, "user": "u", "verbosity": "low", "seed": 1, "audio": None, "unheard_of": 1})
    assert body.ignored() == ["user", "verbosity"]


def test_the_newer_limit_goes_before_the_older() -> None:
    limits = [{"max_tokens": 5}, {"max_tokens": 5, "max_completion_tokens": 0}, {}]
    assert [read_body(ChatBody, {**CHAT, **more}).limit for more in limits] == [5, 0, None]


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"temperature": "1"}, "temperature"),
        ({"stop": 1}, "stop"),
        # Logits must stay numbers: this one would make them infinite, for all that are answered in the same pass.
        ({"repetition_penalty": 5e-324}, "repetition_penalty"),
        ({"stop": ["a", 1]}, "stop"),
        ({"logit_bias": {"1": "x"}}, "logit_bias.1"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    ],
)
def test_a_wrong_type_names_its_place(more: dict[str, Any], where: str) -> None:
    with pytest.raises(InputError) as wrong:
        read_body(ChatBody, {**CHAT, **more})
    assert wrong.value.where == where


def test_a_place_leaves_types_out() -> None:
    assert place_of(("prompt", "list[list[int]]", 0, "list[int]", 1)) == "prompt[0][1]"
    assert place_of(("metadata", "str")) == "metadata"
