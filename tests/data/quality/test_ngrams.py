from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.data.quality.ngrams import overlaps, run_length

TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=8).map(" ".join), max_size=8)


def runs(text: str, n: int) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[at : at + n]) for at in range(len(words) - n + 1)}


@settings(max_examples=50)
@given(TEXTS, TEXTS, st.integers(1, 4))
def test_the_same_as_by_sets(texts: list[str], others: list[str], n: int) -> None:
    """A text is found if one of its runs stands in 1 to 10 of the others; here there are no more than 8."""
    found = overlaps(texts, others, n).found_in
    for text, other in zip(texts, found.tolist(), strict=True):
        shared = [place for place, whole in enumerate(others) if runs(text, n) & runs(whole, n)]
        assert (other in shared) if shared else other == -1


def test_a_run_that_many_share_says_nothing() -> None:
    letter = "with kind regards from all of us here at the shop"
    assert overlaps([letter], [letter] * 10, 8).found_in.tolist() == [0]
    assert overlaps([letter], [letter] * 11, 8).found_in.tolist() == [-1]


def test_a_run_within_one_text_counts_once() -> None:
    again = " ".join(["na na na na"] * 20)
    assert overlaps([again], [again], 8).found_in.tolist() == [0]


def test_short_texts_are_counted_and_left_out() -> None:
    found = overlaps(["one two three", "", "one two three four"], ["one two three four"], 4)
    assert found.found_in.tolist() == [-1, -1, 0]
    assert found.too_short == 2


def test_the_length_follows_the_shortest_texts_within_bounds() -> None:
    assert run_length(["a b c"] * 20) == 8
    assert run_length([" ".join("abcdefghij")] * 20) == 10
    assert run_length([" ".join("a" * 50)] * 20) == 13
    assert run_length(["", ""]) == 13


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"word{n} alpha beta gamma" for n in range(30)]
    whole = overlaps(texts[::3], texts, 3).found_in
    monkeypatch.setattr("tunewright.data.quality.ngrams._CHUNK_TEXTS", 7)
    assert np.array_equal(overlaps(texts[::3], texts, 3).found_in, whole)
    assert whole.tolist() == list(range(0, 30, 3))
