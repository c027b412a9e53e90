"""How sure a number is: bootstrap intervals, and the exact McNemar test for two systems on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tunewright.base.errors import InputError
from tunewright.base.seeds import derive
from tunewright.evaluate.bulk import draw, draw_shared
from tunewright.metrics import Measure

CONFIDENCE = 0.95
# Beyond so many examples, 2,000 resamples of each row take more than a second or two for each measure.
EACH_ROW_UP_TO = 25_000
# Example numbers drawn at once: bounds memory at some 100 MB, whatever the number of rows.
_DRAWN_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True)
class Interval:
    """A metric over n examples, with its 95 % interval.

    Args:
        seed: The resamples'; None where none were drawn.
        template: Hash of what made prompts of the rows (`answer.template_hash`); empty where nothing did.
        signature: How the metric was computed, where more than its name is to be said (`Measure.note`).
    """

    value: float
    low: float
    high: float
    n: int
    seed: int | None = field(default=None, compare=False)
    template: str = field(default="", compare=False)
    signature: str = field(default="", compare=False)

    def as_json(self) -> dict[str, float | int | str | None]:
        """`{value, low, high, n, seed, template}`, and `signature` where there is one."""
        told: dict[str, float | int | str | None] = {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "seed": self.seed,
            "template": self.template or None,
        }
        return told | ({"signature": self.signature} if self.signature else {})


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
    """A measure with its 95 % percentile bootstrap interval; see `bootstrap_each`."""
    return bootstrap_each([measure], samples, seed)[0]


def bootstrap_each(measures: Sequence[Measure], samples: int, seed: int) -> list[Interval]:
    """Measures with their 95 % percentile bootstrap intervals.

    Up to `EACH_ROW_UP_TO` examples, rows are drawn one by one: every measure over equally many examples is resampled
    with the same rows, so that the systems' intervals compare. Beyond, what rows would sum to is drawn (`bulk.draw`),
    which takes no longer for a million rows than for as many as that.

    Args:
        measures: What to resample. Those over the same sums are summed once.
        samples: Number of resamples.
        seed: The run's seed.

    Raises:
        InputError: If there are no examples, no resamples, or a measure is not a finite number.
    """
    reduced: list[NDArray[np.float64]] = [np.empty(0)] * len(measures)
    by_rows: dict[int, list[int]] = {}
    in_bulk: dict[int, list[int]] = {}
    for place, measure in enumerate(measures):
        n = len(measure.values)
        if n == 0 or samples < 1:
            raise InputError(f"{samples} resamples of {n} examples have no interval", where=measure.name)
        if n > EACH_ROW_UP_TO and measure.reduction is None:
            in_bulk.setdefault(id(measure.sums) if measure.sums is not None else -place - 1, []).append(place)
        else:
            by_rows.setdefault(n, []).append(place)
    for places in in_bulk.values():
        for place, values in zip(places, _draw([measures[place] for place in places], samples, seed), strict=True):
            reduced[place] = values
    for n, places in by_rows.items():
        drawn = _resample([measures[place] for place in places], n, samples, seed)
        for place, values in zip(places, drawn, strict=True):
            reduced[place] = values
    return [_interval(measure, values) for measure, values in zip(measures, reduced, strict=True)]


def _draw(measures: Sequence[Measure], samples: int, seed: int) -> list[NDArray[np.float64]]:
    random = np.random.default_rng(derive(seed, "bootstrap"))
    return [draw(measures[0], samples, random)] if len(measures) == 1 else draw_shared(measures, samples, random)


def _resample(measures: Sequence[Measure], n: int, samples: int, seed: int) -> list[NDArray[np.float64]]:
    """Each measure over the same resamples of rows: shape (samples,) each."""
    random = np.random.default_rng(derive(seed, "bootstrap"))
    at_once = max(1, _DRAWN_AT_ONCE // n)
    found: list[list[NDArray[np.float64]]] = [[] for _ in measures]
    for start in range(0, samples, at_once):
        rows = random.integers(0, n, size=(min(at_once, samples - start), n))
        summed: dict[int, NDArray[np.float64]] = {}
        for values, measure in zip(found, measures, strict=True):
            if measure.sums is None or measure.formula is None:
                values.append(measure.reduce(rows))
                continue
            if id(measure.sums) not in summed:
                summed[id(measure.sums)] = measure.sums.over(rows)
            values.append(measure.formula(summed[id(measure.sums)]))
    return [np.concatenate(values) for values in found]


def _interval(measure: Measure, reduced: NDArray[np.float64]) -> Interval:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(reduced, [tail, 1 - tail])
    interval = Interval(measure.value, float(low), float(high), len(measure.values), signature=measure.note)
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
