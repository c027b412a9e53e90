"""How surprised the model is by a token of the reference answers: the exponential of their mean nats per token.

Resamples are reduced as a ratio, summed nats over summed tokens, so that long answers weigh by their length and the
value does not depend on batching.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from tunewright.base.errors import InputError
from tunewright.base.plugins import PluginConfig
from tunewright.metrics._answer import Answer, Floats, Ints, Measure, name_ids, require_answers


class Config(PluginConfig):
    """Perplexity has no settings."""

    name: Literal["perplexity"] = "perplexity"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """The perplexity of each reference answer; none at all where the system gives no likelihoods.

    Raises:
        InputError: If only some answers have a likelihood, one is not finite, or one counts no token.
    """
    require_answers(config.name, answers)
    if all(answer.nats is None for answer in answers):
        return []
    broken = [answer.id for answer in answers if not _is_scored(answer)]
    if broken:
        raise InputError(
            f"References without a finite log-likelihood over at least one token: {name_ids(broken)}",
            where=config.name,
            hint="A model that gives NaN has diverged: train again with a lower train.learning_rate.",
        )
    nats = np.array([answer.nats for answer in answers], dtype=np.float64)
    tokens = np.array([answer.tokens for answer in answers], dtype=np.float64)

    def reduce(rows: Ints) -> Floats:
        value: Floats = np.asarray(np.exp(nats[rows].sum(axis=-1) / tokens[rows].sum(axis=-1)))
        return value

    return [Measure(config.name, np.exp(nats / tokens), reduce)]


def _is_scored(answer: Answer) -> bool:
    return answer.nats is not None and math.isfinite(answer.nats) and (answer.tokens or 0) >= 1
