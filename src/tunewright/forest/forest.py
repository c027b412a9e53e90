"""Paths merged into tries: `build`, `cut` under a budget, and `plant` behind virtual tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunewright.base.errors import DataError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Path:
    """One sequence and what is to be learned, or scored, of it.

    Args:
        tokens: Token ids, shape (T,).
        weights: `weights[t]` is the weight of predicting `tokens[t]` from the tokens before it, shape (T,). Any
            real number; `weights[0]` must be 0, since nothing stands before the first token.
        group: Paths of one group are coupled in the loss and stay in one piece.
        row: The caller's own number for the path, such as the example's index.
    """

    tokens: NDArray[np.int32]
    weights: NDArray[np.float32]
    group: int
    row: int


@dataclass(frozen=True)
class Forest:
    """Paths merged into tries, in depth-first preorder with children in the order of their token ids.

    Args:
        token: Token id of each node, shape (N,).
        depth: Distance from the root, which is the position id, shape (N,).
        parent: Index of the parent, -1 for a root, shape (N,).
        end: One past the last node of the subtree, shape (N,). Node k is visible to node q iff k <= q < end[k].
        count: Number of paths through the node, shape (N,).
        source: Node that predicts, shape (E,). Sorted.
        target: Token that it must predict, shape (E,).
        path_start: Where each path's edges begin in the two arrays below, shape (P + 1,).
        path_edge: Edges of all paths, path after path, each in order, shape (L,).
        path_weight: The path's own weight of the edge, shape (L,).
        paths: The paths themselves, in canonical order, P of them.
    """

    token: Ints
    depth: Ints
    parent: Ints
    end: Ints
    count: Ints
    source: Ints
    target: Ints
    path_start: Ints
    path_edge: Ints
    path_weight: Floats
    paths: tuple[Path, ...]

    @property
    def nodes(self) -> int:
        """Number of nodes, N."""
        return len(self.token)

    @property
    def weight(self) -> float:
        """Sum of all weights of all paths."""
        return float(self.path_weight.sum())

    def edge_weight(self) -> Floats:
        """Each edge's weights summed over the paths that list it, shape (E,)."""
        sums: Floats = np.bincount(self.path_edge, weights=self.path_weight, minlength=len(self.source)).astype(float)
        return sums

    def path_of_entry(self) -> Ints:
        """For each entry of `path_edge` the path it belongs to, shape (L,)."""
        return np.repeat(np.arange(len(self.paths)), np.diff(self.path_start))

    def ancestors(self, node: int) -> Ints:
        """The nodes from the root to `node`, itself included."""
        line = np.empty(self.depth[node] + 1, dtype=np.int64)
        for place in range(len(line) - 1, -1, -1):
            line[place] = node
            node = self.parent[node]
        return line


def build(paths: Sequence[Path]) -> Forest:
    """Merges paths into a forest. The result does not depend on the order of `paths`.

    A node exists only if it, or a descendant, predicts something: the last token of a path is never fed. Equal paths
    stay separate paths over the same edges. Paths with nothing to predict have no nodes.

    Raises:
        DataError: If a path puts a weight on its first token, or its arrays differ in length.
    """
    for path in paths:
        _check(path)
    fed = [path.tokens[: _last_learned(path)] for path in paths]
    order = sorted(range(len(paths)), key=lambda i: (fed[i].tolist(), paths[i].tokens.tolist(), paths[i].row))
    total = sum(len(tokens) for tokens in fed)
    token, depth, parent = (np.empty(total, dtype=np.int64) for _ in range(3))
    end, count = np.zeros(total, dtype=np.int64), np.zeros(total, dtype=np.int64)
    line = np.empty(max(map(len, fed), default=0), dtype=np.int64)  # nodes of the path at hand, root first
    previous = np.empty(0, dtype=np.int32)
    nodes = 0
    entries: list[tuple[Ints, Ints, Floats]] = []
    for index in order:
        tokens, path = fed[index], paths[index]
        shared = _common(previous, tokens)
        fresh = len(tokens) - shared
        line[shared : len(tokens)] = np.arange(nodes, nodes + fresh)
        new = slice(nodes, nodes + fresh)
        token[new] = tokens[shared:]
        depth[new] = np.arange(shared, len(tokens))
        parent[new] = np.arange(nodes - 1, nodes + fresh - 1)
        if fresh:
            parent[nodes] = line[shared - 1] if shared else -1
        nodes += fresh
        here = line[: len(tokens)]
        end[here] = nodes
        count[here] += 1
        learned = np.flatnonzero(path.weights)
        entries.append((line[learned - 1], path.tokens[learned].astype(np.int64), path.weights[learned].astype(float)))
        previous = tokens
    source, target, path_edge = _edges(entries)
    return Forest(
        token=token[:nodes],
        depth=depth[:nodes],
        parent=parent[:nodes],
        end=end[:nodes],
        count=count[:nodes],
        source=source,
        target=target,
        path_start=np.cumsum([0, *(len(entry[0]) for entry in entries)]),
        path_edge=path_edge,
        path_weight=np.concatenate([np.empty(0), *(entry[2] for entry in entries)]),
        paths=tuple(paths[index] for index in order),
    )


