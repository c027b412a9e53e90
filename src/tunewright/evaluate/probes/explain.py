"""Explanations of some answers: the words that drove them, and the training rows that taught them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from tunewright.base.errors import InputError
from tunewright.base.events import Message, Stage
from tunewright.base.plugins import PluginConfig
from tunewright.base.seeds import derive
from tunewright.evaluate.explaining import MEANING, Explanation, choose_rows, details_of, explain
from tunewright.evaluate.probing import TUNED, Asked, Finding
from tunewright.evaluate.speaker import LocalSpeaker


class Config(PluginConfig):
    """Settings of `explain`."""

    name: Literal["explain"] = "explain"
    answers: int = Field(4, ge=1, le=50, description="Answers to explain: wrong and right ones in turn.")
    training_rows: int = Field(
        1000, ge=1, description="Training rows that are looked at for each, drawn with the seed where there are more."
    )
    shown: int = Field(3, ge=1, le=20, description="Training rows to name on either side.")


def names(config: Config) -> tuple[str, ...]:
    """What its findings are called."""
    return ("explanation_gap",)


def probe(config: Config, asked: Asked) -> list[Finding]:
    """The worst completeness gap of the explained answers, with the explanations as details.

    Raises:
        InputError: If the tuned model is not in memory here.
        ModelError: If it has no adapter or computes in a way of its own, or Captum is missing.
    """
    speaker = asked.systems.get(TUNED)
    if not isinstance(speaker, LocalSpeaker):
        raise InputError(
            "An explanation takes gradients, and there is no tuned model in memory",
            where="evaluate.probes.explain",
            hint="Explain a model of this workspace, and not one behind an endpoint.",
        )
    chosen = _chosen(config, asked)
    if not chosen:
        asked.listener(Message("Nothing to explain: every answer of the tuned model is empty.", "warning"))
        return []
    training = choose_rows(asked.training, config.training_rows, asked.seed)
    found: list[Explanation] = []
    with speaker.model() as model:
        for row in chosen:
            example = asked.examples[row]
            answer = asked.answers[TUNED].answers[row].prediction
            asked.listener(Stage("explain", "progress", len(found), len(chosen), "answers"))
            found.append(
                explain(
                    model,
                    speaker.base.chat,
                    example.prompt,
                    answer,
                    training,
                    tools=example.tools,
                    shown=config.shown,
                )
            )
    asked.listener(Stage("explain", "progress", len(found), len(chosen), "answers"))
    return [_finding(found, len(training), len(asked.training))]


def _chosen(config: Config, asked: Asked) -> list[int]:
    """Places of answers to explain: of the wrong and of the right ones in turn, drawn with the seed."""
    given = asked.answers[TUNED].answers
    rows = [row for row, answer in enumerate(given) if answer.prediction.strip()]
    random.Random(derive(asked.seed, "explain")).shuffle(rows)
    right = {row for row in rows if given[row].prediction.strip() == given[row].reference.strip()}
    wrong_ones = [row for row in rows if row not in right]
    right_ones = [row for row in rows if row in right]
    turns = [
        row for place in range(len(rows)) for group in (wrong_ones, right_ones) for row in group[place : place + 1]
    ]
    return turns[: config.answers]


def _finding(found: Sequence[Explanation], looked_at: int, training: int) -> Finding:
    return Finding(
        name="explanation_gap",
        title="Explanations: largest gap",
        value=max(each.attribution.gap for each in found),
        n=len(found),
        better="lower",
        meaning=MEANING,
        details={"training rows looked at": f"{looked_at:,} of {training:,}", **details_of(found)},
    )
