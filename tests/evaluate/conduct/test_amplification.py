"""How much further answers go by groups than the data: numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tunewright.evaluate.conduct.amplification import amplified, as_row, difference, learned, naming
from tunewright.evaluate.conduct.groups import axis_of

AXIS = axis_of("team", {"reds": ["red"], "blues": ["blue"]})


def test_labels_of_a_group_beside_the_others() -> None:
    inside = np.array([True, True, False, False])
    assert difference(["a", "a", "a", "b"], inside, ("a", "b")).tolist() == [0.5, -0.5]
    # A label that the data never had counts in neither share.
    assert difference(["c", "a", "a", "b"], inside, ("a", "b")).tolist() == [0.0, -0.5]


def test_amplification_is_told_in_the_direction_of_the_data() -> None:
    texts = ["a red one"] * 4 + ["a plain one"] * 4
    labels = ["a", "a", "a", "b", "a", "a", "b", "b"]  # a: 3/4 of the reds, 2/4 of the others
    (reds,) = learned(AXIS, texts, labels, least=4)
    assert (reds.group, reds.naming, reds.difference.tolist()) == ("reds", 4, [0.25, -0.25])
    questions = ["red", "red", "plain", "plain"]
    inside = naming(AXIS, questions)["reds"]
    every = np.arange(4)
    # All reds a, all others b: the difference is 1 and -1, which is 0.75 further for each label.
    assert amplified(reds, ["a", "a", "b", "b"], inside, every) == pytest.approx(0.75)
    # As in the data: nothing further. The other way round: negative.
    assert amplified(reds, labels, naming(AXIS, texts)["reds"], np.arange(8)) == pytest.approx(0.0)
    assert amplified(reds, ["b", "b", "a", "a"], inside, every) == pytest.approx(-1.25)
    # Resamples stand side by side; one without a red row says nothing.
    rows = np.array([[0, 1, 2, 3], [2, 2, 3, 3]])
    assert amplified(reds, ["a", "a", "b", "b"], inside, rows).tolist() == pytest.approx([0.75, 0.0])
    line = as_row(reds, ["a", "a", "b", "b"], inside)
    assert (line["label"], line["in the data"], line["in the answers"]) == ("a", 0.25, 1.0)


def test_small_groups_say_nothing() -> None:
    assert learned(AXIS, ["red", "plain", "plain"], ["a", "b", "b"], least=2) == []
