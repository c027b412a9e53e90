"""The loss that objectives of plain text share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunewright.objectives._protocol import LossSum

if TYPE_CHECKING:
    from tunewright.forest import Forest
    from tunewright.forest.edges import EdgeScores


def negative_log_likelihood(scores: EdgeScores, forest: Forest) -> LossSum:
    """Each edge's negative log-probability, weighed by all paths that list it, in nats; divided by all weights."""
    weight_E = scores.logp.new_tensor(forest.edge_weight())
    return LossSum(total=-(weight_E * scores.logp).sum(), weight=forest.weight)
