"""What a method adds to the loss of a step, beside what the objective says.

A penalty may depend on all of a step's nodes together, and a step is cut into pieces whose backward passes come one by
one. So it is split in two: a statistic that adds up over the pieces, and, once that is known for the whole step, parts
that add up. Where there are several pieces, a first pass without gradients gathers the statistic, with the same noise;
the penalty and its gradient then do not depend on the cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from tunewright.forest import Forest
from tunewright.forest.coupled import Piece, joined_scores
from tunewright.forest.edges import EdgeScores
from tunewright.objectives._protocol import LossSum
from tunewright.train.ranks.group import ALONE, Ranks

Loss = Callable[[EdgeScores, Forest], LossSum]


class Penalty(Protocol):
    """What the model that a method's `attach` gave may have as its attribute `penalty`."""

    #: By which it is reported.
    name: str

    def watch(self) -> AbstractContextManager[None]:
        """While open, a forward pass leaves what the two below are about."""

    def statistic(self, count_N: Tensor) -> Tensor:
        """What the penalty depends on, without a gradient; adds up over pieces.

        Args:
            count_N: Rows through each node of the watched pass.
        """

    def part(self, count_N: Tensor, statistic: Tensor) -> Tensor:
        """The watched nodes' part of the penalty, a scalar; adds up over pieces, given the whole step's statistic."""


class StepPenalty:
    """A model's penalty over one step; nothing where it has none.

    Args:
        model: As `attach` gave it.
        pieces: The step's.
        score: Gives the scores of a part of a piece, by their numbers.
        loss: Gives the loss of a piece.
        ranks: The processes that the step is dealt to; the pieces are this one's.
    """

    def __init__(
        self,
        model: Any,
        pieces: Sequence[Piece],
        score: Callable[[int, int, Forest], EdgeScores],
        loss: Loss,
        ranks: Ranks = ALONE,
    ) -> None:
        self._penalty: Penalty | None = getattr(model, "penalty", None)
        self._whole: tuple[Tensor, float] | None = None
        self._value, self._ranks = 0.0, ranks
        if self._penalty is not None and (sum(len(piece.parts) for piece in pieces) > 1 or ranks.world > 1):
            self._whole = self._gathered(self._penalty, pieces, score, loss)

    def watch(self) -> AbstractContextManager[None]:
        """To be open during the forward pass that is learned from."""
        return nullcontext() if self._penalty is None else self._penalty.watch()

    def added_to(self, total: Tensor, weight: float, forest: Forest) -> Tensor:
        """A forest's loss with its part of the penalty, times what the step's gradients will be divided by.

        Args:
            total: The loss.
            weight: The step's divisor, where the forest is all of the step; otherwise it is known from gathering.
            forest: That of the watched pass.
        """
        if self._penalty is None:
            return total
        count_N = _count(forest, total)
        statistic, weight = self._whole or (self._penalty.statistic(count_N), weight)
        part = self._penalty.part(count_N, statistic)
        self._value += part.item()
        return total + weight * part

    def reported(self) -> dict[str, float]:
        """The penalty by its name, as a part of the loss, over the pieces so far, of all processes."""
        return {} if self._penalty is None else {self._penalty.name: sum(self._ranks.gather(self._value))}

    @torch.no_grad()
    def _gathered(
        self,
        penalty: Penalty,
        pieces: Sequence[Piece],
        score: Callable[[int, int, Forest], EdgeScores],
        loss: Loss,
    ) -> tuple[Tensor, float]:
        """The step's statistic, and its weight."""
        statistics, weight = [], 0.0

        def watched(piece: int, part: int, forest: Forest) -> EdgeScores:
            with penalty.watch():
                scores = score(piece, part, forest)
            statistics.append(penalty.statistic(_count(forest, scores.logp)))
            return scores

        with torch.random.fork_rng():  # the passes that count draw the same noise again
            for number, piece in enumerate(pieces):
                weight += loss(joined_scores(piece, partial(watched, number)), piece.whole).weight
        found = self._ranks.gather((statistics, weight))
        return torch.stack([each for of_rank, _ in found for each in of_rank]).sum(0), sum(each for _, each in found)


def _count(forest: Forest, like: Tensor) -> Tensor:
    return torch.tensor(forest.count, dtype=torch.float32, device=like.device)
