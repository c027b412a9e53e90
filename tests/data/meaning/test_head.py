"""The light head."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests.data.meaning.test_curve import noisy_classes
from tunewright.base.errors import DataError
from tunewright.data.meaning.head import cross_validated, deal_folds, fit_head


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_are_scikit_learns(classes: int) -> None:
    vectors, labels = noisy_classes(200, 1)
    chosen = [row for row, label in enumerate(labels) if label < f"class {classes}"]
    vectors, labels = vectors[chosen], [labels[row] for row in chosen]
    head = fit_head(vectors, labels)
    model = LogisticRegression(C=10.0, max_iter=200, tol=1e-3).fit(vectors, labels)
    assert head.classes == tuple(model.classes_)
    np.testing.assert_allclose(head.probabilities(vectors), model.predict_proba(vectors), atol=1e-5)
    assert head.classify(vectors) == [head.classes[each] for each in head.probabilities(vectors).argmax(1)]


def test_one_label_is_refused() -> None:
    with pytest.raises(DataError, match="There is one label"):
        fit_head(np.ones((2, 3), dtype=np.float32), ["a", "a"])


def test_folds_depend_on_texts_alone_and_keep_copies_together() -> None:
    texts = [f"text {number}" for number in range(23)] + ["text 3", "few", "fewer"]
    labels = ["a"] * 24 + ["b"] * 2
    folds = deal_folds(texts, labels)
    assert folds[23] == folds[3]
    assert folds[24:].tolist() == [-1, -1]
    assert sorted(np.bincount(folds[:23]).tolist()) == [4, 4, 5, 5, 5]
    order = np.random.default_rng(0).permutation(len(texts))
    shuffled = deal_folds([texts[row] for row in order], [labels[row] for row in order])
    np.testing.assert_array_equal(shuffled, folds[order])


def test_no_row_is_judged_by_a_head_that_has_seen_it() -> None:
    """Labels drawn at random are learned by heart, and yet no better than chance where they are held out."""
    vectors = noisy_classes(100, 1)[0]
    labels = [f"{number % 2}" for number in range(100)]
    classes, shares = cross_validated(vectors, labels, np.arange(100) // 2 % 5)
    right = np.mean([classes[best] == label for best, label in zip(shares.argmax(1), labels, strict=True)])
    assert right < 0.65
    np.testing.assert_allclose(shares.sum(1), 1)
