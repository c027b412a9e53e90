"""Virtual tokens on a forest: loss and gradient equal those of plain rows through PEFT's own forward pass."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.forest.test_forest import path, some_paths
from tests.forest.test_score import assert_same, backends, long_rows
from tests.models.methods.virtual import CONFIGS, attached, both
from tests.tiny import tiny_model
from tunewright.base.errors import ModelError
from tunewright.forest import Path, build
from tunewright.forest.forest import plant
from tunewright.forest.layout import adopt
from tunewright.forest.reference import score_with_reference
from tunewright.forest.score import run, score
from tunewright.forest.virtual import virtual_count

methods = pytest.mark.parametrize("name", CONFIGS)


def test_a_planted_forest_stands_behind_one_row_of_nodes() -> None:
    forest = build([path([7, 8, 9], [0, 0, 1]), path([5, 6], [0, 1], row=1)])
    assert forest.token.tolist() == [5, 7, 8]
    planted = plant(forest, 2)
    assert planted.token.tolist() == [-1, -1, 5, 7, 8]
    assert planted.depth.tolist() == [0, 1, 2, 2, 3]
    assert planted.parent.tolist() == [-1, 0, 1, 1, 3]
    assert planted.end.tolist() == [5, 5, 3, 5, 5]
    assert planted.count.tolist() == [2, 2, 1, 1, 1]
    assert planted.source.tolist() == [2, 4]
    assert planted.target.tolist() == forest.target.tolist()
    assert planted.ancestors(4).tolist() == [0, 1, 3, 4]
    assert plant(forest, 0) is forest


@methods
@backends
@pytest.mark.parametrize("budget", [10_000, 150])
def test_equals_plain_rows(name: str, backend: str, budget: int) -> None:
    assert_same(*both(CONFIGS[name]), long_rows(), budget, backend, 1e-5)


@pytest.fixture(scope="module")
def pairs() -> dict[str, tuple[Any, Any]]:
    return {name: both(CONFIGS[name]) for name in ("prompt", "prefix")}


@pytest.mark.parametrize("name", ["prompt", "prefix"])
@settings(deadline=None, max_examples=15)
@given(paths=some_paths(), budget=st.integers(4, 40))
def test_equals_plain_rows_whatever_they_are(
    pairs: dict[str, tuple[Any, Any]], name: str, paths: list[Path], budget: int
) -> None:
    assert_same(*pairs[name], paths, budget, "segments", 1e-5)


@backends
@pytest.mark.parametrize("name", ["prompt", "prefix"])
def test_windows_count_virtual_tokens_as_positions(name: str, backend: str) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    base = MistralForCausalLM(
        MistralConfig(
            vocab_size=259, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, sliding_window=6, initializer_range=0.3, attn_implementation="eager",
        )
    )  # fmt: skip
    assert_same(*both(CONFIGS[name], base.eval()), long_rows(4), 10_000, backend, 1e-5)


@methods
def test_equals_plain_rows_in_float64(name: str) -> None:
    stock, ours = both(CONFIGS[name])
    assert_same(stock.double(), ours.double(), long_rows(4), 150, "segments", 1e-6)


SMALL = {
    "vocab_size": 259,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.3,
}


def gpt2() -> Any:
    """Learned positions, read from a table."""
    from transformers import GPT2Config, GPT2LMHeadModel

    drops = {"attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0}
    return GPT2LMHeadModel(GPT2Config(**SMALL, **drops, bos_token_id=1, eos_token_id=2)).eval()


def gemma3(window: int = 16) -> Any:
    """Scaled embeddings, which virtual ones are not, and windows in some layers only."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    shape = {"intermediate_size": 64, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": window}
    return Gemma3ForCausalLM(Gemma3TextConfig(**SMALL, **shape, attn_implementation="eager")).eval()


@pytest.mark.parametrize("family", [gpt2, gemma3])
@pytest.mark.parametrize("name", ["prompt", "prefix"])
def test_equals_plain_rows_in_other_families(name: str, family: Any) -> None:
    torch.manual_seed(0)
    assert_same(*both(CONFIGS[name], family()), long_rows(4), 150, "segments", 1e-5)


def test_a_prefix_that_a_window_cuts_is_refused() -> None:
    _, ours = both(CONFIGS["prefix"], gemma3(window=4))
    with pytest.raises(ModelError, match="5 virtual tokens do not fit every layer"):
        run(ours, build(long_rows(2)))


@methods
def test_states_are_those_of_the_forests_own_nodes(name: str) -> None:
    _, ours = both(CONFIGS[name])
    forest = build(long_rows(3))
    assert run(ours, forest).shape == (forest.nodes, 32)


@methods
def test_switched_off_the_model_is_its_base(name: str) -> None:
    _, ours = both(CONFIGS[name])
    base = tiny_model()
    adopt(base)
    forest = build(long_rows(3))
    with torch.no_grad():
        expected, tuned = score(base, forest).logp, score(ours, forest).logp
        with ours.disable_adapter():
            found = score(ours, forest).logp
    assert torch.equal(found, expected)
    assert torch.equal(score_with_reference(ours, forest).reference, expected)
    assert not torch.allclose(tuned, expected, atol=0.1)


def test_embeddings_and_their_keys_and_values_are_the_same_beginning() -> None:
    """Both begin as the same real tokens: what prompt tuning computes, prefix tuning has kept."""
    rows = build(long_rows(3))
    found = [score(both(CONFIGS[name])[1], rows).logp for name in ("prompt", "prefix")]
    assert torch.allclose(*found, atol=1e-3)


def test_a_model_without_virtual_tokens_has_none() -> None:
    assert virtual_count(tiny_model()) == 0
    assert virtual_count(attached(CONFIGS["prompt"])) == 5


def test_virtual_tokens_of_another_kind_are_refused() -> None:
    from peft import MultitaskPromptTuningConfig, get_peft_model

    settings = MultitaskPromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2, num_tasks=2)
    with pytest.raises(ModelError, match="MULTITASK_PROMPT_TUNING"):
        virtual_count(get_peft_model(tiny_model(), settings))
