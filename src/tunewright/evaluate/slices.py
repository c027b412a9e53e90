"""Error analysis: where a system is worse than elsewhere, and for whom it got worse than another system.

Each slice of the rows stands against all other rows, and a system against another one within the slice. With some
dozens of slices a few look bad by chance alone, so each p stands beside its Holm correction over all slices; a slice of
fewer than ten rows is marked, and not tested at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tunewright.base.seeds import derive
from tunewright.evaluate.collecting import Wanted, what_to_collect
from tunewright.evaluate.cuts import SMALLEST, Cut, Embed, cut_rows
from tunewright.evaluate.intervals import Floats, Ints, interval_of, resamples
from tunewright.evaluate.paired import Difference, corrected, difference, holm, is_mean, is_share, tail_p
from tunewright.evaluate.power import ALPHA
from tunewright.evaluate.statistics import Interval
from tunewright.metrics import Answer, Measure

_WITH_EXAMPLES = 10
_EXAMPLES = 3
# Row numbers dealt at once: bounds memory at some 30 MB.
_DEALT_AT_ONCE = 1 << 20
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Slicing:
    """What slices are made of.

    Args:
        by: Built-in names (`cuts.BUILT_IN`) and columns.
        training: The right answers of the rows that were learned from, as the held-out rows' references are written;
            for what is rare. Empty: not known.
        embed: Gives texts' unit vectors, for topics; None: there is no encoder.
    """

    by: Sequence[str]
    training: Sequence[str] = ()
    embed: Embed | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows that share a value.

    Args:
        by: What rows are told apart by.
        value: What these have.
        shown: What the value stands for, where it does not say so itself.
        n: Rows.
        score: The metric over them, with its 95 % interval.
        rest: The metric over all other rows.
        p: How often chance alone parts rows so unevenly; None for a slice too small to be tested.
        p_corrected: `p` after Holm's correction over all slices.
        metrics: The other metrics over these rows.
        against: The system against another one on these rows alone; None where there is no other, or too few rows.
        examples: A few wrong answers: `id`, `question`, `reference`, `prediction`.
    """

    by: str
    value: str
    shown: str
    n: int
    score: Interval
    rest: float
    p: float | None
    p_corrected: float | None
    metrics: Mapping[str, float]
    against: Difference | None = None
    examples: tuple[Mapping[str, str], ...] = ()

    @property
    def too_small(self) -> bool:
        """Whether there are too few rows to say anything."""
        return self.n < SMALLEST

    @property
    def name(self) -> str:
        """How gates call it: `language=de`."""
        return f"{self.by}={self.value}"

    def as_json(self) -> dict[str, Any]:
        """The slice as reports, manifests and `--json` carry it."""
        told = {name: getattr(self, name) for name in ("by", "value", "shown", "n", "rest", "p", "p_corrected")}
        return told | {
            "score": self.score.as_json(),
            "difference": self.score.value - self.rest,
            "too_small": self.too_small,
            "metrics": dict(self.metrics),
            "against": self.against.as_json() if self.against else None,
            "examples": [dict(example) for example in self.examples],
        }


@dataclass(frozen=True)
class Slices:
    """What the error analysis found.

    Args:
        metric: What is looked at.
        less_is_better: Whether a smaller value of it is the better one.
        system: Whose answers.
        other: The system it is held against; empty: none.
        slices: The worst first: those that are surely worse than the rest, then by how much; small ones last.
        notes: Sentences about what could not be looked at.
        collect: What rows to collect next: a suggestion.
    """

    metric: str
    less_is_better: bool
    system: str
    other: str
    slices: tuple[Slice, ...]
    notes: tuple[str, ...]
    collect: tuple[Wanted, ...]

    def as_json(self) -> dict[str, Any]:
        """The analysis as reports, manifests and `--json` carry it."""
        told = {name: getattr(self, name) for name in ("metric", "less_is_better", "system", "other")}
        return told | {
            "slices": [each.as_json() for each in self.slices],
            "notes": list(self.notes),
            "collect": [each.as_json() for each in self.collect],
        }


