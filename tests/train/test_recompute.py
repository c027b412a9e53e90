"""Blocks computed again give the gradients of blocks computed once, and keep less for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.forest.test_score import long_rows
from tests.tiny import tiny_model
from tests.train.made import made_base, made_recipe, made_tables
from tests.train.test_dpo import made_pairs
from tests.train.test_dpo import run as run_pairs
from tunewright.base.errors import ModelError
from tunewright.base.plugins import METHODS
from tunewright.forest import build
from tunewright.forest.layout import adopt
from tunewright.forest.score import run, score
from tunewright.train import train
from tunewright.train.recompute import recompute_blocks

METHODS_TRIED: list[tuple[str, dict[str, Any]]] = [
    ("lora", {"rank": 4}),
    ("lora", {"rank": 4, "dropout": 0.3}),
    ("full", {}),
    ("layers", {"last": 1}),
    ("dora", {"rank": 2}),
    ("molora", {"rank": 2, "dropout": 0.2}),
    ("bottleneck", {"width": 4}),
    ("prompt", {"tokens": 3}),
    ("prefix", {"tokens": 3}),
]


def attached(name: str, settings: dict[str, Any], *, again: bool) -> Any:
    model = tiny_model().requires_grad_(False)
    adopt(model)
    config = METHODS.config(name).model_validate({"name": name, **settings})
    attached = METHODS.call(name, "attach", model, config, 1)
    generator = torch.Generator().manual_seed(2)
    for weight in attached.parameters():
        if weight.requires_grad:  # where a matrix is zero, half of the gradients vanish and prove nothing
            weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    if again:
        assert recompute_blocks(attached) == 2
    return attached.train()


def loss_and_gradient(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(11)
    forest = build(long_rows())
    logp = score(model, forest).logp
    loss = -(logp * torch.tensor(forest.edge_weight(), dtype=torch.float32)).sum()
    loss.backward()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return loss.detach(), torch.cat([weight.grad.reshape(-1) for weight in weights])


@pytest.mark.parametrize(("name", "settings"), METHODS_TRIED, ids=lambda value: str(value))
def test_gradients_are_the_same_dropout_and_all(name: str, settings: dict[str, Any]) -> None:
    once = loss_and_gradient(attached(name, settings, again=False))
    again = loss_and_gradient(attached(name, settings, again=True))
    assert torch.equal(once[0], again[0])
    assert once[1].norm() > 0
    assert (once[1] - again[1]).norm() <= 1e-6 * once[1].norm()


def kept_bytes(model: Any) -> int:
    """Bytes that autograd keeps over a forward pass, beside the model's own weights."""
    own = {tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), *model.buffers()]}
    found: dict[int, int] = {}
    alive: list[torch.Tensor] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            alive.append(tensor)  # so that no later one comes to lie in its place
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run(model, build(long_rows()))
    return sum(found.values())


def test_much_less_is_kept() -> None:
    kept = [kept_bytes(attached("lora", {"rank": 4}, again=again)) for again in (False, True)]
    assert kept[1] < kept[0] / 5


def test_a_model_without_such_blocks_is_refused() -> None:
    with pytest.raises(ModelError, match=r"train\.checkpointing: The blocks of Linear cannot be computed again"):
        recompute_blocks(torch.nn.Linear(2, 2))


def losses(folder: Path, **settings: Any) -> list[float]:
    base = made_base(folder / "tiny")
    recipe = made_recipe(epochs=0.5, **settings)
    trained = train(base, made_tables(base, folder / "cache"), recipe, folder=folder / "run")
    return [row[1] for row in trained.progress.train]


def test_the_loop_takes_the_same_steps(tmp_path: Path) -> None:
    once = losses(tmp_path / "once", checkpointing="none")
    assert losses(tmp_path / "again", checkpointing="layers") == pytest.approx(once, rel=1e-5)
    assert losses(tmp_path / "auto") == once  # where nothing settles it, auto recomputes nothing


def test_a_reference_is_not_disturbed(tmp_path: Path) -> None:
    found = []
    for checkpointing in ("none", "layers"):
        recipe = made_recipe(objective="dpo", epochs=0.5, checkpointing=checkpointing)
        trained, _ = run_pairs(tmp_path / checkpointing, recipe, made_pairs(32))
        found.append([row[1] for row in trained.progress.train])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_a_methods_penalty_reaches_its_weights(tmp_path: Path) -> None:
    method = {"name": "molora", "experts": 4, "rank": 2, "top_k": 1, "balance": 10.0}
    found = [losses(tmp_path / each, method=method, checkpointing=each) for each in ("none", "layers")]
    assert found[0] == pytest.approx(found[1], rel=1e-5)
