from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests.models.methods.adapting import attached, logits, randomised, saved
from tests.tiny import tiny_model
from tunewright.base.errors import ModelError
from tunewright.base.files import read_json
from tunewright.models.methods import ia3


def test_it_begins_as_the_base() -> None:
    with torch.no_grad():
        assert torch.equal(logits(attached(ia3.Config()).eval()), logits(tiny_model()))


def test_keys_values_and_the_inside_of_the_feed_forward_are_scaled() -> None:
    model = randomised(attached(ia3.Config()))
    # A block: keys 16, values 16 (two heads of 8), and 64 inside the feed-forward.
    assert sum(weight.numel() for weight in model.parameters() if weight.requires_grad) == 2 * (16 + 16 + 64)
    block = model.get_submodule("base_model.model.model.layers.0")
    generator = torch.Generator().manual_seed(4)
    x, inside = torch.randn(3, 32, generator=generator), torch.randn(3, 64, generator=generator)
    key, down = block.self_attn.k_proj, block.mlp.down_proj
    torch.testing.assert_close(key(x), (x @ key.base_layer.weight.T) * key.ia3_l["default"].flatten())
    torch.testing.assert_close(down(inside), (inside * down.ia3_l["default"].flatten()) @ down.base_layer.weight.T)
    assert type(block.self_attn.q_proj) is torch.nn.Linear


def test_what_is_saved_is_pefts_and_sorted(tmp_path: Path) -> None:
    config = ia3.Config(targets=("v_proj", "k_proj"), feedforward=("o_proj", "down_proj"))
    settings = read_json(saved(attached(config), tmp_path / "adapter", config) / "adapter_config.json")
    assert settings["peft_type"] == "IA3"
    assert settings["target_modules"] == ["down_proj", "k_proj", "o_proj", "v_proj"]
    assert settings["feedforward_modules"] == ["down_proj", "o_proj"]


def test_names_that_are_not_known_are_asked_for() -> None:
    model = tiny_model()
    for layer in model.model.layers:
        layer.mlp.surprising = layer.mlp.down_proj
        del layer.mlp.down_proj
    with pytest.raises(ModelError, match=r"method\.targets: It is not known which layers.*method\.feedforward"):
        attached(ia3.Config(), model)


def test_a_target_that_matches_nothing_is_refused() -> None:
    with pytest.raises(ModelError, match="'keys' matches no linear layer"):
        attached(ia3.Config(targets=("keys",), feedforward=("down_proj",)))


@pytest.mark.parametrize(
    "settings", [{"targets": ("k_proj",)}, {"feedforward": ()}, {"targets": (), "feedforward": ()}]
)
def test_half_a_choice_is_none(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="targets and feedforward are both"):
        ia3.Config(**settings)
