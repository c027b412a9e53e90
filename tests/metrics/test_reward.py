"""What graders found answers worth."""

from __future__ import annotations

import pytest

from tests.metrics.contract import measure
from tunewright.base.errors import InputError
from tunewright.metrics import Answer


def _answers(*rewards: float | None) -> list[Answer]:
    return [Answer(str(row), "", "", reward=each) for row, each in enumerate(rewards)]


def test_by_hand() -> None:
    assert measure("reward", _answers(1.0, 0.5, -3.0, 0.0))["reward"].value == -0.375


def test_answers_that_nobody_graded() -> None:
    assert measure("reward", _answers(None, None)) == {}
    with pytest.raises(InputError, match="without a reward: 1"):
        measure("reward", _answers(1.0, None))
