"""What is off-loaded changes no number; where there is nothing to off-load from, it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.forest.test_score import adapted, long_rows
from tests.tiny import tiny_model
from tests.train.made import made_base, made_recipe, made_tables
from tunewright.base.errors import RecipeError
from tunewright.base.plugins import OPTIMISERS
from tunewright.forest import build
from tunewright.forest.layout import adopt
from tunewright.forest.score import score
from tunewright.train import train
from tunewright.train.offload import check_offload, kept_aside
from tunewright.train.optimiser import Optimiser


def stepped(name: str, *, aside: bool, steps: int = 3, then: Any = None) -> tuple[Any, Optimiser]:
    """A small model after some steps, with its optimiser."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    weights = dict(model.named_parameters())
    parts = OPTIMISERS.call(name, "build", model, OPTIMISERS.config(name)(), weight_decay=0.1)
    optimiser = Optimiser(weights, parts, offloaded=aside)
    if then is not None:
        optimiser.put(then[1].weights)
        optimiser.restore({key: value.clone() for key, value in then[1].tensors().items()})
    for _ in range(steps):
        optimiser.zero_grad()
        model(torch.randn(4, 6, generator=torch.Generator().manual_seed(1))).square().sum().backward()
        optimiser.step(0.01)
    return model, optimiser


@pytest.mark.parametrize("name", ["adamw", "muon", "sgd", "adafactor"])
def test_copies_step_as_the_weights_themselves_would(name: str) -> None:
    (here, own), (there, aside) = stepped(name, aside=False), stepped(name, aside=True)
    for expected, found in zip(here.parameters(), there.parameters(), strict=True):
        assert torch.equal(expected, found)
    assert own.tensors().keys() == aside.tensors().keys()
    for entry, value in own.tensors().items():
        assert torch.equal(value, aside.tensors()[entry])


def test_a_restored_state_goes_on_from_the_restored_weights() -> None:
    whole, _ = stepped("adamw", aside=True, steps=5)
    resumed, _ = stepped("adamw", aside=True, steps=2, then=stepped("adamw", aside=True, steps=3))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_gradients_leave_the_model_as_they_come() -> None:
    model, optimiser = stepped("adamw", aside=True)
    assert all(weight.grad is None for weight in model.parameters())
    assert all(master.grad is not None for master in optimiser.weights.values())
    assert not {id(weight) for weight in model.parameters()} & {id(master) for master in optimiser.weights.values()}


def test_activations_kept_aside_give_the_same_gradient() -> None:
    found = []
    for offload in ("none", "activations"):
        model = adapted(tiny_model())
        adopt(model)
        with kept_aside(offload):
            logp = score(model.train(), build(long_rows())).logp
        logp.sum().backward()
        found.append(torch.cat([w.grad.reshape(-1) for w in model.parameters() if w.requires_grad]))
    assert found[0].norm() > 0
    assert torch.equal(*found)


def test_on_a_processor_it_is_refused_before_the_first_step(tmp_path: Path) -> None:
    base = made_base(tmp_path / "tiny")
    with pytest.raises(RecipeError, match=r"train\.offload: This training runs on the processor"):
        train(base, made_tables(base, tmp_path), made_recipe(offload="optimiser"), folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    check_offload("optimiser", torch.device("cuda"))
    check_offload("none", torch.device("cpu"))
