"""Costs of answers."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.metrics.contract import measure, value
from tunewright.base.errors import InputError
from tunewright.base.plugins import METRICS
from tunewright.metrics import Answer

ANSWERS = [
    Answer("1", "", "", read=1000, written=100, seconds=3.6),
    Answer("2", "", "", read=3000, written=0, seconds=7.2),
]


def test_tokens_by_hand() -> None:
    # 0.0005 + 0.00015 and 0.0015 each; a thousand of their mean.
    assert value("cost", ANSWERS, read_price=0.5, written_price=1.5) == pytest.approx(1.075)


def test_hours_by_hand() -> None:
    assert value("cost", ANSWERS, hour_price=2.0, currency="EUR") == pytest.approx(5.4 / 3600 * 2 * 1000)
    assert measure("cost", ANSWERS, hour_price=2.0, currency="EUR")["cost_per_1000"].note == "EUR"


def test_answers_without_tokens() -> None:
    assert measure("cost", [Answer("1", "", "", written=1)], read_price=1) == {}
    with pytest.raises(InputError, match="a number of tokens read: 2"):
        measure("cost", [ANSWERS[0], Answer("2", "", "")], read_price=1)


def test_a_cost_needs_a_price() -> None:
    with pytest.raises(ValidationError, match="cost needs a price"):
        METRICS.config("cost")()
