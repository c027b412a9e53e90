"""An adapter in its base's weights gives the same states, and leaves no trace."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.models.methods.test_lora import TOKENS, randomised
from tests.tiny import tiny_model
from tunewright.models.folding import folded
from tunewright.models.methods import lora


def adapted(dtype: torch.dtype = torch.float32) -> Any:
    base = tiny_model(attention_bias=True, mlp_bias=True).to(dtype)
    return randomised(lora.attach(base, lora.Config(rank=4), seed=1)).eval()


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=TOKENS).logits
    return found


def test_the_same_states_and_afterwards_the_same_weights() -> None:
    model = adapted()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    expected = logits(model)
    with folded(model):
        narrow = [module for module in model.modules() if type(module).__name__ == "LoraLinear"]
        calls: list[Any] = []
        for module in narrow:
            module.lora_A["default"].register_forward_hook(lambda *_: calls.append(1))
        found = logits(model)
        assert not calls
        weights = model.state_dict()
        changed = [name for name in before if not torch.equal(before[name], weights[name])]
        assert len(changed) == len(narrow) == 14
    assert torch.allclose(found, expected, atol=1e-4)
    assert not torch.equal(found, expected)  # rounded elsewhere: it did take the other way
    assert torch.equal(logits(model), expected)
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())


def test_weights_come_back_after_an_error() -> None:
    model = adapted()
    expected = logits(model)
    with pytest.raises(RuntimeError, match="broken"), folded(model):
        raise RuntimeError("broken")
    assert torch.equal(logits(model), expected)


def test_narrow_weights_and_switched_off_adapters_stay_as_they_are() -> None:
    narrow = adapted(torch.bfloat16)
    before = narrow.state_dict()["base_model.model.model.layers.0.mlp.up_proj.base_layer.weight"].clone()
    with folded(narrow):
        name = "base_model.model.model.layers.0.mlp.up_proj.base_layer.weight"
        assert torch.equal(narrow.state_dict()[name], before)
    model = adapted()
    with model.disable_adapter():
        expected = logits(model)
        with folded(model):
            assert torch.equal(logits(model), expected)
