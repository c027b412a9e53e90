"""What probes found, made ready for the page: one line each, and their own tables below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.lifecycle.report import words

_WORD = {"text", "weight"}
_DEEPEST = 60  # percent of colour behind the strongest word, so that it can be read in either theme


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
            "parts": parts_of(finding["details"]),
        }
        for name, finding in evaluation.get("findings", {}).items()
    ]


def _interval(finding: Mapping[str, Any]) -> str:
    if finding["low"] is None or finding["high"] is None:
        return ""
    return f"{words.plain(finding['low'])} to {words.plain(finding['high'])}"


def parts_of(details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A finding's details: words with weights are shaded by them, other lists of objects are tables, the rest lines."""
    parts: list[dict[str, Any]] = []
    for title, value in details.items():
        part: dict[str, Any] = {"title": title, "heads": [], "rows": [], "text": "", "words": []}
        if not _is_table(value):
            part["text"] = _cell(value)
        elif all(row.keys() == _WORD for row in value):
            part["words"] = _shaded(value)
        else:
            part["heads"] = list(dict.fromkeys(head for row in value for head in row))
            part["rows"] = [[_cell(row.get(head)) for head in part["heads"]] for row in value]
        parts.append(part)
    return parts


def _shaded(value: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Words as `text`, `side` (for, against), `strength` in percent of the strongest, and `title`."""
    most = max(abs(word["weight"]) for word in value) or 1.0
    return [
        {
            "text": word["text"],
            "side": "for" if word["weight"] >= 0 else "against",
            "strength": round(_DEEPEST * abs(word["weight"]) / most),
            "title": f"{word['weight']:+.3g} nats",
        }
        for word in value
    ]


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
