"""Intervals and paired tests, by hand and against formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from tunewright.base.errors import InputError
from tunewright.evaluate.statistics import Interval, bootstrap, mcnemar_exact
from tunewright.metrics import Measure


def _share(hits: int, n: int) -> Measure:
    return Measure("share", np.array([1.0] * hits + [0.0] * (n - hits)))


def test_the_interval_of_a_share_is_that_of_the_binomial() -> None:
    # A resample of a share is a binomial draw, so the percentiles are known.
    found = bootstrap(_share(80, 100), samples=20_000, seed=3)
    assert (found.value, found.n) == (0.8, 100)
    assert found.low == pytest.approx(binom.ppf(0.025, 100, 0.8) / 100, abs=0.011)
    assert found.high == pytest.approx(binom.ppf(0.975, 100, 0.8) / 100, abs=0.011)


def test_one_example_and_constant_values_have_no_width() -> None:
    assert bootstrap(_share(1, 1), 200, 0) == Interval(1.0, 1.0, 1.0, 1)
    assert bootstrap(_share(50, 50), 200, 0) == Interval(1.0, 1.0, 1.0, 50)
    assert bootstrap(_share(0, 50), 200, 0) == Interval(0.0, 0.0, 0.0, 50)


def test_equal_seeds_give_equal_intervals_and_others_do_not() -> None:
    values = Measure("m", np.random.default_rng(0).normal(size=40))
    assert bootstrap(values, 300, 5) == bootstrap(values, 300, 5)
    assert bootstrap(values, 300, 5) != bootstrap(values, 300, 6)


def test_blocks_of_resamples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = Measure("m", np.random.default_rng(0).normal(size=40))
    whole = bootstrap(values, 300, 5)
    monkeypatch.setattr("tunewright.evaluate.statistics._DRAWN_AT_ONCE", 40 * 7)
    assert bootstrap(values, 300, 5) == whole


def test_a_reduction_of_its_own_is_used() -> None:
    values = np.array([1.0, 2.0, 4.0])
    found = bootstrap(Measure("largest", values, lambda rows: values[rows].max(axis=-1)), 500, 1)
    assert (found.value, found.high) == (4.0, 4.0)


def test_what_is_no_number_is_an_error() -> None:
    with pytest.raises(InputError, match="no finite number"):
        bootstrap(Measure("m", np.array([1.0, np.nan])), 100, 0)
    with pytest.raises(InputError, match="no interval"):
        bootstrap(Measure("m", np.array([])), 100, 0)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 1), (5, 0), (3, 3), (10, 2), (1, 12), (40, 25), (300, 210)])
def test_mcnemar_is_the_exact_two_sided_binomial(only_a: int, only_b: int) -> None:
    # As statsmodels' mcnemar(exact=True) has it: twice the smaller tail, at most 1.
    expected = min(1.0, 2 * binom.cdf(min(only_a, only_b), only_a + only_b, 0.5))
    a = np.array([1] * only_a + [0] * only_b + [1, 1, 0], dtype=np.float64)
    b = np.array([0] * only_a + [1] * only_b + [1, 1, 0], dtype=np.float64)
    found = mcnemar_exact(a, b)
    assert (found.only_a, found.only_b) == (only_a, only_b)
    assert found.p == pytest.approx(expected, rel=1e-9)
    assert mcnemar_exact(b, a).p == pytest.approx(found.p)


def test_mcnemar_by_hand() -> None:
    # Six rows differ, all in favour of a: 2 / 2**6.
    assert mcnemar_exact(np.ones(6), np.zeros(6)).p == pytest.approx(1 / 32)


def test_systems_that_never_differ_have_p_one() -> None:
    found = mcnemar_exact(np.array([1.0, 0.0]), np.array([1.0, 0.0]))
    assert (found.only_a, found.only_b, found.p) == (0, 0, 1.0)
    assert math.isfinite(found.p)


def test_unequal_numbers_of_rows_are_an_error() -> None:
    with pytest.raises(InputError, match="2 and 3"):
        mcnemar_exact(np.ones(2), np.ones(3))
