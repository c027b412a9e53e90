"""What every metric keeps to."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from tunewright.base.errors import InputError
from tunewright.base.plugins import METRICS
from tunewright.metrics import Answer, Measure

# What models say when they go wrong, and what they say when they are right.
CALL = '{"name": "x", "arguments": {"y": 1}}'
SAID = [
    CALL,
    "",
    "   ",
    "a",
    "b",
    "never seen",
    "{",
    "null",
    "NaN",
    "[1]",
    '{"x": NaN}',
    '{"x": 1}',
    '{"x": 2, "y": "q"}',
]
RECORDS = ['{"x": 1, "y": "q"}', '{"x": null, "y": ""}', '{"x": 1, "y": "r"}']


def measure(name: str, answers: list[Answer], **settings: Any) -> dict[str, Measure]:
    """A metric's measures, by name."""
    found = METRICS.call(name, "measure", METRICS.config(name)(**settings), answers)
    return {one.name: one for one in found}


def value(name: str, answers: list[Answer], **settings: Any) -> float:
    """The value of a metric that has one measure."""
    (found,) = measure(name, answers, **settings).values()
    return found.value


def check_metric(name: str) -> None:
    """Finite, order-independent, best for perfect answers, reducible along any shape, and none for no answers."""
    with pytest.raises(InputError):
        METRICS.call(name, "measure", METRICS.config(name)(), [])

    perfect = [Answer(str(row), RECORDS[row % 3], RECORDS[row % 3], nats=0.0, tokens=2) for row in range(7)]
    for key, found in measure(name, perfect).items():
        assert found.value == (0.0 if key == "bits_per_byte" else 1.0)

    draw = random.Random(5)
    answers = [
        Answer(
            str(row), draw.choice(RECORDS), draw.choice(SAID + RECORDS), nats=draw.random(), tokens=draw.randint(1, 9)
        )
        for row in range(50)
    ]
    measures = measure(name, answers)
    assert measures
    shuffled = measure(name, draw.sample(answers, len(answers)))
    assert measures.keys() == shuffled.keys()
    rows = np.random.default_rng(1).integers(0, 50, size=(2, 3, 50))
    for key, found in measures.items():
        assert found.values.shape == (50,)
        assert np.isfinite(found.values).all()
        assert np.isfinite(found.value)
        assert found.value != 1.0
        assert found.value == pytest.approx(shuffled[key].value, rel=1e-12)
        reduced = found.reduce(rows)
        assert reduced.shape == (2, 3)
        one_by_one = [[float(found.reduce(resample)) for resample in some] for some in rows]
        np.testing.assert_allclose(reduced, one_by_one, rtol=1e-12)
