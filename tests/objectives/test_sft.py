"""Supervised fine-tuning: a weighted mean, by hand."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.making import row
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
