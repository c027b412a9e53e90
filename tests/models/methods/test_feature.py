"""The feature-based method: the model stays as it is, and a head alone is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.models.methods.adapting import FILES, TOKENS, attached, loaded
from tests.tiny_encoder import tiny_encoder
from tunewright.base.errors import RecipeError
from tunewright.models import heads
from tunewright.models.adapters import classes_of, save_adapter
from tunewright.models.families import check_family
from tunewright.models.methods import feature
from tunewright.objectives import classify, sft

CLASSES = ("a", "b", "c")


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        hidden = model(input_ids=TOKENS[:, :5].clamp(max=100)).last_hidden_state
        result: torch.Tensor = heads.find(model, "label")(hidden)
    return result


def test_nothing_but_the_head_trains() -> None:
    model = attached(feature.Config(), tiny_encoder().requires_grad_(True))
    assert not [name for name, weight in model.named_parameters() if weight.requires_grad]
    heads.attach(model, "label", CLASSES, seed=1)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained == {"class_heads.label.weight", "class_heads.label.bias"}


def test_saved_and_loaded_it_gives_equal_logits(tmp_path: Path) -> None:
    model = attached(feature.Config(), tiny_encoder())
    heads.attach(model, "label", CLASSES, seed=1)
    save_adapter(model, tmp_path, method=feature.Config(), base=FILES, chat_fingerprint="")
    assert classes_of(tmp_path) == {"label": ["a", "b", "c"]}
    assert {file.name for file in tmp_path.iterdir()} == {heads.FILE, "tunewright.json"}
    found = loaded(tmp_path, tiny_encoder())
    assert torch.equal(logits(found), logits(model))
    assert not [name for name, weight in found.named_parameters() if weight.requires_grad]


def test_without_a_head_there_is_nothing_to_train() -> None:
    with pytest.raises(RecipeError, match="trains a head of classes alone"):
        check_family("causal-lm", sft.Config(), feature.Config())
    check_family("causal-lm", classify.Config(), feature.Config())
