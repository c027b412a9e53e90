"""A batch's input: every fault with its line, before anything is answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lifecycle.batches.made import line
from tunewright.lifecycle.batches import requests
from tunewright.lifecycle.batches.requests import CHAT, EMBEDDINGS, Request, check_requests, requests_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in.jsonl"


def write(path: Path, *lines: Any) -> Path:
    path.write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in lines))
    return path


def test_a_file_without_faults(path: Path) -> None:
    write(path, line("a"), "", line("b", "€"))
    checked = check_requests(path, CHAT)
    assert (checked.total, checked.model, checked.errors) == (2, "tiny", ())
    assert [*requests_of(path, CHAT)] == [Request(1, "a", line("a")["body"]), Request(3, "b", line("b", "€")["body"])]


def test_several_models_are_no_one_model(path: Path) -> None:
    write(path, line("a"), line("b", body={"model": "other"}))
    assert check_requests(path, CHAT).model is None


@pytest.mark.parametrize(
    ("wrong", "code", "param"),
    [
        ("{", "invalid_json_line", None),
        ("[]", "invalid_json_line", None),
        ("[" * 100_000, "invalid_json_line", None),
        ({}, "missing_custom_id", "custom_id"),
        (line(""), "missing_custom_id", "custom_id"),
        (line("x" * 513), "missing_custom_id", "custom_id"),
        (line("a"), "duplicate_custom_id", "custom_id"),
        (line("b", method="GET"), "invalid_method", "method"),
        (line("b", url="/v1/embeddings"), "mismatched_url", "url"),
        (line("b", body="text"), "missing_body", "body"),
        (line("b", body={}), "missing_model", "body.model"),
        (line("b", body={"model": "m", "stream": True}), "invalid_stream", "body.stream"),
        (line("\ud800"), "invalid_text", None),
    ],
)
def test_a_fault_is_told_with_its_line(path: Path, wrong: Any, code: str, param: str | None) -> None:
    write(path, line("a"), wrong)
    (error,) = check_requests(path, CHAT).errors
    assert (error["line"], error["code"], error["param"]) == (2, code, param)
    assert error["message"]


def test_the_first_faults_are_listed_and_the_others_counted(path: Path) -> None:
    write(path, *("{" for _ in range(25)))
    errors = check_requests(path, CHAT).errors
    assert [error["line"] for error in errors] == [*range(1, 21), None]
    assert errors[-1]["message"] == "5 more lines are wrong."


def test_whole_files_may_be_wrong(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, line("a"), line("b"))
    assert check_requests(path, "/v1/responses").errors[0]["code"] == "unsupported_endpoint"
    assert check_requests(path, EMBEDDINGS).errors[0]["code"] == "mismatched_url"
    monkeypatch.setattr(requests, "MOST_REQUESTS", 1)
    assert check_requests(path, CHAT).errors[0]["code"] == "too_many_requests"
    monkeypatch.setattr(requests, "MOST_BYTES", 1)
    assert check_requests(path, CHAT).errors[0]["code"] == "file_too_large"
    monkeypatch.undo()
    assert check_requests(write(path, "", " "), CHAT).errors[0]["code"] == "empty_file"


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_any_bytes_are_checked(pieces: list[bytes]) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        file.write(b"\n".join(pieces))
        file.flush()
        checked = check_requests(Path(file.name), CHAT)
    assert checked.errors
