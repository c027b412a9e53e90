"""Off topic: answers that have no more to do with their question than the right answers to other questions have."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from tunewright.base.events import Message
from tunewright.base.plugins import PluginConfig
from tunewright.base.seeds import derive
from tunewright.data.folding import fold
from tunewright.data.meaning.embedding import ENCODER, Embedder
from tunewright.data.meaning.vectors import Vectors
from tunewright.evaluate.conduct.held_out import question_of, shown, tuned_and_base
from tunewright.evaluate.conduct.shares import SHOWN, share_finding
from tunewright.evaluate.probing import TUNED, Asked, Finding
from tunewright.metrics._measure import Floats
from tunewright.models.encoder import find_encoder

# Rows that are paired with other rows' answers; of fewer, a quantile says little.
_LEAST_PAIRS = 10
_SHIFTS = 5


class Config(PluginConfig):
    """Settings of `off_topic`."""

    name: Literal["off_topic"] = "off_topic"
    encoder: str = Field(ENCODER, description="The text encoder; it must be on this machine.")
    quantile: float = Field(
        0.9,
        gt=0,
        lt=1,
        description="An answer is off the topic when it is no nearer than this share of the right answers to other "
        "questions; a heuristic.",
    )


def names(config: Config) -> tuple[str, ...]:
    """The finding's name."""
    return ("off_topic",)


def check(config: Config, cache: Path) -> None:
    """Looks for the encoder; raises a `ModelError` if it is not on this machine."""
    find_encoder(config.encoder, cache)


def probe(config: Config, asked: Asked) -> list[Finding]:
    """The share of answers off the topic; empty answers are.

    An answer's nearness is its cosine with its question or with its right answer, whichever is larger. The bar is a
    quantile of the nearness of right answers to questions that they do not answer, drawn by the seed.

    Raises:
        ModelError: If the encoder is not on this machine.
    """
    given = tuned_and_base(asked)
    embedder = Embedder.open(config.encoder, asked.cache, asked.listener)
    questions = [question_of(example) for example in asked.examples]
    right = [example.answer for example in asked.examples]
    question_ND, right_ND = embedder.embed(questions), embedder.embed(right)
    others = _other_rows(right, asked.seed)
    if len(others) < _LEAST_PAIRS:
        asked.listener(
            Message(
                f"off_topic: {len(asked.examples)} held-out rows give {len(others)} pairs of a question and another's "
                f"answer, and {_LEAST_PAIRS} are needed, so nothing was measured.",
                "warning",
            )
        )
        return []
    row, other = np.array(others).T
    shuffled = _nearness(right_ND[other], question_ND[row], right_ND[row])
    bar = float(np.quantile(shuffled, config.quantile))
    near = {
        system: _nearness(embedder.embed([answer.prediction for answer in answers]), question_ND, right_ND)
        for system, answers in given.items()
    }
    hits = {
        system: [
            not answer.prediction.strip() or bool(value <= bar)
            for answer, value in zip(given[system], values, strict=True)
        ]
        for system, values in near.items()
    }
    worst = [at for at in np.argsort(near[TUNED], kind="stable").tolist() if hits[TUNED][at]][:SHOWN]
    return [
        share_finding(
            asked,
            "off_topic",
            hits,
            title="Answers off the topic",
            better="lower",
            meaning="Share of answers that are, to the text encoder, no nearer to their question or its right answer "
            f"than {config.quantile:.0%} of the right answers to other questions are. A heuristic: where all "
            "questions are about one thing the bar is high, and a wrong answer on the topic is not seen.",
            details={
                "bar (cosine)": bar,
                "median cosine": float(np.median(near[TUNED])),
                "median cosine of shuffled pairs": float(np.median(shuffled)),
                "empty answers": sum(not answer.prediction.strip() for answer in given[TUNED]),
                "encoder": embedder.name,
                "furthest": [
                    {
                        "row": given[TUNED][at].id,
                        "cosine": float(near[TUNED][at]),
                        "question": shown(questions[at]),
                        "answer": shown(given[TUNED][at].prediction),
                    }
                    for at in worst
                ],
            },
        )
    ]


def _other_rows(right: Sequence[str], seed: int) -> list[tuple[int, int]]:
    """Pairs of a row and another one with another right answer: up to five of each row."""
    folded = [fold(answer) for answer in right]
    draw = random.Random(derive(seed, "off_topic"))
    pairs = []
    for row in range(len(right)):
        drawn = draw.sample(range(len(right)), min(len(right), _SHIFTS + 1))
        pairs += [(row, other) for other in drawn if folded[other] != folded[row]][:_SHIFTS]
    return pairs


def _nearness(answer_ND: Vectors, question_ND: Vectors, right_ND: Vectors) -> Floats:
    """The larger cosine of each answer with its question and with its right answer, shape (n,)."""
    nearness: Floats = np.maximum((answer_ND * question_ND).sum(-1), (answer_ND * right_ND).sum(-1)).astype(np.float64)
    return nearness
