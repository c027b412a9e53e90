from __future__ import annotations

import pytest
import torch
from torch import nn

from tunewright.train.anchor import Anchor, fisher_information


def weights(*values: float) -> dict[str, nn.Parameter]:
    return {"w": nn.Parameter(torch.tensor(values))}


def moved(held: dict[str, nn.Parameter], *values: float) -> None:
    with torch.no_grad():
        held["w"].copy_(torch.tensor(values))
    held["w"].grad = torch.zeros_like(held["w"])


def test_nothing_pulls_at_the_start() -> None:
    held = weights(1.0, -2.0)
    anchor = Anchor(held, l2=0.5, ewc=0.0)
    moved(held, 1.0, -2.0)
    assert anchor.pull() == 0
    assert held["w"].grad.tolist() == [0, 0]  # type: ignore[union-attr]


def test_l2_pulls_in_proportion_to_the_distance() -> None:
    held = weights(1.0, -2.0)
    anchor = Anchor(held, l2=0.5, ewc=0.0)
    moved(held, 3.0, -3.0)
    # Distances 2 and -1: half of 0.5 * (4 + 1).
    assert anchor.pull() == pytest.approx(1.25)
    assert held["w"].grad.tolist() == [1.0, -0.5]  # type: ignore[union-attr]


def test_ewc_weighs_each_distance_by_its_information_and_adds_to_l2() -> None:
    held = weights(1.0, -2.0)
    anchor = Anchor(held, l2=0.5, ewc=10.0)
    anchor.fisher = {"w": torch.tensor([0.2, 0.0])}
    moved(held, 3.0, -3.0)
    # Pulls 0.5 + 10 * 0.2 and 0.5: half of 2.5 * 4 + 0.5 * 1.
    assert anchor.pull() == pytest.approx(5.25)
    assert held["w"].grad.tolist() == pytest.approx([5.0, -0.5])  # type: ignore[union-attr]


def test_it_adds_to_the_gradients_at_hand_and_leaves_idle_weights_alone() -> None:
    held = {**weights(1.0), "idle": nn.Parameter(torch.tensor([1.0]))}
    anchor = Anchor(held, l2=1.0, ewc=0.0)
    moved(held, 2.0)
    held["w"].grad = torch.tensor([7.0])
    anchor.pull()
    assert held["w"].grad.tolist() == [8.0]
    assert held["idle"].grad is None


def test_without_a_pull_no_copy_is_kept() -> None:
    held = weights(1.0)
    anchor = Anchor(held, l2=0.0, ewc=0.0)
    moved(held, 5.0)
    assert anchor.pull() == 0
    assert not anchor.is_set
    assert anchor._start == {}


def test_information_is_the_mean_of_squared_gradients() -> None:
    held = {**weights(2.0, 3.0), "idle": nn.Parameter(torch.tensor([1.0]))}
    # Gradients (1, 4) and (3, 0): the mean of their squares, not the square of their mean.
    losses = ((held["w"] * torch.tensor(row)).sum() for row in ([1.0, 4.0], [3.0, 0.0]))
    found = fisher_information(held, losses)
    assert found["w"].tolist() == [5.0, 8.0]
    assert found["idle"].tolist() == [0.0]
    assert held["w"].grad is None
