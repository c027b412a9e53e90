"""Intervals where the plain bootstrap does not do: shares at 0 or 1, and rows that belong together.

The bootstrap of a share that is 0 or 1 has no width: every resample of 20 right answers is right, and 20 rows are no
proof of perfection. There the interval is Wilson's (1927), which 20 of 20 make 0.84 to 1. Rows that belong together
(turns of one conversation, questions on one document) are less evidence than as many unrelated ones, so they are drawn
together: a resample draws clusters with replacement and takes all rows of each (Davison and Hinkley 1997, 3.8).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tunewright.base.errors import InputError
from tunewright.base.seeds import derive
from tunewright.evaluate.statistics import CONFIDENCE, Interval, bootstrap_each
from tunewright.metrics import Measure, about

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

TAIL = (1 - CONFIDENCE) / 2
# Row numbers drawn at once: bounds memory at some 100 MB.
_DRAWN_AT_ONCE = 1 << 22


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (E. B. Wilson 1927), without continuity correction.

    Raises:
        InputError: If there are no cases, or more hits than cases.
    """
    if not 0 <= hits <= n or n == 0:
        raise InputError(f"{hits} hits in {n} cases are no share")
    z = NormalDist().inv_cdf(1 - TAIL)
    share, weight = hits / n, z * z / n
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * float(np.sqrt(share * (1 - share) / n + weight / (4 * n)))
    # At the ends the formula gives 0 and 1 but for rounding.
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == n else middle + half)


def interval_of(measure: Measure, *, samples: int, seed: int, clusters: Ints | None = None) -> Interval:
    """A measure with its 95 % interval: bootstrap, or Wilson's where a share is 0 or 1.

    A measure whose rows are all right or all wrong, and that is 1 or 0 for it (an F1 of nothing but hits, say), has no
    width of its own either: it gets the interval of the share of right rows, an approximation on the wide side.

    Args:
        measure: What was measured.
        samples: Bootstrap resamples.
        seed: The run's seed.
        clusters: Number of the cluster of each row, shape (n,), as `cluster_numbers` gives it; None: each row stands
            for itself.

    Raises:
        InputError: If there are no examples, no resamples, or the measure is not a finite number.
    """
    return intervals_of({measure.name: measure}, samples=samples, seed=seed, clusters=clusters)[measure.name]


def intervals_of(
    measures: Mapping[str, Measure], *, samples: int, seed: int, clusters: Ints | None = None
) -> dict[str, Interval]:
    """Each measure with its interval, by its name, as `interval_of` finds it; rows are drawn once for all of them."""
    if clusters is None:
        found = bootstrap_each(list(measures.values()), samples, seed)
        independent = [interval.n for interval in found]
    else:
        found = [_cluster_bootstrap(measure, clusters, samples, seed) for measure in measures.values()]
        independent = [int(clusters.max()) + 1] * len(found)
    widened = map(_with_width, measures.values(), found, independent)
    return dict(zip(measures, widened, strict=True))


def _with_width(measure: Measure, found: Interval, independent: int) -> Interval:
    known = about(measure.name)
    constant = bool((measure.values == found.value).all())
    if constant and found.value in (0.0, 1.0) and found.low == found.high and (known is None or known.is_share):
        low, high = wilson(round(found.value) * independent, independent)
        return replace(found, low=low, high=high)
    return found


def cluster_numbers(names: Sequence[str]) -> Ints:
    """The cluster of each row, by number from 0: rows of equal names belong together. Shape (n,)."""
    return np.unique(np.asarray(names, dtype=object), return_inverse=True)[1].astype(np.int64)


def resamples(n: int, samples: int, seed: int, clusters: Ints | None = None) -> Iterator[Ints]:
    """Resampled row numbers, shape (k, m) at a time, `samples` in all; m is n where rows stand for themselves.

    Equal arguments give equal rows, so that two measures over the same rows are resampled alike.
    """
    random = np.random.default_rng(derive(seed, "bootstrap"))
    if clusters is None:
        at_once = max(1, _DRAWN_AT_ONCE // max(1, n))
        for start in range(0, samples, at_once):
            yield random.integers(0, n, size=(min(at_once, samples - start), n))
        return
    if clusters.shape != (n,):
        raise InputError(f"{n} rows, and the clusters of {len(clusters)}")
    order, size = np.argsort(clusters, kind="stable"), np.bincount(clusters)
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    for _ in range(samples):
        drawn = random.integers(0, len(size), len(size))
        sizes = size[drawn]
        # The place of each row in its own cluster, counted from where that cluster begins in `order`.
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        yield order[np.repeat(first[drawn], sizes) + within][None]


def _cluster_bootstrap(measure: Measure, clusters: Ints, samples: int, seed: int) -> Interval:
    n = len(measure.values)
    if n == 0 or samples < 1:
        raise InputError(f"{samples} resamples of {n} examples have no interval", where=measure.name)
    reduced = np.concatenate([measure.reduce(rows) for rows in resamples(n, samples, seed, clusters)])
    low, high = np.quantile(reduced, [TAIL, 1 - TAIL])
    if not np.isfinite([measure.value, low, high]).all():
        raise InputError(f"The measure is no finite number ({measure.value})", where=measure.name)
    return Interval(measure.value, float(low), float(high), n, signature=measure.note)
