"""How surprised the model is by a token of the reference answers: the exponential of their mean nats per token.

Resamples are reduced as a ratio, summed nats over summed tokens, so that long answers weigh by their length and the
value does not depend on batching.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer
from tunewright.metrics._likelihood import mean_likelihood
from tunewright.metrics._measure import Floats, Measure

ABOUT = {
    "perplexity": About(
        "Perplexity",
        "how surprised the model is by the expected answers, per token; 1 is not at all, less is better",
        is_share=False,
        less_is_better=True,
    )
}


class Config(PluginConfig):
    """Perplexity has no settings."""

    name: Literal["perplexity"] = "perplexity"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """The perplexity of each reference answer; none at all where the system gives no likelihoods.

    Raises:
        InputError: If only some answers have a likelihood, one is not finite, or one counts no token.
    """
    return mean_likelihood(
        config.name, answers, unit="token", size=lambda answer: answer.tokens or 0, value=_exponential
    )


def _exponential(nats: Floats) -> Floats:
    value: Floats = np.asarray(np.exp(nats))
    return value
