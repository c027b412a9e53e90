"""How many bits the model needs for a byte of the reference text: what a compressor built on it would reach.

Unlike perplexity it does not depend on the tokenizer, so that models with different ones compare. Resamples are reduced
as a ratio, summed bits over summed bytes (Gao et al. 2020, arXiv:2101.00027, section 3.1).
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
    """Bits per byte has no settings."""

    name: Literal["bits_per_byte"] = "bits_per_byte"


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """The bits per byte of each reference text; none at all where the system gives no likelihoods.

    Raises:
        InputError: If only some references have a likelihood, one is not finite, or one has no bytes.
    """
    require_answers(config.name, answers)
    if all(answer.nats is None for answer in answers):
        return []
    sizes = [len(answer.reference.encode()) if answer.bytes is None else answer.bytes for answer in answers]
    broken = [
        answer.id
        for answer, size in zip(answers, sizes, strict=True)
        if answer.nats is None or not math.isfinite(answer.nats) or size < 1
    ]
    if broken:
        raise InputError(
            f"References without a finite log-likelihood over at least one byte: {name_ids(broken)}",
            where=config.name,
            hint="A model that gives NaN has diverged: train again with a lower train.learning_rate.",
        )
    bits = np.array([answer.nats for answer in answers], dtype=np.float64) / math.log(2)
    size = np.array(sizes, dtype=np.float64)

    def reduce(rows: Ints) -> Floats:
        value: Floats = np.asarray(bits[rows].sum(axis=-1) / size[rows].sum(axis=-1))
        return value

    return [Measure(config.name, bits / size, reduce)]
