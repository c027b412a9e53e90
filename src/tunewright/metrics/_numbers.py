"""Numbers that an answer may come with (likelihood, time, tokens): all answers have one, or none has."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tunewright.base.errors import InputError
from tunewright.metrics._answer import Answer, name_ids, require_answers
from tunewright.metrics._measure import Floats


def read_numbers(
    metric: str,
    answers: Sequence[Answer],
    get: Callable[[Answer], float | None],
    *,
    what: str,
    hint: str,
    least: float = 0.0,
    largest: float = math.inf,
) -> Floats | None:
    """A number of each answer, shape (n,); None where no answer has one.

    Args:
        get: Reads it off an answer.
        what: What it is, in an error: "a time".
        hint: What to do where it is missing or no number.
        least: The smallest number that makes sense.
        largest: The largest.

    Raises:
        InputError: If there are no answers, only some have one, or one is NaN, infinite, too small or too large;
            names the answers.
    """
    require_answers(metric, answers)
    found = [get(answer) for answer in answers]
    if all(value is None for value in found):
        return None
    broken = [
        answer.id
        for answer, value in zip(answers, found, strict=True)
        if value is None or not math.isfinite(value) or not least <= value <= largest
    ]
    if broken:
        raise InputError(f"Answers without {what}: {name_ids(broken)}", where=metric, hint=hint)
    numbers: Floats = np.array(found, dtype=np.float64)
    return numbers
