"""How sure a number is: bootstrap intervals, and the exact McNemar test for two systems on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunewright.base.errors import InputError
from tunewright.base.seeds import derive
from tunewright.metrics import Measure

CONFIDENCE = 0.95
# Example numbers drawn at once: bounds memory at some 100 MB, whatever the number of rows.
_DRAWN_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True)
class Interval:
    """A metric over n examples, with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int

    def as_json(self) -> dict[str, float | int]:
        """`{value, low, high, n}`."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


@dataclass(frozen=True, slots=True)
class Paired:
    """Two systems on the same rows.

    Args:
        only_a: Rows that only the first has right.
        only_b: Rows that only the second has right.
        p: Two-sided probability of a split at least as uneven if both were equally good.
    """

    only_a: int
    only_b: int
    p: float


def bootstrap(measure: Measure, samples: int, seed: int) -> Interval:
    """A measure with its 95 % percentile bootstrap interval.

    Every measure over equally many examples is resampled with the same rows, so that the systems' intervals compare.

    Args:
        measure: What to resample.
        samples: Number of resamples.
        seed: The run's seed.

    Raises:
        InputError: If there are no examples, no resamples, or the measure is not a finite number.
    """
    n = len(measure.values)
    if n == 0 or samples < 1:
        raise InputError(f"{samples} resamples of {n} examples have no interval", where=measure.name)
    random = np.random.default_rng(derive(seed, "bootstrap"))
    at_once = max(1, _DRAWN_AT_ONCE // n)
    reduced = [
        measure.reduce(random.integers(0, n, size=(min(at_once, samples - start), n)))
        for start in range(0, samples, at_once)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(reduced), [tail, 1 - tail])
    interval = Interval(measure.value, float(low), float(high), n)
    if not np.isfinite([interval.value, interval.low, interval.high]).all():
        raise InputError(f"The measure is no finite number ({interval.value})", where=measure.name)
    return interval


def mcnemar_exact(a_correct: NDArray[np.float64], b_correct: NDArray[np.float64]) -> Paired:
    """The exact McNemar test (two-sided binomial over the rows on which the systems differ).

    Args:
        a_correct: 1 or True where the first system is right, shape (n,).
        b_correct: The same for the second system, over the same rows in the same order.

    Raises:
        InputError: If the systems answered unequally many rows.
    """
    from scipy.stats import binomtest

    if a_correct.shape != b_correct.shape:
        raise InputError(
            f"A paired test needs the same rows from both systems, and not {len(a_correct)} and {len(b_correct)}"
        )
    a, b = a_correct.astype(bool), b_correct.astype(bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    if only_a + only_b == 0:
        return Paired(0, 0, 1.0)  # no row tells them apart
    return Paired(only_a, only_b, float(binomtest(only_a, only_a + only_b, 0.5).pvalue))
