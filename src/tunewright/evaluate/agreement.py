"""How far several people, or people and a judge, agree beyond what chance would give.

Cohen's kappa is for two raters (Cohen 1960; weighted: Cohen 1968), Fleiss' for several that all rated the same things
(Fleiss 1971), Krippendorff's alpha for any number of them and any gaps (Krippendorff 2011, "Computing Krippendorff's
Alpha-Reliability"). All are 1 for full agreement and 0 for what chance gives, and undefined where only one value was
ever given: chance would agree as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tunewright.base.errors import InputError
from tunewright.base.seeds import derive
from tunewright.data.labelling.agreement import kappa_of
from tunewright.evaluate.statistics import CONFIDENCE

Value = str | float
Level = Literal["nominal", "ordinal", "interval"]
Weights = Literal["linear", "quadratic"]
Floats = NDArray[np.float64]

_ROUNDING = 1e-12  # below it a disagreement is but a rounding error


@dataclass(frozen=True, slots=True)
class Rating:
    """What one rater gave to one thing: a word, or a number on a scale."""

    unit: str
    rater: str
    value: Value


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A coefficient of agreement.

    Args:
        name: `cohen_kappa`, `fleiss_kappa` or `krippendorff_alpha`.
        value: 1 for full agreement, 0 for what chance gives; None where it is not defined.
        low: Lower end of its 95 % interval, things drawn anew; None where it has none.
        high: The upper end.
        n: Things that it stands on: those with two ratings or more.
        ratings: Ratings of these.
        raters: Who gave them, sorted.
        note: Why it has no value or no interval; empty where it has both.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    ratings: int
    raters: tuple[str, ...]
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """The coefficient as `--json` prints it."""
        return asdict(self) | {"raters": list(self.raters)}


def krippendorff_alpha(
    ratings: Iterable[Rating],
    level: Level = "nominal",
    *,
    order: Sequence[Value] = (),
    samples: int = 1000,
    seed: int = 0,
) -> Coefficient:
    """Krippendorff's alpha, with an interval from resampled things.

    Args:
        ratings: Any number of raters, with any gaps; what only one rater rated says nothing and is left out.
        level: Whether values are names, ranks or numbers with distances.
        order: The values from one end to the other, for ordinal words; numbers need none.
        samples: Bootstrap resamples; 0: no interval.
        seed: Decides which are drawn.

    Raises:
        InputError: If a rater rated a thing twice, or a level does not fit the values.
    """
    units = [given for given in _by_unit(ratings).values() if len(given) > 1]
    values = _scale([value for given in units for value in given.values()], level, order)
    place = {value: number for number, value in enumerate(values)}
    counts = np.zeros((len(units), len(values)))
    for row, given in enumerate(units):
        for value in given.values():
            counts[row, place[value]] += 1
    points = _points(values)

    def alpha(drawn: Floats) -> float | None:
        return _alpha(counts, drawn, level, points)

    return _coefficient("krippendorff_alpha", units, alpha, samples, seed)


def cohen_kappa(
    ratings: Iterable[Rating],
    raters: tuple[str, str],
    *,
    weights: Weights | None = None,
    order: Sequence[Value] = (),
    samples: int = 1000,
    seed: int = 0,
) -> Coefficient:
    """Cohen's kappa of two raters over the things that both rated, with an interval from resampled things.

    Args:
        ratings: Those of others are left out.
        raters: Whom to compare.
        weights: How much worse a far miss is than a near one; None: a miss is a miss.
        order: The values from one end to the other, for weighted words; numbers need none.
        samples: Bootstrap resamples; 0: no interval.
        seed: Decides which are drawn.

    Raises:
        InputError: If a rater rated a thing twice, or weights have no order to stand on.
    """
    first, second = raters
    units = [given for given in _by_unit(each for each in ratings if each.rater in raters).values() if len(given) == 2]
    values = _scale([value for given in units for value in given.values()], "ordinal" if weights else "nominal", order)
    place = {value: number for number, value in enumerate(values)}
    tables = np.zeros((len(units), len(values), len(values)))
    for row, given in enumerate(units):
        tables[row, place[given[first]], place[given[second]]] = 1
    costs = _costs(values, weights) if weights else None

    def kappa(drawn: Floats) -> float | None:
        return kappa_of(np.tensordot(drawn, tables, axes=1), costs)

    return _coefficient("cohen_kappa", units, kappa, samples, seed)


def fleiss_kappa(ratings: Iterable[Rating], *, samples: int = 1000, seed: int = 0) -> Coefficient:
    """Fleiss' kappa over the things that all raters rated, with an interval from resampled things.

    Args:
        ratings: A thing that not all of the raters rated is left out; `n` says how many are not.
        samples: Bootstrap resamples; 0: no interval.
        seed: Decides which are drawn.

    Raises:
        InputError: If a rater rated a thing twice.
    """
    by_unit = _by_unit(ratings)
    raters = {rater for given in by_unit.values() for rater in given}
    units = [given for given in by_unit.values() if len(given) == len(raters) > 1]
    values = _scale([value for given in units for value in given.values()], "nominal", ())
    counts = np.array([[list(given.values()).count(value) for value in values] for given in units], dtype=np.float64)

    def kappa(drawn: Floats) -> float | None:
        each = len(raters)
        agreed = float(drawn @ ((counts**2).sum(axis=1) - each)) / (float(drawn.sum()) * each * (each - 1))
        by_chance = float(((drawn @ counts / (drawn.sum() * each)) ** 2).sum())
        return None if by_chance >= 1 - _ROUNDING else (agreed - by_chance) / (1 - by_chance)

    return _coefficient("fleiss_kappa", units, kappa, samples, seed)


def every_pair(
    ratings: Sequence[Rating], *, weights: Weights | None = None, order: Sequence[Value] = ()
) -> list[tuple[str, str, Coefficient]]:
    """Cohen's kappa of every two raters that share a thing, without intervals."""
    raters = sorted({each.rater for each in ratings})
    found = [
        (one, other, cohen_kappa(ratings, (one, other), weights=weights, order=order, samples=0))
        for one, other in combinations(raters, 2)
    ]
    return [pair for pair in found if pair[2].n]


