from __future__ import annotations

import numpy as np

from tests.data.quality.made import rows_of, view_of
from tunewright.data.quality.view import Texts


def test_texts_are_told_apart_by_their_words() -> None:
    texts = Texts(["b", "a", "", "b", "c", "b"])
    assert texts.distinct == ("b", "a", "c")
    assert texts.owner.tolist() == [0, 1, -1, 0, 2, 0]
    assert texts.rows.tolist() == [3, 1, 1]
    assert texts.first.tolist() == [0, 1, 4]
    assert list(texts.rows_of()) == [[0, 3, 5], [1], [4]]


def test_rows_without_a_word_are_no_texts() -> None:
    texts = Texts(["", ""])
    assert texts.distinct == ()
    assert list(texts.rows_of()) == []
    assert texts.copies.tolist() == [False, False]


def test_copies_are_all_but_the_first_and_near_ones_of_longer_texts() -> None:
    long = "the quick brown fox jumps over the lazy dog near the river bank today"
    texts = Texts([long, "something else entirely here", long, long[:-1]])
    assert texts.copies.tolist() == [False, False, True, True]


def test_words_are_folded_and_reduced() -> None:
    assert rows_of([("Ｈello,  WORLD!!", "a"), ("?!", "b"), (None, "a")]).words == ["hello world", "", ""]


def test_contradictions_leave_out_rows_without_an_answer() -> None:
    view = view_of([("a b", "x"), ("A  b!", "y"), ("c", "x"), ("C", " X"), ("d", "x"), ("d", None)])
    assert view.contradictions == [[0, 1]]


def test_a_sample_is_drawn_with_the_seed_and_says_so() -> None:
    view = view_of([(f"text {n}", "ab"[n % 2]) for n in range(50)])
    rows, told = view.sample(view.data, 10, what="test")
    again, _ = view.sample(view.data, 10, what="test")
    other, _ = view.sample(view.data, 10, what="other")
    assert rows.tolist() == again.tolist() == sorted(set(rows.tolist()))
    assert rows.tolist() != other.tolist()
    assert told == "10 of 50 rows, drawn with the seed 17"
    whole, none = view.sample(view.data, 50, what="test")
    assert whole.tolist() == list(range(50))
    assert none == ""
    assert whole.dtype == np.int64


def test_the_places_are_file_and_line() -> None:
    rows = rows_of([("a", "x"), ("b", "y")])
    assert rows.places == ["data.csv:2", "data.csv:3"]
    assert rows.case(1, "why").text == "b"
