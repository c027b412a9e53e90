"""The words of texts, against sacrebleu's tokeniser."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from tunewright.metrics._tokens_13a import tokenize_13a


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text("a1.,-&;/<\n\r \x00é{'\"", max_size=12), min_size=1, max_size=4))
def test_texts_are_cut_into_words_as_sacrebleu_does_it(texts: list[str]) -> None:
    theirs = BLEU()
    assert tokenize_13a(texts) == [theirs.tokenizer(text).split() for text in texts]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,000.5", ["1,000.5"]),
        ("1,000.", ["1,000", "."]),
        ("..5", [".", ".5"]),
        ("...5", [".", ".", ".", "5"]),
        ("1.,.2", ["1", ".", ",", ".2"]),
        ("1990-2000 well-known", ["1990", "-", "2000", "well-known"]),
        ("a&quot;b&amp;lt; <skipped>", ["a", '"', "b", "<"]),
        ("new-\nline", ["newline"]),
        ("", []),
    ],
)
def test_the_rules_by_hand(text: str, words: list[str]) -> None:
    assert tokenize_13a([text]) == [words]
    assert BLEU().tokenizer(text).split() == words


def test_no_texts_have_no_words() -> None:
    assert tokenize_13a([]) == []
