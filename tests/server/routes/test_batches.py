"""Batches, as OpenAI's client sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from openai import BadRequestError, NotFoundError, OpenAI

from tests.lifecycle.batches.made import line, never, reply, results, upload
from tests.server.routes.told import checked, open_client
from tunewright.lifecycle.batches.running import work_on
from tunewright.store import Workspace


@pytest.fixture
def here(tmp_path: Path) -> tuple[OpenAI, TestClient, Workspace]:
    return open_client(tmp_path / "ws")


def test_a_batch_is_made_followed_and_read(here: tuple[OpenAI, TestClient, Workspace]) -> None:
    client, _, workspace = here
    file = upload(workspace, [line("a"), line("b", "refuse")])
    made = checked(
        client.batches.create(
            completion_window="24h",
            endpoint="/v1/chat/completions",
            input_file_id=file.id,
            metadata={"team": "desk"},
            output_expires_after={"anchor": "created_at", "seconds": 3600},
        )
    )
    assert (made.id[:6], made.object, made.status, made.metadata) == ("batch_", "batch", "validating", {"team": "desk"})
    assert made.expires_at == made.created_at + 24 * 3600
    work_on(workspace, made.id, reply, never)
    done = checked(client.batches.retrieve(made.id))
    assert done.status == "completed"
    assert done.request_counts is not None
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (2, 1, 1)
    assert [each["custom_id"] for each in results(workspace, done.output_file_id)] == ["a"]
    assert [each["custom_id"] for each in results(workspace, done.error_file_id)] == ["b"]


def test_batches_are_listed_and_cancelled(here: tuple[OpenAI, TestClient, Workspace]) -> None:
    client, _, workspace = here
    file = upload(workspace, [line("a")])
    ids = [
        client.batches.create(completion_window="24h", endpoint="/v1/embeddings", input_file_id=file.id).id
        for _ in range(3)
    ]
    page = checked(client.batches.list(limit=2))
    assert [each.id for each in page.data] == [ids[2], ids[1]]
    assert page.has_more
    assert [each.id for each in client.batches.list(limit=1)] == ids[::-1]
    assert checked(client.batches.cancel(ids[0])).status == "cancelled"
    assert client.batches.cancel(ids[0]).status == "cancelled"


def test_an_endpoint_that_is_not_served_fails_in_validating(here: tuple[OpenAI, TestClient, Workspace]) -> None:
    client, _, workspace = here
    file = upload(workspace, [line("a")])
    made = client.batches.create(completion_window="24h", endpoint="/v1/responses", input_file_id=file.id)
    work_on(workspace, made.id, reply, never)
    done = checked(client.batches.retrieve(made.id))
    assert done.errors is not None
    assert done.errors.data is not None
    assert (done.status, done.errors.data[0].code) == ("failed", "unsupported_endpoint")


def test_wrong_requests_are_refused_in_openais_form(here: tuple[OpenAI, TestClient, Workspace]) -> None:
    client, plain, _ = here
    with pytest.raises(BadRequestError) as wrong:
        client.batches.create(completion_window="24h", endpoint="/v1/embeddings", input_file_id="file-none")
    assert wrong.value.param == "input_file_id"
    with pytest.raises(NotFoundError, match="No such batch: batch_none"):
        client.batches.retrieve("batch_none")
    body = {"completion_window": "1h", "endpoint": "/v1/embeddings", "input_file_id": "file-x"}
    answer = plain.post("/v1/batches", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "completion_window")
    body = {**body, "completion_window": "24h", "output_expires_after": {"anchor": "created_at", "seconds": 60}}
    answer = plain.post("/v1/batches", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "output_expires_after.seconds")
