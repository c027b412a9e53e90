from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.models.methods.adapting import attached, randomised, saved
from tunewright.base.files import read_json
from tunewright.models.methods import lora, rslora
from tunewright.models.methods._lora_linear import LoraLinear


@pytest.mark.parametrize(("rank", "alpha", "scale"), [(16, None, 2.0), (4, None, 4.0), (9, 6, 2.0)])
def test_the_update_is_scaled_by_alpha_over_the_root_of_the_rank(rank: int, alpha: int | None, scale: float) -> None:
    model = randomised(attached(rslora.Config(rank=rank, alpha=alpha)))
    layer = model.get_submodule("base_model.model.model.layers.0.mlp.up_proj")
    assert type(layer) is LoraLinear
    x = torch.randn(3, 32, generator=torch.Generator().manual_seed(4))
    update = layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    expected = x @ (layer.base_layer.weight + scale * update).T
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-4)


def test_at_lora_s_default_rank_both_scale_alike() -> None:
    layers = [
        attached(config).get_submodule("base_model.model.model.layers.0.mlp.up_proj")
        for config in (lora.Config(), rslora.Config())
    ]
    assert layers[0].scaling == layers[1].scaling


def test_it_is_recorded_in_pefts_own_settings(tmp_path: Path) -> None:
    config = rslora.Config(rank=4)
    settings = read_json(saved(attached(config), tmp_path / "adapter", config) / "adapter_config.json")
    assert settings["use_rslora"] is True
    assert (settings["r"], settings["lora_alpha"]) == (4, 8)
