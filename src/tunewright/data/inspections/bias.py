"""Bias: whether rows that name a group of people have other labels than the rest."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.data.quality.demographics import TERMS
from tunewright.data.quality.inspection import WORST, Bars, Inspection, counted, graded
from tunewright.data.quality.view import View

_SHOWN = 10
_LEAST_EXPECTED = 5  # Cochran's rule: below it the chi-square distribution does not hold, and Fisher's exact test does


class Config(PluginConfig):
    """Settings of `bias`."""

    name: Literal["bias"] = "bias"
    least: int = Field(20, ge=1, description="A group that fewer rows name is counted and not tested.")
    rate: float = Field(0.05, gt=0, lt=1, description="Share of false alarms among the differences that are told.")


@dataclass(frozen=True, slots=True)
class Difference:
    """How often rows that name a group have a label, against the rest.

    Args:
        p: Of the test of independence; `q` is it after Benjamini and Hochberg's procedure over all tests.
    """

    axis: str
    group: str
    label: str
    rows: int
    share: float
    rest: float
    p: float
    q: float = 1.0


def inspect(view: View, config: Config) -> Inspection | None:
    """Tests each group against each label; the rate of false discoveries is held over all of these tests together.

    Fisher's exact test where a cell is expected to hold fewer than five rows, else the chi-square test with Yates'
    correction. Source of the procedure: Benjamini and Hochberg, "Controlling the False Discovery Rate", 1995.
    """
    labels = view.labels
    if labels is None or len(set(labels)) < 2:
        return None
    mentions = _naming(view.data.words)
    counts = {f"{axis}: {group}": int(naming.sum()) for (axis, group), naming in mentions.items() if naming.any()}
    tested = {key: naming for key, naming in mentions.items() if naming.sum() >= config.least}
    found = _differences(tested, labels)
    told = sorted((each for each in found if each.q <= config.rate), key=lambda each: each.q)
    share = max((abs(each.share - each.rest) for each in told), default=0.0)
    rows = int(np.any(list(mentions.values()), axis=0).sum())
    first = told[0] if told else None
    return Inspection(
        title="Groups of people",
        value=len(told),
        unit="difference" if len(told) == 1 else "differences",
        verdict=graded(share, look=1e-12, act=1.1),
        found=f"{counted(rows, 'row')} name a group of people; {len(told):,} of {len(found):,} tests find a group "
        "with other labels than the rest."
        + (
            f" Rows that name {first.group}: {first.share:.0%} “{first.label}”, others {first.rest:.0%}."
            if first
            else ""
        ),
        meaning="Where rows about a group have other labels than the rest, a model learns to go by the group. That may "
        "be as it should be, or a bias of those who labelled. Groups are found by a list of English words.",
        advice="Read the rows; where the group is no reason for the label, balance them or relabel." if told else "",
        numbers={
            "rows": rows,
            "groups": counts,
            "tests": len(found),
            "differences": [_as_json(each) for each in told],
            "false_discovery_rate": config.rate,
        },
        worst=_worst(view, told, tested, labels),
        charts=(Bars("Rows that name a group", tuple(_largest(counts))),) if counts else (),
    )


def _naming(words: Sequence[str]) -> dict[tuple[str, str], npt.NDArray[np.bool_]]:
    """Which texts, reduced to words, have a term of each group as whole words; shape (texts,) each."""
    groups = [(axis, group) for axis, each in TERMS.items() for group in each]
    owner = {
        term: groups.index((axis, group)) for axis, each in TERMS.items() for group, t in each.items() for term in t
    }
    naming = np.zeros((len(groups), len(words)), dtype=bool)
    for row, text in enumerate(words):
        each_word = text.split(" ")
        for term in (*each_word, *map(" ".join, itertools.pairwise(each_word))):
            if term in owner:
                naming[owner[term], row] = True
    return dict(zip(groups, naming, strict=True))


def _differences(tested: dict[tuple[str, str], npt.NDArray[np.bool_]], labels: Sequence[str]) -> list[Difference]:
    from scipy.stats import false_discovery_control

    names, codes = np.unique(np.array(labels, dtype=object).astype(str), return_inverse=True)
    whole = np.bincount(codes, minlength=len(names))
    found: list[Difference] = []
    for (axis, group), naming in tested.items():
        inside = np.bincount(codes[naming], minlength=len(names))
        for name, ours, all_ in zip(names.tolist(), inside.tolist(), whole.tolist(), strict=True):
            if name:
                found.append(_difference((axis, group, name), ours, all_, int(naming.sum()), len(labels)))
    if not found:
        return []
    adjusted = false_discovery_control([each.p for each in found]).tolist()
    return [
        Difference(each.axis, each.group, each.label, each.rows, each.share, each.rest, each.p, q)
        for each, q in zip(found, adjusted, strict=True)
    ]


def _difference(named: tuple[str, str, str], ours: int, with_label: int, naming: int, total: int) -> Difference:
    """The test of one group against one label, from the four counts of their table."""
    rest = with_label - ours
    table = [[ours, naming - ours], [rest, total - naming - rest]]
    return Difference(*named, naming, ours / naming, rest / max(1, total - naming), p_value(table))


def p_value(table: list[list[int]]) -> float:
    """Of a 2 by 2 table: Fisher's exact test where a count is expected below five, else chi-square with correction."""
    from scipy.stats import chi2_contingency, fisher_exact
    from scipy.stats.contingency import expected_freq

    counts = np.array(table)
    if not counts.sum(axis=0).all() or not counts.sum(axis=1).all():
        return 1.0
    if expected_freq(counts).min() < _LEAST_EXPECTED:
        return float(fisher_exact(counts).pvalue)
    return float(chi2_contingency(counts, correction=True).pvalue)


def _as_json(each: Difference) -> dict[str, Any]:
    return {
        "axis": each.axis,
        "group": each.group,
        "label": each.label,
        "rows": each.rows,
        "share": each.share,
        "rest_share": each.rest,
        "p": each.p,
        "q": each.q,
    }


def _largest(counts: dict[str, int]) -> list[tuple[str, float]]:
    return [(name, float(count)) for name, count in Counter(counts).most_common(_SHOWN)]


def _worst(
    view: View, told: Sequence[Difference], tested: dict[tuple[str, str], npt.NDArray[np.bool_]], labels: Sequence[str]
) -> tuple[Any, ...]:
    cases = []
    for each in told[:WORST]:
        naming = np.flatnonzero(tested[each.axis, each.group]).tolist()
        row = next((row for row in naming if (labels[row] == each.label) == (each.share > each.rest)), naming[0])
        why = f"{each.group}: {each.share:.0%} “{each.label}”, others {each.rest:.0%} (q = {each.q:.2g})"
        cases.append(view.data.case(row, why))
    return tuple(cases)
