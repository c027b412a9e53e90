"""Paths merged into tries: `build`, `cut` under a budget, `plant` behind virtual tokens, and `fill` up with padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.base.errors import DataError
from tunewright.models.text_format import ANSWER_START

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Path:
    """One sequence and what is to be learned, or scored, of it.

    Args:
        tokens: Token ids, shape (T,). For an encoder-decoder the source, `ANSWER_START`, and the answer.
        weights: `weights[t]` is the weight of predicting `tokens[t]` from the tokens before it, shape (T,). Any
            real number; `weights[0]` must be 0, since nothing stands before the first token.
        group: Paths of one group are coupled in the loss and stay in one piece.
        row: The caller's own number for the path, such as the example's index.
        head: Name of the head that predicts; empty: the model's own, which predicts tokens.
        targets: Where a named head predicts, its class for each token, shape (T,). `weights[t]` is then the weight of
            predicting `targets[t]` from `tokens[t]` itself.
        both_ways: Whether the model reads the row as a whole, each token seeing all others. Such a row shares nothing
            but with its equals.
        types: Which of the row's texts each token belongs to, for models that are told so, shape (T,).
    """

    tokens: NDArray[np.int32]
    weights: NDArray[np.float32]
    group: int
    row: int
    head: str = ""
    targets: NDArray[np.int32] | None = None
    both_ways: bool = False
    types: NDArray[np.int32] | None = None

    @property
    def fed(self) -> int:
        """How many of its tokens the model reads: none where nothing is predicted."""
        learned = np.flatnonzero(self.weights)
        if not len(learned):
            return 0
        if self.both_ways:
            return len(self.tokens)
        return int(learned[-1]) + (self.targets is not None)

    def edges(self) -> tuple[Ints, Ints, Floats]:
        """Place of each edge's source in the path, its target, and its weight, in order."""
        learned = np.flatnonzero(self.weights)
        weights = self.weights[learned].astype(float)
        if self.targets is not None:
            return learned, self.targets[learned].astype(np.int64), weights
        return learned - 1, self.tokens[learned].astype(np.int64), weights


@dataclass(frozen=True)
class Forest:
    """Paths merged into tries, in depth-first preorder with children in the order of their token ids.

    Args:
        token: Token id of each node, shape (N,).
        depth: Distance from the root, which is the position id, shape (N,).
        parent: Index of the parent, -1 for a root, shape (N,).
        begin: The first node that sees this one, shape (N,): the node itself; where rows are read both ways, its root.
        end: One past the last node of the subtree, shape (N,). Node k is visible to node q iff begin[k] <= q < end[k].
        count: Number of paths through the node, shape (N,).
        source: Node that predicts, shape (E,). Sorted.
        target: Token, or class of the head, that it must predict, shape (E,).
        path_start: Where each path's edges begin in the two arrays below, shape (P + 1,).
        path_edge: Edges of all paths, path after path, each in order, shape (L,).
        path_weight: The path's own weight of the edge, shape (L,).
        paths: The paths themselves, in canonical order, P of them.
        types: Which text of its row each node belongs to, shape (N,); None where the paths do not say.
        shared: Whether paths share their beginnings; else each is a tree of its own.
    """

    token: Ints
    depth: Ints
    parent: Ints
    begin: Ints
    end: Ints
    count: Ints
    source: Ints
    target: Ints
    path_start: Ints
    path_edge: Ints
    path_weight: Floats
    paths: tuple[Path, ...]
    types: Ints | None = None
    shared: bool = True

    @property
    def head(self) -> str:
        """Name of the head that all paths' edges are for; empty: the model's own."""
        return self.paths[0].head if self.paths else ""

    @property
    def both_ways(self) -> bool:
        """Whether each node sees its whole row."""
        return bool(self.paths) and self.paths[0].both_ways

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


