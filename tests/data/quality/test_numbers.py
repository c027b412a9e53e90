from __future__ import annotations

import numpy as np
import pytest

from tunewright.data.quality.numbers import far_out, histogram, quantiles


def test_quantiles_are_values_that_are_there() -> None:
    found = quantiles(np.arange(1, 101))
    assert found == {"min": 1, "p5": 5, "p50": 50, "p95": 95, "p99": 99, "max": 100}
    assert quantiles(np.array([], dtype=np.int64)) == {}


def test_bins_double() -> None:
    assert histogram(np.array([0, 1, 1, 2, 3, 4, 7, 8])) == (("0", 1), ("1", 2), ("2–3", 2), ("4–7", 2), ("8–15", 1))
    assert histogram(np.array([5, 6])) == (("4–7", 2),)
    assert histogram(np.array([], dtype=np.int64)) == ()


def test_far_out_by_the_modified_z_score_of_logarithms() -> None:
    # 1 + value in units of log 10: 1 (three times), 2 (five), 3 (three), 9. The median is 2; the deviations from it are
    # 0 (five times), 1 (six times) and 7, and their median is 1. So the last one scores 0.6745 * 7, beyond 3.5.
    values = np.array([9, 9, 9, 99, 99, 99, 99, 99, 999, 999, 999, 10**9 - 1])
    far = far_out(values)
    assert np.flatnonzero(far).tolist() == [11]
    assert far[11] == pytest.approx(0.6745 * 7)


def test_nothing_is_far_where_half_are_equal() -> None:
    assert not far_out(np.array([5, 5, 5, 5, 1000])).any()
    assert len(far_out(np.array([], dtype=np.int64))) == 0
