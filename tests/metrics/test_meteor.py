"""METEOR, by hand from Banerjee and Lavie 2005."""

from __future__ import annotations

import time

import pytest

from tests.metrics.contract import measure, value
from tunewright.metrics import Answer
from tunewright.metrics.meteor import align, count


def _score(wanted: str, said: str) -> float:
    return value("meteor", [Answer("1", wanted, said)])


def test_by_hand() -> None:
    # The paper's own example of a penalty: 6 matches in 2 chunks ("the president", "spoke to the audience").
    wanted, said = "the president spoke to the audience", "the president then spoke to the audience"
    assert count(said.split(), wanted.split()) == (6, 7, 6, 2)
    precision, recall = 6 / 7, 6 / 6
    mean = 10 * precision * recall / (recall + 9 * precision)
    assert _score(wanted, said) == pytest.approx(mean * (1 - 0.5 * (2 / 6) ** 3), abs=1e-12)


def test_one_chunk_and_one_word() -> None:
    assert _score("a b c d", "a b c d") == pytest.approx(1 - 0.5 / 4**3)
    assert _score("a", "a") == 0.5
    assert _score("a b", "c d") == 0.0
    assert _score("a b", "") == 0.0


def test_words_match_exactly_first_and_then_by_stem() -> None:
    assert count(["runs", "running"], ["running", "runs"]) == (2, 2, 2, 2)  # exactly, and so crossed
    assert count(["dogs", "barked"], ["dogs", "barking"]) == (2, 2, 2, 1)


def test_repeated_words_are_matched_with_the_fewest_crossings() -> None:
    given, wanted = ["the", "cat", "and", "the", "dog"], ["the", "dog", "and", "the", "cat"]
    # "the" keeps its order, and so does "and"; "cat" and "dog" cross three times whatever is done.
    assert align(given, wanted, []) == [(0, 0), (1, 4), (2, 2), (3, 3), (4, 1)]
    assert align(["a", "a", "b"], ["b", "a"], []) in ([(0, 1), (2, 0)], [(1, 1), (2, 0)])
    assert align(["a", "b", "a"], ["b", "a"], []) == [(1, 0), (2, 1)]


def test_the_corpus_is_scored_by_its_sums() -> None:
    answers = [Answer("1", "a b c d", "a b c d"), Answer("2", "e f", "f x")]
    matched, given, wanted, chunks = 5, 6, 6, 2
    precision, recall = matched / given, matched / wanted
    mean = 10 * precision * recall / (recall + 9 * precision)
    assert value("meteor", answers) == pytest.approx(mean * (1 - 0.5 * (chunks / matched) ** 3), abs=1e-12)


def test_the_best_of_several_references_counts() -> None:
    found = measure("meteor", [Answer("1", "x y z", "a b c", references=("a b c", "a"))])["meteor"]
    assert found.value == pytest.approx(1 - 0.5 / 27)


def test_long_texts_of_few_words_end_soon() -> None:
    said = ["the", "of", "a", "word"] * 60
    started = time.process_time()
    assert count(said, said[::-1])[0] == 240
    assert time.process_time() - started < 5
