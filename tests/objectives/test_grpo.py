"""GRPO: values worked by hand, and loss and gradient of plain rows, each answer run apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.forest.test_score import gradient
from tests.objectives.making import drawn_row, models, plain_logps
from tunewright.base.errors import DataError, TunewrightError
from tunewright.data.tokens import TokenRow
from tunewright.forest import Path, build, cut
from tunewright.forest.edges import EdgeScores
from tunewright.forest.reference import score_with_reference
from tunewright.models.methods import lora
from tunewright.objectives import grpo
from tunewright.objectives._protocol import LossSum
from tunewright.recipe import recipe_from_mapping

# Two answers to a prompt; of rewards 2 and 0, the advantages are 1 and -1 where they are not standardised.
GOOD, BAD = ([7, 2], [-1.0, -0.5], 2.0), ([8], [-2.0], 0.0)
PAIR = drawn_row([5, 6], GOOD, BAD)
# Edges, by source and target: 6 to 7 (good), 6 to 8 (bad), 7 to 2 (good). Log-ratios: 0.1, -0.1, -0.05.
LOGP = [-0.9, -2.1, -0.55]
PLAIN: dict[str, Any] = {"answers": 2, "standardise": False, "beta": 0.0}


def paths_of(rows: Sequence[TokenRow], **settings: Any) -> list[Path]:
    objective = grpo.build(grpo.Config(**settings))
    return [path for place, each in enumerate(rows) for path in objective.paths(each, place, place)]


def loss_of(
    logp: torch.Tensor | Sequence[float],
    rows: Sequence[TokenRow],
    reference: Sequence[float] | None = None,
    **settings: Any,
) -> LossSum:
    forest = build(paths_of(rows, **settings))
    assert len(logp) == len(forest.source)
    scores = EdgeScores(
        logp if isinstance(logp, torch.Tensor) else torch.tensor(logp),
        torch.zeros(len(logp)).bool(),
        None if reference is None else torch.tensor(reference),
    )
    return grpo.build(grpo.Config(**settings)).loss(scores, forest)


def test_advantages_are_distances_from_the_mean_in_spreads() -> None:
    # The mean is 1 and a sample's variance (1 + 1 + 1 + 9) / 3.
    found = grpo.advantages([0.0, 0.0, 0.0, 4.0])
    assert found == pytest.approx([-1 / 2.0001, -1 / 2.0001, -1 / 2.0001, 3 / 2.0001], rel=1e-12)


def test_advantages_may_be_left_as_distances() -> None:
    assert grpo.advantages([0.0, 0.0, 0.0, 4.0], standardise=False).tolist() == [-1, -1, -1, 3]


@pytest.mark.parametrize("standardise", [True, False])
def test_answers_that_are_worth_the_same_teach_nothing(standardise: bool) -> None:
    assert grpo.advantages([0.25] * 3, standardise=standardise).tolist() == [0, 0, 0]


def test_a_spread_of_next_to_nothing_is_not_blown_up() -> None:
    # Apart by 2e-6, they would else be 1 / sqrt(2) spreads from their mean.
    assert grpo.advantages([1 - 1e-6, 1 + 1e-6]) == pytest.approx([-0.01, 0.01], rel=0.02)


@pytest.mark.parametrize(
    ("normalise", "by_length", "weight"),
    [("answer", (2, 1), 2), ("token", (1, 1), 3), ("constant", (4, 4), 2)],
)
def test_loss_by_hand(normalise: str, by_length: tuple[int, int], weight: float) -> None:
    found = loss_of(LOGP, [PAIR], **PLAIN, normalise=normalise, max_new_tokens=4)
    good, bad = math.exp(0.1) + math.exp(-0.05), math.exp(-0.1)
    assert float(found.total) == pytest.approx(-(good / by_length[0] - bad / by_length[1]), rel=1e-6)
    assert found.weight == weight
    assert found.reported == {"clipped": 0}


def test_standardised_rewards_weigh_by_their_spread() -> None:
    # Rewards 2 and 0 lie one off their mean each, and their spread as a sample is the root of 2.
    plain, found = (loss_of(LOGP, [PAIR], **PLAIN | {"standardise": each}) for each in (False, True))
    assert float(found.total) == pytest.approx(float(plain.total) / (math.sqrt(2) + 1e-4), rel=1e-6)


def test_where_nothing_has_changed_yet_the_loss_is_nought_and_the_gradient_is_not() -> None:
    logp = torch.tensor([-1.0, -2.0, -0.5], requires_grad=True)
    found = loss_of(logp, [PAIR], **PLAIN)
    found.total.backward()  # type: ignore[no-untyped-call]
    assert float(found.total.detach()) == pytest.approx(0, abs=1e-7)  # one answer's advantage is the other's, below 0
    assert logp.grad is not None
    assert logp.grad.tolist() == pytest.approx([-0.5, 1.0, -0.5], rel=1e-6)


@pytest.mark.parametrize(
    ("edge", "log_ratio", "clip_high", "gain", "held"),
    [
        (0, 0.5, None, 1.2, True),  # better, and already much more probable
        (0, 0.5, 0.28, 1.28, True),
        (0, 0.5, 0.7, math.exp(0.5), False),
        (0, -0.5, None, math.exp(-0.5), False),  # better, and less probable: nothing holds it back
        (1, -0.5, None, -0.8, True),  # worse, and already much less probable
        (1, -0.5, 0.28, -0.8, True),
        (1, 0.5, None, -math.exp(0.5), False),  # worse, and more probable
    ],
)
def test_what_has_gone_far_enough_is_held_back(
    edge: int, log_ratio: float, clip_high: float | None, gain: float, held: bool
) -> None:
    # Two answers of one token, advantages 1 and -1; one of them is where it was.
    example = drawn_row([5, 6], ([7], [-1.0], 2.0), ([8], [-1.0], 0.0))
    logp = torch.full((2,), -1.0)
    logp[edge] += log_ratio
    found = loss_of(logp.requires_grad_(), [example], **PLAIN, clip_high=clip_high)
    still = -1.0 if edge == 0 else 1.0
    assert float(found.total.detach()) == pytest.approx(-(gain + still), rel=1e-6)
    assert found.reported["clipped"] == held
    found.total.backward()  # type: ignore[no-untyped-call]
    assert logp.grad is not None
    assert float(logp.grad[edge]) == pytest.approx(0 if held else -gain, rel=1e-6)


def test_clip_is_how_far_below_it_may_go() -> None:
    found = loss_of([-1.0, -2.5, -0.5], [PAIR], **PLAIN, clip=0.3)
    assert float(found.total) == pytest.approx(-(1 - 0.7), rel=1e-6)


def test_divergence_from_the_reference_by_hand() -> None:
    reference = [-1.4, -2.1, -0.35]  # gaps to the policy: -0.5, 0 and 0.2
    plain = loss_of(LOGP, [PAIR], **PLAIN)
    found = loss_of(LOGP, [PAIR], reference, **PLAIN | {"beta": 0.5})
    kl = (math.exp(-0.5) + 0.5 - 1 + math.exp(0.2) - 0.2 - 1) / 2  # of the good answer's two tokens; the bad one's is 0
    assert found.reported["kl"] == pytest.approx(kl, rel=1e-5)
    assert float(found.total) - float(plain.total) == pytest.approx(0.5 * kl, rel=1e-5)


def test_scores_without_a_reference_are_an_error() -> None:
    assert grpo.build(grpo.Config(beta=0.1)).needs_reference
    assert not grpo.build(grpo.Config(beta=0.0)).needs_reference
    with pytest.raises(TunewrightError, match="no reference"):
        loss_of(LOGP, [PAIR], **PLAIN | {"beta": 0.1})


def test_paths_that_nobody_has_drawn_are_an_error() -> None:
    forest = build([Path(PAIR.tokens, PAIR.weights, 0, 0)])
    with pytest.raises(TunewrightError, match="nobody has drawn"):
        grpo.build(grpo.Config()).loss(EdgeScores(torch.tensor([-1.0]), torch.zeros(1).bool()), forest)


@pytest.mark.parametrize("attempts", [(), PAIR.attempts])
def test_an_example_with_another_number_of_answers_is_refused(attempts: Any) -> None:
    with pytest.raises(DataError, match=rf"row 3: 'grpo' learns from 3 answers .* there are {len(attempts)}"):
        grpo.build(grpo.Config(answers=3)).paths(replace(PAIR, attempts=attempts), 3, 0)


def test_the_prompt_of_all_answers_is_computed_once() -> None:
    prompt = list(range(10, 50))
    answers = [[3, 4, 2], [3, 5, 6, 2], [9]]
    example = drawn_row(prompt, *((each, [-1.0] * len(each), float(len(each))) for each in answers))
    # The first token of two answers is one node, too; last tokens are never fed.
    assert build(paths_of([example], answers=3)).nodes == len(prompt) + 1 + 1 + 2


def test_an_answer_that_was_drawn_twice_counts_twice_over_the_same_edges() -> None:
    # The mean of 2, 2 and 0 is 4/3.
    forest = build(paths_of([drawn_row([5, 6], GOOD, GOOD, BAD)], **PLAIN | {"answers": 3}))
    assert (forest.nodes, len(forest.source), len(forest.paths)) == (3, 3, 3)
    found = loss_of(LOGP, [drawn_row([5, 6], GOOD, GOOD, BAD)], **PLAIN | {"answers": 3})
    good, bad = (math.exp(0.1) + math.exp(-0.05)) / 2, math.exp(-0.1)
    assert float(found.total) == pytest.approx(-(2 * 2 / 3 * good - 4 / 3 * bad), rel=1e-6)
    assert found.weight == 3


def test_each_answer_is_a_group_so_that_pieces_may_part_siblings() -> None:
    answers = [([start, start + 1, start + 2, 2], [-1.0] * 4, float(start)) for start in range(10, 50, 5)]
    paths = paths_of([drawn_row([5, 6, 7], *answers)] * 2)
    assert len({path.group for path in paths}) == 16
    pieces = cut(build(paths), 9)  # the prompt, and two answers of three nodes behind it
    assert [piece.nodes for piece in pieces] == [9] * 4
    assert {path.row for path in pieces[0].paths} == {path.row for path in pieces[3].paths} == {0, 1}


def test_its_own_learning_rate_is_a_fifth_of_the_methods() -> None:
    recipe = {"name": "r", "goal": "g", "data": {"train": "rows.jsonl"}, "train": {"objective": "grpo"}}
    assert recipe_from_mapping(recipe).learning_rate == pytest.approx(lora.LEARNING_RATE / 5)


@pytest.fixture(scope="module")
def trio() -> tuple[Any, Any, Any]:
    return models()


@st.composite
def some_asked(draw: st.DrawFn) -> list[tuple[list[int], list[list[int]]]]:
    """Prompts and answers of few different tokens, so that beginnings are shared again and again."""
    some = st.lists(st.integers(3, 6), min_size=1, max_size=5)
    answers = st.lists(some, min_size=3, max_size=3, unique_by=tuple)
    return draw(st.lists(st.tuples(some, answers), min_size=1, max_size=4))


def own_logps(model: Any, prompt: Sequence[int], answer: Sequence[int]) -> torch.Tensor:
    """Log-probability of each token of an answer, run alone, shape (A,)."""
    return plain_logps(model, np.array([*prompt, *answer], dtype=np.int32))[len(prompt) - 1 :]


def answered(stock: Any, asked: list[tuple[list[int], list[list[int]]]], seed: int) -> list[TokenRow]:
    """The answers as they might have been drawn a few steps ago, with rewards that differ."""
    dice = np.random.default_rng(seed)

    def once(prompt: list[int], answer: list[int]) -> list[float]:
        with torch.no_grad():
            now = own_logps(stock, prompt, answer).numpy()
        found: list[float] = (now + dice.normal(0, 0.2, len(answer))).tolist()
        return found

    return [
        drawn_row(prompt, *((each, once(prompt, each), place + dice.random()) for place, each in enumerate(answers)))
        for prompt, answers in asked
    ]


def plain_losses(
    base: Any, policy: Any, rows: Sequence[TokenRow], config: grpo.Config
) -> tuple[list[torch.Tensor], float]:
    """The paper's equations 3 and 4: what each answer, run alone, adds to the loss; and the divisor."""
    losses, weight = [], 0.0
    for each in rows:
        prompt, rewards = each.prompt.tolist(), [attempt.reward for attempt in each.attempts]
        mean, spread = np.mean(rewards), np.std(rewards, ddof=1) + 1e-4 if config.standardise else 1.0
        for attempt in each.attempts:
            logp, length = own_logps(policy, prompt, attempt.tokens.tolist()), len(attempt.tokens)
            with torch.no_grad():
                reference = own_logps(base, prompt, attempt.tokens.tolist())
            ratio, advantage = (logp - torch.tensor(attempt.logp)).exp(), float((attempt.reward - mean) / spread)
            top = 1 + (config.clip if config.clip_high is None else config.clip_high)
            gain = torch.minimum(ratio * advantage, ratio.clamp(1 - config.clip, top) * advantage)
            kl = (reference - logp).exp() - (reference - logp) - 1
            by = {"answer": length, "token": 1, "constant": config.max_new_tokens}[config.normalise]
            losses.append(-(gain - config.beta * kl).sum() / by)
            weight += length if config.normalise == "token" else 1
    return losses, weight


