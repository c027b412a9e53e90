"""Whether a changed text still says what the original said, and still deserves its label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunewright.base.errors import DataError
from tunewright.data.meaning.embedding import Embedder
from tunewright.data.meaning.head import Head
from tunewright.data.meaning.vectors import Vectors


def keep_meaning(
    originals: Sequence[str], variants: Sequence[str], *, low: float, high: float, embedder: Embedder
) -> tuple[Vectors, NDArray[np.bool_]]:
    """Which variants mean what their originals mean, and are not the same over again.

    Args:
        originals: The texts that were changed.
        variants: What each became, in the same order.
        low: Lowest cosine that still counts as the same meaning.
        high: Highest cosine that still adds something: above it a variant is a copy.
        embedder: Gives the vectors.
    Returns:
        The cosine of each pair, and whether it lies in the band; both of shape (n,).
    Raises:
        DataError: If the numbers of texts differ, or the band is empty.
    """
    if len(originals) != len(variants):
        raise DataError(f"There are {len(originals):,} originals and {len(variants):,} variants", where="keep_meaning")
    if low > high:
        raise DataError(
            f"The similarity band from {low} to {high} is empty", where="keep_meaning", hint="Lower its low end."
        )
    # One call, so that an original that many variants share is computed once.
    vectors = embedder.embed([*originals, *variants])
    similarity: Vectors = np.einsum("nw,nw->n", vectors[: len(originals)], vectors[len(originals) :])
    return similarity, (similarity >= low) & (similarity <= high)


def label_survives(texts: Sequence[str], labels: Sequence[str], head: Head, embedder: Embedder) -> NDArray[np.bool_]:
    """Which texts a classifier still gives their label.

    Args:
        texts: Changed texts.
        labels: The labels of their originals.
        head: Learned from original rows: `fit_head(embedder.embed(texts), labels)`. A label that it has not learned
            cannot be checked, so it does not survive.
        embedder: Gives the vectors; the one that the head learned from.
    Returns:
        Shape (n,).
    Raises:
        DataError: If the numbers of texts and labels differ.
    """
    if len(texts) != len(labels):
        raise DataError(f"There are {len(texts):,} texts and {len(labels):,} labels", where="label_survives")
    if not texts:
        return np.zeros(0, dtype=np.bool_)
    given = head.classify(embedder.embed(texts))
    return np.array([found == label for found, label in zip(given, labels, strict=True)], dtype=np.bool_)
