"""Perplexity, as a ratio of sums."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.metrics.contract import measure, value
from tunewright.base.errors import InputError
from tunewright.metrics import Answer


def _answer(nats: float | None, tokens: int | None, row: str = "r") -> Answer:
    return Answer(row, "x", "", nats=nats, tokens=tokens)


def test_a_uniform_model_over_v_tokens_has_perplexity_v() -> None:
    assert value("perplexity", [_answer(n * math.log(259), n) for n in (1, 4, 9)]) == pytest.approx(259)


def test_long_answers_weigh_by_their_length() -> None:
    found = measure("perplexity", [_answer(1.0, 1), _answer(3.0, 9)])["perplexity"]
    assert found.value == pytest.approx(math.exp(4 / 10))
    np.testing.assert_allclose(found.values, [math.exp(1), math.exp(1 / 3)])
    np.testing.assert_allclose(found.reduce(np.array([[0, 0], [1, 1]])), [math.exp(1), math.exp(1 / 3)])


def test_a_system_without_likelihoods_has_no_perplexity() -> None:
    assert measure("perplexity", [_answer(None, None)]) == {}


@pytest.mark.parametrize(
    "broken",
    [_answer(math.nan, 2, "bad"), _answer(math.inf, 2, "bad"), _answer(1.0, 0, "bad"), _answer(None, None, "bad")],
)
def test_a_likelihood_that_is_none_is_an_error_and_names_the_row(broken: Answer) -> None:
    with pytest.raises(InputError, match="bad"):
        measure("perplexity", [_answer(1.0, 2), broken])
