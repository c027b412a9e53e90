"""A JSONL file that grows line by line, each on disk before the next is asked for: what people answer.

Lines are only ever added at its end. Taking the last one back cuts it off again; a line that a power cut left half
written is cut off when the file is opened.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from tunewright.base.errors import DataError
from tunewright.base.files import disk_guard

T = TypeVar("T")
Parse = Callable[[bytes, str], T]  # a line, and `file:line` for its error


class Lines(Generic[T]):
    """A file of lines, open for more. One process at a time.

    Args:
        path: The file.
        values: What its lines say, in order.
        torn_bytes: Length of the half-written line that was cut off when it was opened.
    """

    def __init__(self, path: Path, file: io.FileIO, values: list[T], ends: list[int], torn: int) -> None:
        self.path, self.values, self.torn_bytes = path, values, torn
        self._file, self._ends = file, ends

    @classmethod
    def open(cls, path: Path, parse: Parse[T], *, taken: DataError) -> Self:
        """Opens a file, made first where there is none.

        Args:
            path: The file.
            parse: Reads a line; raises a `DataError` for one that it cannot read.
            taken: What to raise where another process, or another part of this one, has it open.

        Raises:
            DataError: If a line cannot be read, the file cannot be written, or it is open already.
        """
        try:
            with disk_guard(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                # Without a buffer: what a full disk refused must not be written later, behind the next line's back.
                file = path.open("a+b", buffering=0)
        except OSError as error:
            raise DataError(f"This file cannot be written ({error.strerror})", where=str(path)) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise taken from None
        try:
            file.seek(0)
            values, ends, torn = _read(file.read(), path, parse)
        except BaseException:
            file.close()
            raise
        if torn:
            file.truncate(ends[-1] if ends else 0)
        return cls(path, file, values, ends, torn)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives the file free for others."""
        with disk_guard(self.path):
            self._file.close()

    def add(self, value: T, written: Mapping[str, Any]) -> None:
        """Puts a line on disk.

        Args:
            value: What it says.
            written: The same as a JSON object.
        """
        line = json.dumps(written, ensure_ascii=False).encode() + b"\n"
        try:
            with disk_guard(self.path):
                left = memoryview(line)
                while left:
                    left = left[self._file.write(left) :]
                os.fsync(self._file.fileno())
        except BaseException:
            with contextlib.suppress(
                OSError
            ):  # the first error is the one to tell; a rest is cut off at the next start
                self._file.truncate(self._end)
            raise
        self._ends.append(self._end + len(line))
        self.values.append(value)

    def take_back(self) -> T | None:
        """Takes the last line off the file; None where there is none."""
        if not self.values:
            return None
        self._ends.pop()
        with disk_guard(self.path):
            self._file.truncate(self._end)
            os.fsync(self._file.fileno())
        return self.values.pop()

    @property
    def _end(self) -> int:
        """Where the last whole line ends."""
        return self._ends[-1] if self._ends else 0


def read_lines(path: Path, parse: Parse[T]) -> list[T]:
    """What the whole lines of a file say; the file is left as it is, and may be open elsewhere.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        return _read(path.read_bytes(), path, parse)[0]
    except OSError as error:
        raise DataError(f"This file cannot be read ({error.strerror})", where=str(path)) from error


def _read(content: bytes, path: Path, parse: Parse[T]) -> tuple[list[T], list[int], int]:
    """The values, where each line ends, and how many bytes of an unfinished line follow."""
    values: list[T] = []
    ends: list[int] = []
    at = 0
    for number, line in enumerate(io.BytesIO(content), 1):
        if not line.endswith(b"\n"):
            return values, ends, len(line)
        at += len(line)
        values.append(parse(line, f"{path}:{number}"))
        ends.append(at)
    return values, ends, 0
