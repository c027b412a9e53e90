"""Rows keep the part they had."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tunewright.data.earlier_parts import EarlierParts


def _bytes(*names: str) -> npt.NDArray[np.bytes_]:
    return np.array(names).astype(np.bytes_)


EARLIER = EarlierParts("h", _bytes("a", "b", "c", "d"), np.array([0, 1, 2, 0], dtype=np.int8))


def test_known_rows_stay_and_new_ones_are_learned_from() -> None:
    ids = _bytes("d", "new", "c", "b", "a", "zz")
    assert EARLIER.of(ids, _bytes("1", "2", "3", "4", "5", "6")).tolist() == [0, 0, 2, 1, 0, 0]


def test_rows_of_one_text_stay_together_on_the_side_held_out_furthest() -> None:
    ids = _bytes("a", "c", "b", "new", "d")
    keys = _bytes("same", "same", "like", "like", "alone")
    assert EARLIER.of(ids, keys).tolist() == [2, 2, 1, 1, 0]


def test_an_empty_dataset_holds_nothing_out() -> None:
    empty = EarlierParts("h", _bytes()[:0], np.empty(0, dtype=np.int8))
    assert empty.of(_bytes("a", "b"), _bytes("x", "y")).tolist() == [0, 0]
