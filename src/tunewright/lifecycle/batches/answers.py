"""A batch's answers on disk: each there before the next, so that a killed process has lost none that it has told of."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tunewright.base.errors import DataError
from tunewright.base.files import atomic_file
from tunewright.base.lines import Lines, read_lines
from tunewright.lifecycle.batches.requests import Request
from tunewright.lifecycle.grading import WorkTakenError

FOLDER = "batches"
_FILE = "answers.jsonl"


@dataclass(frozen=True, slots=True)
class Answered:
    """What is remembered of an answer while the others are made.

    Args:
        line: The line of its request.
        is_error: Whether the request was refused.
        read, written, cached: Tokens.
    """

    line: int
    is_error: bool
    read: int = 0
    written: int = 0
    cached: int = 0


def folder_of(root: Path, batch: str) -> Path:
    """Where a batch's answers lie until it has ended."""
    return root / FOLDER / batch


def requests_file(folder: Path) -> Path:
    """Where the requests lie while the batch is worked on: whoever deletes the uploaded file takes nothing away."""
    return folder / "requests.jsonl"


def lay_in(folder: Path, uploaded: Path) -> Path:
    """Puts the requests beside the answers: the same bytes under a second name, or a copy where that cannot be."""
    kept = requests_file(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not kept.exists():
        try:
            os.link(uploaded, kept)
        except OSError:
            with atomic_file(kept) as part:
                shutil.copyfile(uploaded, part)
    return kept


def open_answers(folder: Path) -> Lines[Answered]:
    """The answers of a batch so far, open for more; one process at a time.

    Raises:
        WorkTakenError: If another process works on the batch.
    """
    taken = WorkTakenError("Another process answers this batch", where=str(folder))
    return Lines[Answered].open(folder / _FILE, _parse, taken=taken)


def answers_so_far(folder: Path) -> list[Answered]:
    """What was answered before, in the order in which it was."""
    path = folder / _FILE
    return read_lines(path, _parse) if path.exists() else []


def answer_line(request: Request, status: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """A line of an output or error file: what the endpoint has answered to a request."""
    response = {"status_code": status, "request_id": f"req_{secrets.token_hex(16)}", "body": body}
    return _line(request.custom_id, response, None)


def undone_line(request: Request, code: str, message: str) -> dict[str, Any]:
    """A line of an error file: a request that nobody came to."""
    return _line(request.custom_id, None, {"code": code, "message": message})


def remember(line: int, written: Mapping[str, Any]) -> tuple[Answered, dict[str, Any]]:
    """An answer, and how it is kept on disk."""
    response = written["response"]
    usage = response["body"].get("usage") or {}
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    read = int(usage.get("prompt_tokens") or 0)
    told = int(usage.get("total_tokens") or 0) - read
    answered = Answered(line, response["status_code"] >= 400, read, max(told, 0), int(cached))
    return answered, {"line": line, "answer": written}


class Shelf:
    """Finds answers by the line of their request, in a file that nobody writes any more.

    They may be larger than memory, so that only their places are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._file = (folder / _FILE).open("rb")
        self._places: dict[int, int] = {}
        at = 0
        for text in self._file:
            self._places[json.loads(text)["line"]] = at
            at += len(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def find(self, line: int) -> dict[str, Any] | None:
        """The answer to a line's request, as an output file has it; None where there is none."""
        if line not in self._places:
            return None
        self._file.seek(self._places[line])
        answer: dict[str, Any] = json.loads(self._file.readline())["answer"]
        return answer


def _line(custom_id: str, response: Any, error: Any) -> dict[str, Any]:
    return {"id": f"batch_req_{secrets.token_hex(16)}", "custom_id": custom_id, "response": response, "error": error}


def _parse(text: bytes, where: str) -> Answered:
    try:
        kept = json.loads(text)
        return remember(kept["line"], kept["answer"])[0]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError("This line holds no answer of a batch", where=where) from error
