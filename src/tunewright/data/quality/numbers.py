"""Numbers about numbers: quantiles, histograms, and what lies far out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tunewright.data.minhash import Integers

_QUANTILES = {"min": 0.0, "p5": 0.05, "p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
# Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993: 0.6745 is the normal distribution's third quartile.
_SCORE, _NORMAL = 3.5, 0.6745


def quantiles(values: Integers) -> dict[str, float]:
    """Smallest, 5 %, median, 95 %, 99 % and largest; empty for no values."""
    if not len(values):
        return {}
    return {name: float(np.quantile(values, share, method="lower")) for name, share in _QUANTILES.items()}


def histogram(values: Integers) -> tuple[tuple[str, float], ...]:
    """Counts of whole numbers in bins that double, 0 first: 0, 1, 2-3, 4-7, 8-15, …; empty for no values."""
    if not len(values):
        return ()
    bins = np.where(values > 0, np.floor(np.log2(np.maximum(values, 1))).astype(np.int64) + 1, 0)
    counts = np.bincount(bins)
    names = ["0", "1", *(f"{1 << power:,}–{(1 << power + 1) - 1:,}" for power in range(1, len(counts)))]
    first = int(np.flatnonzero(counts)[0])
    return tuple((names[place], float(counts[place])) for place in range(first, len(counts)))


def far_out(values: Integers) -> npt.NDArray[np.float64]:
    """How far each value lies from the median, 0 where not far: the modified z-score of log(1 + value), beyond 3.5.

    Lengths are skewed to the right, and their logarithms are not; the median and the median deviation from it are not
    moved by what they are to find. Where half of the values are equal, nothing is far.
    Source: Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993.
    """
    logs = np.log1p(values.astype(np.float64))
    middle = np.median(logs) if len(logs) else 0.0
    spread = np.median(np.abs(logs - middle)) if len(logs) else 0.0
    if spread == 0:
        return np.zeros(len(values))
    score = _NORMAL * (logs - middle) / spread
    far: npt.NDArray[np.float64] = np.where(np.abs(score) > _SCORE, score, 0.0)
    return far
