"""The forest's arrays, by hand and by property."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.base.errors import DataError
from tunewright.forest import Path, build, cut


def path(tokens: list[int], weights: list[float], group: int = 0, row: int = 0) -> Path:
    return Path(np.array(tokens, dtype=np.int32), np.array(weights, dtype=np.float32), group, row)


def test_two_rows_share_their_beginning() -> None:
    forest = build([path([5, 6, 8, 9], [0, 0, 1, 1], row=1), path([5, 6, 7, 9], [0, 0, 1, 2], row=0)])
    # 5 - 6 -+- 7      the last 9s are never fed
    #        +- 8
    assert forest.token.tolist() == [5, 6, 7, 8]
    assert forest.depth.tolist() == [0, 1, 2, 2]
    assert forest.parent.tolist() == [-1, 0, 1, 1]
    assert forest.end.tolist() == [4, 4, 3, 4]
    assert forest.count.tolist() == [2, 2, 1, 1]
    assert list(zip(forest.source.tolist(), forest.target.tolist(), strict=True)) == [(1, 7), (1, 8), (2, 9), (3, 9)]
    assert [p.row for p in forest.paths] == [0, 1]
    assert forest.edge_weight().tolist() == [1, 1, 2, 1]
    assert forest.weight == 5


def test_equal_rows_are_two_paths_over_the_same_edges() -> None:
    forest = build([path([3, 4], [0, 1]), path([3, 4], [0, -0.5])])
    assert forest.nodes == 1
    assert forest.count.tolist() == [2]
    assert forest.path_edge.tolist() == [0, 0]
    assert forest.edge_weight().tolist() == [0.5]


def test_nodes_stop_at_the_last_that_predicts() -> None:
    forest = build([path([1, 2, 3, 4, 5], [0, 0, 1, 0, 0])])
    assert forest.token.tolist() == [1, 2]


def test_rows_with_nothing_to_predict_have_no_nodes() -> None:
    forest = build([path([1, 2, 3], [0, 0, 0]), path([], [])])
    assert forest.nodes == 0
    assert forest.weight == 0
    assert len(forest.paths) == 2


def test_roots_that_differ_are_separate_trees() -> None:
    forest = build([path([2, 3, 4], [0, 1, 1]), path([1, 3, 4], [0, 1, 1])])
    assert forest.parent.tolist() == [-1, 0, -1, 2]
    assert forest.end.tolist() == [2, 2, 4, 4]


def test_weight_on_the_first_token_is_refused() -> None:
    with pytest.raises(DataError, match="row 7: The first token"):
        build([path([1, 2], [1, 1], row=7)])


sequences = st.lists(st.integers(0, 3), min_size=1, max_size=9)


@st.composite
def some_paths(draw: st.DrawFn) -> list[Path]:
    rows = draw(st.lists(sequences, min_size=1, max_size=8))
    number = st.sampled_from([0.0, 0.0, 1.0, -1.5, 0.25])
    return [
        path(tokens, [0.0, *draw(st.lists(number, min_size=len(tokens) - 1, max_size=len(tokens) - 1))], group, row)
        for row, (tokens, group) in enumerate((tokens, draw(st.integers(0, 4))) for tokens in rows)
    ]


def lines(paths: tuple[Path, ...] | list[Path]) -> set[tuple[int, ...]]:
    """Every beginning of every path, up to its last token that predicts: what the nodes must be."""
    found = set()
    for p in paths:
        learned = np.flatnonzero(p.weights)
        last = int(learned[-1]) if len(learned) else 0
        found |= {tuple(p.tokens[: n + 1].tolist()) for n in range(last)}
    return found


@settings(deadline=None, max_examples=200)
@given(some_paths())
def test_nodes_are_the_distinct_beginnings(paths: list[Path]) -> None:
    forest = build(paths)
    beginnings = [tuple(forest.token[forest.ancestors(node)].tolist()) for node in range(forest.nodes)]
    assert len(set(beginnings)) == forest.nodes
    assert set(beginnings) == lines(paths)
    assert beginnings == sorted(beginnings)  # preorder, children by token
    for node in range(forest.nodes):
        subtree = [n for n in range(forest.nodes) if node in forest.ancestors(n)]
        assert subtree == list(range(node, forest.end[node]))
        assert forest.count[node] == sum(1 for p in paths if beginnings[node] in lines([p]))


@settings(deadline=None, max_examples=200)
@given(some_paths(), st.randoms())
def test_order_of_the_rows_does_not_matter(paths: list[Path], random: object) -> None:
    shuffled = list(paths)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = build(paths), build(shuffled)
    assert first.token.tolist() == second.token.tolist()
    assert first.path_edge.tolist() == second.path_edge.tolist()
    assert [p.row for p in first.paths] == [p.row for p in second.paths]


@settings(deadline=None, max_examples=200)
@given(some_paths(), st.integers(1, 30))
def test_pieces_hold_every_path_once_and_keep_groups_and_budget(paths: list[Path], budget: int) -> None:
    pieces = cut(build(paths), budget)
    assert sorted(p.row for piece in pieces for p in piece.paths) == list(range(len(paths)))
    homes: dict[int, set[int]] = {}
    for number, piece in enumerate(pieces):
        groups = {p.group for p in piece.paths}
        assert piece.nodes <= budget or len(groups) == 1
        for group in groups:
            homes.setdefault(group, set()).add(number)
    assert all(len(places) == 1 for places in homes.values())
    assert sum(piece.weight for piece in pieces) == pytest.approx(build(paths).weight)
