"""Answers before and after, side by side: JSON answers field by field, with the fields that are wrong marked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Line:
    """One line of an answer as it is shown; `wrong` marks a field that differs from the expected one."""

    text: str
    wrong: bool = False


def lines(answer: str, reference: str) -> list[Line]:
    """An answer as lines: one per field where both texts are JSON objects, else the text as it is.

    A field the reference has and the answer lacks is shown as a line of its own, marked.
    """
    given, expected = _record(answer), _record(reference)
    if given is None or expected is None:
        return [Line(answer)]
    wanted = {_field(name, value) for name, value in expected.items()}
    shown = [Line(_field(name, value), _field(name, value) not in wanted) for name, value in given.items()]
    missing = [Line(f"{name}: missing", True) for name in expected if name not in given]
    return [*shown, *missing]


def pairs(examples: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The examples made ready for the page, in the order given."""
    return [_pair(each) for each in examples]


def tally(examples: Sequence[Mapping[str, Any]]) -> str:
    """How many of them improved, stayed right, stayed wrong or got worse, in a sentence."""
    kinds = {
        (False, True): "wrong before and right after",
        (True, True): "right both times",
        (False, False): "wrong both times",
        (True, False): "right before and wrong after",
    }
    found = [(bool(each.get("before_ok")), bool(each.get("after_ok"))) for each in examples]
    parts = [f"{found.count(kind)} {text}" for kind, text in kinds.items() if kind in found]
    return f"Of these {len(found)}: {', '.join(parts)}." if parts else ""


def _pair(each: Mapping[str, Any]) -> dict[str, Any]:
    reference = str(each.get("reference", ""))
    return {
        "prompt": str(each.get("prompt", "")),
        "expected": lines(reference, reference),
        "sides": [
            {
                "label": label,
                "lines": lines(str(each.get(key) or ""), reference),
                "empty": not str(each.get(key) or "").strip(),
                "ok": bool(each.get(f"{key}_ok")),
            }
            for key, label in (("before", "Before: base model"), ("after", "After: tuned model"))
        ],
    }


def _record(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # a model that loops may write a thousand brackets
        return None
    return value if isinstance(value, dict) else None


def _field(name: str, value: Any) -> str:
    return f"{name}: {json.dumps(value, ensure_ascii=False, sort_keys=True)}"
