"""Rows are filled up where products are made ready for each number of them, and nowhere else."""

from __future__ import annotations

import torch

from tunewright.forest.sizes import fill_rows


def test_rows_in_bfloat16_are_filled_up_with_zeros() -> None:
    rows = torch.ones(9, 3, dtype=torch.bfloat16)
    filled = fill_rows(rows)
    assert filled.shape == (16, 3)
    assert torch.equal(filled[:9], rows)
    assert not filled[9:].any()


def test_other_rows_are_left_alone() -> None:
    rows, full = torch.ones(9, 3), torch.ones(16, 3, dtype=torch.bfloat16)
    assert fill_rows(rows) is rows
    assert fill_rows(full) is full
