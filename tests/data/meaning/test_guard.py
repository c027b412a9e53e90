"""The guard of augmented rows."""

from __future__ import annotations

import numpy as np
import pytest

from tunewright.base.errors import DataError
from tunewright.data.meaning.embedding import Embedder
from tunewright.data.meaning.guard import keep_meaning, label_survives
from tunewright.data.meaning.head import fit_head


def test_a_variant_must_lie_in_the_band(embedder: Embedder) -> None:
    originals = ["the cat sat on a mat", "the cat sat on a mat", "the cat sat on a mat"]
    variants = ["The cat sat on a mat", "the cat sat on a mat .", "dog"]
    vectors = embedder.embed([originals[0], *variants])
    expected = vectors[1:] @ vectors[0]
    # The first is the same to the encoder, the third is far: a band between takes the second alone.
    low, high = (expected[1] + expected[2]) / 2, (1 + expected[1]) / 2
    similarity, kept = keep_meaning(originals, variants, low=low, high=high, embedder=embedder)
    np.testing.assert_allclose(similarity, expected, atol=1e-6)
    assert similarity[0] == pytest.approx(1, abs=1e-6)
    assert kept.tolist() == [False, True, False]


def test_wrong_input_is_refused(embedder: Embedder) -> None:
    with pytest.raises(DataError, match="2 originals and 1 variants"):
        keep_meaning(["a", "b"], ["a"], low=0, high=1, embedder=embedder)
    with pytest.raises(DataError, match="is empty"):
        keep_meaning(["a"], ["a"], low=0.9, high=0.8, embedder=embedder)
    head = fit_head(embedder.embed(["cat", "dog"]), ["c", "d"])
    with pytest.raises(DataError, match="1 texts and 0 labels"):
        label_survives(["cat"], [], head, embedder)


def test_a_text_that_changed_sides_does_not_survive(embedder: Embedder) -> None:
    cats = ["the cat sat on a mat", "a cat sat on the mat", "cat sat on a mat"]
    texts, labels = [*cats, "dog", "the dog", "a dog"], ["c"] * 3 + ["d"] * 3
    head = fit_head(embedder.embed(texts), labels)
    assert head.classify(embedder.embed(texts)) == labels
    changed = ["the cat sat on the mat", "dog", "the dog", "a dog"]
    assert label_survives(changed, ["c", "c", "d", "unknown"], head, embedder).tolist() == [True, False, True, False]
    assert label_survives([], [], head, embedder).shape == (0,)
