"""Measures: their reductions, and how those of pieces are joined."""

from __future__ import annotations

import numpy as np
import pytest

from tunewright.base.errors import InputError
from tunewright.metrics import Measure, Sums, join
from tunewright.metrics._measure import join_lists, ratio


def test_sums_by_hand() -> None:
    sums = Sums(np.array([[1, 10], [2, 20], [4, 40]]))
    np.testing.assert_array_equal(sums.over(np.array([[0, 0, 2], [1, 1, 1]])), [[6, 60], [6, 60]])
    assert sums.over(np.array([1, 2])).tolist() == [6, 60]


def test_counts_by_cell_by_hand() -> None:
    sums = Sums(codes=np.array([0, 2, 2]), cells=3)
    np.testing.assert_array_equal(sums.over(np.array([[0, 1, 2], [1, 1, 1]])), [[1, 0, 2], [0, 0, 3]])


def test_sums_by_cell_by_hand() -> None:
    sums = Sums(np.array([[0.5, 1], [0.25, 1], [2, 1]]), codes=np.array([0, 1, 1]), cells=2)
    assert sums.over(np.array([0, 1, 2])).tolist() == [0.5, 1, 2.25, 2]
    assert sums.over(np.array([2, 2, 2])).tolist() == [0, 0, 6, 3]


def test_sums_gathered_in_blocks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    sums = Sums(random.integers(0, 9, (40, 3)), codes=random.integers(0, 4, 40), cells=4)
    rows = random.integers(0, 40, (7, 5, 40))
    whole = sums.over(rows)
    monkeypatch.setattr("tunewright.metrics._measure._GATHERED_AT_ONCE", 300)
    np.testing.assert_array_equal(sums.over(rows), whole)


def test_a_ratio_weighs_rows_by_their_size() -> None:
    found = ratio("r", np.array([1.0, 9.0]), np.array([1, 3]))
    assert found.values.tolist() == [1.0, 3.0]
    assert found.value == 10 / 4


def test_a_quantile_is_numpys() -> None:
    assert Measure("q", np.array([4.0, 1.0, 3.0, 2.0]), quantile=0.5).value == 2.5  # the mean of the middle two


def test_pieces_are_joined_in_their_order() -> None:
    pieces = [
        ratio("r", np.array(parts, dtype=float), np.array(wholes)) for parts, wholes in [([1], [2]), ([3, 5], [4, 8])]
    ]
    joined = join(pieces)
    np.testing.assert_array_equal(joined.values, [0.5, 0.75, 0.625])
    assert joined.value == 9 / 14


def test_measures_that_share_sums_still_share_them_when_joined() -> None:
    def piece(column: list[int]) -> list[Measure]:
        sums = Sums(np.array(column)[:, None])
        return [Measure(name, np.zeros(len(column)), sums=sums, formula=np.squeeze) for name in "ab"]

    a, b = join_lists([piece([1, 2]), piece([3])], where="m")
    assert a.sums is b.sums
    assert a.sums is not None
    assert a.sums.n == 3


def test_what_needs_all_rows_at_once_is_not_joined() -> None:
    opaque = Measure("largest", np.ones(2), lambda rows: rows.max(axis=-1))
    assert join([opaque]) is opaque
    with pytest.raises(InputError, match="cannot be measured in pieces"):
        join([opaque, opaque])


def test_pieces_with_other_measures_are_refused() -> None:
    with pytest.raises(InputError, match="Only some of the answers"):
        join_lists([[Measure("a", np.ones(1))], []], where="perplexity")
