"""What every page is guarded by."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse, Response

from tunewright.studio.guard import LARGEST_BODY_BYTES, guard
from tunewright.studio.review import Form

HOME = "http://127.0.0.1:8377"


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    guard(app)

    @app.get("/")
    def page() -> Response:
        return PlainTextResponse("hello")

    @app.post("/")
    def changed(form: Form) -> Response:
        return PlainTextResponse(",".join(f"{name}={value}" for name, value in form.items()))

    return TestClient(app, base_url=HOME)


@pytest.mark.parametrize("host", ["evil.example:8377", "127.0.0.1.evil.example:8377", "", "10.0.0.1:8377"])
def test_only_this_machine_is_its_host(client: TestClient, host: str) -> None:
    assert client.get("/").text == "hello"
    assert client.get("/", headers={"host": "localhost:8377"}).text == "hello"
    refused = client.get("/", headers={"host": host})
    assert refused.status_code == 403
    assert "hello" not in refused.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "https://127.0.0.1:8377"},
        {"origin": HOME, "sec-fetch-site": "cross-site"},
    ],
)
def test_forms_of_elsewhere_change_nothing(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/", data={"a": "1"}, headers={"origin": HOME}).text == "a=1"
    assert client.post("/", data={"a": "1"}, headers=headers).status_code == 403


def test_bodies_are_small_forms(client: TestClient) -> None:
    own = {"origin": HOME}
    assert client.post("/", data={"a": "ü ", "b": ""}, headers=own).text == "a=ü ,b="
    assert client.post("/", json={"a": 1}, headers=own).status_code == 415
    assert client.post("/", data={"a": "x" * LARGEST_BODY_BYTES}, headers=own).status_code == 413

    form = {**own, "content-type": "application/x-www-form-urlencoded"}
    # Without a length, too: counted as it comes in.
    assert client.post("/", content=(b"a=" + b"x" * 1024 for _ in range(100)), headers=form).status_code == 413
    for broken in (b"a=%ff", "a=\xfc".encode("latin-1"), b"&".join(b"a=1" for _ in range(99))):
        assert client.post("/", content=broken, headers=form).status_code == 400


def test_every_answer_carries_the_policy(client: TestClient) -> None:
    for answer in (client.get("/"), client.get("/absent"), client.get("/", headers={"host": "evil.example"})):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
