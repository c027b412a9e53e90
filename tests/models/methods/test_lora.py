"""Our LoRA layer gives what PEFT's own gives, and PEFT reads what it saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from tests.tiny import tiny_model
from tunewright.base.errors import ModelError
from tunewright.models.adapters import save_adapter
from tunewright.models.methods import lora
from tunewright.models.methods._lora_linear import LoraLinear

TOKENS = torch.tensor([[5, 3, 8, 4, 9, 6, 2, 7], [7, 7, 1, 30, 9, 200, 2, 4]])


class Named(NamedTuple):
    name: str
    weights_hash: str


def randomised(model: Any, seed: int = 2) -> Any:
    """B drawn at random: at zero, half of the gradients vanish and prove nothing."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data = torch.randn(weight.shape, generator=generator, dtype=weight.dtype) * 0.1
    return model


def both(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, **settings: Any) -> tuple[Any, Any]:
    """The same tiny model (its layers have biases) with our layers, and with PEFT's."""
    config = lora.Config(rank=4, **settings)
    models = []
    for fused in (lora.fused, lambda untouched: untouched):
        monkeypatch.setattr(lora, "fused", fused)
        base = tiny_model(attention_bias=True, mlp_bias=True).to(dtype)
        models.append(randomised(lora.attach(base, config, seed=1)))
    return models[0], models[1]


def gradients(model: Any) -> torch.Tensor:
    model.zero_grad()
    logits = model(input_ids=TOKENS).logits.double()
    loss = logits[:, :-1].log_softmax(-1).gather(2, TOKENS[:, 1:, None]).sum()
    loss.backward()
    return torch.cat([w.grad.flatten().double() for w in model.parameters() if w.requires_grad])


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_states_and_gradients_are_those_of_peft(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, bound: float
) -> None:
    ours, peft = both(monkeypatch, dtype)
    assert any(isinstance(module, LoraLinear) for module in ours.modules())
    assert not any(isinstance(module, LoraLinear) for module in peft.modules())
    expected, found = gradients(peft), gradients(ours)
    assert (found - expected).norm() <= bound * expected.norm()
    difference = ours(input_ids=TOKENS).logits - peft(input_ids=TOKENS).logits
    assert difference.abs().max() <= bound * 100


def test_gradients_are_those_of_finite_differences() -> None:
    from tunewright.models.methods._lora_linear import _Product

    generator = torch.Generator().manual_seed(0)
    shapes = {"x": (3, 5), "weight": (4, 5), "bias": (4,), "down": (2, 5), "up": (4, 2)}
    made = {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()}
    for name in ("x", "down", "up"):
        made[name].requires_grad_()
    assert torch.autograd.gradcheck(lambda *args: _Product.apply(*args, 1.7), tuple(made.values()))


def test_on_a_base_in_bfloat16_it_is_as_near_to_float32_as_peft(monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapter stays in float32 for both; PEFT widens the layer's inputs, ours narrows the adapter's products."""
    narrow = both(monkeypatch, torch.bfloat16)
    wide, _ = both(monkeypatch, torch.float32)
    wide.load_state_dict({name: value.float() for name, value in narrow[0].state_dict().items()})
    layer = next(module for module in narrow[0].modules() if isinstance(module, LoraLinear))
    assert layer._plain_adapter(layer.weight) == "default"
    expected = gradients(wide)
    ours, peft = (float((gradients(model) - expected).norm() / expected.norm()) for model in narrow)
    assert {w.grad.dtype for w in narrow[0].parameters() if w.requires_grad} == {torch.float32}
    assert 0.0 < ours <= 1.25 * peft < 0.15


def test_dropout_takes_pefts_way_in_training_and_ours_in_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, peft = both(monkeypatch, torch.float32, dropout=0.5)
    outputs = []
    for model in (ours.train(), peft.train()):
        torch.manual_seed(3)
        outputs.append(model(input_ids=TOKENS).logits)
    assert torch.equal(*outputs)  # the same noise, the same operations
    assert torch.allclose(ours.eval()(input_ids=TOKENS).logits, peft.eval()(input_ids=TOKENS).logits, atol=1e-4)


def test_switched_off_and_merged_it_is_as_pefts(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, peft = both(monkeypatch, torch.float32)
    with ours.disable_adapter(), peft.disable_adapter():
        assert torch.equal(ours(input_ids=TOKENS).logits, peft(input_ids=TOKENS).logits)
    plain = ours(input_ids=TOKENS).logits
    ours.merge_adapter()
    assert torch.allclose(ours(input_ids=TOKENS).logits, plain, atol=1e-3)
    ours.unmerge_adapter()
    assert torch.allclose(ours(input_ids=TOKENS).logits, plain, atol=1e-3)


def test_the_saved_adapter_gives_equal_outputs_in_plain_peft(tmp_path: Path) -> None:
    from peft import PeftModel

    ours = randomised(lora.attach(tiny_model(), lora.Config(rank=4), seed=1)).eval()
    save_adapter(ours, tmp_path, method=lora.Config(rank=4), base=Named("tiny", "0" * 64), chat_fingerprint="")
    assert "LoraLinear" not in (tmp_path / "adapter_config.json").read_text()
    plain = PeftModel.from_pretrained(tiny_model(), str(tmp_path)).eval()
    assert not any(isinstance(module, LoraLinear) for module in plain.modules())
    assert torch.allclose(ours(input_ids=TOKENS).logits, plain(input_ids=TOKENS).logits, atol=1e-4)


def test_targets_that_match_no_layer_are_refused() -> None:
    with pytest.raises(ModelError, match="'nothing_proj' matches no linear layer"):
        lora.attach(tiny_model(), lora.Config(targets=("nothing_proj",)), seed=1)
