"""Near texts by cosine, against all pairs computed the plain way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.data.meaning import neighbours
from tunewright.data.meaning.neighbours import comparisons, keep_best, nearest


def at_angles(*degrees: float) -> np.ndarray:
    """Unit vectors in the plane, as they are stored."""
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float16)


def plain(vectors: np.ndarray, threshold: float, rank: np.ndarray, group: np.ndarray) -> list[int]:
    """Greedy by rank, one pair after another: who keeps each row, or -1."""
    wide = vectors.astype(np.float64)
    length = (wide * wide).sum(1)
    kept: list[int] = []
    found = [-1] * len(vectors)
    for row in np.argsort(rank):
        others = [other for other in kept if group[row] == group[other]]
        near = [(wide[row] @ wide[other] / np.sqrt(length[row] * length[other]), other) for other in others]
        near = [entry for entry in near if entry[0] >= threshold]
        if near:
            found[row] = max(near)[1]
        else:
            kept.append(row)
    return found


def test_a_row_near_to_a_better_one_goes_and_a_chain_is_cut() -> None:
    # cos 10 degrees is 0.985, cos 20 degrees 0.940: the middle goes with the first, so the last has nobody.
    near = keep_best(at_angles(0, 10, 20, 90), threshold=0.97, rank=np.arange(4))
    assert near.kept_by.tolist() == [-1, 0, -1, -1]
    assert near.similarity[1] == pytest.approx(np.cos(np.deg2rad(10)), abs=5e-4)
    # With the middle one best, both sides go.
    near = keep_best(at_angles(0, 10, 20, 90), threshold=0.97, rank=np.array([1, 0, 2, 3]))
    assert near.kept_by.tolist() == [1, -1, 1, -1]


def test_rows_of_other_groups_are_not_compared() -> None:
    group = np.array([1, 2, 1], dtype=np.uint64)
    assert keep_best(at_angles(0, 0, 0), threshold=0.9, rank=np.arange(3), group=group).kept_by.tolist() == [-1, -1, 0]
    assert comparisons(group) == 1


@given(
    angles=st.lists(st.integers(0, 40), max_size=24),
    groups=st.integers(1, 3),
    threshold=st.sampled_from([0.9, 0.985, 0.999, 1.0]),
    seed=st.integers(0, 9),
)
@settings(deadline=None, max_examples=40)
def test_blocks_change_nothing(angles: list[int], groups: int, threshold: float, seed: int) -> None:
    vectors = at_angles(*angles) if angles else np.empty((0, 2), dtype=np.float16)
    rng = np.random.default_rng(seed)
    rank, group = rng.permutation(len(angles)), rng.integers(0, groups, len(angles)).astype(np.uint64)
    found = []
    for rows, columns, pairs in ((1024, 8192, 8192), (3, 2, 5)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(neighbours, "_ROWS", rows)
            patch.setattr(neighbours, "_COLUMNS", columns)
            patch.setattr(neighbours, "_PAIRS", pairs)
            near = keep_best(vectors, threshold=threshold, rank=rank, group=group)
        found.append((near.kept_by.tolist(), near.similarity.tolist()))
    assert found[0] == found[1]
    assert [by >= 0 for by in found[0][0]] == [by >= 0 for by in plain(vectors, threshold, rank, group)]


def test_the_nearest_key_is_found_in_whatever_block_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_ROWS", 2)
    monkeypatch.setattr(neighbours, "_COLUMNS", 2)
    index, cosine = nearest(at_angles(0, 44, 91), at_angles(180, 90, 1, 45, 90))
    assert index.tolist() in ([2, 3, 1], [2, 3, 4])
    np.testing.assert_allclose(cosine, np.cos(np.deg2rad([1, 1, 1])), atol=5e-4)
    assert nearest(at_angles()[:0].reshape(0, 2), at_angles(3))[0].shape == (0,)


def test_a_cosine_on_the_threshold_counts_whichever_way_sums_round() -> None:
    vectors = np.random.default_rng(1).normal(size=(2, 384)).astype(np.float16)
    wide = vectors.astype(np.float64)
    exact = (wide[0] @ wide[1]) / np.sqrt((wide[0] @ wide[0]) * (wide[1] @ wide[1]))
    vectors[1] *= np.sign(exact)
    on = keep_best(vectors, threshold=abs(exact), rank=np.arange(2)).kept_by.tolist()
    above = keep_best(vectors, threshold=np.nextafter(abs(exact), 1), rank=np.arange(2)).kept_by.tolist()
    assert (on, above) == ([-1, 0], [-1, -1])


def test_progress_is_told_within_a_large_group_and_not_for_each_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_ROWS", 10)
    told: list[int] = []
    many = np.repeat(np.arange(20, dtype=np.uint64), 2)
    keep_best(at_angles(*range(40)), threshold=0.999, rank=np.arange(40), group=many, progress=told.append)
    assert told == [10, 20, 30, 40]
    told.clear()
    keep_best(at_angles(*range(25)), threshold=0.999, rank=np.arange(25), progress=told.append)
    assert told == [10, 20]
