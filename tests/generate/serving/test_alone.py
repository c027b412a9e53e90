"""Models that share no prefixes, and encoder-decoders, behind the same engine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.forest.backends.test_unshared import both, mamba
from tests.generate.serving.test_engine import GREEDY, Letters, base_of, check_equal, greedy
from tests.models.methods.virtual import plain_logits
from tests.tiny_t5 import tiny_t5
from tunewright.base.errors import InputError, ModelError
from tunewright.forest.layout import adopt
from tunewright.generate import generate
from tunewright.generate.drawing import Choosing
from tunewright.generate.serving.blocking import Listening, answer, answer_each
from tunewright.generate.serving.engine import Engine
from tunewright.generate.serving.request import Request
from tunewright.models.text_format import ANSWER_START

PROMPTS = [[5, 9, 7], [5, 9, 7, 4, 8, 6], [30]]


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    return both(mamba)


def test_a_recurrent_model_answers_one_request_after_another(pair: tuple[Any, Any], tmp_path: Any) -> None:
    stock, ours = pair
    engine = Engine(base_of(ours))
    engine.start()
    expected = generate(ours, PROMPTS, max_new_tokens=8, stop_ids=())
    for found, plain in zip(answer_each(engine, [greedy(x, 8) for x in PROMPTS]), expected, strict=True):
        check_equal(found.answers[0], plain)
    several = answer(engine, Request((5, 9), 6, choosing=Choosing(seed=2), samples=3))
    assert [len(one.tokens) for one in several.answers] == [6, 6, 6]
    held = answer(engine, Request((5, 9), 6, choosing=GREEDY, constraint=Letters([70, 71], 3)))  # type: ignore[arg-type]
    assert [one.token in (70, 71) for one in held.answers[0].tokens] == [True] * 3
    scored = answer(engine, greedy(PROMPTS[1], 0, prompt_logprobs=2))
    logps = plain_logits(stock, PROMPTS[1]).detach().log_softmax(-1)
    wanted = [float(logps[place, token]) for place, token in enumerate(PROMPTS[1][1:])]
    assert scored.done.prompt is not None
    assert [x.logprob for x in scored.done.prompt] == pytest.approx(wanted, abs=1e-4)
    assert not engine.can_load(tmp_path)
    with pytest.raises(ModelError, match="no adapters"):
        engine.load("x", tmp_path)
    listening = Listening(1)
    engine.submit(greedy([5], 100_000), listening.hear).cancel()
    assert listening.result().answers[0].reason == "cancelled"
    assert engine.status().idle
    engine.stop()


def test_an_encoder_decoder_answers_its_sources() -> None:
    model = tiny_t5(seed=4)
    adopt(model)
    base = SimpleNamespace(model=model, tokenizer=None, chat=SimpleNamespace(decode=str), files=None)
    engine = Engine(base)  # type: ignore[arg-type]
    engine.start()
    prompts = [[*prompt, ANSWER_START] for prompt in PROMPTS]
    expected = generate(model, prompts, max_new_tokens=7, stop_ids=())
    for found, plain in zip(answer_each(engine, [greedy(x, 7) for x in prompts]), expected, strict=True):
        check_equal(found.answers[0], plain)
    with pytest.raises(InputError, match="where its answer begins"):
        engine.submit(greedy([5, 6], 4), print)
    with pytest.raises(InputError, match="outside of the vocabulary"):
        engine.submit(greedy([-5, ANSWER_START], 4), print)
    engine.stop()


def test_an_error_fails_its_request_alone(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(base_of(pair[1]))
    engine.start()
    begin = engine._desk._begin  # type: ignore[union-attr]

    def broken(job: Any) -> None:
        if 66 in job.request.prompt:
            raise torch.OutOfMemoryError("no room")
        begin(job)

    monkeypatch.setattr(engine._desk, "_begin", broken)
    with pytest.raises(torch.OutOfMemoryError, match="no room"):
        answer(engine, greedy([5, 66], 3))
    assert len(answer(engine, greedy([5, 6], 3)).answers[0].tokens) == 3
    engine.stop()
