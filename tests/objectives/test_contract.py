"""What every objective holds to: its loss is a sum over groups, whatever the forest shares and however it is cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from tests.objectives.making import drawn_row, models, row
from tunewright.base.plugins import OBJECTIVES
from tunewright.data.tokens import TokenRow
from tunewright.forest import Path, build, cut
from tunewright.forest.reference import score_with_reference
from tunewright.models import heads
from tunewright.objectives._protocol import LossSum, ObjectiveConfig

# Prompts and answers that begin alike, one pair twice, and one that stands alone.
TEXTS = [
    ([5, 6, 7], [8, 9, 2], [8, 4, 4, 2]),
    ([5, 6, 7], [8, 9, 2], [8, 4, 4, 2]),
    ([5, 6, 7], [3, 2], [9, 2]),
    ([5, 4], [7, 7, 2], [2]),
    ([9, 9, 9, 9], [4, 2], [4, 5, 2]),
]
CLASSES = ("a", "b", "c")

every_objective = pytest.mark.parametrize("name", OBJECTIVES.names())


@pytest.fixture(scope="module")
def model() -> Any:
    found = models()[2]
    for name in sorted({OBJECTIVES.config(each).head for each in OBJECTIVES.names()} - {""}):
        heads.attach(found, name, CLASSES, seed=4).requires_grad_(False)  # so that the adapter can be switched off
    return found


def made(name: str) -> Any:
    return OBJECTIVES.call(name, "build", OBJECTIVES.config(name)())


def rows_of(name: str) -> list[TokenRow]:
    config = OBJECTIVES.config(name)
    if config.documents:  # all of a text is learned, but for its first token
        return [row(asked[:1], [*asked[1:], *told]) for asked, told, _ in TEXTS]
    if config.draws:
        return [answered(asked, (told, other), config().answers) for asked, told, other in TEXTS]
    classes = CLASSES if config.head else ()
    return [row(*texts, classes=classes) for texts in TEXTS]


def answered(asked: list[int], answers: Sequence[list[int]], count: int) -> TokenRow:
    """So many drawn answers, the same again and again, of which each is worth one more than the one before."""
    chosen = [answers[number % len(answers)] for number in range(count)]
    return drawn_row(asked, *((answer, [-3.0] * len(answer), number) for number, answer in enumerate(chosen)))


def paths_of(name: str, rows: Sequence[int]) -> list[Path]:
    objective, made_rows = made(name), rows_of(name)
    return [path for group, row in enumerate(rows) for path in objective.paths(made_rows[row], row, group)]


def parts(objective: Any, model: Any, paths: Sequence[Path], budget: int = 10_000) -> list[LossSum]:
    """The loss of each piece; an objective that needs no reference must not mind one."""
    pieces = cut(build(paths), budget)
    return [objective.loss(score_with_reference(model, piece), piece) for piece in pieces]


def summed(found: Sequence[LossSum]) -> dict[str, float]:
    names = found[0].reported
    sums = {name: sum(part.reported[name] for part in found) for name in names}
    return {**sums, "total": sum(float(part.total.detach()) for part in found), "weight": sum(p.weight for p in found)}


@every_objective
def test_settings_say_whether_rows_need_two_answers(name: str) -> None:
    config = OBJECTIVES.config(name)
    assert issubclass(config, ObjectiveConfig)
    assert isinstance(config().pairs, bool)
    assert isinstance(made(name).needs_reference, bool)


@every_objective
def test_an_examples_paths_stand_in_groups_that_no_other_example_has(name: str) -> None:
    objective, rows, draws = made(name), rows_of(name), OBJECTIVES.config(name).draws
    first, second = (objective.paths(rows[number], 7 + number, 3 + number) for number in (0, 1))
    assert {path.row for path in first} == {7}
    groups, others = ({path.group for path in paths} for paths in (first, second))
    # Drawn answers are coupled by their rewards alone, which are known: each may stand in a piece of its own.
    assert len(groups) == len(first) if draws else groups == {3}
    assert not groups & others
    assert all(path.weights.any() for path in first)


@every_objective
def test_loss_is_a_sum_that_sharing_and_cuts_do_not_change(name: str, model: Any) -> None:
    objective = made(name)
    whole = summed(parts(objective, model, paths_of(name, range(len(TEXTS)))))
    assert whole["weight"] > 0
    alone = summed([part for row in range(len(TEXTS)) for part in parts(objective, model, paths_of(name, [row]))])
    assert alone == pytest.approx(whole, rel=1e-5)
    for budget in (1, 9):
        pieces = parts(objective, model, paths_of(name, range(len(TEXTS))), budget)
        assert len(pieces) > 1
        assert summed(pieces) == pytest.approx(whole, rel=1e-5)


@every_objective
def test_gradient_is_finite_and_not_zero(name: str, model: Any) -> None:
    objective = made(name)
    model.zero_grad()
    (part,) = parts(objective, model, paths_of(name, range(len(TEXTS))))
    assert part.total.shape == ()
    part.total.backward()  # type: ignore[no-untyped-call]
    gradients = [weight.grad for weight in model.parameters() if weight.requires_grad]
    assert gradients
    assert all(gradient is not None and torch.isfinite(gradient).all() and gradient.any() for gradient in gradients)
