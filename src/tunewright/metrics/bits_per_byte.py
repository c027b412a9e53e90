"""How many bits the model needs for a byte of the reference text: what a compressor built on it would reach.

Unlike perplexity it does not depend on the tokenizer, so that models with different ones compare. Resamples are reduced
as a ratio, summed bits over summed bytes (Gao et al. 2020, arXiv:2101.00027, section 3.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer
from tunewright.metrics._likelihood import mean_likelihood
from tunewright.metrics._measure import Floats, Measure

ABOUT = {
    "bits_per_byte": About(
        "Bits per byte",
        "how many bits the model needs for a byte of the held-out documents; less is better",
        best=0.0,
        is_share=False,
        less_is_better=True,
    )
}


class Config(PluginConfig):
    """Bits per byte has no settings."""

    name: Literal["bits_per_byte"] = "bits_per_byte"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """The bits per byte of each reference text; none at all where the system gives no likelihoods.

    Raises:
        InputError: If only some references have a likelihood, one is not finite, or one has no bytes.
    """
    return mean_likelihood(config.name, answers, unit="byte", size=_bytes, value=_bits)


def _bytes(answer: Answer) -> int:
    return len(answer.reference.encode()) if answer.bytes is None else answer.bytes


def _bits(nats: Floats) -> Floats:
    return nats / math.log(2)
