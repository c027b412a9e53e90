"""Contradictions: one text that stands there with several answers."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from tunewright.base.plugins import PluginConfig
from tunewright.data.folding import fold
from tunewright.data.quality.inspection import WORST, Inspection, Verdict, counted
from tunewright.data.quality.view import View

_SHOWN_CHARACTERS = 60


class Config(PluginConfig):
    """Settings of `conflicts`."""

    name: Literal["conflicts"] = "conflicts"


def inspect(view: View, config: Config) -> Inspection | None:
    """Counts texts with answers that differ by more than white space and case.

    Labels that differ contradict each other, and no model can get both right. Free answers may merely be worded in
    several ways, which a person has to judge.
    """
    if view.kind == "document" or view.pairs:
        return None
    data = view.data
    found = [(rows, Counter(fold(data.answers[row]) for row in rows)) for rows in view.contradictions]
    count = sum(len(rows) for rows, _ in found)
    judged = view.kind in ("label", "tags", "json")
    verdict: Verdict = "good" if not found else "act" if judged else "look"
    found.sort(key=lambda item: -len(item[0]))
    return Inspection(
        title="Contradictions",
        value=len(found),
        unit="text" if len(found) == 1 else "texts",
        verdict=verdict,
        found=f"{counted(len(found), 'text')} ({counted(count, 'row')}) with more than one answer.",
        meaning="Whatever a model answers to such a text, one of its rows calls that wrong."
        if judged
        else "Several free answers to one question may all be right, or contradict each other.",
        advice="Decide which answer is right, or let the step contradictions keep the majority's or none of them."
        if found
        else "",
        numbers={"texts": len(found), "rows": count},
        worst=tuple(data.case(rows[0], _why([data.places[row] for row in rows], told)) for rows, told in found[:WORST]),
    )


def _why(places: list[str], told: Counter[str]) -> str:
    listed = ", ".join(f"“{_short(answer)}” ({count:,})" for answer, count in told.most_common(4))
    return f"{listed}; at {', '.join(places[:4])}{' …' if len(places) > 4 else ''}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
