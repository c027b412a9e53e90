"""What more rows would buy: accuracy of a light head on growing parts of the data, and a power law through them.

error(n) = floor + scale * n ** -fall, the law that most learning curves follow.
Sources: Viering and Loog, "The Shape of Learning Curves: a Review", 2022, https://arxiv.org/abs/2103.10948; fitted by
weighted least squares as in Figueroa et al., "Predicting sample size required for classification performance", 2012.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunewright.base.errors import DataError
from tunewright.base.seeds import derive
from tunewright.data.meaning.head import fit_head
from tunewright.data.meaning.vectors import Floats, Integers, Vectors

REPEATS = 4
SHARES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)


_RESAMPLES = 200
# With fewer rows a label than this on average, a part holds too little to learn from.
_LEAST_A_LABEL = 2
_FEWEST_POINTS = 3
# Slower and faster falls than these are not met among learning curves.
_FALLS = np.linspace(0.05, 2.0, 196)
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Point:
    """What a part of the data gave: rows learned from, and the accuracy of each repeat."""

    rows: int
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return sum(self.accuracies) / len(self.accuracies)


@dataclass(frozen=True, slots=True)
class Law:
    """error(n) = floor + scale * n ** -fall."""

    floor: float
    scale: float
    fall: float

    def accuracy(self, rows: float) -> float:
        """What the law says of so many rows."""
        return 1 - self.floor - self.scale * math.pow(rows, -self.fall)


@dataclass(frozen=True, slots=True)
class Curve:
    """A learning curve, and what it says of twice the rows.

    Args:
        points: From few rows to all.
        law: The power law through them.
        doubled: The accuracy that it expects from twice the rows.
        gain: How much more that is than it gives for all rows there are.
        gain_low, gain_high: An interval of 95 % for the gain, from held-out rows and repeats drawn again.
    """

    points: tuple[Point, ...]
    law: Law
    doubled: float
    gain: float
    gain_low: float
    gain_high: float


def learning_curve(
    vectors: Vectors,
    labels: Sequence[str],
    held: Vectors,
    held_labels: Sequence[str],
    *,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Curve:
    """Measures the curve on growing parts of the rows, each label in its share, against the held-out rows.

    Args:
        vectors: Unit vectors of the rows to learn from, shape (n, width).
        labels: Their labels.
        held: Unit vectors of the rows to answer, shape (m, width).
        held_labels: Theirs.
        seed: Draws the parts.
        progress: Is told how many heads have been fitted, and of how many.
    Raises:
        DataError: If there are too few rows for three parts.
    """
    names, wanted = np.asarray(labels, dtype=object), np.asarray(held_labels, dtype=object)
    sizes = [round(share * len(names)) for share in SHARES]
    sizes = [size for size in sizes if size >= _LEAST_A_LABEL * len(set(labels))]
    if len(sizes) < _FEWEST_POINTS or len(set(labels)) < 2:
        raise DataError(
            f"{len(names):,} rows with {len(set(labels)):,} labels are too few for a learning curve",
            where="learning curve",
            hint="Bring some ten rows a label or more.",
        )
    # Of all rows there is one part only.
    total = REPEATS * (len(sizes) - 1) + 1
    hits, done = [], 0
    for size in sizes:
        right = []
        for repeat in range(REPEATS if size < len(names) else 1):
            part = _part(names, size, np.random.default_rng(derive(seed, "curve", size, repeat)))
            head = fit_head(vectors[part], names[part].tolist())
            right.append(np.asarray(head.classify(held), dtype=object) == wanted)
            done += 1
            progress(done, total)
        hits.append(np.stack(right))
    return _curve(sizes, hits, np.random.default_rng(derive(seed, "curve")))


def _part(names: NDArray[np.object_], size: int, rng: np.random.Generator) -> Integers:
    """Rows drawn so that each label keeps its share, two labels at least among them."""
    order = rng.permutation(len(names))
    # The k-th of a label's rows stands at (k + a draw) / rows of the label: the first `size` places hold equal shares.
    place = np.empty(len(names))
    for name in set(names.tolist()):
        rows = order[names[order] == name]
        place[rows] = (np.arange(len(rows)) + rng.random()) / len(rows)
    chosen: Integers = np.argsort(place, kind="stable")[:size]
    return chosen


def _curve(sizes: Sequence[int], hits: Sequence[NDArray[np.bool_]], rng: np.random.Generator) -> Curve:
    """The curve through what each part (repeats, held-out rows) got right."""
    rows, held_rows = np.array(sizes, dtype=np.float64), hits[0].shape[1]
    law = fit_law(rows, np.array([right.mean() for right in hits]), held_rows)
    gains = []
    for _ in range(_RESAMPLES):
        # The same held-out rows for all parts: which ones were drawn says little about the gain.
        times = rng.multinomial(held_rows, np.full(held_rows, 1 / held_rows))
        drawn = [rng.choice(right @ times, len(right)).mean() / held_rows for right in hits]
        again = fit_law(rows, np.array(drawn), held_rows)
        gains.append(again.accuracy(2 * rows[-1]) - again.accuracy(rows[-1]))
    low, high = np.percentile(gains, _INTERVAL)
    doubled = law.accuracy(2 * rows[-1])
    points = tuple(Point(size, tuple(right.mean(1).tolist())) for size, right in zip(sizes, hits, strict=True))
    return Curve(points, law, doubled, doubled - law.accuracy(rows[-1]), float(low), float(high))


def fit_law(rows: Floats, accuracy: Floats, held_rows: int) -> Law:
    """The power law nearest to the points, each weighed by the binomial variance of its accuracy.

    Args:
        rows: Rows learned from, shape (points,).
        accuracy: What they gave, in 0…1, shape (points,).
        held_rows: How many rows each accuracy was measured on.
    """
    error = 1 - accuracy
    # Half a row on either side keeps a point without a single error from weighing infinitely.
    share = (error * held_rows + 0.5) / (held_rows + 1)
    weight = held_rows / (share * (1 - share))
    # For a given fall the law is linear in floor and scale: all falls are tried, and the best is taken.
    basis_FP = (rows / rows[0]) ** -_FALLS[:, None]
    floor, scale = _lines(basis_FP, error, weight)
    misses = (weight * (floor[:, None] + scale[:, None] * basis_FP - error) ** 2).sum(1)
    best = int(misses.argmin())
    fall = float(_FALLS[best])
    return Law(float(floor[best]), float(scale[best]) * float(rows[0]) ** fall, fall)


def _lines(basis_FP: Floats, error: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Of each basis the weighted least squares of error = floor + scale * basis, neither below zero; shapes (F,)."""
    total, errors = weight.sum(), weight @ error
    first, second, mixed = basis_FP @ weight, basis_FP**2 @ weight, basis_FP @ (weight * error)
    spread = total * second - first**2
    floor, scale = (second * errors - first * mixed) / spread, (total * mixed - first * errors) / spread
    alone = mixed / second
    scale = np.where(floor < 0, alone, scale)
    floor = np.where(scale < 0, errors / total, floor.clip(min=0))
    return floor, scale.clip(min=0)
