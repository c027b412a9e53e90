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
from tunewright.data.balance import Draws
from tunewright.recipe.schema import Train


@dataclass(frozen=True)
class Order:
    """The rows of each step: every epoch is a fresh permutation, and steps run across its border.

    General rows that are replayed are numbered behind the training rows. An epoch holds every training row once, or as
    often as `draws` says, and so many general ones, going round them, that these are the given share of it.

    Args:
        rows: Number of training rows.
        batch_size: Rows of one step.
        epochs: Passes over the rows; need not be whole.
        seed: The recipe's.
        general: Number of general rows there are to replay.
        replay: Their share of an epoch; above 0, at least one row.
        draws: Which training rows an epoch holds; None: each once.
        repeats: Steps in a row that learn from the same rows.
    """

    rows: int
    batch_size: int
    epochs: float
    seed: int
    general: int = 0
    replay: float = 0.0
    draws: Draws | None = None
    repeats: int = 1

    @property
    def drawn(self) -> int:
        """Training rows in an epoch."""
        return self.rows if self.draws is None else self.draws.total

    @property
    def replayed(self) -> int:
        """General rows in an epoch."""
        return max(1, round(self.drawn * self.replay / (1.0 - self.replay))) if self.replay else 0

    @property
    def epoch(self) -> int:
        """Rows of an epoch."""
        return self.drawn + self.replayed

    @property
    def places(self) -> int:
        """Rows drawn in all."""
        return max(1, round(self.epoch * self.epochs))

    @property
    def steps(self) -> int:
        """Optimiser steps in all; the last may be short."""
        return math.ceil(self.places / self.batch_size) * self.repeats

    @property
    def steps_an_epoch(self) -> float:
        """Optimiser steps in one pass over the rows; need not be whole."""
        return self.epoch / self.batch_size * self.repeats

    def draw_of(self, step: int) -> int:
        """Which group of rows a step learns from, both counted from 0."""
        return step // self.repeats

    def of_step(self, step: int) -> list[int]:
        """The rows of a step, counted from 0; from `rows` on they are general ones."""
        first = self.draw_of(step) * self.batch_size
        return [self._at(place) for place in range(first, min(first + self.batch_size, self.places))]

    def _at(self, place: int) -> int:
        epoch, turn = divmod(place, self.epoch)
        row = int(_permutation(self.epoch, derive(self.seed, "order", epoch))[turn])
        if row < self.drawn:
            return row if self.draws is None else int(self.draws.epoch(epoch, self.seed)[row])
        lap, turn = divmod(epoch * self.replayed + row - self.drawn, self.general)
        return self.rows + int(_permutation(self.general, derive(self.seed, "replay", lap))[turn])


@lru_cache(maxsize=4)
def _permutation(rows: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).permutation(rows)


def learning_rate(step: int, steps: int, peak: float, config: Train) -> float:
    """The rate of a step, counted from 0: a linear rise to the peak, then the schedule down to its final share."""
    warmup = round(config.warmup_share * steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (config.final_rate_share + (1.0 - config.final_rate_share) * _shape(step, warmup, steps, config))


def _shape(step: int, warmup: int, steps: int, config: Train) -> float:
    """Where a step after the warm-up stands between the peak, 1, and the end, 0."""
    gone = (step - warmup) / max(1, steps - warmup)
    if config.schedule == "constant":
        return 1.0
    if config.schedule == "linear":
        return 1.0 - gone
    if config.schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * gone))
    # Warm-up, stable, decay (Hu et al. 2024, arXiv:2404.06395): the peak is held, and the fall comes at the end.
    decay = min(round(config.decay_share * steps), steps - warmup)
    return min(1.0, (steps - step) / max(1, decay))


def validation_steps(order: Order, every: float) -> frozenset[int]:
    """After which steps (counted from 1) to validate: each so many epochs (below 1) or steps; always after the last."""
    gap = every * order.steps_an_epoch if every < 1 else round(every)
    times = math.floor(order.steps / gap)
    return frozenset([*(min(math.ceil(gap * time), order.steps) for time in range(1, times + 1)), order.steps])


def kept_steps(order: Order, epochs: int) -> frozenset[int]:
    """The steps (counted from 1) with which each of the last so many epochs ends; the last may be cut short."""
    whole = math.ceil(order.places / order.epoch)
    last = range(max(1, whole - epochs + 1), whole + 1)
    return frozenset(min(-(-order.epoch * epoch // order.batch_size) * order.repeats, order.steps) for epoch in last)
