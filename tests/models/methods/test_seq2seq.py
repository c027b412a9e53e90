"""Methods on an encoder-decoder: gradients as plain rows have them, adapters that come back as they were."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from tests.forest.test_score import forest_loss, gradient
from tests.forest.test_seq2seq import ANY, mixed_rows, plain_loss
from tests.models.methods.test_contract import randomised, saved, trained
from tests.tiny_t5 import tiny_t5, tiny_t5_folder
from tunewright.base.errors import ModelError
from tunewright.base.files import folder_listing, read_json
from tunewright.base.plugins import METHODS, PluginConfig
from tunewright.forest.layout import adopt
from tunewright.models.adapters import load_adapter
from tunewright.models.base import Base
from tunewright.models.chat import ChatFormat
from tunewright.models.files import BaseFiles
from tunewright.models.memory import model_size
from tunewright.models.resolve import resolve

FIT = ("bottleneck", "dora", "full", "ia3", "layers", "lora", "molora", "qlora", "rslora")
every_method = pytest.mark.parametrize("name", FIT)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> BaseFiles:
    folder = tmp_path_factory.mktemp("t5")
    return resolve(str(tiny_t5_folder(folder / "t5")), folder / "cache")


def settings_of(name: str) -> PluginConfig:
    if name == "qlora":
        pytest.importorskip("bitsandbytes")
    return METHODS.config(name).model_validate({"name": name})


def fresh(files: BaseFiles) -> Base:
    return Base(tiny_t5().requires_grad_(False), None, cast(ChatFormat, None), files)


def attached(files: BaseFiles, config: PluginConfig) -> Any:
    base = fresh(files).model
    adopt(base)
    return randomised(METHODS.call(config.plugin, "attach", base, config, 1))


def logits(model: Any) -> torch.Tensor:
    sources, answers = torch.tensor([[5, 3, 8, 4], [7, 7, 1, 30]]), torch.tensor([[0, 7, 4], [0, 9, 200]])
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=sources, decoder_input_ids=answers).logits
    return found


@every_method
def test_gradients_equal_those_of_plain_rows(name: str, files: BaseFiles) -> None:
    model = attached(files, settings_of(name))
    expected, found = plain_loss(model, mixed_rows()), forest_loss(model, mixed_rows(), 24, ANY)
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    plain, forest = gradient(model, expected), gradient(model, found)
    assert float((plain - forest).norm()) <= 1e-5 * float(plain.norm())
    assert float(plain.norm()) > 0


@every_method
def test_the_count_of_trained_weights_is_known_beforehand(name: str, files: BaseFiles) -> None:
    config = settings_of(name)
    count = sum(weight.numel() for weight in trained(attached(files, config)).values())
    assert METHODS.call(name, "trainable", model_size(files.folder), config) == count


@every_method
def test_saved_and_loaded_it_gives_equal_outputs(name: str, files: BaseFiles, tmp_path: Path) -> None:
    config = settings_of(name)
    model = attached(files, config)
    folder = saved(model, tmp_path / "adapter", config, files)
    assert folder_listing(folder) == folder_listing(saved(model, tmp_path / "again", config, files))
    expected = logits(model)
    loaded = load_adapter(fresh(files), folder)
    torch.testing.assert_close(logits(loaded), expected, rtol=1e-5, atol=1e-5)
    assert not trained(loaded)
    assert float((expected - logits(fresh(files).model)).abs().max()) > 1e-3
    if not hasattr(model, "peft_config"):
        return
    from peft import PeftModel

    assert read_json(folder / "adapter_config.json")["task_type"] == "SEQ_2_SEQ_LM"
    base = fresh(files).model
    getattr(METHODS.module(name), "prepare", lambda *_: None)(base, config)  # quantised, for qlora
    torch.testing.assert_close(logits(PeftModel.from_pretrained(base, str(folder))), expected, rtol=1e-5, atol=1e-5)


def test_the_last_blocks_are_the_decoders(files: BaseFiles) -> None:
    names = trained(attached(files, METHODS.config("layers").model_validate({"name": "layers", "last": 1})))
    assert names
    assert all(name.startswith("decoder.block.1.") for name in names)


@pytest.mark.parametrize("name", ["prompt", "prefix", "ptuning"])
def test_virtual_tokens_are_refused(name: str, files: BaseFiles) -> None:
    with pytest.raises(ModelError, match="Virtual tokens"):
        METHODS.call(name, "attach", copy.deepcopy(fresh(files).model), METHODS.config(name)(), 1)
