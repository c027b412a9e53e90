"""What a set can show: by hand, and against the exact power of the test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from tunewright.base.errors import InputError
from tunewright.evaluate.power import assumed_discordance, detectable_mean, detectable_share


def test_connors_formula_by_hand() -> None:
    # δ = 0.1, ψ = 0.2: ((1.95996 √0.2 + 0.84162 √0.19) / 0.1)² = 154.6 rows.
    assert detectable_share(154, 0.2) > 0.1 > detectable_share(155, 0.2)


def test_two_hundred_rows_show_no_less_than_four_points() -> None:
    assert detectable_share(200, 0.04) == pytest.approx(0.039, abs=0.001)
    # Even where the rows differ in one direction alone, some eight must.
    assert detectable_share(200, 1 / 200) == pytest.approx(0.0387, abs=0.001)


def test_the_exact_test_has_about_the_power_that_is_promised() -> None:
    n, discordance = 400, 0.25
    found = detectable_share(n, discordance)
    power, apart = 0.0, np.arange(n + 1)
    for k, weight in zip(apart, binom.pmf(apart, n, discordance), strict=True):
        wins = np.arange(k + 1)
        rejected = np.minimum(1.0, 2 * binom.cdf(np.minimum(wins, k - wins), k, 0.5)) < 0.05
        power += weight * binom.pmf(wins, k, (1 + found / discordance) / 2)[rejected].sum()
    assert power == pytest.approx(0.8, abs=0.03)


def test_more_rows_show_smaller_differences() -> None:
    found = [detectable_share(n, 0.1) for n in (5, 50, 500, 5000, 1_000_000)]
    assert found == sorted(found, reverse=True)
    assert detectable_share(3, 0.5) == 1.0


def test_means_by_hand() -> None:
    assert detectable_mean(0.01) == pytest.approx(0.028016, abs=1e-6)
    assert detectable_mean(0.0) == 0.0


def test_unrelated_errors() -> None:
    assert assumed_discordance(0.9) == pytest.approx(0.18)
    assert assumed_discordance(1.0) == 0.0


def test_what_shows_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match="0 rows"):
        detectable_share(0, 0.1)
    with pytest.raises(InputError, match="no standard error"):
        detectable_mean(float("nan"))
    with pytest.raises(InputError, match="A power of"):
        detectable_share(10, 0.1, power=1.5)
