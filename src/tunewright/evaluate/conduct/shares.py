"""Shares and other measures of the tuned model and its base, as findings: interval, paired test, and what stands by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from tunewright.base.seeds import derive
from tunewright.evaluate.intervals import TAIL, interval_of, resamples
from tunewright.evaluate.paired import difference
from tunewright.evaluate.probing import BASE, TUNED, Asked, Finding
from tunewright.evaluate.statistics import mcnemar_exact
from tunewright.metrics import Measure
from tunewright.metrics._measure import Floats, share

# Cases that a table of worst ones shows; how many there are in all stands beside it.
SHOWN = 20


def finding(
    asked: Asked,
    measures: Mapping[str, Measure],
    *,
    title: str,
    better: Literal["lower", "higher"],
    meaning: str,
    details: Mapping[str, Any],
) -> Finding:
    """A measure of the tuned model with its interval, beside that of the base where there is one.

    Args:
        measures: By system; the tuned model's gives the finding its name.
    """
    interval = interval_of(measures[TUNED], samples=asked.samples, seed=asked.seed)
    return Finding(
        name=measures[TUNED].name,
        title=title,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=interval.n,
        better=better,
        base=measures[BASE].value if BASE in measures else None,
        meaning=meaning,
        details=details,
    )


def share_finding(
    asked: Asked,
    name: str,
    hits: Mapping[str, Sequence[bool]],
    *,
    title: str,
    better: Literal["lower", "higher"],
    meaning: str,
    details: Mapping[str, Any],
) -> Finding:
    """The share of cases for which something holds of the tuned model; the base's interval and a paired test beside it.

    Args:
        hits: By system, over the same cases in the same order.
    """
    measures = {system: share(name, held) for system, held in hits.items()}
    beside = against_base(asked, measures)
    return finding(asked, measures, title=title, better=better, meaning=meaning, details={**beside, **details})


def against_base(asked: Asked, measures: Mapping[str, Measure]) -> dict[str, Any]:
    """What stands beside a share that the base has, too: the cases that differ, and the paired test; else nothing."""
    if BASE not in measures:
        return {}
    tuned, base = measures[TUNED], measures[BASE]
    interval = interval_of(base, samples=asked.samples, seed=asked.seed)
    apart = difference(tuned, base, a=TUNED, b=BASE, samples=asked.samples, seed=asked.seed)
    counts = mcnemar_exact(tuned.values, base.values)
    return {
        "base, 95 % interval": [interval.low, interval.high],
        "only the tuned model": counts.only_a,
        "only the base": counts.only_b,
        "tuned less base": apart.value,
        "tuned less base, 95 % interval": [apart.low, apart.high],
        "p (exact McNemar test)": counts.p,
        "smallest difference these cases could show": apart.detectable,
    }


def resampled(measure: Measure, samples: int, seed: int) -> Floats:
    """A measure over `samples` bootstrap resamples of its cases, shape (samples,); drawn by the measure's own name."""
    rows = resamples(len(measure.values), samples, derive(seed, measure.name))
    return np.concatenate([measure.reduce(drawn) for drawn in rows])


def ends_of(drawn: Floats) -> tuple[float, float]:
    """The 95 % percentile interval of resamples."""
    low, high = np.quantile(drawn, [TAIL, 1 - TAIL])
    return float(low), float(high)
