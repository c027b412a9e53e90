"""Candidate answers merged into a tree, with what reading it behind many questions asks for, made once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tunewright.base.errors import DataError
from tunewright.forest.forest import Floats, Forest, Ints, Path, build, cut
from tunewright.generate.pasts import Bools

Tokens = Sequence[int]
_ROOT = 0  # stands for the last token of whatever question the tree is put behind
_BIN = 32  # nodes: enough for a matrix product, few beside what a question's branches have in all


@dataclass(frozen=True)
class Tree:
    """Some candidates. A token that no other one follows has no node: the edge that leads there is all it needs.

    Args:
        forest: One tree, whose root stands for the question; the paths' rows are the candidates' places.
    """

    forest: Forest

    @property
    def nodes(self) -> int:
        """Nodes to be read behind each question, T: all but the root."""
        return self.forest.nodes - 1

    @cached_property
    def places(self) -> tuple[Ints, int, int]:
        """Where its nodes stand, shape (T,), in how many bins, and how wide those are.

        What branches off the question sees nothing of the other branches. Bins hold whole branches, as many as fit.
        """
        starts, end = [], self.forest.end
        at = 1
        while at < self.forest.nodes:
            starts.append(at)
            at = int(end[at])
        sizes = {start: int(end[start]) - start for start in starts}
        width = max([*sizes.values(), min(_BIN, self.nodes)], default=0)
        used: list[int] = []
        place = np.empty(self.nodes, dtype=np.int64)
        for start, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
            fitting = next((number for number, taken in enumerate(used) if taken + size <= width), len(used))
            if fitting == len(used):
                used.append(0)
            first = fitting * width + used[fitting]
            place[start - 1 : start - 1 + size] = np.arange(first, first + size)
            used[fitting] += size
        return place, len(used), width

    @cached_property
    def seen(self) -> Bools:
        """Which places of its bin the node at each place sees, shape (bins * width, width)."""
        place, bins, width = self.places
        node = np.arange(1, self.forest.nodes)
        seen = np.zeros((bins, width, width), dtype=bool)
        of_bin = place // max(width, 1)
        for number in range(bins):
            inside = node[of_bin == number]
            at = place[inside - 1] % width
            sees = (inside[None, :] <= inside[:, None]) & (inside[:, None] < self.forest.end[inside][None, :])
            seen[number][np.ix_(at, at)] = sees
        return seen.reshape(bins * width, width)

    @cached_property
    def children(self) -> dict[tuple[int, int], int]:
        """The node that stands behind a node and a token."""
        parents, tokens = self.forest.parent.tolist(), self.forest.token.tolist()
        return {(parents[node], tokens[node]): node for node in range(1, self.forest.nodes)}

    @cached_property
    def edges_of(self) -> list[list[tuple[int, int, tuple[int, ...]]]]:
        """For each node, of each of its edges: target, the node behind it (0: none), candidates that end there."""
        forest = self.forest
        ends: dict[int, tuple[int, ...]] = {}
        for path, last in zip(forest.paths, forest.path_start[1:], strict=True):
            edge = int(forest.path_edge[last - 1])
            ends[edge] = (*ends.get(edge, ()), path.row)
        found: list[list[tuple[int, int, tuple[int, ...]]]] = [[] for _ in range(forest.nodes)]
        for edge, (source, target) in enumerate(zip(forest.source.tolist(), forest.target.tolist(), strict=True)):
            found[source].append((target, self.children.get((source, target), _ROOT), ends.get(edge, ())))
        return found

    @cached_property
    def lines(self) -> dict[int, list[int]]:
        """For each candidate the nodes that it leads through, the root left out."""
        forest = self.forest
        spans = zip(forest.path_start[:-1], forest.path_start[1:], strict=True)
        return {
            path.row: forest.source[forest.path_edge[start + 1 : end]].tolist()
            for path, (start, end) in zip(forest.paths, spans, strict=True)
        }

    @cached_property
    def nested(self) -> int:
        """Most candidates of which each begins with the one before it; 1 where none begins with another one."""
        texts = Counter(tuple(path.tokens.tolist()) for path in self.forest.paths)
        return max(sum(texts[text[:length]] for length in range(len(text) + 1)) for text in texts)

    @cached_property
    def places_of_candidates(self) -> Ints:
        """The candidates' places among all of the question's, in the order of the forest's paths."""
        return np.array([path.row for path in self.forest.paths], dtype=np.int64)

    def sums(self, logp_E: Floats) -> Floats:
        """For each candidate, in the forest's order, the sum over its edges, in nats."""
        found: Floats = np.add.reduceat(logp_E[self.forest.path_edge], self.forest.path_start[:-1])
        return found

    def all_of(self, hit_E: Bools) -> Bools:
        """For each candidate, in the forest's order, whether something is true of all of its edges."""
        found: Bools = np.logical_and.reduceat(hit_E[self.forest.path_edge], self.forest.path_start[:-1])
        return found


def grow_tree(candidates: Sequence[Tokens]) -> Tree:
    """Merges candidates.

    Raises:
        DataError: If there are none, or one holds no token.
    """
    if not candidates:
        raise DataError("There are no candidates to choose from")
    if empty := [place for place, tokens in enumerate(candidates) if not len(tokens)]:
        raise DataError("A candidate holds no token", where=f"candidate {empty[0]}")
    return Tree(build([_path(tokens, place) for place, tokens in enumerate(candidates)]))


def cut_tree(tree: Tree, node_budget: int) -> list[Tree]:
    """A tree in parts of at most so many nodes each, as far as single candidates allow; each has its own root."""
    return [Tree(part) for part in cut(tree.forest, node_budget + 1)]


def _path(tokens: Tokens, place: int) -> Path:
    weights = np.ones(len(tokens) + 1, dtype=np.float32)
    weights[0] = 0.0
    return Path(np.array([0, *tokens], dtype=np.int32), weights, group=place, row=place)
