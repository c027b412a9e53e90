"""Reading JSON out of what a model says, which may stand between other words."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any

_OPENING = re.compile(r"[\[{]")
_MOST_TRIES = 100  # brackets of a text that may begin its JSON
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)


def objects_in(text: str) -> list[dict[str, Any]]:
    """The objects of the first JSON list in a text; or the first object, or those of the one list it holds.

    Empty where there are none. A list that broke off gives the objects before the break.
    """
    text = _THOUGHT.sub("", text)
    reader = json.JSONDecoder()
    for start in islice(_OPENING.finditer(text), _MOST_TRIES):
        try:
            value, _ = reader.raw_decode(text, start.start())
        except RecursionError:
            return []
        except ValueError:
            if start[0] == "[" and (whole := _before_the_break(text, start.end(), reader)):
                return whole
            continue
        if found := _objects(value):
            return found
    return []


def _objects(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list)]
        inner = [item for item in lists[0] if isinstance(item, dict)] if len(lists) == 1 and len(value) == 1 else []
        return inner or [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _before_the_break(text: str, at: int, reader: json.JSONDecoder) -> list[dict[str, Any]]:
    """The whole objects that follow each other from a place on."""
    found: list[dict[str, Any]] = []
    while True:
        while at < len(text) and (text[at].isspace() or text[at] == ","):
            at += 1
        try:
            value, at = reader.raw_decode(text, at)
        except (ValueError, RecursionError):
            return found
        if not isinstance(value, dict):
            return found
        found.append(value)
