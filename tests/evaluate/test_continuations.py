"""Continuations of texts, against the stock model, one pair at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny import tiny_model
from tunewright.base.errors import DataError
from tunewright.evaluate.continuations import score_continuations
from tunewright.forest.layout import adopt

token = st.integers(3, 6)
pair = st.tuples(st.lists(token, min_size=1, max_size=6), st.lists(token, min_size=1, max_size=4))


@pytest.fixture(scope="module")
def model() -> Any:
    made = tiny_model()
    adopt(made)
    return made


@torch.no_grad()
def alone(context: list[int], continuation: list[int]) -> tuple[float, bool]:
    logp = tiny_model()(input_ids=torch.tensor([[*context, *continuation]])).logits[0].double().log_softmax(-1)
    logp = logp[len(context) - 1 : -1]
    given_ = torch.tensor(continuation)
    return float(logp.gather(1, given_[:, None]).sum()), bool((logp.argmax(-1) == given_).all())


@settings(max_examples=10, deadline=None)
@given(st.lists(pair, min_size=1, max_size=8))
def test_pairs_are_scored_as_if_alone(model: Any, pairs: Any) -> None:
    for (logp, greedy), (context, continuation) in zip(
        score_continuations(model, pairs, longest=64), pairs, strict=True
    ):
        expected = alone(context, continuation)
        assert logp == pytest.approx(expected[0], abs=1e-3)
        assert greedy == expected[1]


def test_long_contexts_lose_their_beginning_and_that_is_told(model: Any) -> None:
    heard: list[Any] = []
    found = score_continuations(model, [([3, 4, 5, 6, 7], [8, 9]), ([3], [4])], longest=4, listener=heard.append)
    # Four tokens are read: 5 6 7 8; the last one is predicted.
    assert found[0][0] == pytest.approx(alone([5, 6, 7], [8, 9])[0], abs=1e-3)
    assert found[1][0] == pytest.approx(alone([3], [4])[0], abs=1e-3)
    assert "1 contexts were cut" in heard[0].text


def test_what_does_not_fit_is_refused(model: Any) -> None:
    with pytest.raises(DataError, match="5 tokens, and the model reads 4"):
        score_continuations(model, [([3], [4, 5, 6, 7, 8])], longest=4)
    with pytest.raises(DataError, match="A prompt holds no token"):
        score_continuations(model, [([], [4])], longest=4)
