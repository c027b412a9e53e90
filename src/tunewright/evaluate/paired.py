"""Two systems on the same rows: how far apart they are, how sure that is, and what the rows could have shown.

The interval is a paired bootstrap's: both systems are resampled with the same rows. The p value is the sharpest test
that fits: the exact McNemar test for right and wrong, else approximate randomisation (Noreen 1989), which swaps the
systems' answers row by row. Of many tests some come out by chance alone, so each p stands beside the one that Holm's
correction (1979) makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tunewright.base.errors import InputError
from tunewright.base.seeds import derive
from tunewright.evaluate.bulk import draw
from tunewright.evaluate.intervals import TAIL, Floats, Ints, resamples
from tunewright.evaluate.power import ALPHA, detectable_mean, detectable_share
from tunewright.evaluate.statistics import EACH_ROW_UP_TO, mcnemar_exact
from tunewright.metrics import Measure, Sums

MCNEMAR, RANDOMISATION, EXACT_RANDOMISATION = "exact McNemar", "randomisation", "exact randomisation"
PAIRED_BOOTSTRAP = "paired bootstrap"

# Rows that differ, up to which all 2^k ways to swap them are gone through.
_FEW = 16
_SWAPPED_AT_ONCE = 1 << 22
# Sums of the same numbers in another order differ by rounding alone.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Difference:
    """How far system `a` is above system `b` on one metric and the same rows.

    Args:
        metric: The metric's name.
        a: The first system.
        b: The second one.
        value: The first one's score less the second one's.
        low: Lower end of the 95 % interval.
        high: The upper end.
        p: Two-sided: how often chance alone shows a difference at least as large if both are equally good.
        n: Rows.
        test: What gave `p`: `exact McNemar`, `randomisation`, `exact randomisation` or `paired bootstrap`.
        detectable: The smallest difference that these rows would show with a probability of 0.8.
        p_corrected: `p` after Holm's correction over all tests made together; None before it is made.
    """

    metric: str
    a: str
    b: str
    value: float
    low: float
    high: float
    p: float
    n: int
    test: str
    detectable: float
    p_corrected: float | None = None

    @property
    def significant(self) -> bool:
        """Whether the difference can be told from chance, after the correction where it was made."""
        return (self.p if self.p_corrected is None else self.p_corrected) < ALPHA

    def as_json(self) -> dict[str, Any]:
        """The difference as reports, manifests and `--json` carry it."""
        return {name: getattr(self, name) for name in self.__slots__}


def differences(
    measures: Mapping[str, Mapping[str, Measure]],
    *,
    first: str,
    metrics: Sequence[str],
    samples: int,
    seed: int,
    clusters: Ints | None = None,
) -> list[Difference]:
    """One system against each other one, on each of some metrics, corrected over all of these tests.

    Args:
        measures: By system and metric, over the same rows in the same order.
        first: The system that the others are held against.
        metrics: What is compared; a system that was not measured on one is left out there.
        samples: Resamples, and swaps.
        seed: The run's seed.
        clusters: Number of each row's cluster; None: each row stands for itself.
    """
    ours = measures.get(first, {})
    return corrected(
        [
            difference(ours[metric], theirs[metric], a=first, b=system, samples=samples, seed=seed, clusters=clusters)
            for system, theirs in measures.items()
            if system != first
            for metric in metrics
            if metric in ours and metric in theirs
        ]
    )


def difference(
    first: Measure,
    second: Measure,
    *,
    a: str,
    b: str,
    samples: int,
    seed: int,
    clusters: Ints | None = None,
) -> Difference:
    """How far one system is above another, with interval, p, and what the rows could have shown.

    Args:
        first: A metric of system `a`.
        second: The same of system `b`, over the same rows in the same order.
        a: The first system's name.
        b: The second one's.
        samples: Resamples, and swaps.
        seed: The run's seed.
        clusters: Number of each row's cluster, drawn and swapped as one; None: each row stands for itself.

    Raises:
        InputError: If the systems answered unequally many rows, none, or a measure is no finite number.
    """
    _check(first, second)
    n = len(first.values)
    apart = _apart(first, second)
    if clusters is None and n > EACH_ROW_UP_TO and apart.reduction is None:
        drawn = draw(apart, samples, np.random.default_rng(derive(seed, "bootstrap")))
    else:
        drawn = np.concatenate([apart.reduce(rows) for rows in resamples(n, samples, seed, clusters)])
    value = first.value - second.value
    if not (np.isfinite(drawn).all() and np.isfinite(value)):
        raise InputError(f"'{a}' less '{b}' is no finite number ({value})", where=first.name)
    low, high = (float(end) for end in np.quantile(drawn, [TAIL, 1 - TAIL]))
    right_or_wrong = is_share(first) and is_share(second)
    if right_or_wrong and clusters is None:
        paired = mcnemar_exact(first.values, second.values)
        split = (paired.only_a + paired.only_b) / n
        # No row tells them apart: as if one did, for a discordance of 0 would promise to see anything.
        shown = detectable_share(n, max(split, 1 / n))
        return Difference(first.name, a, b, value, low, high, paired.p, n, MCNEMAR, shown)
    swaps = randomisation(first, second, samples=samples, seed=seed, clusters=clusters)
    p, test = swaps if swaps else (tail_p(drawn), PAIRED_BOOTSTRAP)
    return Difference(first.name, a, b, value, low, high, p, n, test, detectable_mean(float(drawn.std())))


def randomisation(
    first: Measure, second: Measure, *, samples: int, seed: int, clusters: Ints | None = None
) -> tuple[float, str] | None:
    """Approximate randomisation (E. W. Noreen 1989): the systems' answers are swapped at random, row by row.

    If both are equally good, each answer might as well be the other's. `p` is the share of the swapped sets whose
    difference is at least as large as the one seen: over all 2^k swaps where at most 16 rows (or clusters) differ, else
    over `samples` random ones, (1 + as large) / (1 + samples).

    Returns:
        `p`, and `exact randomisation` or `randomisation`; None for a measure that is neither a mean nor a formula of
        sums (a quantile, say, or an F1 over labels that systems make up): two systems' rows of it cannot be mixed.
    """
    _check(first, second)
    mixed = _mixed(first, second)
    if mixed is None:
        return None
    moved = mixed.moved
    if clusters is not None:
        moved = np.stack([np.bincount(clusters, column) for column in moved.T], axis=-1)
    moved = moved[(moved != 0).any(axis=1)]
    seen = float(np.abs(mixed.swapped(np.zeros((1, moved.shape[1])))[0])) * (1 - _ROUNDING)
    if len(moved) <= _FEW:
        every = (np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved)) & 1).astype(np.float64)
        found = np.abs(mixed.swapped(every @ moved))
        return (float((found >= seen).mean()), EXACT_RANDOMISATION) if np.isfinite(found).all() else None
    random = np.random.default_rng(derive(seed, "randomisation"))
    at_once, as_large = max(1, _SWAPPED_AT_ONCE // len(moved)), 0
    for start in range(0, samples, at_once):
        some = random.integers(0, 2, size=(min(at_once, samples - start), len(moved)), dtype=np.int8)
        found = np.abs(mixed.swapped(some.astype(np.float64) @ moved))
        if not np.isfinite(found).all():
            return None  # a formula that some swaps have no value for, such as a share of nothing
        as_large += int((found >= seen).sum())
    return (1 + as_large) / (1 + samples), RANDOMISATION


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's correction (S. Holm 1979): the chance of any false alarm among all the tests stays below the level.

    Args:
        ps: One p per test.

    Returns:
        In the same order; each at least its p, at most 1.

    Raises:
        InputError: If one is no probability.
    """
    if wrong := [p for p in ps if not 0 <= p <= 1]:
        raise InputError(f"{wrong[0]} is no p value, and cannot be corrected with the others")
    order = sorted(range(len(ps)), key=lambda place: ps[place])
    found, reached = [0.0] * len(ps), 0.0
    for rank, place in enumerate(order):
        reached = max(reached, min(1.0, (len(ps) - rank) * ps[place]))
        found[place] = reached
    return found


