from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.forest.test_forest import path
from tunewright.base.errors import ModelError
from tunewright.forest import Forest, build
from tunewright.train.noise import longest_rows, noisy_embeddings


class Model(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(10, width)
        nn.init.zeros_(self.table.weight)

    def get_input_embeddings(self) -> nn.Module:
        return self.table


def two_rows() -> Forest:
    """Nodes 5, 6, 7, 7 of a row and, from its second on, 8 of another: lengths 4 and 3."""
    forest = build([path([5, 6, 7, 7, 1], [0, 0, 0, 0, 1], row=0), path([5, 6, 8, 1], [0, 0, 0, 1], row=1)])
    assert forest.token.tolist() == [5, 6, 7, 7, 8]
    return forest


def noise(forest: Forest, *, width: int = 4000, alpha: float = 5.0, seed: int = 1) -> torch.Tensor:
    model = Model(width)
    with noisy_embeddings(model, forest, alpha=alpha, seed=seed):
        found = model.table(torch.tensor(forest.token)[None])[0]
    assert not model.table(torch.tensor([1])).any()  # outside there is none
    return found.detach()


def test_a_node_counts_the_nodes_of_the_longest_row_through_it() -> None:
    assert longest_rows(two_rows()).tolist() == [4, 4, 4, 4, 3]


def test_rows_do_not_change_the_forest() -> None:
    forest = two_rows()
    depth = forest.depth.copy()
    longest_rows(forest)
    assert np.array_equal(forest.depth, depth)


def test_noise_is_uniform_within_alpha_over_the_root_of_length_times_width() -> None:
    found = noise(two_rows())
    for node, length in enumerate([4, 4, 4, 4, 3]):
        bound = 5.0 / math.sqrt(length * 4000)
        assert found[node].abs().max() <= bound
        assert found[node].std() == pytest.approx(bound / math.sqrt(3), rel=0.05)
        assert found[node].mean() == pytest.approx(0, abs=0.05 * bound)


def test_equal_seeds_draw_equal_noise_and_leave_other_numbers_alone() -> None:
    before = torch.get_rng_state()
    assert torch.equal(noise(two_rows(), width=8), noise(two_rows(), width=8))
    assert not torch.equal(noise(two_rows(), width=8), noise(two_rows(), width=8, seed=2))
    torch.set_rng_state(before)
    model = Model(8)
    torch.set_rng_state(before)
    with noisy_embeddings(model, two_rows(), alpha=5.0, seed=1):
        model.table(torch.tensor(two_rows().token)[None])
    assert torch.equal(torch.get_rng_state(), before)


def test_without_alpha_there_is_no_noise() -> None:
    assert not noise(two_rows(), alpha=0).any()


def test_embeddings_that_are_not_nodes_are_refused() -> None:
    model: Any = Model(8)
    with (
        noisy_embeddings(model, two_rows(), alpha=5.0, seed=1),
        pytest.raises(ModelError, match="looks up 2 embeddings for 5 nodes"),
    ):
        model.table(torch.tensor([[1, 2]]))
