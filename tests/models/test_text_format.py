"""How an encoder-decoder is told a conversation: source, mark, target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tiny_t5 import END, tiny_t5_folder, tiny_t5_tokenizer
from tunewright.base.errors import ModelError
from tunewright.models.base import load_base
from tunewright.models.chat import Turn
from tunewright.models.resolve import resolve
from tunewright.models.text_format import ANSWER_START, TextFormat


@pytest.fixture(scope="module")
def chat() -> TextFormat:
    return TextFormat(tiny_t5_tokenizer())


def ids(chat: Any, text: str) -> list[int]:
    found: list[int] = chat.tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


def test_a_question_is_the_source_and_its_answer_the_target(chat: TextFormat) -> None:
    asked = [Turn("system", "Say."), Turn("user", "hi")]
    prompt = [*ids(chat, "Say.\nhi"), END, ANSWER_START]
    assert chat.prompt(asked) == prompt
    rendered = chat.render([*asked, Turn("assistant", "ho", 1.0)])
    assert rendered.tokens == [*prompt, *ids(chat, "ho"), END]
    assert rendered.learned == [0.0] * len(prompt) + [1.0] * 3
    assert chat.stop_ids == {END}


def test_several_turns_are_led_by_their_roles_and_the_last_learned_answer_is_the_target(chat: TextFormat) -> None:
    turns = [Turn("user", "a"), Turn("assistant", "b", 1.0), Turn("user", "c"), Turn("assistant", "d", 1.0)]
    rendered = chat.render([*turns, Turn("user", "e"), Turn("assistant", "f", 0.0)])
    prompt = [*ids(chat, "user: a\nassistant: b\nuser: c"), END, ANSWER_START]
    assert rendered.tokens == [*prompt, *ids(chat, "d"), END]
    assert chat.answers(turns) == [3]
    read = chat.render([Turn("user", "a"), Turn("assistant", "b", 0.0)])
    assert sum(read.learned) == 0
    assert read.tokens[-2:] == [*ids(chat, "b"), END]


def test_an_empty_answer_is_its_end_alone(chat: TextFormat) -> None:
    rendered = chat.render([Turn("user", "x"), Turn("assistant", "", 1.0)])
    assert rendered.tokens[-2:] == [ANSWER_START, END]
    assert rendered.learned[-2:] == [0.0, 1.0]


def test_text_begins_with_the_prompts_text(chat: TextFormat) -> None:
    asked = [Turn("user", "hi")]
    assert chat.text(asked, open_end=True) == "hi</s>\n"
    assert chat.text([*asked, Turn("assistant", "ho", 1.0)]) == "hi</s>\nho</s>"


def test_no_text_holds_the_mark(chat: TextFormat) -> None:
    every = chat.tokenizer("".join(chr(n) for n in range(1, 0x250)) + "<pad></s>")["input_ids"]
    assert min(every) >= 0 > ANSWER_START


def test_a_tokenizer_without_an_end_is_refused() -> None:
    tokenizer = tiny_t5_tokenizer()
    tokenizer.eos_token = None
    with pytest.raises(ModelError, match="no token that ends a text"):
        TextFormat(tokenizer)


def test_the_base_is_loaded_by_what_its_folder_holds(tmp_path: Path) -> None:
    files = resolve(str(tiny_t5_folder(tmp_path / "t5")), cache=tmp_path / "cache")
    assert (files.kind, files.context_length) == ("seq2seq-lm", 512)
    base = load_base(files)
    assert type(base.model).__name__ == "T5ForConditionalGeneration"
    assert isinstance(base.chat, TextFormat)
    assert base.chat.fingerprint == TextFormat(tiny_t5_tokenizer()).fingerprint
