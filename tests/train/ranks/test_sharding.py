"""What sharded layers do not go with is refused; what is computed on shares is checked in `test_two`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.tiny import tiny_model
from tests.train.made import made_recipe
from tunewright.base.errors import ModelError, RecipeError
from tunewright.train.ranks.group import ALONE, Ranks
from tunewright.train.ranks.place import Place
from tunewright.train.ranks.sharding import _blocks, is_sharded, like, split_groups, total_norm, whole_of

_L2: dict[str, Any] = {"l2": 0.1}
_EWC: dict[str, Any] = {"ewc": 0.1, "data": "general.jsonl"}


def two() -> Ranks:
    ranks = Ranks(Place())
    ranks.world = 2
    return ranks


@pytest.mark.parametrize(
    ("method", "forgetting", "train", "named"),
    [
        ("qlora", None, {}, "the method 'qlora'"),
        ("prefix", None, {}, "the method 'prefix'"),
        ("lora", None, {"best": "accuracy"}, "train.best: accuracy"),
        ("lora", None, {"objective": "grpo"}, "an objective that draws answers"),
        ("lora", _EWC, {}, "an anchor on shared weights"),
        ("full", _L2, {}, "an anchor on shared weights"),
        ("full", None, {"optimiser": "muon"}, "the optimiser 'muon'"),
    ],
)
def test_what_does_not_go_together_is_refused(method: str, forgetting: Any, train: dict[str, Any], named: str) -> None:
    recipe = made_recipe({"name": method}, forgetting, sharding="full", **train)
    with pytest.raises(RecipeError, match="Sharded layers do not go with") as refused:
        is_sharded(recipe, two())
    assert named in refused.value.what
    assert refused.value.where == "train.sharding"


def test_a_process_alone_holds_all_of_it() -> None:
    assert is_sharded(made_recipe({"name": "full"}, sharding="full"), two())
    assert is_sharded(made_recipe({"name": "lora"}, _L2, sharding="full", optimiser="muon"), two())
    assert not is_sharded(made_recipe({"name": "full"}, sharding="full"), ALONE)
    assert not is_sharded(made_recipe({"name": "full"}), two())


def test_the_layers_are_found_or_their_absence_told() -> None:
    assert len(_blocks(tiny_model())) == 2

    class Bare(nn.Module):
        base_model_prefix = "inner"

        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(2, 2)

    with pytest.raises(ModelError, match="no list of layers"):
        _blocks(Bare())


def test_whole_weights_are_left_as_they_are() -> None:
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    assert total_norm([weight.detach(), torch.tensor([12.0])]) == 13.0
    assert whole_of(weight) is weight
    assert like({"a|step": weight}, {"a": weight})["a|step"] is weight
    parts = [torch.optim.SGD([{"params": [weight], "lr": 0.5}], lr=0.1)]
    (group,) = split_groups(parts)[0].param_groups
    assert (group["params"], group["lr"]) == ([weight], 0.5)
