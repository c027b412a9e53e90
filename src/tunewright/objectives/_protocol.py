"""The nouns every objective is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

from tunewright.base.plugins import PluginConfig
from tunewright.data.tokens import TokenRow
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
        reported: Further sums that people watch, by name; divided by the same weight, and no part of the loss.
    """

    total: Tensor
    weight: float
    reported: Mapping[str, float] = field(default_factory=dict)


class ObjectiveConfig(PluginConfig):
    """Settings of an objective."""

    #: Whether each example must have a rejected answer beside the chosen one.
    pairs: ClassVar[bool] = False
    #: The head of classes that it teaches; empty: the model's own, which predicts tokens.
    head: ClassVar[str] = ""
    #: Whether it learns from plain documents, and not from conversations.
    documents: ClassVar[bool] = False
    #: Whether it learns from answers that the model draws in the run itself, and from what these are worth.
    draws: ClassVar[bool] = False
    #: Share of a method's own learning rate that suits this objective, where the recipe names no rate.
    rate_share: ClassVar[float] = 1.0

    @property
    def steps_of_rows(self) -> int:
        """How many optimiser steps in a row learn from the same rows."""
        return 1


class Objective(Protocol):
    """What `build(config)` of an objective returns."""

    #: Whether `loss` wants `scores.reference`: log-probabilities under the model as it was before training.
    needs_reference: bool

    def paths(self, example: TokenRow, row: int, group: int) -> list[Path]:
        """The paths of one example; those that are coupled in the loss share a group.

        Args:
            example: Its tokens; where the objective draws answers, with these.
            row: Its number in the table.
            group: A number that no other example of the forest has; a row may stand in one step twice.
        """

    def loss(self, scores: EdgeScores, forest: Forest) -> LossSum:
        """The loss of a forest, or of a piece of one that splits no group."""
