"""Our norms give what transformers' give, forward and backward, and replace only what they equal."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from tests.tiny import tiny_model
from tunewright.models.norm import RootMeanSquareNorm, _Norm, quicken_norms


def drawn(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def both(width: int = 48, dtype: torch.dtype = torch.float32) -> tuple[Any, Any]:
    """A stock norm with a weight drawn at random, and ours with the same numbers."""
    stock = LlamaRMSNorm(width, eps=1e-5).to(dtype)
    stock.weight.data = drawn(width, dtype=dtype, seed=1)
    return stock, RootMeanSquareNorm(nn.Parameter(stock.weight.detach().clone()), 1e-5)


def test_a_norm_worked_by_hand() -> None:
    # mean(3², 4²) = 12.5, and no eps: 3/√12.5 and 4/√12.5, times 2 and 10.
    ours = RootMeanSquareNorm(nn.Parameter(torch.tensor([2.0, 10.0])), 0.0)
    assert torch.allclose(ours(torch.tensor([[3.0, 4.0]])), torch.tensor([[6.0, 40.0]]) / 12.5**0.5)


def test_states_and_gradients_are_those_of_transformers() -> None:
    stock, ours = both()
    found = []
    for module in (stock, ours):
        x = (30 * drawn(2, 7, 48)).requires_grad_()
        out = module(x)
        out.backward(drawn(2, 7, 48, seed=2))
        found.append((out, x.grad, module.weight.grad))
    for expected, given in zip(*found, strict=True):
        assert expected is not None
        assert given is not None
        assert (given - expected).norm() <= 1e-6 * expected.norm()


def test_gradients_are_those_of_finite_differences() -> None:
    x = drawn(2, 3, 5, dtype=torch.float64).requires_grad_()
    weight = drawn(5, dtype=torch.float64, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, weight: _Norm.apply(x, weight, 1e-2), (x, weight))


def test_in_bfloat16_gradients_are_rounded_once() -> None:
    """Against the norm in float64 of the same numbers; a bfloat16 has 8 significant bits."""
    wide = {
        "x": drawn(64, 48, dtype=torch.bfloat16).double(),
        "weight": drawn(48, dtype=torch.bfloat16, seed=1).double(),
    }
    grad = drawn(64, 48, dtype=torch.bfloat16, seed=2)
    found = []
    for dtype in (torch.float64, torch.bfloat16):
        x, weight = (each.to(dtype).detach().requires_grad_() for each in wide.values())
        gradients = torch.autograd.grad(_Norm.apply(x, weight, 1e-5), (x, weight), grad.to(dtype))
        assert {each.dtype for each in gradients} == {dtype}
        found.append([each.double() for each in gradients])
    for expected, given in zip(*found, strict=True):
        assert (given - expected).norm() <= 2**-8 * expected.norm()


def test_a_frozen_weight_has_no_gradient_and_costs_none() -> None:
    _, ours = both()
    ours.weight.requires_grad_(False)
    x = drawn(4, 48).requires_grad_()
    ours(x).sum().backward()
    assert ours.weight.grad is None
    assert x.grad is not None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_dtypes_are_rounded_as_in_transformers(dtype: torch.dtype) -> None:
    stock, ours = both(dtype=dtype)
    x = drawn(4, 48, dtype=dtype)
    assert torch.equal(stock(x), ours(x))


def test_all_norms_of_a_llama_are_replaced_and_names_stay() -> None:
    model = tiny_model()
    before = {name: id(weight) for name, weight in model.named_parameters()}
    tokens = torch.tensor([[5, 3, 8, 4, 9, 6, 2, 7]])
    expected = model(input_ids=tokens).logits
    assert quicken_norms(model) == 5  # two a layer, and the last
    assert {name: id(weight) for name, weight in model.named_parameters()} == before
    found = model(input_ids=tokens).logits
    assert (found - expected).norm() <= 1e-6 * expected.norm()
    assert quicken_norms(model) == 0


def test_norms_that_compute_something_else_are_left() -> None:
    gemma = nn.Sequential(GemmaRMSNorm(8))  # multiplies by one plus the weight
    assert quicken_norms(gemma) == 0

    class ZeroCentredRMSNorm(LlamaRMSNorm):
        def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
            return super().forward(hidden_states) + hidden_states / self.weight.shape[0]

    other = nn.Sequential(ZeroCentredRMSNorm(8))
    assert quicken_norms(other) == 0
    assert isinstance(other[0], ZeroCentredRMSNorm)


def test_a_norm_with_a_hook_is_left() -> None:
    stock = nn.Sequential(LlamaRMSNorm(8))
    stock[0].register_forward_hook(lambda *_: None)
    assert quicken_norms(stock) == 0
