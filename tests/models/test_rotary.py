"""Our turns give what transformers' give, forward and backward, and replace only what they equal."""

from __future__ import annotations

import copy
from types import FunctionType
from typing import Any

import pytest
import torch
from transformers.models.cohere.modeling_cohere import apply_rotary_pos_emb as turn_neighbours
from transformers.models.glm.modeling_glm import apply_rotary_pos_emb as turn_part
from transformers.models.llama.modeling_llama import LlamaAttention
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb as turn_halves

from tests.tiny import tiny_model
from tunewright.models.rotary import _quick, _turns_halves, quicken_rotations


def drawn(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def rows(heads: int, dtype: torch.dtype, seed: int) -> torch.Tensor:
    """Queries or keys as attention layers hand them over: seen from the side."""
    return drawn(1, 7, heads * 8, dtype=dtype, seed=seed).requires_grad_()


def test_a_turn_worked_by_hand() -> None:
    # (3, 4) turned by a right angle is (-4, 3).
    q = torch.tensor([[[[3.0, 4.0]]]])
    cos, sin = torch.zeros(1, 1, 2), torch.ones(1, 1, 2)
    turned, _ = _quick(turn_halves)(q, q, cos, sin)
    assert turned.tolist() == [[[[-4.0, 3.0]]]]


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-15), (torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
def test_turns_and_gradients_are_those_of_transformers(dtype: torch.dtype, bound: float) -> None:
    angle = drawn(1, 7, 4, seed=3)
    cos, sin = (torch.cat([angle, angle], -1).cos().to(dtype), torch.cat([angle, angle], -1).sin().to(dtype))
    found = []
    for turn in (turn_halves, _quick(turn_halves)):
        q, k = rows(4, dtype, 1), rows(2, dtype, 2)
        out = turn(q.view(1, 7, 4, 8).transpose(1, 2), k.view(1, 7, 2, 8).transpose(1, 2), cos, sin)
        torch.autograd.backward(out, [drawn(*x.shape, dtype=dtype, seed=4) for x in out])
        found.append((*out, q.grad, k.grad))
    assert all(torch.equal(expected, given) for expected, given in zip(found[0][:2], found[1][:2], strict=True))
    for expected, given in zip(*found, strict=True):
        assert expected is not None
        assert given is not None
        assert (given - expected).norm() <= bound * expected.norm()


def test_gradients_are_those_of_finite_differences() -> None:
    """Also where both halves have angles of their own."""
    cos, sin = drawn(1, 3, 6, dtype=torch.float64, seed=1), drawn(1, 3, 6, dtype=torch.float64, seed=2)
    x = drawn(2, 3, 6, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: _quick(turn_halves)(x[None], x[None], cos, sin)[0], (x,))


def test_a_model_computes_the_same_with_quick_turns() -> None:
    model: Any = tiny_model()
    tokens = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])
    with torch.no_grad():
        expected = model(tokens).logits
        assert quicken_rotations(model) == model.config.num_hidden_layers
        assert quicken_rotations(model) == 0  # nothing is done twice
        assert torch.allclose(model(tokens).logits, expected, atol=1e-5)
    assert all(isinstance(layer.self_attn, LlamaAttention) for layer in model.model.layers)
    copied = copy.deepcopy(model)
    assert type(copied.model.layers[0].self_attn) is type(model.model.layers[0].self_attn)


def test_other_turns_are_left_alone() -> None:
    assert isinstance(turn_neighbours, FunctionType)
    assert isinstance(turn_halves, FunctionType)
    assert not _turns_halves(turn_neighbours)
    assert _turns_halves(turn_halves)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_turned_in_part_or_in_another_dtype_is_left_to_the_stock_function(dtype: torch.dtype) -> None:
    q, k = drawn(1, 4, 3, 8), drawn(1, 2, 3, 8)
    cos, sin = drawn(1, 3, 4, dtype=dtype, seed=1), drawn(1, 3, 4, dtype=dtype, seed=2)
    for expected, given in zip(turn_part(q, k, cos, sin), _quick(turn_part)(q, k, cos, sin), strict=True):
        assert torch.equal(expected, given)
