"""What judges augmented texts, by meaning and by words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tunewright.base.errors import DataError, ModelError
from tunewright.data import judging
from tunewright.data.judging import find_judge, least_similarity
from tunewright.data.meaning.embedding import Embedder

CATS = ["the cat sat on a mat", "a cat sat on the mat", "cat sat on a mat"]
DOGS = ["dog", "the dog", "a dog"]
LABELS = ["c"] * 3 + ["d"] * 3


def test_by_words_a_text_is_like_itself_and_unlike_another() -> None:
    judge = find_judge("words", [*CATS, *DOGS], LABELS, cache=None, seed=1)
    same, moved, other = judge.similarity([CATS[0]] * 3, [CATS[0], "the mat sat on a cat", "dog"])
    assert same == pytest.approx(1.0, abs=1e-6)
    assert same > moved > other
    assert judge.similarity(["cat"], ["#"])[0] == 0.0  # nothing in it is known
    found = judge.survives(["the cat sat", "a dog", "a dog"], ["c", "c", "d"])
    assert found.tolist() == [True, False, True]
    assert least_similarity(judge, None) == 0.5
    assert least_similarity(judge, 0.7) == 0.7


def test_by_meaning_it_is_the_encoders_cosine(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "open_embedder", lambda cache, listener: embedder)
    judge = find_judge("auto", [*CATS, *DOGS], LABELS, cache=None, seed=1)
    assert judge.measure == "meaning"
    expected = embedder.embed(CATS[:1]) @ embedder.embed([CATS[1], "dog"]).T
    np.testing.assert_allclose(judge.similarity([CATS[0]] * 2, [CATS[1], "dog"]), expected[0], atol=1e-6)
    assert judge.survives([CATS[1], "dog"], ["c", "c"]).tolist() == [True, False]
    assert least_similarity(judge, None) == 0.8


def test_without_an_encoder_words_are_counted_unless_meaning_is_asked_for(tmp_path: Path) -> None:
    assert find_judge("auto", CATS, None, cache=tmp_path, seed=1).measure == "words"
    for cache in (tmp_path, None):
        with pytest.raises(ModelError):
            find_judge("meaning", CATS, None, cache=cache, seed=1)


def test_without_classes_there_is_nothing_to_survive() -> None:
    with pytest.raises(DataError, match="no classes"):
        find_judge("words", CATS, None, cache=None, seed=1).survives(["a"], ["b"])