def _by_unit(ratings: Iterable[Rating]) -> dict[str, dict[str, Value]]:
    """Each thing's ratings by rater, all sorted, so that the order of the file decides nothing."""
    found: dict[str, dict[str, Value]] = defaultdict(dict)
    for each in sorted(ratings, key=lambda each: (each.unit, each.rater)):
        if each.rater in found[each.unit]:
            raise InputError(
                f"'{each.rater}' rated '{each.unit}' twice", hint="Keep one of the two, or tell the raters apart."
            )
        if isinstance(each.value, float) and not np.isfinite(each.value):
            raise InputError(f"'{each.rater}' gave '{each.unit}' a rating that is no number ({each.value})")
        found[each.unit][each.rater] = each.value
    return found


def _scale(given: Sequence[Value], level: Level, order: Sequence[Value]) -> list[Value]:
    """The different values in the order that the level asks for."""
    seen = set(given)
    if order:
        if strange := sorted(str(value) for value in seen - set(order)):
            raise InputError(f"These ratings are not on the scale: {', '.join(strange)}")
        return list(order)
    words = any(isinstance(value, str) for value in seen)
    if words and level != "nominal":
        raise InputError(
            f"Ratings that are words have no {level} scale of themselves",
            hint="Name the values from one end to the other (order), or compare them as names (nominal).",
        )
    return sorted(seen, key=str) if words else sorted(seen, key=float)


def _points(values: Sequence[Value]) -> Floats:
    """Where values stand on their scale: numbers at their own place, words at their rank."""
    if any(isinstance(value, str) for value in values):
        return np.arange(len(values), dtype=np.float64)
    return np.array(values, dtype=np.float64)


def _costs(values: Sequence[Value], weights: Weights) -> Floats:
    points = _points(values)
    away: Floats = np.abs(points[:, None] - points[None, :])
    return away if weights == "linear" else away**2


def _alpha(counts: Floats, drawn: Floats, level: Level, points: Floats) -> float | None:
    """Alpha of how often each thing was given each value, shape (units, values), each thing taken so many times."""
    each = counts.sum(axis=1)
    weighted = counts * (drawn / (each - 1))[:, None]
    coincidences = weighted.T @ counts - np.diag(weighted.sum(axis=0))
    given = coincidences.sum(axis=1)
    total = float(given.sum())
    if total <= 1:
        return None
    apart = _apart(given, level, points)
    expected = float((apart * np.outer(given, given)).sum()) / (total - 1)
    return None if expected <= _ROUNDING else 1 - float((apart * coincidences).sum()) / expected


def _apart(given: Floats, level: Level, points: Floats) -> Floats:
    """How far apart two values are, squared, shape (values, values)."""
    if level == "nominal":
        nominal: Floats = 1 - np.eye(len(given))
        return nominal
    if level == "interval":
        interval: Floats = (points[:, None] - points[None, :]) ** 2
        return interval
    # Ranks are as far apart as there are ratings between them, half of those at either end.
    middle = np.cumsum(given) - given / 2
    ordinal: Floats = (middle[:, None] - middle[None, :]) ** 2
    return ordinal


def _coefficient(
    name: str,
    units: Sequence[dict[str, Value]],
    reduce: Callable[[Floats], float | None],
    samples: int,
    seed: int,
) -> Coefficient:
    """A coefficient over the things as they are, and its interval over things drawn anew."""
    raters = tuple(sorted({rater for given in units for rater in given}))
    n, ratings = len(units), sum(map(len, units))
    if not units:
        return Coefficient(name, None, None, None, 0, 0, raters, "Nothing was rated by two or more.")
    value = reduce(np.ones(n))
    if value is None:
        note = "All gave one and the same value, and chance would agree as well."
        return Coefficient(name, None, None, None, n, ratings, raters, note)
    if n == 1 or samples == 0:
        note = "One thing alone has no interval." if n == 1 else ""
        return Coefficient(name, value, None, None, n, ratings, raters, note)
    random = np.random.default_rng(derive(seed, name))
    drawn = random.multinomial(n, np.full(n, 1 / n), size=samples).astype(np.float64)
    found = [each for each in map(reduce, drawn) if each is not None]
    if len(found) < samples / 2:
        note = "Most resamples hold one value only: too few things differ for an interval."
        return Coefficient(name, value, None, None, n, ratings, raters, note)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return Coefficient(name, value, float(low), float(high), n, ratings, raters)
