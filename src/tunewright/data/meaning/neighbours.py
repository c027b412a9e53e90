"""Which texts mean nearly the same: exact cosines of all pairs, block by block.

Blocks are multiplied in float32, and every pair at the threshold is computed again without rounding: products of two
float16 numbers and their sums over a few hundred places fit into float64's 53 bits. So what counts as near does not
depend on how rows are cut into blocks, nor on the machine's order of additions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tunewright.data.meaning.vectors import Floats, Integers, Stored, Vectors, unit

# From this cosine on two texts count as saying the same; chosen on Banking77, see docs/data.md.
THRESHOLD = 0.95

_ROWS = 1024
_COLUMNS = 8192
_PAIRS = 8192
# More than float32's rounding can take away from a cosine over some hundred numbers.
_SLACK = 1e-4


@dataclass(frozen=True, slots=True)
class Copies:
    """Which of n texts say the same as a better one.

    Args:
        kept_by: For each text the better one it is near to, or -1 where it stays; shape (n,).
        similarity: The cosine of the two, 0 where it stays; shape (n,).
    """

    kept_by: Integers
    similarity: Floats


def keep_best(
    vectors: Stored,
    *,
    threshold: float,
    rank: Integers,
    group: npt.NDArray[np.uint64] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Copies:
    """Which texts say the same as better ones.

    In order of preference each text stays, unless it is near to one that stays already. No two that stay are near.

    Args:
        vectors: Stored vectors, shape (n, width), in memory or mapped.
        threshold: Lowest cosine that counts as near, in 0…1.
        rank: Position of each text in the order of preference, the best first; a permutation, shape (n,).
        group: Only texts of equal group are compared, shape (n,); none: all are.
        progress: Is told, every thousand texts or so, how many have been compared.
    """
    near = Copies(np.full(len(vectors), -1, dtype=np.int64), np.zeros(len(vectors)))
    groups = np.zeros(len(vectors), dtype=np.uint64) if group is None else group
    done = told = 0
    for rows in _groups(groups, rank):
        for settled in _settle(vectors, rows, threshold, near):
            done += settled
            if done - told >= _ROWS:
                progress(done)
                told = done
    return near


def comparisons(group: npt.NDArray[np.uint64]) -> int:
    """How many pairs `keep_best` may have to look at."""
    counts = np.unique(group, return_counts=True)[1].astype(object)  # Python's integers do not overflow
    return int(sum(count * (count - 1) // 2 for count in counts))


def nearest(queries: Stored, keys: Stored) -> tuple[Integers, Floats]:
    """For each query the key that means most nearly the same, one of several equals, and their cosine.

    Args:
        queries: Stored vectors, shape (q, width).
        keys: Stored vectors, shape (k, width), k at least 1.

    Returns:
        Two arrays of shape (q,).
    """
    best = np.full(len(queries), -2.0, dtype=np.float32)
    index = np.zeros(len(queries), dtype=np.int64)
    for at in range(0, len(keys), _COLUMNS):
        block = unit(keys[at : at + _COLUMNS])
        for start in range(0, len(queries), _ROWS):
            part = slice(start, start + _ROWS)
            cosine = unit(queries[part]) @ block.T
            column = cosine.argmax(1)
            value = cosine[np.arange(len(column)), column]
            better = value > best[part]
            best[part][better] = value[better]
            index[part][better] = at + column[better]
    return index, _cosines(queries, np.arange(len(queries)), keys, index)


def _groups(group: npt.NDArray[np.uint64], rank: Integers) -> Iterator[Integers]:
    """The rows of each group of two or more, best first."""
    order = np.lexsort((rank, group)).astype(np.int64)
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(group[order])) + 1, [len(order)]])
    for which in np.flatnonzero(np.diff(bounds) > 1):
        yield order[bounds[which] : bounds[which + 1]]


def _settle(vectors: Stored, rows: Integers, threshold: float, near: Copies) -> Iterator[int]:
    """Lets the best of one group stay and what is near to them go; notes who keeps whom, yields each block's rows."""
    kept = np.empty(0, dtype=np.int64)
    for start in range(0, len(rows), _ROWS):
        block = rows[start : start + _ROWS]
        for at in range(0, len(kept), _COLUMNS):
            ours = kept[at : at + _COLUMNS]
            for left, right in _close(unit(vectors[ours]) @ unit(vectors[block]).T, threshold):
                _note(vectors, ours[left], block[right], threshold, near)
        within = unit(vectors[block])
        for left, right in _close(np.triu(within @ within.T, k=1), threshold):
            if near.kept_by[block[left]] < 0:
                _note(vectors, block[left], block[right], threshold, near)
        kept = np.concatenate([kept, block[near.kept_by[block] < 0]])
        yield len(block)


def _close(rough: Vectors, threshold: float) -> Iterator[tuple[int, Integers]]:
    """Each row that has a cosine near the threshold or above it, in order, and the columns where."""
    close = rough >= max(threshold - _SLACK, _SLACK)
    for row in np.flatnonzero(close.any(1)):
        yield int(row), np.flatnonzero(close[row])


def _note(vectors: Stored, better: np.int64, worse: Integers, threshold: float, near: Copies) -> None:
    """Notes for each of `worse` that is near to `better`, and to none more so, who keeps it."""
    value = _cosines(vectors, np.full(len(worse), better), vectors, worse)
    closer = (value >= threshold) & (value > near.similarity[worse])
    near.kept_by[worse[closer]] = better
    near.similarity[worse[closer]] = value[closer]


def _cosines(left: Stored, left_rows: Integers, right: Stored, right_rows: Integers) -> Floats:
    """The cosine of each pair of rows, without rounding but for the last two operations; shape (pairs,)."""
    parts = [np.empty(0)]
    for start in range(0, len(left_rows), _PAIRS):
        ours = left[left_rows[start : start + _PAIRS]].astype(np.float64)
        theirs = right[right_rows[start : start + _PAIRS]].astype(np.float64)
        lengths = np.einsum("pw,pw->p", ours, ours) * np.einsum("pw,pw->p", theirs, theirs)
        parts.append(np.einsum("pw,pw->p", ours, theirs) / np.sqrt(lengths))
    return np.concatenate(parts)
