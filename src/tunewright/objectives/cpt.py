"""Continued pre-training: the mean negative log-likelihood of every token of plain documents.

Documents are cut into blocks of at most `data.max_length` tokens (`data/blocks.py`), which are what `train.batch_size`
counts. In a packed block several short documents stand as separate roots of the forest: none sees another, which
packing into one row would not prevent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from tunewright.data.tokens import TokenRow
from tunewright.forest import Forest, Path
from tunewright.objectives._likelihood import negative_log_likelihood
from tunewright.objectives._protocol import LossSum, Objective, ObjectiveConfig

if TYPE_CHECKING:
    from tunewright.forest.edges import EdgeScores


class Config(ObjectiveConfig):
    """Settings of continued pre-training."""

    documents = True
    # What Unsloth's notebooks for continued pre-training take of its supervised rate: 5e-5 of 2e-4, for LoRA.
    rate_share = 0.25

    name: Literal["cpt"] = "cpt"
    packed: bool = Field(
        True, description="Fill a block with several short documents, which do not see each other; else one block each."
    )


def build(config: Config) -> Objective:
    """The objective."""
    return _Cpt()


class _Cpt:
    needs_reference = False

    def paths(self, example: TokenRow, row: int, group: int) -> list[Path]:
        """One path for each document of a block; where one begins, its first token has weight 0."""
        starts = np.flatnonzero(example.weights == 0)
        parts = zip(np.split(example.tokens, starts), np.split(example.weights, starts), strict=True)
        return [Path(tokens, weights, group, row) for tokens, weights in parts if weights.any()]

    def loss(self, scores: EdgeScores, forest: Forest) -> LossSum:
        return negative_log_likelihood(scores, forest)
