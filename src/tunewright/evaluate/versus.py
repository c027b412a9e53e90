"""Several systems on the same rows, each against the first: scores, paired tests, and for whom it got worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunewright.base.errors import InputError
from tunewright.base.plugins import PluginConfig
from tunewright.evaluate.answer import Answers
from tunewright.evaluate.evaluate import MAIN_METRIC, AnswerKind, Evaluation, evaluate, measures_of
from tunewright.evaluate.paired import Difference, corrected, difference
from tunewright.evaluate.slices import Slicing
from tunewright.metrics import default_metrics
from tunewright.metrics._answer import name_ids

# Metrics of how likely a model finds the right answer; those of two models that read rows differently do not compare.
_LIKELIHOODS = ("perplexity", "bits_per_byte")


@dataclass(frozen=True)
class Versus:
    """What a comparison found.

    Args:
        systems: Their names; the first one is what the others are held against.
        metric: What the verdict is about.
        evaluation: The scores of all, slices of the last against the first included.
        differences: Each other system less the first, on each metric, corrected over all of these tests.
        left_out: By system, rows that it answered and not all of the others did.
    """

    systems: tuple[str, ...]
    metric: str
    evaluation: Evaluation
    differences: tuple[Difference, ...]
    left_out: dict[str, int]

    def on(self, metric: str) -> list[Difference]:
        """The differences on one metric, by system."""
        return [found for found in self.differences if found.metric == metric]


def compare(
    answers_by_system: Mapping[str, Answers],
    *,
    answer_kind: AnswerKind,
    seed: int,
    metrics: Sequence[PluginConfig] = (),
    samples: int = 2000,
    slicing: Slicing | None = None,
) -> Versus:
    """Compares systems on the rows that all of them answered.

    Args:
        answers_by_system: In order; the first one is what the others are held against.
        answer_kind: What an answer is.
        seed: Of resamples and swaps.
        metrics: Empty: those that fit the kind of answer. Likelihoods are compared only where they are asked for.
        samples: Resamples, and swaps.
        slicing: What rows are looked at apart by.

    Raises:
        InputError: If there are fewer than two systems, they have no row in common, or a row's right answer is another
            one for each.
    """
    if len(answers_by_system) < 2:
        raise InputError("To compare takes two systems", where="compare")
    shared, left_out = _shared(answers_by_system)
    configs = list(metrics) or default_metrics(answer_kind)
    drawing: dict[str, Any] = {"samples": samples, "seed": seed}
    evaluation = evaluate(shared, answer_kind=answer_kind, metrics=configs, slicing=slicing, **drawing)
    order = [answer.id for answer in next(iter(shared.values())).answers]
    measures = {name: measures_of(_in_order(given, order), configs) for name, given in shared.items()}
    first, *others = measures
    tested = [name for name in measures[first] if metrics or name not in _LIKELIHOODS]
    if not tested or not any(name in measures[other] for name in tested for other in others):
        raise InputError("The systems have no metric in common", where="compare", hint="Name one with --metrics.")
    found = [
        difference(measures[other][name], measures[first][name], a=other, b=first, **drawing)
        for other in others
        for name in tested
        if name in measures[other]
    ]
    main = MAIN_METRIC[answer_kind]
    return Versus(tuple(measures), main if main in tested else tested[0], evaluation, tuple(corrected(found)), left_out)


def _in_order(given: Answers, order: Sequence[str]) -> Answers:
    by_id = {answer.id: answer for answer in given.answers}
    return replace(given, answers=tuple(by_id[row] for row in order))


def _shared(answers_by_system: Mapping[str, Answers]) -> tuple[dict[str, Answers], dict[str, int]]:
    """The answers to the rows that every system answered, and how many others each one answered."""
    ids = {name: [answer.id for answer in given.answers] for name, given in answers_by_system.items()}
    everyone = set.intersection(*map(set, ids.values()))
    if not everyone:
        (first, ours), (second, theirs) = list(ids.items())[:2]
        raise InputError(
            f"The systems have no row in common: '{first}' answered {name_ids(ours)}, and '{second}' "
            f"{name_ids(theirs)}",
            where="compare",
            hint="Let them answer the same file (--data), or give both files the same ids.",
        )
    shared = {
        name: replace(given, answers=tuple(answer for answer in given.answers if answer.id in everyone))
        for name, given in answers_by_system.items()
    }
    return shared, {name: len(own) - len(everyone) for name, own in ids.items() if len(own) > len(everyone)}
