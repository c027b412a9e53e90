"""A model answers examples: what it is asked, what comes back, and how likely it finds the reference."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.evaluate.made import example, labelled, recorded
from tests.tiny import tiny_model, tiny_tokenizer
from tunewright.base.errors import InputError
from tunewright.base.events import Event, Stage
from tunewright.data.example import Example, Message
from tunewright.evaluate.answer import Answers, answer_examples, choose_shots
from tunewright.evaluate.evaluate import evaluate
from tunewright.forest.layout import adopt
from tunewright.generate import Generation
from tunewright.models.chat import ChatFormat

SHOT = example("shot", "Locked out", "login")
QUESTIONS = [
    example(1, "Money back", "refund"),
    example(2, "Money, please", "refund"),
    Example(
        "row3",
        (
            Message("user", "Hi"),
            Message("assistant", "Hello", 1),
            Message("user", "Parcel?"),
            Message("assistant", "é", 0),
        ),
        {},
        "made.jsonl",
        3,
    ),
]


@pytest.fixture(scope="module")
def base() -> Any:
    return SimpleNamespace(chat=ChatFormat(tiny_tokenizer()))


@pytest.fixture(scope="module")
def stock() -> Any:
    return tiny_model(seed=2)


@pytest.fixture
def model(stock: Any) -> Any:
    ours = copy.deepcopy(stock)
    adopt(ours)
    return ours


def ask(model: Any, base: Any, **changes: Any) -> Answers:
    settings = {"max_new_tokens": 6, "batch_size": 2} | changes
    return answer_examples(model, base, QUESTIONS, **settings)


def plain_nats(stock: Any, base: Any, text: str, answer: str) -> float:
    """Negative log-likelihood of an answer and its end token, one row at a time, with transformers' own attention."""
    prompt = base.chat._tokenizer(text, add_special_tokens=False)["input_ids"]
    ending = base.chat._tokenizer(f"{answer}<|im_end|>", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logp = stock(torch.tensor([prompt + ending])).logits[0].double().log_softmax(-1)
    return -sum(float(logp[len(prompt) + t - 1, token]) for t, token in enumerate(ending))


def turn(role: str, content: str) -> str:
    return f"<|im_start|>{role}\n{content}<|im_end|>\n"


SYSTEM, SHOWN, OPEN = (
    turn("system", "Sort the message."),
    turn("user", "Locked out") + turn("assistant", "login"),
    "<|im_start|>assistant\n",
)
TALK = turn("user", "Hi") + turn("assistant", "Hello") + turn("user", "Parcel?")


@pytest.mark.parametrize(
    ("shots", "texts"),
    [
        ([], [SYSTEM + turn("user", "Money back"), SYSTEM + turn("user", "Money, please"), TALK]),
        # The shots stand between the system message and the question; their own system message is not repeated.
        (
            [SHOT],
            [SYSTEM + SHOWN + turn("user", "Money back"), SYSTEM + SHOWN + turn("user", "Money, please"), SHOWN + TALK],
        ),
    ],
)
def test_answers_and_likelihoods_equal_the_plain_computation(
    model: Any, stock: Any, base: Any, shots: list[Example], texts: list[str]
) -> None:
    found = ask(model, base, shots=shots, system="base")
    assert (found.system, [answer.id for answer in found.answers]) == ("base", ["row1", "row2", "row3"])
    for answer, text, reference in zip(found.answers, texts, ["refund", "refund", "é"], strict=True):
        assert answer.reference == reference
        # Of a conversation with several answers the last one alone is scored, whatever its weight in training.
        assert answer.nats == pytest.approx(plain_nats(stock, base, text + OPEN, reference), rel=1e-5)
        assert answer.tokens == len(reference.encode()) + 1  # a token a byte, and the end token
        prompt = torch.tensor([base.chat._tokenizer(text + OPEN, add_special_tokens=False)["input_ids"]])
        out = stock.generate(input_ids=prompt, max_new_tokens=6, do_sample=False, eos_token_id=2, pad_token_id=2)
        expected = out[0, prompt.shape[1] :].tolist()
        assert answer.prediction == base.chat._tokenizer.decode(expected, skip_special_tokens=True)
        assert answer.stopped == (2 in expected)


def test_cut_answers_and_tokens_are_counted(model: Any, base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [
        Generation(tokens, stopped, [], reference_logprobs=[-1.0], seconds=0.5 + len(tokens))
        for tokens, stopped in (([70, 71], True), ([], True), ([70] * 6, False))
    ]
    monkeypatch.setattr("tunewright.generate.generate", lambda *args, **kwargs: said)
    found = ask(model, base)
    assert (found.cut, found.tokens) == (1, 8)
    assert [answer.stopped for answer in found.answers] == [True, True, False]
    assert found.answers[1].prediction == ""
    assert [answer.written for answer in found.answers] == [2, 0, 6]
    assert [answer.seconds for answer in found.answers] == [2.5, 0.5, 6.5]
    assert found.seconds >= 0


def test_dropout_is_off_while_answering_and_back_on_after(base: Any) -> None:
    model = tiny_model(seed=2, attention_dropout=0.5)
    adopt(model)
    still = ask(model, base)
    model.train()
    again = ask(model, base)
    assert [replace(answer, seconds=None) for answer in again.answers] == [
        replace(answer, seconds=None) for answer in still.answers
    ]
    # Each takes a part of the whole time.
    assert all(0 < (answer.seconds or 0) <= again.seconds for answer in again.answers)
    assert model.training
    with pytest.raises(InputError):
        answer_examples(model, base, [], max_new_tokens=4, batch_size=2)


def test_it_tells_how_far_it_is(model: Any, base: Any) -> None:
    heard: list[Event] = []
    ask(model, base, listener=heard.append)
    ends = [event for event in heard if isinstance(event, Stage) and event.done == event.total]
    assert [(event.name, event.total) for event in ends] == [("generate", 3)]


def test_answers_can_be_evaluated(model: Any, base: Any) -> None:
    tuned = ask(model, base)
    found = evaluate({"base": tuned, "tuned": tuned}, answer_kind="label", seed=0, samples=100).as_json()
    assert found["tuned"]["accuracy"]["value"] == 0
    nats, tokens = (
        sum(answer.nats or 0 for answer in tuned.answers),
        sum(answer.tokens or 0 for answer in tuned.answers),
    )
    assert found["tuned"]["perplexity"]["value"] == pytest.approx(np.exp(nats / tokens))
    json.dumps(found, allow_nan=False)


def test_shots_show_different_labels_from_the_shorter_half() -> None:
    train = [example(row, "x" * 10, "refund") for row in range(20)]
    train += [example("short", "x" * 5, "login"), example("long", "x" * 500, "delivery")]
    chosen = choose_shots(train, 2, seed=1)
    assert {shot.answer for shot in chosen} == {"refund", "login"}
    assert all(len(shot.messages[1].content) < 500 for shot in choose_shots(train, 5, seed=1))
    assert {shot.answer for shot in choose_shots(labelled(40, seed=1), 3, seed=9)} == {"refund", "delivery", "login"}


def test_shots_of_records_show_different_values() -> None:
    for seed in range(5):
        chosen = [json.loads(shot.answer) for shot in choose_shots(recorded(60, seed=3), 3, seed)]
        assert len({record["intent"] for record in chosen}) >= 2
        assert {record["urgent"] for record in chosen} == {True, None}


def test_shots_follow_the_seed() -> None:
    train = labelled(60, seed=4)
    assert choose_shots(train, 3, seed=1) == choose_shots(train, 3, seed=1)
    assert len({tuple(shot.id for shot in choose_shots(train, 3, seed)) for seed in range(6)}) > 1


def test_shots_are_distinct_and_cannot_outnumber_the_training_rows() -> None:
    train = labelled(4, seed=1)
    random.Random(0).shuffle(train)
    assert {shot.id for shot in choose_shots(train, 4, seed=0)} == {one.id for one in train}
    with pytest.raises(InputError, match=r"5 worked examples .* 4 training examples"):
        choose_shots(train, 5, seed=0)
