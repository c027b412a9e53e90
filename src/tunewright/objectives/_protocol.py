"""The two nouns every objective is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tunewright.forest import Forest, Path

if TYPE_CHECKING:
    from torch import Tensor

    from tunewright.forest.edges import EdgeScores


@dataclass(frozen=True, slots=True)
class LossSum:
    """A sum of losses, and what to divide it by.

    Args:
        total: Sum over a piece of the step's forest, in nats, a scalar.
        weight: What that piece adds to the step's divisor.
    """

    total: Tensor
    weight: float


class Objective(Protocol):
    """What `build(config)` of an objective returns."""

    def paths(self, tokens: NDArray[np.int32], weights: NDArray[np.float32], row: int) -> list[Path]:
        """The paths of one example; those that are coupled in the loss share a group."""

    def loss(self, scores: EdgeScores, forest: Forest) -> LossSum:
        """The loss of a forest, or of a piece of one."""