@settings(deadline=None, max_examples=20)
@given(
    asked=some_asked(),
    seed=st.integers(0, 2**16),
    budget=st.integers(1, 40),
    config=st.builds(
        grpo.Config,
        answers=st.just(3),
        max_new_tokens=st.just(5),
        beta=st.sampled_from([0.0, 0.3]),
        clip_high=st.sampled_from([None, 0.28]),
        standardise=st.booleans(),
        normalise=st.sampled_from(["answer", "token", "constant"]),
    ),
)
def test_equals_plain_rows(trio: tuple[Any, Any, Any], asked: Any, seed: int, budget: int, config: grpo.Config) -> None:
    base, stock, ours = trio
    rows, objective = answered(stock, asked, seed), grpo.build(config)
    pieces = cut(
        build([path for place, each in enumerate(rows) for path in objective.paths(each, place, place)]), budget
    )
    parts = [objective.loss(score_with_reference(ours, piece), piece) for piece in pieces]
    (losses, weight), found = plain_losses(base, stock, rows, config), torch.stack([part.total for part in parts]).sum()
    assert sum(part.weight for part in parts) == pytest.approx(weight, rel=1e-12)
    assert float(found.detach()) == pytest.approx(sum(float(each.detach()) for each in losses), rel=1e-5, abs=1e-5)
    own = torch.stack([gradient(stock, each) for each in losses])
    g_plain, g_forest = own.sum(0), gradient(ours, found)
    assert float(g_plain.norm()) > 0
    # The gradients of siblings nearly cancel; rounding follows their own lengths, not the rest's.
    assert float((g_plain - g_forest).norm()) <= 1e-5 * float(own.norm())
