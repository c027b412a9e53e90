"""A JSON document: a list of objects, or an object with one list. It is read whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from tunewright.base.errors import DataError
from tunewright.base.plugins import PluginConfig
from tunewright.data import limits
from tunewright.data.datafile import DataFile, Head
from tunewright.data.delimited import NOT_UTF8
from tunewright.data.json_rows import load, reason_of, record
from tunewright.data.rows import Fault, Row

SUFFIXES = (".json",)
BINARY = False
NESTED = True

_LINES = "JSONL, one object a line, has no such limit: jq -c '.[]' FILE > NEW.jsonl."


class Config(PluginConfig):
    """A JSON document."""

    name: Literal["json"] = "json"


def claims(head: Head) -> bool:
    """Whether a file is of this kind."""
    return head.structure == "json"


def read(file: DataFile) -> Iterator[Row | Fault]:
    """A row for each object in the list.

    Raises:
        DataError: If the document is broken, too large, or no list of objects.
    """
    path = file.path
    with file.open() as stream:
        raw = limits.read_whole(stream, limits.MOST_JSON_BYTES, str(path), _LINES)
    try:
        value = load(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        reason = NOT_UTF8.format(byte=raw[error.start], position=error.start - raw.rfind(b"\n", 0, error.start))
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(reason[0].upper() + reason[1:], where=f"{path}:{line}") from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"This is not valid JSON: {error.msg.removesuffix(' at')} at column {error.colno}",
            where=f"{path}:{error.lineno}",
            hint="Nothing of a JSON document can be used once it is broken; JSONL, one object a line, is sturdier.",
        ) from error
    except ValueError as error:
        raise DataError(f"This is not valid JSON: {reason_of(error)}", where=str(path)) from error
    del raw
    for index, item in enumerate(_rows_of_document(value, path), 1):
        yield record(item, file.name, index)


def _rows_of_document(value: Any, path: Path) -> list[Any]:
    if isinstance(value, list):
        return value
    lists = {key: item for key, item in value.items() if isinstance(item, list)} if isinstance(value, dict) else {}
    if len(lists) == 1:
        return next(iter(lists.values()))
    found = f"lists under {', '.join(lists)}" if lists else "no list"
    raise DataError(
        f"A JSON document is a list of objects, or an object with one list; this one has {found}", where=str(path)
    )
