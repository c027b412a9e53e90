"""How far two people agree."""

from __future__ import annotations

import pytest

from tunewright.base.errors import DataError
from tunewright.data.labelling.agreement import Disagreement, compare_labels
from tunewright.data.labelling.journal import Labelled


def _labels(pairs: dict[str, str]) -> list[Labelled]:
    return [Labelled(text, text, label, "f", 1) for text, label in pairs.items()]


def test_kappa_of_the_textbook_table() -> None:
    """Of 50 texts 20 both call yes, 15 both no, 5 and 10 differ: agreement 0.7, by chance 0.5, so kappa is 0.4."""
    both = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    first = _labels({str(number): one for number, (one, _) in enumerate(both)})
    second = _labels({str(number): other for number, (_, other) in enumerate(both)} | {"more": "y"})
    found = compare_labels([*first, *_labels({"a": "y", "b": "n"})], second)
    assert found.kappa == pytest.approx(0.4)
    assert (found.both, found.agreed, found.only_first, found.only_second) == (50, 35, 2, 1)
    assert found.confused == (("n", "y", 10), ("y", "n", 5))
    assert len(found.disagreements) == 15
    assert found.disagreements[0] == Disagreement("20", "20", "y", "n")


def test_full_agreement_and_none() -> None:
    labels = _labels({"a": "x", "b": "y"})
    assert compare_labels(labels, labels).kappa == 1
    assert compare_labels(labels, _labels({"a": "y", "b": "x"})).kappa == -1
    assert compare_labels(_labels({"a": "x", "b": "x"}), _labels({"a": "x", "b": "x"})).kappa is None
    with pytest.raises(DataError, match="No text was labelled by both"):
        compare_labels(labels, _labels({"c": "x"}))
