"""Experts are mixed as the formula says, token by token, and share prefixes exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests.forest.test_score import assert_same, long_rows
from tests.models.methods.adapting import attached, forest_pair, gradients, loaded, logits, randomised, saved
from tests.tiny import tiny_folder, tiny_model
from tunewright.base.errors import ModelError
from tunewright.models.memory import model_size
from tunewright.models.methods import lora, molora
from tunewright.models.methods._added import AddedLinear
from tunewright.models.methods._molora_linear import MixtureLinear


def layer(top_k: int = 2, **changes: Any) -> MixtureLinear:
    settings: dict[str, Any] = {"experts": 2, "rank": 1, "scale": 2.0, "dropout": 0.0}
    return MixtureLinear(torch.nn.Linear(2, 2, bias=False), top_k=top_k, **(settings | changes))


@pytest.fixture
def by_hand() -> MixtureLinear:
    """Base: identity. Expert 1 turns (a, b) into (a, a), expert 2 into (0, b). Logits are (a log 3, 0)."""
    made = layer()
    with torch.no_grad():
        made.base_layer.weight.copy_(torch.eye(2))
        made.router.weight.copy_(torch.tensor([[torch.tensor(3.0).log(), 0.0], [0.0, 0.0]]))
        made.down.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        made.up.weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
    return made


def test_numbers_worked_by_hand(by_hand: MixtureLinear) -> None:
    # x (1, 2): gates 3/4 and 1/4; x + 2 (3/4 (1, 1) + 1/4 (0, 2)) = (2.5, 4.5).
    # x (0, 2): gates 1/2 and 1/2; x + 2 (1/2 (0, 0) + 1/2 (0, 2)) = (0, 4).
    x = torch.tensor([[1.0, 2.0], [0.0, 2.0]])
    torch.testing.assert_close(by_hand.gates(x), torch.tensor([[0.75, 0.25], [0.5, 0.5]]))
    torch.testing.assert_close(by_hand(x), torch.tensor([[2.5, 4.5], [0.0, 4.0]]))


def test_of_chosen_experts_only_the_strongest_act(by_hand: MixtureLinear) -> None:
    by_hand.top_k = 1
    # x (1, 2): expert 1 alone, with gate 1; x (-1, 2): expert 2 alone.
    x = torch.tensor([[1.0, 2.0], [-1.0, 2.0]])
    assert by_hand.gates(x).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert by_hand(x).tolist() == [[3.0, 4.0], [-1.0, 6.0]]


@pytest.mark.parametrize("top_k", [1, 2, 4])
def test_it_is_the_sum_over_experts_one_by_one(top_k: int) -> None:
    made = randomised(layer(top_k, experts=4, rank=3).double())
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for row in x:
        scores = (made.router.weight @ row).tolist()
        chosen = sorted(range(4), key=lambda e: -scores[e])[:top_k]
        gates = torch.tensor([scores[e] for e in chosen]).double().softmax(0)
        expected = made.base_layer.weight @ row
        for gate, e in zip(gates, chosen, strict=True):
            part = slice(3 * e, 3 * e + 3)
            expected = expected + 2.0 * gate * (made.up.weight[:, part] @ (made.down.weight[part] @ row))
        torch.testing.assert_close(made(row), expected)


def test_gradients_are_those_of_finite_differences() -> None:
    made = randomised(layer(2, experts=3, rank=2).double())
    weights = tuple(made.added().values())
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def run(*values: torch.Tensor) -> Any:
        return torch.func.functional_call(made, dict(zip(made.added(), values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, weights)


def test_equal_experts_are_one_lora() -> None:
    """Whatever the router says: gates sum to one, and each expert is the same."""
    plain = randomised(attached(lora.Config(rank=4, alpha=6)))
    mixed = randomised(attached(molora.Config(experts=3, rank=4, alpha=6)))
    by_name = dict(plain.base_model.model.named_modules())
    with torch.no_grad():
        for name, module in mixed.base.named_modules():
            if isinstance(module, AddedLinear):
                module.down.weight.copy_(by_name[name].lora_A["default"].weight.repeat(3, 1))
                module.up.weight.copy_(by_name[name].lora_B["default"].weight.repeat(1, 3))
    assert torch.allclose(logits(mixed), logits(plain), atol=1e-4)


def test_it_begins_as_the_base_and_only_experts_and_routers_train() -> None:
    model = attached(molora.Config(targets=("q_proj", "mlp.down_proj")))
    assert torch.equal(logits(model), logits(tiny_model()))
    trained = {name for name, weight in model.base.named_parameters() if weight.requires_grad}
    places = [f"model.layers.{n}.{place}" for n in (0, 1) for place in ("self_attn.q_proj", "mlp.down_proj")]
    assert trained == {f"{place}.{part}.weight" for place in places for part in ("router", "down", "up")}


def test_every_part_learns_and_is_counted(tmp_path: Path) -> None:
    size = model_size(tiny_folder(tmp_path / "base"))
    for config in (molora.Config(experts=3, rank=2, top_k=2), molora.Config(targets=("k_proj", "up_proj"))):
        model = randomised(attached(config))
        found = gradients(model)
        assert all(grad.isfinite().all() and grad.norm() > 0 for grad in found.values())
        assert molora.trainable(size, config) == sum(grad.numel() for grad in found.values())


def test_the_count_by_hand(tmp_path: Path) -> None:
    size = model_size(tiny_folder(tmp_path / "base"))
    # k_proj, 32 to 16, in 2 layers; an expert of rank 2 has 2 x 48, the router 32 for each of 3 experts.
    assert molora.trainable(size, molora.Config(experts=3, rank=2, targets=("k_proj",))) == 2 * 3 * (96 + 32)


@pytest.mark.parametrize("top_k", [None, 2])
@pytest.mark.parametrize("backend", ["dense", "segments"])
def test_sharing_prefixes_is_exact(backend: str, top_k: int | None) -> None:
    config = molora.Config(experts=4, rank=2, top_k=top_k)
    assert_same(*forest_pair(config), long_rows(), 150, backend, 1e-5)


def test_narrow_models_keep_wide_trained_weights() -> None:
    model = randomised(attached(molora.Config(), tiny_model().bfloat16()))
    assert {weight.dtype for weight in model.parameters() if weight.requires_grad} == {torch.float32}
    assert logits(model).dtype == torch.bfloat16
    wide = randomised(attached(molora.Config(), tiny_model()))
    assert (logits(model).float() - logits(wide)).norm() / logits(wide).norm() < 0.05


def test_the_router_reads_what_dropout_leaves_out() -> None:
    model = randomised(attached(molora.Config(dropout=0.5))).train()
    module = model.base.model.layers[0].mlp.up_proj
    x = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(module.gates(x), module.gates(x))
    assert not torch.equal(module(x), module(x))
    model.eval()
    assert torch.equal(module(x), module(x))


def test_saved_and_loaded_it_gives_the_same_outputs(tmp_path: Path) -> None:
    config = molora.Config(experts=3, rank=2, top_k=2, alpha=5)
    model = randomised(attached(config)).eval()
    again = loaded(saved(model, tmp_path / "one", config))
    assert torch.equal(logits(again), logits(model))
    with pytest.raises(ModelError, match="in the file and"):
        molora.load(tiny_model(), molora.Config(experts=4, rank=2), tmp_path / "one")


@pytest.mark.parametrize(
    ("settings", "match", "where"),
    [
        ({"targets": ("q_proj", "nothing")}, "'nothing' matches no linear layer", "method.targets"),
        ({"rank": 17}, "rank of 17 is above the width of model.layers.0.self_attn.k_proj", "method.rank"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(settings: dict[str, Any], match: str, where: str) -> None:
    with pytest.raises(ModelError, match=match) as caught:
        attached(molora.Config(**settings))
    assert caught.value.where == where


def test_more_chosen_than_there_are_is_refused() -> None:
    with pytest.raises(ValidationError, match="top_k is 5, and there are 4 experts"):
        molora.Config(top_k=5)
