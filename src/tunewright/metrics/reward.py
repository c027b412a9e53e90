"""What a grader finds answers worth, on average: what reinforcement raises."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer
from tunewright.metrics._measure import Measure
from tunewright.metrics._numbers import read_numbers

NEEDS_REFERENCE = False
ABOUT = {"reward": About("Mean reward", "points that the recipe's grader gives", best=None, is_share=False)}


class Config(PluginConfig):
    """The reward has no settings: the objective names the grader."""

    name: Literal["reward"] = "reward"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """The mean of the answers' rewards; nothing where none was graded.

    Raises:
        InputError: If only some answers were graded.
    """
    hint = "Grade every answer, or none."
    rewards = read_numbers(
        config.name, answers, lambda answer: answer.reward, what="a reward", hint=hint, least=-math.inf
    )
    return [] if rewards is None else [Measure(config.name, rewards)]
