"""How a recipe wants its result measured."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tunewright.base.plugins import METRICS, PROBES
from tunewright.recipe.candidates import Candidates
from tunewright.recipe.plugin import plugin_field
from tunewright.recipe.sampling import Drawn


class Evaluate(Drawn):
    """How the result is measured, and against what."""

    systems: tuple[Literal["base", "base_few_shot", "bag_of_words"], ...] = Field(
        ("base", "base_few_shot", "bag_of_words"), description="What the tuned model is held against."
    )
    metrics: tuple[plugin_field(METRICS), ...] = Field(  # type: ignore[valid-type]
        (), description="Empty: those that fit the kind of answer."
    )
    probes: tuple[plugin_field(PROBES), ...] = Field(  # type: ignore[valid-type]
        (), description="What else the models are asked: what they forgot, whom they wrong, what judges think of them."
    )
    slices: tuple[str, ...] = Field(
        ("class", "question_length", "source"),
        description="What the rows are looked at apart by: class, question_length, answer_length, language, topic "
        "(needs the embedded encoder), or any column.",
    )
    candidates: Candidates = Field("none", description="Choose answers by log-probability: among labels, or a list.")
    clusters: str = Field("", description="A column whose equal values mark rows that belong together, if any do.")
    shots: int = Field(3, ge=1, description="Worked examples in the few-shot prompt.")
    max_new_tokens: int = Field(128, ge=1, description="Longest answer, in tokens; longer ones are cut and counted.")
    batch_size: int = Field(64, ge=1, description="Answers decoded side by side.")
    limit: int | None = Field(None, ge=1, description="Only so many test rows, drawn with the seed; none: all.")
    bootstrap_samples: int = Field(2000, ge=100)
