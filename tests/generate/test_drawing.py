"""Rows that are each chosen in their own way, against values worked by hand and against evaluation's own drawing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from tunewright.base.errors import InputError, TunewrightError
from tunewright.generate.drawing import Choosing, Chosen, RowState, draw_rows, tell
from tunewright.generate.sampling import Cuts, chances, draw, weights
from tunewright.recipe.sampling import Sampling

GREEDY = Choosing(temperature=0)


def packed(words: int, *tokens: int) -> torch.Tensor:
    """A mask that allows these tokens."""
    bits = np.zeros(-(-words // 32) * 32, dtype=np.uint8)
    bits[list(tokens)] = 1
    return torch.from_numpy(np.packbits(bits, bitorder="little").view(np.int32))


def choose(logits: list[float], row: RowState, mask: torch.Tensor | None = None) -> int:
    return draw_rows(torch.tensor([logits]), [row], [None], [mask])[0].token


def test_penalties_and_bias_by_hand() -> None:
    # Seen twice: 2.0 - 2 * 0.5 - 0.3 = 0.7, below 0.8; seen once it is 1.2 still.
    row = RowState(Choosing(temperature=0, frequency_penalty=0.5, presence_penalty=0.3), prompt=[0])
    assert [choose([2.0, 0.8], row) for _ in range(3)] == [0, 0, 1]
    # The prompt counts for repetition alone: 2.0 / 3 is below 0.8.
    assert choose([2.0, 0.8], RowState(Choosing(temperature=0, repetition_penalty=3), prompt=[0])) == 1
    assert choose([-0.2, -0.5], RowState(Choosing(temperature=0, repetition_penalty=3), prompt=[0])) == 1
    assert choose([2.0, 0.8], RowState(Choosing(temperature=0, logit_bias={1: 1.3}), prompt=[])) == 1
    # The strongest bias outweighs any logit, and a grammar outweighs a ban.
    assert choose([0.0, 900.0], RowState(Choosing(temperature=0, logit_bias={0: 100}), prompt=[])) == 0
    banned = Choosing(temperature=2, logit_bias={1: -100}, seed=1)
    assert choose([0.0, 900.0], RowState(banned, prompt=[])) == 0
    assert choose([0.0, 900.0], RowState(banned, prompt=[]), packed(2, 1)) == 1


@settings(deadline=None)  # transformers is imported in the first round
@given(
    logits=st.lists(st.floats(-9, 9, width=32), min_size=8, max_size=8),
    prompt=st.lists(st.integers(0, 7), min_size=1),
    penalty=st.floats(0.5, 2),
)
def test_repetition_is_penalised_as_in_transformers(logits: list[float], prompt: list[int], penalty: float) -> None:
    from transformers import RepetitionPenaltyLogitsProcessor

    scores = torch.tensor([logits])
    expected = RepetitionPenaltyLogitsProcessor(penalty)(torch.tensor([prompt]), scores.clone())
    row = RowState(Choosing(temperature=0, repetition_penalty=penalty), prompt)
    assert expected[0, draw_rows(scores, [row], [None], [None])[0].token] == expected.max()


def test_rows_are_chosen_each_in_its_own_way_beside_each_other() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(40, 320, generator=generator) * 3
    ways = [
        GREEDY,
        Choosing(seed=3),
        Choosing(temperature=0.7, top_p=0.8, seed=4),
        Choosing(top_k=5, min_p=0.05, seed=5, presence_penalty=1.0),
        Choosing(temperature=0, logit_bias={7: 100}),
    ]
    masks = [packed(320, *range(place, 320, 7)) if place % 3 == 0 else None for place in range(40)]
    top = [None if place % 4 else 3 for place in range(40)]

    def rows() -> list[RowState]:
        return [RowState(ways[place % 5], prompt=[place]) for place in range(40)]

    together = draw_rows(logits, rows(), top, masks)
    alone = [draw_rows(logits[[place]], [row], [top[place]], [masks[place]])[0] for place, row in enumerate(rows())]
    assert together == alone
    logp = logits.double().log_softmax(-1)
    for place, chosen in enumerate(together):
        # The model's own, whatever was done to what is drawn from.
        assert chosen.logprob == pytest.approx(float(logp[place, chosen.token]), abs=1e-5)
        best = logp[place].topk(3)
        assert [token for token, _ in chosen.top] == ([] if place % 4 else best.indices.tolist())
        assert [p for _, p in chosen.top] == pytest.approx([] if place % 4 else best.values.tolist(), abs=1e-5)
        assert place % 3 or (chosen.token - place) % 7 == 0
        assert place % 5 != 4 or masks[place] is not None or chosen.token == 7
    assert torch.equal(logits, torch.randn(40, 320, generator=torch.Generator().manual_seed(1)) * 3)


@pytest.mark.parametrize("rules", [{}, {"top_p": 0.9}, {"top_k": 4, "min_p": 0.1}])
def test_serving_draws_what_evaluation_draws(rules: dict[str, Any]) -> None:
    logits = torch.randn(30, 50, generator=torch.Generator().manual_seed(2)) * 2
    row = RowState(Choosing(temperature=1.3, seed=9, **rules), prompt=[4, 5], sample=1)
    found = [draw_rows(logits[[step]], [row], [None], [None])[0].token for step in range(30)]
    numbers = chances(9, [4, 5], 1)
    sampling = Sampling(temperature=1.3, **rules)
    assert found == draw(logits, sampling, [numbers.random() for _ in range(30)]).tolist()
    other = RowState(Choosing(temperature=1.3, **rules), prompt=[4, 5])  # without a seed
    assert found != [draw_rows(logits[[step]], [other], [None], [None])[0].token for step in range(30)]


def test_tokens_come_as_often_as_their_rules_say() -> None:
    shares = torch.tensor([0.4, 0.3, 0.2, 0.1])
    choosing = [Choosing(seed=seed, logit_bias={3: math.log(4)}, top_k=3) for seed in range(3000)]
    rows = [RowState(one, prompt=[1]) for one in choosing]
    found = draw_rows(shares.log().expand(3000, -1), rows, [None] * 3000, [None] * 3000)
    counts = np.bincount([one.token for one in found], minlength=4)
    # The bias makes 0.1 to 0.4; the third place takes 0.2 out.
    expected = np.array([0.4, 0.3, 0.0, 0.4]) / 1.1 * 3000
    assert counts[2] == 0
    assert chisquare(counts[[0, 1, 3]], expected[[0, 1, 3]]).pvalue > 0.01


def test_equally_probable_tokens_leave_in_the_order_of_the_vocabulary() -> None:
    left = weights(torch.zeros(2, 1000), [1.0, 1.0], Cuts([None, None], [0.5, 0.0], [0.0, 0.0]))
    assert left[0].nonzero()[:, 0].tolist() == list(range(500))
    assert left[1].nonzero()[:, 0].tolist() == [0]


def test_what_is_said_of_tokens_that_stand_fast() -> None:
    logits = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]).log()
    first, second = tell(logits, [1, 1], [2, None])
    assert first.logprob == pytest.approx(math.log(0.25))
    assert first.top[0] == (0, pytest.approx(math.log(0.5)))
    assert second == Chosen(1, pytest.approx(math.log(0.8)))


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": math.inf}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_k": 0}, "top_k"),
        ({"min_p": -1}, "min_p"),
        ({"frequency_penalty": 2.1}, "frequency_penalty"),
        ({"presence_penalty": -3}, "presence_penalty"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"logit_bias": {5: 101}}, r"logit_bias\[5\]"),
    ],
)
def test_values_out_of_range_are_refused(wrong: dict[str, Any], place: str) -> None:
    with pytest.raises(InputError, match=place):
        Choosing(**wrong)


def test_broken_numbers_and_unknown_tokens_are_refused() -> None:
    with pytest.raises(InputError, match="numbered from 0 to 4"):
        Choosing(logit_bias={5: 1}).check(5)
    Choosing(logit_bias={4: 1}).check(5)
    way = Choosing(seed=1, frequency_penalty=1)
    rows, untouched = [RowState(way, [3]), RowState(way, [4])], RowState(way, [3])
    for broken in (math.nan, math.inf):
        with pytest.raises(TunewrightError, match="not finite"):
            draw_rows(torch.tensor([[1.0, 0.9], [1.0, broken]]), rows, [None] * 2, [None] * 2)
    # Nothing was drawn for the row beside it.
    again = [draw_rows(torch.zeros(1, 9), [row], [None], [None])[0].token for row in (rows[0], untouched) * 5]
    assert again[::2] == again[1::2]
    with pytest.raises(TunewrightError, match="no token"):
        draw_rows(torch.zeros(1, 3), [RowState(GREEDY, [])], [None], [packed(3)])
