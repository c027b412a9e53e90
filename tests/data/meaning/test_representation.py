"""The two-sample test over vectors."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tunewright.data.meaning import representation
from tunewright.data.meaning.representation import difference


def cloud(rows: int, seed: int, middle: float = 0.0) -> np.ndarray:
    """Unit vectors around a point that leans to the first axis."""
    vectors = np.random.default_rng(seed).normal(size=(rows, 8)) + middle * np.eye(8)[0]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_sets_of_one_source_cannot_be_told_apart_and_others_can() -> None:
    same = difference(cloud(150, 1), cloud(60, 2), seed=3)
    assert abs(same.auc - 0.5) < 0.1
    assert same.p_value > 0.05
    other = difference(cloud(150, 1), cloud(60, 2, middle=2.0), seed=3)
    assert other.auc > 0.8
    assert other.p_value == pytest.approx(1 / 200)
    assert (other.one_score.shape, other.other_score.shape) == ((150,), (60,))
    assert other.other_score.mean() > other.one_score.mean()


def test_false_alarms_are_as_rare_as_the_p_value_says() -> None:
    values = [difference(cloud(30, seed), cloud(30, 1000 + seed), seed=seed, shuffles=19).p_value for seed in range(60)]
    # Uniform on 1/20 … 20/20: of 60 draws 3 are expected at 0.05, and 30 at 0.5 or below; four deviations either side.
    assert sum(value <= 0.05 for value in values) <= 10
    assert 15 <= sum(value <= 0.5 for value in values) <= 45


def test_the_area_is_scikit_learns_ties_included() -> None:
    score = np.array([0.1, 0.4, 0.4, 0.8, 0.4])
    member = np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    assert representation._area(score, member) == pytest.approx(roc_auc_score(member, score))


def test_a_single_text_on_each_side_is_no_crash() -> None:
    assert difference(cloud(1, 1), cloud(1, 2), seed=0).p_value <= 1
