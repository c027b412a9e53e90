"""Heads of classes: their weights, their files, and what does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from tests.tiny_encoder import tiny_encoder
from tunewright.base.errors import ModelError
from tunewright.models import heads

CLASSES = ("a", "b", "c")
STATES = torch.randn(5, 24, generator=torch.Generator().manual_seed(1))


def test_the_seed_alone_decides_what_a_head_begins_with() -> None:
    torch.manual_seed(5)
    first = heads.attach(tiny_encoder(), "label", CLASSES, seed=1)
    torch.manual_seed(6)
    second = heads.attach(tiny_encoder(), "label", CLASSES, seed=1)
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, heads.attach(tiny_encoder(), "label", CLASSES, seed=2).weight)
    assert all(weight.requires_grad for weight in first.parameters())


def test_logits_are_a_linear_layer_behind_the_pooler_of_labels() -> None:
    model = tiny_encoder()
    pooler = model.pooler.dense
    label = heads.attach(model, "label", CLASSES, seed=1, pooler=pooler)
    tag = heads.attach(model, "tag", CLASSES, seed=1, pooler=pooler)
    pooled = torch.tanh(functional.linear(STATES, pooler.weight, pooler.bias))
    torch.testing.assert_close(label(STATES), functional.linear(pooled, label.weight, label.bias))
    torch.testing.assert_close(tag(STATES), functional.linear(STATES, tag.weight, tag.bias))
    assert label.pooler is not None
    assert label.pooler.weight is not pooler.weight  # the base's own stays as it is
    assert tag.pooler is None


def test_states_of_half_precision_are_read_in_float32() -> None:
    head = heads.attach(tiny_encoder().bfloat16(), "label", CLASSES, seed=1)
    assert head.weight.dtype == torch.float32
    assert head(STATES.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("has_pooler", [True, False])
def test_saved_and_loaded_heads_give_equal_logits(tmp_path: Path, has_pooler: bool) -> None:
    model = tiny_encoder()
    pooler = model.pooler.dense if has_pooler else None
    own = heads.attach(model, "label", CLASSES, seed=1, pooler=pooler)
    other = heads.attach(model, "tag", ("x", "y"), seed=2)
    told = heads.save(model, tmp_path)
    assert told == {"label": ["a", "b", "c"], "tag": ["x", "y"]}
    fresh = tiny_encoder()
    heads.load(fresh, tmp_path, told)
    assert torch.equal(heads.find(fresh, "label")(STATES), own(STATES))
    assert torch.equal(heads.find(fresh, "tag")(STATES), other(STATES))
    assert heads.find(fresh, "label").classes == CLASSES
    assert not [
        weight for head in ("label", "tag") for weight in heads.find(fresh, head).parameters() if weight.requires_grad
    ]


def test_a_model_without_heads_writes_nothing(tmp_path: Path) -> None:
    assert heads.save(tiny_encoder(), tmp_path) == {}
    assert not list(tmp_path.iterdir())


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model = tiny_encoder()
    heads.attach(model, "label", CLASSES, seed=1)
    told = heads.save(model, tmp_path)
    with pytest.raises(ModelError, match="does not fit this model"):
        heads.load(tiny_encoder(hidden_size=16), tmp_path, told)
    with pytest.raises(ModelError, match="does not fit this model"):
        heads.load(tiny_encoder(), tmp_path, {"label": ["a", "b"]})
    (tmp_path / heads.FILE).write_bytes(b"\0" * 40)
    with pytest.raises(ModelError, match="cannot be read"):
        heads.load(tiny_encoder(), tmp_path, told)


def test_a_missing_head_and_one_class_alone_are_refused() -> None:
    with pytest.raises(ModelError, match="no head 'label'"):
        heads.find(tiny_encoder(), "label")
    with pytest.raises(ModelError, match="two classes or more"):
        heads.attach(tiny_encoder(), "label", ("a",), seed=1)


def test_a_head_is_told_from_the_models_own_weights(tmp_path: Path) -> None:
    model = tiny_encoder()
    own = {name for name, _ in model.named_parameters()}
    heads.attach(model, "label", CLASSES, seed=1)
    names = {name for name, _ in model.named_parameters()}
    assert {name for name in names if heads.is_of_head(name)} == names - own
    heads.save(model, tmp_path)
    assert set(load_file(tmp_path / heads.FILE)) == {"label.weight", "label.bias"}
