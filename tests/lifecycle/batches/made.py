"""Batches for tests: files of requests, and a model that answers by rule."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tunewright.lifecycle.batches.batch import create_batch
from tunewright.lifecycle.batches.requests import CHAT
from tunewright.store import Record, Workspace
from tunewright.store.uploads import open_upload, receive


def line(custom_id: str, text: str = "Hi", **more: Any) -> dict[str, Any]:
    body = {"model": "tiny", "messages": [{"role": "user", "content": text}]}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body, **more}


def upload(workspace: Workspace, lines: Iterable[Mapping[str, Any] | str], purpose: str = "batch") -> Record:
    with receive(workspace, filename="in.jsonl", purpose=purpose, limit_bytes=1 << 30) as received:
        for each in lines:
            received.write((each if isinstance(each, str) else json.dumps(each)).encode() + b"\n")
        return received.keep()


def batch(workspace: Workspace, file: Record, **more: Any) -> Record:
    asked: dict[str, Any] = {"endpoint": CHAT, "completion_window": "24h", "metadata": None, "project": "default"}
    return create_batch(workspace, **(asked | {"input_file_id": file.id, "output_expires_after_s": None} | more))


def reply(endpoint: str, body: dict[str, Any]) -> tuple[int, Mapping[str, Any]]:
    """Says in capitals what it was told; refuses what says so."""
    text = body["messages"][0]["content"]
    if text == "refuse":
        return 404, {"error": {"message": "no", "type": "not_found_error", "param": None, "code": "model_not_found"}}
    message = {"role": "assistant", "content": text.upper()}
    usage = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}
    usage_more = {"prompt_tokens_details": {"cached_tokens": 3}}
    return 200, {"choices": [{"message": message}], "usage": {**usage, **usage_more}}


def results(workspace: Workspace, file_id: str | None) -> list[dict[str, Any]]:
    if file_id is None:
        return []
    text = open_upload(workspace, workspace.record("file", file_id)).read_text(encoding="utf-8")
    return [json.loads(each) for each in text.splitlines()]


def never() -> None:
    """Nobody asks for the work to stop."""
