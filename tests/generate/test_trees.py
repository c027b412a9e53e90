"""Trees of candidates: what has a node, where it stands, and what it sees."""

from __future__ import annotations

import numpy as np

from tunewright.generate.trees import cut_tree, grow_tree

# Behind the question: 5 leads to 6 and to 7 8, 9 ends there.
CANDIDATES = [[5, 6], [5, 7, 8], [9]]


def test_last_tokens_need_no_node() -> None:
    tree = grow_tree(CANDIDATES)
    assert tree.nodes == 2  # 5, and 7 behind it
    assert tree.forest.token.tolist()[1:] == [5, 7]


def test_edges_lead_on_or_end_candidates() -> None:
    tree = grow_tree(CANDIDATES)
    assert tree.edges_of == [[(5, 1, ()), (9, 0, (2,))], [(6, 0, (0,)), (7, 2, ())], [(8, 0, (1,))]]
    assert tree.lines == {0: [1], 1: [1, 2], 2: []}


def test_a_candidate_ends_where_another_goes_on() -> None:
    tree = grow_tree([[5], [5, 6], [5]])
    assert tree.edges_of[0] == [(5, 1, (0, 2))]


def test_sums_are_by_candidate() -> None:
    tree = grow_tree(CANDIDATES)
    # Edges in order of their source: question to 5, to 9; 5 to 6, to 7; 7 to 8.
    found = dict(
        zip(tree.places_of_candidates.tolist(), tree.sums(np.array([-1.0, -2.0, -4.0, -8.0, -16.0])), strict=True)
    )
    assert found == {0: -5.0, 1: -25.0, 2: -2.0}


def test_branches_share_bins_and_see_themselves_alone() -> None:
    tree = grow_tree([[1, 2, 9], [1, 3, 9], [4, 9], [5, 6, 7, 9]])
    place, bins, width = tree.places
    assert (bins, width) == (1, 7)
    node_of = dict(zip(tree.forest.token.tolist()[1:], place.tolist(), strict=True))
    seen = {
        (key, query)
        for query, at in node_of.items()
        for key, place_of_key in node_of.items()
        if tree.seen[at, place_of_key]
    }
    lines = [[1, 2], [1, 3], [4], [5, 6, 7]]
    assert seen == {(line[k], line[q]) for line in lines for q in range(len(line)) for k in range(q + 1)}


def test_a_large_tree_has_bins_of_whole_branches() -> None:
    tree = grow_tree([[first, second, 9] for first in range(20) for second in range(3)])
    place, bins, width = tree.places
    assert (tree.nodes, bins, width) == (80, 3, 32)  # eight branches of four nodes a bin
    assert len(set(place.tolist())) == 80
    assert all(len({int(p) // width for p in place[branch * 4 : branch * 4 + 4]}) == 1 for branch in range(20))


def test_candidates_that_begin_with_others_are_counted() -> None:
    assert grow_tree([[5], [6]]).nested == 1
    assert grow_tree([[5], [5, 6], [5, 6, 7], [5, 8]]).nested == 3
    assert grow_tree([[5], [5]]).nested == 2


def test_parts_hold_every_candidate_once() -> None:
    parts = cut_tree(grow_tree([[first, 8, 9] for first in range(10)]), 6)
    assert all(part.nodes <= 6 for part in parts)
    assert sorted(place for part in parts for place in part.places_of_candidates.tolist()) == list(range(10))
