from __future__ import annotations

import math

import numpy as np
import pytest

from tunewright.base.seeds import derive
from tunewright.data.balance import Draws
from tunewright.recipe.schema import Train
from tunewright.train.schedule import Order, kept_steps, learning_rate, validation_steps


def test_each_epoch_holds_every_row_once_in_another_order() -> None:
    order = Order(rows=10, batch_size=4, epochs=2, seed=1)
    drawn = [row for step in range(order.steps) for row in order.of_step(step)]
    assert order.steps == 5
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(10))
    assert drawn[:10] != drawn[10:]


def test_last_step_may_be_short_and_epochs_need_not_be_whole() -> None:
    order = Order(rows=10, batch_size=4, epochs=0.5, seed=1)
    assert [len(order.of_step(step)) for step in range(order.steps)] == [4, 1]


def test_order_follows_the_seed() -> None:
    assert Order(50, 50, 1, seed=1).of_step(0) == Order(50, 50, 1, seed=1).of_step(0)
    assert Order(50, 50, 1, seed=1).of_step(0) != Order(50, 50, 1, seed=2).of_step(0)


@pytest.mark.parametrize(
    ("schedule", "middle"), [("cosine", 0.5 * (1 + math.cos(math.pi * 0.5))), ("linear", 0.5), ("constant", 1.0)]
)
def test_rate_rises_then_follows_the_schedule(schedule: str, middle: float) -> None:
    config = Train(warmup_share=0.2, schedule=schedule)  # type: ignore[arg-type]
    rates = [learning_rate(step, 10, 1.0, config) for step in range(10)]
    assert rates[:2] == [0.5, 1.0]
    assert rates[6] == pytest.approx(middle)  # 4 of the 8 steps after the warm-up are gone


def test_rate_ends_at_its_final_share() -> None:
    config = Train(warmup_share=0, schedule="linear", final_rate_share=0.25)
    assert learning_rate(100, 100, 2.0, config) == pytest.approx(0.5)


def test_validation_is_always_after_the_last_step() -> None:
    order = Order(rows=100, batch_size=10, epochs=2, seed=0)
    assert sorted(validation_steps(order, 0.5)) == [5, 10, 15, 20]
    assert sorted(validation_steps(order, 7)) == [7, 14, 20]
    assert sorted(validation_steps(order, 1000)) == [20]


def test_a_share_of_an_epoch_that_is_no_whole_step_validates_once_at_the_end() -> None:
    order = Order(rows=564, batch_size=4, epochs=1, seed=0)  # half an epoch is 70.5 steps
    assert sorted(validation_steps(order, 0.5)) == [71, 141]
    tiny = Order(rows=6, batch_size=4, epochs=1, seed=0)  # an eighth is less than one step
    assert sorted(validation_steps(tiny, 0.125)) == [1, 2]


def test_wsd_holds_the_peak_and_falls_at_the_end() -> None:
    config = Train(warmup_share=0.2, schedule="wsd", decay_share=0.4)
    rates = [learning_rate(step, 10, 1.0, config) for step in range(10)]
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


def test_wsd_falls_to_its_final_share_and_may_do_without_a_fall() -> None:
    config = Train(warmup_share=0, schedule="wsd", decay_share=0.5, final_rate_share=0.2)
    assert learning_rate(10, 10, 2.0, config) == pytest.approx(0.4)
    assert learning_rate(9, 10, 2.0, Train(schedule="wsd", decay_share=0)) == 2.0


def test_an_epoch_holds_the_share_of_general_rows_and_every_own_row_once() -> None:
    order = Order(rows=18, batch_size=5, epochs=2, seed=1, general=100, replay=0.1)
    drawn = [row for step in range(order.steps) for row in order.of_step(step)]
    assert (order.replayed, order.epoch, len(drawn)) == (2, 20, 40)  # 2 of 20
    for epoch in (drawn[:20], drawn[20:]):
        assert sorted(row for row in epoch if row < 18) == list(range(18))
        assert sum(row >= 18 for row in epoch) == 2


def test_general_rows_are_gone_round_before_one_comes_again() -> None:
    order = Order(rows=10, batch_size=10, epochs=6, seed=1, general=4, replay=1 / 6)  # 2 an epoch
    general = [row for step in range(order.steps) for row in order.of_step(step) if row >= 10]
    assert len(general) == 12
    for lap in (general[:4], general[4:8], general[8:]):
        assert sorted(lap) == [10, 11, 12, 13]


def test_a_small_share_replays_one_row_at_least() -> None:
    assert Order(rows=10, batch_size=4, epochs=1, seed=1, general=5, replay=0.001).replayed == 1


def test_without_replay_the_order_is_what_it_was() -> None:
    # Worked out by numpy alone: the permutation of the epoch's own seed.
    expected = np.random.default_rng(derive(3, "order", 1)).permutation(7).tolist()
    order = Order(rows=7, batch_size=7, epochs=2, seed=3, general=50, replay=0.0)
    assert order.of_step(1) == expected


def test_an_epoch_holds_each_group_as_often_as_drawn_and_its_share_of_general_rows() -> None:
    draws = Draws((np.arange(6), np.arange(6, 8)), (3, 6))
    order = Order(rows=8, batch_size=5, epochs=2, seed=1, general=4, replay=0.1, draws=draws)
    drawn = [row for step in range(order.steps) for row in order.of_step(step)]
    assert (order.drawn, order.replayed, order.epoch, len(drawn)) == (9, 1, 10, 20)
    for epoch in (drawn[:10], drawn[10:]):
        assert sum(row < 6 for row in epoch) == 3
        assert sorted(row for row in epoch if 6 <= row < 8) == [6, 6, 6, 7, 7, 7]
        assert sum(row >= 8 for row in epoch) == 1
    # Two epochs of three rows each go once round the six.
    assert sorted(row for row in drawn if row < 6) == list(range(6))
    again = Order(rows=8, batch_size=5, epochs=2, seed=1, general=4, replay=0.1, draws=draws)
    assert [row for step in range(again.steps) for row in again.of_step(step)] == drawn


def test_the_ends_of_the_last_epochs_are_kept() -> None:
    # 10 rows, 3 a step: the epochs end within steps 4, 7 and 10 (3.33, 6.67, 10).
    order = Order(rows=10, batch_size=3, epochs=3, seed=1)
    assert kept_steps(order, 0) == frozenset()
    assert kept_steps(order, 2) == {7, 10}
    assert kept_steps(order, 9) == {4, 7, 10}
    # The second epoch is cut short: 15 rows are 5 steps.
    assert kept_steps(Order(rows=10, batch_size=3, epochs=1.5, seed=1), 3) == {4, 5}
    assert kept_steps(Order(rows=4, batch_size=16, epochs=3, seed=1), 3) == {1}


def test_steps_in_a_row_may_learn_from_the_same_rows() -> None:
    order, once = (Order(rows=10, batch_size=4, epochs=2, seed=1, repeats=each) for each in (3, 1))
    assert (order.steps, order.places) == (15, 20)  # five times three, and still each row once an epoch
    assert [order.draw_of(step) for step in range(order.steps)] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    assert [order.of_step(step) for step in range(order.steps)] == [once.of_step(step // 3) for step in range(15)]
    # An epoch of 2.5 groups of rows is 7.5 steps, and its last rows are learned from until step 9.
    assert order.steps_an_epoch == 7.5
    assert sorted(validation_steps(order, 0.5)) == [4, 8, 12, 15]
    assert kept_steps(order, 2) == {9, 15}