@dataclass(frozen=True)
class _Look:
    """What is looked at, for the functions below."""

    metric: str
    sign: int  # 1 where more is better
    system: str
    other: str
    rows: Sequence[Answer]
    measures: Mapping[str, Measure]
    theirs: Measure | None
    samples: int
    seed: int
    clusters: Ints | None


def slice_up(
    rows: Sequence[Answer],
    measures: Mapping[str, Mapping[str, Measure]],
    slicing: Slicing,
    *,
    metric: str,
    answer_kind: str,
    system: str,
    other: str = "",
    less_is_better: bool = False,
    samples: int = 2000,
    seed: int = 0,
    clusters: Ints | None = None,
) -> Slices:
    """Looks at a system's answers slice by slice.

    Args:
        rows: The system's answers.
        measures: By system and metric, over these rows in this order.
        slicing: What slices are made of.
        metric: What is looked at; the system's other metrics stand beside it.
        answer_kind: What an answer is.
        system: Whose answers are looked at.
        other: A system to hold it against within each slice, if that was measured on the metric.
        less_is_better: Whether a smaller value of the metric is the better one.
        samples: Resamples.
        seed: The run's seed.
        clusters: Number of each row's cluster; None: each row stands for itself.

    Raises:
        InputError: If a measure over some slice is no finite number.
    """
    theirs = measures.get(other, {}).get(metric)
    look = _Look(
        metric, -1 if less_is_better else 1, system, other if theirs else "", rows, measures[system], theirs, samples,
        seed, clusters,
    )  # fmt: skip
    cuts = cut_rows(rows, slicing.by, answer_kind=answer_kind, seed=seed, embed=slicing.embed)
    found = [_slice(look, cut, value) for cut in cuts.cuts for value in sorted(set(cut.values))]
    found = sorted(_corrected(found), key=lambda each: _how_bad(each, look.sign))
    found = [
        replace(each, examples=_examples(look, cuts.cuts, each)) if place < _WITH_EXAMPLES else each
        for place, each in enumerate(found)
    ]
    worse = [each.name for each in found if surely_worse(each, look.sign)]
    wanted = what_to_collect(rows, cuts.cuts, _wrong(look), worse, slicing.training, answer_kind)
    return Slices(metric, less_is_better, system, look.other, tuple(found), cuts.notes, tuple(wanted))


def surely_worse(each: Slice, sign: int = 1) -> bool:
    """Whether a slice is worse than the rest, and chance does not explain it.

    Args:
        each: The slice.
        sign: 1 where more of the metric is better, −1 where less is.
    """
    return each.p_corrected is not None and each.p_corrected < ALPHA and (each.score.value - each.rest) * sign < 0


def _slice(look: _Look, cut: Cut, value: str) -> Slice:
    inside = np.array([own == value for own in cut.values])
    here, there = np.flatnonzero(inside), np.flatnonzero(~inside)
    measure = look.measures[look.metric]
    clusters = None if look.clusters is None else np.unique(look.clusters[here], return_inverse=True)[1]
    drawing: dict[str, Any] = {"samples": look.samples, "seed": look.seed, "clusters": clusters}
    mine = _only(measure, here)
    small = len(here) < SMALLEST
    return Slice(
        by=cut.by,
        value=value,
        shown=cut.shown.get(value, ""),
        n=len(here),
        score=interval_of(mine, **drawing),
        rest=float(measure.reduce(there)),
        p=None if small or len(there) < SMALLEST else _apart(look, here, there),
        p_corrected=None,
        metrics={name: float(each.reduce(here)) for name, each in look.measures.items() if name != look.metric},
        against=None
        if small or look.theirs is None
        else difference(mine, _only(look.theirs, here), a=look.system, b=look.other, **drawing),
    )