def build(paths: Sequence[Path], *, shared: bool = True) -> Forest:
    """Merges paths into a forest, or without `shared` puts them side by side. Their order changes nothing.

    A node exists only if it, or a descendant, predicts something: the last token of a path is never fed where tokens
    are predicted. Rows that are read both ways are fed whole, and only equal ones are merged. Equal paths stay separate
    paths over the same edges. Paths with nothing to predict have no nodes.

    Raises:
        DataError: If a path puts a weight on its first token and nothing stands before it, its arrays differ in length,
            or the paths are not for one head of one model.
    """
    for path in paths:
        _check(path, paths[0])
    fed = [path.tokens[: path.fed] for path in paths]
    types = [_types_of(path) for path in paths]
    order = sorted(
        range(len(paths)), key=lambda i: (fed[i].tolist(), types[i].tolist(), paths[i].tokens.tolist(), paths[i].row)
    )
    total = sum(len(tokens) for tokens in fed)
    token, depth, parent, type_ = (np.empty(total, dtype=np.int64) for _ in range(4))
    begin = np.arange(total)
    end, count = np.zeros(total, dtype=np.int64), np.zeros(total, dtype=np.int64)
    line = np.empty(max(map(len, fed), default=0), dtype=np.int64)  # nodes of the path at hand, root first
    previous = -1
    nodes = 0
    entries: list[tuple[Ints, Ints, Floats]] = []
    for index in order:
        tokens, path = fed[index], paths[index]
        common = _shared(fed, types, previous, index, both_ways=path.both_ways) if shared else 0
        fresh = len(tokens) - common
        line[common : len(tokens)] = np.arange(nodes, nodes + fresh)
        new = slice(nodes, nodes + fresh)
        token[new] = tokens[common:]
        type_[new] = types[index][common:]
        depth[new] = np.arange(common, len(tokens))
        parent[new] = np.arange(nodes - 1, nodes + fresh - 1)
        if fresh:
            parent[nodes] = line[common - 1] if common else -1
        nodes += fresh
        here = line[: len(tokens)]
        if path.both_ways:
            begin[here] = here[:1]
        end[here] = nodes
        count[here] += 1
        source, target, weight = path.edges()
        entries.append((line[source], target, weight))
        previous = index
    source, target, path_edge = _edges(entries)
    return Forest(
        token=token[:nodes],
        depth=depth[:nodes],
        parent=parent[:nodes],
        begin=begin[:nodes],
        end=end[:nodes],
        count=count[:nodes],
        source=source,
        target=target,
        path_start=np.cumsum([0, *(len(entry[0]) for entry in entries)]),
        path_edge=path_edge,
        path_weight=np.concatenate([np.empty(0), *(entry[2] for entry in entries)]),
        paths=tuple(paths[index] for index in order),
        types=type_[:nodes] if any(path.types is not None for path in paths) else None,
        shared=shared,
    )


def cut(forest: Forest, node_budget: int, *, virtual: int = 0, coupled: bool = True) -> list[Forest]:
    """Cuts a forest into pieces of at most `node_budget` nodes, repeating only the ancestors a piece needs.

    Paths of one group stay together; a single group over the budget becomes a piece of its own (`coupled.pieces_of`
    takes it apart). The sum of the pieces' losses and gradients is the forest's, whatever the cut.

    Args:
        forest: What to cut.
        node_budget: Most nodes of a piece, virtual ones included.
        virtual: Virtual tokens that will stand in front of each piece (`plant`).
        coupled: Whether groups count; otherwise only a single path over the budget becomes a piece of its own.
    """
    room = node_budget - virtual
    if forest.nodes <= room:
        return [forest]
    groups: dict[int, list[Path]] = {}
    for number, path in enumerate(forest.paths):
        groups.setdefault(path.group if coupled else number, []).append(path)
    pieces: list[list[Path]] = []
    nodes: dict[tuple[int, object], int] = {}  # (parent, token) -> node, of the piece at hand
    for members in groups.values():
        _grow(nodes, members, shared=forest.shared)
        if pieces and len(nodes) <= room:
            pieces[-1].extend(members)
            continue
        nodes = {}
        _grow(nodes, members, shared=forest.shared)
        pieces.append(list(members))
    return [build(piece, shared=forest.shared) for piece in pieces]


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
        begin=np.concatenate([chain, forest.begin + virtual]),
        end=np.concatenate([np.full(virtual, forest.nodes + virtual), forest.end + virtual]),
        count=np.concatenate([np.full(virtual, len(forest.paths)), forest.count]),
        source=forest.source + virtual,
    )


