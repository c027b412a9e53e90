"""What prompt tuning, P-tuning and prefix tuning share: sizes, beginnings, files, and faults."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from tests.models.methods.virtual import CONFIGS, attached, plain_logits
from tests.tiny import tiny_folder, tiny_model
from tunewright.base.errors import ModelError
from tunewright.base.files import hash_folder, read_json
from tunewright.base.plugins import METHODS, PluginConfig
from tunewright.forest import Path as Row
from tunewright.forest import score_paths
from tunewright.forest.layout import adopt
from tunewright.models.adapters import load_adapter, save_adapter
from tunewright.models.memory import model_size
from tunewright.models.methods import prefix, prompt, ptuning

TOKENS = [5, 3, 8, 4, 9, 6, 2, 7]
FILES = SimpleNamespace(name="tiny", weights_hash="0" * 64)
methods = pytest.mark.parametrize("name", CONFIGS)


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def loaded(folder: Path) -> Any:
    """The stock model of a folder, as `load_base` loads it."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder).eval().requires_grad_(False)


@methods
def test_only_the_virtual_tokens_train(name: str) -> None:
    model = attached(CONFIGS[name])
    assert {key.split(".")[0] for key in weights(model)} == {"prompt_encoder"}
    assert all(weight.dtype == torch.float32 for weight in weights(model).values())


@methods
def test_the_stated_number_of_weights_is_what_trains(name: str, tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "tiny")
    config = CONFIGS[name]
    trained = sum(weight.numel() for weight in weights(attached(config, loaded(folder))).values())
    assert METHODS.call(config.plugin, "trainable", model_size(folder), config) == trained


@methods
def test_the_seed_decides_how_they_begin(name: str) -> None:
    first, again, other = (weights(attached(CONFIGS[name], seed=seed)) for seed in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_prompts_begin_as_embeddings_of_real_tokens() -> None:
    model = attached(prompt.Config(tokens=7))
    table = model.get_input_embeddings().weight
    (virtual,) = weights(model).values()
    assert virtual.shape == (7, 32)
    assert (virtual[:, None] == table).all(-1).any(-1).all()


def test_a_text_is_repeated_until_it_fills_them(tmp_path: Path) -> None:
    base = loaded(tiny_folder(tmp_path / "tiny"))
    model = attached(prompt.Config(tokens=5, init="ab"), base)
    (virtual,) = weights(model).values()
    vocabulary = read_json(tmp_path / "tiny" / "tokenizer.json")["model"]["vocab"]
    expected = [vocabulary[letter] for letter in "ababa"]
    assert torch.equal(virtual, base.get_input_embeddings().weight[torch.tensor(expected)])


@pytest.mark.parametrize("adopted", [False, True])
def test_a_prefix_that_begins_as_a_text_acts_as_that_text(tmp_path: Path, adopted: bool) -> None:
    base = loaded(tiny_folder(tmp_path / "tiny"))
    with torch.no_grad():
        vocabulary = read_json(tmp_path / "tiny" / "tokenizer.json")["model"]["vocab"]
        text = [vocabulary[letter] for letter in "abc"]
        expected = base(input_ids=torch.tensor([text + TOKENS])).logits[0, 3:]
        if adopted:
            adopt(base)
        model = attached(prefix.Config(tokens=3, init="abc"), base)
        assert base.config._attn_implementation == ("tunewright" if adopted else "sdpa")
        base.set_attn_implementation("sdpa")
        assert torch.allclose(plain_logits(model, TOKENS), expected, atol=1e-4)


@methods
def test_saved_it_gives_equal_outputs_in_plain_peft(name: str, tmp_path: Path) -> None:
    from peft import PeftModel

    config = CONFIGS[name]
    ours = attached(config)
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        save_adapter(ours, tmp_path / folder, method=config, base=FILES, chat_fingerprint="")
    assert hash_folder(tmp_path / "first") == hash_folder(tmp_path / "second")
    assert list(load_file(tmp_path / "first" / "adapter_model.safetensors")) == ["prompt_embeddings"]
    plain = PeftModel.from_pretrained(tiny_model(), str(tmp_path / "first")).eval()
    with torch.no_grad():
        assert torch.allclose(plain_logits(ours, TOKENS), plain_logits(plain, TOKENS), atol=1e-5)


@methods
def test_loaded_it_scores_forests_as_before(name: str, tmp_path: Path) -> None:
    config = CONFIGS[name]
    ours = attached(config)
    save_adapter(ours, tmp_path, method=config, base=FILES, chat_fingerprint="")
    base: Any = SimpleNamespace(model=tiny_model(), files=FILES)
    found = load_adapter(base, tmp_path)
    paths = [row(TOKENS), row([*TOKENS[:4], 30, 40])]
    for model in (ours, found):
        adopt(model)
    assert score_paths(found, paths) == pytest.approx(score_paths(ours, paths), abs=1e-5)


def row(tokens: list[int]) -> Row:
    learned = np.array([0.0] + [1.0] * (len(tokens) - 1), dtype=np.float32)
    return Row(np.array(tokens, dtype=np.int32), learned, group=0, row=0)


@pytest.mark.parametrize("method", [prompt, prefix])
def test_a_text_with_more_tokens_than_there_is_room_is_refused(method: Any, tmp_path: Path) -> None:
    base = loaded(tiny_folder(tmp_path / "tiny"))
    with pytest.raises(ModelError, match=r"method.init: The text has 3 tokens, and there are 2.*to 3 or more"):
        method.attach(base, method.Config(tokens=2, init="abc"), 1)


def test_a_text_without_a_tokenizer_is_refused() -> None:
    with pytest.raises(ModelError, match="no tokenizer beside the base"):
        prompt.attach(tiny_model(), prompt.Config(init="abc"), 1)


def test_a_text_and_a_network_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="exclude each other"):
        prefix.Config(init="abc", width=4)


@pytest.mark.parametrize("config", [prompt.Config(), ptuning.Config(), prefix.Config()], ids=lambda c: c.plugin)
def test_a_model_that_is_no_causal_decoder_is_refused(config: PluginConfig) -> None:
    from transformers import BertConfig, BertForMaskedLM, T5Config, T5ForConditionalGeneration

    t5 = T5ForConditionalGeneration(T5Config(vocab_size=30, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2))
    bert = BertForMaskedLM(BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2))
    for model in (t5, bert):
        with pytest.raises(ModelError, match=f"{type(model).__name__} is none"):
            attached(config, model)
