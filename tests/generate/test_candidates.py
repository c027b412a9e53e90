"""Candidates behind questions, against the same candidates one row at a time through the stock model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny import tiny_model
from tests.tiny_t5 import tiny_t5
from tunewright.base.errors import DataError, ModelError
from tunewright.forest import layout
from tunewright.forest.seq2seq import is_encoder_decoder
from tunewright.generate.candidates import score_each
from tunewright.models.text_format import ANSWER_START

Rows = Sequence[Sequence[int]]


@pytest.fixture(scope="module")
def model() -> Any:
    made = tiny_model()
    layout.adopt(made)
    return made


@torch.no_grad()
def one_by_one(stock: Any, prompts: Rows, candidates: Sequence[Rows]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each question's candidates, a forward pass of the stock model each: log-probability, and whether greedy."""
    found = []
    for prompt, own in zip(prompts, candidates, strict=True):
        logps, greedy = [], []
        for answer in own:
            logp_TV = stock(input_ids=torch.tensor([[*prompt, *answer]])).logits[0].double().log_softmax(-1)
            logp_TV = logp_TV[len(prompt) - 1 : -1]
            logps.append(float(logp_TV.gather(1, torch.tensor(answer)[:, None]).sum()))
            greedy.append(logp_TV.argmax(-1).tolist() == list(answer))
        found.append((np.array(logps), np.array(greedy)))
    return found


token = st.integers(3, 6)  # few of them, so that much is shared
rows = st.lists(st.lists(token, min_size=1, max_size=5), min_size=1, max_size=6)


@settings(max_examples=15, deadline=None)
@given(rows, rows, st.lists(token, max_size=3), st.sampled_from([4, 9, 2048]))
def test_scores_are_those_of_single_rows(
    model: Any, prompts: Rows, candidates: Rows, start: list[int], node_budget: int
) -> None:
    asked = [[*start, *prompt] for prompt in prompts]
    own = [candidates] * len(asked)
    expected = one_by_one(tiny_model(), asked, own)
    for found, (logp, greedy) in zip(
        score_each(model, asked, own, greedy=True, node_budget=node_budget), expected, strict=True
    ):
        np.testing.assert_allclose(found.logp, logp, atol=1e-3, rtol=1e-5)
        assert found.greedy is not None
        assert found.greedy.tolist() == greedy.tolist()


def test_questions_may_have_candidates_of_their_own(model: Any) -> None:
    prompts = [[3, 4, 5], [3, 4], [7, 7, 7, 7, 3]]
    candidates = [[[4], [4, 5, 6, 7]], [[9, 8, 7], [9, 8], [5]], [[3] * 40]]
    expected = one_by_one(tiny_model(), prompts, candidates)
    for found, (logp, _) in zip(score_each(model, prompts, candidates), expected, strict=True):
        np.testing.assert_allclose(found.logp, logp, atol=1e-3, rtol=1e-5)
        assert found.greedy is None


def test_short_windows_are_kept() -> None:
    changes: dict[str, Any] = {"sliding_window": 4}
    model, stock = (_mistral(**changes) for _ in range(2))
    assert layout.adopt(model).backend == "segments"
    prompts = [[3, 4, 5, 6, 7, 8], [3, 4, 5, 9, 9]]
    own = [[[5, 6, 7, 8], [5, 6, 9], [4]]] * 2
    expected = one_by_one(stock, prompts, own)
    for found, (logp, _) in zip(score_each(model, prompts, own), expected, strict=True):
        np.testing.assert_allclose(found.logp, logp, atol=1e-3, rtol=1e-5)


