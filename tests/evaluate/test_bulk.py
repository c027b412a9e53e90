"""Resamples drawn in bulk agree with those drawn row by row."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.stats import beta, binom

from tunewright.base.plugins import METRICS
from tunewright.evaluate.statistics import bootstrap
from tunewright.metrics import Answer, Measure, Sums
from tunewright.metrics._measure import ratio

RANDOM = np.random.default_rng(8)


def _likelihoods(n: int) -> Measure:
    tokens = RANDOM.integers(1, 30, n)
    return ratio("perplexity", RANDOM.gamma(2.0, 0.5, n) * tokens, tokens, np.exp)


def _labels(n: int) -> Measure:
    wanted = RANDOM.integers(0, 9, n)
    given = np.where(RANDOM.random(n) < 0.7, wanted, RANDOM.integers(0, 12, n))
    answers = [Answer(str(i), str(a), str(b)) for i, (a, b) in enumerate(zip(wanted, given, strict=True))]
    (found,) = METRICS.call("macro_f1", "measure", METRICS.config("macro_f1")(), answers)
    return found  # type: ignore[no-any-return]


def _by_bins(n: int) -> Measure:
    bins, gaps = RANDOM.integers(0, 5, n), RANDOM.normal(0.2, 1, n)

    def formula(sums: np.ndarray) -> np.ndarray:
        return np.abs(sums).sum(axis=-1) / n

    return Measure("gap", gaps, sums=Sums(gaps[:, None], codes=bins, cells=5), formula=formula)


MADE = {
    "share": lambda n: Measure("share", (RANDOM.random(n) < 0.9).astype(float)),
    "mean": lambda n: Measure("mean", RANDOM.normal(3, 2, n)),
    "likelihoods": _likelihoods,
    "labels": _labels,
    "by_bins": _by_bins,
    "median": lambda n: Measure("median", RANDOM.exponential(2, n), quantile=0.5),
}


@pytest.mark.parametrize("name", MADE)
def test_bulk_agrees_with_rows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = MADE[name](1000)
    by_rows = bootstrap(measure, 3000, 1)
    monkeypatch.setattr("tunewright.evaluate.statistics.EACH_ROW_UP_TO", 10)
    in_bulk = bootstrap(measure, 3000, 1)
    assert in_bulk.value == by_rows.value
    width = by_rows.high - by_rows.low
    assert in_bulk.low == pytest.approx(by_rows.low, abs=0.08 * width)
    assert in_bulk.high == pytest.approx(by_rows.high, abs=0.08 * width)
    assert width > 0


def test_a_share_of_a_million_is_binomial() -> None:
    hits = np.zeros(1_000_000)
    hits[:5] = 1.0
    found = bootstrap(Measure("rare", hits), 4000, 3)  # so rare that no normal curve would do
    assert found.low * 1e6 == pytest.approx(binom.ppf(0.025, 1_000_000, 5e-6), abs=1)
    assert found.high * 1e6 == pytest.approx(binom.ppf(0.975, 1_000_000, 5e-6), abs=1)


def test_a_quantile_is_the_order_statistics_own_distribution() -> None:
    found = bootstrap(Measure("p95", np.arange(100_000) / 100_000, quantile=0.95), 4000, 3)
    expected = beta.ppf([0.025, 0.975], 95_000, 5_001)
    assert [found.low, found.high] == pytest.approx(list(expected), abs=1e-4)


def test_the_sums_of_vectors_vary_together() -> None:
    # Parts and wholes rise and fall as one: the ratio hardly varies, as independent draws would make it.
    wholes = RANDOM.integers(1, 1000, 50_000).astype(float)
    found = bootstrap(ratio("r", wholes * 2 + RANDOM.normal(0, 1, 50_000), wholes), 2000, 5)
    assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(50_000) / wholes.mean(), rel=0.1)


def test_an_interval_of_a_million_rows_is_quick() -> None:
    values = Measure("m", RANDOM.normal(size=1_000_000))
    started = time.process_time()
    bootstrap(values, 2000, 0)
    assert time.process_time() - started < 2
