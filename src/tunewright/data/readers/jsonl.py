"""JSON lines: one object a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from tunewright.base.plugins import PluginConfig
from tunewright.data.datafile import DataFile, Head
from tunewright.data.delimited import NOT_UTF8
from tunewright.data.json_rows import fault_of, load, record
from tunewright.data.limits import read_line, too_long
from tunewright.data.rows import Fault, Row

SUFFIXES = (".jsonl", ".ndjson")
BINARY = False
NESTED = True


class Config(PluginConfig):
    """JSON lines."""

    name: Literal["jsonl"] = "jsonl"


def claims(head: Head) -> bool:
    """Whether a file is of this kind."""
    return head.structure == "jsonl"


def read(file: DataFile) -> Iterator[Row | Fault]:
    """A row for each line that is an object; empty lines are passed over."""
    with file.open() as stream:
        line = 0
        while True:
            raw, too_large = read_line(stream)
            if not raw:
                return
            line += 1
            if too_large:
                yield Fault(file.name, line, too_long())
            elif raw.strip():
                yield _read_line(raw, file.name, line)


def _read_line(raw: bytes, name: str, line: int) -> Row | Fault:
    try:
        return record(load(raw.decode("utf-8-sig" if line == 1 else "utf-8")), name, line)
    except UnicodeDecodeError as error:
        return Fault(name, line, NOT_UTF8.format(byte=raw[error.start], position=error.start + 1))
    except ValueError as error:
        return Fault(name, line, fault_of(error, raw))
