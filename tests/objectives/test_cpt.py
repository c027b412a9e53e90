"""Continued pre-training against transformers' own causal loss, and one root for each document of a block."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from tests.tiny import tiny_model
from tunewright.data.tokens import TokenRow
from tunewright.forest import build
from tunewright.forest.layout import adopt
from tunewright.forest.score import score
from tunewright.objectives import cpt

# Two documents and the piece of a third; where each begins, the weight is 0.
PIECES = [[5, 9, 7, 0], [8, 6, 6, 4, 3, 0], [5, 9, 200, 17, 3]]
BLOCK = TokenRow(
    np.array([token for piece in PIECES for token in piece], dtype=np.int32),
    np.array([float(at > 0) for piece in PIECES for at in range(len(piece))], dtype=np.float32),
)


def test_loss_and_gradient_are_transformers_own() -> None:
    stock = tiny_model().requires_grad_(True)
    ours = copy.deepcopy(stock)
    adopt(ours)
    objective = cpt.build(cpt.Config())
    forest = build(objective.paths(BLOCK, 0, 0))
    found = objective.loss(score(ours, forest), forest)
    found.total.backward()  # type: ignore[no-untyped-call]
    # transformers shifts the labels itself and takes the mean over each text's tokens but the first.
    expected = sum(
        stock(input_ids=torch.tensor([piece]), labels=torch.tensor([piece])).loss * (len(piece) - 1) for piece in PIECES
    )
    expected.backward()
    assert found.weight == sum(len(piece) - 1 for piece in PIECES)
    assert float(found.total.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    pairs = zip(ours.parameters(), stock.parameters(), strict=True)
    gradients = [(a.grad.flatten(), b.grad.flatten()) for a, b in pairs]
    a, b = (torch.cat(each) for each in zip(*gradients, strict=True))
    assert (a - b).norm() <= 1e-5 * b.norm()


def test_each_document_of_a_block_is_a_path_of_its_own() -> None:
    paths = cpt.build(cpt.Config()).paths(BLOCK, 3, 1)
    assert [path.tokens.tolist() for path in paths] == PIECES
    assert [path.weights.tolist() for path in paths] == [[0.0] + [1.0] * (len(piece) - 1) for piece in PIECES]
    assert {(path.row, path.group) for path in paths} == {(3, 1)}
