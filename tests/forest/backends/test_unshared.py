"""Models that cannot share prefixes get `unshared`; their losses and gradients equal those of plain rows."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.forest.test_forest import path, some_paths
from tests.forest.test_score import adapted, assert_same, long_rows
from tests.tiny import tiny_model
from tunewright.base.errors import ModelError, TunewrightError
from tunewright.forest import Path, build
from tunewright.forest.backends.unshared import padded_rows
from tunewright.forest.layout import adopt
from tunewright.forest.score import grow, run, score

SHAPE = {"vocab_size": 259, "hidden_size": 32, "initializer_range": 0.3}


def mamba() -> Any:
    """A state-space model, on transformers' own slow path."""
    from transformers import MambaConfig, MambaForCausalLM

    return MambaForCausalLM(MambaConfig(**SHAPE, state_size=4, time_step_rank=4, num_hidden_layers=2))


def bloom() -> Any:
    """Attention that is biased by the distance of indices (ALiBi)."""
    from transformers import BloomConfig, BloomForCausalLM

    return BloomForCausalLM(BloomConfig(**SHAPE, n_layer=2, n_head=4))


def jamba() -> Any:
    """State-space layers that hardly move the states, between attention layers and experts."""
    from transformers import JambaConfig, JambaForCausalLM

    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "attn_layer_period": 2, "attn_layer_offset": 1}
    shape = {**SHAPE, "initializer_range": 0.02, "intermediate_size": 64, "num_hidden_layers": 4, "num_experts": 2}
    return JambaForCausalLM(JambaConfig(**shape, **heads, mamba_d_state=4, mamba_dt_rank=4, use_mamba_kernels=False))


