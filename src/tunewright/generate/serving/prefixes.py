"""The prefix forest of a server: which beginnings have their keys and values in the store, and where.

A radix tree for each adapter. A node is a run of tokens and the slots that hold their keys and values; what requests
begin with in common is one node, whatever follows. A node that is in use is held, and all above it with it; of the
others leaves are evicted, those used longest ago first.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tunewright.base.errors import OutOfMemoryError
from tunewright.generate.serving.pages import PAGE, Pages, Span, cut, pages_of

Tokens = NDArray[np.int32]


@dataclass(eq=False, slots=True)
class Node:
    """A run of tokens without a branch.

    Args:
        tokens: Shape (n,); none in a root.
        parent: The node above; None of a root.
        begin: Tokens above its first one.
        spans: The slots of its tokens, in order.
        read: How many of its tokens, the first ones, have their keys and values in the store.
        holds: By how many it is used, or a node below it.
        used: When it was last used, in the forest's own count.
    """

    tokens: Tokens
    parent: Node | None
    begin: int = 0
    spans: list[Span] = field(default_factory=list)
    read: int = 0
    holds: int = 0
    used: int = 0
    children: dict[int, Node] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """Tokens from the root to its last one."""
        return self.begin + len(self.tokens)

    def line(self) -> list[Node]:
        """The nodes from below the root to this one."""
        found: list[Node] = []
        node: Node | None = self
        while node is not None and node.parent is not None:
            found.append(node)
            node = node.parent
        return found[::-1]


class Prefixes:
    """Prefix trees on one store of pages.

    Args:
        pages: Where slots come from.
    """

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self._roots: dict[Hashable, Node] = {}
        self._held = np.zeros(pages.count, dtype=np.int32)  # held nodes that each page has
        self._held_pages = 0
        self._clock = 0
        self._idle: list[tuple[int, int, Node]] = []  # leaves that nothing used, and stale entries
        self._nodes = 0

    @property
    def within_reach(self) -> int:
        """Pages that are free, or would be if all that is not in use were evicted."""
        return self.pages.count - self._held_pages

    def matched(self, key: Hashable, tokens: Tokens) -> tuple[Node, int]:
        """The deepest node on the way of some tokens, and how many of them stand in the tree."""
        node, done = self._root(key), 0
        while done < len(tokens):
            child = node.children.get(int(tokens[done]))
            if child is None:
                break
            agreed = _common(child.tokens, tokens[done:])
            node, done = child, done + agreed
            if agreed < len(child.tokens):
                break
        return node, done

    def cost(self, key: Hashable, tokens: Tokens) -> int:
        """Pages that putting tokens into the tree would take."""
        node, done = self.matched(key, tokens)
        return self.pages.cost(len(tokens) - done, _behind(node) if node.end == done else None)

    def hold(self, key: Hashable, tokens: Tokens) -> Node:
        """Puts tokens into the tree, as far as they are not there, and holds the node that ends with them.

        What is new has slots and is not read yet. Other prefixes are evicted for it where there are too few pages.

        Raises:
            OutOfMemoryError: If there are too few pages, whatever is evicted; nothing is held then.
        """
        node, done = self.matched(key, tokens)
        if node.end != done:
            node = self._split(node, done - node.begin)
        self.keep(node)
        if done == len(tokens):
            return node
        behind = _behind(node)
        try:
            if not self.evict(self.pages.cost(len(tokens) - done, behind)):
                raise OutOfMemoryError(f"{len(tokens) - done} tokens do not fit beside what is in use")
            spans = self.pages.take(len(tokens) - done, behind)
        except OutOfMemoryError:
            self.release(node)
            raise
        new = Node(tokens[done:].copy(), node, done, spans)
        node.children[int(tokens[done])] = new
        self._nodes += 1
        self.keep(new)
        self.release(node)
        return new

    def keep(self, node: Node) -> None:
        """Holds a node, and all above it."""
        self._clock += 1
        for one in _upward(node):
            if one.holds == 0:
                self._note_held(one, 1)
            one.holds += 1
            one.used = self._clock

    def release(self, node: Node) -> None:
        """Lets go of a node. What nobody holds and has not been read is given back at once."""
        for one in _upward(node):
            one.holds -= 1
            if one.holds == 0:
                self._note_held(one, -1)
        for one in _upward(node):
            if one.holds or one.children or one.parent is None:
                return
            if one.read == len(one.tokens):
                self._let_idle(one)
                return
            if one.read:
                self._split(one, one.read)
            self._remove(one)

    def evict(self, wanted: int) -> bool:
        """Evicts leaves that are not in use until so many pages are free; whether they are."""
        while self.pages.free < wanted and self._idle:
            used, _, node = heapq.heappop(self._idle)
            if node.used == used and self._is_idle(node):
                self._remove(node)
        return self.pages.free >= wanted

    def clear(self) -> None:
        """Evicts all that is not in use."""
        self.evict(self.pages.count)

    def drop(self, key: Hashable) -> None:
        """Forgets a whole tree.

        Raises:
            ValueError: If some of it is in use.
        """
        root = self._roots.get(key)
        if root is None:
            return
        if root.holds:
            raise ValueError(f"the prefixes of {key!r} are in use")
        for node in reversed(list(_below(root))):
            self._remove(node)
        del self._roots[key]

    def nodes(self) -> Iterator[Node]:
        """All nodes but the roots, those above before those below."""
        for root in self._roots.values():
            yield from _below(root)

    def _root(self, key: Hashable) -> Node:
        if key not in self._roots:
            self._roots[key] = Node(np.zeros(0, dtype=np.int32), None)
        return self._roots[key]

    def _split(self, node: Node, at: int) -> Node:
        """Cuts a node in two; the upper one is new, and whoever holds the node holds the lower one."""
        assert node.parent is not None
        upper_spans, lower_spans = cut(node.spans, at)
        upper = Node(node.tokens[:at], node.parent, node.begin, upper_spans, min(node.read, at), node.holds, node.used)
        last, first = upper_spans[-1][1] - 1, lower_spans[0][0]
        if last // PAGE == first // PAGE:
            self.pages.share(first)
            self._held[first // PAGE] += node.holds > 0
        node.parent.children[int(upper.tokens[0])] = upper
        upper.children[int(node.tokens[at])] = node
        node.parent, node.begin, node.spans = upper, upper.end, lower_spans
        node.tokens, node.read = node.tokens[at:], max(0, node.read - at)
        self._nodes += 1
        return upper

    def _remove(self, node: Node) -> None:
        """Takes a leaf out of the tree."""
        parent = node.parent
        assert parent is not None
        assert not node.children
        assert not node.holds
        self.pages.give_back(node.spans)
        del parent.children[int(node.tokens[0])]
        node.parent, node.spans = None, []
        self._nodes -= 1
        if self._is_idle(parent):
            self._let_idle(parent)

    def _is_idle(self, node: Node) -> bool:
        return node.parent is not None and not node.holds and not node.children

    def _let_idle(self, node: Node) -> None:
        self._clock += 1
        heapq.heappush(self._idle, (node.used, self._clock, node))
        if len(self._idle) > 2 * self._nodes + 64:  # mostly stale entries, which would grow with every request
            self._idle = [entry for entry in self._idle if entry[0] == entry[2].used and self._is_idle(entry[2])]
            heapq.heapify(self._idle)

    def _note_held(self, node: Node, change: int) -> None:
        """Counts the pages that held nodes have, when a node begins or ceases to be held."""
        for pages in pages_of(node.spans):
            before = int((self._held[pages] > 0).sum())
            self._held[pages] += change
            self._held_pages += int((self._held[pages] > 0).sum()) - before


def _behind(node: Node) -> int | None:
    """One past a node's last slot; None of a root."""
    return node.spans[-1][1] if node.spans else None


def _upward(node: Node) -> list[Node]:
    """A node and all above it, the root last."""
    found = [node]
    while found[-1].parent is not None:
        found.append(found[-1].parent)
    return found


def _below(root: Node) -> Iterator[Node]:
    """All nodes below a root, those above before those below."""
    waiting = list(root.children.values())
    while waiting:
        node = waiting.pop()
        waiting += node.children.values()
        yield node


def _common(first: Tokens, second: Tokens) -> int:
    """Length of the common beginning of two runs of tokens."""
    length = min(len(first), len(second))
    differs = np.flatnonzero(first[:length] != second[:length])
    return int(differs[0]) if len(differs) else length
