"""Best-first search finds what scoring all candidates finds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny import tiny_model
from tunewright.base.errors import ModelError
from tunewright.forest import layout
from tunewright.generate.candidates import score_each
from tunewright.generate.choosing import choose_each

Rows = Sequence[Sequence[int]]

token = st.integers(3, 6)  # few of them: candidates begin with others
rows = st.lists(st.lists(token, min_size=1, max_size=5), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def model() -> Any:
    made = tiny_model()
    layout.adopt(made)
    return made


@settings(max_examples=15, deadline=None)
@given(rows, rows, st.data())
def test_the_winner_is_the_best_of_all(model: Any, prompts: Rows, candidates: Rows, data: st.DataObject) -> None:
    own = [candidates] * len(prompts)
    wanted = [data.draw(st.none() | st.integers(0, len(candidates) - 1)) for _ in prompts]
    share_error = data.draw(st.sampled_from([1.0, 0.05]))
    scored = score_each(model, prompts, own)
    chosen = choose_each(model, prompts, own, wanted=wanted, share_error=share_error)
    for logp, choice, want in zip((each.logp for each in scored), chosen, wanted, strict=True):
        assert choice.logp == pytest.approx(logp.max(), abs=1e-3)
        near = np.flatnonzero(logp >= logp.max() - 1e-3)  # rounding decides among these
        assert choice.winner in near
        assert list(candidates).index(candidates[choice.winner]) == choice.winner  # of equal ones the first
        share = 1.0 / np.exp(logp - logp.max()).sum()
        assert choice.share_low - 1e-3 <= share <= choice.share_high + 1e-3
        if share_error < 1.0:
            assert choice.share_high - choice.share_low <= share_error
        if want is None:
            assert math.isnan(choice.wanted_logp)
        else:
            assert choice.wanted_logp == pytest.approx(logp[want], abs=1e-3)


def test_questions_leave_as_they_are_done(model: Any) -> None:
    # Long candidates behind some questions, one token behind the others.
    prompts = [[3, 4, place] for place in range(3, 12)]
    long = [[first, second, 9, 9, 9, 7] for first in range(3, 9) for second in range(3, 9)]
    own = [long if place % 4 == 0 else [[5], [6]] for place in range(len(prompts))]
    for scored, choice in zip(score_each(model, prompts, own), choose_each(model, prompts, own), strict=True):
        assert choice.winner == int(np.argmax(scored.logp))
        assert choice.logp == pytest.approx(scored.logp.max(), abs=1e-3)


def test_what_cannot_win_is_not_read() -> None:
    """A model that says 4 behind every token: of all candidates only the line of fours is followed."""
    model = tiny_model()
    layout.adopt(model)
    model.lm_head = _Certain(4)
    candidates = [[4, 4, 4, 4], *([first, *[9] * 6] for first in range(5, 60))]
    (choice,) = choose_each(model, [[3]], [candidates])
    assert choice.winner == 0
    assert choice.share_low > 0.99
    # 55 others wait, each 30 nats below; one question alone leaves room in each of its three rounds for 32 nodes.
    assert choice.read <= 3 * 32
    many = choose_each(model, [[3, 9, place] for place in range(3, 67)], [candidates] * 64)
    assert {choice.read for choice in many} == {3}


class _Certain(torch.nn.Module):
    """A head that gives one token 30 nats more than the others."""

    def __init__(self, token: int) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(torch.nn.functional.one_hot(torch.tensor(token), 259) * 30.0)
        self.weight = self.logits

    def forward(self, hidden_MD: torch.Tensor) -> torch.Tensor:
        return self.logits.repeat(*hidden_MD.shape[:-1], 1)


def test_models_that_share_nothing_choose_among_all() -> None:
    model = tiny_model()
    layout.adopt(model, "unshared")
    own = [[[4], [4, 5], [7, 8]]] * 2
    prompts = [[3, 4, 5], [3, 4]]
    scored = score_each(model, prompts, own)
    for each, choice in zip(scored, choose_each(model, prompts, own, wanted=[1, None]), strict=True):
        assert choice.winner == int(np.argmax(each.logp))
        assert choice.share_low == choice.share_high
    assert choose_each(model, prompts, own, wanted=[1, 1])[0].wanted_logp == pytest.approx(scored[0].logp[1])


def test_a_model_that_has_diverged_is_an_error_and_no_choice() -> None:
    model = tiny_model()
    layout.adopt(model)
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="not numbers"):
        choose_each(model, [[3]], [[[4], [5]]])


def test_progress_is_told(model: Any) -> None:
    heard: list[Any] = []
    choose_each(model, [[3], [4]], [[[5]]] * 2, listener=heard.append)
    assert [(event.name, event.done, event.total) for event in heard] == [("choose", 2, 2)]
