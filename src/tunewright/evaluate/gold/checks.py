"""What an answer misses of what was wanted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tunewright.evaluate.gold.cases import Wanted

_SHOWN_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Miss:
    """One thing that was wanted and is not so.

    Args:
        wanted: What the case asks for, in words.
        why: What is there instead, where that is not plain from the answer.
        key: Which of the assertions it is, so that another system's misses can be held against it.
    """

    wanted: str
    why: str
    key: str


def misses(wanted: Wanted, answer: str) -> list[Miss]:
    """What an answer misses, but for what a judge is to say."""
    return [
        *_unequal(wanted, answer),
        *(Miss(f"contains {text!r}", "", f"contains {text}") for text in wanted.contains if text not in answer),
        *(
            Miss(f"does not contain {text!r}", "", f"not_contains {text}")
            for text in wanted.not_contains
            if text in answer
        ),
        *(
            Miss(f"matches /{pattern}/", "", f"matches {pattern}")
            for pattern in wanted.matches
            if not re.search(pattern, answer)
        ),
        *_off_schema(wanted, answer),
    ]


def _unequal(wanted: Wanted, answer: str) -> Iterator[Miss]:
    if "equals" not in wanted.model_fields_set:
        return
    if isinstance(wanted.equals, dict | list):
        shown = json.dumps(wanted.equals, ensure_ascii=False)
        value, fault = _as_json(answer)
        if fault or not _same(value, wanted.equals):
            yield Miss(f"equals the JSON {shown}", fault or "; ".join(_apart(value, wanted.equals)), "equals")
    elif answer.strip() != _as_text(wanted.equals):
        yield Miss(f"equals {_as_text(wanted.equals)!r}", "", "equals")


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _apart(value: Any, wanted: Any) -> Iterator[str]:
    """Where two JSON values differ, in the first level."""
    if not isinstance(value, dict) or not isinstance(wanted, dict):
        yield "it is another value"
        return
    for key in dict.fromkeys([*wanted, *value]):
        if key not in value:
            yield f"'{key}' is missing"
        elif key not in wanted:
            yield f"'{key}' is too much"
        elif not _same(value[key], wanted[key]):
            yield f"'{key}' is {json.dumps(value[key], ensure_ascii=False)}"


def _as_text(value: Any) -> str:
    # YAML reads `equals: yes`, `equals: 12` and `equals: null` as what JSON would write so.
    return value.strip() if isinstance(value, str) else json.dumps(value)


def _off_schema(wanted: Wanted, answer: str) -> Iterator[Miss]:
    if wanted.matches_schema is None:
        return
    from jsonschema import Draft202012Validator
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    value, fault = _as_json(answer)
    if fault:
        yield Miss("is JSON that keeps the schema", fault, "matches_schema")
        return
    registry: Registry[Any] = Registry()  # empty, so that nothing is fetched
    try:
        errors = list(Draft202012Validator(wanted.matches_schema, registry=registry).iter_errors(value))
    except Unresolvable as fault_in_schema:
        why = f"the schema refers to what is not in it ({fault_in_schema})"
        yield Miss("is JSON that keeps the schema", why, "matches_schema")
        return
    for error in sorted(errors, key=lambda each: list(map(str, each.absolute_path))):
        place = ".".join(map(str, error.absolute_path)) or "the whole"
        yield Miss("keeps the schema", f"{place}: {error.message}", "matches_schema")


def _as_json(answer: str) -> tuple[Any, str]:
    """The answer as a JSON value, or why it is none."""
    try:
        return json.loads(answer, parse_constant=_no_number), ""
    except (ValueError, RecursionError) as error:
        return None, f"the answer is no JSON ({error})"


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON's")


def shorten(text: str) -> str:
    """A text as failures show it; says how much is left out."""
    rest = len(text) - _SHOWN_CHARACTERS
    return text if rest <= 0 else f"{text[:_SHOWN_CHARACTERS]}… ({rest:,} more characters)"
