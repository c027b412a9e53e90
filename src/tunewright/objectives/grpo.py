"""Group relative policy optimisation (Shao et al. 2024, DeepSeekMath, arXiv:2402.03300, equations 3 and 4).

The model draws several answers to each prompt, a grader says what each is worth, and what is better than its siblings
becomes more probable:

    A_i  = (r_i - mean(r)) / (std(r) + 1e-4)                        within the answers to one prompt
    loss = -mean over answers of mean over tokens of [min(q A_i, clip(q, 1 - low, 1 + high) A_i) - beta KL]
    q    = p(token) / p_drawn(token)
    KL   = p_0(token) / p(token) - log(p_0(token) / p(token)) - 1   never below 0, without a bias (Schulman 2020)

where p_drawn is the model that drew the answer, and p_0 the reference, the model as it was before training. There is no
critic. All answers to a prompt are paths of one forest, so the prompt is computed once for all of them, and once more
for the reference; it was read once to draw them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tunewright.base.errors import DataError, TunewrightError
from tunewright.data.tokens import TokenRow
from tunewright.forest import Forest, Path
from tunewright.objectives._protocol import LossSum, Objective, ObjectiveConfig

if TYPE_CHECKING:
    from torch import Tensor

    from tunewright.forest.edges import EdgeScores

# Of rewards that hardly differ, the difference is not blown up beyond this; as TRL's GRPOTrainer has it.
_LEAST_SPREAD = 1e-4


class Config(ObjectiveConfig):
    """Settings of GRPO."""

    draws = True
    # TRL's defaults take a twentieth of their supervised rate (1e-6 of 2e-5). With LoRA on a small model that hardly
    # moves in the few dozen steps of a short run, where a fifth and more rise steadily (docs/training.md).
    rate_share = 0.2

    name: Literal["grpo"] = "grpo"
    grader: dict[str, Any] = Field(
        default_factory=dict,
        description="What says how much an answer is worth, in the words of OpenAI's graders: `type` (string_check, "
        "text_similarity, score_model, label_model, python, multi), `name`, and the type's own fields.",
    )
    answers: int = Field(8, ge=2, description="Answers that are drawn to each prompt.")
    max_new_tokens: int = Field(128, ge=1, description="Longest answer, in tokens; longer ones are cut, and graded so.")
    passes: int = Field(1, ge=1, description="Optimiser steps that learn from the same answers.")
    beta: float = Field(0.04, ge=0, description="How closely the model is held to its reference; 0: not at all.")
    clip: float = Field(0.2, gt=0, lt=1, description="How much less probable a token may become by one draw's steps.")
    clip_high: float | None = Field(
        None, gt=0, description="How much more probable; empty: as `clip`. 0.28 lets rare tokens rise (DAPO)."
    )
    standardise: bool = Field(
        True,
        description="Divide by the spread of a prompt's rewards; off: a small spread weighs little (Dr. GRPO).",
    )
    normalise: Literal["answer", "token", "constant"] = Field(
        "answer",
        description="What each token is divided by: the length of its answer; nothing, so that each token counts alike "
        "(DAPO); or the longest length there may be (Dr. GRPO).",
    )
    validation_answers: int = Field(1, ge=1, description="Answers drawn to each validation row.")

    @property
    def steps_of_rows(self) -> int:
        """Steps that learn from the same rows."""
        return self.passes


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnPath(Path):
    """An answer behind its prompt.

    Args:
        advantage: How much better it is than its siblings.
        drawn: Log-probability of each of its tokens when it was drawn, shape (A,).
    """

    advantage: float
    drawn: NDArray[np.float32]


def build(config: Config) -> Objective:
    """The objective."""
    return _Grpo(config)


def advantages(rewards: Sequence[float], *, standardise: bool = True) -> NDArray[np.float64]:
    """How much better each answer to a prompt is than the mean of them, in spreads (of a sample), shape (G,)."""
    given = np.asarray(rewards, dtype=np.float64)
    above: NDArray[np.float64] = given - given.mean()
    if standardise:
        above /= given.std(ddof=1) + _LEAST_SPREAD
    return above


class _Grpo:
    def __init__(self, config: Config) -> None:
        self._config = config
        self.needs_reference = config.beta > 0

    def paths(self, example: TokenRow, row: int, group: int) -> list[Path]:
        """A path for each answer, in a group of its own: siblings are coupled by their rewards alone, known by now.

        Raises:
            DataError: If no answers were drawn for the example.
        """
        if len(example.attempts) != self._config.answers:
            raise DataError(
                f"'grpo' learns from {self._config.answers} answers to a prompt, and there are {len(example.attempts)}",
                where=f"row {row}",
            )
        prompt = example.prompt
        found = advantages([each.reward for each in example.attempts], standardise=self._config.standardise)
        return [
            DrawnPath(
                np.concatenate([prompt, attempt.tokens]),
                np.concatenate([np.zeros(len(prompt)), self._weights(len(attempt.tokens))]).astype(np.float32),
                group * self._config.answers + number,
                row,
                advantage=float(advantage),
                drawn=attempt.logp,
            )
            for number, (attempt, advantage) in enumerate(zip(example.attempts, found, strict=True))
        ]

    def _weights(self, length: int) -> NDArray[np.float64]:
        divisor = {"answer": length, "token": 1, "constant": self._config.max_new_tokens}[self._config.normalise]
        return np.full(length, 1.0 / divisor)

    def loss(self, scores: EdgeScores, forest: Forest) -> LossSum:
        """The loss; `kl` is the divergence from the reference, `clipped` the share that is held back."""
        import torch

        config, device = self._config, scores.logp.device
        edge_L, weight_L, advantage_L, drawn_L = (
            torch.as_tensor(array, device=device)
            for array in (forest.path_edge, forest.path_weight, *_of_entries(forest))
        )
        logp_L = scores.logp.double().index_select(0, edge_L)
        ratio_L = (logp_L - drawn_L).exp()
        within_L = ratio_L.clamp(1 - config.clip, 1 + (config.clip_high or config.clip))
        gain_L = torch.minimum(ratio_L * advantage_L, within_L * advantage_L)
        held_L = ratio_L * advantage_L > within_L * advantage_L
        share_L = self._shares(forest, weight_L)
        reported = {"clipped": float((share_L * held_L).sum())}
        if self.needs_reference:
            kl_L = _divergence(scores, logp_L, edge_L)
            gain_L = gain_L - config.beta * kl_L
            reported["kl"] = float((share_L * kl_L).detach().sum())
        weight = forest.weight if config.normalise == "token" else float(len(forest.paths))
        return LossSum(-(weight_L * gain_L).sum(), weight=weight, reported=reported)

    def _shares(self, forest: Forest, weight_L: Tensor) -> Tensor:
        """What each entry counts for in figures that people watch: its share of its answer, or alike."""
        if self._config.normalise != "constant":
            return weight_L
        lengths = np.diff(forest.path_start)
        return weight_L.new_tensor(np.repeat(1.0 / np.maximum(lengths, 1), lengths))


def _of_entries(forest: Forest) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The advantage and the drawn log-probability of each entry of all paths, shapes (L,)."""
    paths = [path for path in forest.paths if isinstance(path, DrawnPath)]
    if len(paths) != len(forest.paths):
        raise TunewrightError("GRPO was given paths that nobody has drawn")
    lengths = np.diff(forest.path_start)
    advantage_L = np.repeat(np.array([path.advantage for path in paths]), lengths)
    return advantage_L, np.concatenate([np.empty(0), *(path.drawn for path in paths)]).astype(np.float64)


def _divergence(scores: EdgeScores, logp_L: Tensor, edge_L: Tensor) -> Tensor:
    """An estimate of the divergence from the reference at each entry, in nats, shape (L,)."""
    if scores.reference is None:
        raise TunewrightError("GRPO was given no reference log-probabilities")
    gap_L = scores.reference.double().index_select(0, edge_L) - logp_L
    return gap_L.exp() - gap_L - 1
