"""Two ways to compute a gradient: their distance and their times, and nothing moved by it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tunewright.train.trial import Ways


class Two:
    """A gradient of (3, 4) times the step's number, the second way longer by a factor, and with a number drawn."""

    def __init__(self, factor: float, seconds: tuple[float, ...] = ()) -> None:
        self.weight = torch.nn.Parameter(torch.zeros(2))
        self.factor, self.second = factor, False
        self.drawn: list[float] = []
        self.order: list[tuple[int, bool]] = []
        self._clock = self._ticks(seconds)
        self.ways = Ways(self.gradient, {"weight": self.weight}, self.switch, clock=lambda: next(self._clock))

    def gradient(self, step: int) -> None:
        self.order.append((step, self.second))
        self.drawn.append(float(torch.rand(())))
        scale = step * (self.factor if self.second else 1.0)
        (self.weight * torch.tensor([3.0, 4.0]) * scale).sum().backward()

    def switch(self, second: bool) -> None:
        self.second = second

    def _ticks(self, seconds: tuple[float, ...]) -> Iterator[float]:
        now = 0.0
        for taken in seconds:
            yield now
            now += taken
            yield now


def test_the_difference_is_relative_to_the_gradients_length() -> None:
    two = Two(1.25)
    assert two.ways.difference(2) == pytest.approx(0.25)
    assert Two(1.0).ways.difference(2) == 0.0


def test_no_gradient_at_all_has_no_length_to_be_relative_to() -> None:
    assert Two(1.25).ways.difference(0) == 0.0


def test_seconds_are_each_ways_own_whichever_comes_first() -> None:
    two = Two(1.0, (2.0, 1.0, 1.5, 3.0, 4.0, 0.5))
    done: list[int] = []
    assert two.ways.seconds([5, 6, 7], done.append) == ([2.0, 3.0, 4.0], [1.0, 1.5, 0.5])
    assert two.order == [(5, False), (5, True), (6, True), (6, False), (7, False), (7, True)]
    assert done == [1, 2, 3]


def test_both_ways_draw_the_same_numbers_and_leave_no_trace() -> None:
    two = Two(2.0, (1.0,) * 4)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    two.ways.difference(1)
    two.ways.seconds([1, 2], lambda done: None)
    assert len(set(two.drawn)) == 1
    assert torch.equal(torch.get_rng_state(), state)
    assert two.weight.grad is None
