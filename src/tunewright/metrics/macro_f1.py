"""Mean of the labels' F1 scores: rare labels count as much as frequent ones.

What counts as a label, and what resamples are averaged over: `metrics/_labels.py`. The F1 of a label without a true
positive is 0 (scikit-learn's `zero_division=0`). On the whole set this equals
`sklearn.metrics.f1_score(average="macro", labels=<reference labels>, zero_division=0)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer
from tunewright.metrics._labels import f1, label_measure, observe_labels
from tunewright.metrics._measure import Measure
from tunewright.metrics._pieces import Observed

ABOUT = {
    "macro_f1": About("Macro-F1", "F1 averaged over the labels, so that rare labels count as much as common ones"),
    "*_macro_f1": About("* macro-F1", "F1 averaged over the labels, so that rare labels count as much as common ones"),
}


class Config(PluginConfig):
    """The macro-averaged F1 has no settings."""

    name: Literal["macro_f1"] = "macro_f1"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """1 where the label is right, else 0; reduced to the macro-averaged F1."""
    return measures(config, observe(config, answers))


def observe(config: Config, answers: Sequence[Answer]) -> Observed:
    """Of each answer, which label was right and which was given."""
    return observe_labels(config.name, answers)


def measures(config: Config, observed: Observed) -> list[Measure]:
    """The macro-averaged F1 of what was observed."""
    return [label_measure(config.name, observed, f1, average="macro")]
