"""Shares and other measures of the tuned model and its base, as findings: interval, paired test, and what stands by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tunewright.base.seeds import derive
from tunewright.evaluate.probing import BASE, TUNED, Asked, Finding
from tunewright.evaluate.statistics import CONFIDENCE, bootstrap, mcnemar_exact
from tunewright.metrics import Measure
from tunewright.metrics._answer import Floats, share

# Cases that a table of worst ones shows; how many there are in all stands beside it.
SHOWN = 20
_DRAWN_AT_ONCE = 1 << 22


def finding(
    asked: Asked,
    measures: Mapping[str, Measure],
    *,
    title: str,
    better: Literal["lower", "higher"],
    meaning: str,
    details: Mapping[str, Any],
) -> Finding:
    """A measure of the tuned model with its bootstrap interval, beside that of the base where there is one.

    Args:
        measures: By system; the tuned model's gives the finding its name.
    """
    interval = bootstrap(measures[TUNED], asked.samples, asked.seed)
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
    """What stands beside a share that the base has, too: its interval, and McNemar's exact test; else nothing."""
    if BASE not in measures:
        return {}
    interval = bootstrap(measures[BASE], asked.samples, asked.seed)
    paired = mcnemar_exact(measures[TUNED].values, measures[BASE].values)
    return {
        "base, 95 % interval": [interval.low, interval.high],
        "only the tuned model": paired.only_a,
        "only the base": paired.only_b,
        "p (exact McNemar test)": paired.p,
    }


def resampled(measure: Measure, samples: int, seed: int) -> Floats:
    """A measure over `samples` bootstrap resamples of its cases, shape (samples,); drawn by the measure's own name."""
    n = len(measure.values)
    random = np.random.default_rng(derive(seed, "bootstrap", measure.name))
    at_once = max(1, _DRAWN_AT_ONCE // n)
    parts = [
        measure.reduce(random.integers(0, n, size=(min(at_once, samples - start), n)))
        for start in range(0, samples, at_once)
    ]
    return np.concatenate(parts)


def interval_of(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % percentile interval of resamples."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)
