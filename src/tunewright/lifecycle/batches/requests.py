"""A batch's input: one request a line, checked before the first one is answered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewright.base.errors import SHOWN_FAULTS

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
SERVED = (CHAT, COMPLETIONS, EMBEDDINGS)

MOST_REQUESTS = 50_000
MOST_BYTES = 200 << 20
LONGEST_CUSTOM_ID = 512


@dataclass(frozen=True, slots=True)
class Request:
    """One line of a batch.

    Args:
        line: Its number, from 1.
        custom_id: What its sender calls it.
        body: The request's body, as its endpoint takes it.
    """

    line: int
    custom_id: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Checked:
    """What a check of the whole file has found.

    Args:
        total: Requests in it.
        model: The model that all of them ask, if it is one; None where there are several.
        errors: The first faults, in the API's form; with any of them nothing is answered.
    """

    total: int
    model: str | None
    errors: tuple[dict[str, Any], ...]


def check_requests(path: Path, endpoint: str) -> Checked:
    """Reads a batch's whole input, and says whether it can be worked on."""
    if endpoint not in SERVED:
        return _faulty(
            "unsupported_endpoint",
            f"This server does not serve batches of {endpoint}. It serves {', '.join(SERVED)}.",
            param="endpoint",
        )
    if path.stat().st_size > MOST_BYTES:
        return _faulty("file_too_large", f"The file has {path.stat().st_size:,} bytes; {MOST_BYTES:,} are the most.")
    errors: list[dict[str, Any]] = []
    lines: dict[str, int] = {}
    models: set[str] = set()
    total = faults = 0
    for number, text in _lines(path):
        total += 1
        found = _read(number, text, endpoint)
        if isinstance(found, Request) and found.custom_id in lines:
            before = lines[found.custom_id]
            found = _fault(
                number,
                "duplicate_custom_id",
                f"The custom_id '{found.custom_id}' stands in line {before} already.",
                "custom_id",
            )
        if isinstance(found, Request):
            lines[found.custom_id] = number
            models.add(found.body["model"])
            continue
        faults += 1
        if faults <= SHOWN_FAULTS:
            errors.append(found)
    if faults > SHOWN_FAULTS:
        errors.append(_fault(None, "more_errors", f"{faults - SHOWN_FAULTS:,} more lines are wrong.", None))
    if not total:
        return _faulty("empty_file", "The file holds no requests.")
    if total > MOST_REQUESTS:
        return _faulty("too_many_requests", f"The file has {total:,} requests; {MOST_REQUESTS:,} are the most.")
    return Checked(total, next(iter(models)) if len(models) == 1 else None, tuple(errors))


def requests_of(path: Path, endpoint: str) -> Iterator[Request]:
    """The requests of a file that was checked, one after another."""
    for number, text in _lines(path):
        found = _read(number, text, endpoint)
        assert isinstance(found, Request), "the file was checked, and files never change"
        yield found


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers; empty ones are left out, as everywhere in JSONL."""
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            if text.strip():
                yield number, text


def _read(number: int, text: bytes, endpoint: str) -> Request | dict[str, Any]:
    """The request of a line, or what is wrong with it."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return _fault(number, "invalid_json_line", "This line is no JSON object.", None)
    if not isinstance(line, Mapping):
        return _fault(number, "invalid_json_line", "This line is no JSON object.", None)
    if b"\\u" in text and not _has_utf8(line):
        return _fault(number, "invalid_text", "A text holds half a surrogate pair, which no answer can repeat.", None)
    custom_id, body = line.get("custom_id"), line.get("body")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= LONGEST_CUSTOM_ID:
        told = f"Each line needs a custom_id, a text of 1 to {LONGEST_CUSTOM_ID} characters."
        return _fault(number, "missing_custom_id", told, "custom_id")
    if line.get("method") != "POST":
        return _fault(
            number, "invalid_method", f"The method must be 'POST'; it is {line.get('method')!r:.40}.", "method"
        )
    if line.get("url") != endpoint:
        told = f"The url must be the batch's endpoint, '{endpoint}'; it is {line.get('url')!r:.80}."
        return _fault(number, "mismatched_url", told, "url")
    if not isinstance(body, dict):
        return _fault(number, "missing_body", "The body must be an object: what the endpoint is sent.", "body")
    if not isinstance(body.get("model"), str):
        return _fault(number, "missing_model", "The body names no model.", "body.model")
    if body.get("stream"):
        return _fault(number, "invalid_stream", "A batch's answers cannot be streamed.", "body.stream")
    return Request(number, custom_id, body)


def _has_utf8(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _fault(line: int | None, code: str, message: str, param: str | None) -> dict[str, Any]:
    return {"code": code, "line": line, "message": message, "param": param}


def _faulty(code: str, message: str, param: str | None = "input_file_id") -> Checked:
    return Checked(0, None, (_fault(None, code, message, param),))