def recurrent_gemma() -> Any:
    """Recurrent layers between attention layers, and a soft cap on its logits."""
    from transformers import RecurrentGemmaConfig, RecurrentGemmaForCausalLM

    heads = {"num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 8}
    config = RecurrentGemmaConfig(
        **SHAPE, **heads, intermediate_size=64, num_hidden_layers=3, lru_width=32, attention_window_size=8
    )
    return RecurrentGemmaForCausalLM(config)


def gemma2() -> Any:
    """Plain attention with a soft cap on its scores, which layouts do not compute, and one on the logits."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "attn_implementation": "eager"}
    config = Gemma2Config(**SHAPE, **heads, intermediate_size=64, num_hidden_layers=2, sliding_window=6)
    return Gemma2ForCausalLM(config)


WHY = {
    mamba: "has other states on a shared prefix",
    jamba: "has other states on a shared prefix",
    bloom: "",  # that its attention cannot be replaced, or what it does not take: transformers' own words
    recurrent_gemma: "",
    gemma2: "uses 'softcap'",
}
families = pytest.mark.parametrize("family", WHY, ids=lambda family: family.__name__)


def made(family: Callable[[], Any]) -> Any:
    torch.manual_seed(0)
    return family().eval()


def both(family: Callable[[], Any]) -> tuple[Any, Any]:
    """The same model twice, all its weights trained: untouched, and prepared for forests."""
    stock = made(family).requires_grad_(True)
    ours = copy.deepcopy(stock)
    adopt(ours)
    return stock, ours


@families
def test_a_model_that_cannot_share_is_chosen_for_and_told_why(family: Callable[[], Any]) -> None:
    model = made(family)
    stock = model.config._attn_implementation
    heard: list[Any] = []
    choice = adopt(model, listener=heard.append)
    assert choice.backend == "unshared"
    assert type(model).__name__ in choice.reason
    assert WHY[family] in choice.reason
    assert [event.text for event in heard] == [f"Forests are computed by the backend 'unshared': {choice.reason}."]
    assert model.config._attn_implementation == stock
    assert adopt(model, listener=heard.append) is choice
    assert len(heard) == 1


@families
def test_loss_and_gradient_equal_plain_rows(family: Callable[[], Any]) -> None:
    assert_same(*both(family), long_rows(4), 150, "unshared", 1e-5)


@pytest.fixture(scope="module")
def mambas() -> tuple[Any, Any]:
    stock = adapted(made(mamba))
    ours = copy.deepcopy(stock)
    adopt(ours)
    return stock, ours


@settings(deadline=None, max_examples=15)
@given(paths=some_paths(), budget=st.integers(4, 40))
def test_adapters_on_state_spaces_equal_plain_rows(mambas: tuple[Any, Any], paths: list[Path], budget: int) -> None:
    assert_same(*mambas, paths, budget, "unshared", 1e-5)


def test_a_merged_forest_has_each_nodes_state_once() -> None:
    paths = [path([5, 6, 7, 8], [0, 1, 1, 1]), path([5, 6, 9, 3, 4], [0, 1, 0, 0, 1], row=1)]
    _, ours = both(mamba)
    merged, apart = build(paths), grow(ours, paths)
    assert (merged.nodes, apart.nodes) == (5, 7)
    states = dict(zip(map(tuple, _lines(merged)), run(ours, merged), strict=True))
    for line, state in zip(_lines(apart), run(ours, apart), strict=True):
        torch.testing.assert_close(states[tuple(line)], state)


def _lines(forest: Any) -> list[list[int]]:
    return [forest.token[forest.ancestors(node)].tolist() for node in range(forest.nodes)]


@settings(deadline=None, max_examples=50)
@given(paths=some_paths(), shared=st.booleans())
def test_every_node_has_a_place_in_a_row_that_goes_through_it(paths: list[Path], shared: bool) -> None:
    forest = build(paths, shared=shared)
    groups, place = padded_rows(forest)
    shown = np.concatenate([np.empty(0, dtype=np.int64), *(group.reshape(-1) for group in groups)])
    assert shown[place].tolist() == list(range(forest.nodes))
    for row in (row for group in groups for row in group):
        line = row[row >= 0]
        assert line.tolist() == forest.ancestors(int(line[-1])).tolist()
        assert (row[len(line) :] == -1).all()


def test_noise_is_drawn_for_each_row_where_nothing_is_shared() -> None:
    paths = [path([5, 6, 7], [0, 0, 1], row=0), path([5, 6, 7], [0, 0, 1], row=1)]
    for backend, alike in (("segments", True), ("unshared", False)):
        model = tiny_model()
        model.model.layers[0].mlp.register_forward_hook(
            lambda module, inputs, output: torch.nn.functional.dropout(output, 0.5, module.training)
        )
        adopt(model, backend)
        model.train()
        torch.manual_seed(1)
        forest = grow(model, paths)
        logp = score(model, forest).logp[torch.tensor(forest.path_edge)]
        assert torch.equal(logp[0], logp[1]) == alike


def test_embeddings_are_looked_up_once_a_node_so_that_noise_on_them_finds_its_nodes() -> None:
    _, ours = both(mamba)
    forest, seen = grow(ours, long_rows(3)), []
    ours.get_input_embeddings().register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    run(ours, forest)
    assert seen == [(forest.nodes, 32)]


def test_a_layout_backend_on_such_a_model_is_refused() -> None:
    with pytest.raises(ModelError, match=r"train\.backend: .*'segments' does not fit MambaForCausalLM: .*auto"):
        adopt(made(mamba), "segments")


def test_calling_it_with_another_backend_is_an_error() -> None:
    _, ours = both(mamba)
    with pytest.raises(TunewrightError, match="prepared for the backend 'unshared' was called with 'dense'"):
        score(ours, build(long_rows(2)), "dense")


def test_a_model_that_sees_what_stands_behind_is_refused() -> None:
    class SeesAll(torch.nn.Module):
        """Adds the mean of the whole row, padding and all, to each of its states."""

        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, *given: Any, **named: Any) -> Any:
            found = self.inner(*given, **named)
            return found + found.mean(1, keepdim=True)

    model = made(mamba)
    model.backbone.norm_f = SeesAll(model.backbone.norm_f)
    with pytest.raises(ModelError, match="for models that read from left to right"):
        adopt(model)
