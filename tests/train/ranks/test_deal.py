"""Paths dealt to processes: all of them, whole groups, neighbours together, evenly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.forest import Path, build
from tunewright.train.ranks.deal import deal, fewest_nodes


def path(tokens: Sequence[int], group: int, row: int = 0) -> Path:
    weights = np.array([0.0] * (len(tokens) - 1) + [1.0], dtype=np.float32)
    return Path(np.array(tokens, dtype=np.int32), weights, group, row)


def nodes(paths: Sequence[Path]) -> int:
    return build(paths).nodes if paths else 0


def test_what_paths_share_stays_together() -> None:
    # Two prompts of five tokens, two answers each: a share a prompt, seven nodes each (the last token is not fed).
    prompts = ([9, 9, 9, 9, 9], [5, 5, 5, 5, 5])
    paths = [path([*prompts[n % 2], 10 + n, 3], group=n, row=n) for n in range(4)]
    shares = deal(build(paths), 2)
    assert [{p.row for p in share} for share in shares] == [{1, 3}, {0, 2}]  # in the order of the tokens
    assert [nodes(share) for share in shares] == [7, 7]


def test_lengths_are_evened_out() -> None:
    # 3, 3 and 6 nodes: the two short ones together.
    paths = [path([1, 2, 3, 4], 0), path([2, 2, 3, 4], 1), path([3, 2, 3, 4, 5, 6, 7], 2)]
    assert [sorted(p.group for p in share) for share in deal(build(paths), 2)] == [[0, 1], [2]]


def test_with_fewer_groups_than_shares_the_last_are_empty() -> None:
    pair = [path([1, 2, 3], 0), path([8, 2, 3, 4], 0)]
    shares = deal(build(pair), 3)
    assert [len(share) for share in shares] == [2, 0, 0]


@given(
    rows=st.lists(st.tuples(st.lists(st.integers(1, 3), min_size=2, max_size=8), st.integers(0, 6)), max_size=14),
    count=st.integers(1, 4),
)
def test_every_path_is_dealt_once_and_no_group_is_split(rows: list[tuple[list[int], int]], count: int) -> None:
    paths = [path(tokens, group, row) for row, (tokens, group) in enumerate(rows)]
    shares = deal(build(paths), count)
    assert len(shares) == count
    assert sorted(p.row for share in shares for p in share) == list(range(len(paths)))
    for group in {p.group for p in paths}:
        assert sum(any(p.group == group for p in share) for share in shares) == 1


@pytest.mark.parametrize("count", [2, 3])
def test_no_run_of_neighbours_is_more_even(count: int) -> None:
    from itertools import combinations, pairwise

    dice = np.random.default_rng(5)
    paths = [path(dice.integers(1, 3, dice.integers(3, 9)).tolist(), row, row) for row in range(9)]
    order = build(paths).paths
    borders = ([0, *cuts, len(order)] for cuts in combinations(range(1, len(order)), count - 1))
    best = min(max(nodes(order[first:last]) for first, last in pairwise(cut)) for cut in borders)
    assert max(nodes(share) for share in deal(build(paths), count)) == best


def test_the_least_of_a_step_is_a_whole_group() -> None:
    pair = [path([1, 2, 3], 0), path([8, 2, 3, 4], 0)]
    assert fewest_nodes([*pair, path([1, 1, 1, 1, 1, 1, 1, 1], 1)]) == pair
