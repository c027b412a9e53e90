"""A fleet that hands inference to vLLM: here to a small program that speaks its API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.generate.serving import fake_vllm
from tests.tiny import tiny_tokenizer
from tunewright.base.errors import MissingExtraError
from tunewright.generate.serving.engine import Engine
from tunewright.generate.serving.vllm import VllmEngine
from tunewright.lifecycle.serving.asking import ask_chat
from tunewright.lifecycle.serving.vllm_fleet import VllmFleet
from tunewright.store import Workspace

ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 40}


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    return fake_vllm.install(tmp_path, monkeypatch, tiny_tokenizer())


@pytest.fixture
def fleet(world: Workspace, notes: Any) -> Iterator[VllmFleet]:
    made = VllmFleet(world, arguments=["--seed", "7"], memory_bytes=256 << 20, device="cpu")
    made.start()
    yield made
    made.stop(0.0)


def text(answer: Any) -> str:
    said: str = answer.body["choices"][0]["message"]["content"]
    return said


def test_base_and_adapter_answer_by_one_vllm(fleet: VllmFleet, notes: Any, world: Workspace) -> None:
    assert text(ask_chat(fleet, {"model": "tiny", **ASKED})) == "user\nhi"  # the prompt itself, up to its first end
    assert text(ask_chat(fleet, {"model": "told", **ASKED})).startswith("\ntnatsissa")  # turned round
    with fleet.seat("tiny") as base, fleet.seat("told") as tuned:
        assert isinstance(base.engine, VllmEngine)
        assert base.engine is tuned.engine
    start, first, attached, second = notes()
    assert start["arguments"][-2:] == ["--seed", "7"]
    assert attached["lora_path"] == str(world.artifact(second["model"], "adapter").path)
    # The same tokens as our own engine reads, with the system message that the adapter was trained with.
    tokenizer = tiny_tokenizer()
    assert tokenizer.decode(first["prompt"]) == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    assert "Name the colour." in tokenizer.decode(second["prompt"])


def test_what_vllm_cannot_take_our_own_engine_does(fleet: VllmFleet) -> None:
    with fleet.seat("prompted") as seat:
        assert isinstance(seat.engine, Engine)


def test_without_vllm_nothing_starts(world: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingExtraError, match="needs the package 'vllm'"):
        VllmFleet(world)
