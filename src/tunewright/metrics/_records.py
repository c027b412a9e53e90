"""Answers that are JSON: strict reading, and equality as JSON means it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from tunewright.base.errors import DataError
from tunewright.metrics._answer import Answer, name_ids

Record = dict[str, Any]


def parse_json(text: str) -> Any:
    """Reads one JSON value, strictly.

    Raises:
        ValueError: If the text is no JSON, holds NaN or Infinity (JSON has neither), names a key twice in one object
            (readers disagree on which counts), escapes half a character, or is nested too deeply to be read.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
        if "\\u" in text:
            canonical(value).encode()  # half a surrogate pair cannot be written, to a file or anywhere
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def canonical(value: Any) -> str:
    """A JSON value as text; equal values give equal texts, but for numbers written differently (1 and 1.0)."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def read_record(text: str) -> Record | None:
    """The JSON object that a text holds; None if it is not valid JSON, or not an object."""
    try:
        value = parse_json(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def read_references(answers: Sequence[Answer], *, where: str) -> list[Record]:
    """The reference answers as JSON objects.

    Raises:
        DataError: If a reference is no JSON object; names the examples.
    """
    records = [read_record(answer.reference) for answer in answers]
    broken = [answer.id for answer, record in zip(answers, records, strict=True) if record is None]
    if broken:
        raise DataError(
            f"Reference answers that are no JSON objects: {name_ids(broken)}",
            where=where,
            hint="Mend these rows, or set data.answer to label or text.",
        )
    return [record for record in records if record is not None]


def fields_of(records: Sequence[Record]) -> list[str]:
    """All fields of the records, in the order in which they are first met."""
    return list(dict.fromkeys(field for record in records for field in record))


def equal(left: Any, right: Any) -> bool:
    """Whether two JSON values are the same: keys in any order, numbers by value, and `true` is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> Record:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return record
