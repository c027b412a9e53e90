"""Raw rows, the faults found instead of some, and paths into a row's nested values."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from tunewright.base.errors import DataError, did_you_mean


@dataclass(frozen=True, slots=True)
class Row:
    """One record as it was read.

    Args:
        values: Column or key to value.
        file: The file's name.
        line: The line it starts on (JSONL, CSV, TSV) or its number in the file (JSON, Parquet), counted from 1.
    """

    values: dict[str, Any]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Fault:
    """A record that cannot be used, where it stands, and why."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


Path = tuple[str | int, ...]

_PART = re.compile(r"\[(-?\d+)\]|\.?([^.\[\]]+)")


@lru_cache(maxsize=1024)
def parse_path(text: str) -> Path:
    """`ticket.tags[-1]` as `("ticket", "tags", -1)`; a text that spells no path, such as `Sum [EUR]`, is one name."""
    parts: list[str | int] = []
    at = 0
    while at < len(text):
        found = _PART.match(text, at)
        if found is None:
            break
        index, name = found.groups()
        parts.append(int(index) if index is not None else name)
        at = found.end()
    if not parts or at < len(text) or isinstance(parts[0], int):
        return (text,)
    return tuple(parts)


def pick(values: Mapping[str, Any], text: str, path: Path) -> Any:
    """The value at a path; None where the row has none.

    A column whose name is the whole text wins over the path that the text spells.
    """
    if text in values:
        return values[text]
    place: Any = values
    for key in path:
        if isinstance(place, Mapping) and isinstance(key, str):
            place = place.get(key)
        elif isinstance(place, list | tuple) and isinstance(key, int) and -len(place) <= key < len(place):
            place = place[key]
        else:
            return None
    return place


def as_text(value: Any) -> str | None:
    """A value as the text that templates and steps see; None stays None, nested values become compact JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, float):
        return None if value != value else repr(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        raise DataError("A value is raw bytes, and not text")
    return compact_json(value) if isinstance(value, Mapping | list | tuple) else str(value)


def compact_json(value: Any) -> str:
    """JSON without white space, in the given key order, non-ASCII letters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=as_text)


def unknown_column(name: str, known: Iterable[str], *, where: str, hint: str = "") -> DataError:
    """The error for a column that is not there: what it may have meant, and all there are."""
    columns = list(known)
    listed = f"Columns: {', '.join(columns)}." if columns else "The rows have no columns."
    return DataError(
        f"The column '{name}' is not there",
        where=where,
        hint=f"{did_you_mean(name, columns)}{listed}{' ' if hint else ''}{hint}",
    )
