"""Batched greedy decoding by an encoder-decoder equals transformers' own, one source at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.forest.test_seq2seq import pair
from tests.tiny_t5 import PAD, tiny_t5
from tunewright.base.errors import DataError
from tunewright.forest import score_paths
from tunewright.forest.layout import adopt
from tunewright.generate import generate
from tunewright.models.text_format import ANSWER_START

LIMIT = 12


@pytest.fixture(scope="module")
def model() -> Any:
    made = tiny_t5(seed=4)
    for block in made.decoder.block:  # at random it hardly listens to the source, and all answers are alike
        block.layer[1].EncDecAttention.o.weight.data *= 10
    adopt(made)
    return made


def some_sources() -> list[list[int]]:
    random = np.random.default_rng(0)
    found = [random.integers(3, 259, 2 + 4 * n).tolist() for n in range(6)]
    return [*found, found[2], [7]]


def prompts() -> list[list[int]]:
    return [[*source, ANSWER_START] for source in some_sources()]


def own(model: Any, source: list[int], stop: int) -> list[int]:
    out = model.generate(
        input_ids=torch.tensor([source]),
        max_new_tokens=LIMIT,
        do_sample=False,
        eos_token_id=stop,
        pad_token_id=PAD,
    )
    found: list[int] = out[0, 1:].tolist()  # without the decoder's start token
    return found


@pytest.mark.parametrize("batch_size", [3, 64])
def test_equals_transformers_one_by_one(model: Any, batch_size: int) -> None:
    free = generate(model, prompts(), max_new_tokens=LIMIT, stop_ids=(), batch_size=batch_size)
    assert len({tuple(answer.tokens) for answer in free}) == len(some_sources()) - 1  # one source comes twice
    stop = free[0].tokens[3]  # a token that does come up, so that some answers end early
    found = generate(model, prompts(), max_new_tokens=LIMIT, stop_ids={stop}, batch_size=batch_size)
    for source, answer in zip(some_sources(), found, strict=True):
        expected = own(model, source, stop)
        assert answer.tokens + [stop] * answer.stopped == expected
        assert answer.stopped == (expected[-1] == stop)
    assert any(answer.stopped for answer in found)
    assert not all(answer.stopped for answer in found)
    assert all(math.isnan(answer.reference_logprob) for answer in found)


def test_logprobs_are_those_of_scoring(model: Any) -> None:
    references = [[9, 8, 1 + n] for n in range(len(prompts()))]
    answers = generate(model, prompts(), max_new_tokens=5, stop_ids=(), references=references)
    given = [
        pair(source, answer.tokens, row=n)
        for n, (source, answer) in enumerate(zip(some_sources(), answers, strict=True))
    ]
    assert [a.logprob for a in answers] == pytest.approx(score_paths(model, given).tolist(), abs=1e-4)
    wanted = [
        pair(source, answer, row=n) for n, (source, answer) in enumerate(zip(some_sources(), references, strict=True))
    ]
    assert [a.reference_logprob for a in answers] == pytest.approx(score_paths(model, wanted).tolist(), abs=1e-4)


def test_tokens_are_told_as_they_come(model: Any) -> None:
    heard: dict[int, list[int]] = {}
    answers = generate(
        model,
        prompts(),
        max_new_tokens=3,
        stop_ids=(),
        batch_size=4,
        on_token=lambda row, token: heard.setdefault(row, []).append(token),
    )
    assert [heard[row] for row in range(len(answers))] == [answer.tokens for answer in answers]


def test_a_prompt_must_end_where_its_answer_begins(model: Any) -> None:
    with pytest.raises(DataError, match="prompt 0"):
        generate(model, [[5, 6]], max_new_tokens=3, stop_ids=())
