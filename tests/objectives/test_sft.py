"""Supervised fine-tuning: a weighted mean, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.objectives.making import row
from tunewright.data.tokens import TokenRow
from tunewright.forest import build
from tunewright.forest.edges import EdgeScores
from tunewright.objectives import sft


def test_loss_is_the_negative_log_likelihood_of_the_learned_tokens() -> None:
    objective = sft.build(sft.Config())
    # Edges in order of source and target: 6 to 7 (twice: both rows learn it), 6 to 8.
    paths = [*objective.paths(row([5, 6], [7]), 0, 0), *objective.paths(row([5, 6], [7]), 1, 1)]
    forest = build([*paths, *objective.paths(row([5, 6], [8]), 2, 2)])
    found = objective.loss(EdgeScores(torch.tensor([-0.25, -2.0]), torch.zeros(2).bool()), forest)
    assert float(found.total) == pytest.approx(2 * 0.25 + 2.0)
    assert found.weight == 3


def test_a_rejected_answer_is_not_learned() -> None:
    paths = sft.build(sft.Config()).paths(row([5, 6], [7], [8]), 0, 0)
    assert [path.tokens.tolist() for path in paths] == [[5, 6, 7]]


def test_each_message_counts_by_its_weight() -> None:
    objective = sft.build(sft.Config())
    tokens = np.array([5, 6, 7, 8, 9], dtype=np.int32)
    # Two answers of one conversation: 6 7 weighs a quarter, 9 weighs one; 8 is a question between them.
    (path,) = objective.paths(TokenRow(tokens, np.array([0, 0.25, 0.25, 0, 1], dtype=np.float32)), 0, 0)
    # Edges 5 to 6, 6 to 7 and 8 to 9, in this order.
    hit = torch.tensor([False, True, True])
    found = objective.loss(EdgeScores(torch.tensor([-1.0, -2.0, -4.0]), hit), build([path]))
    assert float(found.total) == pytest.approx(0.25 * 1 + 0.25 * 2 + 1 * 4)
    assert found.weight == 1.5
    assert found.reported == {"token_accuracy": pytest.approx(0.25 + 1)}  # a sum, to be divided by the weight
