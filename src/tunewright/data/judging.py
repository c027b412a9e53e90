"""What judges an augmented text: how like its original it is, and whether it still has its class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tunewright.base.errors import DataError, ModelError
from tunewright.base.events import Listener, ignore
from tunewright.data.word_counts import WordCounts, fit_classifier

if TYPE_CHECKING:
    from tunewright.data.meaning.embedding import Embedder

# EDA's changes at its own strength (one word in ten) leave nearly all texts above these.
_LEAST = {"meaning": 0.8, "words": 0.5}


class Judge(Protocol):
    """Compares texts, and tells their classes."""

    measure: Literal["meaning", "words"]

    def similarity(self, originals: Sequence[str], variants: Sequence[str]) -> NDArray[np.float32]:
        """How like each variant is to its original, at most 1; shape (n,)."""
        ...

    def survives(self, texts: Sequence[str], labels: Sequence[str]) -> NDArray[np.bool_]:
        """Which texts a classifier of the training rows gives their label; shape (n,)."""
        ...


def least_similarity(judge: Judge, asked: float | None) -> float:
    """The least likeness that counts as the same meaning: as asked, or what suits the measure."""
    return _LEAST[judge.measure] if asked is None else asked


def find_judge(
    asked: Literal["auto", "meaning", "words"],
    texts: Sequence[str],
    labels: Sequence[str] | None,
    *,
    cache: Path | None,
    seed: int,
    listener: Listener = ignore,
) -> Judge:
    """The judge that a recipe asks for.

    Args:
        asked: What to compare by; auto: meaning where the text encoder is on this machine, else words.
        texts: Training texts to learn from.
        labels: Their classes; None where none are told apart.
        cache: Where models lie; None: nowhere.
        seed: For the classifier of words.
        listener: Hears of slow work.

    Raises:
        ModelError: If meaning is asked for, and the encoder is not on this machine.
    """
    if asked != "words":
        try:
            return _Meaning(open_embedder(cache, listener), texts, labels)
        except ModelError:
            if asked == "meaning":
                raise
    return _Words(texts, labels, seed)


def open_embedder(cache: Path | None, listener: Listener = ignore) -> Embedder:
    """The embedded text encoder, with its cache.

    Raises:
        ModelError: If it is not on this machine.
    """
    from tunewright.data.meaning.embedding import ENCODER, Embedder

    if cache is None:
        raise ModelError("There is no workspace here, and so no text encoder", hint="Compare by words.")
    return Embedder.open(ENCODER, cache, listener)


class _Meaning:
    measure: Literal["meaning", "words"] = "meaning"

    def __init__(self, embedder: Embedder, texts: Sequence[str], labels: Sequence[str] | None) -> None:
        from tunewright.data.meaning.head import fit_head

        self._embedder = embedder
        self._head = None if labels is None else fit_head(embedder.embed(texts), labels)

    def similarity(self, originals: Sequence[str], variants: Sequence[str]) -> NDArray[np.float32]:
        from tunewright.data.meaning.guard import keep_meaning

        return keep_meaning(originals, variants, low=-1.0, high=2.0, embedder=self._embedder)[0]

    def survives(self, texts: Sequence[str], labels: Sequence[str]) -> NDArray[np.bool_]:
        from tunewright.data.meaning.guard import label_survives

        if self._head is None:
            raise DataError("These rows have no classes that could be checked", where="data.augment.check_labels")
        return label_survives(texts, labels, self._head, self._embedder)


class _Words:
    measure: Literal["meaning", "words"] = "words"

    def __init__(self, texts: Sequence[str], labels: Sequence[str] | None, seed: int) -> None:
        self._counts = WordCounts(texts)
        self._classify = None if labels is None else fit_classifier(self._counts.features, labels, seed)

    def similarity(self, originals: Sequence[str], variants: Sequence[str]) -> NDArray[np.float32]:
        # Words and letter groups each have unit length, so a text's own product is 2, or less where none is known.
        ours, theirs = self._counts.of(originals), self._counts.of(variants)
        products = np.asarray(ours.multiply(theirs).sum(1), dtype=np.float32).ravel()
        lengths = [np.sqrt(np.asarray(each.multiply(each).sum(1), dtype=np.float32)).ravel() for each in (ours, theirs)]
        return np.asarray(products / np.maximum(lengths[0] * lengths[1], 1e-9), dtype=np.float32)

    def survives(self, texts: Sequence[str], labels: Sequence[str]) -> NDArray[np.bool_]:
        if self._classify is None:
            raise DataError("These rows have no classes that could be checked", where="data.augment.check_labels")
        found = self._classify(self._counts.of(texts))
        return np.array([one == other for one, other in zip(found, labels, strict=True)], dtype=np.bool_)
