"""The prefix forest and its pages, held against dictionaries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tunewright.base.errors import OutOfMemoryError
from tunewright.generate.serving.pages import PAGE, Pages, cut, joined
from tunewright.generate.serving.prefixes import Node, Prefixes, Tokens


def some(*values: int) -> Tokens:
    return np.array(values, dtype=np.int32)


def run(length: int, start: int = 0) -> Tokens:
    return np.arange(start, start + length, dtype=np.int32)


def read(node: Node) -> None:
    for one in node.line():
        one.read = len(one.tokens)


def slots_of(node: Node) -> list[int]:
    return [slot for start, stop in node.spans for slot in range(start, stop)]


def test_pages_are_given_in_as_few_spans_as_there_can_be() -> None:
    pages = Pages(6)
    first = pages.take(20)
    assert first == [(0, 20)]
    assert pages.take(40, behind=20) == [(20, 60)]  # goes on where the first one ended, on the same page
    assert pages.used == 4
    pages.give_back(first)
    assert pages.used == 3  # the first page alone: the second one is also the other's
    assert pages.take(33) == [(64, 96), (0, 1)]
    with pytest.raises(OutOfMemoryError, match="1 tokens do not fit on the 0 pages"):
        pages.take(1)


def test_nobody_else_goes_on_where_another_has_gone_on() -> None:
    pages = Pages(4)
    pages.take(10)
    assert pages.take(3, behind=10) == [(10, 13)]
    assert pages.cost(3, behind=10) == 1
    assert pages.take(3, behind=10) == [(16, 19)]


def test_spans_are_cut_and_joined() -> None:
    assert cut([(0, 4), (8, 12)], 4) == ([(0, 4)], [(8, 12)])
    assert cut([(0, 4), (8, 12)], 6) == ([(0, 4), (8, 10)], [(10, 12)])
    assert joined([(0, 4), (4, 6), (8, 9)]) == [(0, 6), (8, 9)]


def test_a_split_moves_no_slot() -> None:
    prefixes = Prefixes(Pages(8))
    first = prefixes.hold("", run(40))
    read(first)
    before = slots_of(first)
    second = prefixes.hold("", some(*range(25), 99, 98))
    assert second.parent is first.parent
    assert second.parent is not None
    assert slots_of(second.parent) + slots_of(first) == before
    assert (second.parent.read, first.read, second.read) == (25, 15, 0)
    assert prefixes.matched("", run(30))[1] == 30
    assert prefixes.matched("other", run(30))[1] == 0


def test_leaves_used_longest_ago_go_first_and_none_in_use() -> None:
    prefixes = Prefixes(Pages(4))
    nodes = [prefixes.hold("", run(16, start)) for start in (100, 200, 300)]
    for node in nodes:
        read(node)
    prefixes.release(nodes[1])
    prefixes.release(nodes[0])
    assert prefixes.within_reach == 3
    prefixes.release(prefixes.hold("", run(16, 200)))  # used again, so the first one goes
    read(prefixes.hold("", run(32, 400)))
    assert [prefixes.matched("", run(16, start))[1] for start in (100, 200, 300, 400)] == [0, 16, 16, 16]
    with pytest.raises(OutOfMemoryError):
        prefixes.hold("", run(32, 500))


def test_what_nobody_reads_to_its_end_is_given_back() -> None:
    prefixes = Prefixes(Pages(8))
    node = prefixes.hold("", run(64))
    node.read = 20
    prefixes.release(node)
    assert prefixes.matched("", run(64))[1] == 20
    assert prefixes.pages.used == 2
    prefixes.release(prefixes.hold("", run(30)))  # behind it, and not read at all
    assert prefixes.pages.used == 2
    prefixes.clear()
    assert prefixes.pages.used == 0


def test_a_tree_in_use_is_not_dropped() -> None:
    prefixes = Prefixes(Pages(4))
    node = prefixes.hold("a", run(20))
    read(node)
    with pytest.raises(ValueError, match="in use"):
        prefixes.drop("a")
    prefixes.release(node)
    prefixes.drop("a")
    assert prefixes.pages.used == 0
    assert prefixes.matched("a", run(20))[1] == 0


def test_entries_of_what_is_used_again_and_again_do_not_pile_up() -> None:
    prefixes = Prefixes(Pages(4))
    for _ in range(1000):
        node = prefixes.hold("", run(20))
        read(node)
        prefixes.release(node)
    assert len(prefixes._idle) < 100


WORDS = st.lists(st.integers(0, 2), max_size=70).map(lambda values: np.array(values, dtype=np.int32))


class Forest(RuleBasedStateMachine):
    """Requests that come, are read, go, and crowd one another out, beside a plain dictionary of what was read."""

    @initialize(pages=st.integers(6, 14))
    def begin(self, pages: int) -> None:
        self.prefixes = Prefixes(Pages(pages))
        self.held: list[tuple[str, tuple[int, ...], Node]] = []
        self.wrote: dict[int, tuple[str, tuple[int, ...]]] = {}  # slot -> the path whose last token it holds

    @rule(key=st.sampled_from(["", "adapter"]), tokens=WORDS)
    def hold(self, key: str, tokens: Tokens) -> None:
        free, cost = self.prefixes.pages.free, self.prefixes.cost(key, tokens)
        fits = cost <= self.prefixes.within_reach
        try:
            node = self.prefixes.hold(key, tokens)
        except OutOfMemoryError:
            assert cost > free
            return
        assert fits
        assert node.end == len(tokens)
        assert np.array_equal(np.concatenate([some(), *(one.tokens for one in node.line())]), tokens)
        self.held.append((key, tuple(tokens.tolist()), node))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def read_on(self, data: st.DataObject) -> None:
        key, tokens, node = data.draw(st.sampled_from(self.held))
        left = data.draw(st.integers(1, 80))
        for one in node.line():
            for place in range(one.read, min(len(one.tokens), one.read + left)):
                self.wrote[slots_of(one)[place]] = key, tokens[: one.begin + place + 1]
                one.read, left = place + 1, left - 1
            if one.read < len(one.tokens):
                break

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.held) - 1))
        self.prefixes.release(self.held.pop(place)[2])

    @rule()
    def clear(self) -> None:
        self.prefixes.clear()
        if not self.held:
            assert self.prefixes.pages.free == self.prefixes.pages.count

    @invariant()
    def every_slot_holds_what_its_path_says(self) -> None:
        if not hasattr(self, "prefixes"):
            return
        taken: set[int] = set()
        users: dict[int, int] = {}
        held_pages: set[int] = set()
        for key, root in self.prefixes._roots.items():
            below = list(root.children.values())
            while below:
                node = below.pop()
                below += node.children.values()
                path = tuple(int(x) for one in node.line() for x in one.tokens)
                slots = slots_of(node)
                assert len(slots) == len(node.tokens) > 0
                assert not taken & set(slots)
                taken |= set(slots)
                for place in range(node.read):
                    assert self.wrote[slots[place]] == (key, path[: node.begin + place + 1])
                for page in {slot // PAGE for slot in slots}:
                    users[page] = users.get(page, 0) + 1
                if node.holds:
                    held_pages |= {slot // PAGE for slot in slots}
                else:
                    assert node.read == len(node.tokens)
        pages = self.prefixes.pages
        assert pages._users.tolist() == [users.get(page, 0) for page in range(pages.count)]
        assert pages.used == len(users)
        assert self.prefixes.within_reach == pages.count - len(held_pages)

    @invariant()
    def what_is_held_stands(self) -> None:
        for key, tokens, node in getattr(self, "held", ()):
            found, count = self.prefixes.matched(key, np.array(tokens, dtype=np.int32))
            assert (found, count) == (node, len(tokens))


TestForest = Forest.TestCase
TestForest.settings = settings(max_examples=20, stateful_step_count=30, derandomize=True, deadline=None)
