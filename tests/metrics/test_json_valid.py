"""JSON validity."""

from __future__ import annotations

import numpy as np

from tests.metrics.contract import measure
from tunewright.metrics import Answer


def test_only_strict_json_and_nothing_beside_it_is_valid() -> None:
    said = ['{"a": 1}', ' {"a": null}\n', "```json\n{}\n```", 'Sure: {"a": 1}', '{"a": NaN}', '{"a"', "", "{}"]
    found = measure("json_valid", [Answer(str(i), "{}", text) for i, text in enumerate(said)])["json_valid"]
    np.testing.assert_array_equal(found.values, [1, 1, 0, 0, 0, 0, 0, 1])
