from __future__ import annotations

import math

import numpy as np
import pytest

from tests.metrics.contract import measure, value
from tunewright.base.errors import InputError
from tunewright.metrics import Answer

TWO = math.log(2)
ANSWERS = [Answer("a", "", "", nats=8 * TWO, tokens=3, bytes=4), Answer("b", "é", "", nats=2 * TWO, tokens=1)]


def test_bits_over_bytes_by_hand() -> None:
    (found,) = measure("bits_per_byte", ANSWERS).values()
    assert found.values.tolist() == pytest.approx([2.0, 1.0])  # "é" has two bytes
    assert found.value == pytest.approx(10 / 6)  # long documents weigh by their length
    assert found.reduce(np.array([[0, 0], [1, 1]])).tolist() == pytest.approx([2.0, 1.0])


def test_systems_without_likelihoods_have_none() -> None:
    assert measure("bits_per_byte", [Answer("a", "x", "y")]) == {}


@pytest.mark.parametrize(
    "broken", [Answer("b", "x", ""), Answer("b", "", "", nats=1.0), Answer("b", "x", "", nats=math.inf)]
)
def test_what_cannot_be_measured_is_named(broken: Answer) -> None:
    with pytest.raises(InputError, match="byte: b"):
        value("bits_per_byte", [ANSWERS[0], broken])
