"""Calibration error and Brier score, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from tests.metrics.contract import measure
from tunewright.base.errors import InputError
from tunewright.metrics import Answer


def _answers(sure: list[float | None], right: list[bool]) -> list[Answer]:
    return [
        Answer(str(row), "a", "a" if hit else "b", probability=said)
        for row, (said, hit) in enumerate(zip(sure, right, strict=True))
    ]


def test_by_hand() -> None:
    # Bins (0.4, 0.5]: 0.45 said and 0 of 1 right; (0.9, 1.0]: 0.95 and 1.0 said, 1 of 2 right.
    found = measure("calibration", _answers([0.45, 0.95, 1.0], [False, True, False]))
    assert found["ece"].value == pytest.approx(1 / 3 * 0.45 + 2 / 3 * (0.975 - 0.5))
    assert found["brier"].value == pytest.approx((0.45**2 + 0.05**2 + 1) / 3)
    assert found["ece"].note == "10 bins of equal width"


def test_an_edge_belongs_to_the_bin_below_and_zero_to_the_first() -> None:
    # 0.5 and 0.6 would even out in one bin; they lie in two.
    found = measure("calibration", _answers([0.5, 0.6, 0.0], [True, False, False]))
    assert found["ece"].value == pytest.approx((0.5 + 0.6 + 0) / 3)
    assert measure("calibration", _answers([0.5, 0.6], [True, False]), bins=1)["ece"].value == pytest.approx(0.05)


def test_the_brier_score_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    sure, right = random.random(200), random.random(200) < 0.6
    found = measure("calibration", _answers(list(sure), list(right)))["brier"].value
    assert found == pytest.approx(brier_score_loss(right, sure), abs=1e-12)


def test_answers_without_a_probability() -> None:
    assert measure("calibration", _answers([None, None], [True, True])) == {}


@pytest.mark.parametrize("broken", [None, float("nan"), -0.1, 1.1])
def test_a_probability_that_is_none_is_an_error_and_names_the_row(broken: float | None) -> None:
    with pytest.raises(InputError, match="probability between 0 and 1: 1"):
        measure("calibration", _answers([0.5, broken], [True, True]))
