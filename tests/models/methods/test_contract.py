"""What every method holds to, whatever it does inside: asked through the contract alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any, cast

import numpy as np
import pytest
import torch

from tests.forest.test_forest import path
from tests.forest.test_score import backends, gradient, plain_loss
from tests.tiny import tiny_folder, tiny_model
from tunewright.base.errors import ModelError
from tunewright.base.files import folder_listing
from tunewright.base.plugins import METHODS, PluginConfig
from tunewright.forest import Path, build, cut
from tunewright.forest.layout import adopt
from tunewright.forest.score import grow, score
from tunewright.models.adapters import adapted, load_adapter, save_adapter
from tunewright.models.base import Base
from tunewright.models.chat import ChatFormat
from tunewright.models.files import BaseFiles
from tunewright.models.memory import model_size
from tunewright.models.resolve import resolve

TOKENS = torch.tensor([[5, 3, 8, 4, 9, 6, 2, 7], [7, 7, 1, 30, 9, 200, 2, 4]])
TRAIN_THE_BASE = ("full", "layers")  # the others leave each of its weights as it is
OURS = ("dora", "full", "ia3", "layers", "lora", "qlora", "rslora")

Case = tuple[str, dict[str, Any]]
# Each method with its defaults, and some whose settings change what is trained.
# `feature` trains nothing of a model, and has a test of its own: tests/models/methods/test_feature.py.
DEFAULTS: list[Case] = [(name, {}) for name in METHODS.names() if name != "feature"]
CASES: list[Case] = [
    *DEFAULTS,
    ("lora", {"rank": 4, "targets": ("q_proj", "down_proj")}),
    ("rslora", {"rank": 5, "alpha": 3}),
    ("dora", {"rank": 3, "targets": ("k_proj", "gate_proj")}),
    ("ia3", {"targets": ("q_proj",), "feedforward": ("o_proj", "down_proj")}),
    ("layers", {"last": 1}),
    ("layers", {"last": 0, "names": ("lm_head", "norm", "layers.0.mlp")}),
    ("qlora", {"bits": 8, "targets": ("v_proj",)}),
]


def _label(case: Case) -> str:
    name, settings = case
    return "-".join([name, *(f"{key}={value}" for key, value in settings.items())])


every_method = pytest.mark.parametrize("case", DEFAULTS, ids=_label)
every_case = pytest.mark.parametrize("case", CASES, ids=_label)
every_one_of_ours = pytest.mark.parametrize("case", [case for case in CASES if case[0] in OURS], ids=_label)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> BaseFiles:
    folder = tmp_path_factory.mktemp("tiny")
    return resolve(str(tiny_folder(folder / "model")), folder / "cache")


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def settings_of(case: Case) -> PluginConfig:
    name, settings = case
    if name == "qlora":
        pytest.importorskip("bitsandbytes")
    return METHODS.config(name).model_validate({"name": name, **settings})


def fresh(files: BaseFiles) -> Base:
    """A base as it comes from its files; nothing here needs its tokenizer."""
    return Base(tiny_model().requires_grad_(False), None, cast(ChatFormat, None), files)


def attached(files: BaseFiles, config: PluginConfig, *, for_forests: bool = False) -> Any:
    """A method on a fresh base, in the order in which the training loop goes about it."""
    model = fresh(files).model
    if for_forests:
        adopt(model)
    return METHODS.call(config.plugin, "attach", model, config, 1)


def rows() -> list[Path]:
    """Four rows of uneven length that share beginnings, with weights of either sign."""
    random = np.random.default_rng(3)
    start, middle = random.integers(3, 250, 6).tolist(), random.integers(3, 250, 4).tolist()
    found = []
    for row, shared in enumerate((start, start + middle, start + middle, middle)):
        tokens = shared + random.integers(3, 250, 3 + row).tolist()
        found.append(path(tokens, [0.0, *random.normal(size=len(tokens) - 1).tolist()], group=row, row=row))
    return found


def trained(model: Any) -> dict[str, torch.Tensor]:
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def randomised(model: Any, seed: int = 2) -> Any:
    """Trained weights moved at random: where a matrix is zero, half of the gradients vanish and prove nothing."""
    generator = torch.Generator().manual_seed(seed)
    for weight in trained(model).values():
        weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    return model


def outputs(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=TOKENS).logits[:, -TOKENS.shape[1] :]  # PEFT puts virtual tokens in front


def saved(model: Any, folder: FilePath, config: PluginConfig, files: BaseFiles) -> FilePath:
    folder.mkdir()
    save_adapter(model, folder, method=config, base=files, chat_fingerprint="")
    return folder


@every_case
def test_something_trains_and_the_base_is_frozen(case: Case, files: BaseFiles) -> None:
    config, base = settings_of(case), fresh(files)
    own = list(base.model.parameters())
    model = METHODS.call(config.plugin, "attach", base.model, config, 1)
    assert trained(model)
    if config.plugin not in TRAIN_THE_BASE:
        assert not [name for name, weight in trained(model).items() if any(weight is one for one in own)]


@every_case
def test_the_count_of_trained_weights_is_known_beforehand(case: Case, files: BaseFiles) -> None:
    config = settings_of(case)
    expected = sum(weight.numel() for weight in trained(attached(files, config)).values())
    assert METHODS.call(config.plugin, "trainable", model_size(files.folder), config) == expected


@every_case
def test_the_count_is_estimated_where_there_are_no_files(case: Case, files: BaseFiles) -> None:
    config, size = settings_of(case), model_size(files.folder)
    bare = dataclasses.replace(size, tensors=())
    assert 0 <= METHODS.call(config.plugin, "trainable", bare, config) <= size.parameters


@every_method
def test_the_seed_alone_decides_what_it_begins_with(case: Case, files: BaseFiles) -> None:
    config = settings_of(case)
    torch.manual_seed(5)
    first = trained(attached(files, config))
    torch.manual_seed(6)
    second = trained(attached(files, config))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@every_case
def test_a_step_on_a_forest_moves_every_trained_weight_and_no_other(
    case: Case, files: BaseFiles, deterministic: None
) -> None:
    config = settings_of(case)
    model = randomised(attached(files, config, for_forests=True)).train()
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimiser = torch.optim.AdamW(trained(model).values(), lr=1e-2, fused=True)
    for piece in cut(build(rows()), 20):
        (-score(model, piece).logp.sum()).backward()
    for name, weight in trained(model).items():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.any(), name
    optimiser.step()
    moved = {name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}
    assert moved == trained(model).keys()


@every_case
def test_saved_and_loaded_it_gives_equal_outputs_and_trains_no_more(
    case: Case, files: BaseFiles, tmp_path: FilePath
) -> None:
    config = settings_of(case)
    model = randomised(attached(files, config))
    folder = saved(model, tmp_path / "adapter", config, files)
    loaded = load_adapter(fresh(files), folder)
    torch.testing.assert_close(outputs(loaded), outputs(model), rtol=1e-5, atol=1e-5)
    assert not loaded.training
    assert not trained(loaded)
    plain = outputs(fresh(files).model)
    assert (outputs(loaded) - plain).abs().max() > 1e-3  # what was loaded does something


@every_case
def test_a_saved_one_learns_on_and_is_saved_again(case: Case, files: BaseFiles, tmp_path: FilePath) -> None:
    config = settings_of(case)
    folder = saved(randomised(attached(files, config)), tmp_path / "adapter", config, files)

    def begun(place: FilePath) -> Any:
        base = fresh(files)
        adopt(base.model)
        return adapted(base, config, seed=1, start=place)

    model = begun(folder)
    again = saved(model, tmp_path / "again", config, files)
    assert folder_listing(again) == folder_listing(folder)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimiser = torch.optim.AdamW(trained(model.train()).values(), lr=1e-2)
    for piece in cut(grow(model, rows()), 40):
        (-score(model, piece).logp.sum()).backward()
    optimiser.step()
    moved = {name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}
    assert moved == trained(model).keys()
    later = begun(saved(model, tmp_path / "later", config, files))
    forest = grow(model, rows())
    torch.testing.assert_close(score(later.eval(), forest).logp, score(model.eval(), forest).logp)


@every_method
def test_the_same_weights_give_the_same_bytes(case: Case, files: BaseFiles, tmp_path: FilePath) -> None:
    config = settings_of(case)
    listings = [
        folder_listing(saved(randomised(attached(files, config)), tmp_path / name, config, files)) for name in "ab"
    ]
    assert listings[0] == listings[1]
    assert not [name for name in listings[0] if not name.endswith((".safetensors", ".json"))]


@every_method
def test_on_another_base_it_is_refused(case: Case, files: BaseFiles, tmp_path: FilePath) -> None:
    config = settings_of(case)
    folder = saved(attached(files, config), tmp_path / "adapter", config, files)
    with pytest.raises(ModelError, match="trained on"):
        load_adapter(fresh(dataclasses.replace(files, weights_hash="f" * 64)), folder)


@every_method
def test_what_peft_has_loads_in_plain_peft(case: Case, files: BaseFiles, tmp_path: FilePath) -> None:
    from peft import PeftModel

    config = settings_of(case)
    model = randomised(attached(files, config))
    if not hasattr(model, "peft_config"):
        pytest.skip("PEFT has no such method")
    folder = saved(model, tmp_path / "adapter", config, files)
    base = fresh(files).model
    getattr(METHODS.module(config.plugin), "prepare", lambda *_: None)(base, config)  # quantised, for qlora
    plain = PeftModel.from_pretrained(base, str(folder))
    torch.testing.assert_close(outputs(plain), outputs(model), rtol=1e-5, atol=1e-5)


@every_one_of_ours
@backends
def test_forest_equals_plain_rows(case: Case, backend: str, files: BaseFiles) -> None:
    config = settings_of(case)
    stock = randomised(attached(files, config))
    ours = randomised(attached(files, config, for_forests=True))
    adopt(ours, backend)
    expected = plain_loss(stock, rows())
    found = torch.zeros((), dtype=torch.float64)
    for piece in cut(grow(ours, rows()), 20):
        found = found - (score(ours, piece).logp.double() * torch.tensor(piece.edge_weight())).sum()
    g_plain, g_forest = gradient(stock, expected), gradient(ours, found)
    assert (g_plain - g_forest).norm() <= 1e-5 * g_plain.norm()
    assert abs(float((expected - found).detach())) <= 1e-3


@pytest.mark.parametrize("name", METHODS.names())
def test_it_says_at_which_rate_it_learns(name: str) -> None:
    assert 1e-5 < METHODS.module(name).LEARNING_RATE < 1.0
