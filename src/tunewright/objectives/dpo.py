"""Direct preference optimisation (Rafailov et al. 2023, arXiv:2305.18290, equation 7).

The model learns to prefer a chosen answer to a rejected one, by more than it did before training:

    loss = -log sigmoid(beta * margin)
    margin = (log p(chosen) - log p0(chosen)) - (log p(rejected) - log p0(rejected))

where p0 is the reference, the model as it was before training. Both answers are paths of one forest, so their
prompt, and whatever the answers begin with alike, is computed once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from tunewright.base.errors import DataError, TunewrightError
from tunewright.data.tokens import TokenRow
from tunewright.forest import Forest, Path
from tunewright.objectives._protocol import LossSum, Objective, ObjectiveConfig

if TYPE_CHECKING:
    from torch import Tensor

    from tunewright.forest.edges import EdgeScores


class Config(ObjectiveConfig):
    """Settings of DPO."""

    pairs = True
    # What Zephyr's published recipes take of their supervised rate: 5e-6 of 2e-4 (alignment-handbook, QLoRA).
    rate_share = 0.025

    name: Literal["dpo"] = "dpo"
    beta: float = Field(0.1, gt=0, description="How closely the model is held to its reference; less lets it go.")
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="Share of the pairs that may be the wrong way round (conservative DPO)."
    )
    length_normalised: bool = Field(
        False, description="Compare log-probabilities per token, so that a longer answer weighs no more."
    )


def build(config: Config) -> Objective:
    """The objective."""
    return _Dpo(config)


class _Dpo:
    needs_reference = True

    def __init__(self, config: Config) -> None:
        self._config = config

    def paths(self, example: TokenRow, row: int, group: int) -> list[Path]:
        """Two paths: the chosen answer's weights count for it, the rejected one's against it.

        Raises:
            DataError: If the example has no rejected answer.
        """
        if example.rejected is None:
            raise DataError(
                "This row has no rejected answer, and 'dpo' learns from pairs",
                where=f"row {row}",
                hint="Bring rows with prompt, chosen and rejected, or set train.objective to sft.",
            )
        return [self._path(example, 1, row, group), self._path(example.rejected, -1, row, group)]

    def _path(self, answer: TokenRow, sign: int, row: int, group: int) -> Path:
        length = float(answer.weights.sum()) if self._config.length_normalised else 1.0
        return Path(answer.tokens, (answer.weights * (sign / length)).astype(np.float32), group, row)

    def loss(self, scores: EdgeScores, forest: Forest) -> LossSum:
        from torch.nn.functional import logsigmoid

        logit_G = self._config.beta * _margins(scores, forest)
        smoothing = self._config.label_smoothing
        total = -((1 - smoothing) * logsigmoid(logit_G) + smoothing * logsigmoid(-logit_G)).sum()
        found_G = logit_G.detach()
        reported = {"preferred": float((found_G > 0).sum()), "margin": float(found_G.sum())}
        return LossSum(total, weight=float(len(logit_G)), reported=reported)


def _margins(scores: EdgeScores, forest: Forest) -> Tensor:
    """By how much each pair's chosen answer gained on its rejected one, in nats, float64, shape (groups,)."""
    import torch

    if scores.reference is None:
        raise TunewrightError("DPO was given no reference log-probabilities")
    gain_E = scores.logp.double() - scores.reference.double()
    # A path's weights have the sign of its side, so a group's margin is the weighted sum over all of its entries.
    groups, group_P = np.unique([path.group for path in forest.paths], return_inverse=True)
    edge_L, weight_L, group_L = (
        torch.tensor(array, device=gain_E.device)
        for array in (forest.path_edge, forest.path_weight, group_P[forest.path_of_entry()])
    )
    return gain_E.new_zeros(len(groups)).index_add(0, group_L, gain_E.index_select(0, edge_L) * weight_L)
