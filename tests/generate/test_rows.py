"""Decoding of models that share no prefixes equals reading the whole row again for each token."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests.forest.backends.test_unshared import bloom, both, mamba, recurrent_gemma
from tests.models.methods.virtual import CONFIGS, attached, greedy, plain_logits
from tests.tiny import tiny_model
from tunewright.forest import Path, score_paths
from tunewright.forest.layout import adopt
from tunewright.generate import generate

PROMPTS = [[5, 9, 7], [5, 9, 7, 4, 8, 6], [11, 3, 2], [5, 9, 7, 4, 8, 6], [30]]


@pytest.fixture(params=[mamba, bloom, recurrent_gemma, tiny_model], ids=lambda family: family.__name__)
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """A model's own cache of each kind: a state, keys and values, one that is not given back, and plain attention."""
    family: Callable[[], Any] = request.param
    if family is not tiny_model:
        return both(family)
    stock = tiny_model()
    ours = copy.deepcopy(stock)
    adopt(ours, "unshared")
    return stock, ours


def test_equals_reading_each_row_anew(pair: tuple[Any, Any]) -> None:
    stock, ours = pair
    free = generate(ours, PROMPTS, max_new_tokens=8, stop_ids=())
    stop = free[0].tokens[3]  # a token that does come up
    found = generate(ours, PROMPTS, max_new_tokens=8, stop_ids={stop}, batch_size=3)
    for prompt, answer in zip(PROMPTS, found, strict=True):
        expected = greedy(stock, prompt, 8, stop)
        assert answer.tokens + [stop] * answer.stopped == expected
    assert found[0].stopped
    assert [len(answer.tokens) for answer in free] == [8] * len(PROMPTS)


def test_log_probabilities_are_those_of_scoring(pair: tuple[Any, Any]) -> None:
    _, ours = pair
    references = [[9, 8, 7], [4], [5, 6], [7, 7, 7], [3]]
    heard: dict[int, list[int]] = {}
    found = generate(
        ours,
        PROMPTS,
        references=references,
        max_new_tokens=5,
        stop_ids=(),
        on_token=lambda row, token: heard.setdefault(row, []).append(token),
    )
    assert heard == {row: answer.tokens for row, answer in enumerate(found)}
    for answers, logprobs in (
        ([answer.tokens for answer in found], [answer.logprob for answer in found]),
        (references, [answer.reference_logprob for answer in found]),
    ):
        paths = []
        for row, (prompt, answer) in enumerate(zip(PROMPTS, answers, strict=True)):
            weights = np.array([0.0] * len(prompt) + [1.0] * len(answer), dtype=np.float32)
            paths.append(Path(np.array([*prompt, *answer], dtype=np.int32), weights, row, row))
        assert logprobs == pytest.approx(score_paths(ours, paths), abs=1e-4)


@pytest.mark.parametrize("name", ["prompt", "prefix"])
def test_virtual_tokens_stand_in_front_of_each_row(name: str) -> None:
    model = attached(CONFIGS[name])
    expected = [greedy(model, prompt, 5, -1) for prompt in PROMPTS]
    with torch.no_grad():
        logits = plain_logits(model, PROMPTS[0])[-1]
    adopt(model, "unshared")
    found = generate(model, PROMPTS, max_new_tokens=5, stop_ids=())
    assert [answer.tokens for answer in found] == expected
    one = generate(model, PROMPTS[:1], max_new_tokens=1, stop_ids=())[0]
    assert one.logprob == pytest.approx(float(logits.log_softmax(-1).max()), abs=1e-5)
