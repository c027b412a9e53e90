"""The loss that objectives of plain text share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunewright.objectives._protocol import LossSum

if TYPE_CHECKING:
    from tunewright.forest import Forest
    from tunewright.forest.edges import EdgeScores


def negative_log_likelihood(scores: EdgeScores, forest: Forest) -> LossSum:
    """Each edge's negative log-probability, weighed by all paths that list it, in nats; divided by all weights.

    Reports `token_accuracy`: the same weights' share whose target is the model's most probable token.
    """
    weight_E = scores.logp.new_tensor(forest.edge_weight())
    hits = float((weight_E * scores.hit).sum())
    return LossSum(-(weight_E * scores.logp).sum(), weight=forest.weight, reported={"token_accuracy": hits})
