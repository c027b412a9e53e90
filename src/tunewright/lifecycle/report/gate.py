"""The gate in words: for the page, the card and the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.lifecycle.report import words

Ruling = Mapping[str, Any]


def section(gate: Sequence[Ruling], *, release: str, despite: str) -> dict[str, Any] | None:
    """What the page shows of the gate: `headline`, `state` and one line for each bar; None where there is no gate."""
    if not gate:
        return None
    failed = sum(not ruling["passed"] for ruling in gate)
    bars = f"{len(gate)} bar{'' if len(gate) == 1 else 's'}"
    if not failed:
        headline = f"Gate passed: {'all ' if len(gate) > 1 else ''}{bars} reached"
    elif despite:
        headline = f"Gate missed ({failed} of {bars}), and released as {release} by a person's word"
    else:
        headline = f"Gate missed: {failed} of {bars}. It was not released"
    return {
        "headline": headline,
        "state": "missed" if failed else "reached",
        "despite": despite,
        "lines": [
            {
                "what": name(ruling["what"]),
                "bar": ruling["bar"].replace("_", " "),
                "value": _value(ruling),
                "by": by(ruling),
                "passed": ruling["passed"],
                "note": ruling["note"],
            }
            for ruling in gate
        ],
    }


def line(ruling: Ruling) -> str:
    """One bar in a line: `accuracy >= 0.85: missed by 0.031 (0.819)`."""
    reached = "" if ruling["value"] is None else f" ({_value(ruling)})"
    why = f" {ruling['note']}" if ruling["value"] is None else ""
    return f"{ruling['what']} {ruling['bar']}: {by(ruling)}{reached}{why}".rstrip(".")


def told(rulings: Sequence[Ruling]) -> str:
    """Bars in a sentence."""
    return "; ".join(line(ruling) for ruling in rulings) + "."


def name(what: str) -> str:
    """A bar's subject for people: metrics by their names, anything else as it was written."""
    base, _, end = what.rpartition(".")
    if what.startswith("slice."):
        return what.removeprefix("slice.").replace("_", " ").replace("=", " ", 1)
    if what.startswith("vs_"):
        return f"Against {words.system_name(what.removeprefix('vs_'))}"
    if base and end in ("low", "high"):
        return f"{words.metric_name(base)}, {'lower' if end == 'low' else 'upper'} end of its interval"
    return words.metric_name(what)


def by(ruling: Ruling) -> str:
    """`reached, 0.012 to spare`, `missed by 0.031`, `not measured`."""
    if ruling["by"] is None:
        return "nothing to lose against" if ruling["passed"] else "not measured"
    distance = abs(ruling["by"])
    shown = f"{distance:.4f}".rstrip("0").rstrip(".") if distance >= 0.0001 else f"{distance:.2g}"
    return f"reached, {shown} to spare" if ruling["passed"] else f"missed by {shown}"


def _value(ruling: Ruling) -> str:
    if ruling["value"] is None:
        return "–"
    signed = "+" if ruling["what"].startswith("vs_") else ""
    return f"{ruling['value']:{signed}.4g}"
