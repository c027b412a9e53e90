"""Shared runs of tokens, against plain counting."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.metrics import _ngrams
from tunewright.metrics._ngrams import Ragged, common_subsequences, matches, number_characters, number_words, totals

LISTS = st.lists(st.lists(st.integers(0, 5), max_size=9), min_size=1, max_size=6)


def _ragged(lists: list[list[int]]) -> Ragged:
    flat = [token for one in lists for token in one]
    return Ragged(np.array(flat, dtype=np.int64), np.array([len(one) for one in lists]))


def _plain(left: list[int], right: list[int], length: int) -> int:
    sides = [Counter(tuple(side[at : at + length]) for at in range(len(side) - length + 1)) for side in (left, right)]
    return (sides[0] & sides[1]).total()


@settings(deadline=None, max_examples=60)
@given(LISTS, LISTS, st.sampled_from([63, 24, 14, 6]))
def test_shared_runs_are_counted_however_little_fits_in_a_number(
    left: list[list[int]], right: list[list[int]], bits: int
) -> None:
    n = min(len(left), len(right))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_ngrams, "_WORD_BITS", bits)  # fewer bits: numbered by pair, in blocks, and at last one by one
        found = matches(_ragged(left[:n]), _ragged(right[:n]), 4)
    expected = [[_plain(left[row], right[row], length) for length in range(1, 5)] for row in range(n)]
    assert found.tolist() == expected


def test_totals_by_hand() -> None:
    assert totals(_ragged([[1, 2, 3], [], [7]]), 4).tolist() == [[3, 2, 1, 0], [0] * 4, [1, 0, 0, 0]]


def test_equal_words_and_characters_have_equal_numbers() -> None:
    left, right = number_words([["a", "b", "a"], []], [["c"], ["b"]])
    assert left.tokens[0] == left.tokens[2] != left.tokens[1] == right.tokens[1]
    assert (left.lengths.tolist(), right.lengths.tolist()) == ([3, 0], [1, 1])
    one, other = number_characters(["é\ud800", ""], ["𝄞", "é"])
    assert one.tokens[0] == other.tokens[1]
    assert len({*one.tokens.tolist(), *other.tokens.tolist()}) == 3


@settings(deadline=None, max_examples=30)
@given(LISTS, LISTS, st.booleans())
def test_the_longest_common_subsequence(left: list[list[int]], right: list[list[int]], one_by_one: bool) -> None:
    n = min(len(left), len(right))
    expected = []
    for ours, theirs in zip(left, right, strict=False):
        table = [[0] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
        for i, a in enumerate(ours):
            for j, b in enumerate(theirs):
                table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
        expected.append(table[-1][-1])
    with pytest.MonkeyPatch.context() as patch:
        if one_by_one:
            patch.setattr(_ngrams, "_MOST_STEPS", 3)
        assert common_subsequences(_ragged(left[:n]), _ragged(right[:n])).tolist() == expected


def test_subsequences_of_63_and_of_64_tokens() -> None:
    long = list(range(70))
    pairs = [(long, long[:length][::-1] + long[:length]) for length in (31, 32, 63)]
    found = common_subsequences(_ragged([given for given, _ in pairs]), _ragged([wanted for _, wanted in pairs]))
    assert found.tolist() == [31, 32, 63]
    assert common_subsequences(_ragged([long] * 2), _ragged([long[:63], long[:64]])).tolist() == [63, 64]
