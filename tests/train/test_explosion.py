from __future__ import annotations

import random

import pytest

from tunewright.train.explosion import PATIENCE_STEPS, bound, steps_far_above


def test_far_above_is_the_widest_of_three_margins() -> None:
    assert bound([0.2] * 50) == pytest.approx(0.2 + 1.0)  # a nat
    assert bound([2.0] * 50) == pytest.approx(2.0 + 4.0)  # twice the level
    assert bound([-2.0] * 50) == pytest.approx(-2.0 + 4.0)
    assert bound([0.0, 2.0] * 25) == pytest.approx(1.0 + 4.0)  # four standard deviations of 1


def test_only_the_last_hundred_steps_make_the_level() -> None:
    assert bound([50.0] * 30 + [0.2] * 100) == pytest.approx(1.2)


@pytest.mark.parametrize(("high", "counted"), [(0, 0), (1, 1), (3, 3), (10, PATIENCE_STEPS)])
def test_high_steps_in_a_row_are_counted(high: int, counted: int) -> None:
    assert steps_far_above([0.5] * 60 + [7.0] * high) == counted


def test_one_good_step_ends_the_count() -> None:
    assert steps_far_above([0.5] * 40 + [7.0] * 9 + [0.5]) == 0


def test_a_beginning_has_no_level() -> None:
    assert steps_far_above([0.5] * 19 + [9.0]) == 0
    assert steps_far_above([0.5] * 20 + [9.0]) == 1
    assert steps_far_above([]) == 0


def test_a_falling_loss_and_one_that_jumps_about_are_left_alone() -> None:
    falling = [6.0 * 0.97**step for step in range(300)]
    rng = random.Random(1)
    # One row a step, right or wrong: far apart, and no explosion.
    jumping = [rng.choice([0.01, 0.05, 3.0]) for _ in range(2000)]
    for losses in (falling, jumping):
        assert max(steps_far_above(losses[max(0, n - 110) : n]) for n in range(len(losses))) < PATIENCE_STEPS / 2
