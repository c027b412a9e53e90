"""`serve`: what it refuses, what it says, and how it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.command import spawn, tunewright
from tunewright.server.start import Address, Plan
from tunewright.store import Workspace
from tunewright.store.keys import create_key


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "ws"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "tunewright keys create NAME"),
        (["--host", "nowhere.invalid"], "nowhere.invalid is unknown"),
        (["--keys"], "There is no key yet"),
        (["--tls-cert", "cert.pem"], "go together"),
        (["--tls-cert", "absent.pem", "--tls-key", "absent.pem"], "cannot be used"),
        (["--log", "xml"], "text or json"),
        (["--engine", "other"], "native or vllm"),
        (["--memory", "plenty"], "'plenty' is no size"),
        (["--otlp", "localhost:4318"], "This is no URL"),
    ],
)
def test_wrong_input_is_said_and_nothing_starts(home: Path, options: list[str], said: str) -> None:
    outcome = tunewright("serve", "--port", "0", "--workspace", home, *options)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())


def test_a_port_that_is_taken_is_said(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        outcome = tunewright("serve", "--port", str(taken.getsockname()[1]), "--workspace", home)
    assert outcome.code == 2
    assert "is taken by another program" in outcome.err


def planned(monkeypatch: pytest.MonkeyPatch, ended: str) -> list[Plan]:
    """What is started instead of a server, which ends at once."""
    plans: list[Plan] = []

    def serve(workspace: Workspace, plan: Plan, *, started: Callable[[Address], None]) -> str:
        plans.append(plan)
        started(Address(plan.settings.host, 8000, "http"))
        return ended

    monkeypatch.setattr("tunewright.server.start.serve", serve)
    return plans


def test_it_asks_for_keys_as_soon_as_there_are_some(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = planned(monkeypatch, "asked")
    said = tunewright("serve", "--workspace", home)
    assert said.code == 0
    assert "OPENAI_BASE_URL=http://127.0.0.1:8000/v1" in said.err
    assert "No key is asked for: it answers to this machine alone." in said.err
    assert max(map(len, said.err.splitlines())) <= 80 + len(str(home))
    create_key(Workspace.open(home), name="ci", scopes=["read"])
    document = tunewright("serve", "--workspace", home, "--json").document
    assert (document["url"], document["keys"]) == ("http://127.0.0.1:8000/v1", True)
    tunewright("serve", "--workspace", home, "--no-keys", "--max-upload", "1MB", "--memory", "2GB", "--rpm", "5")
    assert [plan.settings.keys for plan in plans] == [False, True, False]
    assert (plans[2].settings.max_upload_bytes, plans[2].memory_bytes) == (10**6, 2 * 10**9)
    assert plans[2].settings.requests_per_minute == 5


def test_after_ctrl_c_the_exit_code_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, "interrupted")
    assert tunewright("serve", "--workspace", home).code == 130


def test_it_serves_works_and_ends_tidily(home: Path, tmp_path: Path) -> None:
    server = spawn("serve", "--port", "0", "--json", "--log", "json", "--workspace", home, cwd=tmp_path)
    assert server.stdout is not None
    lines = ""
    while not lines.endswith("}\n"):
        piece = server.stdout.readline()
        assert piece, server.communicate()[1]
        lines += piece
    url = json.loads(lines)["url"].removesuffix("/v1")
    with httpx.Client(base_url=url, trust_env=False) as client:
        ready: dict[str, Any] = client.get("/readyz").json()
        assert ready == {"status": "ready", "database": "ready", "worker": "ready"}
        assert client.get("/v1/files").json()["data"] == []
        assert client.get("/v1/files", headers={"Host": "evil.example"}).status_code == 403
        assert "tunewright_worker_up 1.0" in client.get("/metrics").text
        server.send_signal(signal.SIGTERM)
        try:
            _, said = server.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            server.kill()
            raise
    assert server.returncode == 0, said
    events = [json.loads(line) for line in said.splitlines()]
    assert [each["route"] for each in events if each["event"] == "request"] == [
        "/readyz",
        "/v1/files",
        "",
        "/metrics",
    ]
    assert {each["level"] for each in events} == {"info"}
