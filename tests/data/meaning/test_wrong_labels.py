"""Planted wrong labels are found, and nothing more once they are gone."""

from __future__ import annotations

import numpy as np

from tunewright.data.meaning.wrong_labels import find_wrong_labels


def planted(rows: int, wrong: int) -> tuple[np.ndarray, list[str], set[int]]:
    """Well separated classes; the labels of some rows are those of the next class."""
    rng = np.random.default_rng(4)
    number = np.arange(rows) % 4
    vectors = rng.normal(size=(rows, 16)) * 0.12 + np.eye(16)[number]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    changed = set(rng.choice(rows, wrong, replace=False).tolist())
    return vectors.astype(np.float32), [f"{(number[row] + (row in changed)) % 4}" for row in range(rows)], changed


def test_planted_errors_are_found_with_what_they_should_be() -> None:
    vectors, labels, changed = planted(400, 20)
    texts = [f"text {row}" for row in range(400)]
    found = find_wrong_labels(vectors, texts, labels, rounds=0)
    rows = {each.row for each in found.found}
    assert rows <= changed
    assert len(rows) >= 18
    assert all(each.better == f"{each.row % 4}" for each in found.found)
    assert all(each.share > each.given_share for each in found.found)
    rest = sorted(set(range(400)) - rows)
    again = find_wrong_labels(vectors[rest], [texts[row] for row in rest], [labels[row] for row in rest], rounds=0)
    assert (again.found, again.rounds) == ((), 1)


def test_labels_with_few_texts_and_single_labels_are_left_alone() -> None:
    vectors, labels, _ = planted(40, 0)
    texts = [f"text {row}" for row in range(40)]
    labels[3] = "rare"
    assert find_wrong_labels(vectors, texts, labels, rounds=0).unjudged == (3,)
    assert find_wrong_labels(vectors, texts, ["one"] * 40, rounds=0).found == ()
    assert find_wrong_labels(vectors[:0], [], [], rounds=0).unjudged == ()