def _mistral(**changes: Any) -> Any:
    from transformers import MistralConfig, MistralForCausalLM

    settings = {"vocab_size": 259, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MistralForCausalLM(MistralConfig(**settings, **heads, **changes)).eval()


def test_virtual_tokens_stand_in_front_of_every_question() -> None:
    from peft import PromptTuningConfig, get_peft_model

    with torch.random.fork_rng():
        torch.manual_seed(1)
        tuned = get_peft_model(tiny_model(), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)).eval()
    given_BPD = tuned.get_prompt(batch_size=1)
    layout.adopt(tuned)
    stock, own = tiny_model(), [[4, 5], [4, 6, 7]]
    for prompts in ([[3, 4, 5], [3, 4, 6]], [[3, 4], [5]]):  # with a common beginning, and without
        for prompt, found in zip(prompts, score_each(tuned, prompts, [own] * 2), strict=True):
            for answer, logp in zip(own, found.logp.tolist(), strict=True):
                embedded = stock.get_input_embeddings()(torch.tensor([[*prompt, *answer]]))
                with torch.no_grad():
                    rows = stock(inputs_embeds=torch.cat([given_BPD, embedded], dim=1)).logits[0].log_softmax(-1)
                expected = rows[3 + len(prompt) - 1 : -1].gather(1, torch.tensor(answer)[:, None]).sum()
                assert logp == pytest.approx(float(expected), abs=1e-3)


def test_models_that_share_nothing_are_scored_row_by_row() -> None:
    model = tiny_model()
    assert layout.adopt(model, "unshared").backend == "unshared"
    prompts, own = [[3, 4, 5], [3, 4]], [[[4], [4, 5]]] * 2
    expected = one_by_one(tiny_model(), prompts, own)
    for found, (logp, greedy) in zip(score_each(model, prompts, own, greedy=True), expected, strict=True):
        np.testing.assert_allclose(found.logp, logp, atol=1e-3)
        assert found.greedy is not None
        assert found.greedy.tolist() == greedy.tolist()


def test_long_candidates_are_read_as_rows(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.generate.candidates._WIDEST", 3)
    monkeypatch.setattr("tunewright.generate.candidates._TOKENS", 4)  # and questions one or two at a time
    prompts = [[3, 4, 5], [3, 4, 6], [3, 5, 5, 5], [3, 9]]
    candidates = [[[4, 5, 6, 7, 8], [4]], [[4, 5], [6]], [[4, 5], [6]], [[9, 8, 7, 6, 5, 4]]]
    expected = one_by_one(tiny_model(), prompts, candidates)
    for found, (logp, greedy) in zip(score_each(model, prompts, candidates, greedy=True), expected, strict=True):
        np.testing.assert_allclose(found.logp, logp, atol=1e-3, rtol=1e-5)
        assert found.greedy is not None
        assert found.greedy.tolist() == greedy.tolist()


def test_encoder_decoders_are_scored_behind_their_sources() -> None:
    model = tiny_t5()
    layout.adopt(model)
    assert is_encoder_decoder(model)
    answers = [[5, 6], [5, 7, 8]]
    (found,) = score_each(model, [[3, 4, ANSWER_START]], [answers])
    for answer, logp in zip(answers, found.logp.tolist(), strict=True):
        with torch.no_grad():
            loss = model(input_ids=torch.tensor([[3, 4]]), labels=torch.tensor([answer])).loss
        assert logp == pytest.approx(-float(loss) * len(answer), abs=1e-3)


def test_progress_is_told(model: Any) -> None:
    heard: list[Any] = []
    score_each(model, [[3], [4]], [[[5]]] * 2, listener=heard.append)
    assert [(event.name, event.done, event.total) for event in heard] == [("score", 2, 2)]


@pytest.mark.parametrize(
    ("prompts", "candidates", "what"),
    [
        ([[3]], [[[4]], [[5]]], "There are 1 prompts, and candidates for 2"),
        ([[3], []], [[[4]], [[5]]], "A prompt holds no token"),
        ([[3]], [[[4], []]], "A candidate holds no token"),
        ([[3]], [[]], "no candidates"),
    ],
)
def test_what_cannot_be_scored_is_refused(model: Any, prompts: Any, candidates: Any, what: str) -> None:
    with pytest.raises(DataError, match=what):
        score_each(model, prompts, candidates)


def test_a_model_that_has_diverged_is_an_error_and_no_score() -> None:
    model = tiny_model()
    layout.adopt(model)
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="not numbers"):
        score_each(model, [[3]], [[[4]]])


def test_nothing_to_score_is_nothing(model: Any) -> None:
    assert score_each(model, [], []) == []