def cut(forest: Forest, node_budget: int) -> list[Forest]:
    """Cuts a forest into pieces of at most `node_budget` nodes, repeating only the ancestors a piece needs.

    Paths of one group stay together; a single group over the budget becomes a piece of its own. The sum of the
    pieces' losses and gradients is the forest's, whatever the cut.
    """
    if forest.nodes <= node_budget:
        return [forest]
    groups: dict[int, list[Path]] = {}
    for path in forest.paths:
        groups.setdefault(path.group, []).append(path)
    pieces: list[list[Path]] = []
    nodes: dict[tuple[int, int], int] = {}  # (parent, token) -> node, of the piece at hand
    for members in groups.values():
        _grow(nodes, members)
        if pieces and len(nodes) <= node_budget:
            pieces[-1].extend(members)
            continue
        nodes = {}
        _grow(nodes, members)
        pieces.append(list(members))
    return [build(piece) for piece in pieces]


def plant(forest: Forest, virtual: int) -> Forest:
    """The forest behind one super-root: `virtual` nodes in a row that stand before every path.

    They have no token (-1) and predict nothing. All other nodes keep their order and stand `virtual` indices and
    depths further on.
    """
    if not virtual:
        return forest
    chain = np.arange(virtual)
    return replace(
        forest,
        token=np.concatenate([np.full(virtual, -1), forest.token]),
        depth=np.concatenate([chain, forest.depth + virtual]),
        # A root's -1 becomes the last node of the chain.
        parent=np.concatenate([chain - 1, forest.parent + virtual]),
        end=np.concatenate([np.full(virtual, forest.nodes + virtual), forest.end + virtual]),
        count=np.concatenate([np.full(virtual, len(forest.paths)), forest.count]),
        source=forest.source + virtual,
    )


def _grow(nodes: dict[tuple[int, int], int], paths: Sequence[Path]) -> None:
    """Adds the nodes of some paths to a trie."""
    for path in paths:
        node = 0
        for token in path.tokens[: _last_learned(path)].tolist():
            node = nodes.setdefault((node, token), len(nodes) + 1)


def _check(path: Path) -> None:
    if path.tokens.shape != path.weights.shape or path.tokens.ndim != 1:
        raise DataError(
            f"Tokens and weights differ in shape: {path.tokens.shape}, {path.weights.shape}", where=f"row {path.row}"
        )
    if len(path.weights) and path.weights[0] != 0:
        raise DataError("The first token has a weight, and nothing stands before it", where=f"row {path.row}")


def _last_learned(path: Path) -> int:
    learned = np.flatnonzero(path.weights)
    return int(learned[-1]) if len(learned) else 0


def _common(first: NDArray[np.int32], second: NDArray[np.int32]) -> int:
    """Length of the common beginning of two token arrays."""
    length = min(len(first), len(second))
    different = np.flatnonzero(first[:length] != second[:length])
    return int(different[0]) if len(different) else length


def _edges(entries: Sequence[tuple[Ints, Ints, Floats]]) -> tuple[Ints, Ints, Ints]:
    """Distinct (source, target) pairs in order, and for every entry the pair it names."""
    pairs = np.concatenate([np.empty((0, 2), dtype=np.int64), *(np.stack(entry[:2], axis=1) for entry in entries)])
    distinct, which = np.unique(pairs, axis=0, return_inverse=True)
    return distinct[:, 0], distinct[:, 1], which.reshape(-1)
