"""Whether a system is as sure as it is right: expected calibration error and Brier score of its probabilities.

Of a system that says 0.8 a hundred times, 80 answers should be right. The expected calibration error (Guo et al. 2017)
puts answers into bins of equal width by probability, and averages by their rows how far the share of right answers is
from the mean probability. The Brier score (1950) is the mean squared distance of the probability from 1 where the
answer is right, and from 0 where it is wrong. Systems that give no probabilities have neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from tunewright.base.plugins import PluginConfig
from tunewright.metrics._about import About
from tunewright.metrics._answer import Answer
from tunewright.metrics._measure import Floats, Measure, Sums
from tunewright.metrics._numbers import read_numbers

ABOUT = {
    "ece": About(
        "Calibration error",
        "how far the system's own probabilities are from how often it is right; less is better",
        best=0.0,
        less_is_better=True,
    ),
    "brier": About(
        "Brier score",
        "squared distance of the system's own probabilities from what came true; less is better",
        best=0.0,
        less_is_better=True,
    ),
}


class Config(PluginConfig):
    """Settings of the calibration."""

    name: Literal["calibration"] = "calibration"
    bins: int = Field(10, ge=1, le=100, description="Bins of equal width between 0 and 1.")


def measure(config: Config, answers: Sequence[Answer]) -> list[Measure]:
    """`ece` and `brier`; an answer is right where it equals a reference, white space at both ends aside.

    Raises:
        InputError: If only some answers have a probability, or one is not in 0…1.
    """
    sure = read_numbers(
        config.name,
        answers,
        lambda answer: answer.probability,
        what="a probability between 0 and 1",
        hint="Give one for every answer, or for none.",
        largest=1.0,
    )
    if sure is None:
        return []
    right = np.array([_is_right(answer) for answer in answers], dtype=np.float64)
    gaps = sure - right
    # A bin holds its upper edge, as in the paper, and the first one holds 0 as well.
    bins = np.clip(np.ceil(sure * config.bins).astype(np.int64) - 1, 0, config.bins - 1)
    columns = np.stack([gaps, np.ones_like(gaps)], axis=-1)
    sums = Sums(columns, codes=bins.astype(np.int8), cells=config.bins)
    note = f"{config.bins} bins of equal width"
    return [Measure("ece", np.abs(gaps), sums=sums, formula=_ece, note=note), Measure("brier", gaps**2)]


def _ece(sums: Floats) -> Floats:
    """Distances summed by bin, then counts, bin by bin: shape (..., 2 · bins) to (...)."""
    errors: Floats = np.asarray(np.abs(sums[..., 0::2]).sum(axis=-1) / sums[..., 1::2].sum(axis=-1))
    return errors


def _is_right(answer: Answer) -> bool:
    return answer.prediction.strip() in (right.strip() for right in (answer.reference, *answer.references))
