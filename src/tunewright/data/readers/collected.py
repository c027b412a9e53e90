"""Rows that were collected from elsewhere, with the places they have there (see `data/collected.py`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal

from tunewright.base.errors import DataError
from tunewright.base.plugins import PluginConfig
from tunewright.data.collected import MARK
from tunewright.data.datafile import DataFile, Head
from tunewright.data.json_rows import depth_fault, missing, record
from tunewright.data.rows import Fault, Row

SUFFIXES: tuple[str, ...] = ()
BINARY = True  # its first line is a mark of its own
NESTED = True


class Config(PluginConfig):
    """Collected rows."""

    name: Literal["collected"] = "collected"


def claims(head: Head) -> bool:
    """Whether a file is of this kind."""
    return head.raw.startswith(MARK.encode() + b"\n")


def read(file: DataFile) -> Iterator[Row | Fault]:
    """The rows and faults, with their lines in what they were collected from.

    Raises:
        DataError: If the file was changed by hand, and is broken.
    """
    with file.open() as stream:
        next(stream)
        for raw in stream:
            try:
                text = raw.decode()
                kept = json.loads(text, parse_constant=missing)
                line, fault = int(kept["line"]), kept.get("fault")
                value = None if fault else kept["values"]
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise DataError("This file of collected rows is damaged", where=str(file.path)) from error
            fault = fault or depth_fault(value, text)
            yield Fault(file.name, line, fault) if fault else record(value, file.name, line)
