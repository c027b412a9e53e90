"""Share of answers that are the right label, white space at both ends aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer, require_answers
from tunewright.metrics._measure import Measure, share

ABOUT = {"accuracy": About("Accuracy", "the answer is the expected label")}


class Config(PluginConfig):
    """Accuracy has no settings."""

    name: Literal["accuracy"] = "accuracy"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """1 where the stripped answer is the label, else 0; reduced to the mean."""
    require_answers(config.name, answers)
    return [share(config.name, [answer.prediction.strip() == answer.reference.strip() for answer in answers])]
