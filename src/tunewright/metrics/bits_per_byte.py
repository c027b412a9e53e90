"""How many bits the model needs for a byte of the reference text: what a compressor built on it would reach.

Unlike perplexity it does not depend on the tokenizer, so that models with different ones compare. Resamples are reduced
as a ratio, summed bits over summed bytes (Gao et al. 2020, arXiv:2101.00027, section 3.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._answer import Answer, Measure
from tunewright.metrics._likelihood import mean_likelihood


class Config(PluginConfig):
    """Bits per byte has no settings."""

    name: Literal["bits_per_byte"] = "bits_per_byte"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """The bits per byte of each reference text; none at all where the system gives no likelihoods.

    Raises:
        InputError: If only some references have a likelihood, one is not finite, or one has no bytes.
    """
    return mean_likelihood(config.name, answers, unit="byte", size=_bytes, value=lambda nats: nats / math.log(2))


def _bytes(answer: Answer) -> int:
    return len(answer.reference.encode()) if answer.bytes is None else answer.bytes
