"""What is asked for next."""

from __future__ import annotations

import numpy as np
import pytest

from tunewright.data.labelling.choosing import Head, choose, learn, word_vectors


def _circle(*degrees: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    angle = np.radians(np.array(degrees))
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def test_the_head_is_least_sure_in_the_middle() -> None:
    vectors = _circle(0, 10, 45, 80, 90, 44)
    head = learn(vectors, {0: "right", 4: "up"})
    assert head is not None
    assert head.labels == ["right", "up"]
    assert [head.guess(text) for text in (1, 3)] == ["right", "up"]
    margins = head.margins()
    assert margins[2] == pytest.approx(0, abs=1e-3)
    assert margins[2] < margins[5] < margins[1]
    assert choose(vectors, head, [1, 2, 3], 1, seed=0) == [2]


def test_there_is_no_head_for_one_label() -> None:
    vectors = _circle(0, 90)
    assert learn(vectors, {}) is None
    assert learn(vectors, {0: "a", 1: "a"}) is None


def test_first_come_the_middles_of_the_largest_clusters() -> None:
    vectors = _circle(0, 1, 2, 3, 4, 90, 91, 92, 180)
    assert choose(vectors, None, range(9), 3, seed=1) == [2, 6, 8]


def test_of_equally_unsure_texts_differing_ones_are_chosen() -> None:
    # All lie on the line between the two labels; four are copies of one, the others stand far off along it.
    vectors = np.array([[1, 0, 0], [-1, 0, 0], *[[0, 1, 0]] * 4, [0, -1, 0], [0, 0, 1]], dtype=np.float32)
    head = Head(vectors, {0: "a", 1: "b"})
    chosen = choose(vectors, head, range(2, 8), 3, seed=0)
    assert len(chosen) == 3
    assert {6, 7} < set(chosen)


def test_what_is_not_free_is_not_chosen() -> None:
    vectors = _circle(*range(0, 180, 10))
    assert set(choose(vectors, None, [3, 5, 7], 10, seed=0)) == {3, 5, 7}
    assert choose(vectors, None, [4], 10, seed=0) == [4]
    assert choose(vectors, None, [], 10, seed=0) == []
    # Fewer distinct texts than are asked for.
    assert set(choose(_circle(*[5] * 30), None, range(30), 3, seed=0)) <= set(range(30))


def test_word_vectors_put_like_texts_together() -> None:
    texts = ["my card was stolen", "card stolen yesterday", "where is my parcel", "the parcel is late", "", "?!"]
    vectors = word_vectors(texts, seed=3)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 1, 0, 1], abs=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert vectors[2] @ vectors[3] > vectors[1] @ vectors[3]
    assert (vectors == word_vectors(texts, seed=3)).all()
    assert word_vectors(["one"], seed=0).shape[0] == 1


def test_asking_where_it_is_unsure_learns_more_than_asking_anywhere() -> None:
    """Three clouds, one of them rare: with twenty labels the rare one is known, where chance mostly misses it."""
    dice = np.random.default_rng(5)
    centres = np.eye(3)
    truth = np.array([0] * 300 + [1] * 290 + [2] * 10)
    vectors = (centres[truth] + dice.normal(0, 0.25, (600, 3))).astype(np.float32)
    given: dict[int, str] = {}
    while len(given) < 20:
        free = [text for text in range(600) if text not in given]
        for text in choose(vectors, learn(vectors, given), free, 5, seed=len(given)):
            given[text] = str(truth[text])
    rare = sum(label == "2" for label in given.values())
    assert rare >= 2  # twenty drawn by chance hold a third of one
    head = learn(vectors, given)
    assert head is not None
    assert np.mean([head.guess(text) == str(truth[text]) for text in range(600)]) > 0.95


def test_labels_met_once_are_no_matter_for_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    learn(_circle(*range(0, 180, 10)), {text: f"label {text}" for text in range(12)})
    assert not recwarn.list
