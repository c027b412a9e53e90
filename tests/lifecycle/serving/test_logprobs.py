"""Tokens' texts and log-probabilities, as OpenAI's API writes them."""

from __future__ import annotations

import math
from typing import Any

from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from tests.tiny import tiny_tokenizer
from tunewright.generate.drawing import Chosen
from tunewright.lifecycle.serving.logprobs import TokenTexts


def chosen(token: int, logprob: float = -1.0, *top: tuple[int, float]) -> Chosen:
    return Chosen(token, logprob, top)


def test_parts_of_a_character_are_told_as_bytes() -> None:
    tokenizer = tiny_tokenizer()
    texts = TokenTexts(tokenizer)
    first, second = tokenizer("é", add_special_tokens=False)["input_ids"]
    assert (texts.bytes_of(first), texts.bytes_of(second)) == (b"\xc3", b"\xa9")
    assert texts.shown(first) == "bytes:\\xc3"
    assert texts.chat_logprob(chosen(first, -0.5, (second, -2.0))) == {
        "token": "\ufffd",
        "bytes": [0xC3],
        "logprob": -0.5,
        "top_logprobs": [{"token": "\ufffd", "bytes": [0xA9], "logprob": -2.0}],
    }
    assert texts.shown(tokenizer.convert_tokens_to_ids("<|im_end|>")) == "<|im_end|>"
    assert texts.bytes_of(10**6) == b""  # a vocabulary that is padded beyond its tokenizer's


def test_arrays_count_characters_and_not_bytes() -> None:
    tokenizer = tiny_tokenizer()
    ids = tokenizer("aéb", add_special_tokens=False)["input_ids"]
    arrays = TokenTexts(tokenizer).arrays([chosen(token) for token in ids], 10)
    assert arrays["tokens"] == ["a", "bytes:\\xc3", "bytes:\\xa9", "b"]
    assert arrays["text_offset"] == [10, 11, 11, 12]


def test_arrays_of_a_prompt_begin_without_a_probability() -> None:
    tokenizer = tiny_tokenizer()
    begin, a, b = 1, *tokenizer("ab", add_special_tokens=False)["input_ids"]
    given = [chosen(begin), chosen(a, -math.inf, (b, -0.1)), chosen(b, -0.2, (b, -0.2))]
    arrays = TokenTexts(tokenizer).arrays(given, has_first=False, unseen=1)
    assert arrays == {
        "tokens": ["<|im_start|>", "a", "b"],
        "token_logprobs": [None, -9999.0, -0.2],
        "top_logprobs": [None, {"b": -0.1, "a": -9999.0}, {"b": -0.2}],
        "text_offset": [0, 0, 1],
    }


def test_vocabularies_with_blanks_and_bytes_of_their_own() -> None:
    """As SentencePiece's are, in the form that Llama 2 and Mistral have."""
    words = {"<unk>": 0, "▁red": 1, "<0xC3>": 2, "ness": 3}
    backend = Tokenizer(models.BPE(vocab=words, merges=[], unk_token="<unk>", byte_fallback=True))
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    texts = TokenTexts(tokenizer)
    assert [texts.bytes_of(token) for token in range(4)] == [b"<unk>", b" red", b"\xc3", b"ness"]
