"""What is drawn, against distributions worked by hand and transformers' own rules."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.forest.backends.test_unshared import mamba
from tests.tiny import tiny_model
from tests.tiny_t5 import tiny_t5
from tunewright.base.errors import DataError, InputError
from tunewright.forest import Path, score_paths
from tunewright.forest.layout import adopt
from tunewright.generate import Sampling, generate
from tunewright.generate.family import Family
from tunewright.generate.sampling import Cuts, draw, likeliest, weights
from tunewright.models.text_format import ANSWER_START

SHARES = [0.5, 0.3, 0.15, 0.05]
LOGITS = torch.tensor([SHARES], dtype=torch.float64).log()


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ({}, [0, 1, 2, 3]),
        ({"top_k": 2}, [0, 1]),
        ({"top_k": 9}, [0, 1, 2, 3]),
        ({"top_p": 0.75}, [0, 1]),  # 0.5 is not enough, 0.8 is
        ({"top_p": 0.49}, [0]),
        ({"top_p": 0.01}, [0]),  # the most probable one always stays
        ({"min_p": 0.2}, [0, 1, 2]),  # at least 0.2 * 0.5
        ({"min_p": 1.0}, [0]),
        # Of the three that are left the first two have 0.8 / 0.95 = 0.842.
        ({"top_k": 3, "top_p": 0.8}, [0, 1]),
        ({"top_k": 3, "top_p": 0.85}, [0, 1, 2]),
        ({"top_p": 0.9, "min_p": 0.5}, [0, 1]),
    ],
)
def test_which_tokens_may_be_drawn(rules: dict[str, Any], kept: list[int]) -> None:
    found = weights(LOGITS, [1.0], Cuts.alike(Sampling(temperature=1, **rules), 1))[0]
    assert found.nonzero()[:, 0].tolist() == kept
    assert found[kept].tolist() == pytest.approx([SHARES[token] / SHARES[0] for token in kept])


@settings(max_examples=60, deadline=None)
@given(
    logits=st.lists(st.integers(-40, 40), min_size=2, max_size=12, unique=True),
    top_k=st.integers(1, 12),
    top_p=st.floats(0.05, 0.99),
    min_p=st.floats(0.01, 0.9),
)
def test_the_rules_are_those_of_transformers(logits: list[int], top_k: int, top_p: float, min_p: float) -> None:
    from transformers import MinPLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    scores = torch.tensor([logits], dtype=torch.float64) / 7
    expected = scores
    for rule in (TopKLogitsWarper(top_k), TopPLogitsWarper(top_p), MinPLogitsWarper(min_p)):
        expected = rule(None, expected)
    cuts = Cuts.alike(Sampling(temperature=1, top_k=top_k, top_p=top_p, min_p=min_p), 1)
    assert torch.equal(weights(scores, [1.0], cuts) > 0, expected.isfinite())


def test_a_number_falls_into_its_tokens_share() -> None:
    chances = [0.0, 0.49, 0.51, 0.79, 0.81, 0.94, 0.96, 1 - 2**-53]
    found = draw(LOGITS.expand(len(chances), -1), Sampling(temperature=1), chances)
    assert found.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    even = (np.arange(1000) + 0.5) / 1000
    for temperature in (0.5, 2.0):
        powers = np.array(SHARES) ** (1 / temperature)
        drawn = draw(LOGITS.expand(1000, -1), Sampling(temperature=temperature, top_k=3), even.tolist())
        counts = np.bincount(drawn.numpy(), minlength=4)
        assert counts == pytest.approx([*(1000 * powers[:3] / powers[:3].sum()), 0], abs=1)


@pytest.mark.parametrize("words", [7, 64, 259, 1024])
def test_the_likeliest_token_is_the_first_of_the_largest(words: int) -> None:
    logits = torch.randint(0, 40, (30, words), generator=torch.Generator().manual_seed(words)).float()
    largest = logits.max(-1).values
    expected = [row.tolist().index(top) for row, top in zip(logits, largest.tolist(), strict=True)]
    assert likeliest(logits).tolist() == expected


def test_settings_that_do_not_fit_are_refused() -> None:
    for wrong in ({"temperature": -1}, {"top_k": 5}, {"temperature": 1, "top_p": 0}, {"temperature": 1, "min_p": 2}):
        with pytest.raises(ValidationError):
            Sampling(**wrong)


def forest_model() -> Any:
    model = tiny_model(seed=4)
    adopt(model)
    return model


def unshared_model() -> Any:
    model = copy.deepcopy(mamba())
    adopt(model)
    return model


def encoder_decoder() -> Any:
    model = tiny_t5(seed=4)
    adopt(model)
    return model


WAYS = [forest_model, unshared_model, encoder_decoder]
DRAWN = Sampling(temperature=1.5, top_p=0.95, seed=3)


def prompts_for(make: Callable[[], Any]) -> list[list[int]]:
    end = [ANSWER_START] if make is encoder_decoder else []
    return [[5, 9, *range(4, 4 + n), *end] for n in (1, 4, 2, 7, 3, 3)]


@pytest.mark.parametrize("make", WAYS)
def test_a_row_draws_the_same_in_any_company(make: Callable[[], Any]) -> None:
    model, prompts = make(), prompts_for(make)
    found = generate(model, prompts, max_new_tokens=9, stop_ids={7}, sampling=DRAWN, samples=3)
    alone = [
        generate(model, [prompt], max_new_tokens=9, stop_ids={7}, sampling=DRAWN, samples=3, batch_size=1)[0]
        for prompt in prompts
    ]
    turned = generate(model, prompts[::-1], max_new_tokens=9, stop_ids={7}, sampling=DRAWN, samples=3, batch_size=5)
    for one, two, three in zip(found, alone, turned[::-1], strict=True):
        answers = [one.tokens, *(other.tokens for other in one.further)]
        assert len(answers) == 3
        assert answers == [two.tokens, *(other.tokens for other in two.further)]
        assert answers == [three.tokens, *(other.tokens for other in three.further)]
        assert all(len(answer) <= 9 and 7 not in answer for answer in answers)
        assert one.logprobs == pytest.approx(two.logprobs, abs=1e-4)
    assert found[4].tokens == found[5].tokens  # equal prompts
    assert len({tuple(x.tokens) for one in found[:5] for x in (one, *one.further)}) > 10
    other = generate(model, prompts, max_new_tokens=9, stop_ids={7}, sampling=Sampling(temperature=1.5, seed=4))
    assert [one.tokens for one in other] != [one.tokens for one in found]


@pytest.mark.parametrize("make", WAYS)
def test_temperature_zero_is_greedy(make: Callable[[], Any]) -> None:
    model, prompts = make(), prompts_for(make)
    plain = generate(model, prompts, max_new_tokens=5, stop_ids=())
    found = generate(model, prompts, max_new_tokens=5, stop_ids=(), sampling=Sampling(temperature=0, seed=9))
    assert [one.tokens for one in found] == [one.tokens for one in plain]
    # So is whatever leaves one token only.
    one_left = generate(model, prompts, max_new_tokens=5, stop_ids=(), sampling=Sampling(temperature=3, top_k=1))
    assert [one.tokens for one in one_left] == [one.tokens for one in plain]


def test_first_tokens_come_as_often_as_softmax_says() -> None:
    model = forest_model()
    prompt, n = [5, 9, 4], 2000
    sampling = Sampling(temperature=2.0, top_k=6, seed=1)
    found = generate(model, [prompt], max_new_tokens=1, stop_ids=(), sampling=sampling, samples=n, batch_size=64)[0]
    stock = tiny_model(seed=4)
    with torch.no_grad():
        logits = stock(torch.tensor([prompt])).logits[0, -1].double()
    best = logits.topk(6)
    expected = dict(zip(best.indices.tolist(), (best.values / 2.0).softmax(-1).tolist(), strict=True))
    drawn = [one.tokens[0] for one in (found, *found.further)]
    assert set(drawn) <= set(expected)
    for token, share in expected.items():
        assert drawn.count(token) / n == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / n))
    # The log-probability is the model's own, before temperature and cut.
    logp = logits.log_softmax(-1)
    assert found.logprobs == pytest.approx([float(logp[found.tokens[0]])], abs=1e-4)


def test_several_answers_read_the_prompt_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = forest_model()
    prompts = prompts_for(forest_model)
    read: list[int] = []
    layout = Family._layout
    monkeypatch.setattr(
        Family, "_layout", lambda family, forest, known: read.append(forest.nodes) or layout(family, forest, known)
    )
    references = [[3, 5]] * len(prompts)
    found = generate(
        model, prompts, max_new_tokens=4, stop_ids=(), sampling=DRAWN, samples=4, batch_size=8, references=references
    )
    # Two rows at a time; of a row what it has alone, and its reference but the last token.
    assert read == [6, 4, 9]
    paths = []
    for row, (prompt, answer) in enumerate(zip(prompts, found, strict=True)):
        for tokens in ([3, 5], answer.tokens, *(one.tokens for one in answer.further)):
            weights = np.array([0.0] * len(prompt) + [1.0] * len(tokens), dtype=np.float32)
            paths.append(Path(np.array([*prompt, *tokens], dtype=np.int32), weights, row, len(paths)))
    logps = [x for one in found for x in (one.reference_logprob, one.logprob, *(y.logprob for y in one.further))]
    assert logps == pytest.approx(score_paths(model, paths), abs=1e-4)


def as_text(tokens: Any) -> str:
    """Three digits a token."""
    return "".join(f"{token:03d}" for token in tokens)


@pytest.mark.parametrize("make", WAYS)
def test_a_stop_text_ends_an_answer_wherever_tokens_are_cut(make: Callable[[], Any]) -> None:
    model, prompts = make(), prompts_for(make)
    free = generate(model, prompts, max_new_tokens=8, stop_ids=(), sampling=DRAWN)
    whole = as_text(free[1].tokens)
    stop = whole[10:14]  # the end of the fourth token and the beginning of the fifth
    at = whole.find(stop)
    found = generate(
        model, prompts, max_new_tokens=8, stop_ids=(), sampling=DRAWN, stop_texts=["no such", stop], decode=as_text
    )
    assert (found[1].stopped, found[1].text) == (True, whole[:at])
    assert found[1].tokens == free[1].tokens[: -(-(at + 4) // 3)]
    assert len(found[1].logprobs) == len(found[1].tokens)
    for one, other in zip(found, free, strict=True):
        assert one.stopped == (stop in as_text(other.tokens))
        assert one.tokens == other.tokens[: len(one.tokens)]
        assert (one.text is None) == (not one.stopped)


def test_what_does_not_go_together_is_refused() -> None:
    model = forest_model()
    for wrong, said in (
        ({"samples": 2}, "all the same"),
        ({"samples": 0}, "0 answers"),
        ({"max_new_tokens": 0}, "at most 0 tokens"),
        ({"stop_texts": ["x"]}, "decode"),
        ({"stop_texts": [""], "decode": as_text}, "letters"),
    ):
        with pytest.raises((DataError, InputError), match=said):
            generate(model, [[5]], **({"max_new_tokens": 3, "stop_ids": ()} | wrong))
