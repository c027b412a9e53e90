"""Accuracy of each field."""

from __future__ import annotations

import numpy as np

from tests.metrics.contract import measure
from tunewright.metrics import Answer


def test_one_measure_per_field_over_all_answers() -> None:
    answers = [
        Answer("1", '{"intent": "refund", "urgent": true}', '{"urgent": true, "intent": "refund"}'),
        Answer("2", '{"intent": "refund", "urgent": true}', '{"intent": "refund", "urgent": 1}'),
        Answer("3", '{"intent": "refund", "urgent": true}', '{"intent": "refund"}'),
        Answer("4", '{"intent": null, "urgent": false}', '{"intent": null'),
    ]
    found = measure("field_accuracy", answers)
    assert list(found) == ["intent_accuracy", "urgent_accuracy"]
    np.testing.assert_array_equal(found["intent_accuracy"].values, [1, 1, 1, 0])
    np.testing.assert_array_equal(found["urgent_accuracy"].values, [1, 0, 0, 0])


def test_a_field_that_the_reference_lacks_must_be_lacking() -> None:
    answers = [
        Answer("1", '{"a": 1, "b": 2}', '{"a": 1, "b": 2}'),
        Answer("2", '{"a": 1}', '{"a": 1}'),
        Answer("3", '{"a": 1}', '{"a": 1, "b": null}'),
        Answer("4", '{"a": 1}', "no"),
    ]
    np.testing.assert_array_equal(measure("field_accuracy", answers)["b_accuracy"].values, [1, 1, 0, 0])
