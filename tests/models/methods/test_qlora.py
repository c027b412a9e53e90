from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.models.methods.adapting import TOKENS, attached, loaded, logits, randomised, saved
from tests.tiny import tiny_model
from tunewright.base.errors import MissingExtraError, ModelError
from tunewright.base.files import read_json
from tunewright.models.methods import lora, qlora

pytest.importorskip("bitsandbytes")

both = pytest.mark.parametrize("bits", [4, 8])

# The 16 values of 4-bit NormalFloat: QLoRA's appendix E, to four digits.
NF4 = [
    *(-1.0, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0.0),
    *(0.0796, 0.1609, 0.2461, 0.3379, 0.4407, 0.5626, 0.7230, 1.0),
]


def layer(outputs: int = 48, inputs: int = 64, *, bias: bool = True) -> torch.nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torch.nn.Linear(inputs, outputs, bias=bias).requires_grad_(False)


def wide(made: Any) -> torch.Tensor:
    """The weights that a quantised layer stands for: what it gives for unit vectors."""
    bias = 0 if made.bias is None else made.bias
    return (made(torch.eye(made.in_features)) - bias).T


def test_four_bits_are_normal_float_in_blocks_of_64() -> None:
    from tunewright.models.methods._quantised_linear import quantised

    plain = layer()
    blocks = plain.weight.view(-1, 64)
    largest = blocks.abs().amax(1, keepdim=True)
    table = torch.tensor(NF4)
    nearest = table[(blocks / largest).unsqueeze(-1).sub(table).abs().argmin(-1)] * largest
    # The scales are quantised to 8 bits in their turn, so they are near and not equal.
    assert (wide(quantised(plain, 4)) - nearest.view(48, 64)).norm() <= 0.01 * nearest.norm()


def test_eight_bits_are_rounded_to_127ths_of_each_outputs_largest_weight() -> None:
    from tunewright.models.methods._quantised_linear import quantised

    plain = layer()
    scale = plain.weight.abs().amax(1, keepdim=True) / 127
    # Half a step, and what bitsandbytes loses by taking weights as float16 first: 127 / 2048 of a step at most.
    assert (wide(quantised(plain, 8)) - plain.weight).abs().le(0.563 * scale).all()


@both
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_training_and_evaluation_are_one_and_the_gradient_is_the_wide_layers(
    bits: Any, bias: bool, dtype: torch.dtype
) -> None:
    from tunewright.models.methods._quantised_linear import quantised

    made = quantised(layer(bias=bias).to(dtype), bits)
    x = torch.randn(2, 3, 64, generator=torch.Generator().manual_seed(1)).to(dtype).requires_grad_()
    with torch.no_grad():
        asked = made.eval()(x)
    trained = made.train()(x)
    assert trained.dtype == dtype
    assert torch.equal(asked, trained)
    (gradient,) = torch.autograd.grad(trained.float().square().sum(), x)
    expected = (2 * trained.float()) @ wide(quantised(layer(bias=bias), bits))
    bound = 1e-5 if dtype == torch.float32 else 2e-2
    assert (gradient.float() - expected).norm() <= bound * expected.norm()


def test_the_processors_way_through_bfloat16_is_closed() -> None:
    # There an evaluation leaves the weights in a format through which the next training step has no gradient.
    from tunewright.models.methods._quantised_linear import quantised

    assert quantised(layer(), 4).support_avx512bf16_for_cpu is False


@both
def test_all_linear_layers_but_the_head_are_quantised_and_once_only(bits: Any) -> None:
    model, config = tiny_model(), qlora.Config(bits=bits, rank=4)
    qlora.prepare(model, config)
    kinds = [type(module).__name__ for module in model.modules()]
    assert kinds.count(f"Linear{bits}") == 14
    assert type(model.lm_head) is torch.nn.Linear
    before = dict(model.named_modules())
    qlora.prepare(model, config)
    assert all(module is before[name] for name, module in model.named_modules())
    with pytest.raises(ModelError, match="quantised, and not to"):
        qlora.prepare(model, qlora.Config(bits=12 - bits))


@both
def test_on_disk_it_is_plain_lora_and_is_put_on_a_base_quantised_alike(bits: Any, tmp_path: Path) -> None:
    config = qlora.Config(bits=bits, rank=4)
    model = randomised(attached(config)).eval()
    folder = saved(model, tmp_path / "adapter", config)
    assert read_json(folder / "adapter_config.json")["peft_type"] == "LORA"
    assert read_json(folder / "tunewright.json")["method"]["bits"] == bits
    again = loaded(folder)
    assert [type(module).__name__ for module in again.modules()].count(f"Linear{bits}") == 14
    with torch.no_grad():
        assert torch.equal(logits(again), logits(model))


@both
def test_merged_it_is_quantised_anew_by_peft(bits: Any) -> None:
    model = randomised(attached(qlora.Config(bits=bits, rank=4))).eval()
    place = "base_model.model.model.layers.0.mlp.up_proj"
    apart = wide_with_adapter(model.get_submodule(place))
    model.merge_adapter()
    merged = wide_with_adapter(model.get_submodule(place))
    assert (merged - apart).norm() <= {4: 0.15, 8: 0.01}[bits] * apart.norm()


def wide_with_adapter(module: Any) -> torch.Tensor:
    with torch.no_grad():
        return module(torch.eye(32))


def test_the_gap_is_measured_before_and_after() -> None:
    def loss(model: Any) -> float:
        with torch.no_grad():
            logp = model(input_ids=TOKENS).logits[:, :-1].log_softmax(-1)
        return -float(logp.gather(2, TOKENS[:, 1:, None]).mean())

    model = tiny_model()
    gap = qlora.quantisation_gap(model, qlora.Config(bits=8), loss)
    assert gap.full == pytest.approx(loss(tiny_model()))
    assert gap.quantised == pytest.approx(loss(model))
    assert 0 < abs(gap.quantised - gap.full) < 0.05 * gap.full
    attached(qlora.Config(bits=8, rank=4), model)  # takes it as it is


def test_without_bitsandbytes_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tunewright\[quantise\]'"):
        attached(qlora.Config(rank=4))


def test_lora_trained_on_the_full_base_is_loaded_on_it(tmp_path: Path) -> None:
    config = lora.Config(rank=4)
    folder = saved(randomised(attached(config)), tmp_path / "adapter", config)
    assert not [module for module in loaded(folder).modules() if type(module).__name__ in ("Linear4", "Linear8")]
