"""The learning curve and the law through it."""

from __future__ import annotations

import numpy as np
import pytest

from tunewright.base.errors import DataError
from tunewright.data.meaning.curve import _part, fit_law, learning_curve


def noisy_classes(rows: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Three classes on three axes of twenty, with noise."""
    rng = np.random.default_rng(seed)
    number = rng.integers(0, 3, rows)
    vectors = rng.normal(size=(rows, 20)) + 2.0 * np.eye(20)[number]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), [f"class {each}" for each in number]


def test_a_law_is_found_again() -> None:
    rows = np.array([50, 100, 200, 400, 800, 1600])
    law = fit_law(rows, 1 - (0.05 + 2.0 * rows**-0.6), held_rows=1000)
    assert [law.floor, law.scale, law.fall] == pytest.approx([0.05, 2.0, 0.6], rel=5e-3)
    assert law.accuracy(3200) == pytest.approx(1 - (0.05 + 2.0 * 3200**-0.6), abs=1e-4)


def test_a_perfect_and_a_flat_curve_are_laws_too() -> None:
    rows = np.array([50, 100, 200])
    assert fit_law(rows, np.ones(3), 100).accuracy(400) == pytest.approx(1, abs=1e-3)
    assert fit_law(rows, np.full(3, 0.7), 100).accuracy(400) == pytest.approx(0.7, abs=0.01)


def test_the_expected_gain_covers_what_twice_the_rows_gave() -> None:
    vectors, labels = noisy_classes(1200, 1)
    held, held_labels = noisy_classes(800, 2)
    half = learning_curve(vectors[:600], labels[:600], held, held_labels, seed=5)
    whole = learning_curve(vectors, labels, held, held_labels, seed=5)
    assert [point.rows for point in half.points] == [19, 38, 75, 150, 300, 600]
    assert [len(point.accuracies) for point in half.points] == [4, 4, 4, 4, 4, 1]
    gained = whole.points[-1].mean - half.points[-1].mean
    assert half.gain_low - 0.01 <= gained <= half.gain_high + 0.01
    assert half.gain_low <= half.gain <= half.gain_high
    assert half.doubled == pytest.approx(half.law.accuracy(1200))
    again = learning_curve(vectors[:600], labels[:600], held, held_labels, seed=5)
    assert again == half


def test_parts_hold_each_label_in_its_share() -> None:
    names = np.array(["a"] * 60 + ["b"] * 30 + ["c"] * 10, dtype=object)
    part = _part(names, 50, np.random.default_rng(0))
    assert len(set(part.tolist())) == 50
    counts = {name: int((names[part] == name).sum()) for name in "abc"}
    assert counts["a"] in (29, 30, 31)
    assert counts["b"] in (14, 15, 16)
    assert counts["c"] in (4, 5, 6)


def test_too_few_rows_are_refused() -> None:
    vectors, labels = noisy_classes(12, 1)
    with pytest.raises(DataError, match="12 rows with 3 labels are too few"):
        learning_curve(vectors, labels, vectors, labels, seed=0)
