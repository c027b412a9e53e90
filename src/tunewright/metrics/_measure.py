"""What metrics give: numbers for each example, and how any resample of the examples becomes one number.

A corpus metric (BLEU, macro-F1, the F1 of entities) is no mean of its examples. What it needs of them is a few numbers
each, and a formula of their sums. So an interval is a matter of sums, and no text is read twice; and what was measured
on pieces of a large file is joined by putting the numbers behind each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.base.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Numbers = NDArray[Any]
Formula = Callable[[Floats], Floats]

# Numbers gathered at once when resamples are summed: bounds memory at some 30 MB.
_GATHERED_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """What a formula is given: sums over a resample's examples.

    Args:
        columns: What is summed, shape (n, k), of any kind of number; None: one for each example, so sums are counts.
        codes: The cell that each example falls into, shape (n,); None: there is one cell, of all of them. Where pieces
            are joined, a cell must mean the same in each.
        cells: How many there are.
    """

    columns: Numbers | None = None
    codes: Numbers | None = None
    cells: int = 1

    @property
    def n(self) -> int:
        """Number of examples."""
        held = self.columns if self.columns is not None else self.codes
        return 0 if held is None else len(held)

    @property
    def size(self) -> int:
        """Numbers that a formula is given: cells times columns."""
        return self.cells * (1 if self.columns is None else self.columns.shape[1])

    def over(self, rows: Ints) -> Floats:
        """Sums over resamples of example numbers: shape (..., m) becomes (..., cells · k), cell by cell."""
        flat = rows.reshape(-1, rows.shape[-1])
        width = 1 if self.columns is None else self.columns.shape[1]
        at_once = max(1, _GATHERED_AT_ONCE // max(1, rows.shape[-1] * width, self.size))
        found = [self._block(flat[start : start + at_once]) for start in range(0, len(flat), at_once)]
        summed: Floats = np.concatenate(found) if found else np.empty((0, self.size))
        return summed.reshape(*rows.shape[:-1], self.size)

    def _block(self, rows: Ints) -> Floats:
        if self.codes is None:
            assert self.columns is not None, "sums of nothing"
            return np.asarray(self.columns[rows].sum(axis=1, dtype=np.float64))
        # Each resample gets its own range of cells, so that one bincount sums over all of them.
        cells = (self.codes[rows] + self.cells * np.arange(len(rows))[:, None]).ravel()
        length = len(rows) * self.cells
        columns = [None] if self.columns is None else [column[rows].ravel() for column in self.columns.T]
        summed: Floats = np.empty((len(rows) * self.cells, len(columns)))
        for place, column in enumerate(columns):
            summed[:, place] = np.bincount(cells, column, length)
        return summed.reshape(len(rows), self.size)


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """A metric's value for each example, and how any resample of them becomes one number.

    Args:
        name: The metric's name in reports and under `success`.
        values: One number for each answer, in their order, shape (n,).
        reduction: Takes example numbers, shape (..., m), and gives one value for each resample, shape (...). Only for
            what no sum and no quantile can say: measures that have one can be neither joined nor resampled in bulk.
        sums: What `formula` is given. Measures over the same sums share one, and then they are summed once.
        formula: Takes sums, shape (..., k), and gives one value for each resample, shape (...). A function of a module,
            or a `partial` of one: measures travel between processes.
        quantile: The share of examples at or below the value, instead of a formula.
        note: What a score has to say beside its number: the signature of how it was made.

    Without any of them a resample is reduced to the mean of its values.
    """

    name: str
    values: Floats
    reduction: Callable[[Ints], Floats] | None = None
    sums: Sums | None = None
    formula: Formula | None = None
    quantile: float | None = None
    note: str = ""

    def reduce(self, rows: Ints) -> Floats:
        """The metric over resamples of example numbers: shape (..., m) becomes shape (...)."""
        if self.reduction is not None:
            return self.reduction(rows)
        if self.sums is not None and self.formula is not None:
            return self.formula(self.sums.over(rows))
        if self.quantile is not None:
            quantiles: Floats = np.asarray(np.quantile(self.values[rows], self.quantile, axis=-1))
            return quantiles
        means: Floats = np.asarray(self.values[rows].mean(axis=-1))
        return means

    @property
    def value(self) -> float:
        """The metric over all examples."""
        return float(self.reduce(np.arange(len(self.values))))


def share(name: str, hits: Sequence[bool]) -> Measure:
    """A measure of the share of examples for which something is true."""
    return Measure(name, np.array(hits, dtype=np.float64))


def ratio(name: str, parts: Numbers, wholes: Numbers, value: Formula | None = None) -> Measure:
    """A measure of summed parts over summed wholes, and `value` of that: a row that is large weighs as much more."""
    columns = np.stack([parts, wholes], axis=-1).astype(np.float64)
    formula = partial(_ratio, value=value)
    return Measure(name, formula(columns), sums=Sums(columns), formula=formula)


def _ratio(sums: Floats, *, value: Formula | None) -> Floats:
    ratios: Floats = np.asarray(sums[..., 0] / sums[..., 1])
    return ratios if value is None else value(ratios)


def join(measures: Sequence[Measure], memo: dict[tuple[int, ...], Sums] | None = None) -> Measure:
    """One metric's measures over pieces as the measure over all of them, in their order.

    Args:
        measures: Of the same metric with the same settings.
        memo: Sums that are joined already; hand the same one in for measures that shared theirs.

    Raises:
        InputError: If the metric cannot be joined; such a one needs all answers at once.
    """
    first = measures[0]
    if len(measures) == 1:
        return first
    if first.reduction is not None:
        raise InputError(
            "This metric cannot be measured in pieces",
            where=first.name,
            hint="Give it all answers at once, or let its plug-in have `observe` and `measures`.",
        )
    values = np.concatenate([measure.values for measure in measures])
    sums = None
    if first.sums is not None:
        held = [measure.sums for measure in measures if measure.sums is not None]
        key = tuple(id(each) for each in held)
        joined = {} if memo is None else memo
        if key not in joined:
            columns, codes = (_concatenate([getattr(each, name) for each in held]) for name in ("columns", "codes"))
            joined[key] = Sums(columns, codes, first.sums.cells)
        sums = joined[key]
    return Measure(first.name, values, sums=sums, formula=first.formula, quantile=first.quantile, note=first.note)


def _concatenate(arrays: Sequence[Numbers | None]) -> Numbers | None:
    there = [array for array in arrays if array is not None]
    return np.concatenate(there) if there else None


def join_lists(pieces: Iterable[Sequence[Measure]], *, where: str) -> list[Measure]:
    """A metric's lists of measures, one of each piece, as one list.

    Raises:
        InputError: If the pieces do not have the same measures: some have what a metric needs, and others do not.
    """
    lists = list(pieces)
    names = [measure.name for measure in lists[0]] if lists else []
    for found in lists:
        if [measure.name for measure in found] != names:
            raise InputError(
                "Only some of the answers have what this metric measures",
                where=where,
                hint="Give it for all answers, or for none.",
            )
    memo: dict[tuple[int, ...], Sums] = {}
    return [join([found[place] for found in lists], memo) for place in range(len(names))]
