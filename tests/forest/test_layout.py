"""What a model is prepared with: the choice of backend, windows, and what stands behind the output layer."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from tests.forest.test_score import adapted, assert_same, backends, long_rows
from tests.tiny import tiny_model
from tunewright.base.errors import ModelError, TunewrightError, UnknownNameError
from tunewright.forest import build, layout
from tunewright.forest.backends import dense, flex
from tunewright.forest.head import finished
from tunewright.forest.layout import adopt, backend_of
from tunewright.forest.score import score

SHAPE = {
    "vocab_size": 259, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2,
    "initializer_range": 0.3, "attn_implementation": "eager",
}  # fmt: skip


def gemma3() -> Any:
    """Windows in all layers but the third, two rotary scalings, and norms around everything."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    kinds = ["sliding_attention", "sliding_attention", "full_attention"]
    return Gemma3ForCausalLM(
        Gemma3TextConfig(**SHAPE, num_hidden_layers=3, head_dim=8, sliding_window=6, layer_types=kinds)
    )


def qwen2() -> Any:
    """Windows in the upper layers only, and biases on queries, keys and values."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2ForCausalLM(
        Qwen2Config(**SHAPE, num_hidden_layers=3, use_sliding_window=True, sliding_window=6, max_window_layers=1)
    )


def cohere() -> Any:
    """A factor on the logits."""
    from transformers import CohereConfig, CohereForCausalLM

    return CohereForCausalLM(CohereConfig(**SHAPE, num_hidden_layers=2, logit_scale=0.4))


def granite() -> Any:
    """A divisor of the logits, and factors inside."""
    from transformers import GraniteConfig, GraniteForCausalLM

    return GraniteForCausalLM(GraniteConfig(**SHAPE, num_hidden_layers=2, logits_scaling=3.0, embedding_multiplier=2.0))


@backends
@pytest.mark.parametrize("family", [gemma3, qwen2, cohere, granite], ids=lambda family: family.__name__)
def test_windows_and_scaled_logits_equal_plain_rows(family: Any, backend: str) -> None:
    torch.manual_seed(0)
    stock = adapted(family().eval())
    ours = copy.deepcopy(stock)
    assert_same(stock, ours, long_rows(4), 150, backend, 1e-5)
    assert backend_of(ours) == backend


@pytest.mark.parametrize("family", [gemma3, qwen2], ids=lambda family: family.__name__)
def test_flex_scores_windows_as_the_oracle_does(family: Any) -> None:
    torch.manual_seed(0)
    model = family().eval()
    adopt(model)
    forest = build(long_rows(4))
    with torch.no_grad():
        found, expected = (score(model, forest, backend).logp for backend in ("flex", "dense"))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)


def test_on_a_processor_segments_are_chosen_and_told_once() -> None:
    heard: list[Any] = []
    model = tiny_model()
    choice = adopt(model, listener=heard.append)
    assert (choice.backend, choice.stock) == ("segments", "sdpa")
    assert adopt(adapted(model), "segments", listener=heard.append) is choice
    text = "Forests are computed by the backend 'segments': prefixes are shared, on a processor."
    assert [event.text for event in heard] == [text]


def test_another_backend_can_be_named_later() -> None:
    model = tiny_model()
    for backend, attention in (("dense", "tunewright"), ("unshared", "sdpa"), ("segments", "tunewright")):
        assert adopt(model, backend).backend == backend
        assert model.config._attn_implementation == attention
        assert adopt(model).reason == "the recipe names it"


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"train\.backend: attention backend 'segment'.*Did you mean 'segments'"):
        adopt(tiny_model(), "segment")


def test_a_model_that_is_not_prepared_says_so() -> None:
    with pytest.raises(TunewrightError, match=r"before it was prepared"):
        score(tiny_model(), build(long_rows(2)))


def test_on_cuda_flex_is_tried_and_given_up_where_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The card is pretended: flex is let run on the processor, where it has no gradients but a forward pass."""
    monkeypatch.setattr(flex, "unfit", lambda device: "")
    assert adopt(tiny_model()).backend == "flex"
    assert adopt(tiny_model(), "flex").reason == "the recipe names it"

    def broken(*_: Any) -> Any:
        raise RuntimeError("out of shared memory.\nA trace")

    monkeypatch.setattr(flex, "build", broken)
    choice = adopt(tiny_model())
    assert choice.backend == "segments"
    assert choice.reason == "prefixes are shared, and 'flex' failed its trial here (out of shared memory)"
    with pytest.raises(ModelError, match=r"'flex' does not fit LlamaForCausalLM: out of shared memory\."):
        adopt(tiny_model(), "flex")

    class Wrong(dense._Dense):
        """Sees nothing of the queries' order."""

        def attend(self, *given: Any) -> Any:
            return super().attend(*given).flip(1)

    monkeypatch.setattr(flex, "build", Wrong)
    assert "states differ by" in adopt(tiny_model()).reason


def test_a_window_that_layouts_are_not_told_of_shares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    def deaf(*given: Any, **named: Any) -> Any:
        return whole(*given, **{**named, "sliding_window": None})

    whole = layout.attention
    monkeypatch.setattr(layout, "attention", deaf)
    # Longer than what is tried, so that the states there do not show it.
    model = MistralForCausalLM(MistralConfig(**SHAPE, num_hidden_layers=2, sliding_window=100)).eval()
    choice = adopt(model)
    monkeypatch.undo()
    adopt(tiny_model())  # transformers keeps the function by its name: the whole one again, for the tests behind this
    assert choice.backend == "unshared"
    assert "not told of the window in layer 0" in choice.reason


def test_an_output_layer_with_something_unknown_behind_it_is_refused() -> None:
    torch.manual_seed(0)
    model = cohere().eval()
    model.config.logit_scale = 0.5  # the model has read 0.4
    with pytest.raises(ModelError, match="CohereForCausalLM does to its logits what is not known here"):
        adopt(model)


def test_a_finished_head_scales_and_then_caps() -> None:
    from types import SimpleNamespace

    layer = torch.nn.Linear(2, 2, bias=False)
    layer.weight.data = torch.eye(2)
    given = SimpleNamespace(logit_scale=3.0, logits_scaling=2.0, final_logit_softcapping=5.0)
    found = finished(layer, given)(torch.tensor([[2.0, -4.0]]))
    # 2 * 3 / 2 = 3 and 5 tanh(3 / 5); -4 * 3 / 2 = -6 and 5 tanh(-6 / 5)
    torch.testing.assert_close(found, torch.tensor([[2.6852478, -4.1682730]]))
    assert finished(layer, SimpleNamespace()) is layer
    assert finished(layer, SimpleNamespace(logit_scale=1.0, final_logit_softcapping=None)) is layer


def test_trials_leave_out_the_tokens_that_a_vocabulary_begins_with() -> None:
    model: Any = tiny_model()
    size = model.get_input_embeddings().weight.shape[0]
    assert layout.ordinary(model, [5, 3, 8]) == [size // 3 + token for token in (5, 3, 8)]
    model.resize_token_embeddings(9)  # too few to leave any out
    assert layout.ordinary(model, [5, 3, 8]) == [5, 3, 8]
