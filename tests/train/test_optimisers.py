"""Each optimiser's first steps worked by hand, and a resumed run that is the same to the bit."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.train.made import general_table, interrupted_and_resumed, made_base, made_recipe, made_tables
from tunewright.base.errors import MissingExtraError
from tunewright.base.files import hash_folder
from tunewright.base.plugins import OPTIMISERS
from tunewright.models.stored import StoredWeights
from tunewright.train import train
from tunewright.train.optimiser import Optimiser

needs_bitsandbytes = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
NAMES = [name for name in OPTIMISERS.names() if name != "adamw8bit" or find_spec("bitsandbytes")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("optimisers")
    made_base(folder / "tiny")
    return folder


class Weights(nn.Module):
    """Trained weights of any shapes."""

    def __init__(self, **values: Any) -> None:
        super().__init__()
        for name, value in values.items():
            setattr(self, name, nn.Parameter(torch.tensor(value)))


def stepped(model: nn.Module, name: str, *, steps: int = 1, weight_decay: float = 0.0, **settings: Any) -> Optimiser:
    """Some steps of rate 0.1, with the gradients that the weights have."""
    config = OPTIMISERS.config(name)(**settings)
    parts = OPTIMISERS.call(name, "build", model, config, weight_decay=weight_decay)
    optimiser = Optimiser(dict(model.named_parameters()), parts)
    for _ in range(steps):
        optimiser.step(0.1)
    return optimiser


def with_gradient(value: Any, gradient: Any) -> Weights:
    model = Weights(w=value)
    model.w.grad = torch.tensor(gradient)
    return model


def test_adamw_moves_by_the_rate_and_decays_apart() -> None:
    model = with_gradient([1.0], [0.5])
    stepped(model, "adamw", weight_decay=0.2)
    # 1 - 0.1 * 0.2 of decay, then one rate against the gradient's sign: the first step's mean over its own root.
    assert model.w.item() == pytest.approx(1 - 0.02 - 0.1, abs=1e-6)


def test_adamw_is_torchs_with_the_settings_given() -> None:
    ours, theirs = with_gradient([1.0, -2.0], [0.5, 3.0]), with_gradient([1.0, -2.0], [0.5, 3.0])
    stepped(ours, "adamw", steps=3, beta1=0.5, beta2=0.8, eps=0.1)
    reference = torch.optim.AdamW(theirs.parameters(), lr=0.1, betas=(0.5, 0.8), eps=0.1, weight_decay=0, fused=True)
    for _ in range(3):
        reference.step()
    assert torch.equal(ours.w, theirs.w)


def test_sgd_gathers_momentum() -> None:
    model = with_gradient([1.0], [0.5])
    stepped(model, "sgd", steps=2, momentum=0.8)
    # First 0.1 * 0.5; then 0.1 * (0.8 * 0.5 + 0.5).
    assert model.w.item() == pytest.approx(1 - 0.05 - 0.09)


@pytest.mark.parametrize(("value", "smallest_scale", "moved"), [(2.0, 1.0, 0.2), (0.0, 1.0, 0.1), (0.0, 0.01, 0.001)])
def test_adafactor_moves_by_the_rate_times_the_weights_size(value: float, smallest_scale: float, moved: float) -> None:
    # The first step's second moment is the squared gradient itself, so that the update before scaling is 1.
    model = with_gradient([value], [0.5])
    stepped(model, "adafactor", smallest_scale=smallest_scale)
    assert value - model.w.item() == pytest.approx(moved, rel=1e-5)


def test_adafactor_keeps_a_row_and_a_column() -> None:
    model = with_gradient([[0.0] * 5] * 3, [[1.0] * 5] * 3)
    kept = stepped(model, "adafactor").tensors()
    assert {name: list(value.shape) for name, value in kept.items() if value.ndim} == {
        "w|row_var": [3, 1],
        "w|col_var": [1, 5],
    }


def test_muon_makes_all_directions_of_a_matrix_move_alike() -> None:
    model = with_gradient([[0.0, 0.0], [0.0, 0.0]], [[300.0, 0.0], [0.0, 20.0]])
    stepped(model, "muon")
    moves = -torch.diagonal(model.w.detach())
    # AdamW's size: 0.2 times the root of the longer side, times the rate. Five iterations come within a third of it.
    expected = 0.1 * 0.2 * 2**0.5
    assert moves == pytest.approx(torch.tensor([expected, expected]), rel=0.33)
    assert model.w[0, 1].item() == pytest.approx(0, abs=1e-6)


@needs_bitsandbytes
def test_adamw_in_8_bits_is_near_adamw_and_keeps_a_quarter() -> None:
    generator = torch.Generator().manual_seed(1)
    value, gradient = (torch.randn(64, 128, generator=generator).tolist() for _ in range(2))
    wide, narrow = with_gradient(value, gradient), with_gradient(value, gradient)
    kept = [stepped(wide, "adamw", steps=3), stepped(narrow, "adamw8bit", steps=3)]
    # Both went 0.3; the smallest gradients of a block are rounded most, the mean is off by a few hundredths of that.
    assert (wide.w - narrow.w).abs().mean() < 0.03 * 0.3
    moments = [[value.nbytes for value in each.tensors().values() if value.shape == (64, 128)] for each in kept]
    assert [sum(each) for each in moments] == [2 * 4 * 64 * 128, 2 * 64 * 128]


def test_8_bits_without_their_library_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tunewright\[quantise\]'"):
        stepped(with_gradient([1.0], [0.5]), "adamw8bit")


def narrow(value: Any) -> Weights:
    model = Weights(w=value)
    model.w = nn.Parameter(model.w.detach().bfloat16())
    return model


def backward(model: nn.Module, gradient: torch.Tensor) -> None:
    """Gives `w` this gradient, as a backward pass does."""
    (model.w * gradient.to(model.w.dtype)).sum().backward()


@pytest.mark.parametrize("name", NAMES)
def test_masters_move_as_float32_weights_on_the_same_gradients(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    value = torch.randn(64, 128, generator=generator).bfloat16().float().tolist()
    ours, theirs = narrow(value), Weights(w=value)
    config = OPTIMISERS.config(name)()
    first, second = (
        Optimiser(dict(each.named_parameters()), OPTIMISERS.call(name, "build", each, config, weight_decay=0.1))
        for each in (ours, theirs)
    )
    for _ in range(5):
        gradient = torch.randn(64, 128, generator=generator).bfloat16().float()
        for model, optimiser in ((ours, first), (theirs, second)):
            optimiser.zero_grad()
            backward(model, gradient)
            optimiser.step(1e-4)
    assert torch.equal(first.weights["w"], theirs.w)
    assert torch.equal(ours.w, theirs.w.bfloat16())
    assert ours.w.dtype == torch.bfloat16
    assert all(torch.equal(held, second.tensors()[key]) for key, held in first.tensors().items())
    assert {value.dtype for value in first.tensors().values()} <= {torch.float32, torch.uint8, torch.int64}


def test_steps_too_small_for_bfloat16_add_up() -> None:
    ours, alone = narrow([1.0, -2.0]), narrow([1.0, -2.0])
    optimiser = Optimiser(dict(ours.named_parameters()), [torch.optim.SGD(ours.parameters(), lr=1.0)])
    plain = torch.optim.SGD(alone.parameters(), lr=0.01)
    for _ in range(10):
        optimiser.zero_grad()
        backward(ours, torch.tensor([0.1, 0.1]))
        optimiser.step(0.01)
        alone.w.grad = torch.full((2,), 0.1).bfloat16()
        plain.step()
    # Ten steps of 0.001: the nearest numbers to 0.99 and -2.01 are 0.98828 and -2.01562; each step alone is lost.
    assert alone.w.tolist() == [1.0, -2.0]
    assert optimiser.weights["w"].tolist() == pytest.approx([0.99, -2.01], abs=1e-4)
    assert ours.w.tolist() == [0.98828125, -2.015625]


def test_masters_begin_with_what_the_files_hold(root: Path) -> None:
    """A step too small to be seen from the rounded number is seen, on average, from the one that was rounded."""
    wide, rounded = (made_base(root / "tiny", dtype) for dtype in ("float32", "bfloat16"))
    model = rounded.model.requires_grad_()
    weights = dict(model.named_parameters())
    stored = StoredWeights(rounded.files.folder, model.base_model_prefix).wider
    optimiser = Optimiser(weights, [torch.optim.SGD(model.parameters(), lr=1.0)], stored=stored)
    for name, weight in wide.model.named_parameters():
        assert torch.equal(optimiser.weights[name], weight)
    # Weights that have learned since are no longer what the files hold.
    name = next(iter(weights))
    assert stored(name, weights[name].detach() * 2) is None
    assert stored("no.such.weight", weights[name]) is None


def test_gradients_of_pieces_add_up_in_float32() -> None:
    model = narrow([1.0])
    optimiser = Optimiser(dict(model.named_parameters()), [torch.optim.SGD(model.parameters(), lr=1.0)])
    for gradient in (1.0, *[2.0**-9] * 4):  # in bfloat16, 1 + 1/512 is 1
        backward(model, torch.tensor([gradient]))
    assert optimiser.weights["w"].grad.item() == 1 + 4 * 2.0**-9
    assert model.w.grad is None
    optimiser.zero_grad()
    assert optimiser.weights["w"].grad is None


class WithEmbedding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.layer, self.head = nn.Embedding(4, 2), nn.Linear(2, 2), nn.Linear(2, 4, bias=False)

    def get_output_embeddings(self) -> nn.Module:
        return self.head


def test_muon_leaves_tables_and_vectors_to_adamw() -> None:
    model = WithEmbedding()
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    kept = stepped(model, "muon").tensors()
    assert "layer.weight|momentum_buffer" in kept
    assert "layer.weight|exp_avg" not in kept
    for name in ("table.weight", "layer.bias", "head.weight"):
        assert f"{name}|exp_avg" in kept
        moved = before[name] - dict(model.named_parameters())[name]
        assert moved.detach() == pytest.approx(torch.full_like(moved, 0.1), rel=1e-4)


def test_frozen_weights_are_nobodys() -> None:
    for name in NAMES:
        model = WithEmbedding()
        model.table.weight.requires_grad_(False)
        parts = OPTIMISERS.call(name, "build", model, OPTIMISERS.config(name)(), weight_decay=0.0)
        held = [id(weight) for part in parts for group in part.param_groups for weight in group["params"]]
        assert sorted(held) == sorted(id(weight) for weight in model.parameters() if weight.requires_grad)


@pytest.mark.parametrize(
    "settings",
    [
        *({"optimiser": name} for name in NAMES),
        {"optimiser": {"name": "sgd", "momentum": 0}},
        # The embedding is large enough for 8 bits; of an adapter this small all is kept in 32.
        pytest.param({"optimiser": "adamw8bit", "method": "full", "learning_rate": 1e-3}, marks=needs_bitsandbytes),
        {"optimiser": "muon", "method": "full", "learning_rate": 1e-3},
        {"dtype": "bfloat16", "method": "full", "learning_rate": 1e-3, "forgetting": {"l2": 0.01}},
        {
            "method": {"name": "lora", "rank": 4, "dropout": 0.1},
            "schedule": "wsd",
            "label_smoothing": 0.1,
            "neftune_alpha": 5,
            "forgetting": {"data": "general.jsonl", "replay": 0.1, "l2": 0.01, "ewc": 0.1, "fisher_rows": 4},
        },
    ],
    ids=lambda settings: "-".join(str(value) for value in settings.values())[:40],
)
def test_an_interrupted_run_ends_with_the_same_bytes(root: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    recipe = made_recipe(**{"epochs": 1, "batch_size": 4, "node_budget": 1000, "validate_every": 3, **settings})

    def work(folder: Path, **options: Any) -> Any:
        base = made_base(root / "tiny", "bfloat16" if recipe.train.dtype == "bfloat16" else "float32")
        tables = {**made_tables(base, root / "cache", rows=24), "general": general_table(base, root / "cache")}
        return train(base, tables, recipe, folder=folder, **options)

    whole = work(tmp_path / "whole")
    again = interrupted_and_resumed(work, tmp_path / "parts", step=4)
    assert again.progress == whole.progress
    assert hash_folder(again.adapter) == hash_folder(whole.adapter)
