"""Verbs with `--server URL`: what they ask a server, what they print, and how they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cli.command import tunewright

JOB = {"id": "ftjob-1", "object": "fine_tuning.job", "model": "base", "created_at": 1000, "error": None}
SUCCEEDED = JOB | {"status": "succeeded", "fine_tuned_model": "ft:base:org::1", "trained_tokens": 12345}
FAILED = JOB | {"id": "ftjob-2", "status": "failed", "error": {"code": "invalid_training_file", "message": "Line 3."}}


def _event(number: int) -> dict[str, Any]:
    return {"id": f"ftevent-{number}", "created_at": 1000 + number, "level": "info", "message": f"event {number}"}


class Told(ThreadingHTTPServer):
    """A server that answers from a table, and keeps what it was sent."""

    def __init__(self, replies: dict[str, Any]) -> None:
        self.replies, self.asked = replies, []  # type: tuple[dict[str, Any], list[tuple[str, Any]]]
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Told

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET", None)

    def do_POST(self) -> None:
        self._answer("POST", self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, method: str, sent: Any) -> None:
        path = urlsplit(self.path).path.removeprefix("/v1/")
        self.server.asked.append((f"{method} {path}", sent))
        reply = self.server.replies.get(f"{method} {path}")
        content = reply.encode() if isinstance(reply, str) else json.dumps(reply).encode()
        if reply is None:
            content = json.dumps({"error": {"message": f"No such thing: {path}"}}).encode()
        self.send_response(404 if reply is None else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def server() -> Iterator[Told]:
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "length"}]},
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    ]
    replies = {
        "GET models": {"data": [{"id": "ft:base:org::1", "created": 0, "owned_by": "org"}], "has_more": False},
        "POST chat/completions": "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n",
        "POST files": {"id": "file-1"},
        "POST fine_tuning/jobs": JOB | {"status": "validating_files"},
        "GET fine_tuning/jobs": {"data": [SUCCEEDED, FAILED], "has_more": False},
        "GET fine_tuning/jobs/ftjob-1": SUCCEEDED,
        "GET fine_tuning/jobs/ftjob-2": FAILED,
        "GET fine_tuning/jobs/ftjob-1/events": {"data": [_event(2), _event(1)], "has_more": False},
        "GET fine_tuning/jobs/ftjob-2/events": {"data": [], "has_more": False},
        "POST fine_tuning/jobs/ftjob-1/cancel": JOB | {"status": "cancelled"},
    }
    server = Told(replies)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_message_is_answered_as_it_is_written(server: Told) -> None:
    told = tunewright("chat", "ft:base:org::1", "--server", server.url, "--message", "Hi")
    assert (told.code, told.out) == (0, "Hello\n")
    assert "cut at the length limit" in told.err
    ((path, sent),) = server.asked
    assert path == "POST chat/completions"
    assert json.loads(sent)["messages"] == [{"role": "user", "content": "Hi"}]
    document = tunewright("chat", "m", "--server", server.url, "--message", "Hi", "--json").document
    assert (document["answer"], document["stopped"], document["tokens"]) == ("Hello", False, 2)


def test_models_are_listed(server: Told) -> None:
    assert "ft:base:org::1" in tunewright("models", "list", "--server", server.url).out
    assert tunewright("models", "list", "--server", server.url, "--json").document["models"][0]["owned_by"] == "org"


def test_a_job_is_made_of_a_file(server: Told, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("{}\n")
    asked = ("jobs", "create", "--model", "base", "--training-file", rows, "--epochs", "2", "--suffix", "desk")
    assert tunewright(*asked, "--server", server.url, "--json").document["status"] == "validating_files"
    assert [path for path, _ in server.asked] == ["POST files", "POST fine_tuning/jobs"]
    assert json.loads(server.asked[1][1]) == {
        "model": "base",
        "training_file": "file-1",
        "suffix": "desk",
        "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
    }


def test_a_file_that_is_not_there_is_said_before_anything_is_asked(server: Told, tmp_path: Path) -> None:
    told = tunewright("jobs", "create", "--model", "m", "--training-file", tmp_path / "no", "--server", server.url)
    assert told.code == 2
    assert "There is no such file" in told.err
    assert server.asked == []


def test_jobs_are_listed_shown_and_cancelled(server: Told) -> None:
    listed = tunewright("jobs", "list", "--server", server.url).out
    assert "ftjob-1" in listed
    assert "ftjob-2" in listed
    shown = tunewright("jobs", "show", "ftjob-1", "--server", server.url).out
    assert "12,345" in shown
    assert "invalid_training_file: Line 3." in tunewright("jobs", "show", "ftjob-2", "--server", server.url).out
    cancelled = tunewright("jobs", "cancel", "ftjob-1", "--server", server.url, "--json").document
    assert cancelled["status"] == "cancelled"


def test_following_prints_events_in_order_and_ends_as_the_job_did(server: Told) -> None:
    good = tunewright("jobs", "follow", "ftjob-1", "--server", server.url)
    assert good.code == 0
    assert good.out.index("event 1") < good.out.index("event 2") < good.out.index("succeeded")
    assert tunewright("jobs", "follow", "ftjob-2", "--server", server.url).code == 1


def test_what_is_not_there_is_wrong_input(server: Told) -> None:
    told = tunewright("jobs", "show", "ftjob-9", "--server", server.url)
    assert told.code == 2
    assert "No such thing: fine_tuning/jobs/ftjob-9" in told.err
