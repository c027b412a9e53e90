from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.models.methods.adapting import attached, loaded, logits, randomised, saved
from tests.tiny import tiny_model
from tunewright.base.errors import ModelError
from tunewright.models.methods import full
from tunewright.models.methods._own_weights import FILE


def stored(folder: Path) -> list[str]:
    with safe_open(folder / FILE, framework="pt") as file:
        return sorted(file.keys())


@pytest.mark.parametrize("tied", [True, False])
def test_tied_embeddings_are_saved_once(tmp_path: Path, tied: bool) -> None:
    model = randomised(attached(full.Config(), tiny_model(tie_word_embeddings=tied)))
    folder = saved(model, tmp_path / "adapter", full.Config())
    assert ("lm_head.weight" in stored(folder)) is not tied
    assert len(stored(folder)) == 2 * 9 + 2 + (not tied)
    again = loaded(folder, tiny_model(seed=3, tie_word_embeddings=tied))
    assert (again.lm_head.weight is again.model.embed_tokens.weight) is tied
    with torch.no_grad():
        assert torch.equal(logits(again), logits(model.eval()))


def test_with_the_bases_settings_beside_it_transformers_loads_it(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = randomised(attached(full.Config())).eval()
    folder = saved(model, tmp_path / "adapter", full.Config())
    model.config.save_pretrained(folder)
    again = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)
    with torch.no_grad():
        assert torch.equal(logits(again), logits(model))


def test_it_is_loaded_in_the_dtype_of_the_base(tmp_path: Path) -> None:
    model = randomised(attached(full.Config()))
    folder = saved(model, tmp_path / "adapter", full.Config())
    again = loaded(folder, tiny_model().to(torch.bfloat16))
    assert torch.equal(again.lm_head.weight, model.lm_head.weight.to(torch.bfloat16))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = saved(attached(full.Config()), tmp_path / "adapter", full.Config())
    (folder / FILE).write_bytes((folder / FILE).read_bytes()[:-1])
    with pytest.raises(ModelError, match=rf"{FILE}: The trained weights cannot be read"):
        loaded(folder)
    (folder / FILE).unlink()
    with pytest.raises(ModelError, match=rf"{FILE}: The trained weights cannot be read"):
        loaded(folder)


@pytest.mark.parametrize(
    ("strange", "difference"),
    [
        ({"model.norm.weight": torch.zeros(7)}, r"its model\.norm\.weight has shape \(32,\), and the file's \(7,\)"),
        ({"model.surprise": torch.zeros(1)}, r"it has no weight model\.surprise"),
    ],
)
def test_weights_of_another_model_change_nothing(
    tmp_path: Path, strange: dict[str, torch.Tensor], difference: str
) -> None:
    folder = saved(randomised(attached(full.Config())), tmp_path / "adapter", full.Config())
    save_file(load_file(folder / FILE) | strange, folder / FILE)
    base = tiny_model()
    with pytest.raises(ModelError, match=difference):
        loaded(folder, base)
    assert torch.equal(base.lm_head.weight, tiny_model().lm_head.weight)
