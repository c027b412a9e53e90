"""What the metrics of a likelihood share: which references have one, and its mean over their tokens or bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tunewright.base.errors import InputError
from tunewright.metrics._answer import Answer, name_ids, require_answers
from tunewright.metrics._measure import Formula, Measure, ratio


def mean_likelihood(
    metric: str, answers: Sequence[Answer], *, unit: str, size: Callable[[Answer], int], value: Formula
) -> list[Measure]:
    """A measure of the nats per unit of each reference text; none at all where the system gives no likelihoods.

    Args:
        metric: The measure's name.
        answers: What a system said.
        unit: What `size` counts: "token", "byte".
        size: How many of them a reference has.
        value: The metric of nats per unit. Resamples are reduced as a ratio, summed nats over summed units.

    Raises:
        InputError: If only some references have a likelihood, one is not finite, or one has no unit.
    """
    require_answers(metric, answers)
    if all(answer.nats is None for answer in answers):
        return []
    sizes = [size(answer) for answer in answers]
    broken = [
        answer.id
        for answer, units in zip(answers, sizes, strict=True)
        if answer.nats is None or not math.isfinite(answer.nats) or units < 1
    ]
    if broken:
        raise InputError(
            f"References without a finite log-likelihood over at least one {unit}: {name_ids(broken)}",
            where=metric,
            hint="A model that gives NaN has diverged: train again with a lower train.learning_rate.",
        )
    return [ratio(metric, np.array([answer.nats for answer in answers]), np.array(sizes), value)]
