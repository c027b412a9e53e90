"""The same gradients computed two ways: how far apart they are, and which way is faster.

They move nothing: gradients are forgotten, and random states put back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tunewright.train.determinism import random_state, set_random_state
from tunewright.train.ranks.sharding import total_norm


@dataclass(frozen=True, slots=True)
class Ways:
    """Two ways to compute a gradient.

    Args:
        gradient: Adds the gradient of a step, by its number, to that of the weights.
        weights: What it is added to, by name.
        switch: Chooses the second way, or the first.
        clock: In seconds.
    """

    gradient: Callable[[int], object]
    weights: Mapping[str, Tensor]
    switch: Callable[[bool], None]
    clock: Callable[[], float] = time.monotonic

    def difference(self, step: int) -> float:
        """Length of the difference of both gradients of a step, over the gradient's length."""
        state = random_state()
        self.switch(False)
        self.gradient(step)
        length = total_norm(self._gradients())
        for gradient in self._gradients():
            gradient.neg_()  # the second one is added to it, so that no copy is kept
        set_random_state(state)
        self.switch(True)
        self.gradient(step)
        apart = total_norm(self._gradients())
        self.forget()
        set_random_state(state)
        return apart / length if length else apart

    def seconds(self, steps: Sequence[int], done: Callable[[int], object]) -> tuple[list[float], list[float]]:
        """What each step's gradient takes either way, in seconds; in turn, and each way first in its turn.

        Args:
            done: Called with the number of steps that were tried.
        """
        found: dict[bool, list[float]] = {False: [], True: []}
        for turn, step in enumerate(steps):
            for second in (False, True) if turn % 2 == 0 else (True, False):
                self.switch(second)
                found[second] += self.own_seconds([step])
            done(turn + 1)
        return found[False], found[True]

    def own_seconds(self, steps: Sequence[int]) -> list[float]:
        """What each step's gradient takes the way that is chosen, in seconds."""
        found = []
        for step in steps:
            state = random_state()
            found.append(self._timed(step))
            self.forget()
            set_random_state(state)
        return found

    def forget(self) -> None:
        """Leaves the weights without gradients."""
        for weight in self.weights.values():
            weight.grad = None

    def _timed(self, step: int) -> float:
        started = self.clock()
        self.gradient(step)
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.synchronize()
        return self.clock() - started

    def _gradients(self) -> list[Tensor]:
        return [weight.grad for weight in self.weights.values() if weight.grad is not None]