def corrected(tests: Sequence[Difference]) -> list[Difference]:
    """The same differences, each with its p after Holm's correction over all of them."""
    return [replace(test, p_corrected=p) for test, p in zip(tests, holm([test.p for test in tests]), strict=True)]


def _check(first: Measure, second: Measure) -> None:
    if first.values.shape != second.values.shape or not len(first.values):
        raise InputError(
            f"A paired test needs the same rows from both systems, and not {len(first.values)} and "
            f"{len(second.values)}",
            where=first.name,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Mixed:
    """Two systems' sums, and what each row moves from one to the other when its answers are swapped, shape (n, k)."""

    moved: Floats
    sums: tuple[Floats, Floats]
    formulas: tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]

    def swapped(self, moved: Floats) -> Floats:
        """The difference of the systems once so much is moved: shape (..., k) becomes shape (...)."""
        (first, second), (of_first, of_second) = self.sums, self.formulas
        with np.errstate(divide="ignore", invalid="ignore"):  # what has no value is looked for by the caller
            return np.asarray(of_first(first - moved) - of_second(second + moved))


def _mixed(first: Measure, second: Measure) -> _Mixed | None:
    parts = [_as_sums(measure) for measure in (first, second)]
    if parts[0] is None or parts[1] is None or parts[0][0].shape != parts[1][0].shape:
        return None
    (a, of_a), (b, of_b) = parts[0], parts[1]
    return _Mixed(a - b, (a.sum(axis=0), b.sum(axis=0)), (of_a, of_b))


def _as_sums(measure: Measure) -> tuple[Floats, Callable[[Floats], Floats]] | None:
    """What a measure sums of each row, shape (n, k), and its formula of the sums; a mean is the simplest of these."""
    if is_mean(measure):
        n = len(measure.values)
        return measure.values[:, None], lambda sums: np.asarray(sums[..., 0] / n)
    held = measure.sums
    if measure.formula is None or held is None or held.columns is None or held.codes is not None:
        return None
    return held.columns.astype(np.float64), measure.formula


def _apart(first: Measure, second: Measure) -> Measure:
    """The difference of two measures as a measure over the same rows."""
    if is_mean(first) and is_mean(second):
        return Measure(first.name, first.values - second.values)
    a, b = _as_sums(first), _as_sums(second)
    if a is None or b is None or is_mean(first) or is_mean(second):
        return Measure(first.name, first.values - second.values, lambda rows: first.reduce(rows) - second.reduce(rows))
    width, (of_a, of_b) = a[0].shape[1], (a[1], b[1])
    return Measure(
        first.name,
        first.values - second.values,
        sums=Sums(np.concatenate([a[0], b[0]], axis=1)),
        formula=lambda sums: np.asarray(of_a(sums[..., :width]) - of_b(sums[..., width:])),
    )


def is_mean(measure: Measure) -> bool:
    """Whether a measure is the mean of its rows' values."""
    return measure.reduction is None and measure.formula is None and measure.quantile is None


def is_share(measure: Measure) -> bool:
    """Whether a measure is the share of rows that are right."""
    return is_mean(measure) and bool(np.isin(measure.values, (0.0, 1.0)).all())


def tail_p(drawn: Floats) -> float:
    """Twice the smaller share of resamples on either side of 0 (those at 0 count on both), and one more for luck."""
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return min(1.0, 2 * (1 + beyond) / (1 + len(drawn)))
