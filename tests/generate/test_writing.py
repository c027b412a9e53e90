"""Text that is shown as it comes, against the whole of it decoded at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny import tiny_tokenizer
from tunewright.generate.writing import TextStream


@cache
def byte_level() -> Any:
    return tiny_tokenizer()


@cache
def with_byte_fallback() -> Any:
    """Like Llama 2's: a mark for each space, the first one taken off, and bytes for characters it does not know."""
    from tokenizers import Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *"▁abcdé", "▁a", "▁b", "ab", "cd", "▁ab"]
    merges = [("▁", "a"), ("▁", "b"), ("a", "b"), ("c", "d"), ("▁a", "b")]
    vocabulary = {word: place for place, word in enumerate(words)}
    backend = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(steps)
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="</s>")


def decoder(tokenizer: Any) -> Callable[[Sequence[int]], str]:
    return lambda tokens: str(tokenizer.decode(list(tokens), skip_special_tokens=True))


def run(decode: Callable[[Sequence[int]], str], tokens: list[int], stops: list[str]) -> tuple[list[str], bool, int]:
    """What was shown after each token, whether it stopped, and how many tokens it took."""
    stream = TextStream(decode, stops)
    shown = []
    for token in tokens:
        shown.append(stream.add(token))
        if stream.stopped:
            break
    return [*shown, stream.finish()], stream.stopped, len(shown)


def check(decode: Callable[[Sequence[int]], str], tokens: list[int], stops: list[str]) -> None:
    shown, stopped, taken = run(decode, tokens, stops)
    whole = decode(tokens[:taken])
    places = [whole.find(stop) for stop in stops if stop in whole]
    assert stopped == bool(places)
    assert "".join(shown) == (whole[: min(places)] if places else whole)
    # It stops as early as it can, and not in the middle of what may still become another character.
    before = decode(tokens[: taken - 1])
    assert not stopped or not any(stop in before.rstrip("\ufffd") for stop in stops)


STOPS = st.lists(st.text("abcdé 😀<", min_size=1, max_size=4), max_size=3)


@given(tokens=st.lists(st.integers(3, 258), max_size=30), stops=STOPS)
def test_any_bytes(tokens: list[int], stops: list[str]) -> None:
    check(decoder(byte_level()), tokens, stops)


@given(text=st.text("abcdé 😀<", max_size=40), stops=STOPS)
@pytest.mark.parametrize("make", [byte_level, with_byte_fallback])
def test_text_that_is_cut_into_tokens(make: Callable[[], Any], text: str, stops: list[str]) -> None:
    tokenizer = make()
    check(decoder(tokenizer), tokenizer(text, add_special_tokens=False)["input_ids"], stops)


@given(tokens=st.lists(st.integers(258, 268), max_size=40), stops=STOPS)
def test_spaces_in_front_of_words(tokens: list[int], stops: list[str]) -> None:
    check(decoder(with_byte_fallback()), tokens, stops)


def test_what_is_held_back() -> None:
    def shown(text: str, *stops: str) -> list[str]:
        tokens = byte_level()(text, add_special_tokens=False)["input_ids"]
        return run(decoder(byte_level()), tokens, list(stops))[0]

    assert shown("aé") == ["a", "", "é", ""]
    assert shown("ab!", "bc") == ["a", "", "b!", ""]
    assert shown("abcd", "bc") == ["a", "", "", ""]
    assert shown("ab", "bc") == ["a", "", "b"]
    assert shown("bbbc", "bbc") == ["", "", "b", "", ""]


def test_a_long_answer_is_not_read_again_for_each_token() -> None:
    read = 0
    plain = decoder(byte_level())

    def counted(tokens: Sequence[int]) -> str:
        nonlocal read
        read += len(tokens)
        return plain(tokens)

    text = "naïve 😀 " * 100
    tokens = byte_level()(text, add_special_tokens=False)["input_ids"]
    assert "".join(run(counted, tokens, ["###"])[0]) == text
    assert read < 15 * len(tokens)
