from __future__ import annotations

import pytest

from tunewright.train.diagnosis import Curves, Diagnosis, diagnose, diagnose_rewards


def curves(train: list[float], validation: list[tuple[int, float]], *, planned: int = 0) -> Curves:
    points = [(step, loss) for step, loss in enumerate(train, start=1)]
    return Curves(train=points, validation=validation, steps_an_epoch=20, planned=planned or len(train))


def line(first: float, last: float, steps: int = 40) -> list[float]:
    return [first + (last - first) * step / (steps - 1) for step in range(steps)]


def test_overfitting_is_a_rise_on_rows_not_learned_while_those_learned_go_on_falling() -> None:
    found = diagnose(curves(line(2.0, 0.44), [(10, 1.0), (20, 0.8), (30, 0.9), (40, 1.1)]))
    assert found.verdict == "overfitting"
    # The training loss at steps 11 to 20 and 31 to 40 of a line from 2 to 0.44.
    assert found.evidence == (
        "The validation loss rose from 0.8 at step 20 to 1.1 at step 40, "
        "while the training loss fell from 1.42 to 0.62."
    )
    assert "Train for 1 epochs (train.epochs)" in found.advice
    assert str(found).startswith("Overfitting: The validation loss rose")


def test_both_rising_is_not_overfitting() -> None:
    rising = line(1.0, 0.5, 20) + line(0.5, 3.0, 20)
    assert diagnose(curves(rising, [(10, 1.0), (20, 0.8), (30, 1.9), (40, 3.1)])).verdict != "overfitting"


def test_a_rise_within_the_noise_is_none() -> None:
    found = diagnose(curves(line(2.0, 0.5), [(10, 1.0), (20, 0.81), (30, 0.80), (40, 0.815)]))
    assert found.verdict == "neither"
    assert found.evidence == "The validation loss is 0.815 at step 40, at its best 0.8 (step 30)."


def test_underfitting_is_a_training_loss_that_hardly_falls() -> None:
    found = diagnose(curves(line(2.0, 1.98), [(10, 2.0), (20, 1.99), (30, 1.99), (40, 1.99)]))
    assert found.verdict == "underfitting"
    assert "hardly fell: 2 over the first tenth of the steps, 1.98 over the last" in found.evidence
    assert "train.learning_rate" in found.advice


def test_underfitting_is_steps_that_ran_out_while_the_loss_still_fell() -> None:
    validation = [(10, 1.6), (20, 1.2), (30, 0.9), (40, 0.7)]
    found = diagnose(curves(line(2.0, 0.7), validation))
    assert found.verdict == "underfitting"
    assert "from 0.9 at step 30 to 0.7 at step 40" in found.evidence
    assert "train.epochs" in found.advice
    # A run that was to go on was not cut short by its plan.
    assert diagnose(curves(line(2.0, 0.7), validation, planned=80)).verdict == "neither"


def test_a_curve_that_has_come_to_rest_is_neither() -> None:
    found = diagnose(curves(line(2.0, 0.5), [(10, 1.0), (20, 0.62), (30, 0.60), (40, 0.59)]))
    assert (found.verdict, found.advice) == ("neither", "")


@pytest.mark.parametrize("validation", [[], [(40, 0.5)], [(20, 0.6), (40, 0.5)]])
def test_too_few_validations_tell_nothing(validation: list[tuple[int, float]]) -> None:
    found = diagnose(curves(line(2.0, 0.5), validation))
    assert found.verdict == "unknown"
    assert "train.validate_every" in found.advice


def of_rewards(train: list[float], validation: list[tuple[int, float]]) -> Diagnosis:
    return diagnose_rewards([(step, reward) for step, reward in enumerate(train, start=1)], validation)


def test_rewards_that_rise_are_neither() -> None:
    found = of_rewards(line(0.1, 0.88), [(20, 0.4), (40, 0.7)])
    assert (found.verdict, found.advice) == ("neither", "")
    # The first and the last four of 40 steps, 0.02 apart.
    assert found.evidence == (
        "The mean reward went from 0.13 over the first tenth of the steps to 0.85 over the last. "
        "On validation rows it is 0.7 at step 40, at its best 0.7 (step 40)."
    )


def test_rewards_without_validation_are_told_by_the_training_rows_alone() -> None:
    found = of_rewards(line(0.1, 0.88), [])
    assert (found.verdict, "validation" in found.evidence) == ("neither", False)
    assert of_rewards([0.5], []).verdict == "underfitting"


@pytest.mark.parametrize("last", [0.3, 0.1])
def test_rewards_that_do_not_rise_are_underfitting(last: float) -> None:
    found = of_rewards(line(0.3, last), [(10, 0.3), (20, 0.3), (40, 0.3)])
    assert found.verdict == "underfitting"
    assert "`telling` is near 0" in found.advice


def test_rewards_that_rise_on_the_training_rows_alone_are_overfitting() -> None:
    found = of_rewards(line(0.1, 0.88), [(10, 0.3), (20, 0.6), (40, 0.5)])
    assert found.verdict == "overfitting"
    assert "0.5 at step 40, at its best 0.6 (step 20)" in found.evidence
    assert "please the grader alone" in found.advice


def test_rewards_that_fall_on_all_rows_are_not_overfitting() -> None:
    falling = line(0.1, 0.9, 20) + line(0.9, 0.3, 20)
    assert of_rewards(falling, [(10, 0.3), (20, 0.8), (40, 0.5)]).verdict == "neither"


@pytest.mark.parametrize(
    ("validation", "verdict"),
    [
        ([(10, 0.3), (20, 0.6), (40, 0.58)], "neither"),  # 0.02 below: less than 5 % of the best, 0.03
        ([(10, -9.0), (20, 0.6), (40, 0.5)], "neither"),  # 0.1 below: less than 5 % of the range, 0.48
        ([(10, -9.0), (20, -2.0), (40, -2.5)], "overfitting"),  # of rewards below 0: 0.5 is more than 0.1 and 0.35
        ([(20, 0.6), (40, 0.3)], "neither"),  # two validations are too few
    ],
)
def test_a_fall_of_the_reward_within_the_noise_is_none(validation: list[tuple[int, float]], verdict: str) -> None:
    assert of_rewards(line(0.1, 0.88), validation).verdict == verdict
