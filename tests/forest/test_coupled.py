"""Groups over the budget: taken apart, and put together again edge by edge."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.forest.test_forest import path, some_paths
from tunewright.forest import Path, build, cut
from tunewright.forest.coupled import joined, pieces_of


def test_a_pair_over_the_budget_is_taken_apart() -> None:
    pair = [path([1, 2, 3, 4], [0, 0, 1, 1]), path([1, 2, 5, 6], [0, 0, -1, -1])]
    (piece,) = pieces_of(build(pair), 3)
    # Together 1 2 3 and 5: four nodes. The second answer's first token is predicted at 2, which both parts have.
    assert piece.whole.nodes == 4
    assert [part.forest.token.tolist() for part in piece.parts] == [[1, 2, 3], [1, 2, 5]]
    assert piece.nodes == 6
    assert list(zip(piece.whole.source.tolist(), piece.whole.target.tolist(), strict=True)) == [
        (1, 3),
        (1, 5),
        (2, 4),
        (3, 6),
    ]
    assert [part.edge.tolist() for part in piece.parts] == [[0, 2], [1, 3]]
    assert all(part.is_new.all() for part in piece.parts)
    assert [len(each.parts) for each in pieces_of(build(pair), 4)] == [1]


def test_an_edge_that_both_answers_have_is_new_once() -> None:
    pair = [path([1, 2, 3, 4, 8], [0, 1, 0, 0, 1]), path([1, 2, 5, 6, 8], [0, -1, 0, 0, -1])]
    (piece,) = pieces_of(build(pair), 5)
    assert [part.is_new.tolist() for part in piece.parts] == [[True, True], [False, True]]


def test_virtual_tokens_are_within_the_budget() -> None:
    rows = [path([row, 2, 3, 4], [0, 0, 0, 1], group=row, row=row) for row in range(5, 9)]
    assert [piece.nodes for piece in cut(build(rows), 8)] == [6, 6]
    assert [piece.nodes for piece in cut(build(rows), 8, virtual=3)] == [3, 3, 3, 3]
    assert [piece.nodes for piece in cut(build(rows), 15, virtual=3)] == [12]


@settings(max_examples=60, deadline=None)
@given(paths=some_paths(), budget=st.integers(1, 20))
def test_every_edge_comes_back_to_its_place(paths: list[Path], budget: int) -> None:
    coupled = [Path(p.tokens, p.weights, p.group // 3, p.row) for p in paths]
    pieces = pieces_of(build(coupled), budget)
    assert sum(len(piece.whole.paths) for piece in pieces) == len(paths)
    for piece in pieces:
        # What an edge is known by, whatever forest it stands in: the tokens up to its target.
        lines = [
            [
                hash((*part.forest.token[part.forest.ancestors(source)].tolist(), target))
                for source, target in zip(part.forest.source, part.forest.target, strict=True)
            ]
            for part in piece.parts
        ]
        whole = [
            hash((*piece.whole.token[piece.whole.ancestors(source)].tolist(), target))
            for source, target in zip(piece.whole.source, piece.whole.target, strict=True)
        ]
        assert joined(piece, [torch.tensor(each, dtype=torch.int64) for each in lines]).tolist() == whole
        assert sum(int(part.is_new.sum()) for part in piece.parts) == len(whole)
        assert all(part.forest.nodes <= budget or len(part.forest.paths) == 1 for part in piece.parts)
