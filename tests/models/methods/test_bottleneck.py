"""Bottlenecks stand where the paper puts them, start as the base, and share prefixes exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.forest.test_score import assert_same, long_rows
from tests.models.methods.adapting import (
    attached,
    forest_pair,
    gradients,
    loaded,
    logits,
    randomised,
    saved,
)
from tests.tiny import tiny_folder, tiny_model
from tunewright.base.errors import ModelError
from tunewright.models.memory import model_size
from tunewright.models.methods import bottleneck
from tunewright.models.methods._bottleneck_layer import ACTIVATIONS, BottleneckLinear

SMALL = {"vocab_size": 259, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3}


def test_numbers_worked_by_hand() -> None:
    base = torch.nn.Linear(2, 2, bias=False)
    layer = BottleneckLinear(base, width=1, activation="relu", dropout=0.0)
    with torch.no_grad():
        base.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
        layer.down.weight.copy_(torch.tensor([[1.0, -1.0]]))
        layer.down.bias.fill_(0.5)
        layer.up.weight.copy_(torch.tensor([[2.0], [3.0]]))
        layer.up.bias.copy_(torch.tensor([0.0, 1.0]))
    # x (3, 1): y = (3, 2); down 3 - 2 + 0.5 = 1.5; up (3, 5.5); sum (6, 7.5).
    # x (1, 2): y = (1, 4); down 1 - 4 + 0.5 < 0, so 0; up (0, 1); sum (1, 5).
    assert layer(torch.tensor([[3.0, 1.0], [1.0, 2.0]])).tolist() == [[6.0, 7.5], [1.0, 5.0]]


def test_it_begins_as_the_base_and_only_the_bottlenecks_train() -> None:
    model = attached(bottleneck.Config(width=4))
    assert torch.equal(logits(model), logits(tiny_model()))
    assert model.get_base_model().get_input_embeddings() is model.get_input_embeddings()
    trained = {name for name, weight in model.base.named_parameters() if weight.requires_grad}
    places = [f"model.layers.{n}.{place}" for n in (0, 1) for place in ("self_attn.o_proj", "mlp.down_proj")]
    parts = ("down.weight", "down.bias", "up.weight", "up.bias")
    assert trained == {f"{place}.{part}" for place in places for part in parts}


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_it_is_what_hooks_behind_both_blocks_compute(activation: Any) -> None:
    """The same adapters written another way: on the results of whole blocks, by hooks."""
    model = randomised(attached(bottleneck.Config(width=4, activation=activation)))
    plain = tiny_model()
    curve = {"gelu": torch.nn.GELU(), "relu": torch.nn.ReLU(), "silu": torch.nn.SiLU(), "tanh": torch.nn.Tanh()}
    for ours, theirs in zip(model.base.model.layers, plain.model.layers, strict=True):
        for wrapper, block in ((ours.self_attn.o_proj, theirs.self_attn), (ours.mlp.down_proj, theirs.mlp)):

            def adapt(_: Any, __: Any, result: Any, wrapper: Any = wrapper) -> Any:
                whole = result if isinstance(result, torch.Tensor) else result[0]
                adapted = whole + wrapper.up(curve[activation](wrapper.down(whole)))
                return adapted if isinstance(result, torch.Tensor) else (adapted, *result[1:])

            block.register_forward_hook(adapt)
    assert torch.allclose(logits(model), logits(plain), atol=1e-4)


def qwen2(**changes: Any) -> Any:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2ForCausalLM(Qwen2Config(**SMALL, **HEADS, **changes))


def qwen3(**changes: Any) -> Any:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return Qwen3ForCausalLM(Qwen3Config(**SMALL, **HEADS, head_dim=16, **changes))


def mistral(**changes: Any) -> Any:
    from transformers import MistralConfig, MistralForCausalLM

    return MistralForCausalLM(MistralConfig(**SMALL, **HEADS, **changes))


@pytest.mark.parametrize("make", [tiny_model, qwen2, qwen3, mistral])
def test_models_built_like_llama_take_it(make: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    base = make().eval()
    base.save_pretrained(tmp_path / "base")
    config = bottleneck.Config(width=6)
    model = randomised(attached(config, base))
    found = gradients(model)
    assert len(found) == 2 * 2 * 4
    assert all(grad.isfinite().all() and grad.norm() > 0 for grad in found.values())
    count = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert bottleneck.trainable(model_size(tmp_path / "base"), config) == count


def test_other_models_are_refused_by_name() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel, MixtralConfig, MixtralForCausalLM

    gpt = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=32, n_layer=1, n_head=2))
    with pytest.raises(ModelError, match="GPT2LMHeadModel: it has no list of layers"):
        attached(bottleneck.Config(width=4), gpt)
    mixtral = MixtralForCausalLM(MixtralConfig(**SMALL, **HEADS, num_local_experts=2))
    with pytest.raises(ModelError, match=r"layer 0 has no linear layer mlp\.down_proj"):
        attached(bottleneck.Config(width=4), mixtral)
    assert all(weight.requires_grad for weight in mixtral.parameters()), "a refused model is left as it was"


def test_wider_than_the_model_is_refused() -> None:
    attached(bottleneck.Config(width=32))
    with pytest.raises(ModelError, match="width 33 is wider than the model, whose hidden states have 32") as caught:
        attached(bottleneck.Config(width=33))
    assert caught.value.where == "method.width"


@pytest.mark.parametrize("backend", ["dense", "segments"])
def test_sharing_prefixes_is_exact(backend: str) -> None:
    assert_same(*forest_pair(bottleneck.Config(width=4)), long_rows(), 150, backend, 1e-5)


def test_narrow_models_keep_wide_trained_weights() -> None:
    model = randomised(attached(bottleneck.Config(width=4), tiny_model().bfloat16()))
    assert {weight.dtype for weight in model.parameters() if weight.requires_grad} == {torch.float32}
    wide = randomised(attached(bottleneck.Config(width=4), tiny_model()))
    difference = (logits(model).float() - logits(wide)).norm() / logits(wide).norm()
    assert logits(model).dtype == torch.bfloat16
    assert difference < 0.05


def test_dropout_acts_in_training_only() -> None:
    model = randomised(attached(bottleneck.Config(width=8, dropout=0.5)))
    calm = logits(model.eval())
    assert torch.equal(calm, logits(model))
    assert not torch.allclose(calm, logits(model.train()))


def test_the_seed_decides_where_it_begins() -> None:
    one, same, other = (attached(bottleneck.Config(width=4), seed=seed).state_dict() for seed in (1, 1, 2))
    name = "base.model.layers.0.mlp.down_proj.down.weight"
    assert torch.equal(one[name], same[name])
    assert not torch.equal(one[name], other[name])


def test_switched_off_it_is_the_base_and_nothing_trains() -> None:
    model = randomised(attached(bottleneck.Config(width=4)))
    adapted, trained = logits(model), {name for name, weight in model.named_parameters() if weight.requires_grad}
    with model.disable_adapter():
        assert torch.equal(logits(model), logits(tiny_model()))
        assert not any(weight.requires_grad for weight in model.parameters())
    assert torch.equal(logits(model), adapted)
    assert {name for name, weight in model.named_parameters() if weight.requires_grad} == trained


def test_objectives_with_a_reference_can_use_it() -> None:
    from tunewright.forest import build
    from tunewright.forest.reference import score_with_reference
    from tunewright.forest.score import score

    _, ours = forest_pair(bottleneck.Config(width=4))
    _, fresh = forest_pair(bottleneck.Config(width=4), random=False)
    forest = build(long_rows(3))
    scores = score_with_reference(ours, forest)
    assert scores.reference is not None
    assert torch.allclose(scores.reference, score(fresh, forest).logp, atol=1e-5)
    assert not torch.allclose(scores.reference, scores.logp, atol=1e-3)


def test_saved_and_loaded_it_gives_the_same_outputs(tmp_path: Path) -> None:
    config = bottleneck.Config(width=4, activation="tanh")
    model = randomised(attached(config)).eval()
    again = loaded(saved(model, tmp_path / "one", config))
    assert torch.equal(logits(again), logits(model))
    assert not any(weight.requires_grad for weight in again.parameters())
    files = [
        saved(each, tmp_path / name, config) / "adapter.safetensors" for each, name in ((model, "a"), (again, "b"))
    ]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    config = bottleneck.Config(width=4)
    folder = saved(attached(config), tmp_path / "adapter", config)
    with pytest.raises(ModelError, match=r"down.bias has shape \(4,\) in the file and \(5,\) in the model"):
        bottleneck.load(tiny_model(), bottleneck.Config(width=5), folder)
    with pytest.raises(ModelError, match=r"model.layers.2.mlp.down_proj.down.bias is in the model only"):
        loaded(folder, tiny_model(num_hidden_layers=3))
    file = folder / "adapter.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(ModelError, match="cannot be read"):
        loaded(folder)
    file.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        loaded(folder)


def test_the_size_of_a_tiny_model_is_counted_by_hand(tmp_path: Path) -> None:
    size = model_size(tiny_folder(tmp_path / "base"))
    # 2 layers, 2 places: down 32 x 4 + 4, up 4 x 32 + 32.
    assert bottleneck.trainable(size, bottleneck.Config(width=4)) == 2 * 2 * (132 + 160)
