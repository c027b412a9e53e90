"""Answers that a model drew for a row, and what each was worth: what reinforcement learns from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Attempt:
    """One answer.

    Args:
        tokens: Its token ids, that of the stop token that ended it among them, shape (A,), one at least.
        logp: Log-probability of each under the model that drew them, in nats, shape (A,).
        reward: What it is worth; the more the better, on whatever scale.
    """

    tokens: NDArray[np.int32]
    logp: NDArray[np.float32]
    reward: float


def imagined(answers: int, length: int, *, row: int = 0) -> tuple[Attempt, ...]:
    """Answers as long as they may get, which share nothing: what a step of them takes at most.

    Args:
        answers: How many.
        length: Their tokens.
        row: Rows of one step with different numbers share no answer, even behind the same prompt.
    """
    return tuple(
        Attempt(np.full(length, number, dtype=np.int32), np.zeros(length, dtype=np.float32), float(number))
        for number in range(row * answers, (row + 1) * answers)
    )
