"""Supervised fine-tuning: the mean negative log-likelihood of the learned tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tunewright.data.tokens import TokenRow
from tunewright.forest import Forest, Path
from tunewright.objectives._likelihood import negative_log_likelihood
from tunewright.objectives._protocol import LossSum, Objective, ObjectiveConfig

if TYPE_CHECKING:
    from tunewright.forest.edges import EdgeScores


class Config(ObjectiveConfig):
    """No settings: the weights of the messages say what is learned."""

    name: Literal["sft"] = "sft"


def build(config: Config) -> Objective:
    """The objective."""
    return _Sft()


class _Sft:
    needs_reference = False

    def paths(self, example: TokenRow, row: int, group: int) -> list[Path]:
        return [Path(example.tokens, example.weights, group, row)]

    def loss(self, scores: EdgeScores, forest: Forest) -> LossSum:
        return negative_log_likelihood(scores, forest)
