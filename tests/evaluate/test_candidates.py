"""Answers chosen among candidates: their tokens are those of training, and their scores the stock model's."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.evaluate.made import example, labelled
from tests.tiny import tiny_model, tiny_tokenizer
from tunewright.base.errors import InputError
from tunewright.base.events import Message as Told
from tunewright.data.example import Message
from tunewright.evaluate.candidates import answer_with_candidates, choose, score_candidates
from tunewright.forest.layout import adopt
from tunewright.models.chat import ChatFormat

LABELS = ["refund", "refund late", "delivery", "login"]


@pytest.fixture(scope="module")
def base() -> Any:
    return SimpleNamespace(chat=ChatFormat(tiny_tokenizer()))


@pytest.fixture(scope="module")
def model() -> Any:
    made = tiny_model(seed=2)
    adopt(made)
    return made


@pytest.fixture(scope="module")
def asked() -> list[list[Message]]:
    questions = [each.prompt for each in labelled(4, seed=1)]
    return [list(prompt) for prompt in questions]


@torch.no_grad()
def summed(base: Any, conversation: list[Message], answer: str, *, ends: bool = True) -> float:
    """Log-probability of an answer's bytes behind a prompt, one token a byte, by the stock model."""
    prompt = base.chat.prompt(conversation)
    tokens = base.chat.tokenizer(answer)["input_ids"] + ([base.chat.tokenizer.eos_token_id] if ends else [])
    logits = tiny_model(seed=2)(input_ids=torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1]
    return float(logits.double().log_softmax(-1).gather(1, torch.tensor(tokens)[:, None]).sum())


def test_scores_count_the_end_as_training_does(base: Any, model: Any, asked: Any) -> None:
    found = score_candidates(model, base, asked, LABELS)
    assert found.shape == (4, 4)
    expected = [[summed(base, conversation, label) for label in LABELS] for conversation in asked]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_scores_may_leave_the_end_out(base: Any, model: Any, asked: Any) -> None:
    found = score_candidates(model, base, asked[:1], LABELS, ends=False)
    np.testing.assert_allclose(found[0], [summed(base, asked[0], label, ends=False) for label in LABELS], rtol=1e-4)
    assert found[0, 0] > found[0, 1]  # what another one begins with is never less probable


def test_scores_are_divided_by_tokens_or_bytes(base: Any, model: Any, asked: Any) -> None:
    plain = score_candidates(model, base, asked, LABELS)
    by_token = score_candidates(model, base, asked, LABELS, normalised="tokens")
    by_byte = score_candidates(model, base, asked, LABELS, normalised="bytes")
    bytes_ = np.array([6, 11, 8, 5])
    np.testing.assert_allclose(by_byte, plain / bytes_)
    np.testing.assert_allclose(by_token, plain / (bytes_ + 1))  # a token a byte, and the end


def test_calibrated_scores_leave_out_what_is_said_anyway(base: Any, model: Any, asked: Any) -> None:
    found = score_candidates(model, base, asked[:2], LABELS, calibrated=True)
    for row, conversation in enumerate(asked[:2]):
        emptied = [*conversation[:-1], Message("user", "")]
        expected = [summed(base, conversation, label) - summed(base, emptied, label) for label in LABELS]
        np.testing.assert_allclose(found[row], expected, rtol=1e-3, atol=1e-3)


def test_choosing_is_scoring_all(base: Any, model: Any, asked: Any) -> None:
    scores = score_candidates(model, base, asked, LABELS)
    for row, choice in enumerate(choose(model, base, asked, LABELS)):
        assert choice.winner == int(scores[row].argmax())
        assert choice.logp == pytest.approx(scores[row].max(), rel=1e-4)


def test_answers_are_candidates_with_their_share(base: Any, model: Any) -> None:
    examples = labelled(6, seed=1)
    given = answer_with_candidates(model, base, examples, LABELS, system="base")
    scores = score_candidates(model, base, [list(each.prompt) for each in examples], LABELS)
    assert given.system == "base"
    for row, (answer, asked) in enumerate(zip(given.answers, examples, strict=True)):
        share = np.exp(scores[row] - scores[row].max())
        assert (answer.id, answer.reference) == (asked.id, asked.answer)
        assert answer.prediction == LABELS[int(scores[row].argmax())]
        assert answer.probability == pytest.approx(1.0 / share.sum(), abs=0.01)
        assert answer.nats == pytest.approx(-scores[row][LABELS.index(asked.answer)], rel=1e-4)
        assert answer.tokens == len(asked.answer) + 1
        assert answer.stopped


def test_a_label_that_is_no_candidate_is_scored_and_told(base: Any, model: Any) -> None:
    examples = [example(1, "Money back", "refund"), example(2, "Lost", "theft"), example(3, "Stolen", "theft")]
    heard: list[Any] = []
    given = answer_with_candidates(model, base, examples, LABELS, listener=heard.append)
    told = [event for event in heard if isinstance(event, Told)]
    assert [(each.level, "2 rows" in each.text, "theft" in each.text) for each in told] == [("warning", True, True)]
    assert given.answers[1].nats == pytest.approx(-summed(base, list(examples[1].prompt), "theft"), rel=1e-4)
    assert all(not math.isnan(answer.nats or 0.0) for answer in given.answers)


def test_shots_stand_in_front_of_each_question(base: Any, model: Any) -> None:
    shot = example("shot", "Locked out", "login")
    examples = [example(1, "Money back", "refund")]
    (answer,) = answer_with_candidates(model, base, examples, LABELS, shots=[shot]).answers
    system, question = examples[0].prompt
    turns = [system, Message("user", "Locked out"), Message("assistant", "login"), question]
    assert answer.nats == pytest.approx(-summed(base, turns, "refund"), rel=1e-4)


@pytest.mark.parametrize(
    ("candidates", "what"),
    [([], "no candidates"), (["a", " "], "empty"), (["a", "b", "a"], "more than once: a")],
)
def test_what_cannot_be_chosen_is_refused(base: Any, model: Any, asked: Any, candidates: Any, what: str) -> None:
    for act in (score_candidates, choose):
        with pytest.raises(InputError, match=what):
            act(model, base, asked, candidates)


def test_nothing_to_answer_is_refused(base: Any, model: Any) -> None:
    with pytest.raises(InputError, match="no examples"):
        answer_with_candidates(model, base, [], LABELS)


def test_the_mode_is_as_it_was(base: Any, asked: Any) -> None:
    model = tiny_model(seed=2).train()
    adopt(model)
    score_candidates(model, base, asked[:1], LABELS)
    assert model.training
