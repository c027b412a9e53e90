"""Near copies: every pair that is reported is near, and planted ones are found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewright.data.minhash import SHINGLE, shingles
from tunewright.data.near import near_copies, nearest, words_of


def jaccard(one: str, other: str) -> float:
    """Similarity by definition."""
    sets = [
        {text[at : at + SHINGLE] for at in range(max(1, len(text) - SHINGLE + 1))}
        for text in map(words_of, (one, other))
    ]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def first_come(texts: list[str]) -> np.ndarray:
    return np.arange(len(texts))


def test_shingles_stay_inside_their_text() -> None:
    hashes, ends = shingles(["abcde", "", "ab", "bcde"])
    assert ends.tolist() == [0, 2, 2, 3, 4]
    assert hashes[1] == hashes[3]  # "bcde" both times
    assert len(set(hashes.tolist())) == 3


def test_similarity_by_hand() -> None:
    # "abcdefgh" has abcd bcde cdef defg efgh; without the last character one of five is gone.
    near = near_copies(["abcdefgh", "abcdefg", "something else"], threshold=0.8, rank=np.array([0, 1, 2]))
    assert near.kept_by.tolist() == [-1, 0, -1]
    assert near.similarity.tolist() == [0.0, 0.8, 0.0]
    assert near_copies(["abcdefgh", "abcdefg"], threshold=0.81, rank=np.arange(2)).kept_by.tolist() == [-1, -1]


def test_rank_says_which_stays() -> None:
    texts = ["please cancel my order now", "please cancel my order now!", "Please, cancel my ORDER now"]
    assert near_copies(texts, threshold=0.9, rank=np.array([2, 0, 1])).kept_by.tolist() == [1, -1, 1]


def test_groups_are_apart() -> None:
    texts = ["where is my parcel today"] * 3
    near = near_copies(texts, threshold=0.9, rank=np.arange(3), group=np.array([7, 8, 7], dtype=np.uint64))
    assert near.kept_by.tolist() == [-1, -1, 0]


def test_texts_without_words_are_near_to_nothing() -> None:
    assert near_copies(["", "  ", "?!", "?!"], threshold=0.5, rank=np.arange(4)).kept_by.tolist() == [-1] * 4


def test_a_crowd_of_copies_shrinks_to_one() -> None:
    texts = [f"your order {number:04d} has been sent to the address you gave us last week" for number in range(400)]
    near = near_copies(texts, threshold=0.8, rank=first_come(texts))
    assert near.kept_by[0] == -1
    assert (near.kept_by[1:] >= 0).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_planted_copies_are_found(seed: int) -> None:
    random = np.random.default_rng(seed)
    words = ["".join(random.choice(list("abcdefghijklmnopqrstuvwxyz"), size=random.integers(2, 9))) for _ in range(500)]
    texts = [" ".join(random.choice(words, size=random.integers(6, 14))) for _ in range(1000)]
    copies = []
    for text in texts:
        at = int(random.integers(len(text)))
        copies.append(text[:at] + random.choice(list("xyz")) + text[at + 1 :])
    near = near_copies([*texts, *copies], threshold=0.8, rank=np.arange(2000))
    wanted = [1000 + number for number, pair in enumerate(zip(texts, copies, strict=True)) if jaccard(*pair) >= 0.8]
    assert len(wanted) > 500
    assert np.mean([near.kept_by[number] >= 0 for number in wanted]) >= 0.98


@given(st.lists(st.text(alphabet="abc ü😀", max_size=14), max_size=24), st.sampled_from([0.5, 0.8, 1.0]))
@settings(deadline=None, max_examples=60)
def test_what_goes_is_near_to_what_stays(texts: list[str], threshold: float) -> None:
    near = near_copies(texts, threshold=threshold, rank=first_come(texts))
    for number, (keeper, found) in enumerate(zip(near.kept_by, near.similarity, strict=True)):
        if keeper >= 0:
            assert near.kept_by[keeper] == -1
            assert found == pytest.approx(jaccard(texts[number], texts[keeper]))
            assert found >= threshold
    kept = [text for text, keeper in zip(texts, near.kept_by, strict=True) if keeper < 0]
    assert (near_copies(kept, threshold=threshold, rank=first_come(kept)).kept_by == -1).all()


def test_nearest_finds_each_text_its_best_other() -> None:
    others = [
        "the cat sat on the mat by the door",
        "the cat sat on the mat by the window",
        "something else",
        "",
        "the cat",
    ]
    texts = ["The cat sat on the mat, by the doors", "nothing like it at all", "", "THE CAT!"]
    found = nearest(texts, others, threshold=0.7)
    assert found.kept_by.tolist() == [0, -1, -1, 4]
    assert found.similarity[0] == pytest.approx(jaccard(texts[0], others[0]))
    assert found.similarity.tolist()[1:] == [0.0, 0.0, 1.0]
    assert found.crowded == 0


def test_nearest_of_nothing() -> None:
    assert nearest([], ["a"], threshold=0.7).kept_by.tolist() == []
    assert nearest(["a"], [], threshold=0.7).kept_by.tolist() == [-1]


def test_nearest_says_where_too_many_share_a_band() -> None:
    others = [f"the very same long beginning of every text here {n}" for n in range(200)]
    found = nearest(["the very same long beginning of every text here 7", "unlike any other"], others, threshold=0.85)
    assert found.kept_by[0] >= 0
    assert found.crowded == 1


@settings(max_examples=50)
@given(st.lists(st.text("ab ", max_size=12), max_size=6), st.lists(st.text("ab ", max_size=12), max_size=6))
def test_nearest_reports_only_what_is_near_and_misses_no_equal_text(texts: list[str], others: list[str]) -> None:
    found = nearest(texts, others, threshold=0.8)
    reduced = [words_of(text) for text in others]
    for text, other, similarity in zip(texts, found.kept_by.tolist(), found.similarity.tolist(), strict=True):
        words = words_of(text)
        if other >= 0:
            assert similarity == pytest.approx(jaccard(text, others[other]))
            assert similarity >= 0.8
        else:
            assert not words or words not in reduced
