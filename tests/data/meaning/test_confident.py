"""Confident learning, worked by hand."""

from __future__ import annotations

import numpy as np

from tunewright.data.meaning.confident import suspects


def test_the_confident_joint_worked_by_hand() -> None:
    shares = np.array(
        [
            [0.9, 0.1, 0.0],  # label 0
            [0.7, 0.2, 0.1],  # label 0
            [0.2, 0.7, 0.1],  # label 0, sure to be 1
            [0.3, 0.6, 0.1],  # label 1
            [0.1, 0.8, 0.1],  # label 1
            [0.65, 0.2, 0.15],  # label 1: sure to be 0
            [0.1, 0.1, 0.8],  # label 2
            [0.3, 0.3, 0.4],  # label 2: sure of nothing
        ]
    )
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    # Mean own shares: 0: (0.9 + 0.7 + 0.2) / 3 = 0.6; 1: (0.6 + 0.8 + 0.2) / 3 = 0.533; 2: (0.8 + 0.4) / 2 = 0.6.
    found = suspects(shares, labels)
    assert found.joint.tolist() == [[2, 1, 0], [1, 2, 0], [0, 0, 1]]
    # The clearer one first: 0.7 against 0.2, then 0.65 against 0.2.
    assert found.rows.tolist() == [2, 5]
    assert found.better.tolist() == [1, 0]
    # 0.7 is 3.5 times 0.2, and 0.65 is 3.25 times.
    assert suspects(shares, labels, odds=3.4).rows.tolist() == [2]


def test_a_hard_class_asks_for_less_but_never_beats_a_likelier_label() -> None:
    shares = np.array([[0.6, 0.4], [0.9, 0.1], [0.7, 0.3], [0.8, 0.2]])
    labels = np.array([0, 0, 1, 1])
    # Mean own shares 0.75 and 0.25. Row 0 reaches only class 1's, and is likelier 0 all the same; row 2 reaches only
    # its own, although 0 is likelier; row 3 reaches class 0's, and not its own.
    found = suspects(shares, labels)
    assert found.joint.tolist() == [[1, 1], [1, 1]]
    assert found.rows.tolist() == [3]


def test_it_gives_what_cleanlab_gives() -> None:
    """`cleanlab.filter.find_label_issues(labels, shares, filter_by="confident_learning")`, cleanlab 2.9.0."""
    rng = np.random.default_rng(11)
    labels = rng.integers(0, 4, 60)
    shares = rng.dirichlet(np.full(4, 0.5), 60) + 0.5 * np.eye(4)[labels]
    shares /= shares.sum(1, keepdims=True)
    assert sorted(suspects(shares, labels).rows.tolist()) == [2, 3, 11, 20, 22, 31, 32, 36]
