"""LoRA on GPT-2, whose linear layers store their weights inputs by outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from tests.forest.test_score import assert_same, long_rows
from tests.models.methods.test_contract import outputs, randomised, trained
from tunewright.base.errors import ModelError
from tunewright.base.plugins import METHODS
from tunewright.forest.layout import adopt
from tunewright.models.adapters import load_adapter, save_adapter
from tunewright.models.base import Base
from tunewright.models.files import BaseFiles
from tunewright.models.memory import size_of

methods = pytest.mark.parametrize("name", ["lora", "rslora", "dora"])


def gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = {"vocab_size": 259, "n_embd": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.3}
    drops = {"attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GPT2LMHeadModel(GPT2Config(**shape, **drops, bos_token_id=1, eos_token_id=2)).eval()


def attached(name: str, *, for_forests: bool = False, **settings: Any) -> Any:
    model = gpt2().requires_grad_(False)
    if for_forests:
        adopt(model)
    config = METHODS.config(name).model_validate({"name": name, "rank": 4, **settings})
    return METHODS.call(name, "attach", model, config, 1)


def base() -> Base:
    files = BaseFiles("gpt2", Path(), "f" * 64, "made", "mit", 64, "causal-lm")
    return Base(gpt2().requires_grad_(False), None, cast(Any, None), files)


@methods
def test_every_layer_of_every_block_is_adapted(name: str) -> None:
    model = attached(name)
    layers = {weight.rpartition(".lora_A")[0] for weight in trained(model) if ".lora_A." in weight}
    assert len(layers) == 2 * 4  # c_attn, c_proj, c_fc and the other c_proj
    assert all(config.fan_in_fan_out for config in model.peft_config.values())
    config = METHODS.config(name).model_validate({"name": name, "rank": 4})
    shapes = tuple((key, tuple(weight.shape)) for key, weight in gpt2().named_parameters())
    size = size_of(gpt2().config.to_dict(), shapes)
    assert METHODS.call(name, "trainable", size, config) == sum(weight.numel() for weight in trained(model).values())
    # A block's inputs: 32 of c_attn, 32 of c_proj, 32 of c_fc, 128 of the other c_proj.
    assert size.linear_inputs == 2 * (3 * 32 + 128)


@methods
def test_forest_equals_plain_rows(name: str) -> None:
    assert_same(
        randomised(attached(name)), randomised(attached(name, for_forests=True)), long_rows(4), 150, "segments", 1e-5
    )


@methods
def test_saved_and_loaded_it_gives_equal_outputs_in_plain_peft_too(name: str, tmp_path: Path) -> None:
    from peft import PeftModel

    model = randomised(attached(name))
    config = METHODS.config(name).model_validate({"name": name, "rank": 4})
    save_adapter(model, tmp_path, method=config, base=base().files, chat_fingerprint="")
    expected = outputs(model)
    assert not np.allclose(expected, outputs(gpt2()), atol=1e-3)
    torch.testing.assert_close(outputs(load_adapter(base(), tmp_path)), expected, rtol=1e-5, atol=1e-5)
    plain = PeftModel.from_pretrained(gpt2(), str(tmp_path))
    torch.testing.assert_close(outputs(plain), expected, rtol=1e-5, atol=1e-5)


def test_a_rank_above_a_layers_width_is_refused() -> None:
    with pytest.raises(ModelError, match="which has 32 inputs and 96 outputs"):
        attached("lora", rank=33)


def test_methods_that_do_not_know_such_layers_say_so() -> None:
    with pytest.raises(ModelError, match="has no linear layers of the kind that this method adapts"):
        attached("molora")
