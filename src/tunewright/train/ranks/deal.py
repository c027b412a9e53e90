"""A step's paths dealt to processes: whole groups, neighbours in the forest together, as even as may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunewright.forest import Forest, Path, build, cut
from tunewright.forest.coupled import Piece, pieces_of
from tunewright.forest.forest import Ints
from tunewright.objectives._protocol import LossSum
from tunewright.train.ranks.group import Ranks

if TYPE_CHECKING:
    from tunewright.forest.edges import EdgeScores

Loss = Callable[["EdgeScores", Forest], LossSum]


@dataclass(frozen=True)
class Idle(Piece):
    """A piece that is no part of the step: this process computes it so that it computes as often as the others."""

    @property
    def nodes(self) -> int:
        """None: nothing comes of it."""
        return 0


def own_pieces(
    paths: Sequence[Path], node_budget: int, virtual: int, ranks: Ranks, *, even: bool, shared: bool = True
) -> list[Piece]:
    """This process's share of some paths, cut under a budget.

    Args:
        paths: A step's, or all of the held-out rows; the same in all processes.
        node_budget: Nodes that are computed at once, virtual ones included.
        virtual: Virtual tokens that will stand in front of each piece.
        ranks: Who the paths are dealt to.
        even: Whether all processes must compute equally often, since each pass takes all of them. Each then gets as
            many pieces as the others, and none is taken apart, however large its group.
        shared: Whether paths are merged (`forest.build`).
    """
    own = deal(build(paths, shared=shared), ranks.world)[ranks.rank] if ranks.world > 1 else paths
    if not even:
        return pieces_of(build(own, shared=shared), node_budget, virtual) if own or ranks.world == 1 else []
    found = (
        [_undivided(forest, virtual) for forest in cut(build(own, shared=shared), node_budget, virtual=virtual)]
        if own
        else []
    )
    missing = max(ranks.gather(len(found))) - len(found)
    least = _undivided(build(fewest_nodes(paths)), virtual)
    return found + [Idle(least.whole, least.parts)] * missing


def loss_of(piece: Piece, loss: Loss) -> Loss:
    """What a piece's scores come to: the objective's loss, or nothing, with a gradient of zeros."""
    if not isinstance(piece, Idle):
        return loss
    return lambda scores, forest: LossSum(0.0 * loss(scores, forest).total, 0.0)


def deal(forest: Forest, shares: int) -> list[list[Path]]:
    """Deals a forest's paths out, so that the largest share has as few nodes as it can.

    Each share is a run of the forest's depth-first order, so that what paths have in common is computed twice only
    where a border runs through it. Paths of one group stay together. The result follows from forest and number alone.

    Args:
        forest: A step's.
        shares: How many to make.
    Returns:
        So many lists of paths; the last ones are empty where there are fewer groups than shares.
    """
    groups: dict[int, list[int]] = {}
    for index, path in enumerate(forest.paths):
        groups.setdefault(path.group, []).append(index)
    nodes = [_nodes(forest, members) for members in groups.values()]
    low, high = -(-forest.nodes // shares), forest.nodes
    while low < high:
        middle = (low + high) // 2
        if len(_runs(nodes, forest.nodes, middle)) <= shares:
            high = middle
        else:
            low = middle + 1
    members = list(groups.values())
    dealt = [
        [forest.paths[index] for group in run for index in members[group]] for run in _runs(nodes, forest.nodes, high)
    ]
    return dealt + [[] for _ in range(shares - len(dealt))]


def fewest_nodes(paths: Sequence[Path]) -> list[Path]:
    """The group whose paths are the shortest together: the least that can be computed of a step."""
    groups: dict[int, list[Path]] = {}
    for path in paths:
        groups.setdefault(path.group, []).append(path)
    return min(groups.values(), key=lambda group: sum(len(path.tokens) for path in group))


def _undivided(forest: Forest, virtual: int) -> Piece:
    (piece,) = pieces_of(forest, forest.nodes + virtual, virtual)
    return piece


def _nodes(forest: Forest, members: Sequence[int]) -> Ints:
    """The nodes of some paths, each once."""
    lines = [np.empty(0, dtype=np.int64)]
    for index in members:
        entries = forest.path_edge[forest.path_start[index] : forest.path_start[index + 1]]
        if len(entries):
            last = int(forest.source[entries].max())
            root = int(forest.begin[last])
            whole = np.arange(root, root + forest.paths[index].fed)
            lines.append(whole if forest.paths[index].both_ways else forest.ancestors(last))
    return np.unique(np.concatenate(lines))


def _runs(nodes: Sequence[Ints], total: int, limit: int) -> list[list[int]]:
    """Groups in order, packed into runs of at most `limit` nodes; a group above it is a run of its own."""
    runs: list[list[int]] = []
    held = np.zeros(total, dtype=bool)
    load = 0
    for group, own in enumerate(nodes):
        fresh = int(np.count_nonzero(~held[own]))
        if not runs or load + fresh > limit:
            runs.append([])
            held[:] = False
            load, fresh = 0, len(own)
        runs[-1].append(group)
        held[own] = True
        load += fresh
    return runs