def fill(forest: Forest, nodes: int) -> Forest:
    """The forest with padding behind its last node, up to so many nodes in all, so that many forests have one shape.

    A padding node sees itself only; no path goes through it, and it predicts nothing.
    """
    padding = np.arange(forest.nodes, nodes)
    zeros = np.zeros_like(padding)
    return replace(
        forest,
        token=np.concatenate([forest.token, zeros]),
        depth=np.concatenate([forest.depth, zeros]),
        parent=np.concatenate([forest.parent, zeros - 1]),
        begin=np.concatenate([forest.begin, padding]),
        end=np.concatenate([forest.end, padding + 1]),
        count=np.concatenate([forest.count, zeros]),
        types=None if forest.types is None else np.concatenate([forest.types, zeros]),
    )


def _grow(nodes: dict[tuple[int, object], int], paths: Sequence[Path], *, shared: bool) -> None:
    """Adds the nodes of some paths to a trie."""
    for path in paths:
        fed = path.tokens[: path.fed]
        steps: list[object] = fed.tolist()
        # What is read as a whole is one thing, with as many nodes as tokens: a row, or an encoder's source.
        end = len(steps) if path.both_ways else _source_end(fed) + 1
        whole = (fed[:end].tobytes(), _types_of(path)[:end].tobytes())
        steps[:end] = [(whole, place) for place in range(end)]
        # No node has a negative number: what stands behind one is shared with nothing.
        node = 0 if shared else -len(nodes) - 1
        for step in steps:
            node = nodes.setdefault((node, step), len(nodes) + 1)


def _check(path: Path, first: Path) -> None:
    where = f"row {path.row}"
    arrays = [path.weights, *(array for array in (path.targets, path.types) if array is not None)]
    if path.tokens.ndim != 1 or any(array.shape != path.tokens.shape for array in arrays):
        shapes = ", ".join(str(array.shape) for array in (path.tokens, *arrays))
        raise DataError(f"Tokens and weights differ in shape: {shapes}", where=where)
    if (path.targets is None) != (not path.head):
        raise DataError("Classes need a named head, and a named head needs classes", where=where)
    if (path.head, path.both_ways) != (first.head, first.both_ways):
        raise DataError("Paths of several heads or reading directions cannot stand in one forest", where=where)
    if path.both_ways and path.targets is None:
        raise DataError("A row that is read both ways sees the tokens that it should predict", where=where)
    if path.targets is None and len(path.weights) and path.weights[0] != 0:
        raise DataError("The first token has a weight, and nothing stands before it", where=where)


def _types_of(path: Path) -> Ints:
    """Which text each fed token belongs to: the first, where the path does not say."""
    return np.zeros(path.fed, dtype=np.int64) if path.types is None else path.types[: path.fed].astype(np.int64)


def _shared(
    fed: Sequence[NDArray[np.int32]], types: Sequence[Ints], previous: int, index: int, *, both_ways: bool
) -> int:
    """How many nodes a path shares with the one before it; of a row or source that is read both ways, all or none."""
    if previous < 0:
        return 0
    shared = min(_common(fed[previous], fed[index]), _common(types[previous], types[index]))
    if both_ways and not shared == len(fed[previous]) == len(fed[index]):
        return 0
    # A source's states depend on all of it.
    return shared if shared > _source_end(fed[index]) else 0


def _source_end(tokens: NDArray[np.int32]) -> int:
    """Place of the mark that ends an encoder's source; -1 in a row without one."""
    marks = np.flatnonzero(tokens == ANSWER_START)
    return int(marks[0]) if len(marks) else -1


def _common(first: NDArray[Any], second: NDArray[Any]) -> int:
    """Length of the common beginning of two arrays."""
    length = min(len(first), len(second))
    different = np.flatnonzero(first[:length] != second[:length])
    return int(different[0]) if len(different) else length


def _edges(entries: Sequence[tuple[Ints, Ints, Floats]]) -> tuple[Ints, Ints, Ints]:
    """Distinct (source, target) pairs in order, and for every entry the pair it names."""
    pairs = np.concatenate([np.empty((0, 2), dtype=np.int64), *(np.stack(entry[:2], axis=1) for entry in entries)])
    distinct, which = np.unique(pairs, axis=0, return_inverse=True)
    return distinct[:, 0], distinct[:, 1], which.reshape(-1)
