"""Adapters side by side in an engine, grammars, and virtual tokens: against each alone."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.generate.serving.test_engine import (
    GREEDY,
    SMALL,
    base_of,
    check_equal,
    greedy,
    hold_still,
    running,
    some_prompts,
)
from tests.generate.test_bank import FILES, made
from tests.models.methods.virtual import CONFIGS, both
from tests.models.methods.virtual import greedy as plain_greedy
from tests.tiny import tiny_model, tiny_tokenizer
from tunewright.base.errors import BusyError, UnknownNameError
from tunewright.forest.layout import adopt
from tunewright.generate import generate
from tunewright.generate.constraint import Constraint, alphabet_of, json_schema
from tunewright.generate.drawing import Choosing
from tunewright.generate.serving.blocking import Listening, answer, answer_each
from tunewright.generate.serving.engine import Engine
from tunewright.generate.serving.request import EngineSettings, Request
from tunewright.models.adapters import load_adapter
from tunewright.models.base import Base
from tunewright.models.chat import ChatFormat

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"capital_of_the_country": {"type": "boolean"}, "inhabitants": {"type": "boolean"}},
    "required": ["capital_of_the_country", "inhabitants"],
    "additionalProperties": False,
}


def fresh() -> Base:
    tokenizer = tiny_tokenizer()
    return Base(tiny_model().requires_grad_(False), tokenizer, ChatFormat(tokenizer), FILES)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("adapters")
    kinds: dict[str, Any] = {
        "one": ("lora", {"rank": 4}),
        "two": ("lora", {"rank": 2, "targets": ("lm_head", "v_proj")}),
    }
    return {key: made(root / key, *kind, seed=seed) for seed, (key, kind) in enumerate(kinds.items())}


def test_rows_of_several_adapters_answer_as_each_alone(folders: dict[str, Path]) -> None:
    prompts, keys = some_prompts(1, 3), ["", "one", "two"]
    expected = {}
    for key in keys:
        model = load_adapter(fresh(), folders[key]) if key else fresh().model
        adopt(model)
        expected[key] = generate(model, prompts, max_new_tokens=8, stop_ids=())
    for engine in running(fresh(), SMALL):
        for key, folder in folders.items():
            assert engine.can_load(folder)
            engine.load(key, folder)
        asked = [(key, place) for place in range(len(prompts)) for key in keys]
        requests = [greedy(prompts[place], 8, adapter=key) for key, place in asked]
        for _ in range(2):
            for (key, place), found in zip(asked, answer_each(engine, requests), strict=True):
                check_equal(found.answers[0], expected[key][place])
        scored = answer(
            engine, greedy([*prompts[0], *expected["two"][0].tokens[:3]], 0, adapter="two", prompt_logprobs=0)
        )
        assert scored.done.prompt is not None
        assert [x.logprob for x in scored.done.prompt[-3:]] == pytest.approx(expected["two"][0].logprobs[:3], abs=1e-4)
        assert engine.status().adapters == ("one", "two")
        assert engine.bytes_of("one") > 0


def test_an_adapter_in_use_is_not_dropped_and_its_prefixes_go_with_it(folders: dict[str, Path]) -> None:
    for engine in running(fresh(), SMALL):
        engine.load("x", folders["one"])
        first = answer(engine, greedy([5, 6, 7] * 10, 8, adapter="x"))
        waits, goes_on = hold_still(engine)
        listening = Listening(1)
        engine.submit(greedy([5, 6], 3, adapter="x"), listening.hear)
        assert waits.wait(30)
        with pytest.raises(BusyError, match="answers 1 requests"):
            engine.drop("x")
        goes_on.set()
        listening.result()
        while True:  # the last word is said a moment before the request is over
            try:
                engine.drop("x")
                break
            except BusyError:
                threading.Event().wait(0.01)
        with pytest.raises(UnknownNameError):
            engine.submit(greedy([5, 6], 3, adapter="x"), print)
        engine.load("x", folders["two"])  # another one of that name
        found = answer(engine, greedy([5, 6, 7] * 10, 8, adapter="x"))
        assert found.done.cached_tokens == 0
        model = load_adapter(fresh(), folders["two"])
        adopt(model)
        check_equal(found.answers[0], generate(model, [[5, 6, 7] * 10], max_new_tokens=8, stop_ids=())[0])
        assert [x.token for x in first.answers[0].tokens] != [x.token for x in found.answers[0].tokens]


def test_what_follows_of_necessity_is_read_in_one_pass() -> None:
    base = fresh()
    alphabet = alphabet_of(base)

    def asked(**more: Any) -> Request:
        constraint = Constraint(json_schema(SCHEMA), alphabet)
        return Request((5, 6, 7), 120, constraint=constraint, stop_ids=base.chat.stop_ids, **more)

    for engine in running(base, SMALL):
        free = answer(engine, greedy([9, 8], 60)).answers[0]
        before = engine.status().passes
        found = answer(engine, asked(choosing=GREEDY, top_logprobs=2)).answers[0]
        assert list(json.loads(found.text)) == SCHEMA["required"]
        assert found.reason == "stop"
        assert len(found.tokens) > 45  # a byte each
        assert engine.status().passes - before < len(found.tokens) - 20
        # The model's word on forced tokens is told as on any other.
        scored = answer(engine, greedy([5, 6, 7, *(x.token for x in found.tokens)], 0, prompt_logprobs=2)).done.prompt
        assert scored is not None
        assert [x.logprob for x in found.tokens] == pytest.approx([x.logprob for x in scored[2:]], abs=1e-4)
        assert [x.top[0][0] for x in found.tokens] == [x.top[0][0] for x in scored[2:]]
        # Beside other rows, warm, cut at any length, with several samples, it is the same.
        listening = [Listening(1), Listening(2), Listening(1)]
        cut = Request((5, 6, 7), 20, constraint=Constraint(json_schema(SCHEMA), alphabet), choosing=GREEDY)
        requests = [greedy([9, 8], 60), asked(choosing=Choosing(temperature=0, seed=1), samples=2), cut]
        for one, request in zip(listening, requests, strict=True):
            engine.submit(request, one.hear)
        assert [x.token for x in listening[0].result().answers[0].tokens] == [x.token for x in free.tokens]
        for one in listening[1].result().answers:
            assert one.text == found.text
        short = listening[2].result().answers[0]
        assert (len(short.tokens), short.reason) == (20, "length")
        assert [x.token for x in short.tokens] == [x.token for x in found.tokens[:20]]


@pytest.mark.parametrize("name", ["prompt", "prefix"])
def test_virtual_tokens_stand_before_every_prompt(name: str) -> None:
    stock, ours = both(CONFIGS[name], tiny_model(seed=4))
    prompts = some_prompts(0, 3)
    for engine in running(base_of(ours), SMALL):
        for prompt, found in zip(prompts, answer_each(engine, [greedy(x, 6) for x in prompts]), strict=True):
            assert [x.token for x in found.answers[0].tokens] == plain_greedy(stock, prompt, 6, -1)
        assert not engine.can_load(Path())


def test_the_engine_is_one_of_a_base_that_was_not_adopted() -> None:
    base = base_of(tiny_model(seed=4))
    engine = Engine(SimpleNamespace(**vars(base)))  # type: ignore[arg-type]
    assert engine.shares
    assert engine.longest == 2048


def test_any_load_is_answered() -> None:
    """Grammars with forced tokens beside full tails, several scored answers of one prompt, in little memory."""
    base = fresh()
    alphabet = alphabet_of(base)
    dice = np.random.default_rng(0)

    def asked() -> Request:
        more: dict[str, Any] = {}
        if dice.random() < 0.5:
            more["constraint"] = Constraint(json_schema(SCHEMA), alphabet)
        if dice.random() < 0.4:
            more["samples"], more["prompt_logprobs"] = 3, 1
        prompt = dice.integers(3, 259, int(dice.integers(1, 60))).tolist()
        return Request(tuple(prompt), int(dice.integers(1, 50)), choosing=Choosing(seed=1), **more)

    settings = EngineSettings(memory_bytes=400_000, max_rows=8, chunk_tokens=64)
    for engine in running(base, settings):
        requests = [asked() for _ in range(24)]
        for request, found in zip(requests, answer_each(engine, requests), strict=True):
            assert len(found.answers) == request.samples
            assert all(len(each.tokens) <= request.limit for each in found.answers)
        assert engine.status().failed == 0
