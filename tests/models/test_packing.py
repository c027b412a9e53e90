"""Packed layers, against plain ones."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.tiny import tiny_model
from tunewright.models import packing
from tunewright.models.packing import PackedLinear, Packing, packed, packs

needs_mkl = pytest.mark.skipif(not packing._works(), reason="torch was built without MKL, and nothing is packed")


def layer(inputs: int, outputs: int, *, bias: bool = False) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(inputs, outputs, bias=bias)


@needs_mkl
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("inputs", "outputs"), [(128, 128), (576, 192), (130, 257), (4000, 5)])
def test_products_are_those_of_the_plain_layer(inputs: int, outputs: int, bias: bool) -> None:
    model = nn.Sequential(layer(inputs, outputs, bias=bias))
    for shape in ((1,), (2, 1), (7,), (3, 16), (64,), (257,)):
        x = torch.randn(*shape, inputs)
        plain = model(x)
        with torch.no_grad(), packed(model):
            assert type(model[0]) is PackedLinear
            torch.testing.assert_close(model(x), plain, atol=1e-5, rtol=1e-5)
            # Hidden states are often a part of something larger.
            wide = torch.cat([x, x], dim=-1)[..., inputs:]
            torch.testing.assert_close(model(wide), plain, atol=1e-5, rtol=1e-5)
    assert type(model[0]) is nn.Linear
    assert "order" not in vars(model[0])


@needs_mkl
def test_a_model_answers_as_before_and_is_left_as_it_was() -> None:
    model = tiny_model(seed=3)
    tokens = torch.tensor([[5, 9, 2, 7]])
    before = {name: type(module) for name, module in model.named_modules()}
    with torch.no_grad():
        plain = model(input_ids=tokens).logits
        packing = Packing(model)
        linear = sum(
            m.weight.nbytes for m in model.modules() if isinstance(m, nn.Linear) and m.weight.numel() >= 1 << 14
        )
        assert packing.bytes == linear
        torch.testing.assert_close(model(input_ids=tokens).logits, plain, atol=1e-5, rtol=1e-5)
        packing.undo()
    assert packing.bytes == 0
    assert {name: type(module) for name, module in model.named_modules()} == before


@needs_mkl
def test_with_a_gradient_the_plain_product_is_taken() -> None:
    model = nn.Sequential(layer(128, 128))
    x = torch.randn(4, 128, requires_grad=True)
    with packed(model):
        model(x).sum().backward()
    assert model[0].weight.grad is not None
    assert x.grad is not None


@needs_mkl
def test_hooks_see_what_a_packed_layer_gives() -> None:
    model = nn.Sequential(layer(128, 128))
    seen = []
    model[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.inference_mode(), packed(model):
        out = model(torch.ones(3, 128))
    assert seen[0] is out


@needs_mkl
def test_another_packing_leaves_the_firsts_layers_alone() -> None:
    model = nn.Sequential(layer(128, 128))
    with packed(model):
        with packed(model):
            pass
        assert type(model[0]) is PackedLinear


@needs_mkl
def test_only_plain_layers_in_float32_on_a_processor_are_packed() -> None:
    for dtype, device, fits in (("float32", "cpu", True), ("bfloat16", "cpu", False), ("float32", "cuda", False)):
        assert packs(1000, dtype, device) is fits
    assert not packs(3 << 30, "float32", "cpu")

    class Other(nn.Linear):
        pass

    model = nn.Sequential(Other(128, 128), nn.Linear(8, 8), nn.Linear(128, 128).bfloat16())
    with packed(model):
        assert [type(one) for one in model] == [Other, nn.Linear, nn.Linear]


def test_without_mkl_all_stays_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_works", lambda: False)
    model = nn.Sequential(layer(128, 128))
    with packed(model):
        assert type(model[0]) is nn.Linear
