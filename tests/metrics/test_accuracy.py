"""Accuracy of labels."""

from __future__ import annotations

import numpy as np

from tests.metrics.contract import measure
from tunewright.metrics import Answer


def test_a_label_is_right_when_stripped_and_equal() -> None:
    answers = [
        Answer("1", "card", "card "),
        Answer("2", "card", "cards"),
        Answer("3", "card", ""),
        Answer("4", "a", "a"),
    ]
    found = measure("accuracy", answers)["accuracy"]
    np.testing.assert_array_equal(found.values, [1, 0, 0, 1])
    assert found.value == 0.5
