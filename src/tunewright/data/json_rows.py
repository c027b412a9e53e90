"""From JSON text to rows: one object a line, or a whole document."""

from __future__ import annotations

import json
from typing import Any

from tunewright.data import limits
from tunewright.data.delimited import NUL
from tunewright.data.rows import Fault, Row


def load(text: str) -> Any:
    """The value of a JSON text; NaN, which some writers put for a missing number, is None.

    Raises:
        ValueError: If it is no JSON, or nested too deep to be worked on.
    """
    try:
        value = json.loads(text, parse_constant=missing)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if reason := depth_fault(value, text):
        raise ValueError(reason)
    return value


def depth_fault(value: Any, text: str) -> str:
    """Why a value is nested too deep to be worked on, or empty; `text` is the JSON that it stands in."""
    # Counting brackets is quick, and settles nearly all rows.
    if text.count("[") + text.count("{") <= limits.MOST_NESTED or _depth(value) <= limits.MOST_NESTED:
        return ""
    return f"it is nested too deep: more than {limits.MOST_NESTED} lists and objects inside one another"


def missing(name: str) -> float | None:
    """What a constant of JavaScript stands for: NaN, which some writers put for a missing number, is None."""
    return None if name == "NaN" else float(name)


def _depth(value: Any) -> int:
    """Lists and objects inside one another; without recursion, and no further than is needed."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        if depth > limits.MOST_NESTED:
            break
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return depth


def record(value: Any, name: str, line: int) -> Row | Fault:
    """A row of a JSON value, or why it is none."""
    if not isinstance(value, dict):
        kind = {list: "a list", str: "a text", type(None): "null"}.get(type(value), "a single value")
        return Fault(name, line, f"this is {kind}, and not a JSON object")
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return Fault(name, line, "a text holds half of a surrogate pair (\\ud800 to \\udfff), which is no character")
    return Row(value, name, line)


def fault_of(error: ValueError, raw: bytes) -> str:
    """What is wrong with a line, in words."""
    return NUL if b"\0" in raw else f"this is not valid JSON: {reason_of(error)}"


def reason_of(error: ValueError) -> str:
    """What `load` found wrong, in words."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.removesuffix(' at')} at position {error.pos + 1}"
    return str(error)
