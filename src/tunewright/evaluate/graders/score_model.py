"""Asks a model for a score.

The model is held to JSON with one field, `result`, a number within the range: as with OpenAI's, and by constrained
decoding, so that a small model keeps to it too.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from tunewright.evaluate.graders._contract import Graded, GradingError, Kit
from tunewright.evaluate.graders._judging import JudgeConfig, SamplingParams, ask_judge
from tunewright.evaluate.graders._templates import Look


class Config(JudgeConfig):
    """Settings of a model that scores."""

    type: Literal["score_model"] = "score_model"
    range: tuple[float, float] = (0.0, 1.0)
    sampling_params: SamplingParams | None = None
    pass_threshold: float | None = None

    @model_validator(mode="after")
    def _has_a_range(self) -> Self:
        low, high = self.range
        if low >= high:
            raise ValueError(f"range goes from {low:g} to {high:g}: the second number must be the larger one")
        return self


def grade(config: Config, look: Look, kit: Kit) -> Graded:
    """The model's score; it passes from the threshold on, the middle of the range where none is given."""
    low, high = config.range
    schema = {
        "type": "object",
        "properties": {"result": {"type": "number", "minimum": low, "maximum": high}},
        "required": ["result"],
        "additionalProperties": False,
    }
    verdict, said, spent = ask_judge(
        config.model, config.input, schema, look=look, kit=kit, where=config.name, sampling=config.sampling_params
    )
    score = verdict.get("result")
    if isinstance(score, bool) or not isinstance(score, int | float) or not low <= score <= high:
        raise GradingError(
            "model_grader_parse_error",
            f"The judge's 'result' is no number from {low:g} to {high:g}: {score!r}",
            where=config.name,
        )
    threshold = (low + high) / 2 if config.pass_threshold is None else config.pass_threshold
    return Graded(float(score), score >= threshold, said, (spent,))
