"""Supervised fine-tuning: the mean negative log-likelihood of the learned tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from tunewright.base.plugins import PluginConfig
from tunewright.forest import Forest, Path
from tunewright.objectives._protocol import LossSum, Objective

if TYPE_CHECKING:
    from tunewright.forest.edges import EdgeScores


class Config(PluginConfig):
    """No settings: the weights of the messages say what is learned."""

    name: Literal["sft"] = "sft"


def build(config: Config) -> Objective:
    """The objective."""
    return _Sft()


class _Sft:
    def paths(self, tokens: NDArray[np.int32], weights: NDArray[np.float32], row: int) -> list[Path]:
        return [Path(tokens, weights, group=row, row=row)]

    def loss(self, scores: EdgeScores, forest: Forest) -> LossSum:
        weight_E = scores.logp.new_tensor(forest.edge_weight())
        return LossSum(total=-(weight_E * scores.logp).sum(), weight=forest.weight)
