from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from safetensors import safe_open

from tests.models.methods.adapting import attached, randomised, saved
from tests.tiny import tiny_model
from tunewright.base.errors import ModelError
from tunewright.models.memory import ModelSize
from tunewright.models.methods import layers
from tunewright.models.methods._own_weights import FILE

SIZE = ModelSize(26_880, layers=2, hidden=32, intermediate=64, vocabulary=259, linear_widths=1024)


def trained(model: Any) -> set[str]:
    return {name for name, weight in model.named_parameters() if weight.requires_grad}


def size_of(model: Any) -> ModelSize:
    """As it would be read from the model's files: tied weights once."""
    tensors = tuple((name, tuple(weight.shape)) for name, weight in model.named_parameters())
    return dataclasses.replace(SIZE, tensors=tensors)


def test_the_last_blocks_are_counted_from_the_end() -> None:
    model = tiny_model(num_hidden_layers=12)  # in text, 9 comes behind 10 and 11
    names = trained(attached(layers.Config(last=3), model))
    assert {name.split(".")[2] for name in names} == {"9", "10", "11"}
    assert len(names) == 3 * 9
    assert all(name.startswith("model.layers.") for name in names)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("norm", {"model.norm.weight"}),
        ("lm_head", {"model.embed_tokens.weight"}),  # tied
        ("embed_tokens", {"model.embed_tokens.weight"}),
        ("layers.0.mlp", {f"model.layers.0.mlp.{name}_proj.weight" for name in ("up", "gate", "down")}),
        ("k_proj", {f"model.layers.{n}.self_attn.k_proj.weight" for n in (0, 1)}),
    ],
)
def test_weights_are_chosen_by_parts_of_their_names(part: str, expected: set[str]) -> None:
    config = layers.Config(last=0, names=(part,))
    model = attached(config)
    assert trained(model) == expected
    count = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert layers.trainable(size_of(tiny_model()), config) == count


def test_a_head_of_its_own_trains_without_the_embedding() -> None:
    config = layers.Config(last=0, names=("lm_head",))
    model = attached(config, tiny_model(tie_word_embeddings=False))
    assert trained(model) == {"lm_head.weight"}
    assert layers.trainable(size_of(model), config) == 259 * 32


def test_of_an_encoder_decoder_the_last_blocks_are_the_decoders() -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=40, d_model=16, d_kv=4, d_ff=32, num_layers=3, num_decoder_layers=2, num_heads=2)
    model = T5ForConditionalGeneration(config)
    names = trained(attached(layers.Config(last=1), model))
    assert {tuple(name.split(".")[:3]) for name in names} == {("decoder", "block", "1")}
    with pytest.raises(ModelError, match="this model has 2"):
        attached(layers.Config(last=3), model)


def test_only_what_trained_is_saved(tmp_path: Path) -> None:
    config = layers.Config(last=1, names=("lm_head",))
    folder = saved(randomised(attached(config)), tmp_path / "adapter", config)
    with safe_open(folder / FILE, framework="pt") as file:
        names = set(file.keys())
    assert len(names) == 9 + 1
    assert {name for name in names if not name.startswith("model.layers.1.")} == {"model.embed_tokens.weight"}


def test_more_blocks_than_there_are_is_refused_before_the_model_is_loaded() -> None:
    with pytest.raises(ModelError, match=r"method\.last: The last 3 blocks cannot train: this model has 2") as caught:
        attached(layers.Config(last=3))
    assert caught.value.exit_code == 2
    with pytest.raises(ModelError, match="this model has 2"):
        layers.trainable(size_of(tiny_model()), layers.Config(last=3))


def test_a_name_that_matches_nothing_is_refused() -> None:
    with pytest.raises(ModelError, match=r"method\.names: 'nrom' matches no weight.*Did you mean 'norm'"):
        attached(layers.Config(names=("nrom",)))


def test_choosing_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="nothing would train"):
        layers.Config(last=0)
