"""Precision of labels: of the answers that give a label, the share that is right.

Averaged over all rows, over the labels alike, over the labels by their rows, and of each label. What counts as a label,
and what resamples are averaged over: `metrics/_labels.py`. Equals scikit-learn's `precision_score` over
`labels=<reference labels>`, with the same `zero_division`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer
from tunewright.metrics._labels import LabelsConfig, average_names, label_measures, observe_labels
from tunewright.metrics._labels import precision as score
from tunewright.metrics._measure import Measure
from tunewright.metrics._pieces import Observed

_MEANING = "of the answers that give a label, the share that is right"
ABOUT = {
    "precision_micro": About("Precision, all rows", f"{_MEANING}, over all rows together"),
    "precision_macro": About("Precision, labels alike", f"{_MEANING}, averaged over the labels"),
    "precision_weighted": About("Precision, by rows", f"{_MEANING}, averaged over the labels by their rows"),
    "precision[*]": About("Precision of *", f"{_MEANING}, for the label “*”"),
}


class Config(LabelsConfig):
    """Settings of the precision."""

    name: Literal["precision"] = "precision"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """1 where the label is right, else 0; reduced to `precision_micro`, …, and `precision[<label>]` if asked."""
    return measures(config, observe(config, answers))


def observe(config: Config, answers: Sequence[Answer]) -> Observed:
    """Of each answer, which label was right and which was given."""
    return observe_labels(config.name, answers)


def measures(config: Config, observed: Observed) -> list[Measure]:
    """The averages that are asked for, and each label's, of what was observed."""
    return label_measures(config, observed, score, stem=config.name)


def names(config: Config) -> list[str]:
    """The averages' names; those of single labels are known once answers are."""
    return average_names(config, config.name)
