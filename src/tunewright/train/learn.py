"""A piece's loss, and its gradient added to the weights'."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from tunewright.forest import Forest
from tunewright.forest.coupled import Piece, joined_scores
from tunewright.forest.edges import EdgeScores
from tunewright.objectives._protocol import LossSum
from tunewright.train.determinism import random_state, set_random_state
from tunewright.train.penalty import Loss, StepPenalty

Score = Callable[[int, Forest], EdgeScores]


def learn(piece: Piece, score: Score, loss: Loss, added: StepPenalty) -> LossSum:
    """Takes a piece's loss, and adds its gradient to that of the weights.

    Args:
        piece: Where it has several parts, each is computed twice: first without gradients, for the loss, then with the
            loss's derivatives, under the random states of the first time, so that the same numbers are dropped.
        score: Scores a part's forest, by the part's number; must give the same when called again.
        loss: Of the whole piece's edge scores.
        added: What the method adds to the step's loss.
    Returns:
        The loss, without its graph and without what is added.
    """
    if len(piece.parts) == 1:
        with added.watch():
            scores = joined_scores(piece, score)
        found = loss(scores, piece.whole)
        added.added_to(found.total, found.weight, piece.whole).backward()  # type: ignore[no-untyped-call]
        return replace(found, total=found.total.detach())
    states = []

    def score_first(number: int, forest: Forest) -> EdgeScores:
        states.append(random_state())
        return score(number, forest)

    scores = joined_scores(piece, score_first)
    leaf_E = scores.logp.detach().requires_grad_()
    found = loss(replace(scores, logp=leaf_E), piece.whole)
    (slope_E,) = torch.autograd.grad(found.total, leaf_E)
    for number, (part, state) in enumerate(zip(piece.parts, states, strict=True)):
        set_random_state(state)
        with added.watch():
            logp_e = score(number, part.forest).logp
        slope_e = slope_E[torch.from_numpy(part.edge).to(slope_E.device)] * torch.from_numpy(part.is_new).to(slope_E)
        added.added_to((logp_e * slope_e).sum(), found.weight, part.forest).backward()  # type: ignore[no-untyped-call]
    return replace(found, total=found.total.detach())
