"""Exact match of whole records."""

from __future__ import annotations

import numpy as np
import pytest

from tests.metrics.contract import measure
from tunewright.base.errors import DataError
from tunewright.metrics import Answer

REFERENCE = '{"intent": "refund", "order": null}'


def test_every_field_counts_and_the_order_of_keys_does_not() -> None:
    said = [
        '{"order": null, "intent": "refund"}',
        '{"intent": "refund"}',
        '{"intent": "refund", "order": null, "more": 1}',
        '{"intent": "refund", "order": ""}',
        '{"intent": "refund", "order": null',
        "null",
        "",
    ]
    answers = [Answer(str(i), REFERENCE, text) for i, text in enumerate(said)]
    np.testing.assert_array_equal(measure("record_exact_match", answers)["record_exact_match"].values, [1] + [0] * 6)


def test_a_reference_that_is_no_record_is_an_error() -> None:
    with pytest.raises(DataError, match="row7"):
        measure("record_exact_match", [Answer("row7", "refund", "refund")])
