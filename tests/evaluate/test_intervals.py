"""Wilson's interval against scipy, and rows that belong together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from tunewright.base.errors import InputError
from tunewright.evaluate.intervals import cluster_numbers, interval_of, resamples, wilson
from tunewright.evaluate.statistics import bootstrap
from tunewright.metrics import Measure


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (0, 20), (1, 1), (7, 20), (20, 20), (80, 100), (999, 1000)])
def test_wilson_is_scipys(hits: int, n: int) -> None:
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(("hits", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_no_share_is_an_error(hits: int, n: int) -> None:
    with pytest.raises(InputError, match="no share"):
        wilson(hits, n)


def test_twenty_right_answers_are_no_proof_of_perfection() -> None:
    found = interval_of(Measure("share", np.ones(20)), samples=100, seed=0)
    assert (found.value, found.high, found.n) == (1.0, 1.0, 20)
    assert found.low == pytest.approx(0.8389, abs=1e-4)
    assert interval_of(Measure("share", np.zeros(20)), samples=100, seed=0).high == pytest.approx(0.1611, abs=1e-4)


def test_an_f1_of_nothing_but_hits_has_a_width_too() -> None:
    best = Measure("f1", np.ones(30), lambda rows: np.ones(rows.shape[:-1]))
    assert interval_of(best, samples=100, seed=0).low == pytest.approx(wilson(30, 30)[0])


def test_other_measures_keep_their_bootstrap() -> None:
    values = Measure("m", np.random.default_rng(0).random(40))
    assert interval_of(values, samples=200, seed=3) == bootstrap(values, 200, 3)
    constant = Measure("loss", np.full(9, 2.5))
    assert interval_of(constant, samples=200, seed=3) == bootstrap(constant, 200, 3)


def test_copies_of_a_row_are_no_more_evidence_than_the_row() -> None:
    values = np.random.default_rng(1).random(60)
    copied, clusters = np.repeat(values, 5), np.repeat(np.arange(60), 5)
    once = interval_of(Measure("m", values), samples=4000, seed=0)
    together = interval_of(Measure("m", copied), samples=4000, seed=0, clusters=clusters)
    apart = interval_of(Measure("m", copied), samples=4000, seed=0)
    assert together.high - together.low == pytest.approx(once.high - once.low, rel=0.05)
    assert together.high - together.low == pytest.approx((apart.high - apart.low) * 5**0.5, rel=0.06)
    assert together.n == 300


def test_a_share_of_one_counts_clusters_and_not_rows() -> None:
    clusters = np.repeat(np.arange(4), 25)
    assert interval_of(Measure("m", np.ones(100)), samples=50, seed=0, clusters=clusters).low == wilson(4, 4)[0]


def test_each_resample_takes_whole_clusters() -> None:
    clusters = cluster_numbers(["b", "a", "b", "c", "b"])
    assert clusters.tolist() == [1, 0, 1, 2, 1]
    for rows in resamples(5, 50, 7, clusters):
        drawn = np.bincount(rows[0], minlength=5)
        assert drawn[0] == drawn[2] == drawn[4]
        assert drawn[0] + drawn[1] + drawn[3] == 3  # as many clusters as there are


def test_clusters_of_other_rows_are_an_error() -> None:
    with pytest.raises(InputError, match="5 rows, and the clusters of 4"):
        next(resamples(5, 10, 0, np.zeros(4, dtype=np.int64)))
