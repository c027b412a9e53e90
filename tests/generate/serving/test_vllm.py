"""The engine that vLLM computes, against a small program that speaks vLLM's API."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.generate.serving import fake_vllm
from tests.tiny import tiny_folder
from tunewright.base.errors import BusyError, InputError, MissingExtraError, ModelError, TunewrightError
from tunewright.generate.constraint import Constraint, alphabet_of, regex
from tunewright.generate.drawing import Choosing, Chosen
from tunewright.generate.serving.blocking import answer
from tunewright.generate.serving.request import Done, Failed, Heard, Request
from tunewright.generate.serving.vllm import VllmEngine
from tunewright.generate.serving.vllm_process import VllmSettings, find_vllm, weightless_base
from tunewright.generate.serving.vllm_wire import lark_of
from tunewright.models.files import BaseFiles

HASH = "a" * 64


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny_folder(tmp_path_factory.mktemp("base") / "tiny")
    return weightless_base(BaseFiles("tiny", folder, HASH, "made", "mit", 64, "causal-lm"))


@pytest.fixture
def notes(base: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    return fake_vllm.install(tmp_path, monkeypatch, base.tokenizer)


@pytest.fixture
def engine(base: Any, notes: Any, tmp_path: Path) -> Iterator[VllmEngine]:
    made = VllmEngine(base, VllmSettings(start_s=20, arguments=("--seed", "7")), tmp_path / "vllm.log")
    made.start()
    yield made
    made.stop()


def asked(base: Any, text: str, limit: int = 40, **changes: Any) -> Request:
    prompt = tuple(base.tokenizer.encode(text, add_special_tokens=False))
    return Request(**{"prompt": prompt, "limit": limit, "stop_ids": base.chat.stop_ids} | changes)


def adapter(folder: Path, **changes: Any) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 8} | changes))
    (folder / "adapter_model.safetensors").write_bytes(b"x" * 100)
    return folder


def test_it_answers_as_our_own_engine_does(base: Any, engine: VllmEngine, notes: Any) -> None:
    found = answer(engine, asked(base, "hello", top_logprobs=1))  # type: ignore[arg-type]
    (written,) = found.answers
    assert (written.text, written.reason) == ("hello", "stop")
    first = base.tokenizer.encode("h", add_special_tokens=False)[0]
    assert written.tokens[0] == Chosen(first, -0.5, ((first, -0.5),))
    assert (found.done.prompt_tokens, found.done.completion_tokens) == (5, 5)
    start, body = notes()
    assert start["arguments"][:2] == ["serve", str(base.files.folder)]
    assert start["arguments"][-2:] == ["--seed", "7"]
    assert "--enable-lora" in start["arguments"]
    assert start["updating"] == "True"
    assert body["prompt"] == list(asked(base, "hello").prompt)
    assert (body["model"], body["ignore_eos"], body["stop_token_ids"]) == ("base", True, sorted(base.chat.stop_ids))
    assert (body["top_k"], body["add_special_tokens"], "seed" in body) == (-1, False, False)


def test_what_is_drawn_by_is_passed_on(base: Any, engine: VllmEngine, notes: Any) -> None:
    choosing = Choosing(
        temperature=0.5, top_p=0.9, top_k=5, min_p=0.1, seed=3, frequency_penalty=0.2, logit_bias={9: -100}
    )
    answer(engine, asked(base, "hi", choosing=choosing))  # type: ignore[arg-type]
    body = notes()[-1]
    expected = {"temperature": 0.5, "top_p": 0.9, "top_k": 5, "min_p": 0.1, "seed": 3, "frequency_penalty": 0.2}
    assert {name: body[name] for name in expected} == expected
    assert body["logit_bias"] == {"9": -100}


def test_stop_texts_limits_and_samples_are_kept(base: Any, engine: VllmEngine) -> None:
    found = answer(engine, asked(base, "one two three", samples=2, stop_texts=("two",)))  # type: ignore[arg-type]
    assert [(each.text, each.reason) for each in found.answers] == [("one ", "stop")] * 2
    cut = answer(engine, asked(base, "one two three", limit=5)).answers[0]  # type: ignore[arg-type]
    assert (cut.text, cut.reason) == ("one t", "length")


def test_prompts_are_scored(base: Any, engine: VllmEngine) -> None:
    request = asked(base, "hey", limit=0, prompt_logprobs=0)
    found = answer(engine, request)  # type: ignore[arg-type]
    assert found.done.prompt == tuple(Chosen(token, -0.25) for token in request.prompt[1:])
    assert found.answers[0].tokens == ()


def test_adapters_are_attached_and_taken_off(base: Any, engine: VllmEngine, notes: Any, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "adapter")
    assert engine.can_load(folder)
    engine.load("desk", folder)
    assert answer(engine, asked(base, "abc", adapter="desk")).answers[0].text == "cba"  # type: ignore[arg-type]
    assert answer(engine, asked(base, "abc")).answers[0].text == "abc"  # type: ignore[arg-type]
    assert (engine.adapters, engine.bytes_of("desk")) == (("desk",), 100)
    engine.drop("desk")
    with pytest.raises(InputError, match="desk"):
        engine.submit(asked(base, "abc", adapter="desk"), lambda heard: None)
    told = [(each["path"], each["lora_name"]) for each in notes() if "lora_name" in each]
    assert told == [("/v1/load_lora_adapter", "desk"), ("/v1/unload_lora_adapter", "desk")]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"peft_type": "IA3"}, "not LORA"),
        ({"use_dora": True}, "DoRA"),
        ({"r": 65}, "above 64"),
        ({"modules_to_save": ["lm_head"]}, "besides"),
        ({"bias": "all"}, "biases"),
        ({"rank_pattern": {"q_proj": 4}}, "differ"),
    ],
)
def test_adapters_that_vllm_cannot_take_are_told(base: Any, tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    made = VllmEngine(base, VllmSettings(), tmp_path / "log")
    folder = adapter(tmp_path / "adapter", **changes)
    assert not made.can_load(folder)
    with pytest.raises(ModelError, match=why):
        made.load("desk", folder)


def test_an_answer_that_is_called_off_ends_there_too(base: Any, engine: VllmEngine, notes: Any) -> None:
    heard: list[Heard] = []
    over = threading.Event()

    def hear(each: Heard) -> None:
        heard.append(each)
        if isinstance(each, Done | Failed):
            over.set()

    ticket = engine.submit(asked(base, "wait"), hear)
    deadline = time.monotonic() + 5
    while len(notes()) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    ticket.cancel()
    assert over.wait(5)
    assert isinstance(heard[-1], Done)
    while notes()[-1] != {"hung up": True}:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_refusals_and_crowds_are_told(base: Any, engine: VllmEngine) -> None:
    with pytest.raises(InputError, match="at most 2"):
        answer(engine, asked(base, "hi", choosing=Choosing(temperature=3)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at most 64 fit"):
        engine.submit(asked(base, "hi", limit=63), lambda heard: None)
    engine.queue_limit = 1
    ticket = engine.submit(asked(base, "wait"), lambda heard: None)
    with pytest.raises(BusyError) as busy:
        engine.submit(asked(base, "hi"), lambda heard: None)
    assert busy.value.retry_after_s > 0
    ticket.cancel()


def test_it_is_started_again_with_its_adapters(base: Any, engine: VllmEngine, tmp_path: Path) -> None:
    engine.load("desk", adapter(tmp_path / "adapter"))
    with pytest.raises(TunewrightError, match="gave no answer"):
        answer(engine, asked(base, "x"))  # type: ignore[arg-type]
    deadline = time.monotonic() + 15
    while True:
        try:
            text = answer(engine, asked(base, "abc", adapter="desk")).answers[0].text  # type: ignore[arg-type]
            break
        except (BusyError, TunewrightError):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert text == "cba"


def test_one_that_does_not_start_says_why(
    base: Any, notes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_VLLM_FAILS", "1")
    with pytest.raises(ModelError, match="No available memory for the cache blocks"):
        VllmEngine(base, VllmSettings(start_s=20), tmp_path / "vllm.log").start()


def test_without_vllm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingExtraError, match=r"tunewright\[vllm\]"):
        find_vllm()


def test_grammars_are_told_in_larks_syntax(base: Any, engine: VllmEngine, notes: Any) -> None:
    constraint = Constraint(regex("ab+"), alphabet_of(base))
    assert lark_of(constraint.text) == "start: /ab+/"
    answer(engine, asked(base, "abb", constraint=constraint))  # type: ignore[arg-type]
    assert notes()[-1]["structured_outputs"] == {"grammar": "start: /ab+/"}
    assert lark_of('start: "a"') == 'start: "a"'
