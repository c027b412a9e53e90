"""A group over the budget is learned in parts, and its gradient is that of the whole."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.objectives.making import row
from tests.tiny import tiny_model
from tests.train.made import made_recipe
from tests.train.test_dpo import made_pairs
from tests.train.test_dpo import run as run_pairs
from tunewright.base.plugins import METHODS, OBJECTIVES
from tunewright.forest import Forest, build
from tunewright.forest.coupled import Piece, joined, pieces_of
from tunewright.forest.edges import EdgeScores
from tunewright.forest.layout import adopt
from tunewright.forest.reference import Start, reference_logp
from tunewright.forest.score import score
from tunewright.objectives._protocol import LossSum
from tunewright.train.learn import learn
from tunewright.train.penalty import StepPenalty

ROWS = [
    row([5, 6, 7, 9, 30, 31], [8, 9, 2, 12, 13], [8, 4, 4, 2]),
    row([5, 6, 7, 9], [3, 2, 40], [9, 2, 41, 42, 43]),
    row([50, 51], [7, 7, 2], [2, 60]),
]


def model(method: str, **settings: Any) -> Any:
    base = tiny_model().requires_grad_(False)
    adopt(base)
    config = METHODS.config(method).model_validate({"name": method, **settings})
    attached = METHODS.call(method, "attach", base, config, 1).train()
    generator = torch.Generator().manual_seed(2)
    for weight in attached.parameters():
        if weight.requires_grad:
            weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    return attached


def made_pieces(attached: Any, budget: int) -> tuple[Any, list[Piece]]:
    objective = OBJECTIVES.call("dpo", "build", OBJECTIVES.config("dpo")(beta=0.5))
    paths = [path for group, example in enumerate(ROWS) for path in objective.paths(example, group, group)]
    found = []
    for piece in pieces_of(build(paths), budget):
        parts = reference_logp(Start(attached), [part.forest for part in piece.parts])
        found.append(Piece(piece.whole, piece.parts, joined(piece, parts)))
    return objective, found


def nothing(attached: Any) -> StepPenalty:
    """What a method without a penalty adds."""
    return StepPenalty(attached, [], lambda *_: pytest.fail("scored"), lambda *_: pytest.fail("weighed"))


def gradient(attached: Any, budget: int, score_part: Any) -> tuple[float, torch.Tensor, int]:
    """The loss, its gradient, and the most parts of a piece."""
    attached.zero_grad()
    objective, pieces = made_pieces(attached, budget)
    total = sum(float(learn(piece, score_part, objective.loss, nothing(attached)).total) for piece in pieces)
    flat = torch.cat([w.grad.reshape(-1) for w in attached.parameters() if w.requires_grad])
    return total, flat, max(len(piece.parts) for piece in pieces)


@pytest.mark.parametrize("method", ["lora", "prompt"])
def test_gradient_of_parts_is_that_of_the_whole(method: str) -> None:
    attached = model(method)

    def plain(_: int, forest: Forest) -> EdgeScores:
        return score(attached, forest)

    whole, expected, parts = gradient(attached, 10_000, plain)
    assert parts == 1
    loss, found, parts = gradient(attached, 9, plain)
    assert parts == 2
    assert loss == pytest.approx(whole, rel=1e-6)
    assert (found - expected).norm() <= 1e-5 * expected.norm()


def test_what_is_dropped_is_dropped_in_both_passes() -> None:
    """With dropout the loss is that of the numbers that were drawn: its slope along the gradient shows it."""
    attached = model("lora", rank=4, dropout=0.3).double()
    objective, pieces = made_pieces(attached, 9)
    weights = [w for w in attached.parameters() if w.requires_grad]

    def scored(_: int, forest: Forest) -> EdgeScores:
        return score(attached, forest)

    def loss() -> float:
        torch.manual_seed(3)
        attached.zero_grad()
        found = [
            learn(piece, lambda _, forest: score(attached, forest), objective.loss, nothing(attached))
            for piece in pieces
        ]
        return sum(float(each.total) for each in found)

    loss()
    direction = [w.grad.clone() for w in weights]
    length = torch.sqrt(sum((d**2).sum() for d in direction))
    step = 1e-4 / length
    values = []
    for sign in (1, -1):
        for w, d in zip(weights, direction, strict=True):
            w.data += sign * step * d
        values.append(loss())
        for w, d in zip(weights, direction, strict=True):
            w.data -= sign * step * d
    slope = (values[0] - values[1]) / (2 * float(step))
    assert slope == pytest.approx(float(length) ** 2, rel=2e-3)  # log-probabilities are float32


def test_a_loss_has_no_graph_when_it_is_returned() -> None:
    attached = model("lora")
    objective, pieces = made_pieces(attached, 9)
    found = learn(pieces[0], partial(lambda _, forest: score(attached, forest)), objective.loss, nothing(attached))
    assert isinstance(found, LossSum)
    assert not found.total.requires_grad


def test_pairs_over_the_budget_train_like_those_within(tmp_path: Path) -> None:
    found = []
    for budget in (20, 4000):
        settings: dict[str, Any] = {"epochs": 0.25, "node_budget": budget, "neftune_alpha": 0}
        trained, _ = run_pairs(tmp_path / str(budget), made_recipe(objective="dpo", **settings), made_pairs(32))
        found.append(([row[1] for row in trained.progress.train], trained.progress.best_loss))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-4)
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-4)


def test_a_methods_penalty_is_that_of_the_whole_step(tmp_path: Path) -> None:
    found = []
    for budget in (20, 4000):
        method = {"name": "molora", "experts": 4, "rank": 2, "top_k": 1, "balance": 10.0}
        recipe = made_recipe(method=method, objective="dpo", epochs=0.25, node_budget=budget)
        _, steps = run_pairs(tmp_path / str(budget), recipe, made_pairs(32))
        found.append(steps)
    assert found[0][0]["balance"] == pytest.approx(found[1][0]["balance"], rel=1e-6)
    assert found[0][0]["gradient_norm"] == pytest.approx(found[1][0]["gradient_norm"], rel=1e-4)
    assert found[0][0]["nodes"] > found[1][0]["nodes"]
