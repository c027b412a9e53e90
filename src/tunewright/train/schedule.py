"""Which rows a step learns from, and at which rate: both follow from the recipe and the step's number alone.

Nothing here is state, so that a run which is resumed goes on exactly where it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tunewright.base.seeds import derive
from tunewright.recipe.schema import Train


@dataclass(frozen=True)
class Order:
    """The rows of each step: every epoch is a fresh permutation, and steps run across its border.

    Args:
        rows: Number of training rows.
        batch_size: Rows of one step.
        epochs: Passes over the rows; need not be whole.
        seed: The recipe's.
    """

    rows: int
    batch_size: int
    epochs: float
    seed: int

    @property
    def places(self) -> int:
        """Rows drawn in all."""
        return max(1, round(self.rows * self.epochs))

    @property
    def steps(self) -> int:
        """Optimiser steps in all; the last may be short."""
        return math.ceil(self.places / self.batch_size)

    def of_step(self, step: int) -> list[int]:
        """The rows of a step, counted from 0."""
        first = step * self.batch_size
        places = range(first, min(first + self.batch_size, self.places))
        return [int(_permutation(self.rows, self.seed, p // self.rows)[p % self.rows]) for p in places]


@lru_cache(maxsize=2)
def _permutation(rows: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng(derive(seed, "order", epoch)).permutation(rows)


def learning_rate(step: int, steps: int, config: Train) -> float:
    """The rate of a step, counted from 0: a linear rise, then the schedule down to its final share."""
    warmup = round(config.warmup_share * steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    gone = (step - warmup) / max(1, steps - warmup)
    shape = {"constant": 1.0, "linear": 1.0 - gone, "cosine": 0.5 * (1.0 + math.cos(math.pi * gone))}[config.schedule]
    return config.learning_rate * (config.final_rate_share + (1.0 - config.final_rate_share) * shape)


def validation_steps(order: Order, every: float) -> frozenset[int]:
    """After which steps (counted from 1) to validate: each so many epochs (below 1) or steps; always after the last."""
    gap = every * order.rows / order.batch_size if every < 1 else round(every)
    times = math.floor(order.steps / gap)
    return frozenset([*(min(math.ceil(gap * time), order.steps) for time in range(1, times + 1)), order.steps])
