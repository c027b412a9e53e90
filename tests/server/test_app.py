"""The application: its errors have OpenAI's form, and every answer has a number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tunewright.server.app import build_app
from tunewright.server.context import Server
from tunewright.server.errors import ApiError, not_found
from tunewright.store import Workspace


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    nobody: Any = None  # these routes ask no model
    app = build_app(Server(Workspace.open(tmp_path / "ws"), nobody))

    @app.get("/refused")
    def refused() -> None:
        raise ApiError(429, "Come back later.", code="busy", headers={"Retry-After": "3"})

    @app.get("/gone")
    def gone() -> None:
        raise not_found("file object", "file-x", param="id")

    @app.get("/number")
    def number(limit: int) -> int:
        return limit

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("the password is swordfish")

    return TestClient(app, raise_server_exceptions=False)


def test_an_unknown_path_is_said_in_openais_form(client: TestClient) -> None:
    answer = client.get("/v1/nothing")
    assert answer.status_code == 404
    assert answer.json() == {
        "error": {
            "message": "Invalid URL (GET /v1/nothing)",
            "type": "not_found_error",
            "param": None,
            "code": None,
        }
    }
    assert answer.headers["x-request-id"].startswith("req_")


def test_a_refusal_carries_its_code_and_headers(client: TestClient) -> None:
    answer = client.get("/refused")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert answer.json()["error"]["code"] == "busy"
    assert client.get("/gone").json()["error"]["message"] == "No such file object: file-x"


def test_a_wrong_value_names_its_field(client: TestClient) -> None:
    answer = client.get("/number", params={"limit": "many"})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "limit"


def test_what_went_wrong_inside_stays_inside(client: TestClient) -> None:
    answer = client.get("/broken")
    assert answer.status_code == 500
    assert "swordfish" not in answer.text
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_it_says_that_it_lives_and_is_ready(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready", "database": "ready"}
