"""Pieces of a step, and groups of coupled paths that are too large for one of them.

A loss that couples paths (the two answers of a preference pair) needs all of a group's log-probabilities at once, but
not all of its activations: by the chain rule the gradient is the sum over edges of the loss's derivative by an edge's
log-probability, times the gradient of that log-probability. So a group over the budget is scored in parts without
gradients, its loss is taken, and the derivatives are fed back into one part after another, computed once more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tunewright.forest.forest import Forest, Ints, cut

if TYPE_CHECKING:  # plans cut forests too, and need no torch for it
    from torch import Tensor

    from tunewright.forest.edges import EdgeScores


@dataclass(frozen=True)
class Part:
    """Some paths of a piece, as a forest of their own.

    Args:
        forest: These paths merged.
        edge: For each of its edges, which edge of the whole piece that is, shape (E',).
        is_new: Which of its edges no earlier part has, shape (E',).
    """

    forest: Forest
    edge: Ints
    is_new: NDArray[np.bool_]


@dataclass(frozen=True)
class Piece:
    """What one loss is taken of: computed at once, or in parts where that would take too much memory.

    Args:
        whole: All of it as one forest.
        parts: One for most pieces.
        reference: The reference model's log-probabilities of the whole's edges, where the objective asks for them.
    """

    whole: Forest
    parts: tuple[Part, ...]
    reference: Tensor | None = None

    @property
    def nodes(self) -> int:
        """Nodes that are computed, those counted twice that several parts have."""
        return sum(part.forest.nodes for part in self.parts)


def pieces_of(forest: Forest, node_budget: int, virtual: int = 0) -> list[Piece]:
    """Cuts a step's forest under a budget, groups that are over it into parts.

    Args:
        forest: The step's.
        node_budget: Most nodes that are computed at once, virtual ones included. A single path may be over it.
        virtual: Virtual tokens that will stand in front of each.
    """
    return [_piece(whole, node_budget, virtual) for whole in cut(forest, node_budget, virtual=virtual)]


def joined(piece: Piece, found: list[Tensor]) -> Tensor:
    """What was found for the edges of each part, shapes (E',), as one tensor for the whole's edges, shape (E,)."""
    if len(found) == 1:
        return found[0]
    import torch

    all_E = found[0].new_zeros(len(piece.whole.source))
    for part, values in zip(piece.parts, found, strict=True):
        is_new = torch.from_numpy(part.is_new).to(values.device)
        all_E[torch.from_numpy(part.edge).to(values.device)[is_new]] = values[is_new]
    return all_E


def joined_scores(piece: Piece, score: Callable[[int, Forest], EdgeScores]) -> EdgeScores:
    """Scores of the whole's edges, with their reference; several parts are scored without gradients.

    Args:
        piece: What to score.
        score: Gives the scores of a part's forest, by the part's number.
    """
    if len(piece.parts) == 1:
        return replace(score(0, piece.whole), reference=piece.reference)
    import torch

    with torch.no_grad():
        found = [score(number, part.forest) for number, part in enumerate(piece.parts)]
    logp, hit = (joined(piece, list(values)) for values in zip(*((each.logp, each.hit) for each in found), strict=True))
    return replace(found[0], logp=logp, hit=hit, reference=piece.reference)


def _piece(whole: Forest, node_budget: int, virtual: int) -> Piece:
    forests = cut(whole, node_budget, virtual=virtual, coupled=False)
    if len(forests) == 1:
        edges = np.arange(len(whole.source))
        return Piece(whole, (Part(whole, edges, np.ones(len(edges), dtype=bool)),))
    place = {id(path): number for number, path in enumerate(whole.paths)}
    seen = np.zeros(len(whole.source), dtype=bool)
    parts = []
    for forest in forests:
        edge = np.empty(len(forest.source), dtype=np.int64)
        for number, path in enumerate(forest.paths):
            # Both forests list a path's edges in the path's own order.
            here, there = (_entries(each, at) for each, at in ((forest, number), (whole, place[id(path)])))
            edge[here] = there
        parts.append(Part(forest, edge, ~seen[edge]))
        seen[edge] = True
    return Piece(whole, tuple(parts))


def _entries(forest: Forest, path: int) -> Ints:
    """The edges of one path, in its order."""
    return forest.path_edge[forest.path_start[path] : forest.path_start[path + 1]]
