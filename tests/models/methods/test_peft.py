"""Wrong choices of layers and ranks are refused before anything is changed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.models.methods.adapting import attached
from tests.tiny import tiny_model
from tunewright.base.errors import ModelError
from tunewright.base.plugins import METHODS
from tunewright.models.methods import lora
from tunewright.models.methods._peft import chosen_layers, linear_layers

low_rank = pytest.mark.parametrize("name", ["lora", "rslora", "dora", "qlora"])


def config(name: str, **settings: Any) -> Any:
    return METHODS.config(name).model_validate({"name": name, **settings})


@low_rank
def test_a_target_that_matches_nothing_is_named_even_beside_good_ones(name: str) -> None:
    base = tiny_model()
    with pytest.raises(ModelError, match=r"'q_porj' matches no linear layer.*Did you mean 'q_proj'") as caught:
        attached(config(name, targets=("v_proj", "q_porj")), base)
    assert caught.value.exit_code == 2
    assert caught.value.where == "method.targets"
    assert [type(module).__name__ for module in base.modules()].count("Linear") == 15  # 2 x 7 and the head: untouched


@low_rank
def test_a_rank_above_a_layers_width_is_refused_with_the_layer(name: str) -> None:
    # Keys of the tiny model are 16 wide: 2 heads of 8.
    with pytest.raises(ModelError, match=r"rank of 17 is above the width of model\.layers\.0\.self_attn\.[kv]_proj"):
        attached(config(name, rank=17))
    attached(config(name, rank=32, targets=("q_proj",)))


@pytest.mark.parametrize("target", ["proj", "mlp", "embed_tokens", "norm", ""])
def test_parts_of_a_name_and_other_modules_match_nothing(target: str) -> None:
    with pytest.raises(ModelError, match="matches no linear layer"):
        chosen_layers(tiny_model(), (target,))


def test_endings_of_several_parts_choose_as_they_do_in_peft() -> None:
    model, ending = tiny_model(), "layers.1.mlp.up_proj"
    assert list(chosen_layers(model, (ending,))) == ["model.layers.1.mlp.up_proj"]
    wrapped = attached(lora.Config(rank=2, targets=(ending,)), model)
    assert sum(weight.requires_grad for weight in wrapped.parameters()) == 2


def test_all_linear_is_all_but_the_head() -> None:
    names = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    assert linear_layers(tiny_model(tie_word_embeddings=False)) == names
    assert lora.linear_layers(tiny_model()) == names
