"""What a run's curves say: too much training, too little, or neither, and what to change."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["overfitting", "underfitting", "neither", "unknown"]
Points = Sequence[tuple[int, float]]

RISE = 0.02  # of the best validation loss: a smaller rise is noise
FALL = 0.05  # of the validation loss, over the last quarter of the steps: a smaller fall is an end
LEARNED = 0.05  # of the first training loss: a smaller fall means that next to nothing was learned
FEWEST_VALIDATIONS = 3


@dataclass(frozen=True, slots=True)
class Curves:
    """Losses of a run, in nats, at steps counted from 1.

    Args:
        train: Step and loss of each step.
        validation: Step and loss of each validation, with the weights as they were then.
        steps_an_epoch: Steps in one pass over the training rows.
        planned: Steps that the run was to make.
    """

    train: Points
    validation: Points
    steps_an_epoch: float
    planned: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is the matter, the numbers that show it, and what to change; each a sentence or two."""

    verdict: Verdict
    evidence: str
    advice: str

    def __str__(self) -> str:
        title = {"neither": "Neither over- nor underfitting", "unknown": "Over- or underfitting cannot be told"}
        return f"{title.get(self.verdict, self.verdict.capitalize())}: {self.evidence} {self.advice}".rstrip()


def diagnose(curves: Curves) -> Diagnosis:
    """Tells overfitting from underfitting by the shape of the curves.

    The rule, the first that applies:

    1. unknown: fewer than three validations.
    2. overfitting: the last validation loss is more than 2 % above the best one, while the training loss (the mean
       over as many steps as lie between two validations) is lower at the end than around the best validation.
    3. underfitting: the training loss fell by less than 5 % from its first to its last tenth of steps.
    4. underfitting: the run went its planned way, the last validation is the best one, and over the last quarter of
       the steps the validation loss still fell by more than 5 %.
    5. neither.
    """
    if len(curves.validation) < FEWEST_VALIDATIONS:
        return Diagnosis(
            "unknown",
            f"There were {len(curves.validation)} validations, and it takes {FEWEST_VALIDATIONS}.",
            "Lower train.validate_every, and hold out validation rows.",
        )
    return _overfitting(curves) or _learned_little(curves) or _cut_short(curves) or _neither(curves)


def diagnose_rewards(train: Points, validation: Points) -> Diagnosis:
    """What the mean rewards of drawn answers say; where answers are drawn, the loss says nothing.

    The rule, the first that applies:

    1. overfitting: of three validations or more, the last one's reward is below the best by more than 5 % of it, and
       by more than 5 % of the validation rewards' range, while that of the training rows (the last tenth of the steps)
       is no lower than around the best validation.
    2. underfitting: the training reward did not rise from its first to its last tenth of steps.
    3. neither.

    Args:
        train: Step and mean reward of each step, before that step.
        validation: Step and mean reward of each validation.
    """
    tenth = max(1, len(train) // 10)
    values = [reward for _, reward in train]
    first, last = statistics.fmean(values[:tenth]), statistics.fmean(values[-tenth:])
    told = f"The mean reward went from {first:.3g} over the first tenth of the steps to {last:.3g} over the last."
    if validation:
        best_step, best = max(validation, key=lambda point: point[1])
        end_step, end = validation[-1]
        told += f" On validation rows it is {end:.3g} at step {end_step}, at its best {best:.3g} (step {best_step})."
        spread = best - min(reward for _, reward in validation)
        then = _mean_before(train, best_step, tenth)
        if len(validation) >= FEWEST_VALIDATIONS and best - end > max(FALL * abs(best), FALL * spread) and last >= then:
            return Diagnosis(
                "overfitting",
                told,
                "The weights of the best validation were kept. Train for fewer epochs, raise the objective's beta, "
                "or look at the answers that are rewarded (draws/ in the run's folder): they may please the grader "
                "alone.",
            )
    if last <= first:
        return Diagnosis(
            "underfitting",
            told,
            "Raise train.learning_rate, train.epochs or the objective's answers. Where `telling` is near 0, all "
            "answers to a prompt are worth the same: take a grader that gives points for a part, or easier prompts.",
        )
    return Diagnosis("neither", told, "")


def _overfitting(curves: Curves) -> Diagnosis | None:
    best_step, best = min(curves.validation, key=lambda point: point[1])
    last_step, last = curves.validation[-1]
    if last <= best * (1 + RISE):
        return None
    window = max(1, curves.validation[1][0] - curves.validation[0][0])
    then, now = (_mean_before(curves.train, step, window) for step in (best_step, last_step))
    if now >= then:
        return None  # both rise: the run came apart, which is another matter
    return Diagnosis(
        "overfitting",
        f"The validation loss rose from {best:.3g} at step {best_step} to {last:.3g} at step {last_step}, while the "
        f"training loss fell from {then:.3g} to {now:.3g}.",
        "The weights of the best validation were kept. Train for "
        f"{best_step / curves.steps_an_epoch:.2g} epochs (train.epochs), raise train.weight_decay or the method's "
        "dropout, set train.neftune_alpha or train.label_smoothing, train fewer weights, or add rows.",
    )


def _learned_little(curves: Curves) -> Diagnosis | None:
    tenth = max(1, len(curves.train) // 10)
    losses = [loss for _, loss in curves.train]
    first, last = statistics.fmean(losses[:tenth]), statistics.fmean(losses[-tenth:])
    if last < first * (1 - LEARNED):
        return None
    return Diagnosis(
        "underfitting",
        f"The training loss hardly fell: {first:.3g} over the first tenth of the steps, {last:.3g} over the last.",
        "Raise train.learning_rate or train.epochs, train more weights (a higher rank, more layers), or check that the "
        "answers follow from the prompts.",
    )


def _cut_short(curves: Curves) -> Diagnosis | None:
    last_step, last = curves.validation[-1]
    if last_step < curves.planned or last > min(loss for _, loss in curves.validation):
        return None
    step, before = max((point for point in curves.validation if point[0] <= 0.75 * last_step), default=(0, 0.0))
    if last >= before * (1 - FALL):
        return None
    return Diagnosis(
        "underfitting",
        f"The validation loss was still falling when the steps ran out: from {before:.3g} at step {step} to {last:.3g} "
        f"at step {last_step}.",
        "Raise train.epochs, or train.learning_rate if the training loss falls slowly from the start.",
    )


def _neither(curves: Curves) -> Diagnosis:
    best_step, best = min(curves.validation, key=lambda point: point[1])
    last_step, last = curves.validation[-1]
    return Diagnosis(
        "neither",
        f"The validation loss is {last:.3g} at step {last_step}, at its best {best:.3g} (step {best_step}).",
        "",
    )


def _mean_before(points: Points, step: int, window: int) -> float:
    """The mean of the values at the `window` steps up to `step`."""
    return statistics.fmean(value for at, value in points if step - window < at <= step)
