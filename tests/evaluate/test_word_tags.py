"""The cheap baseline for tagged words."""

from __future__ import annotations

from tunewright.data.example import Example, Message
from tunewright.evaluate.word_tags import tag_words


def tagged(number: int, words: str, tags: str) -> Example:
    return Example(f"row {number}", (Message("user", words), Message("assistant", tags)), {}, "made", number)


def test_it_learns_a_word_and_a_word_by_its_neighbour() -> None:
    # `bank` is a place behind `in`, and else none.
    texts = [("ann sits in bank", "B-PER O O B-LOC"), ("the bank sees bob", "O O O B-PER")]
    train = [tagged(n, *texts[n % 2]) for n in range(20)]
    test = [tagged(100, "bob sits in bank", "?"), tagged(101, "the bank", "?")]
    assert tag_words(train, test, seed=1) == ["B-PER O O B-LOC", "O O"]


def test_one_tag_alone_needs_no_learning() -> None:
    assert tag_words([tagged(1, "a b", "X X")], [tagged(2, "c d e", "?")], seed=1) == ["X X X"]