def _only(measure: Measure, rows: Ints) -> Measure:
    """A measure over some of the rows."""
    if is_mean(measure):
        return Measure(measure.name, measure.values[rows])
    return Measure(measure.name, measure.values[rows], lambda places: measure.reduce(rows[places]))


def _apart(look: _Look, here: Ints, there: Ints) -> float:
    """How often chance alone parts the rows into two so unlike: Fisher's exact test for right and wrong, else swaps."""
    from scipy.stats import fisher_exact

    measure = look.measures[look.metric]
    if look.clusters is not None:
        return _apart_by_clusters(look, here)
    if is_share(measure):
        table = [[measure.values[part].sum(), (1 - measure.values[part]).sum()] for part in (here, there)]
        return float(fisher_exact(np.array(table, dtype=np.int64)).pvalue)
    random = np.random.default_rng(derive(look.seed, "slices"))
    seen = abs(float(measure.reduce(here)) - float(measure.reduce(there)))
    n, as_large = len(here) + len(there), 0
    at_once = max(1, _DEALT_AT_ONCE // n)
    for start in range(0, look.samples, at_once):
        dealt = random.permuted(np.tile(np.arange(n), (min(at_once, look.samples - start), 1)), axis=1)
        apart = measure.reduce(dealt[:, : len(here)]) - measure.reduce(dealt[:, len(here) :])
        as_large += int((np.abs(apart) >= seen * (1 - _ROUNDING)).sum())
    return (1 + as_large) / (1 + look.samples)


def _apart_by_clusters(look: _Look, here: Ints) -> float:
    """The tails of the bootstrap over clusters; a resample that has none of the slice's rows is drawn for nothing."""
    measure, inside = look.measures[look.metric], np.zeros(len(look.rows), dtype=bool)
    inside[here] = True
    apart = []
    for (rows,) in resamples(len(look.rows), look.samples, look.seed, look.clusters):
        within = inside[rows]
        if within.any() and not within.all():
            apart.append(float(measure.reduce(rows[within])) - float(measure.reduce(rows[~within])))
    drawn: Floats = np.asarray(apart)
    return tail_p(drawn) if len(drawn) else 1.0


def _corrected(found: Sequence[Slice]) -> list[Slice]:
    tested = [each for each in found if each.p is not None]
    by_name = dict(zip((each.name for each in tested), holm([each.p or 0.0 for each in tested]), strict=True))
    held = [each for each in found if each.against is not None]
    against = dict(zip((e.name for e in held), corrected([e.against for e in held if e.against]), strict=True))
    return [
        replace(each, p_corrected=by_name.get(each.name), against=against.get(each.name, each.against))
        for each in found
    ]


def _how_bad(each: Slice, sign: int) -> tuple[bool, bool, float, str]:
    return (each.too_small, not surely_worse(each, sign), (each.score.value - each.rest) * sign, each.name)


def _wrong(look: _Look) -> list[bool]:
    """Which rows are wrong; none where the metric does not count right and wrong."""
    values = look.measures[look.metric].values
    counts = bool(np.isin(values, (0.0, 1.0)).all()) and look.sign > 0
    return [counts and value == 0 for value in values.tolist()]


def _examples(look: _Look, cuts: Sequence[Cut], each: Slice) -> tuple[Mapping[str, str], ...]:
    """The slice's worst answers, in the order of the rows; right ones are none."""
    cut = next(cut for cut in cuts if cut.by == each.by)
    values = look.measures[look.metric].values * look.sign
    best = values.max()
    inside = [row for row, own in enumerate(cut.values) if own == each.value and values[row] < best]
    worst = sorted(inside, key=lambda row: values[row])[:_EXAMPLES]
    return tuple(
        {
            "id": look.rows[row].id,
            "question": look.rows[row].question,
            "reference": look.rows[row].reference,
            "prediction": look.rows[row].prediction,
        }
        for row in sorted(worst)
    )
