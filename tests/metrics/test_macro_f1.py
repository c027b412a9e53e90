"""Macro-averaged F1, by hand and against scikit-learn."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from tests.metrics.contract import measure, value
from tunewright.metrics import Answer


def _answers(references: list[str], predictions: list[str]) -> list[Answer]:
    return [Answer(str(i), *pair) for i, pair in enumerate(zip(references, predictions, strict=True))]


def test_by_hand() -> None:
    # a: 2 right of 2 given and 3 asked: 4/5. b: 1 right of 2 given and 1 asked: 2/3. Mean 11/15.
    assert value("macro_f1", _answers(["a", "a", "a", "b"], ["a", "a", "b", "b"])) == pytest.approx(11 / 15)


def test_an_answer_that_is_no_label_opens_no_class() -> None:
    # a: 1 right, 1 given, 2 asked: 2/3. "words" is a miss for a, and not a third class.
    assert value("macro_f1", _answers(["a", "a", "b"], ["a", "words", "b"])) == pytest.approx((2 / 3 + 1) / 2)


def test_a_label_without_a_true_positive_scores_zero() -> None:
    assert value("macro_f1", _answers(["a", "b"], ["a", ""])) == 0.5
    assert value("macro_f1", _answers(["a", "b"], ["b", "a"])) == 0.0


@settings(deadline=None, max_examples=15)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["a", "b", "c", "d", "x", ""])), min_size=1, max_size=30
    ),
    st.integers(0, 2**32 - 1),
)
def test_equals_scikit_learn_on_the_whole_and_on_resamples(pairs: list[tuple[str, str]], seed: int) -> None:
    references, predictions = (np.array(side) for side in zip(*pairs, strict=True))
    (found,) = measure("macro_f1", _answers(list(references), list(predictions))).values()
    known = set(references)
    rows = np.random.default_rng(seed).integers(0, len(pairs), size=(5, len(pairs)))
    for resample in [np.arange(len(pairs)), *rows]:
        met = known & (set(references[resample]) | set(predictions[resample]))
        expected = f1_score(
            references[resample], predictions[resample], labels=sorted(met), average="macro", zero_division=0
        )
        assert float(found.reduce(resample)) == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(found.reduce(rows), [float(found.reduce(one)) for one in rows])


def test_two_thousand_resamples_are_quick() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 77, size=(2, 3080)).astype(str)
    (found,) = measure("macro_f1", _answers(list(labels[0]), list(labels[1]))).values()
    rows = random.integers(0, 3080, size=(2000, 3080))
    started = time.process_time()
    found.reduce(rows)
    assert time.process_time() - started < 5  # one bincount a count; scikit-learn 2,000 times takes a minute
