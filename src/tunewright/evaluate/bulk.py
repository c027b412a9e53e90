"""Resamples of very many examples, drawn as what they sum to and not row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tunewright.metrics import Measure, Sums

Floats = NDArray[np.float64]

# Different examples that are still drawn by their number; beyond, sums are as good as normal.
_MOST_KINDS = 4096
# Numbers of one block of resamples: bounds memory at some 100 MB.
_AT_ONCE = 1 << 22


def draw(measure: Measure, samples: int, random: np.random.Generator) -> Floats:
    """A measure over bootstrap resamples, each as large as the examples: shape (samples,).

    Where examples are of few kinds (right or wrong; which label was given for which), a resample is how many it has of
    each kind, and that is multinomial: the bootstrap itself, without rows. So is a quantile: the k-th smallest of n
    drawn rows is the row at the k-th smallest of n uniform numbers, which is Beta(k, n + 1 - k).

    Where nearly all examples differ (likelihoods, n-gram counts), their sums are drawn from the normal distribution
    with the mean and covariance that a resample's sums have. This is the one approximation here; its error falls with
    the root of n, and beyond 25,000 rows it is smaller than what 2,000 resamples can show, unless a handful of rows
    make up most of the spread.
    """
    if measure.quantile is not None:
        return _quantiles(measure.values, measure.quantile, samples, random)
    return draw_shared([measure], samples, random)[0]


def draw_shared(measures: Sequence[Measure], samples: int, random: np.random.Generator) -> list[Floats]:
    """Measures over the same sums, each over the same resamples, as `draw` finds them: shape (samples,) each."""
    first = measures[0]
    sums = first.sums if first.sums is not None else Sums(first.values[:, None])
    found: list[list[Floats]] = [[] for _ in measures]
    for block in _drawn_sums(sums, samples, random):
        for values, measure in zip(found, measures, strict=True):
            values.append(block[:, 0] / sums.n if measure.formula is None else measure.formula(block))
    return [np.concatenate(values) for values in found]


def _drawn_sums(sums: Sums, samples: int, random: np.random.Generator) -> Iterator[Floats]:
    """Sums over resamples, some of them at a time: shapes (…, k)."""
    kinds = _kinds(sums)
    if kinds is None:
        mean, root = _moments(sums)
        yield mean + random.standard_normal((samples, len(mean))) @ root
        return
    table, counts = kinds
    share = counts / counts.sum()
    at_once = max(1, _AT_ONCE // max(len(counts), sums.size))
    for start in range(0, samples, at_once):
        drawn = random.multinomial(sums.n, share, size=min(at_once, samples - start)).astype(np.float64)
        yield drawn if table is None else drawn @ table


def _kinds(sums: Sums) -> tuple[Floats | None, NDArray[np.int64]] | None:
    """The different examples, shape (kinds, k), and how many there are of each; None where there are too many.

    No table: the kinds are the cells.
    """
    if sums.codes is not None:
        if sums.columns is not None:
            return None
        return None, np.bincount(sums.codes, minlength=sums.cells)
    columns = sums.columns
    assert columns is not None, "sums of nothing"
    codes = np.zeros(len(columns), dtype=np.int64)
    kinds = 1
    for column in columns.T:
        found, code = np.unique(column, return_inverse=True)
        # Numbered anew after each column, so that numbers stay small.
        met, codes = np.unique(codes * len(found) + code, return_inverse=True)
        kinds = len(met)
        if kinds > _MOST_KINDS:
            return None
    first = np.zeros(kinds, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return columns[first].astype(np.float64), np.bincount(codes, minlength=kinds)


def _moments(sums: Sums) -> tuple[Floats, Floats]:
    """Mean and a root of the covariance of a resample's sums: shapes (k,) and (k, k)."""
    total = np.zeros(sums.size)
    square = np.zeros((sums.size, sums.size))
    at_once = max(1, _AT_ONCE // sums.size)
    for start in range(0, sums.n, at_once):
        block = _dense(sums, slice(start, start + at_once))
        total += block.sum(axis=0)
        square += block.T @ block
    # The covariance of one drawn row, times the rows that are drawn.
    covariance = square - np.outer(total, total) / sums.n
    values, vectors = np.linalg.eigh(covariance)
    root: Floats = (vectors * np.sqrt(np.maximum(values, 0.0))).T
    return total, root


def _dense(sums: Sums, rows: slice) -> Floats:
    """The examples as vectors of all numbers that are summed, shape (rows, cells · k)."""
    assert sums.columns is not None, "sums of nothing"
    columns = sums.columns[rows].astype(np.float64)
    if sums.codes is None:
        return columns
    spread = np.zeros((len(columns), sums.cells, columns.shape[1]))
    spread[np.arange(len(columns)), sums.codes[rows]] = columns
    return spread.reshape(len(columns), sums.size)


def _quantiles(values: Floats, quantile: float, samples: int, random: np.random.Generator) -> Floats:
    n = len(values)
    k = int(np.clip(np.ceil(quantile * n), 1, n))
    uniform = random.beta(k, n + 1 - k, size=samples)
    found: Floats = np.sort(values)[np.minimum((uniform * n).astype(np.int64), n - 1)]
    return found
