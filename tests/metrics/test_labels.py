"""Precision, recall and F1 of labels, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from tests.metrics.contract import measure
from tunewright.metrics import Answer

NAMES = ("precision", "recall", "f1")


def _answers(references: list[str], predictions: list[str]) -> list[Answer]:
    return [Answer(str(i), *pair) for i, pair in enumerate(zip(references, predictions, strict=True))]


@settings(deadline=None, max_examples=12)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "ab", "c"]), st.sampled_from(["a", "ab", "c", "abc", ""])),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from([0, 1]),
)
def test_equals_scikit_learn(pairs: list[tuple[str, str]], zero_division: int) -> None:
    references, predictions = (list(side) for side in zip(*pairs, strict=True))
    labels = sorted(set(references))
    asked = {"labels": labels, "zero_division": zero_division}
    for place, name in enumerate(NAMES):
        found = measure(name, _answers(references, predictions), zero_division=zero_division, per_class=True)
        for average in ("micro", "macro", "weighted"):
            expected = precision_recall_fscore_support(references, predictions, average=average, **asked)[place]
            assert found[f"{name}_{average}"].value == pytest.approx(expected, abs=1e-12)
        each = precision_recall_fscore_support(references, predictions, average=None, **asked)[place]
        assert [found[f"{name}[{label}]"].value for label in labels] == pytest.approx(list(each), abs=1e-12)


def test_labels_that_are_prefixes_of_others_stay_apart() -> None:
    found = measure("recall", _answers(["card", "card lost"], ["card lost", "card"]), per_class=True)
    assert {name: one.value for name, one in found.items()} == dict.fromkeys(found, 0.0)
    assert "recall[card lost]" in found


def test_empty_answers_are_wrong_and_counted() -> None:
    found = measure("precision", _answers(["a", "a", "a", "a"], ["a", "", " ", "a"]))
    assert found["precision_micro"].value == 1.0  # an empty answer gives no label
    assert measure("recall", _answers(["a", "a", "a", "a"], ["a", "", " ", "a"]))["recall_micro"].value == 0.5
    assert len(found["precision_micro"].values) == 4


def test_only_the_averages_that_are_asked_for() -> None:
    assert list(measure("f1", _answers(["a"], ["a"]), averages=["macro"])) == ["f1_macro"]


def test_a_resample_of_subsets_counts_its_own_rows() -> None:
    found = measure("recall", _answers(["a", "b", "b"], ["a", "a", "b"]))["recall_macro"]
    np.testing.assert_allclose(found.reduce(np.array([[0, 0], [1, 2]])), [1.0, 0.25])
    # In the second, "a" is given once and never wanted: it occurs, and its recall is zero_division, 0.


def test_metrics_of_the_same_answers_share_their_resamples() -> None:
    first, other = _answers(["a", "b"], ["a", "x"]), _answers(["a", "b"], ["a", "b"])
    shared = {id(one.sums) for name in NAMES for one in measure(name, first).values()}
    assert len(shared) == 1
    assert measure("f1", other)["f1_macro"].value == 1.0  # and those of others do not
    assert measure("f1", first)["f1_macro"].value == 0.5
