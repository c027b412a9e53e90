"""Measures: the default reduction, and errors that name rows."""

from __future__ import annotations

import numpy as np

from tunewright.metrics import Measure
from tunewright.metrics._answer import name_ids
from tunewright.metrics._measure import share


def test_a_measure_without_a_reduction_is_a_mean() -> None:
    measure = Measure("m", np.array([1.0, 2.0, 6.0]))
    assert measure.value == 3.0
    np.testing.assert_array_equal(measure.reduce(np.array([[0, 0, 1], [2, 2, 2]])), [4 / 3, 6.0])


def test_a_share_counts_what_is_true() -> None:
    assert share("s", [True, False, False, True]).value == 0.5


def test_many_ids_are_counted() -> None:
    assert name_ids(["a", "b"]) == "a, b"
    assert name_ids(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
