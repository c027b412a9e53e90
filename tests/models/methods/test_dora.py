from __future__ import annotations

import torch

from tests.models.methods.adapting import attached, logits, randomised
from tests.tiny import tiny_model
from tunewright.models.methods import dora


def test_it_begins_as_the_base() -> None:
    with torch.no_grad():
        torch.testing.assert_close(logits(attached(dora.Config(rank=4)).eval()), logits(tiny_model()))


def test_lengths_and_directions_are_those_of_the_paper() -> None:
    # Equation 5: W' = m (W + s B A) / ||W + s B A||, a length for each output; s is 2 where alpha is twice the rank.
    model = randomised(attached(dora.Config(rank=4)))
    layer = model.get_submodule("base_model.model.model.layers.1.self_attn.k_proj")
    weight = layer.base_layer.weight + 2 * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    length = layer.lora_magnitude_vector["default"].weight
    assert length.shape == (16,)
    expected = length[:, None] * weight / weight.norm(dim=1, keepdim=True)
    x = torch.randn(5, 32, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(layer(x), x @ expected.T, rtol=1e-4, atol=1e-4)
