"""Stops a run that comes apart, and says at which step, on which rows, and what is left."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from tunewright.base.errors import TrainingDivergedError
from tunewright.train import checkpoint
from tunewright.train.explosion import LEVEL_STEPS, PATIENCE_STEPS, steps_far_above

if TYPE_CHECKING:
    from tunewright.train.checkpoint import Progress
    from tunewright.train.ranks.group import Ranks
    from tunewright.train.rows import Rows
    from tunewright.train.schedule import Order

_WATCHED_STEPS = LEVEL_STEPS + PATIENCE_STEPS


class Watch:
    """Looks at the numbers of each step.

    Args:
        place: Where the run's checkpoints are.
        learning_rate: The recipe's.
        rows: What is learned from.
        order: Which rows each step learns from.
        ranks: The first process alone removes checkpoints.
    """

    def __init__(self, place: Path, learning_rate: float, rows: Rows, order: Order, ranks: Ranks) -> None:
        self._place, self._rate, self._rows, self._order, self._ranks = place, learning_rate, rows, order, ranks

    def finite(self, value: float, what: str, step: int, *, weights_of: int | None = None) -> None:
        """Raises a `TrainingDivergedError` if a number is none; `weights_of` as in `_diverged`."""
        if not math.isfinite(value):
            raise self._diverged(f"The {what} is not a finite number", step, weights_of=weights_of)

    def level(self, progress: Progress) -> int:
        """How many steps in a row the loss has been far above its level.

        Raises:
            TrainingDivergedError: If it has left its level for good.
        """
        losses = [row[1] for row in progress.train[-_WATCHED_STEPS:]]
        far_above = steps_far_above(losses)
        if far_above == PATIENCE_STEPS:
            first = progress.step - far_above + 1
            what = f"From this step on the loss was far above its level: {losses[-far_above]:.3g} to {losses[-1]:.3g}"
            raise self._diverged(f"{what} over {far_above} steps", first)
        return far_above

    def _diverged(self, what: str, step: int, *, weights_of: int | None = None) -> TrainingDivergedError:
        """The error for a step, counted from 1: names its rows, and what the user still has.

        Args:
            weights_of: The step that made the weights with which it was seen; by default the one before. Checkpoints
                from there on hold them, and are removed.
        """
        if self._ranks.is_first:
            checkpoint.discard(self._place, since=step - 1 if weights_of is None else weights_of)
        kept = checkpoint.newest_good(self._place)
        last = f"the last good checkpoint is {kept}" if kept else "no checkpoint was written yet"
        return TrainingDivergedError(
            f"{what} (rows {self._rows.names(self._order.of_step(step - 1))})",
            where=f"step {step}",
            hint=f"Lower train.learning_rate or look at these rows; {last}.",
            learning_rate=self._rate,
            has_checkpoint=kept is not None,
        )
