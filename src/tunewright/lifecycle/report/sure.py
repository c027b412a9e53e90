"""How sure a difference between two systems is, in sentences, and what the rows could have shown at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewright.lifecycle.report import words
from tunewright.lifecycle.report.slices import points


def sentences(evaluation: Mapping[str, Any]) -> list[str]:
    """Each difference on the main metric with interval, test, and the smallest difference that would be seen."""
    return [
        f"{words.metric_name(each['metric'])}, {_of(each['a'])} less {_of(each['b'])}: "
        f"{_points(each['value'], each)} (95% interval {_points(each['low'], each)} to {_points(each['high'], each)}); "
        f"p {p(each['p'])}, corrected {p(each['p_corrected'])} ({each['test']}). "
        f"{_shown(each)}"
        for each in evaluation.get("differences") or ()
    ]


def lines(evaluation: Mapping[str, Any]) -> list[str]:
    """What the rows can show, in a line for a terminal; none where nothing was compared."""
    found = evaluation.get("differences") or ()
    chosen = next((each for each in found if each["b"] == "base"), next(iter(found), None))
    return [_shown(chosen)] if chosen else []


def p(value: float | None) -> str:
    """`= 0.0123`, `< 0.0001`."""
    if value is None:
        return "not known"
    shown = words.p_value(value)
    return shown if shown.startswith("<") else f"= {shown}"


def _shown(each: Mapping[str, Any]) -> str:
    least = _points(each["detectable"], each).removeprefix("+")
    return f"With {words.rows(each['n'])}, a difference from {_of(each['b'])} of less than {least} can hardly be seen."


def _points(value: float, each: Mapping[str, Any]) -> str:
    return points(value, share=words.is_share(each["metric"]))


def _of(system: str) -> str:
    name = words.system_name(system)
    return name[:1].lower() + name[1:]
