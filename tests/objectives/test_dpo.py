"""DPO: values worked by hand, and loss and gradient of plain rows, chosen and rejected run apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import logsigmoid

from tests.forest.test_score import gradient
from tests.objectives.making import models, plain_logp, row, some_rows
from tunewright.base.errors import DataError, TunewrightError
from tunewright.data.tokens import TokenRow
from tunewright.forest import Forest, build, cut
from tunewright.forest.edges import EdgeScores
from tunewright.forest.reference import score_with_reference
from tunewright.models.methods import lora
from tunewright.objectives import dpo
from tunewright.objectives._protocol import LossSum
from tunewright.recipe import recipe_from_mapping


def forest_of(rows: Sequence[TokenRow], **settings: Any) -> Forest:
    objective = dpo.build(dpo.Config(**settings))
    return build([path for place, each in enumerate(rows) for path in objective.paths(each, place, place)])


def loss_of(logp: Sequence[float], reference: Sequence[float], rows: Sequence[TokenRow], **settings: Any) -> LossSum:
    forest = forest_of(rows, **settings)
    assert len(logp) == len(reference) == len(forest.source)
    scores = EdgeScores(torch.tensor(logp), torch.zeros(len(logp)).bool(), torch.tensor(reference))
    return dpo.build(dpo.Config(**settings)).loss(scores, forest)


PAIR = row([5, 6], [7], [8, 9])
# Edges, by source and target: 6 to 7 (chosen), 6 to 8 and 8 to 9 (rejected).
LOGP, REFERENCE = [-1.0, -2.0, -0.5], [-1.5, -1.0, -0.7]
# Chosen gained 0.5; rejected lost 1.0 and gained 0.2.
MARGIN = 0.5 - (-1.0 + 0.2)


def test_dpo_is_log_two_when_policy_equals_reference() -> None:
    found = loss_of(LOGP, LOGP, [PAIR])
    assert float(found.total) == pytest.approx(math.log(2), abs=1e-12)
    assert found.weight == 1
    assert found.reported == {"preferred": 0, "margin": 0}


def test_value_worked_by_hand() -> None:
    found = loss_of(LOGP, REFERENCE, [PAIR], beta=0.5)
    assert float(found.total) == pytest.approx(-math.log(1 / (1 + math.exp(-0.5 * MARGIN))), rel=1e-6)
    assert found.reported["preferred"] == 1
    assert found.reported["margin"] == pytest.approx(0.5 * MARGIN, rel=1e-6)


def test_a_pair_the_wrong_way_round_costs_more() -> None:
    turned = row([5, 6], [8, 9], [7])
    found = loss_of(LOGP, REFERENCE, [turned], beta=0.5)
    assert float(found.total) == pytest.approx(math.log(1 + math.exp(0.5 * MARGIN)), rel=1e-6)
    assert found.reported["preferred"] == 0


def test_label_smoothing_is_a_mean_of_both_ways_round() -> None:
    found = loss_of(LOGP, REFERENCE, [PAIR], beta=0.5, label_smoothing=0.2)
    right, wrong = math.log(1 + math.exp(-0.5 * MARGIN)), math.log(1 + math.exp(0.5 * MARGIN))
    assert float(found.total) == pytest.approx(0.8 * right + 0.2 * wrong, rel=1e-6)


def test_length_normalised_compares_means_per_token() -> None:
    found = loss_of(LOGP, REFERENCE, [PAIR], beta=1.0, length_normalised=True)
    assert found.reported["margin"] == pytest.approx(0.5 / 1 - (-1.0 + 0.2) / 2, rel=1e-6)


def test_what_answers_begin_with_alike_cancels() -> None:
    # Both begin with 7, whose edge is worth 100 nats more than in the reference; only what follows tells them apart.
    found = loss_of([100.0, -1.0, -2.0], [0.0, -1.5, -1.0], [row([5, 6], [7, 8], [7, 9])], beta=1.0)
    assert found.reported["margin"] == pytest.approx(0.5 + 1.0, rel=1e-5)


def test_an_example_that_a_step_holds_twice_is_two_pairs() -> None:
    found = loss_of(LOGP, REFERENCE, [PAIR, PAIR], beta=0.5)
    assert found.weight == 2
    assert float(found.total) == pytest.approx(2 * math.log(1 + math.exp(-0.5 * MARGIN)), rel=1e-6)


def test_prompt_of_both_answers_is_computed_once() -> None:
    prompt = list(range(10, 50))
    assert forest_of([row(prompt, [3, 4, 2], [3, 5, 6, 2])]).nodes == len(prompt) + 1 + 1 + 2
    # A second pair to the same prompt adds its answers alone.
    both = forest_of([row(prompt, [3, 4, 2], [3, 5, 6, 2]), row(prompt, [7, 2], [8, 2])])
    assert both.nodes == len(prompt) + 4 + 2


def test_pairs_are_never_cut_apart() -> None:
    rows = [row([5, 6, place], [7, 8], [9, 3]) for place in range(10, 20)]
    pieces = cut(forest_of(rows), 12)
    assert len(pieces) > 1
    for piece in pieces:
        assert all([path.group for path in piece.paths].count(path.group) == 2 for path in piece.paths)


def test_an_example_without_a_rejected_answer_is_refused() -> None:
    with pytest.raises(DataError, match="row 3: This row has no rejected answer"):
        dpo.build(dpo.Config()).paths(row([5], [6]), 3, 0)


def test_scores_without_a_reference_are_an_error() -> None:
    scores = EdgeScores(torch.tensor(LOGP), torch.zeros(3).bool())
    with pytest.raises(TunewrightError, match="no reference"):
        dpo.build(dpo.Config()).loss(scores, forest_of([PAIR]))


def test_its_own_learning_rate_is_a_fortieth_of_the_methods() -> None:
    recipe = {"name": "r", "goal": "g", "data": {"train": "rows.jsonl"}, "train": {"objective": "dpo"}}
    assert recipe_from_mapping(recipe).learning_rate == pytest.approx(lora.LEARNING_RATE / 40)
    named = {**recipe, "train": {"objective": "dpo", "learning_rate": 3e-4}}
    assert recipe_from_mapping(named).learning_rate == 3e-4


@pytest.fixture(scope="module")
def trio() -> tuple[Any, Any, Any]:
    return models()


def plain_loss(base: Any, policy: Any, rows: Sequence[TokenRow], config: dpo.Config) -> torch.Tensor:
    """Equation 7, each answer run alone, the reference being another model that never had an adapter."""
    total = torch.zeros((), dtype=torch.float64)
    for each in rows:
        gains = []
        for answer in (each, each.rejected):
            assert answer is not None
            with torch.no_grad():
                reference = plain_logp(base, answer)
            length = float(np.sum(answer.weights)) if config.length_normalised else 1.0
            gains.append((plain_logp(policy, answer) - reference) / length)
        logit = config.beta * (gains[0] - gains[1])
        total = total - (1 - config.label_smoothing) * logsigmoid(logit) - config.label_smoothing * logsigmoid(-logit)
    return total


@settings(deadline=None, max_examples=20)
@given(
    rows=some_rows(),
    budget=st.integers(4, 40),
    config=st.builds(
        dpo.Config,
        beta=st.sampled_from([0.1, 0.7]),
        label_smoothing=st.sampled_from([0.0, 0.1]),
        length_normalised=st.booleans(),
    ),
)
def test_equals_plain_rows(trio: tuple[Any, Any, Any], rows: list[TokenRow], budget: int, config: dpo.Config) -> None:
    base, stock, ours = trio
    objective = dpo.build(config)
    paths = [path for place, each in enumerate(rows) for path in objective.paths(each, place, place)]
    parts = [objective.loss(score_with_reference(ours, piece), piece) for piece in cut(build(paths), budget)]
    expected, found = plain_loss(base, stock, rows, config), torch.stack([part.total for part in parts]).sum()
    assert sum(part.weight for part in parts) == len(rows)
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    g_plain, g_forest = gradient(stock, expected), gradient(ours, found)
    assert float(g_plain.norm()) > 0
    # The gradients of alike answers nearly cancel; rounding follows their own length (about beta each), not the rest's.
    assert float((g_plain - g_forest).norm()) <= 1e-5 * max(float(g_plain.norm()), config.beta)
