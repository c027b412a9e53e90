"""Consistency: one label in several spellings, and answers that only hold a place."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.data.folding import fold
from tunewright.data.near import words_of
from tunewright.data.quality.inspection import SHARE, WORST, Case, Inspection, Verdict, counted
from tunewright.data.quality.view import View

# A label that is written almost like one with so many times more rows is probably a slip of the pen.
_LIKENESS, _RARER = 0.85, 10
_SHORTEST_LIKE = 5
_PLACEHOLDER = re.compile(
    r"[\W_]*|n\W?a\W?|null|none|nan|nil|undefined|unknown|tbd|tba|tbc|todo|fixme|xx+|yy+|test|testing|asdf\w*|qwerty\w*|"
    r"lorem ipsum.*|placeholder|to be (?:done|determined|defined|added)|your (?:text|answer) here|insert .* here|"
    r"no (?:answer|response|data|value)|not (?:available|applicable|provided)|k\.\s?a\.?|keine angabe|s\.\s?o\.?",
    re.DOTALL,
)


class Config(PluginConfig):
    """Settings of `consistency`."""

    name: Literal["consistency"] = "consistency"
    act: float = Field(0.02, ge=0, le=1, description="From this share of inconsistent rows on, mend them first.")


def inspect(view: View, config: Config) -> Inspection:
    """Spellings of one label that differ in case, white space or marks; rare labels like common ones; placeholders.

    A placeholder among the labels counts only where it is rare: "none" and "unknown" can be classes of their own.
    """
    data, labels = view.data, view.labels
    variants = _variants(labels) if labels else {}
    alike = _alike(labels) if labels else {}
    forms = _forms(data.answers) if view.kind == "text" else {}
    held = _placeholders(data.prompts) + (_placeholders(data.answers) if view.kind == "text" else [])
    if labels:
        common = Counter(labels)
        held += [row for row in _placeholders(labels) if common[labels[row]] < 0.01 * len(labels)]
    minor = {spelling: best for best, spellings in variants.items() for spelling in spellings if spelling != best}
    odd = [row for row, label in enumerate(labels or ()) if label in minor or label in alike]
    mixed = min(forms.values()) if len(forms) > 1 else 0
    rows = len({*odd, *held}) + mixed
    share = rows / len(data)
    verdict: Verdict = "act" if share >= config.act or variants else "look" if rows else "good"
    return Inspection(
        title="Consistency",
        value=share,
        unit=SHARE,
        verdict=verdict,
        found=f"{counted(len(variants), 'label')} in several spellings, {counted(len(alike), 'label')} that may be "
        f"misspelled, {counted(len(set(held)), 'row')} with a placeholder."
        + (f" Answers have {len(forms)} forms." if len(forms) > 1 else ""),
        meaning="A model learns each spelling as an answer of its own, and is called wrong for the other one; of a "
        "placeholder it learns to say nothing.",
        advice="Map the spellings to one, and set placeholders aside, with the steps map_values and missing_values."
        if rows
        else "",
        numbers={"rows": rows, "variants": variants, "alike": alike, "placeholders": len(set(held)), "forms": forms},
        worst=_worst(view, minor | alike, odd, held),
    )


def _variants(labels: Sequence[str]) -> dict[str, dict[str, int]]:
    """The commonest spelling of each label that has several, and how often each stands there."""
    groups: dict[str, Counter[str]] = {}
    for label in labels:
        if label:
            groups.setdefault(words_of(label).replace(" ", "") or label, Counter())[label] += 1
    several = [dict(group.most_common()) for group in groups.values() if len(group) > 1]
    return {next(iter(group)): group for group in several}


def _alike(labels: Sequence[str]) -> dict[str, str]:
    """Rare labels that are written almost like a common one, and that one."""
    counts = Counter(label for label in labels if label)
    folded = {label: fold(label) for label in counts}
    found: dict[str, str] = {}
    for rare, count in counts.items():
        if len(rare) < _SHORTEST_LIKE:
            continue
        common = [other for other in counts if counts[other] >= _RARER * count]
        close = difflib.get_close_matches(folded[rare], [folded[other] for other in common], n=1, cutoff=_LIKENESS)
        if (
            close
            and words_of(close[0]).replace(" ", "") != words_of(rare).replace(" ", "")
            and not _differ_in_number(close[0], folded[rare])
        ):
            found[rare] = next(other for other in common if folded[other] == close[0])
    return found


def _differ_in_number(one: str, other: str) -> bool:
    """Whether two labels differ in their digits: `level_1` and `level_2` are two labels."""
    return re.findall(r"\d+", one) != re.findall(r"\d+", other)


def _placeholders(texts: Sequence[str]) -> list[int]:
    """Rows whose text is not empty and only holds a place."""
    return [row for row, text in enumerate(texts) if text and _PLACEHOLDER.fullmatch(fold(text))]


def _forms(answers: Sequence[str]) -> dict[str, int]:
    """How many answers are JSON objects, and how many are not; a form that hardly occurs is left out."""
    objects = sum(answer.lstrip().startswith("{") and answer.rstrip().endswith("}") for answer in answers)
    counts: dict[str, int] = {"json": objects, "text": len(answers) - objects}
    return {name: count for name, count in counts.items() if count}


def _worst(view: View, better: dict[str, Any], odd: list[int], held: list[int]) -> tuple[Case, ...]:
    data = view.data
    cases: list[Case] = []
    seen: set[str] = set()
    for row in odd:
        label = data.answers[row]
        if label not in seen:
            seen.add(label)
            cases.append(data.case(row, f"“{label}” where others have “{better[label]}”"))
    cases = cases[: WORST // 2 if held else WORST]
    return (*cases, *(data.case(row, "a placeholder", f"{data.prompts[row]} → {data.answers[row]}") for row in held))[
        :WORST
    ]
