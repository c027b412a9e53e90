"""What probes found, made ready for the page: one line each, and their own tables below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.lifecycle.report import words


def lines(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each finding as `title`, `name`, `value`, `interval`, `base`, `n`, `better`, `meaning`, `parts`."""
    return [
        {
            "title": finding["title"],
            "name": name,
            "value": words.plain(finding["value"]),
            "interval": _interval(finding),
            "base": "" if finding["base"] is None else words.plain(finding["base"]),
            "n": words.count(finding["n"]),
            "better": f"{finding['better']} is better",
            "meaning": finding["meaning"],
            "parts": _parts(finding["details"]),
        }
        for name, finding in evaluation.get("findings", {}).items()
    ]


def _interval(finding: Mapping[str, Any]) -> str:
    if finding["low"] is None or finding["high"] is None:
        return ""
    return f"{words.plain(finding['low'])} to {words.plain(finding['high'])}"


def _parts(details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A finding's details: a list of objects is a table, anything else a line."""
    parts: list[dict[str, Any]] = []
    for title, value in details.items():
        if _is_table(value):
            heads = list(dict.fromkeys(head for row in value for head in row))
            rows = [[_cell(row.get(head)) for head in heads] for row in value]
            parts.append({"title": title, "heads": heads, "rows": rows, "text": ""})
        else:
            parts.append({"title": title, "heads": [], "rows": [], "text": _cell(value)})
    return parts


def _is_table(value: object) -> bool:
    return isinstance(value, Sequence) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return words.plain(value)
    if isinstance(value, int):
        return words.count(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_cell(each) for each in value)
    return str(value)
