"""Times of answers."""

from __future__ import annotations

import pytest

from tests.metrics.contract import measure
from tunewright.base.errors import InputError
from tunewright.metrics import Answer


def _answers(*seconds: float | None) -> list[Answer]:
    return [Answer(str(row), "", "", seconds=each) for row, each in enumerate(seconds)]


def test_by_hand() -> None:
    found = measure("latency", _answers(*range(1, 101)))
    assert found["latency_p50"].value == 50.5  # the mean of the middle two
    assert found["latency_p95"].value == pytest.approx(95.05)


def test_answers_without_a_time() -> None:
    assert measure("latency", _answers(None, None)) == {}
    with pytest.raises(InputError, match="without a time in seconds: 1"):
        measure("latency", _answers(1.0, None))
    with pytest.raises(InputError, match="without a time in seconds: 1"):
        measure("latency", _answers(1.0, float("nan")))
