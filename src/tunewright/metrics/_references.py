"""Answers with several right references: pairs of an answer and a reference, and the best pair of each answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunewright.metrics._answer import Answer
from tunewright.metrics._measure import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Answers beside references.

    Args:
        given: The answer of each pair.
        wanted: The reference of each pair.
        first: Number of the first pair of each answer, shape (n,).
    """

    given: list[str]
    wanted: list[str]
    first: Ints


def pairs_of(answers: Sequence[Answer]) -> Pairs:
    """Each answer beside each of its references, the main one first."""
    counts = [1 + len(answer.references) for answer in answers]
    return Pairs(
        given=[answer.prediction for answer, count in zip(answers, counts, strict=True) for _ in range(count)],
        wanted=[right for answer in answers for right in (answer.reference, *answer.references)],
        first=np.cumsum([0, *counts[:-1]], dtype=np.int64),
    )


def best_of(scores: Floats, pairs: Pairs) -> Ints:
    """For each answer the number of its best pair, the first one of equals: shape (n,)."""
    if len(pairs.first) == len(scores):
        return pairs.first
    best = np.repeat(np.maximum.reduceat(scores, pairs.first), np.diff([*pairs.first, len(scores)]))
    number = np.where(scores == best, np.arange(len(scores)), len(scores))
    return np.minimum.reduceat(number, pairs.first)
