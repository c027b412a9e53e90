"""Balance: how evenly the rows are spread over the classes."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.data.answers import count_labels
from tunewright.data.quality.inspection import WORST, Bars, Case, Inspection, Verdict, counted
from tunewright.data.quality.view import View

_SHOWN_CLASSES = 20


class Config(PluginConfig):
    """Settings of `balance`."""

    name: Literal["balance"] = "balance"
    few: int = Field(10, ge=1, description="A class with fewer rows than this can hardly be learned, nor measured.")
    look: float = Field(5.0, ge=1, description="From this ratio of the largest to the smallest class on, look.")
    act: float = Field(50.0, ge=1, description="From this ratio on, a model may ignore the smallest.")


def inspect(view: View, config: Config) -> Inspection | None:
    """Class counts, the ratio of the largest to the smallest, and the effective number of classes.

    The effective number is the exponential of the counts' entropy (Hill, "Diversity and Evenness", 1973, order 1): with
    equal classes it is their number, and it falls towards 1 the more one of them outweighs the rest.
    """
    if view.kind not in ("label", "tags"):
        return None
    counts = count_labels([[answer for answer in view.data.answers if answer]], view.kind)
    sizes = sorted(counts.values())
    total, ratio = sum(sizes), sizes[-1] / sizes[0]
    effective = math.exp(-sum(size / total * math.log(size / total) for size in sizes))
    few = {name: size for name, size in counts.items() if size < config.few}
    unseen = _unseen(view, counts)
    verdict: Verdict = "good"
    if len(counts) == 1 or ratio >= config.act or unseen["only_held_out"]:
        verdict = "act"
    elif ratio >= config.look or few or unseen["only_data"]:
        verdict = "look"
    return Inspection(
        title="Balance",
        value=effective,
        unit="effective classes",
        verdict=verdict,
        found=_found(counts, ratio, len(few), config.few) + _unseen_words(unseen),
        meaning="Rare classes are learned last and measured worst; the effective number is how many equal classes the "
        "rows are worth.",
        advice=_advice(verdict, few, unseen),
        numbers={
            "classes": len(counts),
            "effective_classes": effective,
            "imbalance_ratio": ratio,
            "smallest": sizes[0],
            "largest": sizes[-1],
            "few": few,
            "counts": counts,
            **unseen,
        },
        worst=_examples(view, counts),
        charts=(Bars("Rows of each class", _bars(counts)),),
    )


def _found(counts: dict[str, int], ratio: float, few: int, bar: int) -> str:
    if len(counts) == 1:
        return f"All rows have the same answer, “{next(iter(counts))}”: there is nothing to tell apart."
    text = f"{len(counts):,} classes; the largest has {ratio:,.1f} times the rows of the smallest."
    return f"{text} {counted(few, 'class', 'classes')} with fewer than {bar} rows." if few else text


def _unseen(view: View, counts: dict[str, int]) -> dict[str, list[str]]:
    """Classes that stand on one side only; none where there are no held-out rows."""
    held = [answer for rows in view.held_out for answer in rows.answers if answer]
    if not held:
        return {"only_data": [], "only_held_out": []}
    measured = count_labels([held], "tags" if view.kind == "tags" else "label")
    return {
        "only_data": sorted(set(counts) - set(measured)),
        "only_held_out": sorted(set(measured) - set(counts)),
    }


def _unseen_words(unseen: dict[str, list[str]]) -> str:
    told = ""
    if names := unseen["only_held_out"]:
        told += f" {counted(len(names), 'class', 'classes')} stand in the held-out rows only: {_listed(names)}."
    if names := unseen["only_data"]:
        told += f" {counted(len(names), 'class', 'classes')} stand in the data only: {_listed(names)}."
    return told


def _listed(names: list[str]) -> str:
    return ", ".join(f"“{name}”" for name in names[:5]) + (" …" if len(names) > 5 else "")


def _advice(verdict: Verdict, few: dict[str, int], unseen: dict[str, list[str]]) -> str:
    if verdict == "good":
        return ""
    if unseen["only_held_out"]:
        return "Bring rows of these classes, or check their spelling: what was never shown cannot be learned."
    if few:
        rarest = _listed(sorted(few, key=few.__getitem__))
        return f"Bring rows of the rarest classes ({rarest}), join them with others, or make some with data.augment."
    return (
        "Weigh classes (data.balance.class_weights) or see the rare ones more often (data.balance.sampling), and judge "
        "by macro-F1 rather than accuracy."
    )


def _bars(counts: dict[str, int]) -> tuple[tuple[str, float], ...]:
    """The classes by size; of many the ends, and what lies between as one bar's mean."""
    ordered = [(name, float(size)) for name, size in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    if len(ordered) <= _SHOWN_CLASSES:
        return tuple(ordered)
    half = _SHOWN_CLASSES // 2
    between = ordered[half:-half]
    mean = sum(size for _, size in between) / len(between)
    return (*ordered[:half], (f"… {len(between):,} more, mean", mean), *ordered[-half:])


def _examples(view: View, counts: dict[str, int]) -> tuple[Case, ...]:
    if view.kind != "label":
        return ()
    rarest = sorted(counts, key=lambda name: (counts[name], name))[: WORST // 2]
    first = {answer: row for row, answer in reversed(list(enumerate(view.data.answers)))}
    return tuple(view.data.case(first[name], f"one of {counted(counts[name], 'row')} of “{name}”") for name in rarest)
