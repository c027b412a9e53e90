"""What every metric keeps to."""

from __future__ import annotations

import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunewright.base.errors import InputError
from tunewright.base.plugins import METRICS
from tunewright.metrics import Answer, Measure, about, measure_names, measure_pieces, place

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
    "```\n# not closed",
]
RECORDS = ['{"x": 1, "y": "q"}', '{"x": null, "y": ""}', '{"x": 1, "y": "r"}']
# What a metric cannot do without, and right answers of its own kind.
SETTINGS: dict[str, dict[str, Any]] = {
    "cost": {"read_price": 0.5, "written_price": 1.5},
    "pass_at_k": {"runs_code": True},
    "schema_valid": {
        "json_schema": {"type": "object", "required": ["x"], "properties": {"x": {"type": ["integer", "null"]}}}
    },
    "similarity": {"kinds": ["sentence", "tokens"]},
}
RIGHT = {"numeric_match": ["so 7", "#### 1,200", "1/2"], "pass_at_k": ["x = 1", "x = 2", "```py\nx = 3\n```"]}


def measure(name: str, answers: list[Answer], **settings: Any) -> dict[str, Measure]:
    """A metric's measures, by name."""
    (config,) = place([METRICS.config(name)(**settings)], Path("no models here"))
    found = METRICS.call(name, "measure", config, answers)
    return {one.name: one for one in found}


def value(name: str, answers: list[Answer], **settings: Any) -> float:
    """The value of a metric that has one measure."""
    (found,) = measure(name, answers, **settings).values()
    return found.value


def check_metric(name: str) -> None:
    """Finite, best for perfect answers, the same however answers are ordered and cut, reducible along any shape."""
    settings = SETTINGS.get(name, {})
    right = RIGHT.get(name, RECORDS)
    (config,) = place([METRICS.config(name)(**settings)], Path("no models here"))
    with pytest.raises(InputError):
        METRICS.call(name, "measure", config, [])

    perfect = [_answer(str(row), right[row % 3], right[row % 3]) for row in range(7)]
    for key, found in measure(name, perfect, **settings).items():
        known = about(key)
        assert known, f"{name}.py does not say what {key} is: add it to ABOUT"
        assert known.best is None or found.value == pytest.approx(known.best, abs=1e-6)
    assert measure_names(config, perfect) == list(measure(name, perfect, **settings))

    draw = random.Random(5)
    answers = [_answer(str(row), draw.choice(right), draw.choice(SAID + right), draw) for row in range(50)]
    measures = measure(name, answers, **settings)
    assert measures
    shuffled = measure(name, draw.sample(answers, len(answers)), **settings)
    cut = measure_pieces([answers[:1], answers[1:1], answers[1:20], answers[20:]], [config])
    assert measures.keys() == shuffled.keys() == cut.keys()
    rows = np.random.default_rng(1).integers(0, 50, size=(2, 3, 50))
    for key, found in measures.items():
        known = about(key)
        assert known
        assert found.values.shape == (50,)
        assert np.isfinite(found.values).all()
        assert np.isfinite(found.value)
        assert known.best is None or found.value != pytest.approx(known.best)
        assert not known.is_share or 0 <= found.value <= 1
        assert found.value == pytest.approx(shuffled[key].value, rel=1e-12)
        reduced = found.reduce(rows)
        assert reduced.shape == (2, 3)
        one_by_one = [[float(found.reduce(resample)) for resample in some] for some in rows]
        np.testing.assert_allclose(reduced, one_by_one, rtol=1e-12)
        np.testing.assert_allclose(cut[key].values, found.values, rtol=1e-12)
        np.testing.assert_allclose(cut[key].reduce(rows), reduced, rtol=1e-12)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)).reduce(rows), reduced)


def _answer(row: str, reference: str, prediction: str, draw: random.Random | None = None) -> Answer:
    """An answer with all that comes with one: the best there is, or drawn."""
    return Answer(
        row,
        reference,
        prediction,
        nats=draw.random() if draw else 0.0,
        tokens=draw.randint(1, 9) if draw else 2,
        probability=draw.random() if draw else 1.0,
        seconds=draw.random() if draw else 0.5,
        read=draw.randint(1, 90) if draw else 10,
        written=draw.randint(1, 9) if draw else 2,
        reward=draw.random() if draw else 1.0,
        columns={"test": "assert x"},
    )
