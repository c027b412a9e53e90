"""Token rows with a chosen and a rejected answer or with drawn ones, and models to score them with."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.forest.test_score import adapted
from tests.tiny import tiny_model
from tunewright.data.attempts import Attempt
from tunewright.data.tokens import TokenRow
from tunewright.forest.layout import adopt


def row(
    prompt: Sequence[int],
    chosen: Sequence[int],
    rejected: Sequence[int] | None = None,
    *,
    classes: tuple[str, ...] = (),
) -> TokenRow:
    """An example whose answers are learned as a whole; with classes, those of its last two tokens instead."""

    if classes:
        tokens = np.array([*prompt, *chosen], dtype=np.int32)
        weights, targets = np.zeros(len(tokens), np.float32), np.zeros(len(tokens), np.int32)
        weights[-2:], targets[-2:] = 1.0, [chosen[0] % len(classes), chosen[-1] % len(classes)]
        return TokenRow(tokens, weights, targets=targets, classes=classes)

    def one(answer: Sequence[int], other: TokenRow | None = None) -> TokenRow:
        tokens = np.array([*prompt, *answer], dtype=np.int32)
        return TokenRow(tokens, np.array([0.0] * len(prompt) + [1.0] * len(answer), dtype=np.float32), other)

    return one(chosen, None if rejected is None else one(rejected))


def drawn_row(prompt: Sequence[int], *answers: tuple[Sequence[int], Sequence[float], float]) -> TokenRow:
    """An example with drawn answers: the tokens of each, their log-probabilities when drawn, and its reward."""
    attempts = tuple(
        Attempt(np.array(tokens, dtype=np.int32), np.array(logp, dtype=np.float32), reward)
        for tokens, logp, reward in answers
    )
    return replace(row(prompt, [2]), attempts=attempts)


@st.composite
def some_rows(draw: st.DrawFn) -> list[TokenRow]:
    """Pairs of few different tokens, so that prompts and the beginnings of answers are shared again and again."""
    some = st.lists(st.integers(3, 6), min_size=1, max_size=6)
    pair = st.tuples(some, some, some).filter(lambda each: each[1] != each[2])
    return [row(*each) for each in draw(st.lists(pair, min_size=1, max_size=6))]


def models() -> tuple[Any, Any, Any]:
    """The base alone, the base with an adapter that says something, both stock; and the latter for forests."""
    stock = adapted(tiny_model())
    ours = copy.deepcopy(stock)
    adopt(ours)
    return tiny_model(), stock, ours


def plain_logp(model: Any, answer: TokenRow) -> torch.Tensor:
    """Log-probability of the learned tokens of one row, run alone through a stock model; float64."""
    return (plain_logps(model, answer.tokens) * torch.tensor(answer.weights[1:], dtype=torch.float64)).sum()


def plain_logps(model: Any, row: NDArray[np.int32]) -> torch.Tensor:
    """Log-probability of each token of one row but its first, run alone through a stock model, shape (T - 1,)."""
    tokens = torch.tensor(row.astype(np.int64))
    logp: torch.Tensor = model(input_ids=tokens[None]).logits[0].double().log_softmax(-1)
    return logp[:-1].gather(1, tokens[1:, None])[:, 0]
