"""The file of labels: JSONL, a line for each label, on disk before the next question. It can be trained on as it is.

Lines are only ever added at its end. Taking the last one back cuts it off again; a line that a power cut left half
written is cut off when the file is opened.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self

from tunewright.base.errors import DataError
from tunewright.base.files import disk_guard
from tunewright.data.folding import text_key


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and the label that a person gave it.

    Args:
        id: What texts share that are the same but for white space and case (`folding.text_key`).
        text: The text.
        label: Its label.
        source: The file it came from.
        line: Where it stands there.
        predicted: What the model would have said; None where there was none yet. It was not shown.
    """

    id: str
    text: str
    label: str
    source: str
    line: int
    predicted: str | None = None


def label_id(text: str) -> str:
    """The id of a text to be labelled: two people's labels of it find each other, whatever file it came from."""
    return text_key([text])


class Journal:
    """A file of labels, open for more. One process at a time."""

    def __init__(self, path: Path, file: IO[bytes], labelled: list[Labelled], ends: list[int], torn: int) -> None:
        self.path, self.labelled, self.torn_bytes = path, labelled, torn
        self._file, self._ends = file, ends

    @classmethod
    def open(cls, path: Path) -> Self:
        """Opens a file of labels, made first where there is none.

        Raises:
            DataError: If it is no file of labels, or another process has it open.
        """
        try:
            with disk_guard(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                file = path.open("a+b")
        except OSError as error:
            raise DataError(f"This file cannot be written ({error.strerror})", where=str(path)) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise DataError(
                "Someone is labelling into this file right now",
                where=str(path),
                hint="Name another with --output, and compare the two later with --compare.",
            ) from None
        try:
            labelled, ends, torn = _read(file, path)
        except BaseException:
            file.close()
            raise
        if torn:
            file.truncate(ends[-1] if ends else 0)
        return cls(path, file, labelled, ends, torn)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with disk_guard(self.path):
            self._file.close()

    def add(self, labelled: Labelled) -> None:
        """Puts a label on disk."""
        line = json.dumps(asdict(labelled), ensure_ascii=False).encode() + b"\n"
        with disk_guard(self.path):
            self._file.write(line)
            self._sync()
        self.labelled.append(labelled)
        self._ends.append((self._ends[-1] if self._ends else 0) + len(line))

    def take_back(self) -> Labelled | None:
        """Takes the last label off the file; None where there is none."""
        if not self.labelled:
            return None
        self._ends.pop()
        with disk_guard(self.path):
            self._file.truncate(self._ends[-1] if self._ends else 0)
            self._sync()
        return self.labelled.pop()

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


def read_labels(path: Path) -> list[Labelled]:
    """The labels in a file, which is left as it is.

    Raises:
        DataError: If it is no file of labels.
    """
    try:
        with path.open("rb") as file:
            return _read(file, path)[0]
    except OSError as error:
        raise DataError(f"This file cannot be read ({error.strerror})", where=str(path)) from error


def _read(file: IO[bytes], path: Path) -> tuple[list[Labelled], list[int], int]:
    """The labels, where each line ends, and how many bytes of an unfinished line follow."""
    file.seek(0)
    labelled: list[Labelled] = []
    ends: list[int] = []
    at = 0
    for number, line in enumerate(file, 1):
        if not line.endswith(b"\n"):
            return labelled, ends, len(line)
        at += len(line)
        labelled.append(_parse(line, f"{path}:{number}"))
        ends.append(at)
    return labelled, ends, 0


def _parse(line: bytes, where: str) -> Labelled:
    try:
        found = Labelled(**json.loads(line))
        if not (isinstance(found.text, str) and isinstance(found.label, str) and isinstance(found.id, str)):
            raise TypeError
    except (ValueError, TypeError, RecursionError):
        raise DataError(
            "This line is no label that `tunewright data label` wrote",
            where=where,
            hint="Name another file with --output.",
        ) from None
    return found


def counts(labelled: Sequence[Labelled]) -> dict[str, int]:
    """How often each label was given, the most frequent first."""
    found: dict[str, int] = {}
    for each in labelled:
        found[each.label] = found.get(each.label, 0) + 1
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
