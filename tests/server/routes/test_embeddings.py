"""Embeddings through OpenAI's own client."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from fastapi.testclient import TestClient

from tests.lifecycle.serving.worlds import make_workspace
from tests.tiny_encoder import encoder_folder
from tunewright.lifecycle.serving.fleet import Fleet
from tunewright.lifecycle.serving.names import set_alias
from tunewright.models.encoder import Encoder
from tunewright.models.resolve import resolve
from tunewright.server.app import build_app
from tunewright.server.context import Server


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[openai.OpenAI, Encoder]]:
    folder = tmp_path_factory.mktemp("embeddings")
    workspace = make_workspace(folder)
    encoder_folder(folder / "encoder")
    set_alias(workspace, "encoder", str(folder / "encoder"))
    encoder = Encoder.load(resolve(str(folder / "encoder"), workspace.cache))
    server = Server(workspace, Fleet(workspace, memory_bytes=256 << 20, cache_bytes=4 << 20, device="cpu"))
    with TestClient(build_app(server)) as http:
        yield openai.OpenAI(base_url="http://testserver/v1", api_key="none", http_client=http, max_retries=0), encoder


def test_vectors_are_the_encoders(client: tuple[openai.OpenAI, Encoder]) -> None:
    """The client asks for base64 by itself, and unpacks it."""
    asking, encoder = client
    texts = ["a red apple", "green"]
    expected = encoder.encode(texts)
    for more in ({}, {"encoding_format": "float"}):
        answer = asking.embeddings.create(model="encoder", input=texts, **more)  # type: ignore[arg-type]
        assert [each.index for each in answer.data] == [0, 1]
        np.testing.assert_allclose([each.embedding for each in answer.data], expected, atol=1e-6)
    assert answer.usage.prompt_tokens == sum(len(encoder.ids_of(text)) for text in texts) == answer.usage.total_tokens
    packed: Any = asking.embeddings.create(model="encoder", input="green", encoding_format="base64").data[0].embedding
    np.testing.assert_allclose(np.frombuffer(base64.b64decode(packed), "<f4"), expected[1], atol=1e-6)


def test_tokens_are_read_as_their_text(client: tuple[openai.OpenAI, Encoder]) -> None:
    asking, encoder = client
    ids = encoder.ids_of("a red apple")[1:-1]
    for given in (ids, [ids]):
        (found,) = asking.embeddings.create(model="encoder", input=given, encoding_format="float").data  # type: ignore[arg-type]
        np.testing.assert_allclose(found.embedding, encoder.encode(["a red apple"])[0], atol=1e-6)


def test_shortened_vectors_have_unit_length(client: tuple[openai.OpenAI, Encoder]) -> None:
    asking, encoder = client
    (found,) = asking.embeddings.create(model="encoder", input="green", dimensions=4, encoding_format="float").data
    first = encoder.encode(["green"])[0][:4]
    np.testing.assert_allclose(found.embedding, first / np.linalg.norm(first), atol=1e-6)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"model": "tiny"}, "model"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["x", ""]}, "input[1]"),
        ({"input": ["x", "red " * 600]}, "input[1]"),
        ({"input": [10**6]}, "input"),
        ({"dimensions": 10**4}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
    ],
)
def test_impossible_requests_name_their_field(
    client: tuple[openai.OpenAI, Encoder], more: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client[0].embeddings.create(**{"model": "encoder", "input": "x", **more})
    assert refused.value.param == param


def test_an_embedding_model_writes_no_answers(client: tuple[openai.OpenAI, Encoder], tmp_path: Path) -> None:
    asked: Any = {"model": "encoder", "messages": [{"role": "user", "content": "x"}]}
    with pytest.raises(openai.BadRequestError, match="embedding model"):
        client[0].chat.completions.create(**asked)
    with pytest.raises(openai.BadRequestError) as refused:
        client[0].completions.create(model="encoder", prompt="x")
    assert refused.value.param == "model"
