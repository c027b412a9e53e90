"""Models over the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from fastapi.testclient import TestClient

from tests.lifecycle.serving.worlds import add_adapter, make_workspace
from tunewright.lifecycle.serving.fleet import Fleet
from tunewright.lifecycle.serving.names import set_alias
from tunewright.server.app import build_app
from tunewright.server.context import Server

TUNED = "ft:tiny:acme/desk:abc123"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[openai.OpenAI]:
    workspace = make_workspace(tmp_path)
    add_adapter(workspace, TUNED)
    set_alias(workspace, "gpt-4o-mini", TUNED)
    with TestClient(build_app(Server(workspace, Fleet(workspace, memory_bytes=1 << 20)))) as http:
        yield openai.OpenAI(base_url="http://testserver/v1", api_key="none", http_client=http, max_retries=0)


def test_models_are_listed_found_and_deleted(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["gpt-4o-mini", "tiny", TUNED]
    found = client.models.retrieve(TUNED)  # with %2F, as the client sends it
    assert (found.id, found.object, found.owned_by, found.parent) == (TUNED, "model", "acme", "tiny")  # type: ignore[attr-defined]
    assert client.models.retrieve("gpt-4o-mini").parent == TUNED  # type: ignore[attr-defined]
    gone = client.models.delete(TUNED)
    assert (gone.id, gone.deleted, gone.object) == (TUNED, True, "model")
    for name in (TUNED, "gpt-4o-mini", "other"):
        with pytest.raises(openai.NotFoundError) as unknown:
            client.models.retrieve(name)
        assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    assert [model.id for model in client.models.list()] == ["tiny"]


def test_what_the_operator_has_set_is_not_deleted(client: openai.OpenAI) -> None:
    with pytest.raises(openai.PermissionDeniedError, match="an alias that the operator has set") as refused:
        client.models.delete("gpt-4o-mini")
    assert refused.value.code == "model_protected"
    assert client.models.retrieve("gpt-4o-mini").id == "gpt-4o-mini"
