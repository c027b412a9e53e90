"""Scalings of positions are those of the run's longest row, whatever rows a batch holds."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from tests.forest.test_forest import path
from tests.forest.test_layout import SHAPE, gemma3
from tests.forest.test_score import ON_A_PROCESSOR, assert_same, long_rows
from tests.tiny import tiny_model
from tunewright.forest import build
from tunewright.forest.layout import adopt
from tunewright.forest.positions import fix_positions
from tunewright.forest.score import grow, run

MADE_FOR, LONGEST = 24, 60  # tokens that the base was made for, and of a run's longest row


def dynamic() -> Any:
    """Dynamic NTK: beyond 24 tokens the base of the frequencies grows with the row."""
    rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 100.0}
    return tiny_model(max_position_embeddings=MADE_FOR, rope_parameters=rope)


def longrope() -> Any:
    """Long RoPE: one set of frequencies up to 24 tokens, and another one beyond."""
    from transformers import Phi3Config, Phi3ForCausalLM

    rope = {
        "rope_type": "longrope", "rope_theta": 100.0, "original_max_position_embeddings": MADE_FOR,
        "short_factor": [1.0, 1.1, 1.2, 1.3], "long_factor": [2.0, 4.0, 6.0, 9.0],
    }  # fmt: skip
    torch.manual_seed(0)
    config = Phi3Config(
        **SHAPE, num_hidden_layers=2, max_position_embeddings=96, rope_parameters=rope,
        original_max_position_embeddings=MADE_FOR, pad_token_id=0,
    )  # fmt: skip
    return Phi3ForCausalLM(config).eval()


def plain_states(model: Any, tokens: list[int]) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.model(input_ids=torch.tensor([tokens]), use_cache=False).last_hidden_state[0]
    return found


@pytest.mark.parametrize("backend", [*ON_A_PROCESSOR, "flex"])
@pytest.mark.parametrize("family", [dynamic, longrope], ids=lambda family: family.__name__)
def test_a_short_row_has_the_states_of_a_longest_rows_beginning(family: Any, backend: str) -> None:
    """In plain transformers a row of the longest length puts its own beginning under the scaling of that length."""
    stock = family()
    ours = copy.deepcopy(stock)
    adopt(ours, "auto" if backend == "flex" else backend, longest=LONGEST)
    row = np.random.default_rng(0).integers(3, 250, LONGEST).tolist()
    long = path([*row, 3], [0.0] * LONGEST + [1.0])
    short = path([*row[:10], 3], [0.0] * 10 + [1.0], row=1)
    expected = plain_states(stock, row)
    differs = plain_states(stock, row[:10])
    assert float((differs - expected[:10]).norm()) > 0.1  # transformers itself gives a short batch other states
    with torch.no_grad():
        for paths in ([short], [long], [short, long]):
            forest = grow(ours, paths)
            found = run(ours, forest, "flex" if backend == "flex" else None)
            torch.testing.assert_close(found, expected[forest.depth], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", [dynamic, longrope], ids=lambda family: family.__name__)
def test_a_run_within_what_the_base_was_made_for_is_as_plain_rows(family: Any) -> None:
    stock = family().requires_grad_(True)
    ours = copy.deepcopy(stock)
    adopt(ours, longest=MADE_FOR)
    rows = [path(p.tokens[35:58].tolist(), [0.0, *p.weights[36:58].tolist()], p.group, p.row) for p in long_rows(4)]
    assert all(len(p.tokens) < MADE_FOR for p in rows)
    assert_same(stock, ours, rows, 100, "segments", 1e-5)


def test_scalings_of_single_kinds_of_layers_are_held_too() -> None:
    torch.manual_seed(0)
    model = gemma3()
    config = copy.deepcopy(model.config)
    config.max_position_embeddings = MADE_FOR
    config.rope_parameters["full_attention"] = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 100.0}
    stock = type(model)(config).eval()
    ours = copy.deepcopy(stock)
    adopt(ours, longest=LONGEST)
    assert ours.model.rotary_emb.rope_type == {"full_attention": "fixed", "sliding_attention": "default"}
    row = np.random.default_rng(0).integers(3, 250, LONGEST).tolist()
    with torch.no_grad():
        found = run(ours, build([path([*row[:10], 3], [0.0] * 10 + [1.0])]))
    torch.testing.assert_close(found, plain_states(stock, row)[:10], rtol=1e-4, atol=1e-4)


def test_what_does_not_follow_the_batch_is_left_alone() -> None:
    model = tiny_model()
    fix_positions(model, 10_000)
    assert model.model.rotary_emb.rope_type == "default"
