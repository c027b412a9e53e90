"""F1 of labels: the harmonic mean of their precision and recall.

Averaged over all rows, over the labels alike, over the labels by their rows, and of each label. What counts as a label,
and what resamples are averaged over: `metrics/_labels.py`. Equals scikit-learn's `f1_score` over
`labels=<reference labels>`, with the same `zero_division`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer
from tunewright.metrics._labels import LabelsConfig, average_names, label_measures, observe_labels
from tunewright.metrics._labels import f1 as score
from tunewright.metrics._measure import Measure
from tunewright.metrics._pieces import Observed

_MEANING = "the harmonic mean of precision and recall"
ABOUT = {
    "f1_micro": About("F1, all rows", f"{_MEANING}, over all rows together"),
    "f1_macro": About("F1, labels alike", f"{_MEANING}, averaged over the labels"),
    "f1_weighted": About("F1, by rows", f"{_MEANING}, averaged over the labels by their rows"),
    "f1[*]": About("F1 of *", f"{_MEANING}, for the label “*”"),
}


class Config(LabelsConfig):
    """Settings of the F1."""

    name: Literal["f1"] = "f1"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """1 where the label is right, else 0; reduced to `f1_micro`, … and, where asked for, `f1[<label>]`."""
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
