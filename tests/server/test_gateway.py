"""What every request passes: numbers, headers, keys, limits, bodies; and what the log says of it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from tunewright.base.errors import DatabaseAwayError
from tunewright.server import logs
from tunewright.server.app import build_app
from tunewright.server.context import Here, Inferrer, Reader, Server
from tunewright.store import Workspace
from tunewright.store.keys import create_key, revoke_key

Make = Callable[..., Server]


def client_of(server: Server, **options: Any) -> TestClient:
    app = build_app(server)

    @app.post("/v1/echo/{name:path}")
    async def echo(name: str, request: Request, caller: Reader) -> dict[str, Any]:
        return {
            "name": name,
            "bytes": len(await request.body()),
            "project": caller.project,
            "key": caller.key,
            "organization": caller.organization,
        }

    @app.post("/v1/answer")
    def answer(here: Here, caller: Inferrer) -> None:
        here.watch.begin("chat", "tiny").finished(input_tokens=60, output_tokens=40)

    @app.get("/v1/broken")
    def broken() -> None:
        raise RuntimeError("the prompt was swordfish")

    return TestClient(app, raise_server_exceptions=False, **options)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    logs.set_up("json", stream=stream)
    yield stream
    logs.set_up("text")


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def error_of(answer: Any) -> dict[str, Any]:
    said: dict[str, Any] = answer.json()["error"]
    assert set(said) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"]
    return said


def test_every_answer_has_openais_headers(server_with: Make) -> None:
    client = client_of(server_with(organization="acme"))
    answer = client.post("/v1/echo/x")
    assert answer.headers["x-request-id"].startswith("req_")
    assert int(answer.headers["openai-processing-ms"]) >= 0
    assert answer.headers["openai-version"] == "2020-10-01"
    assert answer.headers["openai-organization"] == "acme"
    assert answer.headers["openai-project"] == "default"
    assert client.post("/v1/echo/x", headers={"x-request-id": "mine-7"}).headers["x-request-id"] == "mine-7"
    for bad in ("a" * 129, "two words"):
        assert client.post("/v1/echo/x", headers={"x-request-id": bad}).headers["x-request-id"].startswith("req_")


def test_names_with_a_slash_arrive_whole_and_dots_lead_nowhere(server_with: Make) -> None:
    client = client_of(server_with())
    assert client.post("/v1/echo/acme%2Fdesk:v1").json()["name"] == "acme/desk:v1"
    assert client.get("/v1/..%2f..%2fetc%2fpasswd").status_code == 404


def test_without_a_key_or_with_a_wrong_one_nobody_comes_in(server_with: Make, log: io.StringIO) -> None:
    server = server_with(keys=True)
    client = client_of(server)
    missing = client.post("/v1/echo/x")
    assert (missing.status_code, missing.headers["www-authenticate"]) == (401, "Bearer")
    assert error_of(missing)["message"].startswith("You didn't provide an API key.")
    wrong = client.post("/v1/echo/x", headers={"Authorization": "Bearer tw-abcdefghijklmnopqrstuvwxyz"})
    assert wrong.status_code == 401
    assert error_of(wrong)["code"] == "invalid_api_key"
    assert "tw-***wxyz" in error_of(wrong)["message"]
    assert "defgh" not in wrong.text + log.getvalue()
    assert error_of(client.post("/v1/echo/x", headers={"Authorization": "Bearer short"}))["message"].count("***") == 1
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200


def test_a_key_opens_its_own_project_until_it_is_revoked(server_with: Make, log: io.StringIO) -> None:
    server = server_with(keys=True)
    secret, key = create_key(server.workspace, name="ci", scopes=["read"], project="desk", organization="acme")
    client = client_of(server, headers={"Authorization": f"Bearer {secret}"})
    answer = client.post("/v1/echo/x")
    whose = {"project": "desk", "key": key.id, "organization": "acme"}
    assert answer.json() == {"name": "x", "bytes": 0, **whose}
    assert (answer.headers["openai-organization"], answer.headers["openai-project"]) == ("acme", "desk")
    other = client.post("/v1/echo/x", headers={"OpenAI-Project": "other"})
    assert (other.status_code, error_of(other)["code"]) == (401, "mismatched_project")
    other = client.post("/v1/echo/x", headers={"OpenAI-Organization": "other"})
    assert (other.status_code, error_of(other)["code"]) == (401, "mismatched_organization")
    lacking = client.post("/v1/answer")
    assert (lacking.status_code, error_of(lacking)["code"]) == (403, "insufficient_scope")
    assert client.get("/metrics").status_code == 403
    revoke_key(server.workspace, key.id)
    assert client.post("/v1/echo/x").status_code == 401
    assert {line.get("key") for line in lines(log)} == {key.id, None}
    assert secret not in log.getvalue()


def test_without_keys_a_header_names_the_project(server_with: Make) -> None:
    client = client_of(server_with(organization="acme"))
    said = client.post("/v1/echo/x", headers={"OpenAI-Project": "proj_1"}).json()
    assert (said["project"], said["organization"]) == ("proj_1", "acme")
    assert client.post("/v1/echo/x", headers={"OpenAI-Project": "../x"}).status_code == 400


def test_without_keys_other_names_and_other_pages_are_refused(server_with: Make) -> None:
    server = server_with(hosts=frozenset({"127.0.0.1", "localhost", "[::1]"}))
    client = client_of(server, base_url="http://127.0.0.1:8000")
    assert client.post("/v1/echo/x").status_code == 200
    for host in ("localhost", "localhost:8000", "[::1]:8000"):
        assert client.post("/v1/echo/x", headers={"Host": host}).status_code == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "["):
        assert error_of(client.post("/v1/echo/x", headers={"Host": host}))["code"] == "host_not_allowed"
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        assert error_of(client.post("/v1/echo/x", headers=headers))["code"] == "origin_not_allowed"
    assert client.post("/v1/echo/x", headers={"Origin": "http://127.0.0.1:8000"}).status_code == 200


def test_a_large_body_is_refused_declared_or_not(server_with: Make) -> None:
    client = client_of(server_with(max_body_bytes=100, max_upload_bytes=200))
    assert client.post("/v1/echo/x", content=b"a" * 100).json()["bytes"] == 100

    def pieces() -> Iterator[bytes]:
        for _ in range(11):
            yield b"a" * 10

    for content in (b"a" * 101, pieces()):
        refused = client.post("/v1/echo/x", content=content)
        assert refused.status_code == 413
        assert error_of(refused)["code"] == "body_too_large"


def test_limits_hold_for_each_key_and_are_told(server_with: Make) -> None:
    server = server_with(keys=True, requests_per_minute=3, tokens_per_minute=150)
    clients = []
    for name in ("a", "b"):
        secret, _ = create_key(server.workspace, name=name, scopes=["infer"])
        clients.append(client_of(server, headers={"Authorization": f"Bearer {secret}"}))
    first = clients[0].post("/v1/answer")
    assert (first.status_code, first.headers["x-ratelimit-remaining-requests"]) == (200, "2")
    assert first.headers["x-ratelimit-remaining-tokens"] == "50"  # 100 of 150 were read and written
    assert clients[0].post("/v1/answer").status_code == 200  # at least one is left, so it may begin
    refused = clients[0].post("/v1/answer")
    assert (refused.status_code, error_of(refused)["code"]) == (429, "rate_limit_exceeded")
    assert int(refused.headers["retry-after"]) >= 20  # 51 tokens at 2.5 a second
    assert "tokens" in error_of(refused)["message"]
    over = clients[0].post("/v1/answer")
    assert (over.status_code, "requests" in error_of(over)["message"]) == (429, True)
    assert clients[1].post("/v1/answer").status_code == 200


def test_without_its_database_nobody_is_let_in_and_all_are_told_when_to_come(
    server_with: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(workspace: Workspace, secret: str) -> None:
        raise DatabaseAwayError("The database is not reached", where="postgresql://db.internal/tunewright")

    monkeypatch.setattr("tunewright.server.access.find_key", away)
    answer = client_of(server_with(keys=True)).post("/v1/echo/x", headers={"Authorization": "Bearer tw-x"})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert "db.internal" not in answer.text
    assert error_of(answer)["type"] == "server_error"


def test_too_many_at_once_are_told_to_come_again(server_with: Make) -> None:
    refused = client_of(server_with(max_requests=0)).post("/v1/echo/x")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert error_of(refused)["code"] == "server_overloaded"


def test_the_log_says_what_was_asked_and_not_what_was_said(server_with: Make, log: io.StringIO) -> None:
    client = client_of(server_with())
    number = client.post("/v1/answer").headers["x-request-id"]
    client.post("/v1/echo/secret-name", content=b"a prompt")
    broken = client.get("/v1/broken")
    assert broken.status_code == 500
    assert error_of(broken)["message"].count(broken.headers["x-request-id"]) == 1
    answer, echo, fault, end = lines(log)
    assert answer | {"ms": 0, "time": ""} == {
        "time": "",
        "level": "info",
        "event": "request",
        "request_id": number,
        "method": "POST",
        "route": "/v1/answer",
        "status": 200,
        "ms": 0,
        "operation": "chat",
        "model": "tiny",
        "input_tokens": 60,
        "output_tokens": 40,
    }
    assert echo["route"] == "/v1/echo/{name:path}"
    assert (fault["error"], fault["request_id"]) == ("RuntimeError", broken.headers["x-request-id"])
    assert "test_gateway.py" in fault["traceback"]
    assert end["status"] == 500
    for secret in ("swordfish", "secret-name", "a prompt"):
        assert secret not in log.getvalue() + broken.text


def test_metrics_and_the_description_are_pages_of_their_own(server_with: Make) -> None:
    client = client_of(server_with())
    client.post("/v1/answer")
    text = client.get("/metrics").text
    assert 'gen_ai_client_token_usage_sum{gen_ai_operation_name="chat"' in text
    assert 'http_route="/v1/answer"' in text
    page = client.get("/docs")
    assert "<code>GET /readyz</code>" in page.text
    assert "src=" not in page.text
    assert "//" not in page.text.removeprefix("<!doctype html>")
    assert client.get("/openapi.json").json()["info"]["title"] == "tunewright"
