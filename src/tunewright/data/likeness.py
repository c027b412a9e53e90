"""Ways in which one text may stand among others: nearly, by a long run of words, by what it means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from tunewright.base.errors import ModelError
from tunewright.base.events import Listener, ignore
from tunewright.data.minhash import Integers
from tunewright.data.near import NEAR, nearest, words_of
from tunewright.data.quality.ngrams import overlaps, run_length

Way = Literal["near", "ngram", "meaning"]
Match = Callable[[Sequence[str], Sequence[str]], Integers]


def matcher(way: Way, *, cache: Path | None, listener: Listener = ignore) -> Match:
    """Finds, for each text, the first of the others it is like, or -1; shape (texts,).

    Args:
        way: `near` (Jaccard similarity of 0.85), `ngram` (a shared run of 8 to 13 words), `meaning` (cosine of 0.95).
        cache: Where the text encoder lies, and vectors are kept.
        listener: Hears how far the encoder is.

    Raises:
        ModelError: If meanings are to be compared, and the encoder is not on this machine.
    """
    if way == "near":
        return lambda texts, others: nearest(texts, others, threshold=NEAR).kept_by
    if way == "ngram":
        return _by_runs
    return _by_meaning(cache, listener)


def same_words(texts: Sequence[str], others: Sequence[str]) -> Integers:
    """For each text the first of the others with the same words, or -1; shape (texts,)."""
    place: dict[str, int] = {}
    for number, other in enumerate(others):
        place.setdefault(words_of(other), number)
    place.pop("", None)
    return np.array([place.get(words_of(text), -1) for text in texts], dtype=np.int64)


def _by_runs(texts: Sequence[str], others: Sequence[str]) -> Integers:
    ours, theirs = [words_of(text) for text in texts], [words_of(text) for text in others]
    # Runs of one length both ways: that of the shorter side's texts.
    return overlaps(ours, theirs, run_length(min(ours, theirs, key=len))).found_in


def _by_meaning(cache: Path | None, listener: Listener) -> Match:
    from tunewright.data.meaning import neighbours
    from tunewright.data.meaning.embedding import ENCODER, Embedder

    if cache is None:
        raise ModelError("Texts are to be compared by meaning, and there is no place for models", where="data.leakage")
    embedder = Embedder.open(ENCODER, cache, listener)

    def match(texts: Sequence[str], others: Sequence[str]) -> Integers:
        if not texts or not others:
            return np.full(len(texts), -1, dtype=np.int64)
        found, cosine = neighbours.nearest(embedder.spill([texts]), embedder.spill([others]))
        return np.where(cosine >= neighbours.THRESHOLD, found, -1)

    return match
