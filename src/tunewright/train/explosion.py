"""When a loss has left its level for good."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PATIENCE_STEPS = 10  # a spike that heals is shorter
LEVEL_STEPS = 100
FEWEST_STEPS = 20  # below so many there is no level to speak of


def bound(losses: Sequence[float]) -> float:
    """The loss from which on a step is far above the level of the steps before it.

    The level is the mean of the last `LEVEL_STEPS` losses, in nats. Far above it is what exceeds it by each of: 1 nat,
    twice the level itself, four standard deviations. Single batches reach that now and then, many in a row do not.
    """
    newest = np.array(losses[-LEVEL_STEPS:])
    level = float(newest.mean())
    return level + max(1.0, 2.0 * abs(level), 4.0 * float(newest.std()))


def steps_far_above(losses: Sequence[float]) -> int:
    """How many of the newest losses in a row are far above the level before them: 0 to `PATIENCE_STEPS`."""
    for run in range(min(PATIENCE_STEPS, len(losses) - FEWEST_STEPS), 0, -1):
        if min(losses[-run:]) > bound(losses[: len(losses) - run][-LEVEL_STEPS:]):
            return run
    return 0
